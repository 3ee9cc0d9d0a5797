"""Both verbs on the real local Whisper: word error rate, joins, times, silence."""

from functools import cache

import numpy as np
import pytest
import wer
from sounds import RATE, encode, encoded, samples, silence, text_of

import chatkit
from chatkit.local import whisper
from chatkit.speech import job
from chatkit.speech.transcript import Transcript
from chatkit.speech.work import Limits

CLIPS = ("english", "library")
TIMES = 5
PAUSE = 1.2


@pytest.fixture(autouse=True)
def _weights():
    if whisper.locate() is None:
        pytest.skip("the weights are not on this machine: run `chatkit models fetch`")


@cache
def alone(clip: str) -> Transcript:
    return chatkit.transcribe(encoded("flac", clip), words=True)


@cache
def lecture() -> Transcript:
    """Ten clips in a row, heard in parts of at most half a minute."""
    order = [clip for _ in range(TIMES) for clip in CLIPS]
    sound = encode(np.concatenate([part for clip in order for part in (samples(clip), silence(PAUSE))]), "flac")
    return job.start("transcribe", sound, words=True, limits=Limits(whole=32.0, piece=32.0, search=6.0)).wait()


def test_the_word_error_rate_counts_what_must_be_changed():
    assert wer.rate("The cat sat.", "the cat sat") == 0
    assert wer.rate("the big cat sit", "the cat sat down") == 3 / 4


@pytest.mark.parametrize("clip", CLIPS)
def test_under_a_tenth_of_the_words_of_an_english_clip_are_wrong(clip):
    said = alone(clip)
    assert wer.rate(said.text, text_of(clip)) < 0.1
    assert (said.language, said.model, said.cost) == ("english", "whisper-base", 0)
    assert said.usage.audio_seconds == pytest.approx(len(samples(clip)) / RATE, abs=0.01)


def test_spanish_is_written_down_and_put_into_english():
    said = chatkit.transcribe(encoded("mp3", "spanish"), language="es")
    assert wer.rate(said.text, text_of("spanish")) < 0.1
    english = chatkit.translate(encoded("mp3", "spanish"))
    assert (english.language, english.task) == ("english", "translate")
    assert "good morning" in english.text.casefold()


def test_words_lie_within_their_segments_and_subtitles_follow_them():
    said = alone("library")
    assert wer.words(" ".join(word.text for word in said.words)) == wer.words(said.text)
    assert all(a.start <= b.start for a, b in zip(said.words, said.words[1:], strict=False))
    assert said.words[-1].end <= said.duration
    assert said.to_srt().count(" --> ") == said.to_vtt().count(" --> ") >= 2


def test_at_the_joins_of_a_long_file_no_more_words_are_wrong_than_elsewhere():
    said = lecture()
    reference = " ".join(text_of(clip) for _ in range(TIMES) for clip in CLIPS)
    single = max(wer.rate(alone(clip).text, text_of(clip)) for clip in CLIPS)
    assert len(said.records) > 3
    assert wer.rate(said.text, reference) <= max(single, 0.02)
    assert said.missing == ()


def test_the_times_of_a_long_file_are_those_of_its_clips():
    """Each clip's first and last word lie where they lie in the clip alone, within 0.2 s."""
    said, at, found = lecture(), 0.0, list(lecture().words)
    for _ in range(TIMES):
        for clip in CLIPS:
            end = at + len(samples(clip)) / RATE
            inside = [word for word in found if at - 0.3 <= word.start < end + 0.3]
            expected = alone(clip).words
            assert inside[0].start - at == pytest.approx(expected[0].start, abs=0.2)
            assert inside[-1].end - at == pytest.approx(expected[-1].end, abs=0.2)
            at = end + PAUSE
    assert said.duration == pytest.approx(at)


def test_noise_is_no_speech():
    noise = (np.random.default_rng(7).normal(0, 300, RATE * 4)).astype(np.int16)
    said = chatkit.transcribe(noise, rate=RATE)
    assert (said.text, repr(said)) == ("", "Transcript(no speech found, 0:04)")
