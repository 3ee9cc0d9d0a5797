"""The rules in the store, for all kernels of a user: the budget, what is held and spent of it, one's own prices.

In: rules to set, requests that are about to go. Out: the rules that hold (read again after a moment, so that
another kernel's change is seen), what was spent, a hold for each request in flight. No rule is judged here.

While the store cannot be read, what was last known holds, by this process or by the file that it shares with
the user's others; where nothing is known, the rules say so.

A row that cannot be
read counts with the most that it says, and never below 0: nothing that is written makes room.
"""

import threading
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from chatkit.exceptions import StoreError
from chatkit.ledger import record
from chatkit.ledger.rollup import PROBE, columns
from chatkit.ledger.rows import LARGEST, dollars, moment, pico, text
from chatkit.ledger.rules import LastRules, Limit, MoneyRules, On, OwnPrice, Per, Spending, day_begins
from chatkit.ledger.safeguards import RunStatement
from chatkit.ledger.store import PATIENCE, UsageStore

_SUMS = "SELECT COALESCE(SUM(at_most_pico), 0), COALESCE(SUM(unbounded), 0) FROM chatkit_rollup WHERE owner = {owner}"
_ADDED = (
    f"SELECT COALESCE(SUM({columns('one')['at_most_pico']}), 0), COALESCE(SUM({columns('one')['unbounded']}), 0)"
    " FROM chatkit_calls AS one WHERE owner = {owner} AND {readable}"
)
_UNREAD = "SELECT cost_pico, at_most_pico FROM chatkit_calls WHERE owner = {owner} AND {unreadable}"
_IN_SESSION = " AND session = :session"


def spent(run: RunStatement, limit: Limit, session: str) -> tuple[int, int]:
    """What has gone of the limit in this session, or on this day, and how many calls without a bound are beside it."""
    daily = limit.per == "day"
    values = {"since": moment(day_begins())[:16]} if daily else {"session": text(session)}
    if not run(PROBE):
        [(pico, unbounded)] = run(_SUMS + (" AND period >= :since" if daily else _IN_SESSION), **values)
        return int(pico), int(unbounded)
    [(pico, unbounded)] = run(_ADDED + (" AND at >= :since" if daily else _IN_SESSION), **values)
    unread = run(_UNREAD + (" AND (at >= :since OR {timeless})" if daily else _IN_SESSION), **values)
    worst = [_worst(row) for row in unread]
    known = [pico for pico in worst if pico is not None]
    return int(pico) + sum(known), int(unbounded) + len(worst) - len(known)


def _worst(row: Any) -> int | None:
    """The most that a row can have cost by what it says; None if it says nothing that can be so."""
    said = [value for value in row if isinstance(value, int | float) and value > 0]
    return int(min(max(said), LARGEST)) if said else None


FRESH = 1.0
"""Seconds after which the rules are read again; a server is asked less often."""
FRESH_ON_SERVER = 5.0
HOLD = timedelta(minutes=15)
"""After which a hold counts no more: its process is gone, or its request takes longer than any should."""

_MOST = record.PICO
_HELD = (
    f"SELECT COALESCE(SUM(CASE WHEN pico BETWEEN 0 AND {_MOST} THEN pico WHEN pico > {_MOST} THEN {_MOST} ELSE 0 END), 0),"
    " COUNT(*) FROM chatkit_holds WHERE owner = {owner} AND expires > :now"
)
_SETTLED = (
    "DELETE FROM chatkit_holds WHERE owner = {owner} AND"
    " (expires <= :now OR EXISTS (SELECT 1 FROM chatkit_calls WHERE chatkit_calls.id = chatkit_holds.id))"
)
_LIMIT = "SELECT amount_pico, per, on_end FROM chatkit_budgets WHERE owner = {owner}"
_PRICES = (
    "SELECT model, endpoint, input, output, cached, per_minute, since FROM chatkit_prices ORDER BY model, endpoint"
)


class Rulebook:
    """The rules of one store."""

    def __init__(self, store: UsageStore) -> None:
        self._kept = weakref.ref(store)
        self._rules: MoneyRules | None = None
        self._last = LastRules(store.place)
        self._fresh_until = 0.0
        self._reader: threading.Thread | None = None
        self._fresh = FRESH if store.is_file else FRESH_ON_SERVER

    @property
    def _store(self) -> UsageStore:
        store = self._kept()
        assert store is not None, "who asks for rules holds their store"
        return store

    @property
    def known(self) -> MoneyRules | None:
        """The rules, if they were read a moment ago; None if asking for them may take a while."""
        return self._rules if self._rules and time.monotonic() < self._fresh_until else None

    def rules(self) -> MoneyRules:
        """The rules that hold; of a store that cannot be read, those that were last known."""
        if known := self.known:
            return known
        try:
            return self.reread()
        except StoreError as fault:
            rules = self._last_known(fault)
            wait = FRESH if rules.unread else 6 * self._fresh  # not to wait for the store at each call
            return self._take(rules, wait)

    def at_hand(self) -> MoneyRules:
        """The rules for a face that must not wait for a server: those last known, while a thread reads them again."""
        store = self._store
        if store.is_file:
            return self.rules()
        if self.known is None and not (self._reader and self._reader.is_alive()):
            self._reader = threading.Thread(target=_read_again, args=(self, store), name="chatkit-rules", daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending and starts no thread any more
                self._reader.start()
        return self._rules or self._last.read() or MoneyRules()

    def reread(self) -> MoneyRules:
        """The rules as they stand in the store now; raises `StoreError` where it cannot be read."""
        began = time.time_ns()
        return self._take(self._last.keep_read(self._read(), began), self._fresh)

    def _take(self, rules: MoneyRules, seconds: float) -> MoneyRules:
        self._rules = rules
        self._fresh_until = time.monotonic() + seconds
        return rules

    def _last_known(self, fault: StoreError) -> MoneyRules:
        """The stricter of what this process read and what the user's kernels did."""
        mine = self._rules if self._rules and not self._rules.unread else None
        known = [rules for rules in (self._last.read(), mine) if rules]
        return next((rules for rules in known if rules.may_stop), known[0] if known else MoneyRules(unread=fault))

    def _read(self) -> MoneyRules:
        if self._store.place.missing:  # where no store is, no rules are; the first row begins one
            self._last.lose_if_missing()
            return MoneyRules()
        limits = self._store.select(_LIMIT, patience=PATIENCE)
        prices = tuple(filter(None, map(_own_price, self._store.select(_PRICES, patience=PATIENCE))))
        return MoneyRules(_limit(limits[0]) if limits else None, prices)

    def set_limit(self, limit: Limit | None) -> None:
        """Put a budget in force in the place of the one there is; None: none."""
        known = MoneyRules(limit, self._rules.prices if self._rules else ())
        if limit:
            self._store.open()  # a budget is known of no store that is not there
            self._last.keep(known)  # before it holds, so that it never holds unknown
        with self._store.transaction() as run:
            run("DELETE FROM chatkit_budgets WHERE owner = {owner}")
            if limit:
                run(
                    "INSERT INTO chatkit_budgets (owner, amount_pico, per, on_end, at)"
                    " VALUES ({owner}, :amount, :per, :on_end, :at)",
                    amount=pico(limit.amount), per=limit.per, on_end=limit.on, at=moment(datetime.now(UTC)),
                )  # fmt: skip
        self._last.keep(known)
        self._fresh_until = 0.0

    def set_price(self, own: OwnPrice) -> None:
        """Add the price, in the place of one for the same model and endpoint."""
        self.remove_price(own.model, own.endpoint)
        with self._store.transaction() as run:
            run(
                "INSERT INTO chatkit_prices VALUES (:model, :endpoint, :input, :output, :cached, :per_minute, :since)",
                model=text(own.model or ""), endpoint=text(own.endpoint or ""), since=own.since,
                **{name: _written(getattr(own, name)) for name in ("input", "output", "cached", "per_minute")},
            )  # fmt: skip
        self._fresh_until = 0.0

    def remove_price(self, model: str | None, endpoint: str | None) -> None:
        """Take the price for just this model and endpoint out."""
        with self._store.transaction() as run:
            run(
                "DELETE FROM chatkit_prices WHERE model = :model AND endpoint = :endpoint",
                model=text(model or ""), endpoint=text(endpoint or ""),
            )  # fmt: skip
        self._fresh_until = 0.0

    def spending(self, limit: Limit, session: str) -> Spending:
        """What has gone of the limit."""
        with self._store.transaction() as run:
            return _spending(run, limit, session)

    def hold(self, call: str, limit: Limit, session: str, cost: Decimal, *, always: bool) -> Spending | None:
        """Hold `cost` for a call that is about to be made, if it fits or `always`; None if so, else what has gone.

        Reading and holding are one transaction: of calls that would fit one by one only, not all get through.
        """
        with self._store.transaction() as run:
            gone = _spending(run, limit, session)
            fits = gone.total + cost <= limit.amount
            if fits or always:
                run(
                    "INSERT INTO chatkit_holds (id, session, pico, expires) VALUES (:id, :session, :pico, :expires)",
                    id=call, session=text(session), pico=pico(cost), expires=moment(datetime.now(UTC) + HOLD),
                )  # fmt: skip
        return None if fits else gone


def _read_again(rulebook: Rulebook, _: UsageStore) -> None:
    """What a thread does, which holds the store meanwhile."""
    rulebook.rules()


def _spending(run: Any, limit: Limit, session: str) -> Spending:
    run("{alone}")
    now = moment(datetime.now(UTC))
    run(_SETTLED, now=now)
    gone, unbounded = spent(run, limit, session)
    held = {"session": text(session)} if limit.per == "session" else {}
    [(pending, count)] = run(_HELD + (" AND session = :session" if held else ""), now=now, **held)
    return Spending(dollars(gone) or Decimal(0), dollars(pending) or Decimal(0), int(count), unbounded)


def _limit(row: Any) -> Limit:
    amount, per, on = row
    if not (type(amount) is int and amount >= 0 and per in get_args(Per) and on in get_args(On)):
        raise StoreError(
            "The budget in the usage store cannot be read.", "Set it again, or end it: chatkit.budget().off()."
        )
    return Limit(dollars(amount) or Decimal(0), per, on)


def _own_price(row: Any) -> OwnPrice | None:
    """The price in a row; None where it cannot be read, so that what it is for has no known price."""
    model, endpoint, *written, since = row
    try:
        rates = [None if rate is None else Decimal(rate) for rate in written]
    except (InvalidOperation, TypeError, ValueError):
        return None
    if not all(isinstance(word, str) for word in (model, endpoint, since)) or not all(_is_rate(rate) for rate in rates):
        return None
    return OwnPrice(model or None, endpoint or None, rates[0], rates[1], rates[2], rates[3], since)


def _is_rate(rate: Decimal | None) -> bool:
    return rate is None or (rate.is_finite() and rate >= 0)


def _written(rate: Decimal | None) -> str | None:
    return None if rate is None else f"{rate:f}"


_rulebooks: "weakref.WeakKeyDictionary[UsageStore, Rulebook]" = weakref.WeakKeyDictionary()


def rulebook_of(store: UsageStore) -> Rulebook:
    """The one rulebook of a store; asked for with each call, so it is made only where there is none."""
    return _rulebooks.get(store) or _rulebooks.setdefault(store, Rulebook(store))
