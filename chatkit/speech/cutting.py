"""Speech, in the child: where to cut, so that no word is cut.

In: the loudness of each 20 ms. Out: `Part`s. A cut lies in the middle of a silence; where there is none the
parts overlap, and joining.py finds the words that both have.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

STEP = 0.02
"""Seconds of one value of loudness."""
FLOOR = -80.0
"""Decibels below which nothing is told apart."""
SILENT = -72.0
"""The loudest sample, in decibels, of audio in which nobody speaks."""
SHORTEST = 0.3
"""Seconds of a silence in which a cut may lie."""
LONG_ENOUGH = 1.5
"""Seconds beyond which a silence is not better for being longer."""
CONTRAST = 10.0
"""Decibels between quiet and loud below which there is no telling a silence."""
OVERLAP = 4.0
"""Seconds that both parts have before and after a cut that is in no silence."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the audio in seconds: what is sent (`start`, `end`), and the cuts that it lies between."""

    start: float
    end: float
    after: float
    before: float


class Loudness:
    """The loudness of samples as they come, block by block."""

    def __init__(self, rate: int) -> None:
        self._step = int(rate * STEP)
        self._rest = np.zeros(0, dtype=np.int16)
        self._values: list[Any] = []
        self.peak = 0

    def take(self, block: Any) -> None:
        self.peak = max(self.peak, int(np.abs(block.astype(np.int32)).max(initial=0)))
        joined = np.concatenate([self._rest, block])
        whole = len(joined) // self._step * self._step
        squares = joined[:whole].reshape(-1, self._step).astype(np.float32) ** 2
        self._values.append(squares.mean(axis=1))
        self._rest = joined[whole:]

    def decibels(self) -> Any:
        power = np.concatenate(self._values) if self._values else np.zeros(0, np.float32)
        return np.maximum(10 * np.log10(power / 32768.0**2 + 1e-12), FLOOR)

    @property
    def silent(self) -> bool:
        return bool(20 * np.log10(max(self.peak, 1) / 32768.0) < SILENT)


def parts(decibels: Any, duration: float, longest: float, search: float) -> list[Part]:
    """Cut audio of that duration into parts of at most `longest` seconds, each cut within `search` of an even one."""
    overlap = min(OVERLAP, longest / 8)
    room = longest - 2 * overlap
    cuts: list[tuple[float, float]] = []
    start = 0.0
    while duration - start > room:
        even = start + (duration - start) / ceil((duration - start) / room)
        low, high = max(even - search, start + room / 4), min(even + search, start + room)
        at = _silence(decibels, low, high, even)
        cuts.append((even, overlap) if at is None else (at, 0.0))
        start = cuts[-1][0]
    edges = [(0.0, 0.0), *cuts, (duration, 0.0)]
    return [Part(max(0.0, a - before), min(duration, b + behind), a, b) for (a, before), (b, behind) in pairwise(edges)]


def silences(decibels: Any) -> list[tuple[float, float]]:
    """All silences, in seconds; none where quiet and loud are not told apart."""
    if len(decibels) == 0:
        return []
    quiet, loud = np.percentile(decibels, (5, 90))
    if loud - quiet < CONTRAST and loud > FLOOR + CONTRAST:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], decibels <= quiet + 0.3 * (loud - quiet), [0]])))
    return [(float(a * STEP), float(b * STEP)) for a, b in edges.reshape(-1, 2) if (b - a) * STEP >= SHORTEST]


def _silence(decibels: Any, low: float, high: float, even: float) -> float | None:
    """The middle of the best silence in that window: a long one, else one near the even cut; None without any."""
    first = int(low / STEP) * STEP
    found = [(first + a, first + b) for a, b in silences(decibels[int(low / STEP) : int(high / STEP)])]

    def worth(silence: tuple[float, float]) -> tuple[float, float]:
        return min(silence[1] - silence[0], LONG_ENOUGH), -abs((silence[0] + silence[1]) / 2 - even)

    if not found:
        return None
    best = max(found, key=worth)
    return (best[0] + best[1]) / 2
