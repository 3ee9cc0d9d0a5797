"""Speech, the audio as it is given: a path, bytes, a file object or an array becomes a file that can be read.

In: what a person passes. Out: a `Source`. What is no file yet is written into a folder of its own, which
`close` removes; a name is kept to be shown and sent, never used as a path.
"""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatkit.audio.rates import is_a_rate
from chatkit.exceptions import InputError
from chatkit.private_folder import PrivateFolder
from chatkit.speech.sniffing import HEAD, Kind, sniff

MOST = 4 * 1024**3
"""Bytes of audio that are taken in."""
_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Source:
    """Audio in a file: where it lies, what it was called, what it is, and a folder for what is made of it."""

    path: Path
    name: str
    size: int
    kind: Kind
    folder: Path = field(repr=False)


@contextmanager
def opened(audio: Any, rate: int | None = None, name: str | None = None) -> Iterator[Source]:
    """The audio as a file, for as long as it is needed. Raises InputError for what holds no audio."""
    own = PrivateFolder("audio")
    folder = own.path
    try:
        path = _path_of(audio)
        if path is None:
            path = folder / "given"
            _write(audio, rate, path)
        called = name or (audio.name if isinstance(getattr(audio, "name", None), str) else "")
        yield _source(path, called or (path.name if path.parent != folder else ""), folder)
    finally:
        own.close()


def check(audio: Any, rate: int | None = None) -> None:
    """Raise an InputError for what cannot be audio, as far as that is seen without reading it."""
    path = _path_of(audio)
    if path is not None:
        _size_of(path)
    elif hasattr(audio, "__array__"):
        _check_array(audio, rate)
    elif not isinstance(audio, bytes | bytearray | memoryview) and not hasattr(audio, "read"):
        raise InputError(
            f"The audio is {type(audio).__name__}.", "Give a path, bytes, a file opened in binary mode, or an array."
        )


def _path_of(audio: Any) -> Path | None:
    if isinstance(audio, str) and "://" in audio[:16]:
        raise InputError("The audio is an address, not a file.", "Download it first, and give the file's path.")
    return Path(audio).expanduser() if isinstance(audio, str | os.PathLike) else None


def _size_of(path: Path) -> int:
    try:
        found = path.stat()
    except (OSError, ValueError):
        raise InputError(f"There is no file {str(path)[:200]!r}.", "Check the path.") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{str(path)[:200]!r} is no file.", "Give the path of an audio file.")
    return found.st_size


def _source(path: Path, name: str, folder: Path) -> Source:
    size = _size_of(path)
    if size == 0:
        raise no_audio("it is empty")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"The file {str(path)[:200]!r} cannot be read: {error.strerror}.") from None
    kind = sniff(head)
    if kind is None:
        raise no_audio(_what(head))
    return Source(path, name, size, kind, folder)


def no_audio(why: str) -> InputError:
    """The one error for a file in which there is nothing to hear."""
    return InputError(f"There is no audio in this file: {why}.", "Play it in another program, or record it again.")


def _what(head: bytes) -> str:
    if head.startswith(b"PK\x03\x04"):
        return "it is a zip archive"
    if head.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        return "it is a picture or a document"
    try:
        head[:1024].decode()
    except UnicodeDecodeError as error:
        if error.start < min(len(head), 1024) - 4:
            return "its first bytes are those of no format that is known"
    return "it is text" if b"\x00" not in head[:1024] else "its first bytes are those of no format that is known"


def _write(audio: Any, rate: int | None, path: Path) -> None:
    with path.open("wb") as file:
        if isinstance(audio, bytes | bytearray | memoryview):
            file.write(audio)
        elif hasattr(audio, "__array__"):
            _write_wav(audio, _check_array(audio, rate), file)
        else:
            _copy(audio, file)


def _copy(audio: Any, file: Any) -> None:
    taken = 0
    while piece := audio.read(_PIECE):
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InputError("The file gives text, not bytes.", "Open it in binary mode: open(path, 'rb').")
        taken += len(piece)
        if taken > MOST:
            raise InputError(f"The file is longer than {MOST // 1024**3} GiB.", "Give it in pieces.")
        file.write(piece)


def _check_array(audio: Any, rate: int | None) -> int:
    if rate is None:
        raise InputError("An array needs its rate.", "Give it too, such as rate=16000 (samples a second).")
    if not isinstance(rate, int) or not is_a_rate(rate):
        raise InputError(f"rate is {rate!r}; it must be a whole number of samples a second.", "16000 is common.")
    shape, kind = getattr(audio, "shape", ()), getattr(getattr(audio, "dtype", None), "kind", "")
    if len(shape) not in (1, 2) or kind not in "fiu" or not kind or min(shape, default=0) == 0:
        raise InputError(
            f"The array has the shape {shape} and the type {getattr(audio, 'dtype', '?')}.",
            "Give samples of one channel, or of several as (samples, channels); floats from -1 to 1, or integers.",
        )
    return rate


def _write_wav(audio: Any, rate: int, file: Any) -> None:
    import numpy as np  # the caller has it

    samples = np.asarray(audio)
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channels > 64:
        raise InputError(f"The array has {channels} channels.", "Give samples as (samples, channels).")
    size = samples.shape[0] * channels * 2
    sizes = min(size + 36, 0xFFFFFFFF), min(size, 0xFFFFFFFF)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", sizes[0], b"WAVE", b"fmt ", 16, 1, channels, rate,
                       rate * channels * 2, channels * 2, 16, b"data", sizes[1])  # fmt: skip
    file.write(head)
    step = max(1, _PIECE // channels)
    for start in range(0, samples.shape[0], step):
        file.write(_as_int16(samples[start : start + step]).tobytes())


def _as_int16(samples: Any) -> Any:
    import numpy as np

    kind = samples.dtype.kind
    if kind == "f":
        if not np.isfinite(samples).all():
            raise InputError("The array has samples that are no numbers (NaN or infinite).", "Take them out first.")
        return np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    bits = 8 * samples.dtype.itemsize
    centred = samples.astype(np.int64) - (1 << (bits - 1) if kind == "u" else 0)
    return (centred >> (bits - 16) if bits >= 16 else centred << (16 - bits)).astype("<i2")
