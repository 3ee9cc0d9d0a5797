"""Reading answers: whatever comes, the meter takes it without an error of its own."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.api import answer
from chatkit.api.reading import Body
from chatkit.api.request import reading_of
from chatkit.api.sse import Event, Splitter
from chatkit.ledger.estimate import of_prompt

KEYS = ["choices", "delta", "content", "usage", "finish_reason", "error", "code", "model", "response", "status", "type",
        "output", "text", "message", "prompt_tokens", "input_tokens_details", "cached_tokens", "incomplete_details",
        "duration", "seconds", "service_tier", "reason", "role"]  # fmt: skip
WORDS = [
    "",
    "stop",
    "length",
    "assistant",
    "failed",
    "incomplete",
    "error",
    "usage",
    "finish_reason",
    "response.completed",
]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)
KINDS = st.sampled_from(("chat", "text", "responses", "embeddings", "audio", "moderations", "other"))
NAMES = st.sampled_from(("", "error", "response.created", "response.completed", "response.output_text.delta"))


OUTCOMES = ("complete", "length", "filtered", "incomplete", "cancelled", "error")


@settings(max_examples=400)
@given(KINDS, st.booleans(), st.lists(st.tuples(NAMES, JSON), max_size=5))
def test_no_event_is_too_strange(kind: Any, follows: bool, events: list[tuple[str, Any]]) -> None:
    reading = reading_of(kind)
    if follows:
        reading.follow(1000)
    for name, value in events:
        data = json.dumps(value).encode()
        reading.take(Event(name, data, data))
    assert reading.outcome("incomplete") in OUTCOMES
    assert len(str(reading.error_code)) <= 200


@settings(max_examples=400)
@given(KINDS, st.booleans(), JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_no_body_is_too_strange(kind: Any, follows: bool, data: bytes) -> None:
    for status in (200, 400):
        body = Body(reading_of(kind), "application/json", status=status, streamed=follows, edits=False)
        if follows:
            body.follow(1000, 1000)
        assert body.take(data) == data
        assert body.rest() == b""
        assert body.reading.outcome("incomplete") in OUTCOMES


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(["a", "usage", '"usage"', '\\"finish_reason\\":', "error", "é🙂", "assistant"]), min_size=1
    )
)
def test_a_search_in_the_bytes_finds_what_parsing_finds(words: list[str]) -> None:
    quick, slow = reading_of("chat"), reading_of("chat")
    slow.follow(10**6)
    chunks: list[Any] = [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": {"prompt_tokens": 1}})
    for compact in (True, False):
        for chunk in chunks:
            data = json.dumps(chunk, separators=(",", ":") if compact else None).encode()
            for reading in (quick, slow):
                reading.take(Event("", data, data))
    for name in ("pieces", "finished", "counts", "model", "error_code"):
        assert getattr(quick, name) == getattr(slow, name)
    assert quick.outcome("incomplete") == slow.outcome("incomplete") == "length"
    assert quick.pieces == 2 * len(words)


def test_nothing_is_read_after_done() -> None:
    reading, splitter = reading_of("chat"), Splitter()
    body = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\ndata: {"error":{"code":"late"}}\n\n'
    for event in splitter.feed(body):
        reading.take(event)
    assert (reading.outcome("incomplete"), reading.error_code, reading.pieces) == ("complete", None, 1)


@pytest.mark.parametrize(
    ("body", "estimate"),
    [
        ({}, 0),
        ({"messages": [{"role": "user", "content": "12345678"}]}, 6),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "1234"}]}]}, 5),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 99}}]}]}, 4),
        ({"input": "12345", "instructions": "123"}, 2),
        ({"prompt": ["1234", "1234"]}, 10),
        ({"input": "日本語"}, 3),
        ({"messages": 3, "input": None, "prompt": {"a": ["\ud800"]}}, 1),
    ],
)
def test_the_estimate_of_a_prompt(body: dict[str, Any], estimate: int) -> None:
    assert of_prompt(body) == estimate


def test_counts_of_images_and_audio() -> None:
    sent = {"input_tokens": 50, "output_tokens": 20, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
             "output_tokens_details": {"image_tokens": 20, "reasoning_tokens": None}}  # fmt: skip
    assert answer.read(sent) == {
        "input_tokens": 50, "output_tokens": 20, "input_image_tokens": 40, "output_image_tokens": 20,
    }  # fmt: skip
