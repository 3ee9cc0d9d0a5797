"""Audio, frames of any kind made samples of one channel at one rate.

In: decoded frames, of another kind in mid-file too. Out: frames of int16.
"""

import gc
from fractions import Fraction
from typing import Any

import av

RATE = 16_000
"""Samples a second that speech is heard at."""
DROPPED = 8
"""Resamplers after which memory is tidied: one of PyAV 19's holds 16 MB in a circle that only a collection frees."""


class Mono:
    """One stream's way to one channel at RATE; the times in a file may jump: what was decoded follows on itself."""

    _dropped = 0

    def __init__(self) -> None:
        self._resampler: av.AudioResampler | None = None
        self._kind: object = None

    def heard(self, frame: Any) -> list[av.AudioFrame]:
        """What one frame gives."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        before = [] if kind == self._kind else self.rest()
        if self._resampler is None:
            self._resampler, self._kind = av.AudioResampler(format="s16", layout="mono", rate=RATE), kind
        frame.pts, frame.time_base = None, Fraction(1, frame.sample_rate)
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
