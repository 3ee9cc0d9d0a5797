"""The system's room: a folder that says whether the process that made it still lives.

In: a folder, the name of a file in it. Out: a lock, held as long as the process lives or until it is let go; and
whether somebody holds one. Where there is no flock, an open file is the lock: nobody can delete it.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def hold(folder: Path, name: str) -> int:
    """Lock a folder that was just made; the lock, an open file, is there from the moment on at which it is held.

    On a network drive without locks it is held under another name, so that nobody takes the folder for abandoned.
    """
    if fcntl is None:
        return os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    lock = os.open(folder / "new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / "new").rename(folder / name)
    return lock


def let_go(lock: int) -> None:
    """Hold it no more."""
    with suppress(OSError):
        os.close(lock)


def is_let_go(folder: Path, name: str) -> bool:
    """Whether a folder is this user's alone, and its lock a file that nobody holds; OSError where it cannot be told."""
    if fcntl is None:
        lock = folder / name
        lock.unlink()  # which fails while its owner lives
        lock.touch(mode=0o600)  # until the rest is gone
        return True
    look = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | look)
    try:
        return _is_own(os.fstat(inside)) and _is_free(os.open(name, os.O_RDWR | look, dir_fd=inside))
    finally:
        os.close(inside)


def _is_free(lock: int) -> bool:
    try:
        held = os.fstat(lock)
        if not (stat.S_ISREG(held.st_mode) and _is_own(held) and held.st_nlink == 1):
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    finally:
        os.close(lock)


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077
