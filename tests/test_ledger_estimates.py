"""Estimates before a request: exact sums, true bounds, and None where nothing is known."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.api.parameters import LOCAL_LONGEST
from chatkit.ledger import estimate
from chatkit.ledger.estimate import (
    OPENAI,
    CostRange,
    Estimate,
    Range,
    count_prompt,
    estimate_audio,
    estimate_body,
    priced_as,
)
from chatkit.ledger.record import Usage
from chatkit.local import chat as local_chat

bpe_openai = pytest.importorskip("bpe_openai", reason="bpe-openai is not installed")

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASKED = "Where was the 2014 World Cup held?"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": ASKED}], "max_completion_tokens": 100}


@pytest.fixture
def without_bpe(monkeypatch):
    monkeypatch.setattr(estimate, "find_spec", lambda name: None)


def test_a_known_models_prompt_is_counted_by_its_vocabulary():
    exact = len(bpe_openai.get_encoding("o200k_base").encode_ordinary(ASKED))
    assert count_prompt(BODY) == estimate.Counted(Range(exact, exact + 7, exact + 11), "bpe-openai o200k_base")


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-6-luna", "o200k_base"),
        ("gpt-5.4-mini", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4o-2024-08-06", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-oss-20b", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("SmolLM2-135M-Instruct", None),
        ("mistral-small", None),
        ("o", None),
        ("", None),
    ],
)
def test_each_family_has_its_vocabulary(model, vocabulary):
    assert estimate.vocabulary_of(model) == vocabulary


def test_without_the_package_four_bytes_are_a_token_and_a_byte_is_the_bound(without_bpe):
    # 34 bytes: 9 tokens by the rule, 34 at the very most; 4 to 8 around the message, 3 to 64 before the first
    assert count_prompt(BODY) == estimate.Counted(Range(6, 16, 106), "4 bytes a token")


def test_the_package_is_not_imported_for_a_model_whose_vocabulary_it_has_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    assert count_prompt({"model": "my-own", "input": "Hello"}).how == "4 bytes a token"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_the_bounds_hold_for_any_text(texts):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text} for text in texts]}
    found, rough = count_prompt(body).tokens, count_prompt({**body, "model": "my-own"}).tokens
    assert found.low <= found.likely <= found.high <= rough.high
    assert rough.low <= rough.likely <= rough.high


def test_a_long_text_is_counted_in_pieces_without_losing_any():
    text = "Grüße, world! 123 import os\n" * 40_000
    assert "".join(estimate._pieces(text)) == text
    once = len(bpe_openai.get_encoding("o200k_base").encode_ordinary(text[:28_000]))
    count = count_prompt({"model": "gpt-4o", "input": text}).tokens.low
    assert count == pytest.approx(40 * once, abs=30)  # a cut may cost a token


@pytest.mark.parametrize("text", ["x" * 300_000, "\n" * 300_000, "\ud800", "<|endoftext|>", "😀" * 100_000])
def test_texts_that_are_no_prose_are_counted_too(text):
    found = count_prompt({"model": "gpt-4o", "input": text}).tokens
    assert 0 < found.low <= len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("content", "unseen"),
    [
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], ("pictures",)),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}], ("sound",)),
        ([{"type": "file", "file": {"file_id": "f"}}, {"type": "image_url", "image_url": "u"}], ("files", "pictures")),
    ],
)
def test_what_is_not_text_leaves_the_prompt_without_a_bound(content, unseen):
    counted = count_prompt({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]})
    assert (counted.unseen, counted.tokens.high) == (unseen, None)
    found = estimate_body({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}, OPENAI, at=AT)
    assert found.cost is not None and found.cost.high is None
    assert f"without {' and '.join(unseen)}" in found.how


def test_what_the_endpoint_keeps_has_no_bound():
    counted = count_prompt({"model": "gpt-4o", "input": "And then?", "previous_response_id": "resp_1"})
    assert (counted.unseen, counted.tokens.high) == (("what the endpoint keeps",), None)


def test_an_estimate_is_priced_by_the_table():
    found = estimate_body(BODY, OPENAI, at=AT)
    low, likely, high = count_prompt(BODY).tokens
    assert found.completion == Range(0, 100, 100)
    assert found.cost == CostRange(
        low * Decimal("0.15") / 1_000_000,
        (likely * Decimal("0.15") + 100 * Decimal("0.6")) / 1_000_000,
        (high * Decimal("0.15") + 100 * Decimal("0.6")) / 1_000_000,
    )
    assert found.how == "Prompt by bpe-openai o200k_base; an answer of at most 100 tokens, 100 assumed."


def test_without_a_limit_the_models_longest_answer_is_the_bound():
    body = {"model": "gpt-4o-mini", "input": "Hi"}
    assert estimate_body(body, OPENAI, at=AT).completion == Range(0, 300, 16_384)
    assert estimate_body(body, OPENAI, typical=40, at=AT).completion == Range(0, 40, 16_384)


def test_the_window_bounds_an_answer_too():
    assert estimate_body({"model": "m", "input": "x" * 600}, OPENAI, window=1_000).completion == Range(0, 300, 900)
    assert estimate_body({"model": "m", "input": "x" * 9_000}, OPENAI, window=1_000).completion == Range(0, 0, 0)
    assert estimate_body({"model": "m", "input": "x"}, OPENAI).completion == Range(0, 300, None)


def test_n_answers_are_n_times_the_tokens():
    assert estimate_body({**BODY, "n": 3}, OPENAI, at=AT).completion == Range(0, 300, 300)
    assert "3 answers of at most 300 tokens" in estimate_body({**BODY, "n": 3}, OPENAI).how


def test_a_tier_of_service_has_its_price():
    usual, flex, auto = (
        estimate_body({**BODY, "model": "gpt-5.4-mini", "service_tier": tier}, OPENAI, at=AT).cost
        for tier in ("default", "flex", "auto")
    )
    assert usual and flex and usual == auto
    assert flex.likely == usual.likely / 2


@pytest.mark.parametrize(
    ("model", "url"),
    [("no-such-model", OPENAI), ("gpt-4o-mini", "https://models.example.org/v1"), (None, OPENAI)],
)
def test_an_unknown_price_is_none(model, url):
    found = estimate_body({**BODY, "model": model}, url)
    assert (found.cost, found.unpriced_calls) == (None, 1)


def test_a_local_answer_costs_nothing_and_ends_where_the_local_server_ends_it():
    found = estimate_body({"model": "m", "input": "Hi"}, "http://127.0.0.1:9/v1", local=True)
    assert found.cost == CostRange(Decimal(0), Decimal(0), Decimal(0))
    assert found.completion == Range(0, 300, LOCAL_LONGEST)
    [body] = local_chat.read({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).bodies
    assert body["max_tokens"] == LOCAL_LONGEST


def test_estimates_add_and_multiply():
    one, other = estimate_body(BODY, OPENAI, at=AT), estimate_body({**BODY, "model": "mine"}, OPENAI, at=AT)
    both = sum([one, other])
    assert isinstance(both, Estimate)
    assert (both.calls, both.unpriced_calls, both.cost) == (2, 1, one.cost)
    assert both.prompt.likely == one.prompt.likely + other.prompt.likely
    assert both.how == f"{one.how} {other.how}"
    class_of_30 = one * 30
    assert class_of_30 == 30 * one == sum([one] * 30)
    assert one.cost and class_of_30.cost and class_of_30.cost.likely == one.cost.likely * 30
    with pytest.raises(TypeError):
        _ = one * 0.5


def test_sound_is_priced_by_its_length():
    found = estimate_audio(60, "whisper-1", OPENAI, at=AT)
    assert found.cost == CostRange(Decimal("0.006"), Decimal("0.006"), Decimal("0.006"))
    assert estimate_audio(60, "gpt-4o-transcribe", OPENAI, at=AT).cost is None  # it is paid by tokens
    assert estimate_audio(60, "whisper-base", "http://127.0.0.1:9/v1", local=True).cost == (0, 0, 0)


def test_a_local_run_is_priced_as_another_model():
    used = Usage(100, 50, cached_tokens=20, cost=Decimal(0), known="measured")
    assert priced_as(used, "gpt-6-luna", at=AT) == Decimal("0.0000332")


def test_what_was_reasoned_is_a_part_of_the_answer_and_not_charged_twice():
    plain, reasoned = Usage(100, 50, known="measured"), Usage(100, 50, reasoning_tokens=40, known="measured")
    assert priced_as(plain, "gpt-6-luna", at=AT) == priced_as(reasoned, "gpt-6-luna", at=AT)


def test_a_sum_is_priced_as_calls_of_equal_size():
    call = Usage(200_000, 10, cost=Decimal(0), known="measured")  # three of them pass the tier's edge, each does not
    assert priced_as(call + call + call, "gpt-6-luna", at=AT) == 3 * priced_as(call, "gpt-6-luna", at=AT)
    with_unknown = call + call + Usage()
    assert priced_as(with_unknown, "gpt-6-luna", at=AT) == 2 * priced_as(call, "gpt-6-luna", at=AT)


@pytest.mark.parametrize(
    ("usage", "model"),
    [(Usage(), "gpt-4o-mini"), (Usage() + Usage(), "gpt-4o-mini"), (Usage(1, 1, known="measured"), "no-such-model")],
)
def test_what_cannot_be_priced_is_none(usage, model):
    assert priced_as(usage, model, at=AT) is None


@pytest.mark.parametrize(
    ("model", "window", "longest"),
    [
        ("gpt-6-luna", 1_050_000, 128_000),
        ("gpt-4o-2024-08-06", 128_000, 16_384),
        ("gpt-4o-2024-05-13", 128_000, 4_096),
        ("gpt-4", 8_192, 8_192),
        ("gpt-4-turbo", 128_000, 4_096),
        ("gpt-4.1-mini", 1_000_000, 32_768),
        ("gpt-5-pro", 400_000, 272_000),
        ("o4-mini", 200_000, 100_000),
        ("my-own", None, None),
    ],
)
def test_windows_are_the_price_tables_and_longest_answers_the_vendors(model, window, longest):
    assert (estimate.context_window(model), estimate.longest_answer(model)) == (window, longest)


def test_a_model_for_chat_only_has_the_shorter_answer():
    assert estimate.longest_answer("gpt-5.2-chat-latest") == 16_384


def test_the_package_that_counts_is_there_where_tests_run():
    assert find_spec("bpe_openai")
