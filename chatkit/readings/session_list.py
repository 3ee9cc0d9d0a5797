"""Readings: `SessionList`, the sessions of the store with what they used.

In: `UsageLine`s and tags. Out: a table to look at, a sequence to go through.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkit.captions import calls_caption
from chatkit.ledger.readable import NONE, Unread
from chatkit.ledger.record import Usage
from chatkit.readings.summary import CELLS
from chatkit.readings.table import Table
from chatkit.signs import fit_to_print

SHOWN = 50


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
            for one in self.sessions[-SHOWN:]
        ]
        count = len(self.sessions)
        calls = calls_caption(sum(one.usage.calls for one in self.sessions))
        title = f"{count:,} session{'' if count == 1 else 's'}, {calls}" if count else "No sessions yet"
        notes = [f"The latest {SHOWN} are shown."] if count > SHOWN else []
        notes += [f"{self.unread} In no sum."] if self.unread else []
        heads = ("session", "tags", "last call", "calls", *(head for head, _ in shown))
        return Table(title, heads, rows, (), notes, words=(0, 1, 2))


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
