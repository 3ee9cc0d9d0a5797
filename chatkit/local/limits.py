"""Annexe: what the recognising process may use. In: nothing, then a length of audio. Out: the kernel's own limits.

Where the system has such limits (Linux; macOS but for memory), a decoder gone wrong meets them whatever it does.
Windows has none of them; there the server's deadlines alone hold.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = 768 * 2**20
"""Bytes of address space that jobs may take beside what the loaded model has."""
CPU_SECONDS, CPU_PER_SECOND = 120, 20
"""Seconds of processor time for a job, and for each second of its audio: a small model takes 0.2 of them."""


def lock() -> None:
    """From here on: MEMORY bytes more at most, and no core file, in which what was said could lie."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        most = _address_space() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextmanager
def sealed() -> Iterator[None]:
    """Within, this process can open no file and no socket: the system refuses any new descriptor."""
    if sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    # a new descriptor would have to be below this one, where all are taken
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def allow(seconds: float) -> None:
    """Give this process processor time for a job of so many seconds of audio."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + CPU_SECONDS + CPU_PER_SECOND * seconds), hard))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
