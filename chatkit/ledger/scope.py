"""Which calls a question is about, and the lines of the answer. Values only.

In: what a reading asks. Out: keywords for the store, `UsageLine`s from it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from chatkit.ledger.record import NOTHING, Usage

Grouping = Literal["session", "model", "endpoint", "user", "lesson", "exercise", "quarter"]


class Scope(TypedDict, total=False):
    """The calls of a session, from `since` on, before `until`, of a tagged session, and so on; what is None or left out chooses none."""

    session: str | None
    since: datetime | None
    until: datetime | None
    model: str | None
    endpoint: str | None
    user: str | None
    lesson: str | None
    exercise: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What the calls that share `key` used together.

    `usage` sums all of them, `estimated` those whose usage is only estimated; `failed` of them ended in an
    error, `latency` is their seconds added up; `first` and `last` are when they began.
    """

    key: tuple[str, ...]
    usage: Usage = NOTHING
    estimated: Usage = NOTHING
    failed: int = 0
    latency: float = 0.0
    first: datetime | None = None
    last: datetime | None = None

    def __add__(self, other: "UsageLine") -> "UsageLine":
        times = [time for time in (self.first, other.first, self.last, other.last) if time]
        return UsageLine(
            self.key,
            self.usage + other.usage,
            self.estimated + other.estimated,
            self.failed + other.failed,
            self.latency + other.latency,
            min(times, default=None),
            max(times, default=None),
        )
