"""The spool: rows for a server that is away, on this machine's disk until they are there.

In: rows. Out: the same rows, in the order in which they came, until they are forgotten. All kernels of a user share the file of
a server; a row that two of them send is there once, by its id. Nothing but sqlite3 is needed to keep a row. A file that is
damaged is set aside, and another begun.
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from chatkit.exceptions import StoreError
from chatkit.ledger.place import Place
from chatkit.ledger.rows import BLANK, NAMES
from chatkit.sqlite_file import Connection, Error, SqliteFile

WAIT = 2.0
"""Seconds that another kernel may hold the file."""

FAULTS = (Error, OSError, StoreError)
"""What is raised where the file cannot be used."""

Result = TypeVar("Result")
SpoolRow = tuple[Any, ...]
_MIGRATIONS = (
    "CREATE TABLE IF NOT EXISTS spool (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, row TEXT NOT NULL,"
    " refused INTEGER NOT NULL DEFAULT 0)",
)


class Spool:
    """Rows in a file; safe in threads."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._kept = SqliteFile(file, "spool", _MIGRATIONS)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._inode = 0

    def put(self, row: SpoolRow) -> None:
        """Keep the row; it is on the disk when this returns. Raises one of `FAULTS` where it cannot be."""
        values = (row[0], json.dumps(dict(zip(NAMES, row, strict=True))))
        self._using(lambda opened: opened.execute("INSERT OR IGNORE INTO spool (id, row) VALUES (?, ?)", values))

    def some(self, count: int) -> list[SpoolRow]:
        """The first rows that wait."""
        query = "SELECT row FROM spool WHERE NOT refused ORDER BY seq LIMIT ?"
        found = self._using(lambda opened: opened.execute(query, (count,)).fetchall())
        kept = (BLANK | json.loads(text) for (text,) in found)
        return [tuple(row.get(name) for name in NAMES) for row in kept]

    def forget(self, rows: Sequence[SpoolRow]) -> None:
        """These rows are where they belong."""
        self._each("DELETE FROM spool WHERE id = ?", rows)

    def refuse(self, rows: Sequence[SpoolRow]) -> None:
        """Keep these rows, but do not offer them again: the server takes others and not them."""
        self._each("UPDATE spool SET refused = 1 WHERE id = ?", rows)

    def count(self) -> int:
        """How many rows wait; 0 where there is no file."""
        if not self.file.exists():
            return 0
        query = "SELECT count(*) FROM spool WHERE NOT refused"
        return int(self._using(lambda opened: opened.execute(query).fetchone()[0]))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    def _using(self, work: Callable[[Connection], Result]) -> Result:
        """Do the work; where the file turns out to be damaged, on a new one."""
        with self._lock:
            try:
                return work(self._open())
            except Error as error:
                self._let_go()
                if not self._kept.renew(error, self._inode):
                    raise
                return work(self._open())

    def _each(self, statement: str, rows: Sequence[SpoolRow]) -> None:
        def each(connection: Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, [(row[0],) for row in rows])
            connection.execute("COMMIT")

        self._using(each)

    def _open(self) -> Connection:
        if self._connection is None:
            self._inode = self._kept.make()
            connection = self._kept.connect(WAIT, one_thread=False)
            connection.execute("BEGIN IMMEDIATE")
            self._kept.migrate(connection)
            connection.execute("COMMIT")
            self._connection = connection
        return self._connection

    def _let_go(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def spool_of(place: Place) -> Spool:
    """The spool of a server: a file in the user's data folder, named by the server's address and the user there."""
    return Spool(place.name_beside("spool", ".sqlite"))
