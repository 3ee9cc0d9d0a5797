"""Reports: `ClassReport`, what a class used: by student, by lesson, by exercise.

In: a store with the calls of many (a server's, or one that files were merged into). Out: tables, CSV and
figures; names as they are, or pseudonyms.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from chatkit.captions import session_caption
from chatkit.exceptions import InputError
from chatkit.ledger.record import NOTHING, Usage
from chatkit.ledger.scope import Scope, UsageLine
from chatkit.ledger.store import UsageStore, default_store
from chatkit.reports import figures
from chatkit.reports import rows as sheet
from chatkit.reports.rows import When, instant
from chatkit.reports.summary import Summary
from chatkit.signs import fit_to_print

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Of = Literal["user", "lesson", "exercise", "session", "model"]
_PARTS: tuple[Literal["user", "lesson", "exercise"], ...] = ("user", "lesson", "exercise")
_COLUMNS = ("calls", "prompt_tokens", "completion_tokens", "audio_seconds", "cost", "estimated_calls", "unknown_calls",
            "unpriced_calls")  # fmt: skip


class ClassReport:
    """What the students of a class used and what it cost: shown, it is a table with a line for each.

    A call belongs to the student whose database role wrote it, or who is named by `CHATKIT_USER` or
    `session(user=...)`; lesson and exercise are those of `session(lesson=..., exercise=...)`.
    `pseudonyms=True` calls the students "Student 1", "Student 2", … in the order in which they first called,
    a mapping by the names in it.

    >>> import tempfile
    >>> ClassReport(store=UsageStore(tempfile.mkdtemp() + "/usage.sqlite"))
    Usage of the class: no calls yet
    """

    def __init__(
        self,
        *,
        since: When = None,
        until: When = None,
        lesson: str | None = None,
        exercise: str | None = None,
        pseudonyms: bool | Mapping[str, str] = False,
        store: UsageStore | None = None,
    ) -> None:
        self.store = store or default_store()
        self.scope: Scope = {
            "since": instant(since, "since"), "until": instant(until, "until"), "lesson": lesson, "exercise": exercise,
        }  # fmt: skip
        self._names = dict(pseudonyms) if isinstance(pseudonyms, Mapping) else {}
        if pseudonyms is True:
            everyone = [line.key[0] for line in self.store.lines("user")]
            self._names = {name: f"Student {number}" for number, name in enumerate(filter(None, everyone), 1)}

    @property
    def students(self) -> tuple[str, ...]:
        """Who has called, in the order of their first calls."""
        return tuple(line.key[0] for line in self.summary())

    @property
    def total(self) -> Usage:
        """What all used together."""
        return sum((line.usage for line in self.summary()), NOTHING)

    def summary(self, by: Of = "user", *, user: str | None = None) -> Summary:
        """A line for each student, lesson, exercise, session or model; of one student alone with `user`."""
        scope: Scope = {**self.scope, "user": self._real(user)}
        lines = self.store.lines(by, **scope)
        if by == "user":
            lines = [replace(line, key=(self._shown(line.key[0]),)) for line in lines]
        said = session_caption(sum((line.usage for line in lines), NOTHING)) or "no calls yet"
        return Summary(
            by, lines, f"Usage of {f'{user!r}' if user else 'the class'}: {said}", self.store.unread(**scope)
        )

    def plot(
        self,
        kind: Literal["tokens", "cost", "audio"] | None = None,
        *,
        by: Of = "user",
        user: str | None = None,
        ax: "Axes | None" = None,
        dark: bool | None = None,
    ) -> "Figure":
        """A figure with a bar for each student, lesson or exercise; without a `kind` of cost, of tokens where all was free."""
        from chatkit.reports.plots import bars

        drawn = {"tokens": bars.tokens, "cost": bars.cost, "audio": bars.audio}
        summary = self.summary(by, user=user)
        kind = kind or ("tokens" if bars.is_free(summary.lines) else "cost")
        if kind not in drawn:
            raise InputError(f"There is no plot {kind!r} of a class.", "Choose one of tokens, cost, audio.")
        return figures.marked(drawn[kind](summary.lines, by, ax=ax, dark=dark), summary.unread, ax=ax, dark=dark)

    def to_csv(self, path: "str | os.PathLike[str] | None" = None) -> str | None:
        """A line for each student, lesson and exercise, as CSV that is safe in a spreadsheet."""
        rows = map(self._cells, self.store.lines(*_PARTS, **self.scope))
        return sheet.to_csv((*_PARTS, *_COLUMNS), rows, path, self.store.unread(**self.scope).marks)

    @fit_to_print
    def __repr__(self) -> str:
        return repr(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def _cells(self, line: UsageLine) -> Sequence[str | int | float | Decimal | None]:
        user, lesson, exercise = line.key
        return (self._shown(user), lesson, exercise, *(getattr(line.usage, name) for name in _COLUMNS))

    def _shown(self, name: str) -> str:
        return self._names.get(name, name)

    def _real(self, shown: str | None) -> str | None:
        return next((name for name, pseudonym in self._names.items() if pseudonym == shown), shown)
