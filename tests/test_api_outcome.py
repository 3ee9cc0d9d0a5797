"""One outcome: what reply, message and usage row say of an answer is one value, whatever comes."""

import json
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import DONE, Told, booked, event, events, say, tell, typed

from chatkit.api.answer import ENDS, Outcome, worst

REASONS = [None, "", "null", "stop", "length", "MAX_TOKENS", "content_filter", "SAFETY", "error", "network_error",
           "tool_calls", "brand_new", "cancelled"]  # fmt: skip
USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

CHUNKS = st.builds(
    lambda text, reason, index, more: event({**say(text, reason, index), **more}),
    st.sampled_from([None, "", "Hel", "lo", "é"]),
    st.sampled_from(REASONS),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([{}, {}, {"model": ""}, {"usage": USED}, {"usage": ZERO}, {"usage": None}]),
)
ODD = st.sampled_from(
    [
        DONE,
        DONE,
        event({"choices": []}),
        event({"choices": [], "usage": USED}),
        event({"error": {"message": "Boom", "code": "boom"}}),
        event({"message": "Boom"}, "error"),
        event(say("x", "error", error={"code": 502, "message": "Boom"})),
        event(say(None, delta={"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})),
        b": ping\n\n",
        b"data: {broken\n\n",
        b'{"error": {"message": "Boom"}}\n\n',
    ]
)


def _response(kind: str, **fields: Any) -> bytes:
    return event({"type": f"response.{kind}", "response": {"model": "answered", **fields}}, f"response.{kind}")


ITEMS = st.sampled_from(
    [
        _response("created", status="in_progress"),
        *typed({"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": "Hel"}),
        *typed({"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": "lo"}),
        *typed({"type": "response.output_text.done", "item_id": "m", "output_index": 0, "text": "Hello"}),
        *typed({"type": "error", "message": "Boom", "code": "boom"}),
        DONE,
    ]
)
LAST = st.builds(
    lambda kind, status, reason, usage: _response(
        kind, status=status, usage=usage, incomplete_details=None if reason is None else {"reason": reason}
    ),
    st.sampled_from(["completed", "incomplete", "failed", "cancelled"]),
    st.sampled_from(["completed", "incomplete", "failed", "cancelled", "queued", "in_progress", None]),
    st.sampled_from([None, "", "max_output_tokens", "content_filter", "brand_new"]),
    st.sampled_from([None, {"input_tokens": 9, "output_tokens": 3}, {"input_tokens": 0, "output_tokens": 0}]),
)
HEARD = st.sampled_from(
    [
        *typed({"type": "transcript.text.delta", "delta": "Hello"}),
        *typed({"type": "transcript.text.done", "text": "Hello", "usage": {"type": "duration", "seconds": 2}}),
        *typed({"type": "error", "error": {"message": "Boom", "code": "boom"}}),
        DONE,
    ]
)
SENT = st.one_of(
    st.tuples(st.just("chat"), st.lists(CHUNKS | ODD, max_size=7)),
    st.tuples(
        st.just("responses"),
        st.tuples(st.lists(ITEMS, max_size=5), st.lists(LAST, max_size=1)).map(lambda both: both[0] + both[1]),
    ),
    st.tuples(st.just("transcribe"), st.lists(HEARD, max_size=4)),
)


def agree(told: Told) -> None:
    """Hold that reply, message and row say the same."""
    reply, row = told.reply, told.row
    assert reply.outcome == row.outcome
    assert reply.model == row.answered_model
    if len(reply.answers) < 2:
        assert told.messages[0].outcome == reply.outcome
    elif reply.outcome in ("complete", "length", "filtered"):
        assert worst(answer.outcome or "complete" for answer in reply.answers) == reply.outcome
    assert (reply.outcome in ("error", "incomplete")) == (reply.error is not None)
    for answer in reply.answers:
        came = "".join(d.text for d in told.deltas if (d.index, d.kind) == (answer.index, "text"))
        assert came == answer.text


@settings(max_examples=200, deadline=None)
@given(SENT, st.sampled_from([1, 1, 2]), st.none() | st.integers(0, 600), st.booleans(), st.lists(st.integers(0, 900)))
def test_reply_message_and_row_agree_whatever_comes(
    sent: tuple[str, list[bytes]], choices: int, end: int | None, breaks: bool, cuts: list[int]
) -> None:
    api, pieces = sent
    wire = b"".join(pieces)[:end]
    edges = [0, *sorted(min(place, len(wire)) for place in cuts), len(wire)]
    bits: list[bytes | BaseException] = [wire[a:b] for a, b in pairwise(edges) if a < b]
    body = {"n": choices} if api == "chat" else {}
    bits += [httpx2.ReadError("reset")] if breaks else []
    told = tell(*bits, api=api, body=body)
    agree(told)
    bare = tell(*bits, api=api, body=body, metered=False)
    assert (bare.reply.outcome, bare.reply.answers, bare.reply.model, bare.reply.notes) == (
        told.reply.outcome, told.reply.answers, told.reply.model, told.reply.notes,
    )  # fmt: skip
    if api != "transcribe" and told.reply.outcome in ("complete", "length", "filtered") and told.reply.text:
        row = booked(*bits, api=api, body=body)[1]
        assert row.answered_model == told.row.answered_model
        assert row.outcome == told.row.outcome


WHOLE = [None, "stop", "length", "max_tokens", "content_filter", "sensitive", "error", "tool_calls", "odd"]


@pytest.mark.parametrize("reason", WHOLE)
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("usage", [None, USED, ZERO])
@pytest.mark.parametrize("choices", [1, 2])
def test_each_answer_of_a_table_has_one_outcome(
    reason: str | None, done: bool, usage: dict[str, int] | None, choices: int
) -> None:
    streamed = [say("Hel", index=number) for number in range(choices)]
    streamed += [{**say(None, reason, number), "usage": usage} for number in range(choices)]
    agree(tell(*events(*streamed), *([DONE] if done else []), body={"n": choices}))
    message = {"role": "assistant", "content": "Hello"}
    choice = [{"index": number, "message": message, "finish_reason": reason} for number in range(choices)]
    whole = json.dumps({"model": "answered", "choices": choice, "usage": usage}).encode()
    agree(tell(whole, body={"n": choices}, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(("status", "outcome"), [
    ("completed", "complete"), ("incomplete", "incomplete"), ("cancelled", "cancelled"), ("queued", "incomplete"),
    ("in_progress", "incomplete"),
])  # fmt: skip
@pytest.mark.parametrize("details", [None, {}, {"reason": None}, {"reason": ""}])
def test_a_response_is_only_complete_if_its_status_says_so(status: str, outcome: str, details: Any) -> None:
    text = typed({"type": "response.output_text.delta", "item_id": "m", "delta": "Hel"})
    kind = status if status in ("completed", "incomplete") else "completed"
    told = tell(*text, _response(kind, status=status, incomplete_details=details), api="responses")
    assert told.outcomes == (outcome,) * 3
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hel"}]}]
    body = {"model": "m", "status": status, "incomplete_details": details, "output": output}
    whole = tell(json.dumps(body).encode(), api="responses", headers={"content-type": "application/json"})
    assert whole.outcomes == (outcome,) * 3


def test_an_incomplete_response_with_a_reason_that_nobody_knows_is_not_whole() -> None:
    text = typed({"type": "response.output_text.delta", "item_id": "m", "delta": "Hel"})
    told = tell(*text, _response("incomplete", incomplete_details={"reason": "new"}), api="responses")
    assert told.outcomes == ("incomplete",) * 3
    assert told.reply.finish_reason == "new"


@pytest.mark.parametrize(("word", "outcome"), [("stop", "filtered"), ("length", "complete"), ("brand_new", "length")])
def test_one_line_of_the_table_changes_reply_message_and_row(
    word: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = events(say("Hello"), say(None, word), DONE)
    before = tell(*wire).outcomes
    monkeypatch.setitem(ENDS, word, (outcome, "a test"))
    assert before != tell(*wire).outcomes == (outcome,) * 3
    assert booked(*wire)[1].outcome == outcome


def test_an_answer_that_is_stopped_after_its_reason_is_whole_everywhere() -> None:
    told = tell(*events(say("Hello", "stop")), httpx2.ReadError("reset"))
    assert told.outcomes == ("complete",) * 3


def test_a_stream_of_nothing_is_an_error_everywhere() -> None:
    for wire in ([event({"choices": []}), DONE], [DONE], [event({"choices": [], "usage": USED}), DONE]):
        told = tell(*wire)
        assert (told.outcomes, told.row.error_code) == (("error",) * 3, "bad_answer")
        assert str(told.reply.error).startswith("The endpoint ended its answer without having begun one.")
        assert booked(*wire)[1].outcome == "error"
