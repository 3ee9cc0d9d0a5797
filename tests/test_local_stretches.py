"""The hearing stretch by stretch: no speech is lost at a pause, none lies over one, what gave no text is told."""

import types
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from sounds import RATE, samples

from chatkit.local import stretches, whisper
from chatkit.local.stretches import LanguageFollower, OtherLanguageError, Stretch, Transcriber

JOB = {"task": "transcribe", "language": None, "prompt": None, "temperature": 0, "words": False}
PAUSE = 3


def silence(seconds: float) -> np.ndarray:
    return (np.random.default_rng(3).normal(0, 32, round(seconds * RATE)) / 32768).astype(np.float32)


def spoken(clip: str) -> np.ndarray:
    return samples(clip).astype(np.float32) / 32768


def segment(start: float, end: float, text: str = " x", words: Any = None) -> Any:
    return types.SimpleNamespace(
        seek=0, start=start, end=end, text=text, tokens=[1], temperature=0.0, avg_logprob=-0.1, compression_ratio=1.0,
        no_speech_prob=0.1, words=words,
    )  # fmt: skip


class Scripted:
    """A model that says of each stretch what the test wants; `calls` are the seconds it heard, and how."""

    def __init__(self, *answers: list[Any], multilingual: bool = True, language: str = "en") -> None:
        self.answers, self.calls, self.language = list(answers), [], language
        self.model: Any = types.SimpleNamespace(is_multilingual=multilingual)

    def detect_language(self, speech: np.ndarray) -> tuple[str, float, list[Any]]:
        return self.language, 0.9, []

    def transcribe(self, speech: np.ndarray, **given: Any) -> tuple[Iterator[Any], None]:
        self.calls.append((len(speech) / RATE, given))
        return iter(self.answers.pop(0)), None


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Stretch]:
    """Somebody speaks from 1 to 5 and from 10 to 12 s, pads and all."""
    there = [Stretch(RATE, 5 * RATE), Stretch(10 * RATE, 12 * RATE)]
    monkeypatch.setattr(stretches, "stretches", lambda audio: there)
    return there


AUDIO = np.zeros(14 * RATE, np.float32)


def test_each_stretch_is_heard_by_itself_and_its_times_are_those_of_the_whole(found):
    model = Scripted([segment(0.0, 2.0, " One."), segment(2.0, 3.5, " Two.")], [segment(0.4, 1.5, " Three.")])
    lines = list(Transcriber(model, JOB).hear(AUDIO, 100.0))
    assert [(line["text"], line["start"], line["end"], line["seek"]) for line in lines] == [
        (" One.", 101.0, 103.0, 10100), (" Two.", 103.0, 104.5, 10100), (" Three.", 110.4, 111.5, 11000),
    ]  # fmt: skip
    assert [seconds for seconds, _ in model.calls] == [4.0, 2.0]


@pytest.mark.parametrize(("start", "end"), [(0.0, 30.0), (1.0, 2.1), (5.0, 30.0), (2.0, 2.0)])
def test_no_time_lies_after_the_end_of_a_stretch_nor_is_a_segment_without_length(found, start, end):
    words = [types.SimpleNamespace(word=" x", start=start, end=end)]
    model = Scripted([segment(0.0, 4.0)], [segment(start, end, words=words)])
    last = list(Transcriber(model, JOB).hear(AUDIO, 0.0))[-1]
    for timed in (last, last["words"][0]):
        assert 10.0 <= timed["start"] < timed["end"] <= 12.0


def test_speech_that_gave_no_text_is_told_and_a_cough_is_not(found, monkeypatch):
    transcriber = Transcriber(Scripted([segment(0.5, 3.5)], []), JOB)
    list(transcriber.hear(AUDIO, 60.0))
    assert transcriber.unheard == [(70.4, 71.6)]
    monkeypatch.setattr(stretches, "stretches", lambda audio: [Stretch(0, RATE)])
    cough = Transcriber(Scripted([]), JOB)
    assert (list(cough.hear(AUDIO, 0.0)), cough.unheard, cough.language) == ([], [], None)


def long(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(stretches, "stretches", lambda audio: [Stretch(0, 60 * RATE)])
    return np.zeros(60 * RATE, np.float32)


def test_a_hole_in_a_stretch_is_heard_again_by_itself_before_what_follows_it(monkeypatch):
    model = Scripted([segment(0.4, 29.0, " One."), segment(54.0, 59.0, " Three.")], [segment(1.0, 24.0, " Two.")])
    transcriber = Transcriber(model, JOB)
    lines = list(transcriber.hear(long(monkeypatch), 100.0))
    assert [(line["text"], line["start"], line["end"]) for line in lines] == [
        (" One.", 100.4, 129.0), (" Two.", 130.0, 153.0), (" Three.", 154.0, 159.0),
    ]  # fmt: skip
    assert [seconds for seconds, _ in model.calls] == [60.0, 25.0]
    assert transcriber.unheard == []


@pytest.mark.parametrize(
    ("spans", "again", "unheard"),
    [
        ([(0.4, 29.0), (54.5, 59.0)], [], [(29.0, 54.5)]),
        ([(0.4, 29.0)], [(0.0, 10.0)], [(39.0, 59.6)]),
        ([(20.0, 59.0)], [(15.0, 19.0)], [(0.4, 15.4)]),
        ([(0.4, 57.0)], None, []),
    ],
)
def test_a_hole_that_gives_no_text_again_is_told(monkeypatch, spans, again, unheard):
    answers = [[segment(*span) for span in spans]] + ([] if again is None else [[segment(*span) for span in again]])
    transcriber = Transcriber(Scripted(*answers), JOB)
    list(transcriber.hear(long(monkeypatch), 0.0))
    assert transcriber.unheard == unheard


class Engine:
    """Finds what the test wants."""

    is_multilingual = True

    def __init__(self, *found: list[tuple[str, float]]) -> None:
        self.found = list(found)

    def encode(self, features: Any, to_cpu: bool) -> Any:
        return features

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        return [self.found.pop(0)]


def test_the_language_changes_where_the_model_is_sure_of_it_and_has_heard_enough():
    unsure, torn = [("<|de|>", 0.45), ("<|en|>", 0.1)], [("<|de|>", 0.6), ("<|en|>", 0.4)]
    german, spanish, english = ([("<|en|>", 0.2), (f"<|{code}|>", 0.76)] for code in ("de", "es", "en"))
    follower = LanguageFollower(Engine(unsure, torn, german, spanish, english), "en")
    written = []
    for seconds in (20, 20, 20, 1, 30):
        features = np.zeros((1, 80, 3000), np.float32)
        features[:, :, : seconds * 100] = 0.5
        follower.encode(features, to_cpu=False)
        written.append(follower.detect_language(features)[0][0][0])
    assert written == ["<|en|>", "<|en|>", "<|de|>", "<|de|>", "<|en|>"]
    assert follower.is_multilingual


def test_the_first_language_is_the_likeliest_however_unsure_the_model_is():
    follower = LanguageFollower(Engine([("<|en|>", 0.2), ("<|de|>", 0.3)], [("<|en|>", 0.4), ("<|de|>", 0.3)]), None)
    for _ in range(2):
        assert follower.detect_language(None)[0][0] == ("<|de|>", 0.3)
    assert follower.language == "de"


def test_a_short_first_stretch_is_put_together_with_what_follows_to_find_its_language(found, monkeypatch):
    model = Scripted([], [], language="fr")
    list(Transcriber(model, JOB).hear(AUDIO, 0.0))
    assert [given["language"] for _, given in model.calls] == ["fr", "fr"]
    monkeypatch.setattr(model, "detect_language", None)
    for there in ([Stretch(0, 2 * RATE)], [Stretch(0, 10 * RATE), Stretch(12 * RATE, 13 * RATE)]):
        monkeypatch.setattr(stretches, "stretches", lambda audio, there=there: there)
        model.answers = [[] for _ in there]
        list(Transcriber(model, JOB).hear(AUDIO, 0.0))


def test_where_the_language_changes_in_mid_speech_the_rest_is_heard_anew_without_what_was_said_before():
    german = [("<|de|>", 0.9), ("<|en|>", 0.05)]
    follower = LanguageFollower(Engine(german, german), "en")
    follower.encode(np.ones((1, 80, 3000)), to_cpu=False)
    assert follower.detect_language(None)[0][0][0] == "<|de|>"
    follower.language, follower.said = "en", True
    with pytest.raises(OtherLanguageError):
        follower.detect_language(None)

    def changing() -> Iterator[Any]:
        yield segment(0.4, 29.0, " One.")
        raise OtherLanguageError

    model = Scripted([], [segment(0.2, 30.0, " Zwei.")])
    model.answers[0] = changing()
    found = [Stretch(0, 60 * RATE)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "stretches", lambda audio: found)
        lines = list(Transcriber(model, JOB).hear(np.zeros(60 * RATE, np.float32), 0.0))
    assert [(line["text"], line["start"], line["end"]) for line in lines] == [
        (" One.", 0.4, 29.0),
        (" Zwei.", 29.2, 59.0),
    ]
    assert [seconds for seconds, _ in model.calls] == [60.0, 31.0]


def test_a_language_that_was_asked_for_is_kept(found):
    model = Scripted([segment(0.0, 4.0)], [segment(0.0, 1.5)])
    transcriber = Transcriber(model, JOB | {"language": "es"})
    list(transcriber.hear(AUDIO, 0.0))
    assert [(given["language"], given["multilingual"]) for _, given in model.calls] == [("es", False)] * 2
    assert (transcriber.language, transcriber.languages) == ("es", ["es"])


def test_a_model_of_english_alone_hears_english(found):
    model = Scripted([segment(0.0, 4.0)], [], multilingual=False)
    list(Transcriber(model, JOB).hear(AUDIO, 0.0))
    assert {(given["language"], given["multilingual"]) for _, given in model.calls} == {("en", False)}


def test_the_engine_is_the_models_own_again_when_the_stretch_is_over_or_given_up(found):
    model = Scripted([segment(0.0, 2.0), segment(2.0, 4.0)], [])
    engine = model.model
    hearing = Transcriber(model, JOB).hear(AUDIO, 0.0)
    next(hearing)
    assert isinstance(model.model, LanguageFollower)
    hearing.close()
    assert model.model is engine


# the real model


@cache
def real() -> WhisperModel:
    folder = whisper.locate() or pytest.skip("the weights are not on this machine: run `chatkit models fetch`")
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture(scope="module")
def two() -> tuple[list[dict[str, Any]], Transcriber, float, float]:
    """An English and a Spanish voice with a pause between them: what was heard, and the pause's begin and end."""
    first, second = spoken("english"), spoken("spanish")
    transcriber = Transcriber(real(), JOB)
    audio = np.concatenate([first, silence(PAUSE), second])
    begin = len(first) / RATE
    return list(transcriber.hear(audio, 0.0)), transcriber, begin, begin + PAUSE


def test_two_voices_and_two_languages_with_a_pause_are_both_written_down(two):
    lines, transcriber, begin, end = two
    before = "".join(line["text"] for line in lines if line["end"] <= begin + 0.5).casefold()
    after = "".join(line["text"] for line in lines if line["start"] >= end - 0.5).casefold()
    assert "mountains" in before and "hospital" in after and "familia" in after
    assert set(transcriber.languages) == {"en", "es"}
    assert transcriber.unheard == []


def test_no_segment_lies_over_more_than_a_second_of_a_pause(two):
    lines, _, begin, end = two
    assert all(min(line["end"], end) - max(line["start"], begin) <= 1.0 for line in lines)


def test_noise_is_heard_by_nobody():
    noise = np.random.default_rng(1).normal(0, 0.1, RATE * 5).astype(np.float32)
    transcriber = Transcriber(real(), JOB)
    assert (list(transcriber.hear(noise, 0.0)), transcriber.unheard, transcriber.language) == ([], [], None)
    assert list(transcriber.hear(np.zeros(RATE, np.float32), 0.0)) == []
