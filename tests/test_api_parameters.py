"""Parameters checked before anything is sent; models that ended or refuse some."""

import math
import subprocess
import sys
from datetime import date

import pytest

from chatkit.api.models import HOSTED_DEFAULT, find
from chatkit.api.parameters import check
from chatkit.exceptions import InputError


def test_good_parameters_pass():
    check("gpt-6-luna", {"temperature": 0.7, "top_p": 1, "n": 2, "seed": -1, "stop": ["a", "b"], "max_tokens": 5})
    check("org/model:7b", {"temperature": None, "stop": "x", "some_endpoints_own": object()})


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ({"temperature": math.nan}, "temperature is nan; it must be a number from 0 to 2."),
        ({"temperature": "hot"}, "temperature is 'hot'; it must be a number from 0 to 2."),
        ({"temperature": -1}, "temperature is -1; it must be a number from 0 to 2."),
        ({"temperature": True}, "temperature is True; it must be a number from 0 to 2."),
        ({"top_p": 1.01}, "top_p is 1.01; it must be a number from 0 to 1."),
        ({"n": 10**9}, "n is 1000000000; it must be a whole number from 1 to 128."),
        ({"n": 1.5}, "n is 1.5; it must be a whole number from 1 to 128."),
        ({"max_tokens": -5}, "max_tokens is -5; it must be a whole number of at least 1."),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "two names for one limit"),
        ({"presence_penalty": 3}, "presence_penalty is 3; it must be a number from -2 to 2."),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number."),
        ({"stop": []}, "stop must be text, or a list of at most 4 texts."),
        ({"stop": ["a"] * 5}, "stop must be text, or a list of at most 4 texts."),
        ({"reasoning_effort": "huge"}, "reasoning_effort is 'huge'; it must be one of none, minimal"),
        ({"messages": []}, "messages is set by chatkit itself; leave it out."),
    ],
)
def test_a_bad_parameter_is_refused_with_its_rule(parameters, rule):
    with pytest.raises(InputError) as caught:
        check("m", parameters)
    assert rule in str(caught.value)


def test_all_faults_are_in_one_message():
    with pytest.raises(InputError) as caught:
        check("a\nb", {"temperature": "hot", "n": 0, "max_tokens": 0})
    assert [word in str(caught.value) for word in ("model", "temperature", "n is 0", "max_tokens")] == [True] * 4


@pytest.mark.parametrize("model", ["", "  ", " a", "a  b", "a\nb", "../../etc/passwd", None, 7])
def test_a_name_that_no_model_has_is_refused(model):
    with pytest.raises(InputError, match="model is"):
        check(model, {})


def test_a_model_may_be_a_file_whose_name_has_spaces():
    check("my model.gguf", {})


def test_an_answer_may_be_asked_for_whole_and_nothing_else_is_said_of_streams():
    check("m", {"stream": False})
    for stream in (True, 0):
        with pytest.raises(InputError, match="stream is set by chatkit itself"):
            check("m", {"stream": stream})


def test_a_model_is_gone_from_the_day_it_was_shut_down():
    model = find("gpt-3.5-turbo")
    assert model.gone(date(2026, 10, 22)) is None
    assert model.gone(date(2026, 10, 23)) == "gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it."
    assert (
        find("whisper-1").gone(date(2027, 2, 26)) == "whisper-1 was shut down on 2027-02-26; gpt-transcribe follows it."
    )


def test_a_dated_name_is_its_familys_unless_it_has_a_date_of_its_own():
    assert find("gpt-4o-2024-08-06").ends == date(2027, 1, 14)
    assert find("gpt-4o-2024-05-13").ends == date(2026, 10, 23)
    assert find("gpt-4o-something").ends is None


def test_a_reasoning_model_refuses_sampling_unless_its_effort_is_none():
    model = find(HOSTED_DEFAULT)
    assert [r.split()[0] for r in model.refusals({"temperature": 0.2, "top_p": 0.5})] == ["temperature", "top_p"]
    assert model.refusals({"temperature": 0.2, "reasoning_effort": "none"}) == []
    assert model.refusals({"temperature": 1}) == []


def test_a_model_that_does_not_reason_by_default_refuses_sampling_only_when_told_to_reason():
    assert find("gpt-5.1").refusals({"temperature": 0.2}) == []
    assert len(find("gpt-5.1").refusals({"temperature": 0.2, "reasoning": {"effort": "low"}})) == 1


def test_an_unknown_model_is_never_refused():
    model = find("some/local-model")
    assert (model.ends, model.longest_answer, model.refusals({"temperature": 0.2})) == (None, None, [])


def test_a_number_that_is_added_to_the_table_is_checked_drawn_taken_from_files_and_sent_to_the_engine():
    """In a process of its own, in which the table has one row more when everybody reads it."""
    ran = subprocess.run([sys.executable, "-c", WITH_ONE_MORE], capture_output=True, text=True, check=False)
    assert (ran.stderr, ran.stdout.splitlines()) == (
        "",
        [
            "min_p is 3; it must be a number from 0 to 1",
            "['min_p', 'Min p', 'number', '0.2']",
            "{'min_p': 0.2} {}",
            "0.2",
        ],
    )


WITH_ONE_MORE = """
from pathlib import Path
from chatkit.api import parameters
text = Path(parameters.__file__).read_text(encoding="utf-8")
row = 'Parameter("min_p", "number", 0, 1, "chat", None, label="Min p", plain=True),'
exec(compile(text.replace('Parameter("seed",', row + ' Parameter("seed",', 1), "parameters", "exec"), vars(parameters))
from chatkit import Chat
from chatkit.chats import offered
from chatkit.client.model_list import Models
from chatkit.local import chat as local
from chatkit.chats.settings import Settings
from chatkit.ui.settings_form import controls
chat = Chat(history=False, min_p=0.2)
print("min_p", parameters.find("min_p").fault(3))
print([[c["name"], c["label"], c["kind"], c["value"]] for c in controls(chat, Models(()), None) if c["name"] == "min_p"][0])
plain, aside = offered.parted(Settings(parameters={"min_p": 0.2}))
print(plain.parameters, aside)
print(local.read({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "min_p": 0.2}).bodies[0]["min_p"])
"""
