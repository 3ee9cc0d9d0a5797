"""Transactions in which nobody else writes, on the connection of a file that is kept, or on one of a server's for each.

In: an engine. Out: a cursor, for a `with`; at its end what was done is committed, or undone where something was raised.
Each row that is written takes this way: it is short.
"""

import math
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from chatkit import sqlite_file
from chatkit.patience import in_turn


class DatabaseWriter:
    """The connections on which is written; a file has one, which is kept."""

    def __init__(self, engine: sa.Engine, *, keeps: bool) -> None:
        self._engine = engine
        self._keeps = keeps
        self._pooled: PoolProxiedConnection | None = None
        self._held: DBAPIConnection | None = None
        self._held_patience = -1.0

    def transaction(self, patience: float) -> "Transaction":
        """One transaction, for which is waited so many seconds."""
        if self._keeps:
            return Transaction(self._kept(patience), patience)
        return Transaction(self._engine.raw_connection(), None)

    def write(self, statement: str, values: Sequence[Any], patience: float) -> None:
        """Run one statement on the file: it is a transaction of its own, committed when this returns."""
        cursor = self._kept(patience).cursor()
        in_turn(partial(cursor.execute, statement, values), patience, sqlite_file.is_busy, sqlite_file.PAUSE)

    def close(self) -> None:
        """Give the connection back."""
        if self._pooled:
            self._pooled.close()
        self._pooled = self._held = None

    def _kept(self, patience: float) -> DBAPIConnection:
        held = self._held or self._hold()
        if patience != self._held_patience < math.inf:
            held.cursor().execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            self._held_patience = patience
        return held

    def _hold(self) -> DBAPIConnection:
        self._pooled = self._engine.raw_connection()
        self._held, self._held_patience = self._pooled.dbapi_connection, -1.0
        assert self._held is not None
        cursor = self._held.cursor()
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() == ("wal",):
            cursor.execute("PRAGMA busy_timeout = 0")
            self._held_patience = math.inf
        return self._held


class Transaction:
    """One transaction; `patience` is for a file that others write to, None for a server, which looks after that itself."""

    __slots__ = ("_connection", "_patience")

    def __init__(self, connection: DBAPIConnection | PoolProxiedConnection, patience: float | None) -> None:
        self._connection = connection
        self._patience = patience

    def __enter__(self) -> DBAPICursor:
        try:
            cursor = self._connection.cursor()
            if self._patience is not None:
                sqlite_file.begin(cursor, self._patience)
        except BaseException:
            self._undo()
            raise
        return cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._undo()
            return
        try:
            self._connection.commit()
        except BaseException:
            self._undo()
            raise
        if self._patience is None:
            self._connection.close()

    def _undo(self) -> None:
        if isinstance(self._connection, PoolProxiedConnection):
            self._connection.invalidate()  # its server may be gone
            self._connection.close()
        else:
            self._connection.rollback()
