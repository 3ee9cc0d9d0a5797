"""How long the audio in an upload lasts, from the heads of its bytes; nothing is decoded and nothing consumed.

In: the file of a multipart form, bytes or an open file. Out: seconds, or None where its head does not say.
A head can lie, and of some MP3 files it is only reckoned: what rests on it is an estimate.
"""

import io
import struct
from collections.abc import Callable
from typing import IO, Any

from chatkit.audio.rates import PLAIN_WAV, THINNEST, is_a_rate

HEAD = 65_536
"""Bytes looked at in one place."""
MOST_BOXES = 64
LONGEST = 1e7
"""Seconds, four months: a head that says more says nothing."""

Bitrates = tuple[int, ...]
_MPEG1: Bitrates = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2: Bitrates = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
"""Of MPEG 1; MPEG 2 has halves of them, MPEG 2.5 quarters."""


def seconds(file: Any) -> float | None:
    """The audio's length, where the head of the file tells it.

    >>> head = b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    >>> seconds(head + b"data" + struct.pack("<I", 48000) + bytes(48000))
    1.5
    """
    if isinstance(file, bytes | bytearray):
        return _seconds(io.BytesIO(file))
    try:
        place = file.tell()
        length = _seconds(file)
        file.seek(place)
    except (AttributeError, OSError, ValueError, TypeError):
        return None  # it cannot go back: it must be left as it is
    return length


def _seconds(file: IO[bytes]) -> float | None:
    start, end = file.tell(), file.seek(0, io.SEEK_END)
    data = _Bytes(file, start, end - start)
    try:
        length = _reader(data.at(0, 12))(data)
    except (struct.error, ValueError, ZeroDivisionError, IndexError):
        return None
    return length if length is not None and 0 <= length < min(LONGEST, 1 + data.size / THINNEST) else None


def _reader(head: bytes) -> "Callable[[_Bytes], float | None]":
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav
    return {b"fLaC": _flac, b"OggS": _ogg}.get(head[:4]) or (_mp4 if head[4:8] == b"ftyp" else _mp3)


class _Bytes:
    """A file's bytes, by where they are."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.size = size
        self._file, self._start = file, start

    def at(self, offset: int, count: int = HEAD) -> bytes:
        self._file.seek(self._start + min(max(offset, 0), self.size))
        return self._file.read(min(count, HEAD))


def _wav(data: _Bytes) -> float | None:
    offset, rate = 12, 0
    for _ in range(MOST_BOXES):
        name, size = struct.unpack("<4sI", data.at(offset, 8))
        offset += 8
        if name == b"fmt ":
            kind, _, samples, rate, frame = struct.unpack("<HHIIH", data.at(offset, 14))
            _check(samples)
            rate = samples * frame if kind in PLAIN_WAV else rate
        if name == b"data":
            # a program that does not know the length yet writes the greatest there is
            return float(min(size, data.size - offset) / rate)
        offset += size + size % 2
    return None


def _check(rate: int) -> None:
    if not is_a_rate(rate):
        raise ValueError(f"{rate} samples a second")


def _flac(data: _Bytes) -> float | None:
    packed = int.from_bytes(data.at(18, 8), "big")
    rate, samples = packed >> 44, packed & (2**36 - 1)
    _check(rate)
    return samples / rate if samples else None


def _ogg(data: _Bytes) -> float | None:
    """From the last page's count of samples; the rate is in the first page, behind what names the codec."""
    first, last = data.at(0), data.at(data.size - HEAD)
    page = last.rfind(b"OggS")
    count = struct.unpack("<q", last[page + 6 : page + 14])[0]
    body = first[27 + first[26] :]
    if body[:8] == b"OpusHead":
        return float(count - struct.unpack("<H", body[10:12])[0]) / 48_000
    if body[:7] == b"\x01vorbis":
        rate = struct.unpack("<I", body[12:16])[0]
        _check(rate)
        return float(count / rate)
    return None


def _mp4(data: _Bytes) -> float | None:
    offset = 0
    for _ in range(MOST_BOXES):
        size, name = struct.unpack(">I4s", data.at(offset, 8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data.at(offset + 8, 8))[0], 16
        if name == b"moov":
            return _mvhd(data.at(offset + head))
        if size < head:
            return None
        offset += size
    return None


def _mvhd(moov: bytes) -> float | None:
    begin = moov.find(b"mvhd") + 4
    wide = moov[begin] == 1
    scale, length = struct.unpack(">IQ" if wide else ">II", moov[begin + (20 if wide else 12) :][: 12 if wide else 8])
    return float(length / scale) if begin > 3 and length else None


def _mp3(data: _Bytes) -> float | None:
    start = 0
    if (tag := data.at(0, 10))[:3] == b"ID3":
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(tag[6:10], (21, 14, 7, 0), strict=True))
    frame = data.at(start)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or (frame[1] >> 1 & 3) != 1:
        return None
    version, bitrate, rate = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    samples = 1152 if version == 3 else 576
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}.get(version, 0)
    kilobits = (_MPEG1 if version == 3 else _MPEG2)[bitrate - 1] if bitrate else 0
    for mark in (b"Xing", b"Info"):
        where = frame.find(mark, 0, 200)
        if where >= 0 and frame[where + 7] & 1:
            return float(struct.unpack(">I", frame[where + 8 : where + 12])[0] * samples / hertz)
    return (data.size - start) / (kilobits * 125)
