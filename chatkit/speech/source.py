"""Speech, the audio as it is given: it becomes a file, and a child process looks it through.

In: what a person passes. Out: a `AudioSource`. What is no file yet is written into a folder of its own, which
`close` removes; a name is kept to be shown and sent, never used as a path.
"""

import asyncio
import json
import os
import stat
import struct
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatkit.audio.child import PREVIEW as PREVIEW
from chatkit.audio.child import SECONDS
from chatkit.audio.headers import is_a_rate
from chatkit.audio.sniff import Container, kind_of
from chatkit.exceptions import ChatkitError, InputError, SetupError
from chatkit.private_folder import PrivateFolder
from chatkit.speech.timed import clock
from chatkit.system import files, processes

MOST = 4 * 1024**3
"""Bytes of audio that are taken in."""
_PIECE = 1024 * 1024
_SAID = 1024
"""Bytes by which a file that is no audio is told."""
BEYOND = 2.0
"""The loudest float that is taken, twice what is full: a little beyond 1 is common, far beyond is another scale."""
CONVERT = "Convert it with another program (ffmpeg -i a.ts a.flac), or record it again."
WAYS = {
    "it is empty": "Record it again, or give another file.",
    "it is text": "Give a file with sound in it.",
    "it is a picture": "Give a file with sound in it.",
    "it is a zip": "Unpack it, and give the file with the sound.",
    "it has no sound": "Record it again, or give the file that has the sound.",
    "sound track": "Give the number of one that it has, from 1.",
    "the recording was not closed": "Record it again, or restore it with a tool for such files (untrunc).",
}
"""What to do, by how the reason begins; of all else another program may know more."""


@dataclass(frozen=True)
class AudioSource:
    """Audio in a file: where it lies, what it was called, what it is, and a folder for what is made of it."""

    path: Path
    name: str
    size: int
    kind: Container
    folder: Path = field(repr=False)


@contextmanager
def opened(audio: Any, rate: int | None = None, name: str | None = None) -> Iterator[AudioSource]:
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


def _source(path: Path, name: str, folder: Path) -> AudioSource:
    size = _size_of(path)
    if size == 0:
        raise no_audio("it is empty")
    try:
        with path.open("rb") as file:
            kind = kind_of(file)
            file.seek(0)
            head = file.read(_SAID)
    except OSError as error:
        raise InputError(f"The file {str(path)[:200]!r} cannot be read: {error.strerror}.") from None
    if kind is None:
        raise no_audio(_what(head))
    return AudioSource(path, name, size, kind, folder)


def no_audio(why: str) -> InputError:
    """The one error for a file in which there is nothing to hear."""
    way = next((way for begin, way in WAYS.items() if why.startswith(begin)), CONVERT)
    return InputError(f"There is no audio in this file: {why}.", way)


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
    full = "Make room, or name another folder in TMPDIR."
    with files.explained(path, what="cannot be written", way_out=full), path.open("wb") as file:
        if isinstance(audio, bytes | bytearray | memoryview):
            file.write(audio)
        elif hasattr(audio, "__array__"):
            _write_wav(audio, _check_array(audio, rate), file)
        else:
            _copy(audio, file)


def _copy(audio: Any, file: Any) -> None:
    taken = 0
    for piece in _pieces(audio):
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InputError("The file gives text, not bytes.", "Open it in binary mode: open(path, 'rb').")
        taken += len(piece)
        if taken > MOST:
            raise InputError(f"The file is longer than {MOST // 1024**3} GiB.", "Give it in pieces.")
        file.write(piece)


def _pieces(audio: Any) -> Iterator[Any]:
    """What a file object gives from where it is; all of it, if it is at its end: so it is left by what wrote it."""
    try:
        first = audio.read(_PIECE) or _from_the_start(audio)
        while first:
            yield first
            first = audio.read(_PIECE)
    except (OSError, ValueError) as error:  # closed, or opened to be written only
        raise InputError(f"The file cannot be read: {error}.", "Open it in binary mode: open(path, 'rb').") from None


def _from_the_start(audio: Any) -> Any:
    try:
        audio.seek(0)
    except (AttributeError, OSError, ValueError):  # a stream that cannot go back holds no more
        return b""
    return audio.read(_PIECE)


def _rate_of(rate: Any) -> int | None:
    """The rate as a whole number, whatever kind of number it is; None for what is none."""
    try:
        return int(rate) if not isinstance(rate, bool | str) and int(rate) == rate and is_a_rate(int(rate)) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _check_array(audio: Any, rate: int | None) -> int:
    if rate is None:
        raise InputError("An array needs its rate.", "Give it too, such as rate=16000 (samples a second).")
    whole = _rate_of(rate)
    if whole is None:
        raise InputError(f"rate is {rate!r}; it must be a whole number of samples a second.", "16000 is common.")
    shape, kind = getattr(audio, "shape", ()), getattr(getattr(audio, "dtype", None), "kind", "")
    if len(shape) not in (1, 2) or kind not in "fiu" or not kind or min(shape, default=0) == 0:
        raise InputError(
            f"The array has the shape {shape} and the type {getattr(audio, 'dtype', '?')}.",
            "Give samples of one channel, or of several as (samples, channels); floats from -1 to 1, or integers.",
        )
    return whole


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
    step, peak = max(1, _PIECE // channels), _peak(samples)
    for start in range(0, samples.shape[0], step):
        file.write(_as_int16(samples[start : start + step], peak).tobytes())


def _peak(samples: Any) -> float:
    """The loudest sample; InputError for floats that are none, or of another scale than from -1 to 1."""
    import numpy as np

    peak = float(max(samples.max(), -float(samples.min())))
    if samples.dtype.kind == "f" and not np.isfinite(peak):
        raise InputError("The array has samples that are no numbers (NaN or infinite).", "Take them out first.")
    if samples.dtype.kind == "f" and peak > BEYOND:
        raise InputError(
            f"The array's floats go up to {peak:,.6g}; samples as floats are from -1 to 1.",
            "Divide them by what is full: audio / 32768 for samples of 16 bits.",
        )
    return peak


def _as_int16(samples: Any, peak: float) -> Any:
    import numpy as np

    kind = samples.dtype.kind
    if kind == "f":
        return np.rint(samples.astype(np.float64) / max(peak, 1.0) * 32767).astype("<i2")
    bits = 8 * samples.dtype.itemsize
    if kind == "i" and bits > 16:  # integers that were made wide keep the scale that they came with
        bits = next(narrow for narrow in (16, 24, 32, 64) if peak <= 1 << (narrow - 1) and (narrow != 24 or bits == 64))
    centred = samples.astype(np.int64) - (1 << (bits - 1) if kind == "u" else 0)
    return (centred >> (bits - 16) if bits >= 16 else centred << (16 - bits)).astype("<i2")


SILENCE = 120.0
"""Seconds without a word after which the child hangs."""
MOST_HOURS = 24
CUT = "Cut it into parts, and give them one by one."
OUT_OF_TIME = 24
"""The signal that ends a process whose processor time is over (SIGXCPU), on Linux and macOS."""
_LINE = 1 << 23
"""Bytes of a line: the silences of two days fit."""

NOTES = {
    "longer": "the file goes on behind the length that its header names: all of it was heard",
    "cancelled": "the channels of this file cancel each other in a mix: the loudest was heard by itself",
}
"""What is said of a file that is not what a reader of it may take it for, by why it is converted."""
_PYTHON_FAILED = (1, 2)
"""Exit codes of an interpreter that did not get to the file: an exception that nobody caught, a wrong command."""

COMMAND = (sys.executable, "-m", "chatkit.audio.child")


async def look(source: AudioSource, **plan: Any) -> AsyncGenerator[dict[str, Any]]:
    """What the child says of the file, and does with it; it ends with the iteration."""
    child = await processes.spawn(
        COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LINE,
    )
    assert child.stdin and child.stdout
    asked = {"path": str(source.path.absolute()), "demuxer": source.kind.demuxer, "folder": str(source.folder), **plan}
    try:
        with suppress(OSError):
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            await child.stdin.drain()
        while line := await _line(child.stdout):
            said = _read(line)
            if "no_audio" in said:
                raise no_audio(str(said["no_audio"]))
            if "too_long" in said:
                raise _too_long(said["too_long"])
            if "setup" in said:
                raise SetupError(*said["setup"])
            if "fault" in said:
                raise _our_fault(str(said["fault"]))
            yield said
        if code := await child.wait():
            raise _ended(code)
    finally:
        await processes.end(child)


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(stream.readline(), SILENCE)
    except TimeoutError:
        raise InputError(
            f"Looking this file through got nowhere for {SILENCE:g} s, and was given up.", "Convert it, or cut it."
        ) from None


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise _our_fault(f"it said {line[:80]!r}")
    return said


def notes_of(said: dict[str, Any], kind: Container) -> list[str]:
    """What a person is to know of a file that was looked through: `said` is the child's word with its seconds."""
    notes = []
    if said["damaged_at"] is not None:
        notes.append(f"the file is damaged after {clock(said['damaged_at'])}: what is there was heard")
    if said["tracks"] > 1:
        heard = "all are silent" if said["silent"] else f"number {said['track']} was heard; track= chooses another"
        notes.append(f"the file has {said['tracks']} sound tracks: {heard}")
    notes += [NOTES[why] for why in said["convert"] if why in NOTES]
    if not said["silent"] and (kind.ending is None or "codec" in said["convert"]):
        what = kind.what if kind.ending is None else f"{said['codec']} in {kind.what}"
        notes.append(f"the API takes no {what}: it was sent as FLAC")
    return notes


def _too_long(seconds: float | None) -> InputError:
    told = f"lasts {clock(seconds)}, by its header" if seconds else "is longer than that"
    return InputError(f"{MOST_HOURS} hours of audio are the most that are taken, and this file {told}.", CUT)


def _ended(code: int) -> ChatkitError:
    """Why the child ended, by its exit code, or by its signal where that is below 0."""
    if code == -OUT_OF_TIME:
        return InputError(
            f"Looking this file through took more than {SECONDS // 60} minutes of processor time, and was given up.",
            CUT,
        )
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return _our_fault(how) if code in _PYTHON_FAILED else no_audio(f"the decoder broke on it ({how})")


def _our_fault(what: str) -> ChatkitError:
    return ChatkitError(
        f"The audio could not be looked through, by a fault that is not the file's: {what}.",
        "If these words do not help, run: pip install --upgrade notebook-chatkit av, or report it.",
    )
