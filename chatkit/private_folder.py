"""Folders of this user's alone, for what lies on the disk for a while: audio on its way, an engine's socket.

In: what a folder is for. Out: a `PrivateFolder`, whose name nobody can guess and into which nobody else can look or
write; it goes with its owner, and what a killed process left is swept away by the next. Nothing that another user of
the machine made is opened, followed, waited for or deleted.
"""

import os
import re
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted: that is the lock
    fcntl = None  # type: ignore[assignment]

PURPOSES = ("uploads", "audio", "engine", "usage")
LOCK = "lock"
LONGEST_ADDRESS = 103
"""Bytes of a socket's path: 104 on macOS, 108 on Linux, each with a zero at the end."""
_OURS = re.compile(rf"chatkit-(?:{'|'.join(PURPOSES)})-\w{{6,}}")


class PrivateFolder:
    """A new folder for one of `PURPOSES`, mode 0700; `close` takes it away, as does the end of who holds it.

    >>> folder = PrivateFolder("audio")
    >>> folder.path.is_dir(), folder.close(), folder.path.exists()
    (True, None, False)
    """

    def __init__(self, purpose: str, within: Path | None = None) -> None:
        _sweep()
        self.path = _made(purpose, [within] if within else homes())
        self._close = weakref.finalize(self, _remove, self.path, _locked(self.path), os.getpid())

    def close(self) -> None:
        """Take it away, with all that is in it."""
        self._close()


def homes() -> list[Path]:
    """Where such folders may lie, the best first.

    A temporary folder that is the user's own (macOS has one, and a job on a cluster), else the user's cache, else the
    temporary folder that all users share, where a name that nobody can guess has to do.
    """
    shared, cache = Path(tempfile.gettempdir()), _cache()
    own = [place for place in (shared, cache) if place and is_ours_alone(place)]
    return [*own, *(place for place in (shared,) if place not in own)]


def for_a_socket(name: str) -> PrivateFolder | None:
    """A folder in which a socket called `name` has a path that is short enough; None where there is none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    best = [Path(runtime)] if runtime and is_ours_alone(Path(runtime)) else []
    for home in (*best, *homes(), Path("/tmp")):
        # what mkdtemp adds is eight letters
        if len(os.fsencode(home / "chatkit-engine-abcdefgh" / name)) <= LONGEST_ADDRESS and os.access(home, os.W_OK):
            with suppress(OSError):
                return PrivateFolder("engine", within=home)
    return None


def is_ours_alone(folder: Path) -> bool:
    """Whether nobody but this user (and root) can write into a folder, or put another in its place."""
    if not hasattr(os, "geteuid"):
        return folder.is_dir()  # a Windows profile's folders have no other owner
    try:
        here = folder.resolve(strict=True)
        own, *above = (part.stat() for part in (here, *here.parents))
    except OSError:
        return False
    ours = stat.S_ISDIR(own.st_mode) and own.st_uid == os.geteuid() and not own.st_mode & 0o022
    return ours and all(
        part.st_uid in (0, os.geteuid()) and (not part.st_mode & 0o022 or part.st_mode & stat.S_ISVTX) for part in above
    )


def _cache() -> Path | None:
    from platformdirs import user_cache_dir

    folder = Path(user_cache_dir("chatkit", appauthor=False), "tmp")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _made(purpose: str, places: list[Path]) -> Path:
    *others, last = places
    for place in others:
        with suppress(OSError):  # a disk that is full, or may only be read: the next one is tried
            return Path(tempfile.mkdtemp(prefix=f"chatkit-{purpose}-", dir=place))
    return Path(tempfile.mkdtemp(prefix=f"chatkit-{purpose}-", dir=last))


def _locked(folder: Path) -> int:
    """The folder's lock, held as long as this process lives; it is there from the moment on at which it is held."""
    lock = os.open(folder / "new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with suppress(OSError):  # on a network drive without locks nothing is swept
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(folder / "new", folder / LOCK)
    return lock


def _remove(folder: Path, lock: int, process: int) -> None:
    if os.getpid() == process:  # a forked child has only borrowed it
        with suppress(OSError):
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


# What processes that were killed have left: nobody holds their locks any more.


def _sweep() -> None:
    for folder in _left_over():
        with suppress(OSError):
            if _is_free(folder) if fcntl else _was_let_go(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _left_over() -> Iterator[Path]:
    for home in homes():
        with suppress(OSError), os.scandir(home) as entries:
            yield from (Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name))


def _is_free(folder: Path) -> bool:
    """Whether a folder is this user's alone, and its lock a file that nobody holds."""
    look = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | look)
    try:
        if not _is_own(os.fstat(inside)):
            return False
        lock = os.open(LOCK, os.O_RDWR | look, dir_fd=inside)
        try:
            held = os.fstat(lock)
            if not (stat.S_ISREG(held.st_mode) and _is_own(held) and held.st_nlink == 1):
                return False
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        finally:
            os.close(lock)
    finally:
        os.close(inside)


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _was_let_go(folder: Path) -> bool:
    (folder / "new").unlink()
    return True
