"""The meter under the real openai clients, on a loopback server: what a student's own code leaves behind."""

import asyncio
import gc
import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from faultserver import DONE, GATE, RESET, FaultServer, completion, cut, refusal, reply, say, stop, stream, usage

from chatkit.ledger.meter import AsyncMeteredTransport, Meter, MeteredTransport
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore

HELLO: list[Any] = [{"role": "user", "content": "Where was it held?"}]
PATIENCE = 10


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    yield store
    store.close()


def client(server: FaultServer, store: UsageStore, **options: Any) -> openai.OpenAI:
    http = openai.DefaultHttpx2Client(transport=MeteredTransport(httpx2.HTTPTransport(), Meter(store)))
    return openai.OpenAI(base_url=server.url, api_key="sk-none", http_client=http, **options)


def asynchronous(server: FaultServer, store: UsageStore, **options: Any) -> openai.AsyncOpenAI:
    transport = AsyncMeteredTransport(httpx2.AsyncHTTPTransport(), Meter(store))
    http = openai.DefaultAsyncHttpx2Client(transport=transport)
    return openai.AsyncOpenAI(base_url=server.url, api_key="sk-none", http_client=http, **options)


def one(store: UsageStore) -> UsageRecord:
    (record,) = store.records()
    return record


def test_raw_calls_leave_one_row_each_with_exact_tokens(store: UsageStore) -> None:
    whole = stream(say("In "), say("Brazil"), stop(), usage(9, 2), DONE)
    with FaultServer(reply(200, completion("Brazil")), whole) as server:
        sdk = client(server, store)
        assert sdk.chat.completions.create(model="m", messages=HELLO).choices[0].message.content == "Brazil"
        chunks = list(sdk.chat.completions.create(model="m", messages=HELLO, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["In ", "Brazil", None]
    assert server.log[1].json["stream_options"] == {"include_usage": True}
    first, second = store.records()
    assert (first.usage, first.streamed) == (Usage(3, 1, known="measured"), False)
    assert (second.usage, second.streamed, second.outcome) == (Usage(9, 2, known="measured"), True, "complete")
    assert second.first_token is not None
    assert 0 < second.first_token <= second.latency
    assert {row.host for row in (first, second)} == {server.url.split("/")[2]}


def test_each_of_the_clients_own_retries_is_a_row(store: UsageStore) -> None:
    later = refusal(429, headers={"retry-after-ms": "1"}, code="rate_limit_exceeded")
    broken = reply(503, "down", {"retry-after-ms": "1"})
    with FaultServer(later, broken, reply(200, completion("Brazil"))) as server:
        client(server, store).chat.completions.create(model="m", messages=HELLO)
    assert [(row.attempt, row.outcome, row.status, row.error_code, row.usage.known) for row in store.records()] == [
        (1, "error", 429, "rate_limit_exceeded", "measured"),
        (2, "error", 503, None, "unknown"),
        (3, "complete", 200, None, "measured"),
    ]


def test_a_refused_connection_is_a_row(store: UsageStore) -> None:
    with FaultServer() as server:
        pass
    with pytest.raises(openai.APIConnectionError):
        client(server, store, max_retries=0).chat.completions.create(model="m", messages=HELLO)
    assert (one(store).outcome, one(store).error_code, one(store).usage.cost) == ("error", "ConnectError", Decimal(0))


def test_a_server_that_never_answers_leaves_an_unknown_cost(store: UsageStore) -> None:
    with FaultServer([GATE]) as server:
        sdk = client(server, store, max_retries=0, timeout=0.2)
        with pytest.raises(openai.APITimeoutError):
            sdk.chat.completions.create(model="m", messages=HELLO)
    assert (one(store).error_code, one(store).usage) == ("ReadTimeout", Usage())


def test_a_reset_in_mid_stream_is_incomplete(store: UsageStore) -> None:
    with FaultServer(cut(say("In "), say("Bra"), GATE, RESET)) as server:
        chunks = client(server, store).chat.completions.create(model="m", messages=HELLO, stream=True)
        assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["In ", "Bra"]
        server.release()
        with pytest.raises((openai.APIError, httpx2.HTTPError)):
            next(chunks)
    assert (one(store).outcome, one(store).usage) == ("incomplete", Usage(9, 2, known="estimated"))


def test_leaving_a_stream_early_is_cancelled(store: UsageStore) -> None:
    with FaultServer(cut(say("In "), GATE)) as server:
        with client(server, store).chat.completions.create(model="m", messages=HELLO, stream=True) as chunks:
            next(chunks)
        server.wait_until(lambda s: s.open == 0)
    assert (one(store).outcome, one(store).usage) == ("cancelled", Usage(9, 1, known="estimated"))


def test_an_async_stream_that_is_cancelled_is_a_row_and_frees_its_connection(store: UsageStore) -> None:
    async def run(server: FaultServer) -> None:
        started = asyncio.Event()

        async def read() -> None:
            async for _ in await sdk.chat.completions.create(model="m", messages=HELLO, stream=True):
                started.set()

        async with asynchronous(server, store) as sdk:
            task = asyncio.create_task(read())
            await asyncio.wait_for(started.wait(), PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert one(store).outcome == "cancelled"
            server.wait_until(lambda s: s.open == 0)

    with FaultServer(cut(say("In "), GATE)) as server:
        asyncio.run(run(server))
    assert one(store).usage == Usage(9, 1, known="estimated")


def test_many_async_calls_at_once_leave_as_many_rows(store: UsageStore) -> None:
    async def run(server: FaultServer) -> None:
        async with asynchronous(server, store) as sdk:

            async def ask(streamed: bool) -> None:
                answer = await sdk.chat.completions.create(model="m", messages=HELLO, stream=streamed)
                if streamed:
                    assert [chunk async for chunk in answer][-1].choices[0].finish_reason == "stop"

            await asyncio.gather(*(ask(True) for _ in range(40)))

    with FaultServer(stream(say("Brazil"), stop(), usage(9, 2), DONE)) as server:
        asyncio.run(run(server))
    assert store.total() == Usage(360, 80, known="measured", calls=40, unpriced_calls=40)


def test_dropped_streams_leave_nothing_behind(store: UsageStore) -> None:
    with FaultServer(cut(say("In "), GATE)) as server:
        sdk = client(server, store)
        for _ in range(10):
            next(sdk.chat.completions.create(model="m", messages=HELLO, stream=True))
        gc.collect()
        server.wait_until(lambda s: s.open == 0)
    assert {row.outcome for row in store.records()} == {"cancelled"}
    assert len(store.records()) == 10


CALLS: list[tuple[Callable[[openai.OpenAI], Any], Any, Usage]] = [
    (
        lambda sdk: sdk.responses.create(model="m", input="Hi"),
        {"id": "r", "object": "response", "model": "m", "status": "completed", "output": [],
         "usage": {"input_tokens": 4, "output_tokens": 2}},
        Usage(4, 2, known="measured"),
    ),
    (
        lambda sdk: sdk.embeddings.create(model="m", input="Hi"),
        {"object": "list", "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4},
         "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}]},
        Usage(4, known="measured"),
    ),
    (
        lambda sdk: sdk.completions.create(model="m", prompt="Hi"),
        {"model": "m", "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}],
         "usage": {"prompt_tokens": 4, "completion_tokens": 2}},
        Usage(4, 2, known="measured"),
    ),
    (
        lambda sdk: sdk.audio.transcriptions.create(model="m", file=("a.wav", io.BytesIO(b"RIFF" * 50_000))),
        {"text": "hi", "usage": {"type": "duration", "seconds": 7.5}},
        Usage(audio_seconds=7.5, known="measured"),
    ),
    (
        lambda sdk: sdk.moderations.create(input="Hi"),
        {"id": "m", "model": "m", "results": []},
        Usage(0, 0, cost=Decimal(0), known="measured"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "body", "expected"), CALLS)
def test_every_kind_of_call(
    store: UsageStore, call: Callable[[openai.OpenAI], Any], body: Any, expected: Usage
) -> None:
    with FaultServer(reply(200, body)) as server:
        call(client(server, store))
    assert one(store).usage == expected
    assert one(store).outcome == "complete"
    assert one(store).path == server.log[0].path
    if "transcriptions" in one(store).path:
        assert one(store).model == "m"
        assert b"RIFF" * 50_000 in server.log[0].body


def test_a_transcription_is_metered_on_the_async_client_too(store: UsageStore) -> None:
    async def run(server: FaultServer) -> None:
        async with asynchronous(server, store) as sdk:
            await sdk.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"), response_format="srt")

    with FaultServer(reply(200, "1\n00:00:00,000 --> 00:00:02,500\nhi\n")) as server:
        asyncio.run(run(server))
    assert (one(store).model, one(store).usage.audio_seconds, one(store).usage.known) == ("whisper-1", 2.5, "estimated")


def test_listing_models_is_no_row(store: UsageStore) -> None:
    with FaultServer(reply(200, {"object": "list", "data": []})) as server:
        assert list(client(server, store).models.list()) == []
    assert store.records() == []


def test_a_raw_stream_keeps_its_bytes(store: UsageStore) -> None:
    with FaultServer(stream(say("é日🙂"), stop(), usage(1, 1), DONE)) as server:
        create = client(server, store).chat.completions.with_streaming_response.create
        with create(model="m", messages=HELLO, stream=True) as response:
            body = b"".join(response.iter_bytes())
            assert response.http_response.extensions["chatkit_exchange"].record == one(store)
    events = [line[6:] for line in body.decode().split("\n\n") if line]
    assert [json.loads(event) for event in events[:-1]] == [say("é日🙂"), stop()]
    assert events[-1] == DONE
