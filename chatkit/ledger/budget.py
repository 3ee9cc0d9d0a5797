"""The budget: what may still be spent, what a request cannot exceed, asked by the meter before each attempt.

In: an amount, from a person; requests that are about to go, from the meter. Out: a hold on each, or a
`BudgetError`; and to the person, a `Budget` that shows what is left.

What is held for a request is its likely cost; a limit of its own (`max_completion_tokens`) makes that the
most it can cost. So calls cannot overshoot the budget by more than what those in flight cost beyond it.

`estimate.py` reckons the same for people, with a real count of the tokens.

A token has one byte at least, so a text bounds its tokens; an answer is bounded by the limit that the
request sets, else by the model's longest answer; sound by what the head of its file says, else by the file's size.
"""

import html
import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from chatkit.api.parameters import answer_limit
from chatkit.display import displayed
from chatkit.exceptions import BudgetError, InputError, StoreError
from chatkit.ledger import estimate
from chatkit.ledger.pricing import price_of, tier_asked
from chatkit.ledger.record import Counts, current_session
from chatkit.ledger.request import MeteredRequest
from chatkit.ledger.rulebook import Rulebook, rulebook_of
from chatkit.ledger.rules import Limit, Money, MoneyRules, On, OwnPrice, Per, Spending, money
from chatkit.ledger.store import UsageStore, default_store
from chatkit.signs import fit_to_print

TYPICAL = 300
"""Tokens of an answer for which no limit was asked, most likely."""
LONGEST = 128_000
"""Tokens of an answer, or of a prompt that is not all text, where nothing is known of the model."""
PIECE = 4
"""Tokens that one event of a stream, or one token by the rule of four bytes, may be."""
SPEECH = 0.25
"""How much of the time that a file of its size could last, a recording most likely does."""

_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_id", "file_data", "file_url", "previous_response_id"))


def likely(asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    """What the request will cost, at the limit that it sets, or with an answer of the usual length."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound * SPEECH, asked, own, at)
    if asked.body is None:
        return None
    return _text(estimate.of_prompt(asked.body), _limit(asked) or TYPICAL * _answers(asked), asked, own, at)


def most(asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime, seen: int = 0) -> Decimal | None:
    """What the request cannot exceed; `seen` tokens of an answer that broke off bound what was written of it."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound, asked, own, at)
    if asked.body is None:
        return None
    sent = _window(asked) if _is_mixed(asked.body) else estimate.of_prompt(asked.body) * estimate.BYTES
    longest = _limit(asked) or (estimate.longest_answer(asked.model or "", asked.url) or LONGEST) * _answers(asked)
    return _text(sent, min(longest, seen * PIECE) if seen else longest, asked, own, at)


def _text(sent: int, came: int, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    if asked.kind == "moderations":
        return Decimal(0)
    counts = {"input_tokens": sent} | ({} if asked.kind == "embeddings" else {"output_tokens": came})
    return _cost_of(counts, asked, own, at)


def _cost_of(counts: Counts, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    found = price_of(counts, asked.model, asked.url, at, tier=tier_asked(asked.body), own=own)
    return found.cost if found else None


def _sound(seconds: float, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    heard = 10 * round(seconds)  # a model that is paid by the token hears ten a second, and few write as many
    by_token: Counts = {"input_tokens": heard, "input_audio_tokens": heard, "output_tokens": heard}
    by_second = _cost_of({"audio_seconds": seconds}, asked, own, at)
    return _cost_of(by_token, asked, own, at) if by_second is None else by_second


def _limit(asked: MeteredRequest) -> int | None:
    limit = answer_limit(asked.body or {})
    return None if limit is None else limit * _answers(asked)


def _answers(asked: MeteredRequest) -> int:
    return max(1, asked.choices)


def _window(asked: MeteredRequest) -> int:
    return estimate.context_window(asked.model or "", asked.url) or LONGEST


def _is_mixed(body: dict[str, Any]) -> bool:
    """Whether a prompt has more than text in it."""
    left: list[Any] = [body]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if not _NOT_TEXT.isdisjoint(value):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


BAR = 20
"""Characters of the bar."""
SPANS: dict[str, str] = {"session": "this session", "day": "today"}

_warned: set[object] = set()


class Budget:
    """What may be spent and what was; reads the store each time it is shown.

    >>> import tempfile
    >>> Budget(UsageStore(tempfile.mkdtemp() + "/usage.sqlite"))
    No budget is set. One is: chatkit.budget("0.50", per="day")
    """

    def __init__(self, store: UsageStore | None = None) -> None:
        self._store = store or default_store()
        self._rulebook = rulebook_of(self._store)

    @property
    def limit(self) -> Limit | None:
        """Amount, per what, and what happens at its end; None if no budget is set."""
        return self._rulebook.reread().limit

    @property
    def spending(self) -> Spending:
        """What has gone of it; what unknown and estimated calls cost at most is counted as spent."""
        limit = self.limit
        return self._rulebook.spending(limit, current_session()) if limit else Spending()

    @property
    def left(self) -> Decimal | None:
        """US dollars that may still be spent; None without a budget."""
        limit = self.limit
        return max(Decimal(0), limit.amount - self.spending.total) if limit else None

    def raise_to(self, amount: Money) -> "Budget":
        """Set another amount; what was spent stays spent."""
        limit = self.limit
        if limit is None:
            raise InputError("No budget is set, so none can be raised.", 'Set one: chatkit.budget("0.50", per="day").')
        self._rulebook.set_limit(Limit(_amount(amount), limit.per, limit.on))
        return self

    def off(self) -> "Budget":
        """End the budget."""
        self._rulebook.set_limit(None)
        return self

    @fit_to_print
    def __repr__(self) -> str:
        rules = self._rulebook.reread()
        limit = rules.limit
        if doubt := _doubt(rules):
            return str(doubt)
        if limit is None:
            return 'No budget is set. One is: chatkit.budget("0.50", per="day")'
        gone = self.spending
        filled = min(BAR, int(BAR * gone.total / limit.amount)) if limit.amount else BAR
        return f"{'█' * filled}{'░' * (BAR - filled)} {_words(limit, gone)}"

    def _repr_html_(self) -> str:
        limit = self.limit
        if limit is None:
            return displayed(html.escape(repr(self)))
        gone = self.spending
        used = float(min(gone.total, limit.amount))
        meter = f'<progress max="{limit.amount:f}" value="{used:.12f}" aria-label="Budget used" style="width:16em"></progress>'
        return displayed(f"{meter} {html.escape(_words(limit, gone))}")


def budget(amount: Money | None = None, *, per: Per = "session", on: On = "stop") -> Budget:
    """Set a budget in US dollars, or without an amount show the one there is.

    `per` "session" gives the amount to each session, `per` "day" to each day by this machine's clock. It
    holds in all kernels of the user, for every attempt that a client of chatkit makes: retries, sweeps,
    streams, sound and raw SDK calls. `on` "stop" refuses a call that no longer fits (`BudgetError`), and
    one whose price is not known; `on` "warn" only says so. Calls whose cost is estimated or unknown count
    with the most that they can have cost. One budget is in force at a time; local models are free.
    """
    shown = Budget()
    if amount is not None:
        if per not in SPANS or on not in ("stop", "warn"):
            raise InputError(f"per is {per!r}, on is {on!r}.", 'per is "session" or "day", on is "stop" or "warn".')
        shown._rulebook.set_limit(Limit(_amount(amount), per, on))
    return shown


def admit(rulebook: Rulebook, rules: MoneyRules, asked: MeteredRequest, call: str) -> None:
    """Hold what the call will likely cost, or raise a `BudgetError` where the budget does not allow it."""
    if asked.local_key:
        return
    if refusal := _doubt(rules):
        raise refusal
    limit = rules.limit
    if limit is None:
        return
    session, now = current_session(), datetime.now(UTC)
    cost = likely(asked, rules.prices, now)
    try:
        if cost is None:
            _refuse(limit, _unpriced(limit, asked), ("unpriced", asked.model))
        else:
            gone = rulebook.hold(call, limit, session, cost, always=limit.on == "warn")
            if gone is not None:
                _refuse(limit, _spent(limit, gone, cost), (session if limit.per == "session" else date.today()))
    except StoreError as fault:
        error = BudgetError(f"The budget cannot be checked: {fault.cause} The call was not sent.", "Try again later.")
        _refuse(limit, error, "store")


def _doubt(rules: MoneyRules) -> BudgetError | None:
    """The refusal where a budget that stops may be in force and what is left of it cannot be known."""
    if rules.lost:
        return BudgetError(
            f"{rules.lost} A budget may have been set in it, and what has gone of that is not known; no call is sent.",
            'Set it anew: chatkit.budget("0.50", per="day"). Or end it: chatkit.budget().off().',
        )
    if rules.unread:
        return BudgetError(
            f"Whether a budget is set cannot be read: {rules.unread.cause} The call was not sent.",
            rules.unread.way_out or "Try again later.",
        )
    return None


def _refuse(limit: Limit, error: BudgetError, what: object) -> None:
    if limit.on == "stop":
        raise error
    if (limit, what) not in _warned:
        _warned.add((limit, what))
        warnings.warn(f"{error.cause} {error.way_out}", stacklevel=2)


def _spent(limit: Limit, gone: Spending, cost: Decimal) -> BudgetError:
    left = max(Decimal(0), limit.amount - gone.total)
    sent = "was not sent" if limit.on == "stop" else "is sent all the same"
    flight = f", {_usd(gone.held, ROUND_UP)} of it for requests in flight" if gone.held else ""
    return BudgetError(
        f"The budget of {_usd(limit.amount)} {SPANS[limit.per]} has {_usd(left)} left: {_usd(gone.total, ROUND_UP)} has gone"
        f"{flight}. This call would likely cost {_usd(cost, ROUND_UP)}; it {sent}.",
        f'Raise it: chatkit.budget().raise_to("{_enough(limit, gone, cost)}"). End it: chatkit.budget().off().',
    )


def _enough(limit: Limit, gone: Spending, cost: Decimal) -> str:
    """An amount with which this call is sent: twice what there is, or all that it takes, in two digits that say something."""
    needed = gone.total + cost
    rounded = needed.quantize(Decimal(1).scaleb(needed.adjusted() - 1), rounding=ROUND_UP) if needed else needed
    return f"{max(limit.amount * 2, rounded).normalize():f}"


def _unpriced(limit: Limit, asked: MeteredRequest) -> BudgetError:
    sent = "was not sent" if limit.on == "stop" else "is sent all the same"
    model = asked.model or "a model"
    return BudgetError(
        f"What {model} costs at {asked.server} is not known, and a budget is set; the call {sent}.",
        f'Give its price per million tokens: chatkit.set_price("{model}", input="0.10", output="0.40"), 0 where it is '
        "free. Or end the budget: chatkit.budget().off().",
    )


def _words(limit: Limit, gone: Spending) -> str:
    left = max(Decimal(0), limit.amount - gone.total)
    parts = [f"{_usd(gone.total, ROUND_UP)} of {_usd(limit.amount)} gone {SPANS[limit.per]}, {_usd(left)} left"]
    if gone.in_flight:
        parts.append(f"{_usd(gone.held, ROUND_UP)} of it held for {gone.in_flight} in flight")
    if gone.unbounded:
        calls = "1 call" if gone.unbounded == 1 else f"{gone.unbounded} calls"
        parts.append(f"{calls} without a known price not counted")
    return f"{'; '.join(parts)}; {'stops' if limit.on == 'stop' else 'warns'} at the limit."


def _usd(amount: Decimal, rounding: str = ROUND_DOWN) -> str:
    """Two digits after the point, or two that say something; what is left is rounded down, what has gone up."""
    places = max(2, 1 - amount.adjusted()) if amount else 2
    shown = amount.quantize(Decimal(10) ** -min(places, 12), rounding=rounding)
    return f"{shown:f} USD"


def _amount(value: Any) -> Decimal:
    amount = money(value, "amount")
    assert amount is not None
    return amount
