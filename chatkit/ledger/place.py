"""Where the usage store lies: a file in the user's data folder, another path, or a database's URL.

In: the argument, `CHATKIT_DB`, or nothing. Out: a `Place`; its file, where it is one, is made by who opens it.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from chatkit import typed
from chatkit.exceptions import InputError, StoreError


class LockedError(StoreError):
    """Another program holds the database; later it can be written."""


class NotAStoreError(StoreError):
    """The file is damaged, or is no database at all; `why` is that in words."""

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place} {why}.", "Name another store in CHATKIT_DB.")
        self.why = why


class NewerError(StoreError):
    """A newer chatkit wrote the database; it can be read, not written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database's URL, and its file where it is SQLite."""

    url: str
    file: Path | None = None

    def __str__(self) -> str:
        return str(self.file) if self.file else self.url.rpartition("@")[2].partition("?")[0]

    @property
    def missing(self) -> bool:
        """Whether there is no file yet, or an empty one; one that cannot be looked at may be there, as a server's may."""
        if self.file is None:
            return False
        try:
            found = os.stat(self.file)
        except OSError as error:
            return isinstance(error, FileNotFoundError | NotADirectoryError)
        return stat.S_ISREG(found.st_mode) and found.st_size == 0

    def name_beside(self, what: str, ending: str) -> Path:
        """A file of the user's that is about this store: in the user's data folder, named by a digest of the address."""
        from platformdirs import user_data_dir

        where = os.path.realpath(self.file) if self.file else self._address()
        digest = hashlib.sha256(where.encode(errors="surrogateescape")).hexdigest()[:16]
        return Path(os.path.join(user_data_dir("chatkit", appauthor=False), f"{what}-{digest}{ending}"))

    def _address(self) -> str:
        """The server's address and the user there, without the password."""
        scheme, _, rest = self.url.partition("://")
        who, at, where = rest.rpartition("@")
        return f"{scheme}://{who.partition(':')[0]}{at}{where.partition('?')[0]}"


def place(url_or_path: "str | os.PathLike[str] | None" = None) -> Place:
    """What the argument names, else `CHATKIT_DB`, else `usage.sqlite` in the user's data folder.

    >>> place("notes/usage.db").file.name
    'usage.db'
    >>> print(place("postgresql+psycopg://me:secret@db.example/usage"))
    db.example/usage
    """
    given = os.fspath(url_or_path or os.environ.get("CHATKIT_DB") or _default())
    if "://" in given and not given.startswith("sqlite"):
        return Place(given)
    name = given.partition("://")[2].removeprefix("/") if "://" in given else given
    if not name or name.startswith((":memory:", "file:")):
        raise InputError(f"The usage store cannot be {given!r}: it is a file or a server.", "Give a path or a URL.")
    file = typed.path(name, "The usage store").expanduser().absolute()
    return Place(f"sqlite:///{file}", file)


def _default() -> str:
    from platformdirs import user_data_dir

    return os.path.join(user_data_dir("chatkit", appauthor=False), "usage.sqlite")
