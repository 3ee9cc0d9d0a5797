"""The database under the store: opens, migrates, writes, reads.

In: rows. Out: rows and sums; every fault as a `StoreError`. SQLite and PostgreSQL take the same way.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from chatkit import sqlite_file
from chatkit.exceptions import StoreError
from chatkit.ledger import queries, safeguards, upkeep
from chatkit.ledger.place import LockedError, NewerError, NotAStoreError, Place
from chatkit.ledger.readable import Unread
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.rows import NAMES, to_record
from chatkit.ledger.rules import LastRules
from chatkit.ledger.safeguards import RunStatement
from chatkit.ledger.schema import CALLS, FIRST, MIGRATIONS, PIECES, guards, statement, worded
from chatkit.ledger.scope import Scope
from chatkit.ledger.trouble import ELSEWHERE, Faults, is_full
from chatkit.ledger.writing import DatabaseWriter
from chatkit.patience import in_turn
from chatkit.system.drives import on_network

Returned = TypeVar("Returned")

OPENING = 30.0
"""Seconds that opening, migrating and reading may wait for other processes."""

LIMITS: dict[str, Any] = {"connect_timeout": 4, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2,
          "tcp_user_timeout": 10_000, "options": "-c statement_timeout=60000 -c lock_timeout=10000"}  # fmt: skip
"""For a server: seconds to connect, then what notices that it is gone (libpq's words); milliseconds of one statement, and
of waiting for a lock, which another user may hold as long as they like."""
TURN = 4.0
"""Seconds that a server all of whose connections are taken is asked again for one."""
PAUSE = 0.2
"""Seconds, at most, until it is asked."""


class Database:
    """An open database with the table in it."""

    def __init__(self, place: Place, patience: float = OPENING) -> None:
        self._place = place
        self._patience = patience
        self._watching: PoolProxiedConnection | None = None
        self._sqlite = place.file is not None
        self._faults = Faults(place)
        with self._faults:
            self._engine = self._create_engine()
        self._writer = DatabaseWriter(self._engine, keeps=self._sqlite)
        try:
            with self._faults:
                self._faults.add(self._engine.dialect.loaded_dbapi.Error)
                self._insert, self._named = _insert(self._engine.dialect)
                self.refusal = _refusal(place, self._migrate())
                if not self.refusal:
                    self._check_columns(NAMES)
                    for said in upkeep.keep_up(self, self._patience):
                        self._say(said)
        except StoreError:
            self.close()
            raise
        self._patience = OPENING
        self._file = str(place.file) if place.file else None
        self._inode = sqlite_file.inode_of(place.file) if place.file else 0

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine, not a server."""
        return self._sqlite

    @property
    def gone(self) -> bool:
        """Whether the file was removed or another put in its place, so that what is written now would be lost."""
        if self._file is None:
            return False
        try:
            return os.stat(self._file).st_ino != self._inode
        except OSError:
            return True

    def insert(self, rows: Sequence[tuple[Any, ...]], patience: float) -> None:
        """Write the rows and commit; a row that is there already (by its id) stays as it is."""
        if self.refusal:
            raise self.refusal
        with self._faults:
            if self._sqlite and len(rows) == 1:
                self._writer.write(self._insert, rows[0], patience)
                return
            values: Any = [dict(zip(NAMES, row, strict=True)) for row in rows] if self._named else rows
            with self._writer.transaction(patience) as cursor:
                if len(values) == 1:
                    cursor.execute(self._insert, values[0])
                else:
                    cursor.executemany(self._insert, values)

    def ask(self, question: Callable[[sa.Connection], Returned]) -> Returned:
        """What `question` reads."""
        with self._faults, self._engine.connect() as connection:
            return question(connection)

    def records(self, scope: Scope) -> list[UsageRecord]:
        """The records of the scope that can be read, in the order in which they were written."""

        def read(connection: sa.Connection) -> list[UsageRecord]:
            where, values = queries.matching(connection, scope)
            query = sa.select(CALLS).where(sa.text(where)).order_by(CALLS.c.seq)
            return [to_record(row) for row in connection.execute(query, values)]

        return self.ask(read)

    def unread(self, scope: Scope) -> Unread:
        """The rows of the scope that cannot be read."""
        return self.ask(lambda connection: queries.unread(connection, scope))

    def select(self, text: str, **values: Any) -> list[Any]:
        """The rows of a query; its parameters are written `:name`, what differs by the database in braces."""
        query = sa.text(statement(text, self._engine.dialect.name))
        return self.ask(lambda connection: list(connection.execute(query, values)))

    @contextmanager
    def transaction(self, patience: float) -> Iterator[RunStatement]:
        """One transaction that nobody else writes in; gives what runs a statement, written as for `select`."""
        if self.refusal:
            raise self.refusal
        with self._faults, self._writer.transaction(patience) as cursor:
            yield self._runner(cursor)

    def version(self) -> int:
        """A number that changes when another connection, of whatever process, has written."""
        if not self._sqlite:
            return int(self.select("SELECT COALESCE(MAX(seq), 0) FROM chatkit_calls")[0][0])
        with self._faults:
            if self._watching is None:
                self._watching = self._engine.raw_connection()
            cursor = self._watching.cursor()
            cursor.execute("PRAGMA data_version")
            return _first(cursor)

    def scrub(self, patience: float) -> None:
        """Leave no byte of what was deleted in the file or its log; on a server that is the server's own work."""
        if not self._sqlite:
            return
        with self._faults, self._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            connection.exec_driver_sql("VACUUM")
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            raise LockedError(f"The log of {self._place} is read by another program.")

    def close(self) -> None:
        """Give the connections back."""
        if self._watching:
            self._watching.close()
        self._watching = None
        self._writer.close()
        self._engine.dispose()

    def _create_engine(self) -> sa.Engine:
        if self._place.file is None:
            # many students share the server: no connection is kept between writes
            url = sa.make_url(self._place.url)
            limits = _limits(url) if url.get_driver_name().startswith("psycopg") else {}
            engine = sa.create_engine(url, poolclass=NullPool, connect_args=limits)
            sa.event.listen(engine, "do_connect", _connect_in_turn)
            return engine
        sqlite_file.make(self._place.file)
        log = not on_network(self._place.file)
        if not log:
            warnings.warn(
                f"{self._place} lies on a network file system, where writing is slow. " + ELSEWHERE, stacklevel=2
            )
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(self._place.file)))
        sa.event.listen(engine, "connect", lambda one, _: sqlite_file.prepare(one, self._patience, log=log))
        return engine

    def _runner(self, cursor: DBAPICursor) -> RunStatement:
        dialect = self._engine.dialect.name

        def run(text: str, **values: Any) -> list[Any]:
            cursor.execute(worded(text, dialect), values)
            return list(cursor.fetchall()) if cursor.description else []

        return run

    def _migrate(self) -> int:
        with self._engine.connect() as connection:
            version = _version(connection) if sa.inspect(connection).has_table("chatkit_schema") else 0
        if version >= len(MIGRATIONS):
            return version
        if version:
            self._check_columns(FIRST)
            if not self._sqlite:
                safeguards.is_open(self.select)  # raises where the tables are a student's
        with self._writer.transaction(self._patience) as cursor:
            if not self._sqlite:
                cursor.execute("SELECT pg_advisory_xact_lock(4242424242)")
            cursor.execute("CREATE TABLE IF NOT EXISTS chatkit_schema (version INTEGER PRIMARY KEY, at TEXT NOT NULL)")
            cursor.execute("SELECT COALESCE(MAX(version), 0) FROM chatkit_schema")
            found = _first(cursor)
            for number, statements in enumerate(MIGRATIONS[found:], found + 1):
                for text in filter(None, (statement(text, self._engine.dialect.name) for text in statements)):
                    cursor.execute(text)
                cursor.execute(f"INSERT INTO chatkit_schema VALUES ({number}, CAST(CURRENT_TIMESTAMP AS TEXT))")
            for text in guards(self._engine.dialect.name):
                cursor.execute(text)
            if not self._sqlite:
                self._say(" ".join(safeguards.mend(self._runner(cursor))))
        return max(found, len(MIGRATIONS))

    def _say(self, sentence: str) -> None:
        if sentence:
            warnings.warn(f"The usage store {self._place}: {sentence}", stacklevel=2)

    def _check_columns(self, names: Sequence[str]) -> None:
        with self._engine.connect() as connection:
            has_table = sa.inspect(connection).has_table(CALLS.name)
            # the names that a query has are soon there; to reflect a table takes a server many queries
            there = (
                set(connection.exec_driver_sql(f"SELECT * FROM {CALLS.name} WHERE 1 = 0").keys())
                if has_table
                else set()
            )
        if missing := set(names) - there:
            raise NotAStoreError(self._place, f"is no usage store (it lacks {', '.join(sorted(missing))})")


def open_database(place: Place, patience: float = OPENING) -> Database:
    """The database at `place`; a file that is none is set aside, and a new one begun.

    What is known of a budget in a file that is gone or damaged is marked as lost before there is another file.
    """
    LastRules(place).lose_if_missing()
    inode = sqlite_file.inode_of(place.file) if place.file else 0
    try:
        return Database(place, patience)
    except NotAStoreError as fault:
        if place.file is None:
            raise
        LastRules(place).lose_damaged()
        sqlite_file.set_aside(place.file, inode, fault.why)
        return Database(place, patience)


def _limits(url: sa.URL) -> dict[str, Any]:
    """The limits beside what the URL says, which counts; its options (such as the schema) go along with ours."""
    options = " ".join([LIMITS["options"], *_all_of(url.query.get("options"))])
    return {name: value for name, value in LIMITS.items() if name not in url.query} | {"options": options}


def _all_of(said: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else said or ()


def _connect_in_turn(dialect: sa.Dialect, _: object, given: Sequence[Any], named: dict[str, Any]) -> DBAPIConnection:
    """A connection of a server that has none to give just now, when one of the others has given theirs back."""
    driver = dialect.loaded_dbapi.Error
    return in_turn(
        partial(dialect.connect, *given, **named),
        TURN,
        lambda error: isinstance(error, driver) and is_full(error),
        PAUSE,
    )


def _insert(dialect: sa.Dialect) -> tuple[str, bool]:
    """The insert as the driver takes it, and whether its parameters are named."""
    if dialect.name not in PIECES:
        raise StoreError(f"The usage store cannot be kept in {dialect.name}.", "Use SQLite or PostgreSQL.")
    insert = import_module(f"sqlalchemy.dialects.{dialect.name}").insert(CALLS)
    unless_there = insert.on_conflict_do_nothing(index_elements=["id"])
    compiled = unless_there.compile(dialect=dialect, column_keys=list(NAMES))
    return str(compiled), not compiled.positional


def _version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT COALESCE(MAX(version), 0) FROM chatkit_schema").scalar_one())


def _first(cursor: DBAPICursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _refusal(place: Place, version: int) -> NewerError | None:
    if version <= len(MIGRATIONS):
        return None
    return NewerError(
        f"The usage store {place} has schema version {version}; this chatkit knows up to {len(MIGRATIONS)},"
        " so it reads it and does not write to it.",
        "Update chatkit, or name another store in CHATKIT_DB.",
    )
