"""Readings: `UsageReport`, what some calls used and cost, and every further question about them.

In: a store and the scope of the question. Out: a table, summaries, rows, figures; sums are the database's.
"""

import os
import warnings
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast, get_args

from chatkit.captions import session_caption
from chatkit.exceptions import InputError
from chatkit.ledger.readable import Unread
from chatkit.ledger.record import NOTHING, Usage, UsageRecord
from chatkit.ledger.scope import Grouping, Scope, UsageLine
from chatkit.ledger.store import UsageStore
from chatkit.readings import figures, sheet
from chatkit.readings.clock import local_day, local_hour, short_hours
from chatkit.readings.figures import FigureKind
from chatkit.readings.summary import By, Summary
from chatkit.signs import fit_to_print

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLOCKS = {"day": local_day, "hour": local_hour}
_GROUPS: dict[str, Grouping] = {name: name for name in get_args(By) if name not in _CLOCKS}
_USED = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "audio_seconds", "cost", "known")
_FACTS = tuple(f.name for f in fields(UsageRecord) if f.name not in ("usage", "details", "at_most"))
_EVER = datetime.min.replace(tzinfo=UTC)


class UsageReport:
    """What the calls of a scope used and cost: shown, it is a table.

    `total` and the table are of the moment when the report was made; every further question asks the store.

    >>> import tempfile
    >>> UsageReport(UsageStore(tempfile.mkdtemp() + "/usage.sqlite"), {"session": "Lesson 1"})
    Usage of the session 'Lesson 1': no calls yet
    """

    def __init__(self, store: UsageStore, scope: Scope, title: str = "") -> None:
        self.store = store
        self.scope: Scope = scope
        self.title = title or titled(scope)
        self._summary = self.summary("model" if scope.get("session") is not None else "session")
        self.total: Usage = sum((line.usage for line in self._summary), NOTHING)

    @fit_to_print
    def __repr__(self) -> str:
        return self._summary.table().text()

    def _repr_html_(self) -> str:
        return self._summary.table().html()

    def summary(self, by: By = "session") -> Summary:
        """A line for each session, model, local day or hour, endpoint, user, lesson or exercise, summed by the database."""
        if by in _CLOCKS:
            lines = self._by_clock(by)
        elif by in _GROUPS:
            lines = self.store.lines(_GROUPS[by], **self.scope)
        else:
            raise InputError(f"There is no summary by {by!r}.", f"Choose one of {', '.join([*_GROUPS, *_CLOCKS])}.")
        said = session_caption(sum((line.usage for line in lines), NOTHING)) or "no calls yet"
        return Summary(by, lines, f"{self.title}: {said}", self.unread)

    @property
    def unread(self) -> Unread:
        """The rows that could not be read and are in no sum: how many, which, and why."""
        return self.store.unread(**self.scope)

    def records(self) -> list[UsageRecord]:
        """Every call, in the order in which they were written; a warning tells those that could not be read."""
        if unread := self.unread:
            warnings.warn(f"{unread} Left out.", stacklevel=2)
        return self.store.records(**self.scope)

    def to_csv(self, path: "str | os.PathLike[str] | None" = None) -> str | None:
        """A line for each call, as CSV that is safe in a spreadsheet; text, or written to `path`.

        What is unknown is an empty cell, and `known` says whether tokens are measured, estimated or unknown. A call
        that could not be read is a last line of one cell that says so.
        """
        rows = map(_values, self.store.records(**self.scope))
        return sheet.to_csv((*_FACTS, *_USED), rows, path, self.unread.marks)

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row for each call; `SetupError` where pandas is not installed."""
        rows = [_values(record) for record in self.records()]
        return sheet.to_dataframe({name: [row[n] for row in rows] for n, name in enumerate((*_FACTS, *_USED))})

    @figures.documented
    def plot(
        self,
        kind: FigureKind | None = None,
        *,
        by: By | None = None,
        limit: Decimal | None = None,
        ax: "Axes | None" = None,
        dark: bool | None = None,
    ) -> "Figure":
        """A matplotlib figure, shown by a notebook at the end of a cell; drawn into `ax` if one is given.

        `kind` is one of these; without one it is "tokens" of several sessions, "time" of one:

        {plots}

        `dark` is True or False where the ground is known; a figure without it is readable on both.
        """
        one = self.scope.get("session") is not None
        asked = figures.Question(
            self.store, self.scope, lambda name: self.summary(cast(By, name)).lines,
            by or ("model" if one else "session"), limit, ax, dark,
        )  # fmt: skip
        return figures.plot(kind or ("time" if one else "tokens"), asked)

    def _by_clock(self, by: By) -> list[UsageLine]:
        lines = self.store.lines("quarter", rename=_CLOCKS[by], **self.scope)
        lines.sort(key=lambda line: (line.first or _EVER, line.key))
        names = [line.key[0] for line in lines]
        return [
            replace(line, key=(name,))
            for line, name in zip(lines, short_hours(names) if by == "hour" else names, strict=True)
        ]


def titled(scope: Scope) -> str:
    """What a report of these calls is called."""
    given: dict[str, Any] = {name: value for name, value in scope.items() if value is not None}
    parts = [f"Usage of the session {given.pop('session')!r}" if "session" in given else "Usage"]
    for name, value in given.items():
        if name in ("since", "until"):
            parts.append(f"{'since' if name == 'since' else 'before'} {value.astimezone():%Y-%m-%d %H:%M}")
        else:
            parts.append(f"{name} {value!r}")
    return ", ".join(parts)


def _values(record: UsageRecord) -> list[Any]:
    return [getattr(record, name) for name in _FACTS] + [getattr(record.usage, name) for name in _USED]
