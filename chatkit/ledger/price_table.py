"""What a call costs by the price table (genai-prices), which only this place reads; `pricing.py` has the rule.

In: counts in the table's words (`input_tokens`, `audio_seconds`, …), the model, the URL that was called,
when. Out: a `Price`, or None where the table does not know the host, the model, or what to charge for one
of the counts. The look-up in the table costs tens of microseconds, so the rates found for a model, a URL
and a day are kept; the sums are those of `genai_prices.calc_price`, to the last digit.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

Count = int | float | Decimal
_OWN_PORTS = {"http": ":80", "https": ":443"}

SMALLEST = Decimal("1e-12")
"""Costs are kept to a millionth of a millionth of a dollar; token prices are multiples of it."""


class Price(NamedTuple):
    """US dollars, the table they are from, and the day (UTC) that the table was asked about."""

    cost: Decimal
    table: str
    date: str


def price(counts: Mapping[str, Count], model: str, url: str, at: datetime, tier: str | None = None) -> Price | None:
    """The price of `counts` of `model`, served at `url` (scheme, host and path) at `at`; `tier` is the service tier.

    >>> at = datetime(2026, 11, 23, tzinfo=UTC)
    >>> price({"input_tokens": 1000, "output_tokens": 100}, "gpt-4o-mini", "https://api.openai.com/v1", at).cost
    Decimal('0.00021')
    >>> price({"input_tokens": 1000}, "gpt-4o-mini", "https://api.openai.com.example.org/v1", at) is None
    True
    """
    used = {key: Decimal(repr(count)) if isinstance(count, float) else count for key, count in counts.items()}
    shape = tuple([(key, count > 0) for key, count in used.items()])
    day = at.astimezone(UTC).date()
    plan = _plan(model, url, day, tier, shape, id(_snapshot()))
    cost = plan.cost(used, at) if plan else None
    return None if plan is None or cost is None else Price(_rounded(cost), plan.table, plan.day)


def server_of(url: str) -> str:
    """Host and port of a URL (without a scheme: https); the port is left out where it is the scheme's own.

    >>> server_of("http://127.0.0.1:11434/v1"), server_of("https://API.openai.com:443/v1"), server_of("[::1]:80")
    ('127.0.0.1:11434', 'api.openai.com', '[::1]:80')
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    server = parts.netloc.rpartition("@")[2].lower()
    return server.removesuffix(_OWN_PORTS.get(parts.scheme, ":")).removesuffix(":")


def without_port(server: str) -> str:
    """The host of a server."""
    return re.sub(r":\d*$", "", server)


def window(model: str, url: str) -> int | None:
    """The context window, in tokens, that the table gives for a model served at `url`."""
    found = _find(model, url)
    return found[1].context_window if found else None


def load() -> None:
    """Read the table now, so that the first call need not wait for it."""
    price({"input_tokens": 1}, "gpt-4o-mini", "https://api.openai.com/v1", datetime.now(UTC))


@cache
def _version() -> str:
    import genai_prices

    return genai_prices.__version__


def table_name() -> str:
    """Name and version of the price table."""
    return f"genai-prices {_version()}" + (" (updated)" if _snapshot().from_auto_update else "")


def _snapshot() -> "DataSnapshot":
    return _reader()()


@cache
def _reader() -> "Callable[[], DataSnapshot]":
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot


def _rounded(cost: Decimal) -> Decimal:
    exponent = cost.as_tuple().exponent
    return cost.quantize(SMALLEST) if isinstance(exponent, int) and exponent < -12 else cost


class _Rate(NamedTuple):
    key: str
    per: int
    price: "Decimal | TieredPrices"
    parts: tuple[str, ...]
    """Priced keys that are a part of this one: what they count is not charged here again."""

    def at(self, input_tokens: Count) -> Decimal:
        if isinstance(self.price, Decimal):
            return self.price
        reached = [tier.price for tier in self.price.tiers if input_tokens > tier.start]
        return reached[-1] if reached else self.price.base


@dataclass(frozen=True, slots=True)
class _Plan:
    """The rates of one model on one day, for the keys that were counted; the most special first in `order`."""

    table: str
    day: str
    rates: tuple[_Rate, ...]
    order: tuple[_Rate, ...]

    def cost(self, counts: Mapping[str, Count], at: datetime) -> Decimal | None:  # noqa: ARG002 the table's own plan needs it
        alone: dict[str, Count] = {"requests": 1}
        for rate in self.order:
            left = counts.get(rate.key, 0)
            for part in rate.parts:
                left -= alone[part]  # type: ignore[operator]  # no float gets here
            if left < 0:
                return None
            alone[rate.key] = left
        tokens = counts.get("input_tokens", 0)
        return sum((rate.at(tokens) * Decimal(alone[rate.key]) / rate.per for rate in self.rates), Decimal(0))


@dataclass(frozen=True, slots=True)
class _TablesOwn:
    """For prices that depend on the hour or on a rule in the table's code."""

    table: str
    day: str
    provider: "Provider"
    model: "ModelInfo"
    context: dict[str, str] | None

    def cost(self, counts: Mapping[str, Count], at: datetime) -> Decimal | None:
        from genai_prices.types import Usage

        try:
            found = self.model.calc_price(
                Usage(**counts), self.provider, genai_request_timestamp=at, price_context=self.context
            )
        except ValueError:
            return None
        return found.total_price


@lru_cache(maxsize=4096)
def _plan(
    model: str,
    url: str,
    day: date,
    tier: str | None,
    shape: tuple[tuple[str, bool], ...],
    snapshot: int,  # noqa: ARG001 tells an updated table from the one before
) -> _Plan | _TablesOwn | None:
    found = _find(model, url)
    if found is None:
        return None
    provider, info = found
    context = {"service_tier": tier} if tier and any(info is own for own in provider.models) else None
    prices = info.get_prices(datetime.combine(day, time(), UTC), context)
    rates = _rates(prices)
    if not _covers(rates, shape):
        return None
    if provider.id == "groq" or _by_the_hour(info):
        return _TablesOwn(table_name(), day.isoformat(), provider, info, context)
    counted = {"requests", *(key for key, positive in shape if positive)}
    charged = [rate._replace(parts=tuple(counted.intersection(rate.parts))) for rate in rates if rate.key in counted]
    order = sorted((rate for rate in charged if rate.key != "requests"), key=lambda rate: -len(_dimensions(rate.key)))
    return _Plan(table_name(), day.isoformat(), tuple(charged), tuple(order))


def _find(model: str, url: str) -> "tuple[Provider, ModelInfo] | None":
    snapshot, place = _snapshot(), _place(url)
    provider = next((provider for provider in snapshot.providers if _serves(provider.api_pattern, place)), None)
    if provider is None:
        return None
    for name in _names(model, provider.id):
        if info := provider.find_model(name, all_providers=snapshot.providers):
            return provider, info
    return None


def _names(model: str, provider: str) -> tuple[str, ...]:
    """The name, and what it is without what lists put before it: `models/` (Google's), the provider (Vertex's)."""
    name = model.lower()
    return tuple(dict.fromkeys((name, name.rpartition("models/")[2], name.removeprefix(f"{provider}/"))))


def _place(url: str) -> str:
    """The URL as the table's patterns have it; empty for a port of its own, where another server is."""
    server = server_of(url)
    return f"https://{server}{urlsplit(url).path}" if server == without_port(server) else ""


def _serves(pattern: str, url: str) -> bool:
    # the patterns are open at their end: api.openai.com.example.org must not be priced as api.openai.com
    match = re.match(pattern, url)
    return match is not None and (match.end() == len(url) or url[match.end() - 1] in "./" or url[match.end()] == "/")


def _by_the_hour(info: "ModelInfo") -> bool:
    from genai_prices.types import TimeOfDateConstraint

    variants = [*(info.prices if isinstance(info.prices, list) else ()), *(info.price_variants or ())]
    return any(isinstance(variant.constraint, TimeOfDateConstraint) for variant in variants)


def _rates(prices: "ModelPrice") -> tuple[_Rate, ...]:
    from genai_prices.data_units import unit_data

    by_price = {unit["price_key"]: key for key, unit in unit_data.items()}
    priced = [(by_price[name], value) for name, value in vars(prices).items() if value is not None and name in by_price]
    keys = [key for key, _ in priced]
    return tuple(
        _Rate(key, unit_data[key]["per"], value, tuple(part for part in keys if part != key and _is_part(part, key)))
        for key, value in priced
    )


def _dimensions(key: str) -> dict[str, str]:
    from genai_prices.data_units import unit_data

    dimensions: dict[str, str] = unit_data[key]["dimensions"]
    return dimensions


def _is_part(part: str, whole: str) -> bool:
    return _dimensions(whole).items() <= _dimensions(part).items()


def _covers(rates: tuple[_Rate, ...], shape: tuple[tuple[str, bool], ...]) -> bool:
    """Whether each count is charged for somehow, and none that the charge needs is missing.

    A model without, say, a price for seconds would make an hour of audio cost 0: that is unknown instead.
    """
    from genai_prices.types import Usage

    families = {_dimensions(rate.key)["family"] for rate in rates}
    if any(positive and _dimensions(key)["family"] not in families for key, positive in shape):
        return False
    probe = Usage(**{key: int(positive) for key, positive in shape})
    needed = {rate.key for rate in rates if rate.key != "requests"}
    if any(not isinstance(rate.price, Decimal) for rate in rates):
        needed.add("input_tokens")
    try:
        for key in needed:
            getattr(probe, key)
    except ValueError:
        return False
    return True
