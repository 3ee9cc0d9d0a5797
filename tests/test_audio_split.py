"""Where a file is cut: in silences, near even cuts, never longer than asked; and where there is none."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, samples, silence, tone

from chatkit.audio.samples import STEP, Loudness, silences
from chatkit.audio.split import AudioPart, parts


def decibels(*sounds):
    meter = Loudness(RATE)
    for sound in sounds:
        meter.take(sound)
    return meter.decibels()


def test_a_cut_lies_in_the_middle_of_a_silence():
    sound = [tone(20), silence(1), tone(20), silence(1), tone(20)]
    assert parts(decibels(*sound), 62.0, 30.0, 10.0) == [
        AudioPart(0.0, 20.5, 0.0, 20.5), AudioPart(20.5, 41.5, 20.5, 41.5), AudioPart(41.5, 62.0, 41.5, 62.0),
    ]  # fmt: skip


def test_a_long_silence_is_better_than_a_near_one():
    sound = [tone(14), silence(1.4), tone(4), silence(0.4), tone(20)]
    first, *_ = parts(decibels(*sound), 39.8, 32.0, 8.0)
    assert first.end == pytest.approx(14.7, abs=STEP)


def test_without_a_silence_parts_overlap_evenly():
    assert parts(decibels(tone(60)), 60.0, 40.0, 5.0) == [
        AudioPart(0.0, 34.0, 0.0, 30.0),
        AudioPart(26.0, 60.0, 30.0, 60.0),
    ]


def test_what_is_short_is_one_part():
    assert parts(decibels(tone(10)), 10.0, 30.0, 5.0) == [AudioPart(0.0, 10.0, 0.0, 10.0)]


def test_a_pause_between_sentences_is_a_silence_and_a_word_is_none():
    found = silences(decibels(samples("library"), silence(1)))
    assert [(round(a, 1), round(b, 1)) for a, b in found] == [(2.2, 2.6), (5.5, 5.9), (8.1, 9.4)]


def test_noise_has_no_silence_and_silence_is_one():
    assert silences(decibels(tone(5))) == []
    assert silences(decibels(silence(5))) == [(0.0, 5.0)]
    assert silences(decibels()) == []


def test_the_loudness_of_pieces_is_that_of_the_whole():
    whole = decibels(samples())
    pieces = decibels(*np.array_split(samples(), 37))
    assert np.array_equal(whole, pieces)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 40)), min_size=1, max_size=12), st.floats(8, 60))
def test_parts_cover_all_and_none_is_too_long(stretches, longest):
    levels = np.concatenate([np.full(int(s / STEP) + 1, -20.0 if loud else -80.0) for loud, s in stretches])
    duration = len(levels) * STEP
    cut = parts(levels, duration, longest, longest / 5)
    assert (cut[0].start, cut[-1].end) == (0.0, duration)
    assert all(part.end - part.start <= longest + 1e-6 for part in cut)
    assert all(a.before == b.after and a.end >= b.start for a, b in pairwise(cut))


def test_only_what_nobody_hears_is_silent():
    for peak, silent in ((0, True), (7, True), (9, False), (3000, False)):
        meter = Loudness(RATE)
        meter.take(np.full(RATE, peak, np.int16))
        assert meter.silent is silent
