"""Keeping, the file: conversations in an SQLite file of their own, readable by its owner alone.

In: documents (JSON) with a title and the words to find them by. Out: entries and documents; every fault as a
`StoreError`. The file is opened for each access anew: no handle crosses a thread or a fork. It has no write-ahead
log, which would keep what was deleted until the last reader is gone and which a network file system cannot share;
SQLite overwrites what is deleted with zeros.
"""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatkit.conversation.conversation import repair
from chatkit.exceptions import StoreError
from chatkit.sqlite_file import Connection, Error, SqliteFile

OFF = frozenset(["off", "no", "false", "0"])
PATIENCE = 5.0
"""Seconds that an access waits for other programs."""
OURS = 0x636B6869  # SQLite's application_id: a file of another program is not written to
MIGRATIONS = (
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL, began TEXT NOT NULL, changed TEXT NOT NULL,
        title TEXT NOT NULL, model TEXT, messages INTEGER NOT NULL, branches INTEGER NOT NULL,
        document TEXT NOT NULL, words TEXT NOT NULL)""",
    "CREATE INDEX conversations_changed ON conversations (changed)",
)
_COLUMNS = ("id", "title", "model", "messages", "branches", "began", "changed")
WAY_OUT = "Name another file in CHATKIT_HISTORY, or switch the history off: CHATKIT_HISTORY=off."


class DeletedError(StoreError):
    """The conversation was deleted for good."""


class OvertakenError(StoreError):
    """The conversation was changed elsewhere since it was read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a conversation that is kept, without its text; times are UTC."""

    id: str
    title: str
    model: str | None
    messages: int
    branches: int
    began: datetime
    changed: datetime


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read: its name in the file, and what in it cannot be so."""

    id: object
    why: str


def place() -> Path | None:
    """What `CHATKIT_HISTORY` names, else `history.sqlite` in the user's data folder; None if the history is off."""
    given = os.environ.get("CHATKIT_HISTORY", "").strip()
    if given.casefold() in OFF:
        return None
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_dir

    return Path(user_data_dir("chatkit", appauthor=False), "history.sqlite")


def fold(text: str) -> str:
    """The text as it is searched: without regard to case, width or composition.

    >>> fold("GROẞE"), fold("ﬁne")
    ('grosse', 'fine')
    """
    return unicodedata.normalize("NFKC", repair(text)[0]).casefold()


class Archive:
    """The conversations in a file; the file is made by the first that is put there.

    >>> import tempfile
    >>> Archive(Path(tempfile.mkdtemp(), "history.sqlite")).entries()
    []
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._kept = SqliteFile(file, "chat history", MIGRATIONS, owner=OURS, traceless=True, way_out=WAY_OUT)

    def put(self, entry: Entry, document: str, words: str, *, after: int = 0) -> int:
        """Keep a document in the place of the version `after` (0: it is new); its version.

        Raises OvertakenError if another version is there, and DeletedError if none is.
        """
        inode = self._made()
        try:
            return self._put(entry, document, words, after)
        except StoreError as error:
            if not self._kept.renew(error.__cause__, inode):
                raise
            return self._put(entry, document, words, 0)

    def _made(self) -> int:
        try:
            return self._kept.make()
        except OSError as error:
            raise _unusable(self.file, error) from error

    def _put(self, entry: Entry, document: str, words: str, after: int) -> int:
        values = (entry.title, entry.model, entry.messages, entry.branches, document, fold(words))
        with self._writing() as connection:
            if not after:
                new = connection.execute(
                    "INSERT INTO conversations (title, model, messages, branches, document, words, id, began, changed,"
                    " version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING",
                    (*values, entry.id, entry.began.isoformat(), entry.changed.isoformat()),
                ).rowcount
                if not new:  # a forked process wrote it first
                    raise OvertakenError("kept elsewhere meanwhile")
                return 1
            changed = connection.execute(
                "UPDATE conversations SET title = ?, model = ?, messages = ?, branches = ?, document = ?, words = ?,"
                " changed = ?, version = version + 1 WHERE id = ? AND version = ?",
                (*values, entry.changed.isoformat(), entry.id, after),
            ).rowcount
            if not changed:
                there = connection.execute("SELECT 1 FROM conversations WHERE id = ?", (entry.id,)).fetchone()
                raise OvertakenError("changed elsewhere") if there else DeletedError("deleted")
            return after + 1

    def entries(self, search: str = "", limit: int | None = None) -> list[Entry | Broken]:
        """The conversations in which all words of `search` stand, those changed last first; `Broken` where a row cannot be read."""
        condition, words = _containing(search)
        query = f"SELECT {', '.join(_COLUMNS)} FROM conversations{condition}"
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                f"{query} ORDER BY changed DESC, id LIMIT ?", (*words, -1 if limit is None else limit)
            )
            return [_entry(row) for row in rows]

    def document(self, id: str) -> tuple[str, int]:
        """A conversation's document and its version; raises DeletedError if it is not there."""
        with self._reading() as connection:
            query = "SELECT document, version FROM conversations WHERE id = ?"
            row = connection.execute(query, (id,)).fetchone() if connection else None
        if row is None:
            raise DeletedError("This conversation is not in the history any more; it was deleted.")
        if not (isinstance(row[0], str) and isinstance(row[1], int)):
            raise StoreError(f"The conversation {id!r} in {self.file} cannot be read.", "Delete it: its delete() does.")
        return row[0], row[1]

    def delete(self, id: str) -> int:
        """Delete a conversation for good; how many there were (0 or 1)."""
        return self._delete(" WHERE id = ?", (id,))

    def delete_all(self, search: str = "") -> int:
        """Delete for good all conversations in which all words of `search` stand; how many there were."""
        return self._delete(*_containing(search))

    def _delete(self, condition: str, values: tuple[str, ...]) -> int:
        if not self._size():
            return 0
        with self._writing() as connection:
            return connection.execute(f"DELETE FROM conversations{condition}", values).rowcount

    def _size(self) -> int:
        """Bytes of the file; 0 where there is none."""
        try:
            return self.file.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise _unusable(self.file, error) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        if not self._size():
            yield None
            return
        with self._connected() as connection:
            yield connection if self._kept.version(connection) else None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._kept.migrate(connection)
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            connection = self._kept.connect(PATIENCE)
            try:
                yield connection
            finally:
                connection.close()  # what was not committed is rolled back
        except (Error, OSError) as error:
            raise _unusable(self.file, error) from error


def _entry(row: tuple[Any, ...]) -> Entry | Broken:
    kinds = (str, str, str | None, int, int, str, str)
    wrong = [name for name, value, kind in zip(_COLUMNS, row, kinds, strict=True) if not isinstance(value, kind)]
    times = {name: _moment(value) for name, value in zip(_COLUMNS[5:], row[5:], strict=True)}
    wrong += [name for name, time in times.items() if time is None and name not in wrong]
    began, changed = times.values()
    if wrong or began is None or changed is None:
        return Broken(row[0], ", ".join(f"{name} cannot be {row[_COLUMNS.index(name)]!r:.40}" for name in wrong))
    id, title, model, messages, branches, *_ = row
    return Entry(id, title, model, messages, branches, began, changed)


def _moment(value: object) -> datetime | None:
    """The time; None if it is none, or none that every time zone can tell."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo and 1970 <= at.year < 2200 else None


def _unusable(file: Path, error: Exception) -> StoreError:
    return StoreError(f"The chat history {file} cannot be used ({error}).", WAY_OUT)


def _containing(search: str) -> tuple[str, tuple[str, ...]]:
    words = tuple(fold(search).split())
    return (" WHERE " + " AND ".join(["instr(words, ?) > 0"] * len(words)) if words else "", words)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
