"""Prices of the user's own, as verbs: set one, show them, take one out. They are kept in the usage store.

In: US dollars for a model or an endpoint. Out: `OwnPrice`s, which the meter of every kernel of the user
puts before the price table from then on. Rows that are written already keep their price.
"""

from datetime import UTC, datetime

from chatkit import typed
from chatkit.exceptions import InputError
from chatkit.ledger.own_price import Money, OwnPrice, bare, host_of, money
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.store import default_store


def set_price(
    model: str | None = None,
    *,
    input: Money | None = None,
    output: Money | None = None,
    cached: Money | None = None,
    per_minute: Money | None = None,
    endpoint: str | None = None,
) -> OwnPrice:
    """Set what a model, or everything at an endpoint, costs from now on, in US dollars.

    `input`, `output` and `cached` are for a million tokens, `per_minute` for sound; "0" is free. `endpoint`
    is a host (with all its ports) or a URL (that port alone, where it names one). A price for a model at an endpoint goes before one for the model, that before one
    for the endpoint, and each before the price table. Rows that are there keep their price.

    Raises InputError for what is no amount, and where neither a model nor an endpoint is named.
    """
    rates = {"input": input, "output": output, "cached": cached, "per_minute": per_minute}
    amounts = {name: money(rate, name) for name, rate in rates.items()}
    if not (model or endpoint) or not any(rate is not None for rate in amounts.values()):
        raise InputError(
            "A price is for a model or an endpoint, and has a rate.",
            'For instance: chatkit.set_price("my-model", input="0.10", output="0.40").',
        )
    own = OwnPrice(_name(model), host_of(endpoint), **amounts, since=datetime.now(UTC).date().isoformat())
    rulebook_of(default_store()).set_price(own)
    return own


def own_prices() -> tuple[OwnPrice, ...]:
    """The prices that were set, in the order of their models."""
    return tuple(rulebook_of(default_store()).reread().prices)


def remove_price(model: str | None = None, *, endpoint: str | None = None) -> tuple[OwnPrice, ...]:
    """Take the price for just this model and endpoint out; gives back those that stay."""
    rulebook_of(default_store()).remove_price(_name(model), host_of(endpoint))
    return own_prices()


def _name(model: str | None) -> str | None:
    return bare(typed.name(model, "model")) if model else None
