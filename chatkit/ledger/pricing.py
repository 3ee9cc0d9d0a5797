"""What a call costs, by one rule for every place that says so: free, the user's own prices, the price table.

In: counts in the table's words, the model's names, the URL that is called, when. Out: a `Price`, or None where
it is not known. A server is a host and a port: a price for another port of the same machine is another server's.

All
three must agree: the key is one that only chatkit's own servers use, the answer names such a server, and
the connection leads to this machine or its private network. A host elsewhere can say what it likes.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chatkit.api.hosts import LOCAL_PREFIX, SERVER
from chatkit.exceptions import InputError
from chatkit.ledger import price_table, rules
from chatkit.ledger.price_table import Count, Price
from chatkit.ledger.rules import OwnPrice

if TYPE_CHECKING:
    import httpx2

    from chatkit.ledger.rulebook import Rulebook


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
    if set_now and (found := rules.price(set_now, counts, names, price_table.server_of(url))):
        return found
    when = at or datetime.now(UTC)
    listed = (price_table.price(counts, name, url, when, tier) for name in names if name)
    return next((found for found in listed if found), None)


def own_now() -> Sequence[OwnPrice]:
    """The user's own prices as they were last known; none where no store can be named."""
    try:
        return _rulebook().rules().prices
    except InputError:
        return ()


def own_at_hand() -> Sequence[OwnPrice]:
    """The same, for a face that must not wait for a server."""
    try:
        return _rulebook().at_hand().prices
    except InputError:
        return ()


def _rulebook() -> "Rulebook":
    from chatkit.ledger.rulebook import rulebook_of
    from chatkit.ledger.store import default_store

    return rulebook_of(default_store())


def tier_asked(body: Mapping[str, Any] | None) -> str | None:
    """The service tier that a request asks for, where it has a price of its own."""
    tier = (body or {}).get("service_tier")
    return None if tier in _USUAL_TIERS else str(tier)


def has_local_key(headers: Mapping[str, str]) -> bool:
    """Whether the request carries a local server's key, on which nobody is billed."""
    return headers.get("authorization", "").startswith(f"Bearer {LOCAL_PREFIX}")


def is_nearby(response: "httpx2.Response") -> bool:
    """Whether a chatkit server answered, on this machine or in its private network."""
    if response.headers.get("server") != SERVER:
        return False
    stream: Any = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0]) if peer else None
    except ValueError:
        return False
    return address is not None and (address.is_loopback or address.is_private)
