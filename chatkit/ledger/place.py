"""Where the usage store lies: a file in the user's data folder, another path, or a database's URL.

In: the argument, `CHATKIT_DB`, or nothing. Out: a `Place`, with its file made (0600) where it is one, and
whether that file lies on a network file system, where SQLite's WAL must not be used.
"""

import hashlib
import os
import stat
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chatkit import typed
from chatkit.exceptions import InputError, StoreError

NETWORK = frozenset(
    [
        "nfs",
        "nfs3",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "openafs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "orangefs",
        "pvfs2",
        "panfs",
        "ocfs2",
        "9p",
        "drvfs",
        "davfs",
        "davfs2",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
    ]
)
"""File systems on which several machines may write, so that shared memory between processes cannot be trusted."""

MOUNTS = Path("/proc/self/mountinfo")
TRAILS = ("", "-wal", "-shm", "-journal")


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


def make(file: Path) -> None:
    """Make the file, readable by its owner only; SQLite gives its companions the same mode."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def set_aside(file: Path, inode: int, why: str, *, begun: str = "usage store") -> None:
    """Give a file that is none of ours a new name, companions too; nothing is deleted.

    `inode` is the file that was found wanting: if another process has put a new one in its place since, that stays.
    """
    if not file.exists() or file.stat().st_ino != inode:
        return
    stem = f"{file.name}.aside-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    for trail in TRAILS:
        if (old := file.with_name(file.name + trail)).exists():
            old.rename(file.with_name(stem + trail))
    warnings.warn(f"{file} {why}: it is kept as {stem}, and a new {begun} is begun.", stacklevel=2)


def on_network(file: Path, mounts: Iterable[str] | None = None) -> bool:
    """Whether the file lies on a network file system; False where the system does not say.

    >>> on_network(Path("/home/ada/u.db"), ["36 35 0:31 / / rw - ext4 /dev/sda1 rw", "40 36 0:50 / /home rw - nfs4 srv:/ rw"])
    True
    """
    lines = mounts if mounts is not None else _mounts()
    above = [mount for line in lines if (mount := _mount(line)) and file.is_relative_to(mount[0])]
    return bool(above) and max(reversed(above), key=lambda mount: len(mount[0].parts))[1] in NETWORK


def _mounts() -> list[str]:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _mount(line: str) -> tuple[Path, str] | None:
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5:
        return None
    point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
    return Path(point), after.split(" ")[0]
