"""Speech, the edges: a time that lies within a silence is moved to where the sound is.

In: times as a model gave them, and the silences that were found when the file was looked through. Out: the
same, better: Whisper often begins the first word after a pause some tenths of a second too early.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from chatkit.speech.timed import Segment, Word

LEAD = 0.04
"""Seconds before the sound that a word may begin: the softest consonants are silence to a meter."""

T = TypeVar("T", Segment, Word)


def at_the_sound(items: Iterable[T], quiet: Sequence[tuple[float, float]]) -> tuple[T, ...]:
    """Begin each at its first sound, end it at its last; `quiet` are silences in order, in seconds.

    >>> at_the_sound([Word(1.3, 2.2, "Hello")], [(0.0, 1.6), (2.0, 3.0)])
    (Word(start=1.56, end=2.04, text='Hello'),)
    """
    begins = [start for start, _ in quiet]
    return tuple(_moved(item, quiet, begins) for item in items)


def _moved(item: T, quiet: Sequence[tuple[float, float]], begins: list[float]) -> T:
    start, end = item.start, item.end
    first, last = _around(start, quiet, begins), _around(end, quiet, begins)
    if first and first[1] - LEAD < end:
        start = max(start, first[1] - LEAD)
    if last and last[0] + LEAD > start:
        end = min(end, last[0] + LEAD)
    return replace(item, start=round(start, 3), end=round(end, 3))


def _around(at: float, quiet: Sequence[tuple[float, float]], begins: list[float]) -> tuple[float, float] | None:
    """The silence in which this moment lies."""
    number = bisect_right(begins, at) - 1
    return quiet[number] if number >= 0 and at <= quiet[number][1] else None
