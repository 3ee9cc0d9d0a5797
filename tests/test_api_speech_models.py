"""What each model can, and the names that are given instead."""

from datetime import date

import pytest
from openai.types import AudioModel

from chatkit.api import speech_models
from chatkit.api.speech_models import KNOWN, LOCAL_MODEL, check, find
from chatkit.exceptions import InputError
from chatkit.speech.request import SpeechRequest

BEFORE, AFTER = date(2027, 2, 25), date(2027, 2, 26)


def test_the_catalogue_has_each_model_that_the_sdk_names():
    named = set(AudioModel.__args__)
    assert {find(name).name for name in named} == {model.name for model in KNOWN}


def test_those_that_the_sdk_calls_deprecated_have_their_end():
    assert {model.name for model in KNOWN if model.ends is None} == {"gpt-transcribe"}
    assert {model.ends for model in KNOWN if model.ends} == {date(2027, 2, 26)}


@pytest.mark.parametrize(
    ("model", "task", "asked", "says", "can"),
    [
        ("gpt-transcribe", "translate", {}, "does not translate into English", "whisper-1, the local Whisper"),
        ("gpt-transcribe", "transcribe", {"words": True}, "gives no times of words", "whisper-1, the local Whisper"),
        ("whisper-1", "transcribe", {"keywords": ["x"]}, "takes no keywords", "gpt-transcribe."),
        ("whisper-1", "transcribe", {"languages": ["en"]}, "takes no list of languages", "gpt-transcribe."),
        ("gpt-4o-transcribe-diarize", "transcribe", {"prompt": "x"}, "takes no prompt",
         "whisper-1, gpt-transcribe, gpt-4o-mini-transcribe, gpt-4o-transcribe, the local Whisper"),
        ("gpt-transcribe", "transcribe", {"known_speaker_names": ["x"]}, "tell speakers apart", "gpt-4o-transcribe-diarize."),
        ("gpt-transcribe", "transcribe", {"include": ["logprobs"]}, "no log probabilities",
         "gpt-4o-mini-transcribe, gpt-4o-transcribe."),
    ],
)  # fmt: skip
def test_what_a_model_cannot_do_names_the_models_that_can(model, task, asked, says, can):
    with pytest.raises(InputError, match=f"{model} .*{says}.*What can: {can}"):
        check(find(model), task, BEFORE, asked)


def test_after_its_end_a_model_is_named_no_more():
    with pytest.raises(
        InputError, match=r"gpt-transcribe does not translate into English. What can: the local Whisper"
    ):
        check(find("gpt-transcribe"), "translate", AFTER, {})
    with pytest.raises(InputError, match="whisper-1 was shut down on 2027-02-26. What can: gpt-transcribe, the local"):
        check(find("whisper-1"), "transcribe", AFTER, {})
    check(find("whisper-1"), "transcribe", BEFORE, {"words": True})


def test_what_no_model_can_do_together_is_said():
    with pytest.raises(InputError, match="No model that is known can do all of this at once"):
        check(find("gpt-transcribe"), "translate", BEFORE, {"keywords": ["x"]})


def test_a_translation_takes_no_language():
    with pytest.raises(InputError, match="A translation takes no language"):
        check(LOCAL_MODEL, "translate", BEFORE, {"language": "es"})


def test_a_model_that_nobody_knows_is_let_through_and_so_is_any_name_at_the_local_server():
    check(find("whisper-large-v3-turbo"), "translate", AFTER, {"words": True})
    assert find("gpt-transcribe", "local") is LOCAL_MODEL


def test_the_default_is_what_can_do_the_task():
    assert speech_models.default("transcribe") == "gpt-transcribe"
    assert speech_models.default("translate") == "whisper-1"
    assert speech_models.default("translate", "local") == "whisper"


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        (SpeechRequest("transcribe", "a b"), "model is not the name of a model"),
        (
            SpeechRequest("transcribe", parameters={"temperature": 1.5}),
            "temperature is 1.5; it must be a number from 0 to 1",
        ),
        (SpeechRequest("transcribe", parameters={"temperature": float("nan")}), "temperature is nan"),
        (SpeechRequest("transcribe", parameters={"language": "the english"}), "language is 'the english'"),
        (SpeechRequest("transcribe", parameters={"prompt": 5}), "prompt is int; it must be text"),
        (SpeechRequest("transcribe", parameters={"keywords": "one"}), "keywords is 'one'; it must be a list of texts"),
        (SpeechRequest("transcribe", parameters={"stream": True}), "stream is set by chatkit; leave it out"),
    ],
)
def test_a_parameter_that_cannot_be_sent_is_named_with_its_rule(ask, fault):
    with pytest.raises(InputError, match=fault):
        ask.check()
