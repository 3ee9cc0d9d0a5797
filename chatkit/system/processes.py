"""The system's processes: how a child is started and ended, the loop that can start one, what a process may use.

In: a command; seconds and bytes. Out: a child that shows no window of its own; an event loop; limits, which a decoder
gone wrong meets whatever it does. Memory is limited on Linux, the rest on macOS too; Windows has none of these limits:
there the deadlines of whoever waits hold alone.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GRACE = 5.0
"""Seconds in which a process that was killed has let go of its files."""


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop that can start processes, whatever loops a kernel or a library has asked for.

    To be made on the thread that will run it: Windows' own loop takes the wake-up of signals where it is made on the main
    one, and the interrupt button would wake it instead of the kernel's. ipykernel up to 7.3 asks for Windows' other
    loop, which starts no process and has 512 sockets at most.
    """
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    loop = asyncio.new_event_loop()
    if _starts_processes(loop):
        return loop
    loop.close()
    return asyncio.SelectorEventLoop()


def _starts_processes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop has more than asyncio's root of all loops, which says NotImplementedError."""
    root = asyncio.BaseEventLoop._make_subprocess_transport  # type: ignore[attr-defined]
    return getattr(type(loop), "_make_subprocess_transport", None) is not root


def has_unix_sockets() -> bool:
    """Whether a process can listen on a path (Windows' C++ libraries mostly cannot, nor does its Python)."""
    return sys.platform != "win32"


def environment(more: Mapping[str, str], without: tuple[str, ...] = ()) -> dict[str, str]:
    """What a child gets: this process's variables but those whose names begin with one of `without`, and `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(without)} | dict(more)


def popen(command: Sequence[str], **how: Any) -> "subprocess.Popen[Any]":
    """Start a child, for a thread that may wait; `how` is subprocess.Popen's."""
    return subprocess.Popen(command, **(_unseen() | how))


async def spawn(command: Sequence[str], **how: Any) -> asyncio.subprocess.Process:
    """Start a child of this loop's; `how` is asyncio.create_subprocess_exec's."""
    return await asyncio.create_subprocess_exec(*command, **(_unseen() | how))


def _unseen() -> dict[str, Any]:
    """What keeps Windows from opening a console of its own for a child, where whoever starts it has none."""
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if hasattr(subprocess, "CREATE_NO_WINDOW") else {}


async def end(child: asyncio.subprocess.Process) -> None:
    """Kill a child and wait until it has let go of its files, for `GRACE` seconds at most.

    The python.exe of a virtual environment is a launcher, whose own child ends a moment after it. That one has the
    output open as well: where the output ends, both are gone.
    """
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            if child.stdout:
                await _drained(child.stdout)
            await child.wait()


async def _drained(stream: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await stream.read(1 << 16):
            pass


def lock(memory: int, *, file: int | None = None) -> None:
    """From here on: so many bytes of data more at most, and of one file; no core file, in which what was said could lie."""
    if resource is None:
        return
    _set(resource.RLIMIT_CORE, 0)
    if file is not None:
        _set(resource.RLIMIT_FSIZE, file)
    if (taken := _data_of_this_process()) is not None:
        _set(resource.RLIMIT_DATA, taken + memory)


def allow(seconds: float) -> None:
    """So many seconds of processor time more: at their end comes the signal that tells (SIGXCPU), not SIGKILL."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_within(int(used.ru_utime + used.ru_stime + seconds), hard), hard))


@contextmanager
def sealed() -> Iterator[None]:
    """Within, this process can open no file and no socket: the system refuses any new descriptor."""
    if resource is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    # a new descriptor would have to be below this one, where all are taken
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _set(kind: int, most: int) -> None:
    """For good, and never above what this process has already been told."""
    most = _within(most, resource.getrlimit(kind)[1])
    resource.setrlimit(kind, (most, most))


def _within(most: int, hard: int) -> int:
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def _data_of_this_process() -> int | None:
    """Bytes; None where the system does not tell (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)
