"""What an opened database of an older version lacks: safeguards on a server, indexes that tell bad rows at once.

In: an open database. Out: the same, put right as far as its user may; sentences that say what was.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from chatkit.exceptions import StoreError
from chatkit.ledger import safeguards
from chatkit.ledger.safeguards import RunStatement
from chatkit.ledger.schema import UNREADABLE, UNSOUND_KEYS, UNSOUND_SUMS, guards

_INDEXED = {
    True: "SELECT 1 FROM sqlite_master WHERE name = :name",
    False: "SELECT 1 WHERE to_regclass(CAST(:name AS text)) IS NOT NULL"
    " OR NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass('chatkit_calls')), 'USAGE')",
}
"""Whether there are the indexes, or whether they are not ours to make; in a file, on a server."""


class OpenDatabase(Protocol):
    """An open database."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine."""

    @property
    def select(self) -> Callable[..., list[Any]]:
        """Gives the rows of a query."""

    def transaction(self, patience: float) -> AbstractContextManager[RunStatement]:
        """One transaction that nobody else writes in."""


def keep_up(database: OpenDatabase, patience: float) -> Iterator[str]:
    """Put right what can be; what there is to say."""
    if not database.is_file and safeguards.is_open(database.select):
        yield " ".join(_mend(database, patience))
    indexed = _INDEXED[database.is_file]
    if not all(database.select(indexed, name=name) for name in (UNREADABLE, UNSOUND_KEYS, UNSOUND_SUMS)):
        _index(database, patience)


def _mend(database: OpenDatabase, patience: float) -> list[str]:
    try:
        with database.transaction(patience) as run:
            said = safeguards.mend(run)
    except StoreError as fault:
        return [f"An older chatkit left it open to whoever shares it, and it could not be mended: {fault.cause}"]
    try:
        with database.transaction(patience) as run:
            return [*said, *safeguards.resum(run)]
    except StoreError as fault:
        return [*said, f"The sums could not be made anew ({fault.cause}); chatkit db init does it later."]


def _index(database: OpenDatabase, patience: float) -> None:
    # without them bad rows are looked for among all, as whoever may only read must do; the next opening tries again
    with suppress(StoreError), database.transaction(patience) as run:
        if not database.is_file:
            run("SET LOCAL lock_timeout = '2s'")
        for text in guards("sqlite" if database.is_file else "postgresql"):
            run(text)
