"""Reports: what some calls used and cost; the questions that a person asks, as verbs.

In: a store and the scope of the question. Out: a table, summaries, rows, figures; sums are the database's.
"""

import os
import warnings
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from chatkit import typed
from chatkit.captions import session_caption
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import record as sessions_now
from chatkit.ledger import sessions as filing
from chatkit.ledger.readable import Unread
from chatkit.ledger.record import NOTHING, Usage, UsageRecord
from chatkit.ledger.scope import Grouping, Scope, UsageLine
from chatkit.ledger.store import UsageStore, default_store
from chatkit.private_folder import PrivateFolder
from chatkit.reports import figures
from chatkit.reports import rows as sheet
from chatkit.reports.figures import FigureKind
from chatkit.reports.rows import When, instant, local_day, local_hour, short_hours
from chatkit.reports.summary import By, Session, SessionList, Summary
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


class WaitingStore(UsageStore):
    """The calls that wait in another store's memory, in a file of their own for as long as it is looked at."""

    def __init__(self, store: UsageStore) -> None:
        self._private = PrivateFolder("usage")
        super().__init__(self._private.path / "usage.sqlite")
        self.add_all(store.unwritten())


def sentence(store: UsageStore, fault: StoreError) -> str:
    """What is shown, and why it is not all."""
    count = len(store.unwritten())
    calls = "call that waits" if count == 1 else f"{count} calls that wait"
    return f"only the {calls} in memory ({fault.cause})"


def usage(
    session: str | Literal[True] | None = True,
    *,
    since: When = None,
    until: When = None,
    model: str | None = None,
    endpoint: str | None = None,
    user: str | None = None,
    lesson: str | None = None,
    exercise: str | None = None,
    tag: str | None = None,
    store: UsageStore | None = None,
) -> UsageReport:
    """What was used and what it cost: of this session, unless something else is chosen.

    `session` is a name, or None for all sessions (which is meant where only other things are chosen); `since`
    and `until` (not included) are times, dates (their midnight), spans back from now, "today" or "yesterday";
    `model` is the one asked or answered, `endpoint` a host and path such as "api.openai.com/v1/responses", `tag` one that sessions were given.

    >>> usage("a session of no calls")
    Usage of the session 'a session of no calls': no calls yet
    """
    chosen: Scope = {
        "model": model,
        "endpoint": endpoint,
        "user": user,
        "lesson": lesson,
        "exercise": exercise,
        "tag": tag,
    }
    chosen = cast(Scope, {name: typed.name_or_none(value, name) for name, value in chosen.items()})
    chosen |= {"since": instant(since, "since"), "until": instant(until, "until")}
    here = session is True and all(value is None for value in chosen.values())
    title = "Usage of this session" if here else ""
    if here:
        session = sessions_now.current_session()
    chosen["session"] = None if session is True else typed.name_or_none(session, "session")
    store = store or default_store()
    try:
        return UsageReport(store, chosen, title)
    except StoreError as fault:
        if not store.unwritten():
            raise
        told = f"{title or titled(chosen)}, {sentence(store, fault)}"
        return UsageReport(WaitingStore(store), chosen, told)


def sessions(tag: str | None = None, *, store: UsageStore | None = None) -> SessionList:
    """All sessions, or those with this tag: names, tags, last calls, what they used."""
    store = store or default_store()
    tags = filing.tags(store)
    return SessionList(
        [
            Session(line.key[0], tags.get(line.key[0], ()), line.first, line.last, line.usage)
            for line in store.lines("session", tag=tag)
            if line.first and line.last
        ],
        store.unread(tag=tag),
    )


def rename_session(new: str, session: str | None = None, *, store: UsageStore | None = None) -> None:
    """Call a session `new`: this one, or the one named; calls that are still to come go by that name too.

    Another notebook that is calling on the old name at the time goes on to do so.
    """
    filing.rename(store or default_store(), session or sessions_now.current_session(), new)


def tag_session(*tags: str, session: str | None = None, store: UsageStore | None = None) -> None:
    """Give a session these tags, in place of those it had: this session, or the one named."""
    filing.tag(store or default_store(), session or sessions_now.current_session(), tags)


def delete_session(session: str, *, store: UsageStore | None = None) -> int:
    """Delete a session for good: its name, its tags, its calls; gives how many calls.

    In a file no byte of them is left. `InputError` if there is no such session, `StoreError` if other notebooks
    keep traces from being wiped now.
    """
    return filing.delete(store or default_store(), session)
