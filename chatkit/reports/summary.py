"""Reports: what was used by session, model, day and the like, one line each; and the list of sessions.

In: `UsageLine`s of the store. Out: a table to look at, CSV, a DataFrame. Estimated and unknown are said, never 0.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from chatkit.captions import calls_caption, dollars, minutes
from chatkit.ledger.readable import NONE, Unread
from chatkit.ledger.record import Usage
from chatkit.ledger.scope import UsageLine
from chatkit.render.table import Table
from chatkit.reports import rows as sheet
from chatkit.signs import fit_to_print

if TYPE_CHECKING:
    import pandas


By = Literal["session", "model", "day", "hour", "endpoint", "user", "lesson", "exercise"]
SHOWN = 20
"""Lines that a table shows; CSV and DataFrame have all."""

_NAMELESS = {"model": "(model not said)", "user": "(no user)", "lesson": "(no lesson)", "exercise": "(no exercise)"}
_COLUMNS = (
    "calls", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "audio_seconds", "cost",
    "failed_calls", "estimated_calls", "unknown_calls", "unpriced_calls", "latency", "first", "last",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """What was used, by one thing; iterate over it for the `UsageLine`s.

    >>> len(Summary("model", (), "Usage by model"))
    0
    """

    by: By
    lines: Sequence[UsageLine]
    title: str
    unread: Unread = NONE
    """Rows that could not be read, and are in no line."""

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[UsageLine]:
        return iter(self.lines)

    def __getitem__(self, name: str) -> Usage:
        """What was used by the session, model and so on of this name; raises KeyError where there is none."""
        found = next((line.usage for line in self.lines if line.key[0] == name), None)
        if found is None:
            raise KeyError(name)
        return found

    @fit_to_print
    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def to_csv(self, path: "str | os.PathLike[str] | None" = None) -> str | None:
        """A line for each, as CSV that is safe in a spreadsheet; text, or written to `path`.

        A row that could not be read is a last line of one cell that says so.
        """
        rows = ((line.key[0], *_values(line)) for line in self.lines)
        return sheet.to_csv((self.by, *_COLUMNS), rows, path, self.unread.marks)

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row for each; `SetupError` where pandas is not installed."""
        rows = [_values(line) for line in self.lines]
        columns: dict[str, Sequence[Any]] = {
            name: [row[number] for row in rows] for number, name in enumerate(_COLUMNS)
        }
        return sheet.to_dataframe({str(self.by): [line.key[0] for line in self.lines], **columns})

    def table(self) -> Table:
        """The lines as a person reads them."""
        usages = [line.usage for line in self.lines]
        shown = [(head, cell) for head, cell, needed in CELLS if any(needed(usage) for usage in usages)]
        rows = [
            (self.name(line), f"{line.usage.calls:,}", *(cell(line.usage) for _, cell in shown))
            for line in self.lines[:SHOWN]
        ]
        whole = sum(usages, Usage(0, 0, calls=0))
        foot = ("total", f"{whole.calls:,}", *(cell(whole) for _, cell in shown)) if len(usages) > 1 else ()
        return Table(self.title, (self.by, "calls", *(head for head, _ in shown)), rows, foot, self._notes(whole))

    def name(self, line: UsageLine) -> str:
        """What the line is called."""
        return line.key[0] or _NAMELESS.get(self.by, "(no name)")

    def _notes(self, whole: Usage) -> list[str]:
        notes = []
        if len(self.lines) > SHOWN:
            notes.append(f"… and {len(self.lines) - SHOWN:,} more, in the total and in to_csv().")
        if whole.estimated_calls:
            notes.append(f"≈ {calls_caption(whole.estimated_calls)} estimated: broken off, or no usage was sent.")
        if whole.unknown_calls:
            notes.append(f"? {calls_caption(whole.unknown_calls)} of unknown usage, in no sum.")
        if whole.unpriced_calls:
            notes.append(f"? {calls_caption(whole.unpriced_calls)} without a price, in no cost.")
        if failed := sum(line.failed for line in self.lines):
            notes.append(f"{calls_caption(failed)} failed.")
        if self.unread:
            notes.append(f"{self.unread} In no sum.")
        return notes


def _values(line: UsageLine) -> tuple[Any, ...]:
    usage = line.usage
    known = {"failed_calls": line.failed, "latency": line.latency, "first": line.first, "last": line.last}
    return tuple(known[name] if name in known else getattr(usage, name) for name in _COLUMNS)


def tokens_cell(usage: Usage, name: str) -> str:
    """A count of tokens, ≈ where estimated, + ? where some calls are unknown; – where there are none to count."""
    count: int | None = getattr(usage, name)
    if count is None:
        return "unknown" if usage.unknown_calls else "–"
    return _said(f"{count:,}", usage.estimated_calls, usage.unknown_calls)


def cost_cell(usage: Usage) -> str:
    """The cost in US dollars, in the same way."""
    if usage.cost is None or (usage.cost == 0 and usage.unpriced_calls):
        return "unknown"
    return _said(dollars(usage.cost), usage.estimated_calls if usage.cost else 0, usage.unpriced_calls)


def _tokens(name: str) -> Callable[[Usage], str]:
    return lambda usage: tokens_cell(usage, name)


def _audio(usage: Usage) -> str:
    return "–" if usage.audio_seconds is None else minutes(usage.audio_seconds)


def _said(number: str, estimated: int, unknown: int) -> str:
    return f"{'≈ ' if estimated else ''}{number}{' + ?' if unknown else ''}"


def _always(_: Usage) -> bool:
    return True


def _has(name: str) -> Callable[[Usage], bool]:
    return lambda usage: bool(getattr(usage, name))


CELLS: tuple[tuple[str, Callable[[Usage], str], Callable[[Usage], bool]], ...] = (
    ("tokens in", _tokens("prompt_tokens"), _always),
    ("cached", _tokens("cached_tokens"), _has("cached_tokens")),
    ("tokens out", _tokens("completion_tokens"), _always),
    ("reasoning", _tokens("reasoning_tokens"), _has("reasoning_tokens")),
    ("audio min", _audio, _has("audio_seconds")),
    ("cost USD", cost_cell, _always),
)
"""Title, content, and when a column is needed."""


SESSIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Session:
    """A session: its name and tags, when its first and last calls began, what it used.

    >>> from chatkit.ledger.record import NOTHING
    >>> day = datetime(2026, 11, 23)
    >>> Session("Lesson 1", ("year 9",), day, day, NOTHING).usage.calls
    0
    """

    name: str
    tags: tuple[str, ...]
    first: datetime
    last: datetime
    usage: Usage


@dataclass(frozen=True, slots=True, repr=False)
class SessionList:
    """Sessions in the order of their first calls; `sessions["Lesson 1"]` is one of them.

    >>> len(SessionList(()))
    0
    """

    sessions: Sequence[Session]
    unread: Unread = NONE
    """Rows that could not be read, and are in no session."""

    def __len__(self) -> int:
        return len(self.sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self.sessions)

    def __getitem__(self, which: str | int) -> Session:
        """The session of this name, or at this place; raises KeyError or IndexError where there is none."""
        if isinstance(which, int):
            return self.sessions[which]
        found = next((session for session in self.sessions if session.name == which), None)
        if found is None:
            raise KeyError(which)
        return found

    @property
    def names(self) -> list[str]:
        """All names."""
        return [session.name for session in self.sessions]

    @fit_to_print
    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """The latest sessions as a person reads them."""
        shown = [(head, cell) for head, cell, needed in CELLS if any(needed(one.usage) for one in self.sessions)]
        rows = [
            (one.name, ", ".join(one.tags), _local(one.last), f"{one.usage.calls:,}", *(c(one.usage) for _, c in shown))
            for one in self.sessions[-SESSIONS_SHOWN:]
        ]
        count = len(self.sessions)
        calls = calls_caption(sum(one.usage.calls for one in self.sessions))
        title = f"{count:,} session{'' if count == 1 else 's'}, {calls}" if count else "No sessions yet"
        notes = [f"The latest {SESSIONS_SHOWN} are shown."] if count > SESSIONS_SHOWN else []
        notes += [f"{self.unread} In no sum."] if self.unread else []
        heads = ("session", "tags", "last call", "calls", *(head for head, _ in shown))
        return Table(title, heads, rows, (), notes, words=(0, 1, 2))


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
