"""OpenAI's rules hold where OpenAI answers, and nowhere else: what settings offer, what is checked, what is sent."""

from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace

import numpy as np
import openai
import pytest
from faultserver import DONE, FaultServer, reply, say, stop, stream
from hosted import answering

import chatkit
from chatkit.api.hosts import rules_at
from chatkit.api.model_table import SPEECH, TABLE
from chatkit.api.models import find
from chatkit.api.parameters import CONTROLS, EFFORTS, LIMITS, LOCAL_DEFAULTS, LOCAL_LONGEST
from chatkit.chats import settings
from chatkit.client.address import Endpoint
from chatkit.client.model_list import Models
from chatkit.exceptions import InputError
from chatkit.ledger.estimate import estimate_body
from chatkit.local import chat as local_chat
from chatkit.local import completions as local_completions
from chatkit.local import responses as local_responses
from chatkit.speech import request
from chatkit.ui import settings_form as ui_controls
from chatkit.ui.audio_captions import foresee
from chatkit.ui.settings_form import controls, set_control
from chatkit.ui.view_model import outlook

AT_OPENAI = ("https://api.openai.com/v1", "https://API.OpenAI.com:443/v1/", "https://eu.api.openai.com/v1",
             "https://us.api.openai.com/v1", "https://api.openai.com./v1")  # fmt: skip
ELSEWHERE = ("http://127.0.0.1:8080/v1", "https://api.openai.com.example.org/v1", "https://myapi.openai.com/v1",
             "https://gateway.example/api.openai.com/v1", "https://me.openai.azure.com/openai/v1",
             "https://openrouter.ai/api/v1", "", "http://[::1", "api.openai.com/v1")  # fmt: skip
MODELS = (*(row.name for row in TABLE), "gpt-5-mini-2025-08-07", "my-own", "gpt-6-luna-2026-10-01")
OTHER_THAN_NOTHING = {"temperature": 0.3, "top_p": 0.4, "max_completion_tokens": 9, "stop": "x", "seed": 7, "n": 2,
                      "presence_penalty": 1, "frequency_penalty": 1, "reasoning_effort": "low"}  # fmt: skip


def at(url, model="gpt-6-luna", *, key="sk-none", local=False, **asked):
    """A chat whose calls go there; nothing is sent."""
    chat = chatkit.Chat(model=model, history=False, **asked)
    chat.endpoint = Endpoint(url, key, "the-default", "test", local=local)
    return chat


def local(**asked):
    return at("http://127.0.0.1:9/v1", None, key="chatkit-local-x", **asked)


def control(chat, name):
    return next(c for c in controls(chat, Models(()), None) if c["name"] == name)


def offered(chat, name="reasoning_effort"):
    return [value for value, _ in control(chat, name)["options"] if value]


def refusals(chat):
    """What the request's check says; a model that is gone is not asked about its parameters."""
    return chat._settings().refusals(chat.endpoint)


@pytest.fixture
def in_2023(monkeypatch):
    """A day on which no model of the table has ended."""
    day = SimpleNamespace(now=lambda zone: datetime(2023, 3, 1, tzinfo=zone))
    monkeypatch.setattr(settings, "datetime", day)


@pytest.fixture
def in_2028(monkeypatch):
    """A day on which whatever has an end has ended."""
    day = SimpleNamespace(now=lambda zone: datetime(2028, 3, 1, tzinfo=zone))
    monkeypatch.setattr(settings, "datetime", day)
    monkeypatch.setattr(request, "datetime", day)


def test_openais_hosts_are_known_and_no_other_is_taken_for_one():
    assert {url: rules_at(url) for url in AT_OPENAI} == dict.fromkeys(AT_OPENAI, "openai")
    assert {url: rules_at(url) for url in ELSEWHERE} == dict.fromkeys(ELSEWHERE, "own")
    assert rules_at(ELSEWHERE[0], "chatkit-local-abc") == rules_at(ELSEWHERE[0], local=True) == "local"


# --- one table: settings offer what the check accepts


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_settings_offer_exactly_what_the_requests_check_accepts_of_every_model(in_2023, api):
    for model, url in product(MODELS, AT_OPENAI[:1] + ELSEWHERE[:1]):
        known = find(model, rules_at(url))
        for name in (parameter.name for parameter in CONTROLS):
            chat = at(url, model, api=known.only_api or api, **{name: OTHER_THAN_NOTHING[name]})
            refused = bool(chat.preview("Hi").problems)
            taken = name != "reasoning_effort" or "low" in known.offered_efforts
            assert ("reason" in control(chat, name) or not taken) == refused, (model, url, name)


def test_settings_offer_exactly_the_efforts_that_the_check_accepts_of_every_model(in_2023):
    for model in MODELS:
        chat = at(AT_OPENAI[0], model, api=find(model).only_api or "chat")
        accepted = [
            effort for effort in EFFORTS if not refusals(at(AT_OPENAI[0], model, api=chat.api, reasoning_effort=effort))
        ]
        assert offered(chat) == accepted == list(find(model).offered_efforts), model


def test_settings_offer_the_apis_that_the_model_speaks(in_2023):
    for model in MODELS:
        only = find(model).only_api
        assert offered(at(AT_OPENAI[0], model, api=only or "chat"), "api") == (
            [only] if only else ["chat", "responses"]
        )
        assert offered(at(ELSEWHERE[0], model), "api") == ["chat", "responses"]


@pytest.mark.parametrize("url", ELSEWHERE[:4])
def test_elsewhere_everything_is_offered_and_nothing_is_refused_whatever_the_name(url, in_2028):
    for model in (*MODELS, *(row.name for row in SPEECH)):
        chat = at(url, model, **OTHER_THAN_NOTHING, logprobs=True)
        assert (chat.rejected, refusals(chat)) == ({}, []), model
        assert offered(chat) == list(EFFORTS)
        assert [c for c in controls(chat, Models(()), None) if "reason" in c] == []


@pytest.mark.parametrize("effort", ["default", "minimal", "ultra", "max"])
def test_elsewhere_an_effort_is_whatever_that_server_calls_it(effort):
    chat = at(ELSEWHERE[0], "qwen3", reasoning_effort=effort)
    assert (chat.preview("Hi").problems, refusals(chat)) == ((), [])
    set_control(chat, "reasoning_effort", "thorough")
    assert chat.parameters == {"reasoning_effort": "thorough"}
    hosted = at(AT_OPENAI[0], "my-own", reasoning_effort="ultra")
    assert refusals(hosted) == [f"reasoning_effort is 'ultra'; it must be one of {', '.join(EFFORTS)}."]


def test_an_effort_that_is_no_text_is_refused_by_all():
    with pytest.raises(InputError, match="reasoning_effort is 3; it must be text"):
        at(ELSEWHERE[0], reasoning_effort=3).stream("Hi")


@pytest.mark.parametrize("effort", ["max", "minimal", "ultra"])
def test_an_effort_that_code_has_set_is_shown_whether_or_not_the_model_takes_it(effort):
    for asked in ({"reasoning_effort": effort}, {"reasoning": {"effort": effort, "summary": "auto"}}):
        for model in ("gpt-6-luna", "gpt-4o"):
            found = control(at(AT_OPENAI[0], model, **asked), "reasoning_effort")
            assert found["value"] == effort
            assert effort in dict(found["options"])


def test_an_effort_set_under_the_other_apis_name_can_be_changed_and_taken_away():
    chat = at(AT_OPENAI[0], api="responses", reasoning={"effort": "max", "summary": "auto"})
    set_control(chat, "reasoning_effort", "low")
    assert chat.parameters == {"reasoning": {"summary": "auto"}, "reasoning_effort": "low"}
    set_control(chat, "reasoning_effort", "")
    assert chat.parameters == {"reasoning": {"summary": "auto"}}
    only = at(AT_OPENAI[0], api="responses", reasoning={"effort": "max"})
    set_control(only, "reasoning_effort", "")
    assert only.parameters == {}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_shown_and_changed_under_whichever_name_it_was_set(name):
    chat = at(ELSEWHERE[0], **{name: 50})
    assert control(chat, "max_completion_tokens")["value"] == "50"
    set_control(chat, "max_completion_tokens", "60")
    assert chat.parameters == {name: 60}
    set_control(chat, "max_completion_tokens", "")
    assert chat.parameters == {}


def test_a_limit_under_a_name_that_the_model_refuses_is_set_anew_under_the_one_it_takes():
    chat = at(AT_OPENAI[0], "gpt-6-luna", max_tokens=50)
    assert control(chat, "max_completion_tokens")["reason"].startswith("gpt-6-luna takes max_completion_tokens")
    set_control(chat, "max_completion_tokens", "60")
    assert chat.parameters == {"max_completion_tokens": 60}


# --- defaults tell the truth


def test_the_local_servers_defaults_are_what_it_takes_what_is_shown_and_what_is_reckoned_with():
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    [chat_body] = local_chat.read(dict(asked)).bodies
    [responses_body] = local_responses.read({"model": "m", "input": "Hi"}).bodies
    for body in (chat_body, responses_body):
        taken = (body["temperature"], body["top_p"], body["max_tokens"])
        assert taken == tuple(LOCAL_DEFAULTS[n] for n in ("temperature", "top_p", "max_completion_tokens"))
    for chat in (local(), at("http://127.0.0.1:9/v1", None, local=True), chatkit.Chat(history=False)):
        shown = {name: control(chat, name)["hint"] for name in ("temperature", "top_p", "max_completion_tokens", "n")}
        assert shown == {"temperature": "0.1", "top_p": "0.9", "max_completion_tokens": "512", "n": "1"}
    for more in ({"local": True}, {"rules": "local"}):
        assert estimate_body(asked, "http://127.0.0.1:9/v1", **more).completion.high == LOCAL_LONGEST == 512


def test_an_estimate_is_bounded_by_what_holds_where_it_would_go():
    highest = {}
    for name, chat in (("local", local()), ("openai", at(AT_OPENAI[2])), ("own", at(ELSEWHERE[0]))):
        chat.conversation.add("user", "Hi")
        highest[name] = chatkit.estimate(chat).once.completion.high
        assert f"at most {highest[name]:,}" in outlook(chat, chat.preview())["caption"] if highest[name] else True
    assert highest == {"local": 512, "openai": 128_000, "own": None}


def test_a_window_is_openais_where_openai_answers():
    windows = [at(url, "gpt-4o-mini").preview("Hi").window for url in (AT_OPENAI[0], AT_OPENAI[2], *ELSEWHERE[:3])]
    assert windows == [128_000, 128_000, None, None, None]


def test_settings_say_when_the_chosen_model_ends_where_openai_answers(monkeypatch):
    monkeypatch.setattr(ui_controls, "datetime", SimpleNamespace(now=lambda zone: datetime(2026, 11, 27, tzinfo=zone)))
    assert control(at(AT_OPENAI[0], "gpt-4o"), "model")["note"] == "gpt-4o ends on 2027-01-14; gpt-6-luna follows it."
    gone = control(at(AT_OPENAI[0], "gpt-3.5-turbo"), "model")["note"]
    assert gone == "gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it."
    for chat in (at(ELSEWHERE[0], "gpt-3.5-turbo"), local(), at(AT_OPENAI[0], "gpt-6-luna")):
        assert "note" not in control(chat, "model")


def test_a_legacy_completion_is_reckoned_to_end_where_it_does():
    [body] = local_completions.read({"model": "m", "prompt": "Once"}).bodies
    for more in ({"local": True}, {}):
        estimate = estimate_body({"model": "m", "prompt": "Once"}, "http://127.0.0.1:9/v1", **more)
        assert estimate.completion.high == body["max_tokens"] == 16


@pytest.mark.parametrize(
    ("url", "model", "shown"),
    [
        (AT_OPENAI[0], "gpt-4o-mini", ("1", "1", "at most 16,384", "0")),
        (AT_OPENAI[2], "gpt-6-luna", ("default", "default", "at most 128,000", "0")),
        (AT_OPENAI[0], "my-own", ("1", "1", "default", "0")),
        (ELSEWHERE[0], "gpt-4o-mini", ("default", "default", "default", "default")),
    ],
)
def test_defaults_are_shown_where_they_are_known_and_as_default_where_not(url, model, shown):
    names = ("temperature", "top_p", "max_completion_tokens", "presence_penalty")
    assert tuple(control(at(url, model), name)["hint"] for name in names) == shown


def test_a_default_is_shown_once_the_effort_lets_the_model_take_the_parameter():
    assert control(at(AT_OPENAI[0], "gpt-6-luna", reasoning_effort="none"), "temperature")["hint"] == "1"


def test_the_local_server_is_asked_for_no_more_answers_than_it_gives():
    assert refusals(local(n=17)) == ["n is 17; it must be a whole number from 1 to 16."]
    assert (refusals(local(n=16)), refusals(at(ELSEWHERE[0], n=17))) == ([], [])
    with pytest.raises(InputError, match="n is 17; it must be a whole number from 1 to 16"):
        set_control(local(), "n", "17")


def test_settings_know_before_the_first_turn_who_will_answer(monkeypatch):
    here = chatkit.Chat(history=False)
    assert (here.foreseen, control(here, "model")["hint"]) == (None, "the local model")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-abcdefghijklmnop1234")
    there = chatkit.Chat(history=False, temperature=0.3)
    assert (there.endpoint, there.foreseen.base_url) == (None, "https://api.openai.com/v1")
    assert control(there, "model")["hint"] == "gpt-6-luna"
    assert control(there, "temperature")["reason"].startswith("gpt-6-luna reasons by default")
    assert offered(there) == ["none", "low", "medium", "high", "xhigh", "max"]
    assert there.preview("Hi").problems[0].startswith("temperature is refused by gpt-6-luna")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    assert (there.rejected, offered(there), there.preview("Hi").problems) == ({}, list(EFFORTS), ())
    monkeypatch.setenv("OPENAI_API_KEY", "your-key-here")
    assert there.foreseen is None


def test_the_verdicts_are_worked_out_once_for_all_controls(monkeypatch):
    asked = []
    real = settings.Settings.rejected
    monkeypatch.setattr(settings.Settings, "rejected", lambda own, where: asked.append(1) or real(own, where))
    controls(at(AT_OPENAI[0]), Models(()), None)
    assert len(asked) == 1


# --- what is sent


def asked_of(server, url=None, key=None, **asked):
    client = openai.OpenAI(base_url=url or server.url, api_key=key or "sk-test-abcdefghijklmnop1234")
    return chatkit.Chat(client=client, history=False, **asked)


BRAZIL = stream(say("Brazil"), stop(), DONE)


@pytest.mark.parametrize("key", ["sk-test-abcdefghijklmnop1234", "chatkit-local-abcdefghijkl", "none"])
@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": 0.7},
        {"model": "gpt-3.5-turbo"},
        {"model": "o3", "stop": "x", "frequency_penalty": 1, "max_tokens": 5},
        {"model": "gpt-4o", "reasoning_effort": "minimal"},
        {"model": "gpt-5-pro"},
        {"model": "whisper-1", "top_p": 0.5},
    ],
)
def test_another_server_answers_under_any_name_with_any_parameter(asked, key, in_2028):
    with FaultServer(BRAZIL) as server:
        assert asked_of(server, key=key, **asked).send("Where?").text == "Brazil"
    assert server.log[0].json.items() >= ({"model": "gpt-6-luna"} | asked).items()


@pytest.mark.parametrize("url", AT_OPENAI)
def test_openai_is_not_asked_what_it_refuses(monkeypatch, url):
    hosted = answering(monkeypatch)
    for asked, says in (
        ({"temperature": 0.2}, "temperature is refused by gpt-6-luna while it reasons"),
        ({"model": "gpt-3.5-turbo"}, "gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort 'minimal' is refused by gpt-6-luna; it may be none, low"),
        ({"reasoning_effort": "ultra"}, "reasoning_effort 'ultra' is refused by gpt-6-luna"),
        ({"model": "gpt-5-pro"}, "gpt-5-pro speaks the Responses API only"),
    ):
        chat = chatkit.Chat(history=False, **asked)
        chat.endpoint = hosted.endpoint(url)
        with pytest.raises(InputError, match=says):
            chat.send("Where?")
    assert hosted.requests == []
    chat = chatkit.Chat(history=False, temperature=0.2, reasoning_effort="none")
    chat.endpoint = hosted.endpoint(url)
    assert chat.send("Where?").text == "Brazil"
    [body] = hosted.bodies
    assert (body["model"], body["temperature"], body["reasoning_effort"]) == ("gpt-6-luna", 0.2, "none")


def test_openais_responses_get_the_effort_in_their_words(monkeypatch):
    hosted = answering(monkeypatch)
    chat = chatkit.Chat(history=False, api="responses", reasoning_effort="max", max_tokens=9)
    chat.endpoint = hosted.endpoint()
    assert chat.send("Where?").text == "Brazil"
    [body] = hosted.bodies
    assert (body["reasoning"], body["max_output_tokens"]) == ({"effort": "max"}, 9)


# --- speech

SOUND = np.sin(np.arange(16_000) / 20).astype("float32") * 0.3


def heard(server, task=chatkit.transcribe, **asked):
    client = openai.OpenAI(base_url=server.url, api_key="sk-test-abcdefghijklmnop1234")
    return task(SOUND, rate=16_000, client=client, progress=False, **asked)


def whisper_says(text):
    segment = {"id": 0, "start": 0.0, "end": 1.0, "text": text}
    return reply(200, {"text": text, "language": "english", "duration": 1.0, "segments": [segment]})


@pytest.mark.parametrize(
    ("task", "asked", "form"),
    [
        (chatkit.transcribe, {"model": "whisper-1"}, b"verbose_json"),
        (chatkit.translate, {"model": "whisper-1"}, b"verbose_json"),
        (chatkit.transcribe, {"model": "gpt-4o-transcribe"}, b"json"),
        (chatkit.transcribe, {"model": "gpt-4o-transcribe", "words": True}, b"verbose_json"),
        (chatkit.translate, {"model": "gpt-transcribe"}, b"json"),
        (chatkit.transcribe, {"model": "whisper-1", "keywords": ["Rio"]}, b"Rio"),
        (chatkit.transcribe, {"model": "gpt-4o-transcribe-diarize", "prompt": "Rio"}, b"Rio"),
    ],
)
def test_another_server_hears_under_any_name_after_openais_model_of_that_name_has_ended(in_2028, task, asked, form):
    with FaultServer(whisper_says("In Brazil.")) as server:
        assert heard(server, task, **asked).text == "In Brazil."
    [seen] = server.log
    assert asked["model"].encode() in seen.body and form in seen.body


def test_openai_is_not_asked_to_hear_by_a_model_that_has_ended(monkeypatch, in_2028):
    hosted = answering(monkeypatch)
    client = openai.OpenAI(base_url="https://eu.api.openai.com/v1", api_key="sk-test-abcdefghijklmnop1234")
    with pytest.raises(InputError, match="whisper-1 was shut down on 2027-02-26. What can: gpt-transcribe"):
        chatkit.transcribe(SOUND, rate=16_000, client=client, model="whisper-1", progress=False)
    assert hosted.requests == []


def test_an_end_is_one_day_for_chat_and_speech():
    after = datetime(2027, 2, 26, tzinfo=UTC).date()
    for row in SPEECH:
        gone = find(row.name).gone(after)
        assert bool(gone) == bool(row.ends)
        assert find(row.name).gone(after - timedelta(days=1)) is None


def test_a_local_server_by_its_address_costs_nothing_before_the_answer_too():
    chat = local()
    assert "cost 0" in outlook(chat, chat.preview("Where?"))["caption"]
    found = chatkit.estimate(chat, "Where?")
    assert found.once.cost.likely == found.once.cost.high == 0
    assert "on this machine, where it costs nothing" in repr(found)
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="chatkit-local-x")
    assert (foresee("transcribe", None, client).per_minute, foresee("transcribe", None, client).local) == (None, True)
    elsewhere = at("http://127.0.0.1:9/v1", "my-own")
    assert "cost unknown" in outlook(elsewhere, elsewhere.preview("Where?"))["caption"]
