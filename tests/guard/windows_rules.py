"""Windows' rules about files, on Linux, for this process and the Python processes that it starts.

With `CHATKIT_TESTS_AS_WINDOWS=1` in the environment and this folder on PYTHONPATH, sitecustomize.py begins before
anything of chatkit is imported; tests/windows.py has single rules as fixtures. What holds then:

- what a process of ours (one of the same group) has open cannot be renamed, replaced or deleted (looked up in /proc, so that the files of SQLite, of
  decoders and of other processes count), nor can a folder in which such a file lies
- names and lengths of paths are Windows'; a name that is taken is not taken again by a rename
- text is cp1252 with CRLF where nothing else is asked for
- there is no fork, fcntl, resource; chatkit's modules see sys.platform == "win32"

Not shown: backslashes, rights, DLLs, consoles, signals, loops. A colon in a name, which makes a hidden stream of a file
there, is refused here. Nothing of this was compared with a real Windows by a machine.
"""

import builtins
import errno
import io
import os
import re
import shutil
import stat
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VARIABLE = "CHATKIT_TESTS_AS_WINDOWS"
RESERVED = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])( *\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]\Z')
LONGEST = 259
SHARED, DENIED = 32, 5
"""Windows' numbers: used by another process, access denied."""
MISSING = ("fcntl", "resource", "pwd", "grp", "termios", "pty")
LACKING = ("fork", "register_at_fork", "sched_getaffinity", "killpg", "getpgid", "mkfifo", "pathconf")

_open, _import = io.open, builtins.__import__
_group = getattr(os, "getpgid", None)  # there is none on Windows itself, where nothing here is used
_os = {name: getattr(os, name) for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir")}


def is_open(path: Any) -> bool:
    """Whether a process has the file, or one below that folder, open."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    below = f"{os.path.realpath(path)}/" if stat.S_ISDIR(there.st_mode) else ""
    return any(_leads_to(handle, there, below) for handle in _handles())


def _handles() -> Iterator[str]:
    ours = _group(0)
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if _group(int(process)) != ours:  # nobody else has a file of a test's open
                continue
            yield from [f"/proc/{process}/fd/{number}" for number in os.listdir(f"/proc/{process}/fd")]
        except OSError:  # it ended, or is another user's
            continue


def _leads_to(handle: str, there: os.stat_result, below: str) -> bool:
    try:
        return os.readlink(handle).startswith(below) if below else os.path.samestat(os.stat(handle), there)
    except OSError:
        return False


def _refuse_if_open(path: Any, number: int = SHARED) -> None:
    if is_open(path):
        words = "The process cannot access the file because it is being used by another process"
        error = PermissionError(errno.EACCES, words, os.fspath(path))
        error.winerror = number
        raise error


def _check_name(path: Any) -> None:
    name = os.path.basename(os.fsdecode(path))
    if FORBIDDEN.search(name) or RESERVED.fullmatch(name):
        raise OSError(
            errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", os.fspath(path)
        )
    if len(os.path.abspath(os.fsdecode(path))) > LONGEST:
        raise FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", os.fspath(path))


# --- files that are open keep their place


def unlink(path: Any, *, dir_fd: int | None = None) -> None:
    _refuse_if_open(path)
    _os["unlink"](path, dir_fd=dir_fd)


def rmdir(path: Any, *, dir_fd: int | None = None) -> None:
    _refuse_if_open(path)
    _os["rmdir"](path, dir_fd=dir_fd)


def replace(source: Any, target: Any, **_: Any) -> None:
    _check_name(target)
    _refuse_if_open(source)
    _refuse_if_open(target, DENIED)
    _os["replace"](source, target)


def rename(source: Any, target: Any, **_: Any) -> None:
    _check_name(target)
    _refuse_if_open(source)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", os.fspath(target))
    _os["rename"](source, target)


PLACES: dict[str, Callable[..., None]] = {
    "unlink": unlink,
    "remove": unlink,
    "rmdir": rmdir,
    "replace": replace,
    "rename": rename,
}


# --- names, and what text is


def open_text(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, closefd: bool = True, opener: Any = None,
) -> Any:  # fmt: skip
    writes = bool(set(mode) & set("wxa+"))
    if writes and isinstance(file, str | bytes | os.PathLike) and os.fspath(file) != os.devnull:
        _check_name(file)
    if "b" not in mode:
        encoding = "cp1252" if encoding in (None, "locale") else encoding
        newline = "\r\n" if newline is None and writes else newline
    return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)


def open_handle(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if flags & os.O_CREAT:
        _check_name(path)
    return _os["open"](path, flags, mode, dir_fd=dir_fd)


def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
    _check_name(path)
    _os["mkdir"](path, mode, dir_fd=dir_fd)


# --- what the system is


class WindowsSys(types.ModuleType):
    """`sys`, on Windows."""

    platform = "win32"

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(sys, name, value)


SYS = WindowsSys("sys")


def _import_here(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if name == "sys" and str((globals or {}).get("__name__", "")).startswith("chatkit"):
        return SYS
    return _import(name, globals, locals, fromlist, level)


def _load_what_knows_linux() -> None:
    """Libraries of others that ask for fcntl or resource where they are Linux': they are left as they are."""
    for name in ("asyncio", "concurrent.futures.process", "multiprocessing", "subprocess", "tempfile", "psutil"):
        try:
            __import__(name)
        except ImportError:
            continue


def begin() -> None:
    """From here on all of it holds."""
    _load_what_knows_linux()
    here = str(Path(__file__).parent)
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    os.environ[VARIABLE] = "1"
    builtins.open = io.open = open_text
    builtins.__import__ = _import_here
    for name, rule in {**PLACES, "open": open_handle, "mkdir": mkdir}.items():
        setattr(os, name, rule)
    # the loop that starts processes there; Linux has it by another name
    asyncio = sys.modules["asyncio"]
    asyncio.ProactorEventLoop = asyncio.SelectorEventLoop
    shutil._use_fd_functions = False
    sys.modules.update(dict.fromkeys(MISSING))
    for name in LACKING:
        if hasattr(os, name):
            delattr(os, name)
