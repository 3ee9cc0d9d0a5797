"""The engine on answers as they should be: each form of a turn, and what the Reply tells of it."""

import asyncio
import gzip
import subprocess
import sys

import openai
import pytest
from faultserver import (
    DONE,
    GATE,
    FaultServer,
    completion,
    cut,
    event,
    head,
    refusal,
    reply,
    say,
    stop,
    stream,
    usage,
)
from turns import BODY, KEY, ask, bare_client, client, outcomes

from chatkit.client.engine import Engine
from chatkit.client.reply import Answer, Delta, Reply


def test_a_stream_becomes_deltas_and_a_complete_reply() -> None:
    with FaultServer(stream(say("Hel", role="assistant"), say("lo"), stop(), usage(3, 2), DONE)) as server:
        taken = ask(server)
    assert taken.items == [Delta("Hel"), Delta("lo")]
    reply = taken.reply
    assert reply.answers == (Answer(0, "Hello", finish_reason="stop"),)
    assert (reply.outcome, reply.model, reply.status, reply.notes, reply.error) == (
        "complete",
        "answered",
        200,
        (),
        None,
    )
    assert reply.first_token is not None
    assert 0 < reply.first_token <= reply.latency


def test_a_turn_is_one_request_with_usage_asked_for_and_its_number() -> None:
    with FaultServer(stream(say("x"), stop(), DONE)) as server:
        taken = ask(server, {**BODY, "temperature": 0.5})
    (seen,) = server.log
    assert (seen.method, seen.path, seen.attempt) == ("POST", "/v1/chat/completions", 1)
    assert seen.json == {**BODY, "temperature": 0.5, "stream": True, "stream_options": {"include_usage": True}}
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert taken.reply.request == {"method": "POST", "url": f"{server.url}/chat/completions", "body": seen.json}


def test_the_reply_keeps_the_body_byte_for_byte() -> None:
    events = [event(say("é")), event(stop()), event(DONE)]
    with FaultServer(stream(*events)) as server:
        assert ask(server).reply.raw == b"".join(events)


def test_the_body_that_was_given_is_not_changed() -> None:
    body = {**BODY, "stream_options": {"include_obfuscation": False}}
    with FaultServer(stream(say("x"), stop(), DONE)) as server:
        ask(server, body)
    assert body == {**BODY, "stream_options": {"include_obfuscation": False}}
    assert server.log[0].json["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_two_turns_on_one_client_share_a_connection() -> None:
    async def turns(url: str) -> list[str]:
        async with client(url) as asking:
            return [await _text(asking), await _text(asking)]

    with FaultServer(stream(say("a"), stop(), DONE), stream(say("b"), stop(), DONE)) as server:
        assert asyncio.run(turns(server.url)) == ["a", "b"]
    assert server.accepted == 1


async def _text(asking: openai.AsyncOpenAI) -> str:
    return "".join([item.text async for item in Engine().stream(asking, BODY) if isinstance(item, Delta)])


def test_the_sdks_own_retries_stay_out_of_it() -> None:
    with FaultServer(refusal(400)) as server:
        ask(server, attempts=1)
    assert len(server.log) == 1


def test_an_endpoint_that_rejects_stream_options_is_asked_without_and_remembered() -> None:
    async def turns(url: str) -> list[str]:
        async with bare_client(url) as asking:
            return [await _text(asking), await _text(asking)]

    answer = stream(say("x"), stop(), DONE)
    with FaultServer(refusal(400, "Unknown field: stream_options"), answer, answer) as server:
        assert asyncio.run(turns(server.url)) == ["x", "x"]
    assert ["stream_options" in seen.json for seen in server.log] == [True, False, False]
    assert [seen.attempt for seen in server.log] == [1, 2, 1]


def test_a_metered_client_rejects_stream_options_once_and_books_both_requests() -> None:
    with FaultServer(refusal(400, "Unknown field: stream_options"), stream(say("x"), stop(), DONE)) as server:
        taken = ask(server)
    assert (taken.text, [row.status for row in taken.reply.records]) == ("x", [400, 200])
    assert ["stream_options" in seen.json for seen in server.log] == [True, False]


def test_a_client_without_a_meter_works_and_has_no_records() -> None:
    async def turn(url: str) -> Reply:
        async with bare_client(url) as asking:
            *_, reply = [item async for item in Engine().stream(asking, BODY)]
        return reply

    with FaultServer(stream(say("x"), stop(), DONE)) as server:
        reply = asyncio.run(turn(server.url))
    assert (reply.text, reply.outcome, reply.records, reply.usage.calls) == ("x", "complete", (), 0)


def test_a_reply_has_the_usage_that_the_meter_read() -> None:
    with FaultServer(refusal(500), stream(say("x"), stop(), usage(3, 2), DONE)) as server:
        reply = ask(server).reply
    assert outcomes(reply.records) == [(1, "error", 500), (2, "complete", 200)]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 2)
    assert (reply.usage.calls, reply.usage.unknown_calls) == (2, 1)


def test_gzip_is_unpacked() -> None:
    packed = gzip.compress(event(say("hello")) + event(stop()) + event(DONE))
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip", "content-length": str(len(packed))}
    with FaultServer([head(200, headers), packed]) as server:
        assert ask(server).text == "hello"


def test_reasoning_is_kept_apart_from_the_text() -> None:
    with FaultServer(
        stream(say(None, reasoning_content="hm"), say(None, reasoning="m"), say("yes"), stop(), DONE)
    ) as server:
        taken = ask(server)
    assert taken.items == [Delta("hm", 0, "reasoning"), Delta("m", 0, "reasoning"), Delta("yes")]
    assert taken.reply.answers == (Answer(0, "yes", reasoning="hmm", finish_reason="stop"),)


def test_a_refusal_is_kept_as_one() -> None:
    with FaultServer(stream(say(None, refusal="I can"), say(None, refusal="not."), stop(), DONE)) as server:
        taken = ask(server)
    assert taken.reply.answers == (Answer(0, refusal="I cannot.", finish_reason="stop"),)
    assert taken.reply.outcome == "complete"


def test_an_answer_that_is_no_stream_is_read_as_well() -> None:
    with FaultServer(reply(200, completion("Hello"))) as server:
        taken = ask(server)
    assert (taken.text, taken.reply.outcome, taken.reply.finish_reason) == ("Hello", "complete", "stop")


def test_importing_the_engine_does_not_import_openai() -> None:
    code = (
        "import sys, chatkit.client.engine, chatkit.client.run; print('openai' in sys.modules, 'httpx2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_cancelling_the_task_yields_the_reply_and_then_goes_on_as_cancellation() -> None:
    items = []

    async def turn(url: str) -> None:
        async with client(url) as asking:
            async for item in Engine().stream(asking, BODY):
                items.append(item)
                if item == Delta("one"):
                    asyncio.current_task().cancel()

    with FaultServer(cut(say("one"), GATE)) as server:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(turn(server.url))
        server.wait_until(lambda s: s.open == 0)
    first, reply = items
    assert first == Delta("one")
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.text) == ("cancelled", "one")


def test_a_stream_that_is_closed_early_closes_its_connection() -> None:
    async def turn(url: str) -> None:
        async with client(url) as asking:
            stream = Engine().stream(asking, BODY)
            assert await anext(stream) == Delta("one")
            await stream.aclose()
            server.wait_until(lambda s: s.open == 0)

    with FaultServer(cut(say("one"), GATE)) as server:
        asyncio.run(turn(server.url))


# Responses


def _numbered(*events: dict) -> list[bytes]:
    return [event({"sequence_number": number, **value}, value["type"]) for number, value in enumerate(events)]


def _piece(text: str, kind: str = "output_text") -> dict:
    return {"type": f"response.{kind}.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": text}


def _ended(status: str = "completed", **fields: object) -> dict:
    return {"type": f"response.{status}", "response": {"status": status, "model": "answered", **fields}}


RESPONSES = {"model": "asked", "input": "Hello"}


def test_responses_are_streamed_too() -> None:
    created = {"type": "response.created", "response": {"model": "answered", "status": "in_progress"}}
    with FaultServer(stream(*_numbered(created, _piece("Hel"), _piece("lo"), _ended()))) as server:
        taken = ask(server, RESPONSES, api="responses")
    (seen,) = server.log
    assert (seen.path, seen.json) == ("/v1/responses", {**RESPONSES, "stream": True})
    assert taken.items == [Delta("Hel"), Delta("lo")]
    assert taken.reply.answers == (Answer(0, "Hello", finish_reason="completed"),)
    assert (taken.reply.outcome, taken.reply.model) == ("complete", "answered")


def test_responses_that_come_twice_count_once() -> None:
    first, second, last = _numbered(_piece("a"), _piece("b"), _ended())
    with FaultServer(stream(first, second, first, second, last)) as server:
        assert ask(server, RESPONSES, api="responses").reply.text == "ab"


def test_responses_keep_reasoning_refusal_and_function_calls() -> None:
    added = {"type": "function_call", "call_id": "call_1", "name": "add"}
    events = _numbered(
        _piece("hm", "reasoning_summary_text"),
        _piece("no", "refusal"),
        {"type": "response.output_item.added", "output_index": 2, "item": added},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a"'},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": ": 1}"},
        _ended(),
    )
    with FaultServer(stream(*events)) as server:
        (answer,) = ask(server, RESPONSES, api="responses").reply.answers
    assert (answer.reasoning, answer.refusal) == ("hm", "no")
    assert answer.tool_calls == (
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
    )


@pytest.mark.parametrize(
    ("last", "outcome", "reason"),
    [
        (_ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length", "max_output_tokens"),
        (_ended("incomplete", incomplete_details={"reason": "content_filter"}), "filtered", "content_filter"),
    ],
)
def test_responses_say_why_they_are_incomplete(last: dict, outcome: str, reason: str) -> None:
    with FaultServer(stream(*_numbered(_piece("part"), last))) as server:
        reply = ask(server, RESPONSES, api="responses").reply
    assert (reply.outcome, reply.finish_reason, reply.text) == (outcome, reason, "part")


def test_a_failed_response_is_an_error_with_its_partial() -> None:
    failed = _ended("failed", error={"code": "server_error", "message": "The model crashed"})
    with FaultServer(stream(*_numbered(_piece("part"), failed))) as server:
        taken = ask(server, RESPONSES, api="responses")
    assert (taken.reply.outcome, taken.text, taken.kind) == ("error", "part", "server")
    assert "The model crashed" in taken.message


def test_a_response_that_is_no_stream_is_read_as_well() -> None:
    content = [{"type": "output_text", "text": "Hello"}]
    body = {"status": "completed", "model": "m", "error": None, "output": [{"type": "message", "content": content}]}
    with FaultServer(reply(200, body)) as server:
        taken = ask(server, RESPONSES, api="responses")
    assert (taken.text, taken.reply.outcome, taken.reply.model) == ("Hello", "complete", "m")
