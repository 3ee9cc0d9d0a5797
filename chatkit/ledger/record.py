"""Values of the ledger: `Usage` (what was used, adds up) and `UsageRecord` (one HTTP attempt).

In: what the meter read off the wire. Out: rows for the store, in the columns that are told here once, sums for a reading. What is not known
is None, never 0; a sum adds what is known and counts the calls that are not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from chatkit.api.finish import Outcome as Outcome
from chatkit.display import shown
from chatkit.signs import fit_to_print

Known = Literal["measured", "estimated", "unknown"]

Number = TypeVar("Number", int, float, Decimal)

_DOUBT: dict[Known, int] = {"measured": 0, "estimated": 1, "unknown": 2}


def _plus(a: Number | None, b: Number | None) -> Number | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, audio seconds and US dollars of one call, or of many added up.

    `cost` is None where the price is not known, 0 only where the call was free. In a sum, None means
    that no part was known; `unknown_calls` and `unpriced_calls` say how many calls the sum leaves out,
    `estimated_calls` how many it only estimates.

    >>> sum([Usage(10, 5, known="measured"), Usage()])
    Usage(prompt_tokens=10, completion_tokens=5, calls=2, unknown_calls=1, unpriced_calls=2)
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_seconds: float | None = None
    cost: Decimal | None = None
    known: Known = "unknown"
    calls: int = 1
    unknown_calls: int = 0
    estimated_calls: int = 0
    unpriced_calls: int = 0

    def __post_init__(self) -> None:
        if self.calls == 1:  # a single call speaks for itself; a sum says how many of each it holds
            object.__setattr__(self, "unknown_calls", int(self.known == "unknown"))
            object.__setattr__(self, "estimated_calls", int(self.known == "estimated"))
            object.__setattr__(self, "unpriced_calls", int(self.cost is None))

    @property
    def total_tokens(self) -> int | None:
        """Prompt and completion tokens together; None where neither is known."""
        return _plus(self.prompt_tokens, self.completion_tokens)

    def __add__(self, other: "Usage") -> "Usage":
        if not isinstance(other, Usage):
            return NotImplemented
        if not (self.calls and other.calls):  # no calls used nothing, which is known
            return self if self.calls else other
        return Usage(
            prompt_tokens=_plus(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_plus(self.completion_tokens, other.completion_tokens),
            cached_tokens=_plus(self.cached_tokens, other.cached_tokens),
            reasoning_tokens=_plus(self.reasoning_tokens, other.reasoning_tokens),
            audio_seconds=_plus(self.audio_seconds, other.audio_seconds),
            cost=_plus(self.cost, other.cost),
            known=max(self.known, other.known, key=_DOUBT.__getitem__),
            calls=self.calls + other.calls,
            unknown_calls=self.unknown_calls + other.unknown_calls,
            estimated_calls=self.estimated_calls + other.estimated_calls,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
        )

    def __radd__(self, other: object) -> "Usage":
        return self if other == 0 else NotImplemented

    @fit_to_print
    def __repr__(self) -> str:
        return f"Usage({_told(self, *(field.name for field in fields(self)))})"

    def _repr_html_(self) -> str | None:
        return shown(self)


NOTHING = Usage(0, 0, cost=Decimal(0), known="measured", calls=0)
"""What zero calls used: the start of a sum."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One HTTP attempt: what was asked of whom, how it ended, how long it took, what it used.

    `id` is made by the writer (a resend makes no double), `at` is UTC, times are in seconds, `usage.cost`
    in US dollars at the price that the table `price_table` gave for the day `price_date`; both are None
    where no table was asked. `first_token` is None where no stream brought one. `user`, `lesson` and
    `exercise` are what the notebook says of itself, `details` is JSON of counts beyond those of `usage`,
    `at_most` what a call without a measured cost cannot exceed. No prompt or answer text.

    >>> import chatkit
    >>> [record.outcome for record in chatkit.UsageStore().records(session="a session that never was")]
    []
    """

    id: str
    at: datetime
    session: str
    path: str
    host: str
    model: str | None
    answered_model: str | None
    streamed: bool
    outcome: Outcome
    status: int | None
    error_code: str | None
    attempt: int
    latency: float
    first_token: float | None
    usage: Usage
    price_table: str | None = None
    price_date: str | None = None
    user: str = ""
    lesson: str = ""
    exercise: str = ""
    details: str | None = None
    at_most: Decimal | None = None

    @fit_to_print
    def __repr__(self) -> str:
        told = _told(self, "session", "path", "host", "model", "outcome", "status", "error_code", "latency", "usage")
        return f"UsageRecord('{self.at:%Y-%m-%d %H:%M:%S} UTC', {told})"


class Column(NamedTuple):
    """A column of the store's table of calls: how it is called, what a value of it can be, where a record has it."""

    name: str
    kind: Literal["text", "word", "moment", "flag", "count", "tokens", "money", "seconds"]
    of: str = ""
    """The field of a record, where it is called otherwise."""
    needed: bool = False
    most: int = 0
    words: tuple[str, ...] = ()
    since: int = 1
    """The migration that has brought it."""

    @property
    def field(self) -> str:
        """The field of a record, or of its usage (`usage.cost`)."""
        return self.of or self.name


TOKENS = 10**12
"""Tokens of one call, at most."""
PICO = 10**16
"""What one call costs at most, in 1e-12 US dollars: 10,000 USD."""
SECONDS = 10**7
"""How long one call takes, or its sound lasts, at most."""

COLUMNS = (
    Column("id", "text", needed=True),
    Column("at", "moment", needed=True),
    Column("session", "text", needed=True),
    Column("path", "text", needed=True),
    Column("host", "text", needed=True),
    Column("model", "text"),
    Column("answered_model", "text"),
    Column("streamed", "flag", needed=True, most=1),
    Column("outcome", "word", needed=True, words=get_args(Outcome)),
    Column("status", "count", most=999),
    Column("error_code", "text"),
    Column("attempt", "count", needed=True, most=10**6),
    Column("latency", "seconds", needed=True, most=SECONDS),
    Column("first_token", "seconds", most=SECONDS),
    Column("prompt_tokens", "tokens", "usage.prompt_tokens", most=TOKENS),
    Column("completion_tokens", "tokens", "usage.completion_tokens", most=TOKENS),
    Column("cached_tokens", "tokens", "usage.cached_tokens", most=TOKENS),
    Column("reasoning_tokens", "tokens", "usage.reasoning_tokens", most=TOKENS),
    Column("audio_seconds", "seconds", "usage.audio_seconds", most=SECONDS),
    Column("cost_pico", "money", "usage.cost", most=PICO),
    Column("known", "word", "usage.known", needed=True, words=get_args(Known)),
    Column("price_table", "text"),
    Column("price_date", "text"),
    Column("caller", "text", "user", needed=True, since=2),
    Column("lesson", "text", needed=True, since=2),
    Column("exercise", "text", needed=True, since=2),
    Column("details", "text", since=2),
    Column("at_most_pico", "money", "at_most", most=PICO, since=2),
)
"""The columns in the order in which a row has them. A new one is a line here, a field above and a migration in
schema.py; rows, readable, parcel and spool follow."""


def _told(value: Any, *names: str) -> str:
    """The fields of these names that say more than their default does."""
    told = [(field.name, getattr(value, field.name), field.default) for field in fields(value) if field.name in names]
    return ", ".join(f"{name}={said!r}" for name, said, default in told if said not in (default, None))


def total(records: Iterable[UsageRecord]) -> Usage:
    """The usage of all records together."""
    return sum((record.usage for record in records), NOTHING)
