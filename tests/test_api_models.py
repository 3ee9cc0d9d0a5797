"""What is known of models: in step with the SDK, and why a parameter cannot be set."""

import re
from datetime import date
from inspect import signature
from pathlib import Path

import openai
import pytest
from openai.resources.responses import Responses
from openai.types.shared import chat_model

from chatkit.api.model_table import SPEECH, TABLE
from chatkit.api.models import HOSTED_DEFAULT, find
from chatkit.api.parameters import EFFORTS, NOT_IN_RESPONSES
from chatkit.ledger import estimate
from chatkit.local.ask import IGNORED
from chatkit.local.chat import KNOWN
from chatkit.local.responses import KNOWN as KNOWN_BY_RESPONSES

PANEL = ("temperature", "top_p", "max_completion_tokens", "stop", "seed", "n", "presence_penalty", "frequency_penalty",
         "reasoning_effort", "response_format", "api")  # fmt: skip


def announced() -> dict[str, date]:
    """The days of shut-down in the comment of the SDK's list of models."""
    text = " ".join(Path(chat_model.__file__).read_text(encoding="utf-8").split())
    found = re.findall(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: (\S+)\.', text)
    return {name: date.fromisoformat(day) for names, day in found for name in re.findall(r'"([^"]+)"', names)}


def test_the_days_of_shut_down_are_those_of_the_sdk():
    days = announced()
    assert len(days) > 60
    assert {name: find(name).ends for name in days} == days, f"openai {openai.__version__} says something else"


def test_efforts_are_words_that_the_api_knows():
    assert {effort for row in TABLE for effort in (row.efforts or "").split()} == set(EFFORTS)


@pytest.mark.parametrize(
    ("name", "parameter", "parameters", "api", "reason"),
    [
        ("gpt-6-luna", "temperature", {}, "chat", "gpt-6-luna reasons by default and rejects temperature; set reasoning effort to none."),
        ("gpt-6-luna", "top_p", {"reasoning_effort": "low"}, "chat", "gpt-6-luna reasons and rejects top_p; set reasoning effort to none."),
        ("gpt-6-luna", "temperature", {"reasoning_effort": "none"}, "chat", None),
        ("gpt-6-luna", "temperature", {"reasoning": {"effort": "none"}}, "responses", None),
        ("gpt-6-luna", "presence_penalty", {}, "chat", None),
        ("gpt-6-luna", "reasoning_effort", {}, "chat", None),
        ("gpt-6-luna", "max_tokens", {}, "chat", "gpt-6-luna takes max_completion_tokens instead of max_tokens."),
        ("gpt-6.1-sol", "temperature", {}, "chat", "gpt-6.1-sol always reasons and rejects temperature."),
        ("o3-mini", "stop", {}, "chat", "o3-mini always reasons and rejects stop."),
        ("gpt-5-mini", "frequency_penalty", {}, "chat", "gpt-5-mini always reasons and rejects frequency_penalty."),
        ("gpt-5.1", "temperature", {}, "chat", None),
        ("gpt-5.1", "temperature", {"reasoning_effort": "low"}, "chat", "gpt-5.1 reasons and rejects temperature; set reasoning effort to none."),
        ("gpt-4.1-mini", "reasoning_effort", {}, "chat", "gpt-4.1-mini does not reason and rejects reasoning effort."),
        ("gpt-4.1-mini", "temperature", {"reasoning_effort": "low"}, "chat", None),
        ("gpt-4.1-mini", "max_tokens", {}, "chat", None),
        ("gpt-4.1-mini", "seed", {}, "responses", "The Responses API has no seed."),
        ("gpt-4.1-mini", "n", {}, "responses", "The Responses API has no n."),
        ("gpt-5-pro", "api", {}, "chat", "gpt-5-pro speaks the Responses API only."),
        ("gpt-audio-mini", "api", {}, "chat", "gpt-audio-mini speaks the Chat Completions API only."),
        ("my-own", "seed", {}, "responses", "The Responses API has no seed."),
    ],
)  # fmt: skip
def test_a_control_that_cannot_be_set_has_a_reason(name, parameter, parameters, api, reason):
    assert find(name).verdict(parameter, parameters, api) == reason


def test_an_unknown_model_has_every_control_of_chat_completions():
    assert [find("my-own").verdict(name, {"reasoning_effort": "low"}) for name in PANEL] == [None] * len(PANEL)


def test_the_local_server_has_every_control_but_reasoning():
    verdicts = {name: find(HOSTED_DEFAULT, "local").verdict(name) for name in PANEL}
    assert {name for name, reason in verdicts.items() if reason} == {"reasoning_effort"}
    assert verdicts["reasoning_effort"] == "The local model does not reason: this changes nothing."
    takes = KNOWN | IGNORED
    assert set(PANEL) - {"api"} <= takes and "reasoning_effort" in IGNORED


def test_what_responses_does_not_have_the_local_server_does_not_take_either():
    assert not set(NOT_IN_RESPONSES) & (KNOWN_BY_RESPONSES | IGNORED)
    sdk = set(signature(Responses.create).parameters)
    assert not set(NOT_IN_RESPONSES) & sdk and "temperature" in sdk


@pytest.mark.parametrize(
    ("name", "parameters", "refusals"),
    [
        ("gpt-4.1", {"reasoning_effort": "low"}, ["reasoning_effort is refused by gpt-4.1, which does not reason; leave it out."]),
        ("gpt-5.1", {"reasoning_effort": "max"}, ["reasoning_effort 'max' is refused by gpt-5.1; it may be none, low, medium, high."]),
        ("gpt-6-luna", {"max_tokens": 5}, ["max_tokens is refused by gpt-6-luna; give max_completion_tokens instead."]),
        ("o3", {"stop": "x", "presence_penalty": 0}, ["stop is refused by o3 while it reasons; leave it out."]),
        ("gpt-5-mini", {"temperature": 0}, ["temperature is refused by gpt-5-mini while it reasons; leave it out."]),
        ("gpt-5-pro", {}, ["gpt-5-pro speaks the Responses API only."]),
        ("my-own", {"temperature": 0, "reasoning_effort": "low", "max_tokens": 1}, []),
    ],
)  # fmt: skip
def test_a_request_that_would_be_refused_is_told_before(name, parameters, refusals):
    assert find(name).refusals(parameters, "chat") == refusals


def test_a_model_of_the_responses_api_is_not_refused_there():
    assert find("gpt-5-pro").refusals({"max_tokens": 5}, "responses") == []


def test_what_hangs_on_the_api_is_no_refusal_while_the_api_is_open():
    assert find("gpt-5-pro").refusals({"max_tokens": 5}) == []


def test_a_family_ends_at_a_hyphen():
    assert find("gpt-5-mini-2025-08-07").efforts == find("gpt-5").efforts == ("minimal", "low", "medium", "high")
    assert find("gpt-5.1-codex-max").only_api == "responses"
    assert (find("gpt-50").efforts, find("gpt-50").longest_answer) == (None, None)


def test_a_model_beside_a_family_takes_nothing_over_from_it():
    for name in ("gpt-5-chat-latest", "gpt-5.4-chat-latest", "gpt-5-search-api"):
        assert (find(name).efforts, find(name).steers) == (None, True)


def test_each_row_stands_once_and_each_model_of_the_sdk_is_of_a_family():
    names = [row.name for row in (*TABLE, *SPEECH)]
    assert len(names) == len(set(names))
    unknown = [name for name in chat_model.ChatModel.__args__ if not any(name.startswith(own) for own in names)]
    assert unknown == []


def test_windows_are_the_price_tables_and_longest_answers_are_the_models():
    assert (estimate.context_window(HOSTED_DEFAULT), find(HOSTED_DEFAULT).longest_answer) == (1_050_000, 128_000)
    assert (estimate.context_window("my-own"), find("my-own").longest_answer) == (None, None)
    assert find(HOSTED_DEFAULT, "own").longest_answer is None
