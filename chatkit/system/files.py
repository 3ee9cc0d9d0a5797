"""The system's room: what somebody else may have open is renamed, replaced and deleted one way.

In: paths, and for how many seconds is tried. Out: done, or an error in words; a deletion never fails, it is put off.

Windows lets nobody rename, replace or delete a file that anybody has open: a virus scanner that looks at what was just
written, a program that keeps a folder in step with a server, a preview, a player, another kernel. Most let go at once.
"""

import atexit
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from chatkit.exceptions import ChatkitError
from chatkit.patience import in_turn
from chatkit.system import names
from chatkit.system.names import UnwritableError

PERSON = 2.0
"""Seconds that are tried while a person waits."""
NOBODY = 10.0
"""Seconds that are tried where nobody does."""
PAUSE = 0.05
"""Seconds, at most, until the next try."""
_HELD = frozenset([32, 33, 303, 1224])
"""Windows' numbers: it is open elsewhere, a part of it is, it is being deleted, it is in a process's memory."""
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


def is_held(error: Exception) -> bool:
    """Whether an error may pass, since it is somebody else who has the file open.

    Windows says "access denied" of a target that is open, as of one that may not be written.
    """
    if not isinstance(error, OSError):
        return False
    busy = isinstance(error, PermissionError) or error.errno in (errno.EBUSY, errno.ETXTBSY)
    return busy or getattr(error, "winerror", None) in _HELD


def replace(source: Path, target: Path, patience: float = PERSON) -> None:
    """Put a file in the place of another, in one step; raises OSError when patience ends."""
    in_turn(partial(source.replace, target), patience, is_held, PAUSE)


def rename(source: Path, target: Path, patience: float = PERSON) -> None:
    """Give a file a name that nobody has; raises OSError when patience ends, or where one has it."""
    if os.path.lexists(target):  # Linux and macOS would put it in that one's place
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    in_turn(partial(source.rename, target), patience, is_held, PAUSE)


def rename_all(pairs: Sequence[tuple[Path, Path]], patience: float = PERSON) -> None:
    """Rename several files that belong together, all or none; raises OSError when patience ends."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in pairs:
            rename(source, target, patience)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            with suppress(OSError):
                rename(target, source, patience)
        raise


def save(target: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a text that a person wants in a file, with the same bytes on each system; InputError says why it cannot be."""
    with explained(target):
        write(target, text.encode(encoding))
    return target


def write(target: Path, data: bytes, *, private: bool = False, patience: float = PERSON) -> None:
    """Write a file, whole or not at all: what was there stays until all is written.

    `private` makes it readable by its owner only; else a file that was there keeps its mode. Raises OSError.
    """
    names.check(target)
    if not private:
        target = Path(os.path.realpath(target)) if target.is_symlink() else target
        if target.exists() and not target.is_file():  # a pipe, a terminal; a folder says what it is
            target.write_bytes(data)
            return
    mode = None if private else _mode(target)
    draft, handle = _draft(target, 0o666 if mode is None and not private else 0o600)
    try:
        _put(handle, data)
        if mode is not None:
            draft.chmod(mode)
        replace(draft, target, patience)
    except BaseException:
        delete(draft)
        raise


def create(target: Path, data: bytes) -> None:
    """Write a new file, readable by its owner only; raises OSError, also if one is there."""
    names.check(target)
    handle = os.open(target, _NEW, 0o600)
    try:
        _put(handle, data)
    except BaseException:
        delete(target)
        raise


@contextmanager
def explained(
    path: Path,
    kind: type[ChatkitError] = UnwritableError,
    what: str = "cannot be written",
    way_out: str = "",
    *,
    name: str = "",
) -> Iterator[None]:
    """Turn an OSError into an error in words, of that kind; `path` is what it is about, `name` what it is called."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ChatkitError):
            raise
        why, way = reason(error, path)
        told = kind(f"{name or path} {what}: {why}.", way_out or way)
        if isinstance(told, OSError):
            told.errno = error.errno
        raise told from error


def is_full(error: OSError) -> bool:
    """Whether the disk, or what this user may have of it, is full."""
    return error.errno in _FULL


def reason(error: OSError, path: Path | None = None) -> tuple[str, str]:
    """Why a file cannot be written, in words, and the way out."""
    said = error.strerror or str(error)
    close = "Close it there (a preview, a player, another notebook) and try again, or name another file."
    if is_held(error) and getattr(error, "winerror", None) in (*_HELD, 5):
        return f"another program has it open, or it may not be changed ({said})", close
    if is_held(error) and not isinstance(error, PermissionError):
        return f"another program has it open ({said})", close
    if is_full(error):
        return said, "Make room, or name a file on another disk."
    if path and error.errno == errno.ENOENT and not path.parent.exists():
        return f"there is no folder {path.parent}", "Make it first, or name another."
    return said, "Name another file."


# --- deleting

_put_off: dict[Path, tuple[int, tuple[int, int], str]] = {}
"""What could not be deleted yet: by which process, which file that was, and what in a folder goes last."""


def delete(path: Path, last: str = "") -> bool:
    """Delete a file of ours, or a folder with all that is in it, now or later; whether it is gone. Never raises.

    What somebody has open is tried again with the next that is deleted, and at the process's end. `last` is a file in
    the folder that goes only after all else: a lock, by which a later process knows what was left.
    """
    delete_again()
    file = _identity(path)
    if file is None or _gone(path, last):
        return True
    _put_off[path] = (os.getpid(), file, last)
    return False


@atexit.register
def delete_again() -> None:
    """Try what was put off again."""
    for path, (process, file, last) in list(_put_off.items()):
        if process != os.getpid() or _identity(path) != file or _gone(path, last):
            _put_off.pop(path, None)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is: another of the same name may be there later, which is not ours to delete."""
    try:
        found = path.lstat()
    except OSError as error:
        return None if isinstance(error, FileNotFoundError) else (0, 0)
    return found.st_dev, found.st_ino


def _gone(path: Path, last: str) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            _delete_folder(path, last)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return not os.path.lexists(path)
    return True


def _delete_folder(folder: Path, last: str) -> None:
    for inside in [path for path in folder.iterdir() if path.name != last]:
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside, ignore_errors=True)
        else:
            with suppress(OSError):
                inside.unlink()
    lock = folder / last if last else None
    if lock and all(path.name == last for path in folder.iterdir()):
        lock.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        if lock:
            with suppress(OSError):
                lock.touch(mode=0o600)
        raise


# --- drafts


def _draft(target: Path, mode: int) -> tuple[Path, int]:
    """A new file beside the target, open to be written; its name is no longer than the target's, where that can be."""
    letters = min(8, max(3, len(target.name) - 1))
    while True:
        draft = target.with_name(f".{secrets.token_hex(4)[:letters]}")
        with suppress(FileExistsError):
            return draft, os.open(draft, _NEW, mode)


def _put(handle: int, data: bytes) -> None:
    with open(handle, "wb") as opened:
        opened.write(data)


def _mode(file: Path) -> int | None:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return None
