"""Audio, samples of one channel at one rate, whatever the frames were; and how loud they are.

In: decoded frames, of another kind in mid-file too. Out: frames of int16.
"""

import gc
from fractions import Fraction
from typing import Any

import av
import numpy as np

RATE = 16_000
"""Samples a second that speech is heard at."""
FAINT = 0.01
"""Part of the loudest channel's power below which the mix of all is not what was heard: channels cancel each other."""
SEEN = 4
"""Of so many samples one is looked at for that."""
DROPPED = 8
"""Resamplers after which memory is tidied: one of PyAV 19's holds 16 MB in a circle that only a collection frees."""


class Mono:
    """One stream's way to one channel at RATE; the times in a file may jump: what was decoded follows on itself."""

    _dropped = 0

    def __init__(self) -> None:
        self.cancelled = 0
        self._resampler: av.AudioResampler | None = None
        self._kind: object = None

    def heard(self, frame: Any) -> list[av.AudioFrame]:
        """What one frame gives."""
        rate = frame.sample_rate
        if frame.layout.nb_channels > 1 and (loudest := _loudest_if_they_cancel(frame)) is not None:
            self.cancelled += frame.samples * RATE // rate
            frame = loudest
        kind = (frame.format.name, frame.layout.name, rate)
        before = [] if kind == self._kind else self.rest()
        if self._resampler is None:
            self._resampler, self._kind = av.AudioResampler(format="s16", layout="mono", rate=RATE), kind
        frame.pts, frame.time_base = None, Fraction(1, rate)
        return before + self._resampler.resample(frame)

    def rest(self) -> list[av.AudioFrame]:
        """What is still inside at the end."""
        if self._resampler is None:
            return []
        resampler, self._resampler, self._kind = self._resampler, None, None
        last = resampler.resample(None)
        del resampler
        Mono._dropped = (Mono._dropped + 1) % DROPPED
        if not Mono._dropped:
            gc.collect()
        return last


def _loudest_if_they_cancel(frame: Any) -> Any:
    """The frame with its loudest channel in all of them, where their mix is next to nothing beside it; else None.

    One inverted cable of a microphone is enough: what is said stands in both channels, and not in their sum.
    """
    array = frame.to_ndarray()
    channels = array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T
    seen = channels[:, ::SEEN].astype(np.float32) - (128 if channels.dtype == np.uint8 else 0)
    powers = np.square(seen).mean(axis=1)
    loudest = int(powers.argmax())
    if not np.square(seen.mean(axis=0)).mean() < FAINT * powers[loudest]:
        return None
    same = np.repeat(channels[loudest : loudest + 1], len(channels), axis=0)
    same = same if frame.format.is_planar else same.T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(same), format=frame.format.name, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


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
