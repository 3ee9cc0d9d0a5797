"""The spool: rows for a server that is away, on this machine's disk until they are there.

In: rows. Out: the same rows, in the order in which they came, until they are forgotten. All kernels of a user share the file of
a server; a row that two of them send is there once, by its id. Nothing but sqlite3 is needed to keep a row.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatkit.ledger import place as places
from chatkit.ledger.place import Place
from chatkit.ledger.rows import NAMES

WAIT = 2.0
"""Seconds that another kernel may hold the file."""

Row = tuple[Any, ...]
_EMPTY = dict.fromkeys(("caller", "lesson", "exercise"), "")


class Spool:
    """Rows in a file; safe in threads."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def put(self, row: Row) -> None:
        """Keep the row; it is on the disk when this returns. Raises sqlite3.Error or OSError where it cannot be."""
        with self._lock:
            self._open().execute(
                "INSERT OR IGNORE INTO spool (id, row) VALUES (?, ?)",
                (row[0], json.dumps(dict(zip(NAMES, row, strict=True)))),
            )

    def some(self, count: int) -> list[Row]:
        """The first rows that wait."""
        with self._lock:
            found = (
                self._open()
                .execute("SELECT row FROM spool WHERE NOT refused ORDER BY seq LIMIT ?", (count,))
                .fetchall()
            )
        kept = (_EMPTY | json.loads(text) for (text,) in found)
        return [tuple(row.get(name) for name in NAMES) for row in kept]

    def forget(self, rows: Sequence[Row]) -> None:
        """These rows are where they belong."""
        self._each("DELETE FROM spool WHERE id = ?", rows)

    def refuse(self, rows: Sequence[Row]) -> None:
        """Keep these rows, but do not offer them again: the server takes others and not them."""
        self._each("UPDATE spool SET refused = 1 WHERE id = ?", rows)

    def count(self) -> int:
        """How many rows wait; 0 where there is no file."""
        if not self.file.exists():
            return 0
        with self._lock:
            return int(self._open().execute("SELECT count(*) FROM spool WHERE NOT refused").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _each(self, statement: str, rows: Sequence[Row]) -> None:
        with self._lock:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, [(row[0],) for row in rows])
            connection.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            places.make(self.file)
            connection = sqlite3.connect(self.file, timeout=WAIT, isolation_level=None, check_same_thread=False)
            if not places.on_network(self.file.resolve()):
                connection.execute("PRAGMA journal_mode = wal")
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS spool (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, row TEXT NOT NULL,"
                " refused INTEGER NOT NULL DEFAULT 0)"
            )
            self._connection = connection
        return self._connection


def spool_of(place: Place) -> Spool:
    """The spool of a server: a file in the user's data folder, named by the server's address and the user there."""
    return Spool(place.name_beside("spool", ".sqlite"))
