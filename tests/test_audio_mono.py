"""Frames become samples of one channel, of another kind in mid-file too, and no file leaves its memory behind."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from chatkit.audio.mono import DROPPED, RATE, Mono


def frame(rate: int, layout: str, seconds: float = 0.5) -> av.AudioFrame:
    channels = {"mono": 1, "stereo": 2}[layout]
    made = av.AudioFrame.from_ndarray(np.full((1, int(rate * seconds) * channels), 1000, np.int16), "s16", layout)
    made.sample_rate = rate
    return made


def length(frames: list[av.AudioFrame]) -> int:
    return sum(each.samples for each in frames)


def test_another_kind_in_mid_file_loses_nothing():
    mono = Mono()
    kinds = [(16_000, "mono"), (44_100, "stereo"), (44_100, "stereo"), (8_000, "mono")]
    heard = [mono.heard(frame(*kind)) for kind in kinds]
    heard.append(mono.rest())
    assert sum(map(length, heard)) == pytest.approx(len(kinds) * RATE / 2, abs=20)
    assert {each.layout.name for frames in heard for each in frames} == {"mono"}
    assert mono.rest() == []


def test_a_hundred_changes_take_no_more_memory_than_a_few():
    if sys.platform != "linux":
        pytest.skip("this memory is counted on Linux only")

    def data() -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))

    mono = Mono()
    before, most = data(), 0
    for number in range(100):
        mono.heard(frame(8000 + 100 * number, "mono", 0.01))
        most = max(most, data() - before)
    assert most < (DROPPED + 4) * 20 * 2**20
