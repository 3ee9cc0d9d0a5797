"""Audio, the sandbox: a process that decodes what nobody vouches for limits itself first, by the kernel's own limits.

In: bytes and seconds that it may use. Out: nothing; a decoder gone wrong meets the limits whatever it does. Memory is
limited on Linux, the rest on macOS too; Windows has none of these: there the deadlines of whoever waits hold alone.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import resource


def lock(memory: int, *, file: int | None = None) -> None:
    """From here on: so many bytes of data more at most, and of one file; no core file, in which what was said could lie."""
    if sys.platform == "win32":
        return
    _set(resource.RLIMIT_CORE, 0)
    if file is not None:
        _set(resource.RLIMIT_FSIZE, file)
    if (taken := _data_of_this_process()) is not None:
        _set(resource.RLIMIT_DATA, taken + memory)


def allow(seconds: float) -> None:
    """So many seconds of processor time more: at their end comes the signal that tells (SIGXCPU), not SIGKILL."""
    if sys.platform == "win32":
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_within(int(used.ru_utime + used.ru_stime + seconds), hard), hard))


@contextmanager
def sealed() -> Iterator[None]:
    """Within, this process can open no file and no socket: the system refuses any new descriptor."""
    if sys.platform == "win32":
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


if sys.platform != "win32":

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
