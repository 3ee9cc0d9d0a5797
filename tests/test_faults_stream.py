"""Faults in the middle of an answer (group B of the catalogue), played by a raw server, piece by piece."""

import asyncio
import gc
import json
import threading
import tracemalloc
from itertools import pairwise
from typing import Any

import psutil
import pytest
from faultserver import (
    CLOSE,
    DONE,
    GATE,
    LAST_CHUNK,
    RESET,
    FaultServer,
    chunk,
    cut,
    event,
    head,
    opening,
    plain_stream,
    say,
    stop,
    stream,
    usage,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from turns import BODY, Taken, ask, bare_client, outcomes

from chatkit.api.chat import ChatReading
from chatkit.api.sse import Splitter
from chatkit.client.deadlines import Deadlines
from chatkit.client.engine import Engine
from chatkit.client.reply import Answer, Delta, Reply
from chatkit.client.run import Run, start

HASTY = Deadlines(first_content=10, idle=0.1, tail=0.1)


def ended(taken: Taken) -> tuple[str, str, str | None]:
    """How a turn ended: outcome, the text that was kept, the kind of its error."""
    assert taken.text == taken.reply.text
    return taken.reply.outcome, taken.reply.text, taken.kind


# cut and stalled


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_stream_that_is_cut_is_incomplete_and_keeps_its_text(end: str) -> None:
    with FaultServer(cut(say("Hel"), say("lo"), GATE, end)) as server:
        taken = ask(server, then=lambda item: server.release() if item == Delta("lo") else None)
    assert ended(taken) == ("incomplete", "Hello", "stream")
    assert outcomes(taken.reply.records) == [(1, "incomplete", 200)]


def test_a_stream_that_ends_cleanly_without_a_reason_is_incomplete() -> None:
    with FaultServer(plain_stream(say("Hel"), say("lo"))) as server:
        taken = ask(server)
    assert ended(taken) == ("incomplete", "Hello", "stream")
    assert taken.message == ("The answer stopped before its end: no finish reason came. Continue or try again.")
    assert len(server.log) == 1


def test_a_stream_that_is_cut_before_its_first_word_is_an_error_and_not_sent_again() -> None:
    with FaultServer(cut(say("", role="assistant"), CLOSE)) as server:
        taken = ask(server)
    assert (ended(taken), len(server.log)) == (("error", "", "stream"), 1)


def test_an_event_that_is_cut_in_half_is_a_cut_and_not_a_bad_event() -> None:
    with FaultServer(plain_stream(say("Hello"), event(say(" world"))[:40])) as server:
        assert ended(ask(server)) == ("incomplete", "Hello", "stream")


def test_a_last_event_without_its_blank_line_counts() -> None:
    with FaultServer(plain_stream(say("Hello"), event(stop()).rstrip())) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_a_stall_ends_at_the_idle_deadline_and_closes_the_connection() -> None:
    with FaultServer(cut(say("Hello"), GATE)) as server:
        taken = ask(server, deadlines=HASTY)
        server.wait_until(lambda s: s.open == 0)
    assert ended(taken) == ("incomplete", "Hello", "timeout")
    assert taken.message == "The answer stalled: nothing came for 0.1 s. Continue or try again."
    assert outcomes(taken.reply.records) == [(1, "incomplete", 200)]


def test_keep_alive_comments_do_not_hold_a_dead_stream_open() -> None:
    with FaultServer(cut(say("Hello"), lambda: chunk(b": keep-alive\n\n"))) as server:
        assert ended(ask(server, deadlines=HASTY)) == ("incomplete", "Hello", "timeout")


def test_chunks_without_content_do_not_hold_a_dead_stream_open() -> None:
    with FaultServer(cut(say("Hello"), lambda: chunk(event(say(""))))) as server:
        assert ended(ask(server, deadlines=HASTY)) == ("incomplete", "Hello", "timeout")


def test_the_turns_deadline_ends_a_stream_that_never_stops() -> None:
    with FaultServer(cut(lambda: chunk(event(say("x"))))) as server:
        taken = ask(server, deadlines=Deadlines(turn=0.2))
    assert (taken.reply.outcome, taken.kind) == ("incomplete", "timeout")
    assert taken.message.startswith("The turn took longer than 0.2 s.")
    assert set(taken.reply.text) == {"x"}


# how it ends


def test_done_without_a_reason_is_complete_with_a_note() -> None:
    with FaultServer(stream(say("Hello"), DONE)) as server:
        taken = ask(server)
    assert ended(taken) == ("complete", "Hello", None)
    assert (taken.reply.finish_reason, taken.reply.notes) == (None, ("ended without reason",))


def test_a_reason_without_done_is_complete() -> None:
    with FaultServer(plain_stream(say("Hello"), stop())) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


@pytest.mark.parametrize("end", [GATE, RESET])
def test_what_fails_after_the_reason_does_not_unsay_the_answer(end: str) -> None:
    with FaultServer(cut(say("Hello"), stop(), end)) as server:
        assert ended(ask(server, deadlines=HASTY)) == ("complete", "Hello", None)


@pytest.mark.parametrize(
    ("reason", "outcome", "notes"),
    [
        ("stop", "complete", ()),
        ("tool_calls", "complete", ()),
        ("length", "length", ()),
        ("content_filter", "filtered", ()),
        ("eos_token", "complete", ("finish_reason is 'eos_token'",)),
    ],
)
def test_each_finish_reason_is_kept_as_sent(reason: str, outcome: str, notes: tuple[str, ...]) -> None:
    with FaultServer(stream(say("Hello"), stop(reason), DONE)) as server:
        reply = ask(server).reply
    assert (reply.finish_reason, reply.outcome, reply.notes) == (reason, outcome, notes)


@pytest.mark.parametrize(("reason", "outcome"), [("length", "length"), ("content_filter", "filtered")])
def test_an_end_without_a_word_says_so(reason: str, outcome: str) -> None:
    with FaultServer(stream(say(None, role="assistant"), stop(reason), DONE)) as server:
        taken = ask(server)
    assert ended(taken) == (outcome, "", None)
    assert taken.reply.notes == ("the answer has no text",)


def test_tool_calls_are_put_together_from_their_pieces() -> None:
    def call(**fields: Any) -> dict[str, Any]:
        return say(None, tool_calls=[fields])

    events = [
        call(index=0, id="call_a", type="function", function={"name": "add", "arguments": ""}),
        call(index=0, function={"arguments": '{"a": '}),
        call(index=1, id="call_b", type="function", function={"name": "now", "arguments": "{}"}),
        call(index=0, function={"arguments": "1}"}),
    ]
    with FaultServer(stream(*events, stop("tool_calls"), DONE)) as server:
        taken = ask(server)
    assert taken.reply.answers[0].tool_calls == (
        {"id": "call_a", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "call_b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    )
    assert [item.text for item in taken.items] == ['{"a": ', "{}", "1}"]
    assert {item.kind for item in taken.items} == {"tool_call"}
    assert taken.reply.notes == ()


def test_a_tool_call_that_is_cut_in_half_is_kept_as_it_is() -> None:
    half = say(None, tool_calls=[{"index": 0, "function": {"name": "add", "arguments": '{"a'}}])
    with FaultServer(plain_stream(half)) as server:
        reply = ask(server).reply
    assert reply.outcome == "incomplete"
    assert reply.answers[0].tool_calls[0]["function"] == {"name": "add", "arguments": '{"a'}


@pytest.mark.parametrize("calls", [None, [], [None], ["x"], [{}], [{"index": "a", "function": 5}], {"a": 1}, "abc"])
def test_odd_tool_calls_do_not_end_a_turn(calls: Any) -> None:
    with FaultServer(stream(say("Hello", tool_calls=calls), stop(), DONE)) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_the_usage_counts_once_however_often_it_is_sent() -> None:
    def with_usage(value: dict[str, Any], tokens: int) -> dict[str, Any]:
        return {**value, "usage": {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}}

    events = [with_usage(say("a"), 1), with_usage(say("b"), 2), with_usage(stop(), 2), usage(3, 2), DONE]
    with FaultServer(stream(*events)) as server:
        used = ask(server).reply.usage
    assert (used.prompt_tokens, used.completion_tokens, used.known, used.calls) == (3, 2, "measured", 1)


def test_without_a_usage_chunk_the_usage_is_not_zero_but_estimated() -> None:
    with FaultServer(stream({**say("a"), "usage": None}, {**stop(), "usage": None}, DONE)) as server:
        assert ask(server).reply.usage.known in ("estimated", "unknown")


def test_what_comes_after_done_is_ignored() -> None:
    with FaultServer(stream(say("Hello"), stop(), DONE, say(" again"), "{bad")) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_a_server_that_keeps_talking_after_done_does_not_hold_up_the_reply() -> None:
    with FaultServer(cut(say("Hello"), stop(), DONE, lambda: chunk(b": more\n\n"))) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)
        server.wait_until(lambda s: s.open == 0)


# events that are none


def test_a_bad_event_in_the_middle_is_an_error_that_keeps_the_partial() -> None:
    with FaultServer(stream(say("Hel"), b'data: {"choices": [\n\n', say("lo"), stop(), DONE)) as server:
        taken = ask(server)
    assert ended(taken) == ("error", "Hel", "bad_answer")
    assert "an event cannot be read, it is not JSON" in taken.message
    assert outcomes(taken.reply.records) == [(1, "error", 200)]


@pytest.mark.parametrize("odd", ["5", "[1]", '"x"', "true", "[" * 5000, "NaN{", "{}x"])
def test_each_kind_of_bad_event_has_the_same_class_of_error(odd: str) -> None:
    with FaultServer(stream(say("Hel"), odd, say("lo"))) as server:
        assert ended(ask(server)) == ("error", "Hel", "bad_answer")


def test_text_before_a_bad_event_in_the_same_piece_is_kept() -> None:
    with FaultServer(stream(event(say("Hel")) + b"data: {\n\n" + event(say("lo")))) as server:
        assert ended(ask(server)) == ("error", "Hel", "bad_answer")


def test_bytes_that_are_not_utf_8_become_a_mark_and_a_note() -> None:
    broken = event(say("Gr@n")).replace(b"@", b"\xfc")
    with FaultServer(stream(broken, stop(), DONE)) as server:
        taken = ask(server)
    assert ended(taken) == ("complete", "Gr\ufffdn", None)
    assert taken.reply.notes == ("bytes that are not UTF-8 were replaced by \ufffd",)


@pytest.mark.parametrize(
    "error",
    [
        event({"error": {"message": "Boom <script>", "type": "server_error"}}),
        event({"error": "Boom <script>"}),
        event({"message": "Boom <script>"}, "error"),
        event("Boom <script>", "error").replace(b"Boom <script>", b'"Boom <script>"'),
        b'error: {"message": "Boom <script>"}\n\n',
        b'{"error": {"message": "Boom <script>"}}\n\n',
    ],
)
def test_an_error_in_the_stream_is_an_error_that_keeps_the_partial(error: bytes) -> None:
    with FaultServer(stream(say("Hel"), error, say("lo"))) as server:
        taken = ask(server)
    assert ended(taken) == ("error", "Hel", "server")
    assert "The endpoint reported an error in its answer." in taken.message
    assert "Boom" in taken.message
    assert "<script" not in taken.message
    assert len(server.log) == 1


def test_an_error_in_the_stream_keeps_its_code() -> None:
    with FaultServer(stream(say("Hel"), {"error": {"message": "Slow", "code": "rate_limit_exceeded"}})) as server:
        error = ask(server).reply.error
    assert (error.kind, error.code, error.status) == ("rate_limit", "rate_limit_exceeded", 200)


def test_a_stream_that_begins_with_an_error_is_an_error() -> None:
    with FaultServer(stream({"error": {"message": "Boom"}})) as server:
        assert ended(ask(server)) == ("error", "", "server")


# forms of the wire


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + event(say("Hello")) + event(stop()),
        event(say("Hello")).replace(b"\n", b"\r\n") + event(stop()).replace(b"\n", b"\r\n"),
        event(say("Hello")).replace(b"\n", b"\r") + event(stop()).replace(b"\n", b"\r"),
        event(say("Hello")).replace(b"data: ", b"data:") + event(stop()),
        b"retry: 10\n\n" + event(say("Hello")) + b"id: 5\n\n" + event(stop()),
        b": comment\n\n" + event(say("Hello")) + b"data:\n\ndata: \n\ndata\n\n" + event(stop()),
        b"id: 1\nretry: 5\nevent: message\n" + event(say("Hello")) + event(stop()),
        json.dumps(say("Hello"), indent=1).replace("\n", "\ndata: ").join(["data: ", "\n\n"]).encode() + event(stop()),
    ],
)
def test_each_way_to_write_an_event_is_read(body: bytes) -> None:
    with FaultServer(stream(body, DONE)) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_a_chunk_that_comes_twice_is_shown_as_sent() -> None:
    with FaultServer(stream(say("Hello"), say("Hello"), stop(), DONE)) as server:
        assert ended(ask(server)) == ("complete", "HelloHello", None)


@pytest.mark.parametrize(
    "odd",
    [
        {**say(None), "choices": []},
        {**say(None), "choices": None},
        {"id": "c1"},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [{"index": None, "delta": {}}]},
        {"choices": [None, 5, "x"]},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {"content": {"a": 1}}}]},
        say(None),
        say("", role="system"),
        "null",
    ],
)
def test_odd_chunks_are_tolerated(odd: Any) -> None:
    with FaultServer(stream(odd, say("Hel"), odd, say("lo"), odd, stop(), DONE)) as server:
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, {"type": "image"}]
    with FaultServer(stream(say(parts), stop(), DONE)) as server:  # type: ignore[arg-type]
        assert ended(ask(server)) == ("complete", "Hello", None)


def test_two_answers_are_kept_apart() -> None:
    pieces = [say("a", 0), say("x", 1), say("b", 0), say("y", 1), stop("stop", 1), say("c", 0), stop("length", 0)]
    with FaultServer(stream(*pieces, DONE)) as server:
        taken = ask(server, {**BODY, "n": 2})
    assert taken.reply.answers == (
        Answer(0, "abc", finish_reason="length"),
        Answer(1, "xy", finish_reason="stop"),
    )
    assert [(item.index, item.text) for item in taken.items] == [(0, "a"), (1, "x"), (0, "b"), (1, "y"), (0, "c")]


@pytest.mark.parametrize("index", [-1, 10**9])
def test_an_answer_with_an_impossible_number_is_an_error(index: int) -> None:
    with FaultServer(stream(say("Hel"), say("lo", index))) as server:
        assert ended(ask(server)) == ("error", "Hel", "bad_answer")


def test_halves_of_a_character_in_two_chunks_are_put_together() -> None:
    first, second = (event(say("@")).replace(b"@", half) for half in (rb"a\ud83d", rb"\ude00b"))
    with FaultServer(stream(first, second, stop(), DONE)) as server:
        taken = ask(server)
    assert (ended(taken), taken.reply.notes) == (("complete", "a😀b", None), ())


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\ude00"])
def test_half_a_character_alone_becomes_a_mark(half: bytes) -> None:
    with FaultServer(stream(event(say("a@")).replace(b"@", half), stop(), DONE)) as server:
        taken = ask(server)
    assert ended(taken) == ("complete", "a\ufffd", None)
    assert taken.reply.notes == ("half characters were replaced by \ufffd",)


WORDS = ["Hello ", "日本語", "😀👨‍👩‍👧", "é", "\n\n", "\r\n", "data: x", "\ufeff", "ﷺ"]
WIRE = b"".join(event(value) for value in (*map(say, WORDS), stop(), DONE))
ESCAPED = b"".join(
    b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in (*map(say, WORDS), stop())
) + event(DONE)


@given(st.sampled_from([WIRE, ESCAPED]), st.lists(st.integers(1, len(ESCAPED)), max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_text_is_the_same_for_every_split_of_its_bytes(wire: bytes, cuts: list[int]) -> None:
    splitter, reading = Splitter(), ChatReading()
    reading.follow(10**6)
    edges = [0, *sorted(min(place, len(wire)) for place in cuts), len(wire)]
    for left, right in pairwise(edges):
        for found in splitter.feed(wire[left:right]):
            reading.take(found)
    assert "".join(a.text for a in reading.answers()) == "".join(WORDS)
    assert (reading.over, reading.outcome("incomplete"), reading.notes) == (True, "complete", [])


def test_the_text_is_the_same_when_each_byte_comes_alone() -> None:
    with FaultServer([opening(), *(chunk(bytes([byte])) for byte in WIRE), LAST_CHUNK]) as server:
        taken = ask(server)
    assert ended(taken) == ("complete", "".join(WORDS), None)
    assert taken.reply.raw == WIRE


# too long


def test_an_endless_stream_is_stopped_at_the_cap() -> None:
    with FaultServer(cut(lambda: chunk(event(say("x" * 1000)) * 10))) as server:
        taken = ask(server, deadlines=Deadlines(text=25_500))
        server.wait_until(lambda s: s.open == 0)
    assert ended(taken) == ("incomplete", "x" * 25_500, "too_long")
    assert taken.message.startswith("The answer is too long: more than 25,500 characters.")
    assert outcomes(taken.reply.records) == [(1, "incomplete", 200)]


def test_two_hundred_megabytes_are_stopped_at_two_and_memory_stays_bounded() -> None:
    megabyte = chunk(event(say("x" * 2**20)))
    with FaultServer([opening(), *[megabyte] * 200, LAST_CHUNK]) as server:
        tracemalloc.start()
        try:
            taken = ask(server)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (len(taken.reply.text), taken.reply.outcome, taken.kind) == (2_000_000, "incomplete", "too_long")
    assert peak < 64 * 2**20


@pytest.mark.parametrize("form", ["event", "json"])
def test_one_piece_of_64_mib_is_not_read_to_its_end(form: str) -> None:
    first, kind = (b'{"choices": [{"delta": {"content": "', "json") if form == "json" else (b"data: ", "event-stream")
    piece = chunk(b"x" * 2**20)
    start_of_it = head(200, {"content-type": f"text/{kind}", "transfer-encoding": "chunked"}) + chunk(first)
    with FaultServer([start_of_it, *[piece] * 64, LAST_CHUNK]) as server:
        taken = ask(server)
        server.wait_until(lambda s: s.open == 0)
    assert ended(taken) == ("error", "", "too_long")
    assert taken.message.startswith("The answer is too long: one event of more than 16,777,216 bytes.")


def test_the_raw_body_is_kept_only_up_to_its_cap() -> None:
    with FaultServer(stream(say("Hello"), stop(), DONE)) as server:
        reply = ask(server, deadlines=Deadlines(raw=100)).reply
    assert reply.raw == event(say("Hello"))[:100]
    assert reply.notes == ("the raw body is kept only in part",)


# many turns


def test_a_stopped_answer_and_the_next_one_do_not_mix() -> None:
    answer = stream(say("new"), stop(), DONE)
    with FaultServer(cut(say("old"), GATE, say("old too")), answer) as server:
        runs = _Runs(server.url)
        first = runs.start()
        assert next(iter(first)) == Delta("old")
        first.cancel()
        second = runs.start()
        assert second.wait().text == "new"
        server.release()
        assert (first.wait().text, first.wait().outcome) == ("old", "cancelled")
        runs.close()


def test_many_streams_at_once_do_not_mix() -> None:
    def script(number: int) -> list[Any]:
        return stream(*[say(f"{number} ")] * 20, GATE, *[say(f"{number} ")] * 20, stop(), DONE)

    with FaultServer(*map(script, range(30))) as server:
        runs = _Runs(server.url)
        started = [runs.start() for _ in range(30)]
        server.wait_until(lambda s: len(s.log) == 30)
        server.release(30)
        texts = sorted(run.wait(10).text for run in started)
        runs.close()
    assert texts == sorted(f"{number} " * 40 for number in range(30))


def test_a_thousand_started_and_dropped_streams_leave_nothing_behind() -> None:
    process = psutil.Process()
    with FaultServer(cut(say("x" * 100), GATE)) as server:
        runs = _Runs(server.url)
        runs.drop(server, 50)
        before = (_sockets_to(server), threading.active_count(), runs.tasks())
        held = process.memory_info().rss
        for _ in range(20):
            runs.drop(server, 50)
        after = (_sockets_to(server), threading.active_count(), runs.tasks())
        assert len(server.log) == 1050
        assert after == before
        assert process.memory_info().rss - held < 20 * 2**20
        runs.close()


def _sockets_to(server: FaultServer) -> int:
    held = psutil.Process().net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == server.port for one in held)


class _Runs:
    """Turns on the loop's thread, all on one client."""

    def __init__(self, url: str) -> None:
        self.client = bare_client(url)

    def start(self) -> Run:
        return start(lambda: Engine().stream(self.client, BODY))

    def drop(self, server: FaultServer, many: int) -> None:
        """Start so many streams, let each have its first word, and let go of them."""
        came = threading.Semaphore(0)
        runs = [self.start() for _ in range(many)]
        endings = [run.listen(lambda item: came.release() if isinstance(item, Delta) else None) for run in runs]
        for _ in range(many):
            assert came.acquire(timeout=10)
        for end in endings:
            end()
        del runs, endings, end
        gc.collect()
        server.wait_until(lambda s: s.open == 0)

    def tasks(self) -> int:
        """How many tasks the loop has beside the one that counts them."""
        return int(self._on_loop(_count).text)

    def close(self) -> None:
        async def close():
            await self.client.close()
            yield Reply((), "complete")

        self._on_loop(close)

    def _on_loop(self, make: Any) -> Reply:
        return start(make).wait(10)


async def _count():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        await asyncio.wait({task}, timeout=1)
    yield Reply((Answer(text=str(len([task for task in others if not task.done()]))),), "complete")
