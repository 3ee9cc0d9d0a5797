"""What a call costs, by one rule for every place that says so: the user's own prices, then the price table.

In: counts in the table's words, the model's names, the URL that is called, when. Out: a `Price`, or None where
it is not known. A server is a host and a port: a price for another port of the same machine is another server's.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chatkit.exceptions import InputError
from chatkit.ledger import own_price, prices
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.prices import Count, Price
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.store import default_store

_USUAL_TIERS = (None, "auto", "default")


def price_of(
    counts: Mapping[str, Count],
    models: "str | Iterable[str | None] | None",
    url: str,
    at: datetime | None = None,
    *,
    tier: str | None = None,
    own: Sequence[OwnPrice] | None = None,
) -> Price | None:
    """The price of `counts` at `url` (a base or a whole URL) at `at` (now); `models` are the names it goes by.

    `tier` is the service tier, `own` the user's own prices, which without it are those that are set now.

    >>> at = datetime(2026, 11, 23, tzinfo=UTC)
    >>> price_of({"input_tokens": 1000}, "gpt-4o-mini", "https://api.openai.com/v1", at, own=()).cost
    Decimal('0.00015')
    >>> price_of({"input_tokens": 1000}, "gpt-4o-mini", "https://api.openai.com:8443/v1", at, own=()) is None
    True
    """
    names = [models] if models is None or isinstance(models, str) else list(models)
    set_now = own_now() if own is None else own
    if set_now and (found := own_price.price(set_now, counts, names, prices.server_of(url))):
        return found
    when = at or datetime.now(UTC)
    listed = (prices.price(counts, name, url, when, tier) for name in names if name)
    return next((found for found in listed if found), None)


def own_now() -> Sequence[OwnPrice]:
    """The user's own prices as they were last known; none where no store can be named."""
    try:
        return rulebook_of(default_store()).rules().prices
    except InputError:
        return ()


def own_at_hand() -> Sequence[OwnPrice]:
    """The same, for a face that must not wait for a server."""
    try:
        return rulebook_of(default_store()).at_hand().prices
    except InputError:
        return ()


def tier_asked(body: Mapping[str, Any] | None) -> str | None:
    """The service tier that a request asks for, where it has a price of its own."""
    tier = (body or {}).get("service_tier")
    return None if tier in _USUAL_TIERS else str(tier)
