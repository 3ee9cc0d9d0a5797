"""Folders of this user's alone, for what lies on the disk for a while: audio on its way, an engine's socket.

In: what a folder is for. Out: a `PrivateFolder`, whose name nobody can guess and into which nobody else can look or
write; it goes with its owner, and what a killed process left is swept away by the next. Nothing that another user of
the machine made is opened, followed, waited for or deleted.
"""

import os
import re
import stat
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from chatkit.system import files, locks

PURPOSES = ("uploads", "audio", "engine", "usage", "fetch")
LOCK = "lock"
LONGEST_ADDRESS = 103
"""Bytes of a socket's path: 104 on macOS, 108 on Linux, each with a zero at the end."""
_OURS = re.compile(rf"chatkit-(?:{'|'.join(PURPOSES)})-\w{{6,}}")


class PrivateFolder:
    """A new folder for one of `PURPOSES`, mode 0700; `close` takes it away, as does the end of who holds it.

    What somebody still has open in it (a player, a virus scanner) goes later: at this process's end, or with the next.

    >>> folder = PrivateFolder("audio")
    >>> folder.path.is_dir(), folder.close(), folder.path.exists()
    (True, None, False)
    """

    def __init__(self, purpose: str, within: Path | None = None) -> None:
        places = [within] if within else homes()
        _sweep({*places, *homes()})
        self.path = _made(purpose, places)
        self._close = weakref.finalize(self, _remove, self.path, locks.hold(self.path, LOCK), os.getpid())

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
    with files.explained(last, what="takes no new folder", way_out="Make room, or name another folder in TMPDIR."):
        return Path(tempfile.mkdtemp(prefix=f"chatkit-{purpose}-", dir=last))


def _remove(folder: Path, lock: int, process: int) -> None:
    if os.getpid() == process:  # a forked child has only borrowed it
        locks.let_go(lock)
        files.delete(folder, last=LOCK)


# What processes that were killed have left: nobody holds their locks any more.


def _sweep(places: Iterable[Path]) -> None:
    for folder in _left_over(places):
        with suppress(OSError):
            if locks.is_let_go(folder, LOCK):
                files.delete(folder, last=LOCK)


def _left_over(places: Iterable[Path]) -> Iterator[Path]:
    for home in places:
        with suppress(OSError), os.scandir(home) as entries:
            yield from [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]
