"""Annexe: what a model file asks for and what this machine has to give: memory and processors.

In: a model's head and the wanted sizes. Out: a count of threads; a SetupError if the model would not fit.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from pathlib import Path
from typing import IO, Any

from chatkit.exceptions import SetupError
from chatkit.system import memory, shell

MAGIC = b"GGUF"
PLAIN = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
LONGEST = 64 * 2**20
"""Bytes one value may claim: a damaged head must not ask for all memory."""


def head(path: Path) -> dict[str, Any]:
    """The head's numbers and texts; arrays (the vocabulary) are skipped. SetupError if it is no GGUF file."""
    try:
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise ValueError("not GGUF")
            _, _, count = struct.unpack("<IQQ", _take(file, 20))
            return dict(_pair(file) for _ in range(min(count, 10_000)))
    except (OSError, ValueError, struct.error):
        raise SetupError(
            f"{path.name} is not a whole GGUF file.", "Give the path of a model in GGUF form, or fetch it again."
        ) from None


def window(values: dict[str, Any]) -> int | None:
    """The context length that the model was trained for."""
    length = values.get(f"{values.get('general.architecture')}.context_length")
    return length if isinstance(length, int) else None


def bytes_per_token(values: dict[str, Any]) -> int | None:
    """What the engine's memory of one token takes, keys and values at 16 bits; None where the head does not say."""
    name = values.get("general.architecture")
    found = [values.get(f"{name}.{key}") for key in ("block_count", "embedding_length", "attention.head_count")]
    if not all(isinstance(value, int) and value for value in found):
        return None
    layers, width, heads = (int(value) for value in found if value)
    size = values.get(f"{name}.attention.key_length") or width // heads
    return int(layers * size * (values.get(f"{name}.attention.head_count_kv") or heads) * 2 * 2)


def _pair(file: IO[bytes]) -> tuple[str, Any]:
    return _text(file), _value(file, *struct.unpack("<I", _take(file, 4)))


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == TEXT:
        return _text(file)
    if kind == ARRAY:
        inner, count = struct.unpack("<IQ", _take(file, 12))
        if inner == TEXT:
            for _ in range(min(count, LONGEST)):
                _text(file)
        else:
            file.seek(count * _size(inner), 1)
        return None
    return struct.unpack(f"<{_code(kind)}", _take(file, _size(kind)))[0]


def _text(file: IO[bytes]) -> str:
    return _take(file, struct.unpack("<Q", _take(file, 8))[0]).decode("utf-8", "replace")


def _code(kind: int) -> str:
    if kind not in PLAIN:
        raise ValueError("unknown kind of value")
    return PLAIN[kind]


def _size(kind: int) -> int:
    return struct.calcsize(f"<{_code(kind)}")


def _take(file: IO[bytes], count: int) -> bytes:
    if count > LONGEST:
        raise ValueError("too long")
    got = file.read(count)
    if len(got) < count:
        raise ValueError("cut short")
    return got


BESIDES = 150 * 10**6
"""Bytes for the interpreter, the engine's code and its work space: 160 MB were seen with SmolLM2-135M."""
CGROUP = memory.CGROUP
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
            f"Close other kernels, or name a smaller model: {shell.chatkit('serve --whisper Systran/faster-whisper-tiny')}.",
        )


def needed(path: Path, values: dict[str, Any], window: int, slots: int) -> int | None:
    """Bytes for the weights, the windows and the rest; None if the head does not say."""
    token = bytes_per_token(values)
    return None if token is None else path.stat().st_size + token * window * slots + BESIDES


def available() -> int | None:
    """Bytes free on this machine and in this container; None where the system does not tell."""
    return memory.free(CGROUP)
