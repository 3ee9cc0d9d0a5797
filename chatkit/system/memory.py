"""The system's memory: how much of it is free, and how many files a process may have open.

In: what the system tells. Out: bytes, or None where it does not tell; a limit that was raised as far as it goes.

Forms: https://docs.kernel.org/filesystems/proc.html (meminfo), https://docs.kernel.org/admin-guide/cgroup-v2.html,
GlobalMemoryStatusEx (https://learn.microsoft.com/windows/win32/api/sysinfoapi/), the manual page vm_stat(1) of macOS.
"""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CGROUP = Path("/sys/fs/cgroup")
PATIENCE = 5.0
"""Seconds that macOS' own program may take to count."""
FREE_ON_MACOS = ("Pages free", "Pages inactive", "Pages speculative")
"""What macOS gives to whoever asks: as psutil counts it."""


def free(container: Path = CGROUP) -> int | None:
    """Bytes free on this machine and in this container; None where the system does not tell."""
    known = [found for found in (_machine(), _container(container)) if found is not None]
    return min(known, default=None)


def _machine() -> int | None:
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        return of_vm_stat(_said_by("/usr/bin/vm_stat"))
    try:
        return of_meminfo(Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:
        return None


def of_meminfo(text: str) -> int | None:
    """Bytes that Linux has to give.

    >>> of_meminfo("MemTotal:  7954528 kB\\nMemFree:  196760 kB\\nMemAvailable:  4012344 kB\\n")
    4108640256
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.M)
    return int(found[1]) * 1024 if found else None


def of_vm_stat(text: str) -> int | None:
    """Bytes that macOS has to give, by the page size that is said in the first line.

    >>> of_vm_stat("Statistics: (page size of 16384 bytes)\\nPages free:  10.\\nPages inactive:  20.\\nPages speculative:  5.")
    573440
    """
    size = re.search(r"page size of (\d+) bytes", text)
    pages = [re.search(rf"^{name}:\s+(\d+)\.", text, re.M) for name in FREE_ON_MACOS]
    return sum(int(found[1]) for found in pages if found) * int(size[1]) if size and pages[0] else None


def _said_by(program: str) -> str:
    try:
        return subprocess.run(
            [program], stdin=subprocess.DEVNULL, capture_output=True, encoding="ascii", errors="replace",
            timeout=PATIENCE, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""


class MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX, of which Windows fills in all but the length."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("free", ctypes.c_uint64),
        ("total_to_commit", ctypes.c_uint64),
        ("free_to_commit", ctypes.c_uint64),
        ("total_addresses", ctypes.c_uint64),
        ("free_addresses", ctypes.c_uint64),
        ("free_extended", ctypes.c_uint64),
    )


def _windows() -> int | None:
    """What is free of the machine's memory, and may be promised to somebody as well (the page file counts there)."""
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    try:
        told = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):
        return None
    return min(status.free, status.free_to_commit) if told else None


def _container(place: Path) -> int | None:
    try:
        limit, used = ((place / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        stat = (place / "memory.stat").read_text(encoding="ascii").split()
        cached = int(stat[stat.index("inactive_file") + 1])
        return None if limit == "max" else int(limit) - int(used) + cached
    except (OSError, ValueError, IndexError):
        return None


def open_files(wanted: int) -> int | None:
    """Raise the number of files that this process may have open to `wanted`, or as far as the system lets it.

    What holds then; None where there is no such limit (Windows). One that is higher already is left as it is.
    """
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return None if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # macOS has a limit for each process beside the one that it tells
        return soft
    return most
