"""Rows on their way to a server: kept on this machine's disk, then sent by a thread, each once.

In: rows, from the store of a server. Out: the same rows in its database, whatever becomes of the network or of
this process meanwhile. A caller waits for the server only while it answers, and never for long.

Many share the server: connections are short, rows go in batches, and who is turned away comes back after a
time that grows and that chance spreads.

All kernels of a user share the file of
a server; a row that two of them send is there once, by its id. Nothing but sqlite3 is needed to keep a row. A file that is
damaged is set aside, and another begun.
"""

import json
import random
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chatkit.exceptions import StoreError
from chatkit.ledger.place import Place
from chatkit.ledger.rows import BLANK, NAMES
from chatkit.sqlite_file import Connection, Error, SqliteFile, inode_of

if TYPE_CHECKING:
    from chatkit.ledger.database import Database


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
        if not inode_of(self.file):
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


BATCH = 500
ACKNOWLEDGED = 2.0
"""Seconds that a caller who can wait does so for the server's word."""
FIRST, LONGEST = 0.1, 15.0
"""Seconds until the next try: the first time, and at most."""
IDLE = 5.0
"""Seconds that the thread stays when there is nothing to send."""
CONNECT = 5.0


class Post:
    """Sends rows to the server of one place."""

    def __init__(
        self, place: Place, wait: Callable[[float], float] = lambda most: random.uniform(most / 2, most)
    ) -> None:
        self.fault: StoreError | None = None
        self.spool = spool_of(place)
        self._place = place
        self._wait = wait
        self._changed = threading.Condition()
        self._unsent: dict[str, None] = {}
        self._unspooled: deque[SpoolRow] = deque()
        self._thread: threading.Thread | None = None
        self._database: Database | None = None
        self._tries = 0
        self._hurry = False
        self._warned = False

    @property
    def waiting(self) -> int:
        """How many rows of this process the server does not have yet."""
        return len(self._unsent)

    def add(self, row: SpoolRow, *, wait: bool) -> bool:
        """Take the row; True once the server has it, False if it is on the way. It is safe on the disk either way."""
        try:
            self.spool.put(row)
        except FAULTS as error:
            self._unspooled.append(row)
            self._warn(f"The spool {self.spool.file} cannot be written: {error}. Usage is kept in memory meanwhile.")
        with self._changed:
            self._unsent[row[0]] = (
                None  # after it was kept: an id here whose row is nowhere was sent, by another kernel
            )
        self.wake()
        return self._until(lambda: row[0] not in self._unsent, ACKNOWLEDGED) if wait and not self._tries else False

    def wake(self) -> None:
        """Have the thread look for rows to send, those that an earlier kernel left included."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="chatkit-post", daemon=True)
                with suppress(RuntimeError):  # the interpreter is ending and starts no thread any more
                    self._thread.start()
            self._changed.notify_all()

    def flush(self, patience: float) -> bool:
        """Send all that waits, now; whether that was done in time."""
        self._hurry = True
        self.wake()
        try:
            return self._until(lambda: not self._unsent and not self._left(), patience)
        finally:
            self._hurry = False

    def close(self) -> None:
        """Let go of the spool's file and the server."""
        self.spool.close()

    def _left(self) -> int:
        try:
            return self.spool.count() + len(self._unspooled)
        except FAULTS:
            return len(self._unspooled)

    def _until(self, done: Callable[[], object], patience: float) -> bool:
        end = time.monotonic() + patience
        with self._changed:
            while not done():
                if (left := end - time.monotonic()) <= 0:
                    return False
                self._changed.wait(min(left, 0.05))
        return True

    def _run(self) -> None:
        idle_until = time.monotonic() + IDLE
        while True:
            try:
                sent = self._send_some()
                self._tries, self.fault = 0, None
            except StoreError as fault:
                self._note(fault)
                self._rest(self._wait(min(LONGEST, FIRST * 2.0**self._tries)))
                continue
            if sent:
                idle_until = time.monotonic() + IDLE
            elif time.monotonic() > idle_until and self._may_end():
                return
            else:
                self._rest(IDLE)

    def _may_end(self) -> bool:
        with self._changed:
            if self._unsent:
                return False
            self._thread = None
            return True

    def _send_some(self) -> int:
        known = list(self._unsent)
        rows = self._take()
        if not rows:
            self._forget(known)
            return 0
        try:
            self._server().insert(rows, CONNECT)
        except StoreError as fault:
            if not _is_the_rows_fault(fault) or len(rows) == 1:
                raise
            self._send_one_by_one(rows)
        self._sent(rows)
        return len(rows)

    def _send_one_by_one(self, rows: list[SpoolRow]) -> None:
        refused = []
        for row in rows:
            try:
                self._server().insert([row], CONNECT)
            except StoreError as fault:
                if not _is_the_rows_fault(fault):
                    raise
                refused.append(row)
        if refused:
            self.spool.refuse(refused)
            self._warn(f"{self._place} refuses {len(refused)} usage rows; they are kept in {self.spool.file}.")

    def _take(self) -> list[SpoolRow]:
        with suppress(*FAULTS):
            if rows := self.spool.some(BATCH):
                return rows
        return list(self._unspooled)[:BATCH]

    def _sent(self, rows: list[SpoolRow]) -> None:
        with suppress(*FAULTS):  # they will be sent again, and be there once
            self.spool.forget(rows)
        for row in rows:
            with suppress(ValueError):
                self._unspooled.remove(row)
        self._forget([row[0] for row in rows])

    def _forget(self, ids: list[str]) -> None:
        with self._changed:
            for one in ids:
                self._unsent.pop(one, None)
            self._changed.notify_all()

    def _server(self) -> "Database":
        if self._database is None:
            from chatkit.ledger.database import open_database

            self._database = open_database(self._place, CONNECT)
        return self._database

    def _note(self, fault: StoreError) -> None:
        self.fault = fault
        self._tries += 1
        if self._tries == 3:
            self._warn(f"{fault} Usage is kept in {self.spool.file} meanwhile and sent later.")

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            if self._tries:  # only a flush shortens the wait for a server that is away
                while not self._hurry and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
                if self._hurry:
                    self._changed.wait(FIRST)
            elif not self._unsent:
                self._changed.wait(seconds)

    def _warn(self, words: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(words, stacklevel=2)


def _is_the_rows_fault(fault: StoreError) -> bool:
    """Whether the server took offence at what is in a row, not at something that passes."""
    state = str(getattr(getattr(fault.__cause__, "orig", fault.__cause__), "sqlstate", None) or "")
    return state[:2] in ("22", "23") or state == "42501"
