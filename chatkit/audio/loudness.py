"""Audio, how loud it is: whether anybody can be heard at all, and where it is quiet.

In: samples, block by block. Out: the loudness of each 20 ms in decibels, and the silences in it.
"""

from typing import Any

import numpy as np

from chatkit.audio.mono import RATE

STEP = 0.02
"""Seconds of one value of loudness."""
FLOOR = -80.0
"""Decibels below which nothing is told apart."""
SILENT = -72.0
"""The loudest sample, in decibels, of audio in which nobody speaks."""
SHORTEST = 0.3
"""Seconds of a silence in which a cut may lie."""
CONTRAST = 10.0
"""Decibels between quiet and loud below which there is no telling a silence."""


class Loudness:
    """The loudness of samples as they come, block by block."""

    def __init__(self, rate: int = RATE) -> None:
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


def silences(decibels: Any) -> list[tuple[float, float]]:
    """All silences, in seconds; none where quiet and loud are not told apart."""
    if len(decibels) == 0:
        return []
    quiet, loud = np.percentile(decibels, (5, 90))
    if loud - quiet < CONTRAST and loud > FLOOR + CONTRAST:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], decibels <= quiet + 0.3 * (loud - quiet), [0]])))
    return [(float(a * STEP), float(b * STEP)) for a, b in edges.reshape(-1, 2) if (b - a) * STEP >= SHORTEST]
