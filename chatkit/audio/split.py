"""Audio, in the child: where to cut, so that no word is cut, and the files that come of it.

In: the loudness of each 20 ms, and samples. Out: `AudioPart`s, and a file of each. A cut lies in the middle of a silence;
where there is none the parts overlap, and who joins what was heard finds the words that both have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np

from chatkit.audio.samples import RATE, STEP, Loudness, silences

LONG_ENOUGH = 1.5
"""Seconds beyond which a silence is not better for being longer."""
OVERLAP = 4.0
"""Seconds that both parts have before and after a cut that is in no silence."""


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A piece of the audio in seconds: what is sent (`start`, `end`), and the cuts that it lies between."""

    start: float
    end: float
    after: float
    before: float


def parts(decibels: Any, duration: float, longest: float, search: float) -> list[AudioPart]:
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
    return [
        AudioPart(max(0.0, a - before), min(duration, b + behind), a, b) for (a, before), (b, behind) in pairwise(edges)
    ]


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


def write(blocks: Iterator[Any], cut: list[AudioPart], folder: Path) -> Iterator[tuple[int, bool]]:
    """Write each part as FLAC; yield its number, and whether nobody speaks in it."""
    at, to_come, growing = 0, dict(enumerate(cut)), {}
    for block in blocks:
        for number in [n for n, part in to_come.items() if part.start * RATE < at + len(block)]:
            growing[number] = (to_come.pop(number), SoundFile(folder / f"part-{number}.flac"), Loudness())
        for number, (part, file, loudness) in tuple(growing.items()):
            first, last = round(part.start * RATE) - at, round(part.end * RATE) - at
            piece = block[max(0, first) : max(0, last)]
            file.write(piece)
            loudness.take(piece)
            if last <= len(block):
                file.close()
                yield number, loudness.silent
                del growing[number]
        at += len(block)
    for number, (_, file, loudness) in growing.items():
        file.close()
        yield number, loudness.silent


class SoundFile:
    """A file of such samples that grows by blocks: FLAC, or MP3 of a bit rate."""

    def __init__(self, path: Path, form: str = "flac", bit_rate: int | None = None) -> None:
        self._container = av.open(str(path), "w", format=form)
        stream: Any = self._container.add_stream(form, rate=RATE, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        self._stream = stream
        self._at = 0

    def write(self, block: Any) -> None:
        if len(block) == 0:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
