"""Speech, subtitles: segments and words become cues that a person can read, and cues become SRT or WebVTT.

In: segments (and words, where there are any) with times in seconds. Out: text in one of the two forms.
Two lines of at most 42 characters, 1 to 7 seconds: the measures of the broadcasters' style guides.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise, zip_longest
from typing import Protocol

LINE = 42
LINES = 2
LONGEST = 7.0
SHORTEST = 1.0


class Timed(Protocol):
    """Text with times in seconds."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start: float
    end: float
    text: str


def cues(segments: Sequence[Timed], words: Sequence[Timed] = ()) -> list[Cue]:
    """Subtitles of readable size, in order and without overlap."""
    found: list[Cue] = []
    for segment in segments:
        text = " ".join(segment.text.split())
        if text and segment.end > segment.start >= 0:
            inside = [w for w in words if segment.start - 0.01 <= (w.start + w.end) / 2 < segment.end + 0.01]
            found += _split(Cue(segment.start, segment.end, text), inside)
    return _apart(sorted(found, key=lambda cue: cue.start))


def srt(found: Iterable[Cue]) -> str:
    """SubRip. A text can end no cue and begin none: `-->` and empty lines are taken out of it."""
    blocks = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(_tame(cue.text))}\n"
        for number, cue in enumerate(found, 1)
    )
    return "\n".join(blocks)


def vtt(found: Iterable[Cue]) -> str:
    """WebVTT, with `&`, `<` and `>` escaped."""
    blocks = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{escape(_lines(_tame(cue.text)), quote=False)}\n"
        for cue in found
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _split(cue: Cue, words: Sequence[Timed]) -> list[Cue]:
    """Cut a long cue where its text breaks best; by its words' times, or by the share of its characters."""
    count = max(-(-len(cue.text) // (LINE * LINES)), int((cue.end - cue.start) // LONGEST) + 1)
    pieces = cue.text.split(" ")
    if (len(cue.text) <= LINE * LINES and cue.end - cue.start <= LONGEST) or len(pieces) < 2:
        return [cue]
    texts = _chunks(pieces, -(-len(cue.text) // count))
    times = _times(cue, texts, words)
    return [Cue(start, end, text) for text, (start, end) in zip(texts, times, strict=True)]


def _chunks(pieces: list[str], size: int) -> list[str]:
    """Words in groups of about `size` characters; the end of a sentence closes a group that is half full."""
    groups: list[str] = [pieces[0]]
    for piece in pieces[1:]:
        longer = f"{groups[-1]} {piece}"
        ended = groups[-1][-1:] in ".?!…" and len(groups[-1]) > size / 2
        if ended or len(longer) > min(LINE * LINES, size * 1.3):
            groups.append(piece)
        else:
            groups[-1] = longer
    return groups


def _times(cue: Cue, texts: list[str], words: Sequence[Timed]) -> list[tuple[float, float]]:
    counts = [len(text.split(" ")) for text in texts]
    if len(words) == sum(counts):
        at, times = 0, []
        for count in counts:
            times.append((words[at].start, words[at + count - 1].end))
            at += count
        return times
    total, passed, edges = sum(map(len, texts)), 0, [cue.start]
    for text in texts:
        passed += len(text)
        edges.append(cue.start + (cue.end - cue.start) * passed / total)
    return list(pairwise(edges))


def _apart(found: list[Cue]) -> list[Cue]:
    """Give each cue the time to be read, as far as the next one leaves it."""
    spread = []
    for cue, after in zip_longest(found, found[1:]):
        end = max(cue.end, cue.start + SHORTEST)
        if after is not None:
            end = min(end, max(after.start, cue.start + 0.001))
        spread.append(Cue(cue.start, end, cue.text))
    return spread


def _lines(text: str) -> str:
    if len(text) <= LINE:
        return text
    even = max(len(text) // LINES + 6, 1)
    wrapped = textwrap.wrap(text, min(even, LINE), break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapped if len(wrapped) <= LINES else textwrap.wrap(text, LINE, break_long_words=False))


def _tame(text: str) -> str:
    return re.sub(r"--+>", "→", " ".join(text.split()))


def _clock(seconds: float, mark: str) -> str:
    thousandths = round(seconds * 1000)
    hours, rest = divmod(thousandths, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
