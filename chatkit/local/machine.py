"""Annexe: what this machine, or this container of it, has to give: memory and processors.

In: a model's head and the wanted sizes. Out: a count of threads; a SetupError if the model would not fit.
"""

import os
from pathlib import Path
from typing import Any

from chatkit.exceptions import SetupError
from chatkit.local import gguf

BESIDES = 150 * 10**6
"""Bytes for the interpreter, the engine's code and its work space: 160 MB were seen with SmolLM2-135M."""
CGROUP = Path("/sys/fs/cgroup")
MOST_THREADS = 8
"""More than this gain nothing with a small model: they wait for each other at every layer."""


def threads(*, shared: bool) -> int:
    """Threads for the engine; where a notebook shares the machine, one processor is left to it.

    llama.cpp's threads spin while they wait for each other, so a busy cell on one of two processors made two
    threads write 8 to 40 tokens a second where one wrote 90 to 115; on an idle machine two wrote 140, one 115.
    """
    return max(1, min(processors() - shared, MOST_THREADS))


def processors() -> int:
    """Processors that this process may use, a container's share counted."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return min(usable, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        return usable


def check(path: Path, values: dict[str, Any], window: int, slots: int) -> None:
    """Raise SetupError if `slots` windows of the model need more memory than is free, where that is known."""
    need = needed(path, values, window, slots)
    free = available()
    if need is not None and free is not None and need > free:
        raise SetupError(
            f"{path.stem} with {slots} slots of {window} tokens needs about {need / 1e9:.1f} GB of memory; "
            f"{free / 1e9:.1f} GB are free.",
            "Close other kernels, or start it smaller: --slots 1, --window 2048.",
        )


def check_room(name: str, size: int) -> None:
    """Raise SetupError if a Whisper whose weights have `size` bytes needs more memory than is free, where known."""
    need, free = 2 * size + BESIDES, available()
    if free is not None and need > free:
        raise SetupError(
            f"{name} needs about {need / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free.",
            "Close other kernels, or name a smaller model: chatkit serve --whisper Systran/faster-whisper-tiny.",
        )


def needed(path: Path, values: dict[str, Any], window: int, slots: int) -> int | None:
    """Bytes for the weights, the windows and the rest; None if the head does not say."""
    token = gguf.bytes_per_token(values)
    return None if token is None else path.stat().st_size + token * window * slots + BESIDES


def available() -> int | None:
    """Bytes free on this machine and in this container; None where the system does not tell (not Linux)."""
    known = [free for free in (_machine(), _container()) if free is not None]
    return min(known, default=None)


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _container() -> int | None:
    try:
        limit, used = ((CGROUP / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        stat = (CGROUP / "memory.stat").read_text(encoding="ascii").split()
        cached = int(stat[stat.index("inactive_file") + 1])
        return None if limit == "max" else int(limit) - int(used) + cached
    except (OSError, ValueError, IndexError):
        return None
