"""Frames become samples of one channel, of another kind in mid-file too, and no file leaves its memory behind."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from chatkit.audio.samples import DROPPED, RATE, Mono


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


def stereo(left: np.ndarray, right: np.ndarray, form: str) -> av.AudioFrame:
    """Two channels of samples from -1 to 1, of any form of samples."""
    scale, kind = {
        "u8": (127, np.uint8), "s16": (32_000, np.int16), "s32": (2**31 - 200, np.int32), "flt": (1, np.float32),
        "dbl": (1, np.float64),
    }[form.removesuffix("p")]  # fmt: skip
    both = np.stack([left, right]) * scale + (128 if kind == np.uint8 else 0)
    array = both.astype(kind) if form.endswith("p") else both.astype(kind).T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), form, "stereo")
    made.sample_rate = RATE
    return made


def mixed(*frames: av.AudioFrame) -> tuple[Mono, np.ndarray]:
    mono = Mono()
    out = [part for frame in frames for part in mono.heard(frame)] + mono.rest()
    return mono, np.concatenate([part.to_ndarray().reshape(-1) for part in out]) / 32_768


WAVE = 0.5 * np.sin(np.arange(RATE) / 7)
NOISE = np.random.default_rng(3).uniform(-0.5, 0.5, (2, RATE))


@pytest.mark.parametrize("form", ["u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp", "dbl", "dblp"])
def test_channels_that_cancel_each_other_are_heard_by_the_loudest_of_them(form):
    mono, heard = mixed(stereo(WAVE, -WAVE, form))
    assert mono.cancelled == RATE
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)
    mono, heard = mixed(stereo(-0.9 * WAVE, WAVE, form))
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("left", "right"),
    [(WAVE, WAVE), (WAVE, 0 * WAVE), (0 * WAVE, WAVE), (NOISE[0], NOISE[1]), (0 * WAVE, 0 * WAVE), (WAVE, -0.5 * WAVE)],
)
def test_channels_that_do_not_are_mixed_as_ever(left, right):
    mono, heard = mixed(stereo(left, right, "fltp"))
    assert mono.cancelled == 0
    assert heard == pytest.approx((left + right) / 2, abs=0.001)


def test_a_cable_that_is_inverted_in_the_middle_breaks_no_sound_off():
    mono, heard = mixed(stereo(WAVE, WAVE, "s16"), stereo(WAVE, -WAVE, "s16"), stereo(WAVE, WAVE, "s16"))
    assert (mono.cancelled, len(heard)) == (RATE, 3 * RATE)
    assert heard == pytest.approx(np.tile(WAVE, 3) * 32_000 / 32_768, abs=0.001)


def test_six_channels_of_which_two_cancel_and_none_else_sounds_are_heard():
    array = np.zeros((6, RATE), np.float32)
    array[0], array[1] = WAVE, -WAVE
    frame = av.AudioFrame.from_ndarray(array, "fltp", "5.1")
    frame.sample_rate = RATE
    assert np.abs(mixed(frame)[1]).max() > 0.2
