"""The meter between a client and a scripted answer: one row an attempt, and bytes as they came."""

import asyncio
import gc
import gzip
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.ledger.meter import AsyncMeteredTransport, Meter, MeteredTransport
from chatkit.ledger.place import Place
from chatkit.ledger.record import Usage, UsageRecord, session
from chatkit.ledger.store import UsageStore

CHAT = "https://api.openai.com/v1/chat/completions"
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where was it held?"}]}
STREAMED = {**ASKED, "stream": True}
EVENTS = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}

Handler = Callable[[httpx2.Request], httpx2.Response]


def chunk(text: str | None = None, reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": reason}
    return event({"model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": None, **more})


def event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


USAGE = event({"model": "gpt-4o-mini-2024-07-18", "choices": [], "usage": USED})
WORDS = chunk("In ") + chunk("Brazil") + chunk(".")
WHOLE = WORDS + chunk(reason="stop")


def answer(text: str = "Brazil", reason: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": USED, **more}


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def streams(*pieces: bytes | BaseException, **headers: str) -> Handler:
    return lambda request: httpx2.Response(200, headers={**EVENTS, **headers}, stream=Body(*pieces))


def says(status: int = 200, **fields: Any) -> Handler:
    return lambda request: httpx2.Response(status, **fields)


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "usage.sqlite")


class Bench:
    """A client on the meter, and what it left in the store."""

    def __init__(self, store: UsageStore, handler: Handler, **options: Any) -> None:
        self.store = store
        self.requests: list[httpx2.Request] = []
        self.inner = httpx2.MockTransport(lambda request: (self.requests.append(request), handler(request))[1])
        self.client = httpx2.Client(transport=MeteredTransport(self.inner, Meter(store, **options)))

    def post(self, body: Any = ASKED, url: str = CHAT, **more: Any) -> httpx2.Response:
        return self.client.post(url, json=body, **more)

    @property
    def row(self) -> UsageRecord:
        (record,) = self.store.records()
        return record


def test_an_answer_becomes_a_row(store: UsageStore) -> None:
    bench = Bench(store, says(json=answer()))
    with session("Lesson 1"):
        response = bench.post(headers={"x-stainless-retry-count": "1"})
    row = bench.row
    assert response.json() == answer()
    assert (row.session, row.host, row.path) == ("Lesson 1", "api.openai.com", "/v1/chat/completions")
    assert (row.model, row.answered_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (row.outcome, row.status, row.error_code, row.attempt) == ("complete", 200, None, 2)
    assert (row.streamed, row.first_token) == (False, None)
    assert row.usage == Usage(9, 3, cost=Decimal("0.00000315"), known="measured")
    assert row.price_table is not None
    assert row.price_table.startswith("genai-prices ")
    assert row.price_date == row.at.date().isoformat()
    assert response.extensions["chatkit_exchange"].record == row


def test_the_record_is_there_by_the_time_the_body_has_ended(store: UsageStore) -> None:
    bench = Bench(store, streams(WORDS, chunk(reason="stop"), DONE))
    with bench.client.stream("POST", CHAT, json=STREAMED) as response:
        assert response.extensions["chatkit_exchange"].record is None
        body = response.read()
        assert bench.row == response.extensions["chatkit_exchange"].record
    assert body == WHOLE + DONE


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                **USED,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(9, 3, 4, 2, cost=Decimal("0.00000285"), known="measured"),
        ),
        ({"prompt_tokens": 9, "completion_tokens": "3"}, Usage(9, cost=Decimal("0.00000135"), known="measured")),
        ({"prompt_tokens": -1, "completion_tokens": True}, None),
        ({}, None),
        (None, None),
        ("many", None),
    ],
)
def test_usage_as_it_is_sent(store: UsageStore, usage: Any, expected: Usage | None) -> None:
    bench = Bench(store, says(json={**answer(), "usage": usage}))
    bench.post()
    estimate = Usage(9, 2, cost=Decimal("0.00000255"), known="estimated")
    assert bench.row.usage == (expected or estimate)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("stop", "complete"), ("length", "length"), ("content_filter", "filtered"), ("tool_calls", "complete"),
     ("brand_new", "complete")],
)  # fmt: skip
def test_the_finish_reason_is_the_outcome(store: UsageStore, reason: str, outcome: str) -> None:
    Bench(store, says(json=answer(reason=reason))).post()
    Bench(store, streams(WORDS, chunk(reason=reason), DONE)).post(STREAMED)
    assert [row.outcome for row in store.records()] == [outcome, outcome]


@pytest.mark.parametrize("usage_sent", [True, False])
def test_a_stream_is_asked_for_usage_and_the_extra_chunk_taken_out(store: UsageStore, usage_sent: bool) -> None:
    bench = Bench(store, streams(WORDS + chunk(reason="stop"), USAGE + DONE if usage_sent else DONE))
    response = bench.post(STREAMED)
    (request,) = bench.requests
    assert json.loads(request.content) == {**STREAMED, "stream_options": {"include_usage": True}}
    assert request.headers["content-length"] == str(len(request.content))
    assert request.headers["accept-encoding"] == "identity"
    assert response.content == WHOLE + DONE
    assert json.loads(response.request.content) == STREAMED
    assert bench.row.usage.known == ("measured" if usage_sent else "estimated")
    assert (bench.row.usage.prompt_tokens, bench.row.usage.completion_tokens) == (9, 3)
    assert bench.row.first_token is not None


def test_who_asks_for_usage_gets_it(store: UsageStore) -> None:
    body = {**STREAMED, "stream_options": {"include_usage": True}}
    bench = Bench(store, streams(WHOLE + USAGE + DONE))
    assert bench.post(body).content == WHOLE + USAGE + DONE
    assert json.loads(bench.requests[0].content) == body
    assert bench.row.usage.total_tokens == 12


def test_other_stream_options_stay(store: UsageStore) -> None:
    body = {**STREAMED, "stream_options": {"include_obfuscation": False}}
    bench = Bench(store, streams(WHOLE + USAGE + DONE))
    assert bench.post(body).content == WHOLE + DONE
    assert json.loads(bench.requests[0].content)["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }


SENT = b": hello\n\n" + WORDS + b"event: ping\r\ndata:\r\n\r\n" + chunk(reason="stop") + b'data: {"n": \n\n'


@given(
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from((b"", USAGE)),
    st.sampled_from((b"", DONE, DONE + USAGE, b"data: cut")),
)
def test_every_split_gives_the_same_bytes_less_the_extra_chunk(cuts: list[int], extra: bytes, tail: bytes) -> None:
    store = Rows()
    body = SENT + extra + tail
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in pairwise(places) if a < b]
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(streams(*pieces)), Meter(store)))
    assert client.post(CHAT, json=STREAMED).content == SENT + tail
    (row,) = store.rows
    assert row.outcome == "complete"
    assert row.usage.known == ("measured" if extra else "estimated")
    assert (row.usage.prompt_tokens, row.usage.completion_tokens) == (9, 3)


class Rows(UsageStore):
    """A store that keeps its rows in a list, for tests that need thousands of stores."""

    def __init__(self) -> None:
        self.rows: list[UsageRecord] = []
        self._place = Place("memory://")

    is_file = True

    def __hash__(self) -> int:
        return id(self)

    def select(self, *_: object, **__: object) -> list[object]:
        return []  # no rules

    def open(self) -> None:
        pass

    def add(self, record: UsageRecord, *, patience: float = 0) -> bool:
        self.rows.append(record)
        return True


def test_no_token_is_held_back(store: UsageStore) -> None:
    pieces = [chunk("In "), chunk("Brazil")[:20], chunk("Brazil")[20:], USAGE, DONE]
    bench = Bench(store, streams(*pieces))
    with bench.client.stream("POST", CHAT, json=STREAMED) as response:
        assert list(response.iter_raw()) == [chunk("In "), chunk("Brazil"), DONE]


def test_usage_on_each_chunk_counts_once(store: UsageStore) -> None:
    running = [chunk("a", usage={"prompt_tokens": 9, "completion_tokens": n}) for n in (1, 2, 3)]
    bench = Bench(store, streams(*running, chunk(reason="stop"), USAGE, DONE))
    assert bench.post(STREAMED).content == b"".join(running) + chunk(reason="stop") + DONE
    assert bench.row.usage.total_tokens == 12


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (WORDS, "incomplete"),
        (b"", "incomplete"),
        (WORDS + DONE, "complete"),
        (WHOLE, "complete"),
        (WORDS + event({"error": {"code": "overloaded", "message": "sorry"}}), "error"),
        (WORDS + event({"message": "sorry", "code": "overloaded"}, "error") + DONE, "error"),
        (WORDS + b"data: {broken\n\n" + chunk(reason="stop") + DONE, "complete"),
        (b"\xef\xbb\xbf" + WHOLE.replace(b"\n", b"\r\n"), "complete"),
        (chunk("a") + chunk("b", index=1) + chunk(reason="stop"), "complete"),
        (event({"choices": None}) + event([1]) + event({"choices": [{"delta": None}, 3]}) + WHOLE, "complete"),
        (b"data: " + b"[" * 100_000 + b"\n\n" + WHOLE, "complete"),
    ],
)
def test_how_streams_end(store: UsageStore, sent: bytes, outcome: str) -> None:
    bench = Bench(store, streams(sent))
    assert bench.post(STREAMED).content == sent
    assert bench.row.outcome == outcome
    assert bench.row.error_code == ("overloaded" if outcome == "error" else None)
    assert bench.row.usage.known == "estimated"


def test_of_two_answers_one_cut_off_is_incomplete(store: UsageStore) -> None:
    bench = Bench(store, streams(chunk("a") + chunk("b", index=1) + chunk(reason="stop")))
    bench.post({**STREAMED, "n": 2})
    assert bench.row.outcome == "incomplete"


@pytest.mark.parametrize(
    ("pieces", "outcome"),
    [
        ((WORDS, httpx2.ReadError("reset")), "incomplete"),
        ((WORDS, httpx2.ReadTimeout("idle")), "incomplete"),
        ((WORDS[:-9], httpx2.RemoteProtocolError("cut")), "incomplete"),
        ((WHOLE, httpx2.ReadError("reset")), "complete"),
    ],
)
def test_a_broken_stream_keeps_its_partial(
    store: UsageStore, pieces: tuple[bytes, httpx2.HTTPError], outcome: str
) -> None:
    bench, came = Bench(store, streams(*pieces)), []
    with (
        bench.client.stream("POST", CHAT, json=STREAMED) as response,
        pytest.raises(httpx2.HTTPError),
    ):
        came += response.iter_raw()
    assert b"".join(came) == pieces[0]
    assert (bench.row.outcome, bench.row.error_code) == (outcome, type(pieces[1]).__name__)
    assert bench.row.usage == Usage(9, bench.row.usage.completion_tokens, cost=bench.row.usage.cost, known="estimated")


def test_a_closed_stream_is_cancelled_or_what_the_closer_says(store: UsageStore) -> None:
    for close_as in (None, "incomplete"):
        bench = Bench(store, streams(chunk("In "), chunk("Brazil")))
        with bench.client.stream("POST", CHAT, json=STREAMED) as response:
            pieces = response.iter_raw()
            assert next(pieces) == chunk("In ")
            if close_as:
                response.extensions["chatkit_exchange"].close_as = close_as
    assert [row.outcome for row in store.records()] == ["cancelled", "incomplete"]
    assert [row.usage.completion_tokens for row in store.records()] == [1, 1]


def test_a_stream_closed_after_its_finish_reason_is_complete(store: UsageStore) -> None:
    bench = Bench(store, streams(WHOLE, USAGE, DONE))
    with bench.client.stream("POST", CHAT, json=STREAMED) as response:
        next(response.iter_raw())
    assert (bench.row.outcome, bench.row.usage.known) == ("complete", "estimated")


def test_a_stream_that_nobody_reads_is_a_row_when_it_is_dropped(store: UsageStore) -> None:
    bench = Bench(store, streams(WHOLE))
    response = bench.client.send(bench.client.build_request("POST", CHAT, json=STREAMED), stream=True)
    assert store.records() == []
    del response
    gc.collect()
    assert bench.row.outcome == "cancelled"


def test_an_interrupted_read_is_cancelled(store: UsageStore) -> None:
    bench = Bench(store, streams(WORDS, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench.post(STREAMED)
    assert (bench.row.outcome, bench.row.error_code) == ("cancelled", None)


@pytest.mark.parametrize(
    ("status", "body", "code", "known"),
    [
        (400, {"error": {"code": "context_length_exceeded", "message": "long"}}, "context_length_exceeded", "measured"),
        (401, {"error": {"code": None, "type": "invalid_request_error"}}, "invalid_request_error", "measured"),
        (429, {"error": {"code": 429}}, "429", "measured"),
        (404, {"detail": "Not Found"}, None, "measured"),
        (302, {}, None, "measured"),
        (408, {}, None, "unknown"),
        (500, {"error": "boom"}, None, "unknown"),
        (529, [], None, "unknown"),
    ],
)
def test_a_refusal_used_nothing_and_a_failure_is_unknown(
    store: UsageStore, status: int, body: Any, code: str | None, known: str
) -> None:
    bench = Bench(store, says(status, json=body))
    assert bench.post().json() == body
    assert (bench.row.outcome, bench.row.status, bench.row.error_code) == ("error", status, code)
    nothing = Usage(0, 0, cost=Decimal(0), known="measured")
    assert bench.row.usage == (nothing if known == "measured" else Usage())


@pytest.mark.parametrize(
    ("error", "used"),
    [
        (httpx2.ConnectError("no"), 0),
        (httpx2.ConnectTimeout("no"), 0),
        (httpx2.PoolTimeout("no"), 0),
        (httpx2.ReadTimeout("no"), None),
        (httpx2.RemoteProtocolError("no"), None),
    ],
)
def test_without_an_answer_the_error_carries_the_row(
    store: UsageStore, error: httpx2.HTTPError, used: int | None
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    bench = Bench(store, fail)
    with pytest.raises(type(error)) as raised:
        bench.post()
    assert raised.value.chatkit_exchange.record == bench.row
    assert (bench.row.outcome, bench.row.status, bench.row.error_code) == ("error", None, type(error).__name__)
    assert (bench.row.usage.prompt_tokens, bench.row.usage.cost) == (used, used if used is None else Decimal(used))


@pytest.mark.parametrize(
    "fields",
    [
        {"html": "<script>sign in</script>"},
        {"content": b"", "headers": {"content-type": "application/json"}},
        {"content": b'{"choices": [', "headers": {"content-type": "application/json"}},
        {"json": {}},
        {"json": {"choices": []}},
        {"json": {"choices": None}},
        {"json": [1, 2]},
    ],
)
def test_a_body_that_is_no_answer_is_an_error_of_unknown_cost(store: UsageStore, fields: dict[str, Any]) -> None:
    bench = Bench(store, says(**fields))
    bench.post()
    assert (bench.row.outcome, bench.row.error_code, bench.row.usage) == ("error", "bad_answer", Usage())


def test_an_error_in_a_good_status_is_an_error(store: UsageStore) -> None:
    bench = Bench(store, says(json={"error": {"code": "overloaded"}}))
    bench.post()
    assert (bench.row.outcome, bench.row.error_code) == ("error", "overloaded")


def test_a_json_answer_to_a_stream_request_is_read(store: UsageStore) -> None:
    bench = Bench(store, says(json=answer()))
    assert bench.post(STREAMED).json() == answer()
    assert (bench.row.outcome, bench.row.usage.total_tokens, bench.row.streamed) == ("complete", 12, True)


def test_compressed_answers_pass_as_they_are_and_are_read(store: UsageStore) -> None:
    body = gzip.compress(json.dumps(answer()).encode())
    coded = {"content-encoding": "gzip", "content-type": "application/json"}
    Bench(store, lambda _: httpx2.Response(200, headers=coded, stream=Body(body[:20], body[20:]))).post()
    events = gzip.compress(WHOLE + USAGE + DONE)
    asked = {**STREAMED, "stream_options": {"include_usage": True}}
    Bench(store, streams(events[:50], events[50:], **{"content-encoding": "gzip"})).post(asked)
    assert [(row.outcome, row.usage.total_tokens) for row in store.records()] == [("complete", 12)] * 2


def test_a_refusal_of_what_the_caller_asked_is_passed_on_and_remembered(store: UsageStore) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        if "stream_options" in json.loads(request.content):
            return httpx2.Response(400, json={"error": {"message": "stream_options is unknown"}})
        return httpx2.Response(200, content=SENT + DONE)

    bench = Bench(store, refuse)
    asked = {**STREAMED, "stream_options": {"include_usage": True}}
    refused = bench.client.post(CHAT, json=asked)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "stream_options is unknown")
    assert bench.client.post(CHAT, json=STREAMED).content == SENT + DONE
    assert ["stream_options" in json.loads(request.content) for request in bench.requests] == [True, False]


@pytest.mark.parametrize(("status", "word"), [(400, "stream_options"), (422, "include_usage")])
def test_an_endpoint_that_rejects_stream_options_is_tried_again_and_remembered(
    store: UsageStore, status: int, word: str
) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if "stream_options" in json.loads(request.content):
            return httpx2.Response(status, json={"error": {"code": "unknown_field", "message": f"{word}: no such"}})
        return httpx2.Response(200, headers=EVENTS, stream=Body(WHOLE + DONE))

    bench = Bench(store, handler)
    assert bench.post(STREAMED).content == WHOLE + DONE
    assert bench.post(STREAMED).content == WHOLE + DONE
    assert ["stream_options" in json.loads(request.content) for request in bench.requests] == [True, False, False]
    rows = [(row.outcome, row.status, row.attempt, row.usage.known) for row in store.records()]
    again = ("complete", 200, 1, "estimated")
    assert rows == [("error", status, 1, "measured"), ("complete", 200, 2, "estimated"), again]


def test_another_refusal_of_a_stream_passes(store: UsageStore) -> None:
    bench = Bench(store, says(400, json={"error": {"code": "bad", "message": "temperature"}}))
    response = bench.post(STREAMED)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad")
    assert bench.row.error_code == "bad"
    assert response.extensions["chatkit_exchange"].record == bench.row


RESPONSE = {
    "model": "gpt-4o-mini-2024-07-18",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Brazil"}]}],
    "usage": {
        "input_tokens": 9,
        "output_tokens": 3,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 2},
    },
}
LONG = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
FILTERED = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
FAILED = {"status": "failed", "error": {"code": "server_error", "message": "sorry"}, "usage": None}


@pytest.mark.parametrize(
    ("change", "kind", "outcome"),
    [
        ({}, "response.completed", "complete"),
        (LONG, "response.incomplete", "length"),
        (FILTERED, "response.incomplete", "filtered"),
        (FAILED, "response.failed", "error"),
    ],
)
def test_responses_streamed_and_not(store: UsageStore, change: dict[str, Any], kind: str, outcome: str) -> None:
    url = "https://api.openai.com/v1/responses"
    end = {**RESPONSE, **change}
    Bench(store, says(json=end)).post({"model": "gpt-4o-mini", "input": "Where?"}, url)
    body = event({"type": "response.created", "response": {**RESPONSE, "usage": None}}, "response.created")
    body += event({"type": "response.output_text.delta", "delta": "Brazil"}, "response.output_text.delta")
    body += event({"type": kind, "response": end}, kind)
    bench = Bench(store, streams(body))
    assert bench.post({"model": "gpt-4o-mini", "input": "Where?", "stream": True}, url).content == body
    assert "stream_options" not in json.loads(bench.requests[0].content)
    for row in store.records():
        assert row.outcome == outcome
        assert row.answered_model == "gpt-4o-mini-2024-07-18"
        if outcome == "error":
            assert (row.error_code, row.usage.known) == ("server_error", "estimated")
        else:
            assert row.usage == Usage(9, 3, 4, 2, cost=Decimal("0.00000285"), known="measured")


def test_searches_are_charged_beside_the_tokens(store: UsageStore) -> None:
    output = [{"type": "web_search_call"}, {"type": "web_search_call"}, *RESPONSE["output"]]
    bench = Bench(store, says(json={**RESPONSE, "output": output}))
    bench.post({"model": "gpt-4o-mini", "input": "Where?"}, "https://api.openai.com/v1/responses")
    assert bench.row.usage.cost == Decimal("0.02") + Decimal("0.00000285")


def test_a_response_stream_without_its_end_is_incomplete(store: UsageStore) -> None:
    body = event({"type": "response.output_text.delta", "delta": "Bra"}, "response.output_text.delta")
    bench = Bench(store, streams(body))
    bench.post({"model": "m", "input": "Where was it held?", "stream": True}, "https://api.openai.com/v1/responses")
    assert (bench.row.outcome, bench.row.usage) == ("incomplete", Usage(5, 1, known="estimated"))


def test_embeddings_and_text_completions(store: UsageStore) -> None:
    vectors = {"data": [{"embedding": [0.5] * 2000}], "model": "text-embedding-3-small", "usage": {"prompt_tokens": 5}}
    Bench(store, says(json=vectors)).post({"model": "text-embedding-3-small", "input": "x"}, CHAT[:26] + "/embeddings")
    old = {"model": "gpt-3.5-turbo-instruct", "choices": [{"text": "Brazil", "finish_reason": "length"}], "usage": USED}
    Bench(store, says(json=old)).post({"model": "gpt-3.5-turbo-instruct", "prompt": "x"}, CHAT[:26] + "/completions")
    first, second = store.records()
    assert (first.outcome, first.usage) == ("complete", Usage(5, cost=Decimal("0.0000001"), known="measured"))
    assert (second.outcome, second.usage.cost) == ("length", Decimal("0.0000195"))


@pytest.mark.parametrize(
    ("fields", "seconds", "known"),
    [
        ({"json": {"text": "hi", "usage": {"type": "duration", "seconds": 60}}}, 60, "measured"),
        ({"json": {"text": "hi", "duration": 60.0, "language": "english"}}, 60, "measured"),
        ({"text": "WEBVTT\n\n00:00.000 --> 01:00.000\nhi\n"}, 60, "estimated"),
        ({"text": "1\n00:00:00,000 --> 00:01:00,000\nhi\n"}, 60, "estimated"),
        ({"text": "hi\n"}, None, "unknown"),
    ],
)
def test_a_transcription_is_priced_by_its_seconds(
    store: UsageStore, fields: dict[str, Any], seconds: float | None, known: str
) -> None:
    bench = Bench(store, says(**fields))
    url = "https://api.openai.com/v1/audio/transcriptions"
    bench.client.post(url, data={"model": "whisper-1"}, files={"file": ("a.wav", b"RIFF" * 1000)})
    assert (bench.row.model, bench.row.outcome) == ("whisper-1", "complete")
    assert (bench.row.usage.audio_seconds, bench.row.usage.known) == (seconds, known)
    assert bench.row.usage.cost == (Decimal("0.006") if seconds else None)


def test_a_transcription_may_be_counted_in_tokens(store: UsageStore) -> None:
    usage = {"type": "tokens", "input_tokens": 100, "output_tokens": 50, "input_token_details": {"audio_tokens": 90}}
    bench = Bench(store, says(json={"text": "hi", "usage": usage}))
    url = "https://api.openai.com/v1/audio/transcriptions"
    bench.client.post(url, data={"model": "gpt-4o-transcribe"}, files={"file": ("a.wav", b"RIFF")})
    assert (bench.row.usage.total_tokens, bench.row.usage.cost) == (150, Decimal("0.001065"))


def test_a_body_that_is_uploaded_piece_by_piece_is_not_consumed(store: UsageStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b'{"model": ', b'"m"}')

    bench = Bench(store, lambda request: httpx2.Response(200, json={"came": request.content.decode()}))
    response = bench.client.post(CHAT, content=pieces(), headers={"content-type": "application/json"})
    assert response.json() == {"came": '{"model": "m"}'}
    assert bench.row.model is None


def test_what_calls_no_model_makes_no_row(store: UsageStore) -> None:
    bench = Bench(store, says(json={"data": []}))
    bench.client.get("https://api.openai.com/v1/models")
    bench.client.delete("https://api.openai.com/v1/responses/r1")
    for path in ("files", "batches", "vector_stores/v1/search", "responses/r1/cancel", "responses/input_tokens"):
        bench.post({}, f"https://api.openai.com/v1/{path}")
    assert store.records() == []


def test_a_sign_in_page_is_no_transcript(store: UsageStore) -> None:
    bench = Bench(store, says(html="<h1>Sign in</h1>"))
    bench.client.post(CHAT[:26] + "/audio/transcriptions", data={"model": "m"}, files={"file": b"RIFF"})
    assert (bench.row.outcome, bench.row.error_code, bench.row.usage) == ("error", "bad_answer", Usage())


def test_a_sound_passes_unread(store: UsageStore) -> None:
    bench = Bench(store, says(content=b"\xff\xfb" * 1000, headers={"content-type": "audio/mpeg"}))
    assert bench.post({"model": "tts-1", "input": "Hi"}, CHAT[:26] + "/audio/speech").content == b"\xff\xfb" * 1000
    assert (bench.row.outcome, bench.row.model, bench.row.usage) == ("complete", "tts-1", Usage())


def test_an_unheard_of_post_is_a_row(store: UsageStore) -> None:
    bench = Bench(store, says(json={"usage": {"input_tokens": 2, "output_tokens": 1}}))
    bench.post({"model": "m"}, "https://api.openai.com/v1/messages")
    assert (bench.row.outcome, bench.row.usage) == ("complete", Usage(2, 1, known="measured"))


def test_a_free_endpoint_costs_nothing_and_an_unknown_one_nobody_knows(store: UsageStore) -> None:
    url = "http://127.0.0.1:8000/v1/chat/completions"
    Bench(store, says(json=answer()), free=True).post(url=url)
    Bench(store, says(json=answer())).post(url=url)
    assert [(row.host, row.usage.cost, row.price_table) for row in store.records()] == [
        ("127.0.0.1", Decimal(0), None),
        ("127.0.0.1:8000", None, None),
    ]


def test_neither_key_nor_text_is_in_the_row_or_the_file(store: UsageStore, tmp_path: Path) -> None:
    secret = {"authorization": "Bearer sk-secret-key", "x-note": "secret-header"}
    body = {**ASKED, "messages": [{"role": "user", "content": "my secret-prompt"}]}
    bench = Bench(store, says(json=answer("secret-answer")))
    response = bench.post(body, headers=secret)
    said = repr(bench.row) + repr(response.extensions["chatkit_exchange"])
    store.close()
    said += b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    assert "secret" not in said


def test_a_long_name_is_cut(store: UsageStore) -> None:
    bench = Bench(store, says(json={**answer(), "model": "m" * 100_000}))
    bench.post({**ASKED, "model": "a" * 100_000})
    assert (len(bench.row.model or ""), len(bench.row.answered_model or "")) == (300, 300)


def test_a_database_that_cannot_be_is_told_of_and_breaks_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkit.ledger.store._default", None)
    monkeypatch.setenv("CHATKIT_DB", ":memory:")
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(says(json=answer())), Meter()))
    with pytest.warns(UserWarning, match="a file or a server.*Usage is not kept"):
        response = client.post(CHAT, json=ASKED)
    assert response.json() == answer()
    assert response.extensions["chatkit_exchange"].record.outcome == "complete"


def test_a_body_beyond_the_limit_passes_unread(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkit.ledger.exchange.MOST_KEPT", 1000)
    big = json.dumps(answer("x" * 5000)).encode()
    kind = {"content-type": "application/json"}
    bench = Bench(store, lambda _: httpx2.Response(200, headers=kind, stream=Body(big[:3000], big[3000:])))
    assert bench.post().content == big
    assert bench.row.usage == Usage()
    one = chunk("x" * 5000)
    bench = Bench(store, streams(WORDS, one[:2000], one[2000:], USAGE, DONE))
    assert bench.post(STREAMED).content == WORDS + one + USAGE + DONE


def both(store: UsageStore, handler: Handler, use: Callable[[httpx2.AsyncClient], Any]) -> None:
    async def run() -> None:
        transport = AsyncMeteredTransport(httpx2.MockTransport(handler), Meter(store))
        async with httpx2.AsyncClient(transport=transport) as client:
            await use(client)

    asyncio.run(run())


def test_an_async_stream_is_metered_the_same(store: UsageStore) -> None:
    async def use(client: httpx2.AsyncClient) -> None:
        assert (await client.post(CHAT, json=STREAMED)).content == WHOLE + DONE
        assert (await client.post(CHAT, json=ASKED)).content == WHOLE + USAGE + DONE

    both(store, streams(WORDS, chunk(reason="stop"), USAGE[:9], USAGE[9:] + DONE), use)
    assert [(row.outcome, row.usage.total_tokens) for row in store.records()] == [("complete", 12)] * 2


def test_an_async_refusal_of_stream_options_is_tried_again(store: UsageStore) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if "stream_options" in json.loads(request.content):
            return httpx2.Response(400, json={"error": {"message": "stream_options"}})
        return httpx2.Response(200, headers=EVENTS, stream=Body(WHOLE + DONE))

    async def use(client: httpx2.AsyncClient) -> None:
        assert (await client.post(CHAT, json=STREAMED)).content == WHOLE + DONE

    both(store, handler, use)
    assert [row.attempt for row in store.records()] == [1, 2]


def test_a_cancelled_task_leaves_one_row(store: UsageStore) -> None:
    async def use(client: httpx2.AsyncClient) -> None:
        came = asyncio.Event()

        async def read() -> None:
            async with client.stream("POST", CHAT, json=STREAMED) as response:
                async for _ in response.aiter_raw():
                    came.set()

        task = asyncio.create_task(read())
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield chunk("In ")
            await asyncio.Event().wait()

    both(store, lambda _: httpx2.Response(200, headers=EVENTS, stream=Endless()), use)
    (row,) = store.records()
    assert (row.outcome, row.error_code, row.usage.completion_tokens) == ("cancelled", None, 1)


def test_a_task_cancelled_before_the_answer_leaves_one_row(store: UsageStore) -> None:
    async def use() -> None:
        asked = asyncio.Event()

        async def hang(_: httpx2.Request) -> httpx2.Response:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        client = httpx2.AsyncClient(transport=AsyncMeteredTransport(httpx2.MockTransport(hang), Meter(store)))
        task = asyncio.create_task(client.post(CHAT, json=ASKED))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())
    (row,) = store.records()
    assert (row.outcome, row.status, row.usage) == ("cancelled", None, Usage())


def test_a_broken_async_stream_gives_its_partial_before_the_error(store: UsageStore) -> None:
    async def use(client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", CHAT, json=STREAMED) as response:
            pieces = response.aiter_raw()
            assert await anext(pieces) + await anext(pieces) == WORDS[:-5]
            with pytest.raises(httpx2.ReadError):
                await anext(pieces)

    both(store, streams(WORDS[:-5], httpx2.ReadError("reset")), use)
    assert [row.outcome for row in store.records()] == ["incomplete"]


def test_a_store_that_is_held_does_not_hold_up_the_loop(store: UsageStore, tmp_path: Path) -> None:
    store.open()
    with closing(sqlite3.connect(tmp_path / "usage.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def use(client: httpx2.AsyncClient) -> None:
            assert (await client.post(CHAT, json=ASKED)).json() == answer()
            assert store.waiting == 1

        both(store, says(json=answer()), use)
        other.execute("ROLLBACK")
    store.flush()
    assert len(store.records()) == 1
