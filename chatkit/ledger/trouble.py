"""What goes wrong with the database, in words: what the drivers and SQLAlchemy raise becomes a `StoreError`.

In: exceptions, and the place of the store. Out: a `StoreError` that says what to do.
"""

from sqlalchemy.exc import SQLAlchemyError

from chatkit.exceptions import StoreError
from chatkit.ledger.place import LockedError, NotAStoreError, Place
from chatkit.sqlite_file import Error, is_busy, is_damaged

ELSEWHERE = "Name another file in CHATKIT_DB."
SERVER = "Check the server and its URL in CHATKIT_DB."


class Faults:
    """Turns what the driver and SQLAlchemy raise into a `StoreError` that says what to do."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._drivers: tuple[type[BaseException], ...] = (Error, SQLAlchemyError, OSError, ImportError)

    def add(self, driver: type[BaseException]) -> None:
        self._drivers += (driver,)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._drivers):
            raise explain(error, self._place) from error


def is_full(error: BaseException) -> bool:
    """Whether a server turned us away because all its connections are taken (libpq tells it in words only)."""
    said = str(error)
    return any(words in said for words in ("too many clients", "too many connections", "connection slots"))


def explain(error: BaseException, place: Place) -> StoreError:
    """The error in words; never with what the URL holds of a password."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    if is_busy(error):
        return LockedError(f"The usage store {place} is held by another program.")
    if is_damaged(error):
        return NotAStoreError(place, f"is no usage store ({said})")
    if isinstance(error, ImportError):
        return StoreError(
            f"The usage store {place} needs a driver: {said}.", 'Try: python -m pip install "psycopg[binary]".'
        )
    return StoreError(f"The usage store {place} cannot be used: {said}.", ELSEWHERE if place.file else SERVER)
