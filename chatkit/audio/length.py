"""Audio, how long it lasts, from the heads of its bytes; nothing is decoded and nothing consumed.

In: bytes or an open file. Out: seconds, or None where its heads do not say: never 0. A head can lie: what rests on it is
an estimate. What looks a file through counts what can be heard (decode.py), and carries that.
"""

import io
import struct
from typing import IO, Any

from chatkit.audio import headers
from chatkit.audio.headers import THINNEST, frame, is_a_rate
from chatkit.audio.sniff import begin

HEAD = 65_536
"""Bytes looked at in one place."""
LONGEST = 1e7
"""Seconds, four months: a head that says more says nothing."""
MOST_FRAMES = 400_000
"""Frames of an MP3 that are counted: nearly three hours. What follows is taken to be as dense."""


def seconds(file: Any) -> float | None:
    """The audio's length, where the head of the file tells it.

    >>> head = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    >>> seconds(head + b"data" + struct.pack("<I", 48000) + bytes(48000))
    1.5
    """
    if isinstance(file, bytes | bytearray | memoryview):
        return _seconds(io.BytesIO(file))
    try:
        place = file.tell()
        file.seek(0)
        length = _seconds(file)
        file.seek(place)
    except (AttributeError, OSError, ValueError, TypeError):
        return None  # it cannot go back: it must be left as it is
    return length


def _seconds(file: IO[bytes]) -> float | None:
    size, start = file.seek(0, io.SEEK_END), begin(file)
    try:
        length = _of_its_kind(file, start, size)
    except (struct.error, ValueError, ZeroDivisionError, IndexError):
        return None
    return length if length is not None and 0 < length < min(LONGEST, 1 + size / THINNEST) else None


def _of_its_kind(file: IO[bytes], start: int, size: int) -> float | None:
    head = _at(file, start, 12)
    if found := headers.read(file, start):
        return found.seconds
    if head[:4] == b"fLaC":
        return _flac(_at(file, start, 26), 18)
    if head[:4] == b"OggS":
        return _ogg(_at(file, start), _at(file, max(start, size - HEAD)))
    return headers.seconds(file, start) if head[4:8] == b"ftyp" else _mp3(file, start, size)


def _check(rate: int) -> int:
    if not is_a_rate(rate):
        raise ValueError(f"{rate} samples a second")
    return rate


def _flac(head: bytes, at: int) -> float | None:
    """A stream out of a pipe has no count of samples."""
    packed = int.from_bytes(head[at : at + 8], "big")
    samples = packed & (2**36 - 1)
    return samples / _check(packed >> 44) if samples else None


def _ogg(first: bytes, last: bytes) -> float | None:
    """From the last page's count of samples; the rate is in the first page, behind what names the codec."""
    page = last.rfind(b"OggS")
    count = struct.unpack("<q", last[page + 6 : page + 14])[0]
    if first[14:18] != last[page + 14 : page + 18]:
        return None  # several streams, side by side or one after the other
    body = first[27 + first[26] :]
    if body[:8] == b"OpusHead":
        return float(count - struct.unpack("<H", body[10:12])[0]) / 48_000
    at = {b"\x01vorb": 12, b"Speex": 36}.get(body[:5])
    return float(count / _check(struct.unpack("<I", body[at : at + 4])[0])) if at else None


def _mp3(file: IO[bytes], start: int, size: int) -> float | None:
    """By the count in its first frame, else by counting its frames: their rates may vary."""
    data = _at(file, start)
    first = frame(data, 0)
    if not first or first.layer == 1:
        return None
    for mark in (b"Xing", b"Info"):
        where = data.find(mark, 0, 200)
        if where >= 0 and data[where + 7] & 1 and (count := struct.unpack(">I", data[where + 8 : where + 12])[0]):
            return float(count * first.samples / first.rate)
    return _counted(file, start, size)


def _counted(file: IO[bytes], start: int, size: int) -> float | None:
    total, at, base, data = 0.0, start, start, b""
    for _ in range(MOST_FRAMES):
        if at + 4 > base + len(data):
            base, data = at, _at(file, at)
            if len(data) < 4:
                return total
        found = frame(data, at - base)
        total += found.samples / found.rate if found else 0
        at = at + found.size if found else base + _next(data, at - base + 1)
    return total * (size - start) / (at - start)


def _next(data: bytes, at: int) -> int:
    """Where sound goes on behind a tag or junk: at two frames in a row, else behind these bytes."""
    while (at := data.find(b"\xff", at)) >= 0:
        found = frame(data, at)
        if found and frame(data, at + found.size):
            return at
        at += 1
    return max(len(data) - 3, 1)


def _at(file: IO[bytes], offset: int, count: int = HEAD) -> bytes:
    file.seek(offset)
    return file.read(count)
