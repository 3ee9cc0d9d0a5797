"""An SQLite file of the user's: made for its owner alone, opened, migrated, set aside where it is none.

In: a path, the steps that make its tables. Out: open connections; no other place imports `sqlite3`. The usage store,
the spool and the chat history are such files. A file is never deleted: one that is damaged is kept under another name.
"""

import os
import sqlite3
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chatkit.exceptions import StoreError
from chatkit.patience import in_turn
from chatkit.system import files, names
from chatkit.system.drives import on_network

Connection = sqlite3.Connection
Error = sqlite3.Error

TRAILS = ("", "-wal", "-shm", "-journal")
PAUSE = 0.02
"""Seconds, at most, until a file that others write is tried again."""


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file with one program's tables.

    `migrations` are statements, only ever added to; `owner` is SQLite's application_id, by which a file of another
    program is known (0: none is set). `traceless`: what is deleted is overwritten, and stands in no log.

    >>> import tempfile
    >>> file = SqliteFile(Path(tempfile.mkdtemp(), "a.sqlite"), "list", ("CREATE TABLE words (word)",))
    >>> connection = file.connect(1.0)
    >>> file.migrate(connection)
    >>> file.version(connection), connection.close()
    (1, None)
    """

    path: Path
    name: str
    """What it is, in words."""
    migrations: tuple[str, ...]
    owner: int = 0
    traceless: bool = False
    way_out: str = ""

    def make(self) -> int:
        """Make the file if there is none; its inode."""
        make(self.path)
        return inode_of(self.path)

    def connect(self, patience: float, *, one_thread: bool = True) -> Connection:
        """An open connection, which waits so many seconds for other programs; its transactions are the caller's."""
        connection = sqlite3.connect(self.path, timeout=patience, isolation_level=None, check_same_thread=one_thread)
        try:
            if self.traceless:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA temp_store = MEMORY")
            prepare(connection, patience, log=not self.traceless and not on_network(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def version(self, connection: Connection) -> int:
        """How many migrations the file has seen; raises `StoreError` if it is another program's."""
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if owner != self.owner and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(f"{self.path} is a database of another program.", self.way_out)
        return int(version)

    def migrate(self, connection: Connection) -> None:
        """Run what the file has not seen yet, in the transaction that is open; raises `StoreError` if it is newer."""
        version, known = self.version(connection), len(self.migrations)
        if version > known:
            raise StoreError(f"{self.path} was written by a newer chatkit.", self.way_out)
        for statement in self.migrations[version:]:
            connection.execute(statement)
        if version < known:
            connection.execute(f"PRAGMA application_id = {self.owner}")
            connection.execute(f"PRAGMA user_version = {known}")

    def renew(self, error: BaseException | None, inode: int) -> bool:
        """Where the error says that the file is damaged or no database: set it aside, make another; whether it was so."""
        if error is None or not is_damaged(error):
            return False
        set_aside(self.path, inode, f"is no {self.name} ({error})", begun=self.name)
        with files.explained(self.path, StoreError, way_out=self.way_out):
            self.make()
        return True


def make(file: Path) -> None:
    """Make the file, readable by its owner only; SQLite gives its companions the same mode.

    Raises `StoreError` for a name that no file can have here, else OSError.
    """
    if said := names.fault(file):
        raise StoreError(*said)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def inode_of(file: Path) -> int:
    """By which a file is told from another of its name; 0 where there is none, or none that can be looked at."""
    try:
        return file.stat().st_ino
    except OSError:
        return 0


def set_aside(file: Path, inode: int, why: str, *, begun: str = "usage store") -> None:
    """Give a file that is none of ours a new name, companions too; nothing is deleted.

    `inode` is the file that was found wanting: if another process has put a new one in its place since, that stays.
    Where another program has it open, all stays as it is: raises `StoreError`.
    """
    if not inode or inode_of(file) != inode:
        return
    stem = f"{file.name}.aside-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    olds = [(file.with_name(file.name + trail), file.with_name(stem + trail)) for trail in TRAILS]
    way_out = "Close it there (restart the other kernels), or name another file."
    with files.explained(file, StoreError, f"{why}, and cannot be set aside", way_out):
        files.rename_all([(old, new) for old, new in olds if os.path.lexists(old)])
    warnings.warn(f"{file} {why}: it is kept as {stem}, and a new {begun} is begun.", stacklevel=2)


def prepare(connection: Connection, patience: float, *, log: bool) -> None:
    """Set a new connection up; with a write-ahead log, if the file system lets several processes share one."""
    connection.text_factory = _text
    connection.isolation_level = None  # the transactions are ours: BEGIN IMMEDIATE, not the driver's BEGIN
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    _set_journal(connection, "wal" if log else "delete", patience)
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if log else 'FULL'}")


def begin(cursor: Any, patience: float) -> None:
    """Begin a transaction in which nobody else writes, as soon as that can be, or raise `Error` when patience ends.

    SQLite's own waiting lets newcomers pass those that have waited long; by chance, all are as soon.
    """
    in_turn(partial(cursor.execute, "BEGIN IMMEDIATE"), patience, is_busy, PAUSE)


def is_busy(error: BaseException) -> bool:
    """Whether another program holds the file."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_damaged(error: BaseException) -> bool:
    """Whether the file is damaged, or no database at all."""
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _code(error: BaseException) -> int | None:
    """SQLite's code, also of an error that another library has wrapped."""
    code = getattr(error, "sqlite_errorcode", None) or getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _text(data: bytes) -> str:
    """Text as SQLite keeps it, which may be any bytes: what is no UTF-8 is written out, as a lone surrogate is."""
    return data.decode("utf-8", "backslashreplace")


def _set_journal(connection: Connection, mode: str, patience: float) -> None:
    def change() -> None:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            connection.execute(f"PRAGMA journal_mode = {mode}")  # in it now, or in the one that the file system allows

    in_turn(change, patience, is_busy, PAUSE)  # the change of mode does not wait for others as everything else does
