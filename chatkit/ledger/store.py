"""The sink of the house: each call's `UsageRecord`, kept in SQLite or PostgreSQL.

In: records, from the meter only. Out: records and sums, to whoever asks. A store that cannot be written
breaks no call: rows wait in memory, one warning says so, and they are written with the next that can be.
"""

import atexit
import os
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Unpack

from chatkit.exceptions import StoreError
from chatkit.ledger.outbox import Post
from chatkit.ledger.place import LockedError, NotAStoreError, Place, place
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rows import NAMES, to_record, to_row
from chatkit.ledger.scope import Grouping, Scope, UsageLine
from chatkit.patience import until

if TYPE_CHECKING:
    from chatkit.ledger.database import Database
    from chatkit.ledger.queries import Call, Moment, Spread, TurnUsage
    from chatkit.ledger.readable import Unread
    from chatkit.ledger.safeguards import RunStatement

PATIENCE = 5.0
"""Seconds that a caller is held up when another program holds the database; then the rows wait."""
BACKGROUND = 30.0
"""Seconds that the thread which takes over waits for it."""
ROOM = 100_000
"""Rows that may wait; beyond them the oldest are lost, and the warning at the end says how many."""
BATCH = 1000

_stores: "weakref.WeakSet[UsageStore]" = weakref.WeakSet()
_inherited: list[object] = []


class UsageStore:
    """Usage records in a file, or in a database that a URL names; safe in threads and after a fork.

    Without an argument: what `CHATKIT_DB` names, else a file in the user's data folder.

    >>> import tempfile
    >>> store = UsageStore(tempfile.mkdtemp() + "/usage.sqlite")
    >>> store.total()
    Usage(prompt_tokens=0, completion_tokens=0, cost=Decimal('0'), known='measured', calls=0)
    """

    def __init__(self, url_or_path: "str | os.PathLike[str] | None" = None) -> None:
        self._place = place(url_or_path)
        self._begin()
        _stores.add(self)

    def __repr__(self) -> str:
        return f"UsageStore({str(self._place)!r})"

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._database: Database | None = None
        self._lock = threading.Lock()
        self._opening = False
        self._writer: int | None = None
        self._relief: threading.Thread | None = None
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._fault: StoreError | None = None
        self._warned = False
        self._lost = 0
        self._handed = 0
        self._post = None if self._place.file else Post(self._place)

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine, not a server."""
        return self._place.file is not None

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self._place

    @property
    def waiting(self) -> int:
        """How many rows could not be written yet."""
        return self._post.waiting if self._post else len(self._waiting)

    @property
    def fault(self) -> StoreError | None:
        """Why the last write failed; None if it did not."""
        return self._post.fault if self._post else self._fault

    @property
    def written(self) -> int:
        """How many rows this process has written; cheap to ask, and changes as soon as there is something new."""
        return self._handed - self.waiting

    def version(self) -> int:
        """A number that changes when any process has written; cheap for a file, a query for a server."""
        return self._reading().version()

    def open(self) -> None:
        """Open the database now and migrate it, which the first use does otherwise; raise `StoreError` if it cannot be."""
        self._reading(PATIENCE)
        self._write(PATIENCE)  # what came meanwhile

    def add(self, record: UsageRecord, *, patience: float = PATIENCE) -> bool:
        """Write the record; True once it is committed, False if it waits. Never raises.

        `patience` is for how many seconds another program that holds the database may hold up the caller.
        """
        self._after_fork()
        row = to_row(record)
        self._handed += 1
        if self._post:
            return self._post.add(row, wait=patience >= PATIENCE)
        self._waiting.append(row)
        # where rows wait, they may be those that other threads have brought since
        return self._write(patience) or not any(one is row for one in list(self._waiting))

    def add_all(self, records: Iterable[UsageRecord]) -> None:
        """Write many records at once; those that are there stay as they are. Raises `StoreError` if it cannot be done."""
        rows = [to_row(record) for record in records]
        database = self._reading()
        with self._alone(BACKGROUND) as mine:
            if not mine:
                raise LockedError(f"{self!r} is being written to.", "Try again.")
            database.insert(rows, BACKGROUND)
        self._handed += len(rows)

    def url_for(self, user: str, password: str) -> str:
        """The server's URL for another login."""
        scheme, _, rest = self._place.url.partition("://")
        return f"{scheme}://{user}:{password}@{rest.rpartition('@')[2]}"

    def flush(self, patience: float = BACKGROUND) -> None:
        """Write the rows that wait, or raise the `StoreError` that says why they cannot be written."""
        self._after_fork()
        if not self._write(patience):
            raise self.fault or StoreError(f"{self!r} is being written to.", "Try again.")

    def records(self, **scope: Unpack[Scope]) -> list[UsageRecord]:
        """The records of a `Scope`, in the order in which they were written; `model` is the one asked or answered.

        Rows that cannot be read are not among them; `unread` tells them.
        """
        return self._reading().records(scope)

    def unread(self, **scope: Unpack[Scope]) -> "Unread":
        """The rows of a `Scope` that cannot be read and are in no sum: how many, which, and why."""
        return self._reading().unread(scope)

    def total(self, **scope: Unpack[Scope]) -> Usage:
        """The sum over the records of a `Scope`, made by the database."""
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.total(connection, scope))

    def lines(self, *by: Grouping, rename: Callable[[str], str] = str, **scope: Unpack[Scope]) -> list[UsageLine]:
        """The sums over the records of a `Scope`, one for each group, in the order of their first calls.

        `rename` makes one group of all whose last key it gives the same name.
        """
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.lines(connection, by, scope, rename))

    def moments(self, **scope: Unpack[Scope]) -> "list[Moment]":
        """Usage over time: each call of a few, or each quarter of an hour of many."""
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.moments(connection, scope))

    def turns(self, **scope: Unpack[Scope]) -> "list[TurnUsage]":
        """What each turn of a talk sent and got, in the order in which they were written."""
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.turns(connection, scope))

    def latest(self, count: int, **scope: Unpack[Scope]) -> "list[Call]":
        """The last calls of a `Scope`, in the order in which they were written."""
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.latest(connection, scope, count))

    def spread(self, **scope: Unpack[Scope]) -> "Spread":
        """How long the calls took that did not fail, and how long their first tokens."""
        from chatkit.ledger import queries

        return self._reading().ask(lambda connection: queries.spread(connection, scope))

    def unwritten(self) -> list[UsageRecord]:
        """The records that wait in this process's memory, because the store could not be written."""
        return [to_record(SimpleNamespace(**dict(zip(NAMES, row, strict=True)))) for row in list(self._waiting)]

    def sessions(self) -> list[str]:
        """The names of all sessions, in the order of their first calls."""
        return [line.key[0] for line in self.lines("session")]

    def select(self, text: str, *, patience: float = BACKGROUND, **values: Any) -> list[Any]:
        """The rows of a query in SQL, with parameters written `:name`; what waits to be written may not be in it."""
        return self._reading(patience, after_writing=False).select(text, **values)

    @contextmanager
    def transaction(self, patience: float = PATIENCE) -> "Iterator[RunStatement]":
        """One transaction in which nobody else writes; gives what runs a statement, or raises `StoreError`."""
        self._after_fork()
        with self._alone(patience) as mine:
            if not mine:
                raise LockedError(f"{self!r} is being written to.", "Try again.")
            with self._open(patience).transaction(patience) as run:
                yield run
        if self._waiting:  # the collector ran a finaliser meanwhile
            self._write(patience)

    def scrub(self, patience: float = BACKGROUND) -> None:
        """Leave no byte of what was deleted in the file or its log."""
        self._reading(patience).scrub(patience)

    def close(self) -> None:
        """Write what waits if that can be done, and let go of the database; the next use opens it again."""
        self._after_fork()
        self._write(PATIENCE)
        with self._alone(BACKGROUND) as mine:
            if mine:
                self._let_go()
        if self._post:
            self._post.close()

    def _reading(self, patience: float = BACKGROUND, *, after_writing: bool = True) -> "Database":
        self._after_fork()
        if after_writing and self.waiting:
            self._write(PATIENCE)
        with self._alone(patience) as mine:
            if not mine:
                raise StoreError(f"{self!r} is being written to.", "Try again.")
            return self._open(patience)

    def _open(self, patience: float) -> "Database":
        if self._database and self._database.gone:
            self._let_go()
        if self._database is None:
            self._opening = patience <= PATIENCE
            try:
                from chatkit.ledger.database import open_database

                self._database = open_database(self._place, patience)
            finally:
                self._opening = False
        return self._database

    def _let_go(self) -> None:
        if self._database:
            self._database.close()
        self._database = None

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            _inherited.extend(
                (self._database, self._post)
            )  # closing it here would harm the parent, who also has the rows that wait
            self._begin()

    @contextmanager
    def _alone(self, patience: float) -> Iterator[bool]:
        mine = self._acquire(patience)
        try:
            if mine:
                self._writer = threading.get_ident()
            yield mine
        finally:
            if mine:
                self._release()

    def _acquire(self, patience: float) -> bool:
        if self._lock.acquire(blocking=False) or self._comes_free(patience):
            return True
        # no other program is waited for but a thread of ours, which on a busy machine takes its time
        return self._opening and patience >= PATIENCE and self._comes_free(BACKGROUND)

    def _comes_free(self, patience: float) -> bool:
        return until(lambda seconds: self._lock.acquire(timeout=seconds), patience)

    def _release(self) -> None:
        self._writer = None
        self._lock.release()

    def _write(self, patience: float) -> bool:
        if self._post:
            return self._post.flush(patience)
        if self._writer == threading.get_ident():
            return False  # the collector ran a finaliser amid our own write, which will take this row along
        end = time.monotonic() + patience
        if self._acquire(patience):  # as `_alone` does it, which costs each row more than it takes to say it here
            try:
                self._writer = threading.get_ident()
                self._drain(end)
            except StoreError as fault:
                self._postpone(fault)
            finally:
                self._release()
        return not self._waiting  # if another thread is writing, it will take the row along

    def _drain(self, end: float) -> None:
        while rows := list(islice(self._waiting, BATCH)):
            try:
                self._open(_left(end)).insert(rows, _left(end))
            except NotAStoreError:
                self._let_go()  # opening it again sets it aside
                self._open(_left(end)).insert(rows, _left(end))
            for _ in rows:
                self._waiting.popleft()
        self._fault = None

    def _postpone(self, fault: StoreError) -> None:
        self._fault = fault
        while len(self._waiting) > ROOM:
            self._waiting.popleft()
            self._lost += 1
        if isinstance(fault, LockedError) and threading.current_thread() is not self._relief:
            self._relieve()
        elif not self._warned:
            self._warned = True
            warnings.warn(f"{fault} Usage is kept in memory meanwhile and written later.", stacklevel=2)

    def _relieve(self) -> None:
        """Let a thread wait for the other program, so that no event loop has to; the interpreter's end waits for it."""
        if self._relief is None or not self._relief.is_alive():
            self._relief = threading.Thread(target=self._write, args=(BACKGROUND,), name="chatkit-store")
            with suppress(RuntimeError):  # the interpreter is ending and starts no thread any more
                self._relief.start()

    def _finish(self) -> None:
        if self._pid != os.getpid() or not (self.waiting or self._lost):
            return
        self._write(PATIENCE)
        if self._post and self._post.waiting:
            where = f"they wait in {self._post.spool.file} and are sent with the next that can be"
            warnings.warn(f"{self._place} has not got {self._post.waiting} usage rows yet: {where}.", stacklevel=2)
            return
        if left := len(self._waiting) + self._lost:
            warnings.warn(f"{left} usage rows could not be written to {self._place}. {self._fault or ''}", stacklevel=2)


def _left(end: float) -> float:
    """The seconds until then: all waits together are as long as was allowed."""
    return max(0.0, end - time.monotonic())


@atexit.register
def _finish_all() -> None:
    for store in list(_stores):
        store._finish()


_kept_from_writing: list[threading.Lock] = []


def _before_fork() -> None:
    # a child that is forked while a thread is inside SQLite inherits SQLite's own locks, held by nobody
    locks = [store._lock for store in _stores if store._writer != threading.get_ident()]
    _kept_from_writing.extend(lock for lock in locks if lock.acquire(timeout=PATIENCE))


def _after_fork() -> None:
    while _kept_from_writing:
        _kept_from_writing.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)

_default: UsageStore | None = None
_default_lock = threading.Lock()


def default_store() -> UsageStore:
    """The store that this process shares: what `CHATKIT_DB` named when it was first asked for."""
    global _default
    with _default_lock:
        if _default is None:
            _default = UsageStore()
        return _default
