"""Audio, the boxes of an MP4, an M4A or a QuickTime file. In: an open file. Out: its boxes, its sound's length."""

import io
from collections.abc import Iterator
from struct import error as struct_error
from struct import unpack
from typing import IO

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
        return next(filter(None, (_sound(file, track) for track in _tracks(file, start))), None)
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


def _sound(file: IO[bytes], track: Mp4Box) -> float | None:
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
