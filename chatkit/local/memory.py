"""Annexe: whether a model fits into memory before it is loaded. In: its file's head. Out: nothing, or a SetupError."""

from pathlib import Path
from typing import Any

from chatkit.exceptions import SetupError
from chatkit.local import gguf

BESIDES = 150 * 10**6
"""Bytes for the interpreter, the engine's code and its work space: 160 MB were seen with SmolLM2-135M."""
CGROUP = Path("/sys/fs/cgroup")


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
