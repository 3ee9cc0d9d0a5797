"""The models of an endpoint: names to choose from, or a reason, and never an error or a long wait."""

import asyncio
from datetime import date

import pytest
from faultserver import CLOSE, GATE, FaultServer, head, refusal, reply
from hosted import answering

from chatkit.client import model_list
from chatkit.client.address import Endpoint
from chatkit.client.model_list import Models, ask_models, models_of

KEY = "sk-proj-" + "A1b2C3d4E5f6G7h8I9j0_K-L"


def at(server: FaultServer, key: str = KEY) -> Endpoint:
    return Endpoint(server.url, key, "m", "arguments")


def listed(*names: str, **more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "object": "model", **more} for name in names]}


def test_the_names_are_those_that_the_endpoint_lists_in_its_order():
    with FaultServer(
        reply(200, listed("llama3:8b", "qwen", "llama3:8b", "my model.gguf", " a", "x\x1b", "", KEY))
    ) as server:
        assert models_of(at(server)) == Models(("llama3:8b", "qwen", "my model.gguf"))
        assert [(seen.method, seen.path) for seen in server.log] == [("GET", "/v1/models")]


def test_a_list_is_asked_for_once_and_again_when_it_is_old(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(model_list, "monotonic", lambda: now[0])
    with FaultServer(reply(200, listed("a")), reply(200, listed("b"))) as server:
        assert models_of(at(server)).names == models_of(at(server)).names == ("a",)
        now[0] = model_list.KEPT
        assert models_of(at(server)).names == ("b",)
        assert len(server.log) == 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (refusal(401, f"Incorrect API key: {KEY}"), "The endpoint does not accept the API key (401)."),
        (refusal(404, "no"), "There is nothing at"),
        (refusal(429, "slow"), "The endpoint takes no more requests for now"),
        (reply(200, {"models": []}), "is no list of models."),
        (reply(200, b"<html>"), "is no list of models."),
        (reply(200, {"data": [{"id": None}]}), "lists no models to chat with."),
        (reply(200, {"data": []}), "lists no models to chat with."),
        (reply(302, b"", {"location": "http://elsewhere.test/"}), "sends elsewhere"),
        ([head(200), CLOSE], "is no list of models."),
        ([CLOSE], ""),
    ],
)
def test_where_there_is_no_list_there_is_a_reason_and_it_is_asked_again(script, reason):
    with FaultServer(script) as server:
        found = models_of(at(server))
        assert found.names == () and found.reason and reason in found.reason
        assert KEY not in found.reason
        models_of(at(server))
        assert len(server.log) == 2


def test_a_server_that_is_not_there_is_a_reason():
    with FaultServer(reply(200, listed("a"))) as server:
        endpoint = at(server)
    assert models_of(endpoint).reason


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(model_list, "PATIENCE", 0.05)
    with FaultServer([GATE]) as server:
        found = models_of(at(server))
        server.wait_until(lambda s: s.open == 0)
    assert found.names == () and found.reason


def test_the_same_is_there_for_those_who_may_not_wait():
    with FaultServer(reply(200, listed("a"))) as server:
        told: list[Models] = []
        future = ask_models(at(server))
        future.add_done_callback(lambda done: told.append(done.result()))
        assert asyncio.run(_awaited(at(server))) == future.result(10) == Models(("a",))
        assert told == [Models(("a",))]


async def _awaited(endpoint: Endpoint) -> Models:
    return await asyncio.wrap_future(ask_models(endpoint))


def test_on_the_engines_own_thread_it_says_that_it_cannot_wait(monkeypatch):
    monkeypatch.setattr(model_list, "on_loop_thread", lambda: True)
    assert models_of(Endpoint("http://127.0.0.1:9/v1", KEY, "m", "a")).reason


def test_the_local_server_has_its_one_model_and_azure_the_deployment():
    local = Endpoint("http://127.0.0.1:9/v1", "chatkit-local-x", "SmolLM2", "local", local=True)
    assert models_of(local) == Models(("SmolLM2",))
    azure = Endpoint("https://x.openai.azure.com", "", "class", "Azure", azure=(("api_version", "1"),))
    found = models_of(azure)
    assert found.names == ("class",) and "deployments" in str(found.reason)


def test_of_the_hosted_models_those_are_named_that_chat_and_are_still_there(monkeypatch):
    names = ["gpt-4o", "gpt-4.1-mini", "gpt-6-luna", "gpt-6.1-sol", "o3", "ft:gpt-4o-mini:org::id", "gpt-5-search-api",
             "gpt-4o-audio-preview", "gpt-realtime-2", "whisper-1", "tts-1", "gpt-image-2", "text-embedding-3-small",
             "gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "omni-moderation-latest", "gpt-transcribe", "davinci-002"]  # fmt: skip
    data = [{"id": name, "created": number} for number, name in enumerate(names)]
    data.append({"id": "gpt-7", "created": 99, "shutdown_date": "2026-11-24"})
    data.append({"id": "gpt-8", "created": 98, "shutdown_date": None})
    found = model_list._hosted(data, date(2026, 11, 24))
    assert found == ["gpt-6-luna", "gpt-8", "ft:gpt-4o-mini:org::id", "o3", "gpt-6.1-sol", "gpt-4.1-mini", "gpt-4o"]
    hosted = answering(monkeypatch)
    hosted.models = data
    for url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        names = models_of(hosted.endpoint(url)).names
        assert (names[0], "whisper-1" in names) == ("gpt-6-luna", False)
    with FaultServer(reply(200, {"data": data})) as server:
        assert "whisper-1" in models_of(at(server)).names
