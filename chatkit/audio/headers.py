"""Audio, the heads of files, read from their bytes: RIFF and its kin, MP4, MPEG; and which rates they may name.

In: an open file. Out: where its sound lies, how long its head says that it is, and how long it is. Programs that write
into a pipe do not know the length yet, and leave 0 or the greatest there is: that says nothing.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as struct_error
from struct import unpack
from typing import IO, NamedTuple

MOST_BOXES = 4096
"""Of one level: a fragmented recording of an hour has some thousand, and what is looked for stands before them."""

Mp4Box = tuple[bytes, int, int]
"""A name, where the content begins, where it ends."""


def boxes(file: IO[bytes], begin: int, end: int) -> Iterator[Mp4Box]:
    """The boxes between these places, in order; they stop at the first that cannot be one."""
    for _ in range(MOST_BOXES):
        if begin + 8 > end:
            return
        file.seek(begin)
        head = file.read(16)
        size, name = unpack(">I4s", head[:8])
        wide = size == 1 and len(head) == 16
        size = unpack(">Q", head[8:])[0] if wide else end - begin if size == 0 else size
        if size < (16 if wide else 8):
            return
        yield name, begin + (16 if wide else 8), min(begin + size, end)
        begin += size


def seconds(file: IO[bytes], start: int = 0) -> float | None:
    """How long the first sound track lasts, by its own head: pictures beside it may be longer."""
    try:
        return next(filter(None, (_sound_track(file, track) for track in _tracks(file, start))), None)
    except (struct_error, ZeroDivisionError):
        return None


def is_unclosed(file: IO[bytes]) -> bool:
    """Whether it has sound or pictures, and not the index that a recorder writes at the end."""
    names = [name for name, _, _ in boxes(file, 0, file.seek(0, io.SEEK_END))]
    return b"mdat" in names and not {b"moov", b"moof"} & set(names)


def _tracks(file: IO[bytes], start: int) -> list[Mp4Box]:
    whole = boxes(file, start, file.seek(0, io.SEEK_END))
    moov = next((box for box in whole if box[0] == b"moov"), None)
    return [box for box in boxes(file, *moov[1:]) if box[0] == b"trak"] if moov else []


def _sound_track(file: IO[bytes], track: Mp4Box) -> float | None:
    media = {name: (begin, end) for name, begin, end in boxes(file, *track[1:])}.get(b"mdia")
    heads = {name: begin for name, begin, _ in boxes(file, *media)} if media else {}
    if not {b"hdlr", b"mdhd"} <= heads.keys() or _at(file, heads[b"hdlr"] + 8, 4) != b"soun":
        return None
    wide = _at(file, heads[b"mdhd"], 1) == b"\x01"
    form, size = (">IQ", 12) if wide else (">II", 8)
    scale, length = unpack(form, _at(file, heads[b"mdhd"] + (20 if wide else 12), size))
    return length / scale if length and length != (1 << 8 * (size - 4)) - 1 else None


def _at(file: IO[bytes], offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


_BITRATES = {  # kbit/s by MPEG version 1 or 2 and layer
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
"""Of MPEG 1; MPEG 2 has halves of them, MPEG 2.5 quarters."""


class Frame(NamedTuple):
    """One frame: its layer, its bytes, and the samples in it at their rate."""

    layer: int
    size: int
    samples: int
    rate: int


def frame(data: bytes, at: int) -> Frame | None:
    """The MPEG audio frame that begins there.

    >>> frame(bytes.fromhex("fffb9064"), 0)
    Frame(layer=3, size=417, samples=1152, rate=44100)
    """
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = (data[at + 1] >> 3) & 3, 4 - ((data[at + 1] >> 1) & 3)
    rate_bits, sample_bits, padding = data[at + 2] >> 4, (data[at + 2] >> 2) & 3, (data[at + 2] >> 1) & 1
    if version == 1 or layer == 4 or rate_bits in (0, 15) or sample_bits == 3:
        return None
    bitrate = _BITRATES[1 if version == 3 else 2, layer][rate_bits] * 1000
    rate = _RATES[sample_bits] // {3: 1, 2: 2, 0: 4}[version]
    if layer == 1:
        return Frame(1, (12 * bitrate // rate + padding) * 4, 384, rate)
    samples = 576 if layer == 3 and version != 3 else 1152
    return Frame(layer, samples // 8 * bitrate // rate + padding, samples, rate)


def adts_size(data: bytes, at: int) -> int:
    """Bytes of the ADTS frame that begins there; 0 where none does."""
    if len(data) < at + 7 or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return 0
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size > 7 else 0


RATES = (1_000, 768_000)
"""Samples a second that any recording has; what a header says beyond is a mistake or a trick."""
THINNEST = 50
"""Bytes that a second takes at least, silence too: a header that says more seconds than these is not believed."""


def is_a_rate(rate: int) -> bool:
    """Whether sound is recorded at so many samples a second.

    >>> is_a_rate(44_100), is_a_rate(3)
    (True, False)
    """
    return RATES[0] <= rate <= RATES[1]


MOST_CHUNKS = 1000
NEAR = 65_536
"""Bytes from 2 or 4 GiB at which a length is none: 0x7FFFF000, 0x80000000, 0xFFFFFFFF, or one of these less the head."""
HEAD = 36
"""Bytes between both lengths of the shortest head."""
BEYOND = 0.5
"""Seconds of sound behind what the head says that are told."""
_PLAIN = (1, 3, 6, 7, 0xFFFE)
"""Kinds whose samples stand there one by one: rate and frame say how many bytes a second has, whatever is told."""
_BLOCKS = (2, 0x11, 0x31)
"""Kinds in blocks of a known count of samples."""
_PACKED = (0x50, 0x55)
"""Kinds of which a rate of bytes is a guess: MPEG audio."""
_WAVE64 = b"riff\x2e\x91\xcf\x11"


@dataclass(frozen=True, slots=True)
class Wav:
    """Where the samples are, in bytes: `told` by the head (None: it does not say), `held` by the file behind them."""

    told: int | None
    held: int
    bytes_a_second: float
    exact: bool = True

    @property
    def promised(self) -> float | None:
        """Seconds that the head names, where it can be taken at its word."""
        return self.told / self.bytes_a_second if self.told is not None and self.exact else None

    @property
    def seconds(self) -> float:
        """Seconds that are there."""
        length = self.held if self.told is None or self.holds_more else min(self.told, self.held)
        return length / self.bytes_a_second

    @property
    def fills_the_file(self) -> bool:
        """Whether the sound goes on to the file's end, whatever the head says."""
        return self.told is None or self.holds_more

    @property
    def holds_more(self) -> bool:
        """Whether sound goes on behind what the head says."""
        return self.told is not None and self.held - self.told > BEYOND * self.bytes_a_second


def read(file: IO[bytes], start: int = 0) -> Wav | None:
    """The head of the WAV that begins at `start`; None where it is none, or names no rate that sound has."""
    try:
        return _read(file, start)
    except (struct_error, ValueError):
        return None


def _read(file: IO[bytes], start: int) -> Wav | None:
    end, form, long = file.seek(0, io.SEEK_END), None, None
    for name, begin, size in _chunks(file, start, end):
        if name == b"ds64":
            long = unpack("<8xQ", _at(file, begin, 16))[0]
        elif name == b"fmt ":
            form = _format(_at(file, begin, 20), _order(file, start))
        elif name == b"data" and form:
            told = long if long is not None and size >= 0xFFFFFFFF - NEAR else size
            whole = unpack(f"{_order(file, start)}I", _at(file, start + 4, 4))[0]
            return _sound(file, begin, end, told, whole, form)
    return None


def _sound(file: IO[bytes], begin: int, end: int, size: int, whole: int, form: "_Format") -> Wav:
    held, told = end - begin, None if _is_unknown(size, whole, form.frame) else size
    if told is not None and told < held and _is_chunk(_at(file, begin + told + told % 2, 8), end - begin - told):
        held = told
    return Wav(told, held, form.bytes_a_second, form.exact)


def _chunks(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk, where its content begins, and how long it says to be."""
    wide, order = _at(file, start, 8) == _WAVE64, _order(file, start)
    at = start + (40 if wide else 12)
    for _ in range(MOST_CHUNKS):
        if at >= end:
            return
        if wide:
            name, whole = unpack("<4s12xQ", _at(file, at, 24))
            size, begin, next_one = whole - 24, at + 24, at + max(24, whole + -whole % 8)
        else:
            name, size = unpack(f"{order}4sI", _at(file, at, 8))
            begin, next_one = at + 8, at + 8 + size + size % 2
        yield name, begin, size
        at = next_one


class _Format(NamedTuple):
    """Bytes a second, whether that is exact, and bytes that stand together: a sample of each channel, or a block."""

    bytes_a_second: float
    exact: bool
    frame: int


def _format(head: bytes, order: str) -> _Format:
    kind, _, rate, told, frame, _ = unpack(f"{order}HHIIHH", head[:16])
    samples = unpack(f"{order}H", head[18:20])[0] if kind in _BLOCKS and len(head) >= 20 else 0
    blocks = rate * frame / samples if samples else float(told)
    bytes_a_second = float(rate * frame) if kind in _PLAIN else blocks
    if not is_a_rate(rate) or not bytes_a_second:
        raise ValueError(f"{rate} samples a second, {bytes_a_second} bytes a second")
    return _Format(bytes_a_second, kind not in _PACKED, frame)


def _is_unknown(size: int, whole: int, frame: int) -> bool:
    if size == 0 or size >= 1 << 62 or abs(size - (1 << 31)) <= NEAR:
        return True
    below = 0xFFFFFFFF - size  # the greatest there is, in whole samples, with the head taken off, or for both lengths
    return 0 <= below <= NEAR and (below < frame or below >= HEAD or whole <= size)


def _is_chunk(head: bytes, left: int) -> bool:
    """Whether a chunk begins with these bytes: what stands behind the samples may be one, or more samples."""
    if len(head) < 8:
        return True
    return all(32 <= byte < 127 for byte in head[:4]) and int.from_bytes(head[4:8], "little") <= left


def _order(file: IO[bytes], start: int) -> str:
    return ">" if _at(file, start, 4) == b"RIFX" else "<"
