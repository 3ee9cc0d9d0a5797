"""Prices: those of genai-prices to the last digit, and None where nothing is known."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers
from genai_prices.types import ModelInfo
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.ledger.price_table import SMALLEST, price, table_name

OPENAI = "https://api.openai.com/v1/chat/completions"
URLS = {
    "openai": OPENAI,
    "azure": "https://class.openai.azure.com/openai/deployments/x/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/chat/completions",
    "x-ai": "https://api.x.ai/v1/chat/completions",
}
MODELS = [(provider.id, model) for provider in providers if provider.id in URLS for model in provider.models]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@st.composite
def counts(draw: st.DrawFn) -> dict[str, int | float]:
    if draw(st.integers(0, 9)) == 0:
        return {"audio_seconds": draw(st.floats(0, 10_000))}
    prompt, completion = draw(st.integers(0, 1_000_000)), draw(st.integers(0, 100_000))
    used: dict[str, int | float] = {"input_tokens": prompt, "output_tokens": completion}
    for key, most in (
        ("cache_read_tokens", prompt),
        ("cache_write_tokens", prompt),
        ("input_audio_tokens", prompt),
        ("output_audio_tokens", completion),
        ("output_reasoning_tokens", completion),
    ):
        if draw(st.booleans()):
            used[key] = draw(st.integers(0, most))
    return used


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(MODELS),
    counts(),
    st.integers(0, 8000),
    st.sampled_from((None, "default", "flex", "priority")),
)
def test_a_price_is_that_of_the_table(
    model: tuple[str, ModelInfo], used: dict[str, int | float], hours: int, tier: str | None
) -> None:
    url, name = URLS[model[0]], model[1].id
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    context = {"service_tier": tier} if tier else None
    found = price(used, name, url, at, tier)
    try:
        found_there = calc_price(
            Usage(**used), name, provider_api_url=url, genai_request_timestamp=at, price_context=context
        ).total_price
    except (LookupError, ValueError):
        assert found is None
        return
    if found is None:
        assert found_there == 0  # the table has no price for seconds, or none for tokens, and says nothing of it
    else:
        assert found.cost in (found_there, found_there.quantize(SMALLEST))


@pytest.mark.parametrize(
    ("model", "used", "cost"),
    [
        ("gpt-6-luna", {"input_tokens": 100, "output_tokens": 50, "cache_read_tokens": 20}, "0.0000332"),
        ("text-embedding-3-small", {"input_tokens": 100}, "0.000002"),
        ("gpt-3.5-turbo-instruct", {"input_tokens": 1000, "output_tokens": 1000}, "0.0035"),
        ("whisper-1", {"audio_seconds": 60}, "0.006"),
        ("gpt-transcribe", {"audio_seconds": 60}, "0.0045"),
        ("gpt-4o-transcribe", {"input_tokens": 100, "output_tokens": 50, "input_audio_tokens": 90}, "0.001065"),
        ("gpt-4o-mini", {"input_tokens": 0, "output_tokens": 0}, "0"),
    ],
)
def test_exact_prices(model: str, used: dict[str, int | float], cost: str) -> None:
    found = price(used, model, OPENAI, NOW)
    assert found is not None
    assert found == (Decimal(cost), table_name(), "2026-11-23")


@pytest.mark.parametrize(("tokens", "rate"), [(272_000, "0.1"), (272_001, "0.2")])
def test_a_tier_begins_after_its_edge(tokens: int, rate: str) -> None:
    found = price({"input_tokens": tokens, "output_tokens": 0}, "gpt-6-luna", OPENAI, NOW)
    assert found is not None
    assert found.cost == tokens * Decimal(rate) / 1_000_000


@pytest.mark.parametrize(
    ("model", "url", "used"),
    [
        ("no-such-model", OPENAI, {"input_tokens": 1}),
        ("gpt-4o-mini", "https://models.example.org/v1/chat/completions", {"input_tokens": 1}),
        ("gpt-4o-mini", "https://api.openai.com.example.org/v1/chat/completions", {"input_tokens": 1}),
        ("gpt-4o-mini", OPENAI, {"audio_seconds": 60}),
        ("gpt-4o-mini", OPENAI, {"input_tokens": 1, "cache_read_tokens": 2}),
    ],
)
def test_what_is_not_known_has_no_price(model: str, url: str, used: dict[str, int | float]) -> None:
    assert price(used, model, url, NOW) is None


def test_a_price_holds_from_its_day_on() -> None:
    used = {"input_tokens": 1_000_000, "output_tokens": 0}
    days = [datetime(2026, 7, day, 23, 59, tzinfo=UTC) for day in (29, 30)]
    found = [price(used, "gpt-5.6-luna", OPENAI, day) for day in days]
    assert [(p.cost, p.date) for p in found if p] == [(Decimal(2), "2026-07-29"), (Decimal("0.4"), "2026-07-30")]
