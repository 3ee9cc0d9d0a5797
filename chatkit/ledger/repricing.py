"""Pricing calls again that are in the store, when a person asks for it: by prices of today's knowledge.

In: which calls. Out: what changed; the price that each had before is kept beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chatkit.ledger.counts import of_record
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.prices import Price
from chatkit.ledger.pricing import price_of
from chatkit.ledger.readable import LISTED, NONE, Unread
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.rows import moment, pico
from chatkit.ledger.rulebook import rulebook_of
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
