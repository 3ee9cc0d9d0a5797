"""Prices that a person sets, shows and takes out; and calls that are in the store, priced again by them.

In: which calls. Out: what changed; the price that each had before is kept beside it.

Rows that are written already keep their price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chatkit import typed
from chatkit.exceptions import InputError
from chatkit.ledger.price_table import Price
from chatkit.ledger.pricing import price_of
from chatkit.ledger.readable import LISTED, NONE, Unread
from chatkit.ledger.record import UsageRecord, of_record
from chatkit.ledger.rows import moment, pico
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.rules import Money, OwnPrice, bare, host_of, money
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import BACKGROUND, UsageStore, default_store

BATCH = 1000

_KEEP = (
    "INSERT INTO chatkit_repricings (call_id, at, cost_pico, price_table, price_date)"
    " SELECT id, :at, cost_pico, price_table, price_date FROM chatkit_calls WHERE id = :id"
)
_CHANGE = (
    "UPDATE chatkit_calls SET cost_pico = :cost, at_most_pico = :most, price_table = :table, price_date = :day"
    " WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class Repricing:
    """How many calls were looked at, how many have another price now, and US dollars before and after of those.

    >>> Repricing(3, 0, Decimal(0), Decimal(0), 0)
    3 calls looked at; their prices are as they were.
    """

    looked_at: int
    changed: int
    before: Decimal
    after: Decimal
    first_priced: int
    """How many of the changed had no price before."""
    unread: Unread = NONE
    """Rows that could not be read, and whose price is as it was."""

    def __repr__(self) -> str:
        left = f" {self.unread}" if self.unread else ""
        if not self.changed:
            return f"{self.looked_at} calls looked at; their prices are as they were.{left}"
        new = f", {self.first_priced} of them for the first time" if self.first_priced else ""
        return (
            f"{self.changed} of {self.looked_at} calls priced again{new}: {self.before:f} USD before, {self.after:f} USD "
            f"now. The old prices are kept.{left}"
        )


def reprice(
    *,
    session: str | None = None,
    since: datetime | None = None,
    model: str | None = None,
    store: UsageStore | None = None,
) -> Repricing:
    """Price the calls that match again: by your own prices, else by the price table for the day of the call.

    Without it, a row keeps the price that was known when the call was made. Calls on local models stay
    free, those of unknown usage stay unknown. What a call cost before is kept in `chatkit_repricings`.
    """
    store = store or default_store()
    own = rulebook_of(store).reread().prices
    scope: Scope = {"session": session, "since": since, "model": model}
    records, unread = _countable(store.records(**scope), store.unread(**scope))
    changes = [(record, found) for record in records if (found := _other_price(record, own))]
    for start in range(0, len(changes), BATCH):
        with store.transaction(BACKGROUND) as run:
            for record, found in changes[start : start + BATCH]:
                _change(run, record, found)
    had = [record.usage.cost for record, _ in changes if record.usage.cost is not None]
    now = [found.cost for _, found in changes]
    before, after = sum(had, Decimal(0)), sum(now, Decimal(0))
    return Repricing(len(records), len(changes), before, after, len(changes) - len(had), unread)


def _countable(records: Sequence[UsageRecord], unread: Unread) -> tuple[list[UsageRecord], Unread]:
    """The records whose details can be read too, and the rows that cannot be."""
    good, wrong = [], list(unread.rows)
    for record in records:
        try:
            of_record(record)
            good.append(record)
        except ValueError:
            wrong.append((record.id, f"details cannot be {(record.details or '')[:40]!r}"))
    return good, Unread(unread.count + len(records) - len(good), wrong[:LISTED])


def _other_price(record: UsageRecord, own: Sequence[OwnPrice]) -> Price | None:
    """The price that the call has by now, if it is another."""
    counts, tier = of_record(record)
    free = record.usage.cost == 0 and record.price_table is None
    if free or not counts:
        return None
    models, url = (record.answered_model, record.model), f"https://{record.host}{record.path}"
    found = price_of(counts, models, url, record.at, tier=tier, own=own)
    if found is None or (found.cost, found.table) == (record.usage.cost, record.price_table):
        return None
    return found


def _change(run: Any, record: UsageRecord, found: Price) -> None:
    most = None if record.usage.known == "measured" else max(record.at_most or Decimal(0), found.cost)
    run(_KEEP, id=record.id, at=moment(datetime.now(UTC)))
    run(_CHANGE, id=record.id, cost=pico(found.cost), most=pico(most), table=found.table, day=found.date)


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
