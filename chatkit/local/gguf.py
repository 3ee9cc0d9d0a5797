"""Annexe: the head of a GGUF file, read without an engine. In: a path. Out: its plain values (window, layers, heads).

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import IO, Any

from chatkit.exceptions import SetupError

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
