"""Values of the ledger: `Usage` (it adds up), `UsageRecord` (one HTTP attempt), and the session it is booked on.

In: what the meter read off the wire. Out: rows for the store, in the columns that are told here once, sums for a reading. What is not known
is None, never 0; a sum adds what is known and counts the calls that are not.
"""

import json
import os
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar, get_args
from uuid import uuid4

from chatkit import typed
from chatkit.api.answer import Counts as Counts
from chatkit.api.answer import Outcome as Outcome
from chatkit.api.answer import is_count
from chatkit.display import shown
from chatkit.exceptions import mended
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


_COLUMNS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
            "cache_read_tokens": "cached_tokens", "output_reasoning_tokens": "reasoning_tokens",
            "audio_seconds": "audio_seconds"}  # fmt: skip

NO_COUNTS: Counts = {"input_tokens": 0, "output_tokens": 0}
"""What a request used that was refused."""


def to_usage(counts: Counts | None, known: Known, cost: Decimal | None) -> Usage:
    """A `Usage` of one call."""
    if not counts:
        return Usage(cost=cost, known=known)
    return Usage(
        _whole(counts.get("input_tokens")),
        _whole(counts.get("output_tokens")),
        _whole(counts.get("cache_read_tokens")),
        _whole(counts.get("output_reasoning_tokens")),
        counts.get("audio_seconds"),
        cost,
        known,
    )


def details(counts: Counts | None, tier: str | None) -> str | None:
    """What pricing the call again needs beyond its columns, as JSON; None if that is nothing.

    >>> details({"input_tokens": 9, "input_audio_tokens": 4}, "flex")
    '{"input_audio_tokens": 4, "service_tier": "flex"}'
    """
    more: dict[str, Any] = {key: count for key, count in (counts or {}).items() if count and key not in _COLUMNS}
    if tier and tier != "default":
        more["service_tier"] = tier
    return json.dumps(more) if more else None


def of_record(record: UsageRecord) -> tuple[Counts, str | None]:
    """The counts that a record keeps, and its service tier; ValueError where its details cannot be read."""
    columns = {key: getattr(record.usage, name) for key, name in _COLUMNS.items()}
    more = _read_details(record.details) if record.details else {}
    counted = {key: count for key, count in {**columns, **more}.items() if is_count(count)}
    return counted, more.get("service_tier")


def _read_details(details: str) -> dict[str, Any]:
    try:
        more = json.loads(details)
    except RecursionError:
        more = None
    if not isinstance(more, dict) or not isinstance(more.get("service_tier", ""), str):
        raise ValueError("these are no counts")
    return more


def _whole(count: int | float | None) -> int | None:
    return None if count is None else int(count)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Booking:
    """The names that a call is booked on; renaming the session reaches every call that is still to come."""

    session: str
    user: str = ""
    lesson: str = ""
    exercise: str = ""


def new_name() -> str:
    """The name of a session that nobody has named: when it began, and six digits of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {uuid4().hex[:6]}"


_process = Booking(new_name())
_current: ContextVar[Booking] = ContextVar("chatkit_session")
_open: "weakref.WeakSet[Booking]" = weakref.WeakSet([_process])


def booking() -> Booking:
    """What calls are booked on now."""
    return _current.get(_process)


def current_session() -> str:
    """The name of the session that calls are booked on now."""
    return booking().session


def current_user() -> str:
    """Who calls: what `session(user=...)` says, else `CHATKIT_USER`, else nobody."""
    return booking().user or mended(os.environ.get("CHATKIT_USER", ""))


@contextmanager
def session(name: str, *, lesson: str = "", exercise: str = "", user: str = "") -> Iterator[str]:
    """Book the calls made inside on the session `name`, and on a lesson, an exercise and a user if they are given.

    >>> with session("Lesson 1", exercise="b"):
    ...     current_session()
    'Lesson 1'
    """
    outer = booking()
    name = typed.name(name, "session")
    inner = replace(
        outer,
        session=name,
        lesson=typed.name(lesson, "lesson") or outer.lesson,
        exercise=typed.name(exercise, "exercise") or outer.exercise,
        user=typed.name(user, "user") or outer.user,
    )
    _open.add(inner)
    token = _current.set(inner)
    try:
        yield name
    finally:
        _current.reset(token)


def rename(old: str, new: str) -> None:
    """Book on the session `new` what this process would go on to book on `old`."""
    for one in list(_open):
        if one.session == old:
            one.session = new
