"""Audio, what a file really is: told by its first bytes, never by its name.

In: the head of a file. Out: a `Container` (which demuxer reads it, by which ending the API knows it), or None.
A demuxer is named here and nowhere else, so no file chooses one for itself: playlists and the like, which
would open other files, cannot.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from chatkit.audio.headers import adts_size, frame

HEAD = 65_536
"""Bytes of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container: ffmpeg's demuxer, the ending and type that the API takes it by; no ending if it does not."""

    what: str
    demuxer: str
    ending: str | None = None
    mime: str = "application/octet-stream"


WAV = Container("WAV", "wav", "wav", "audio/wav")
FLAC = Container("FLAC", "flac", "flac", "audio/flac")
OGG = Container("Ogg", "ogg", "ogg", "audio/ogg")
MP3 = Container("MP3", "mp3", "mp3", "audio/mpeg")
MPGA = Container("MPEG audio", "mp3", "mpga", "audio/mpeg")
M4A = Container("M4A", "mov", "m4a", "audio/mp4")
MP4 = Container("MP4", "mov", "mp4", "video/mp4")
WEBM = Container("WebM", "matroska", "webm", "video/webm")
TS = Container("MPEG transport stream", "mpegts")
_CONVERTED = {
    "mov": Container("QuickTime", "mov"),
    "3gp": Container("3GP", "mov"),
    "mkv": Container("Matroska", "matroska"),
    "aac": Container("AAC", "aac"),
}
_STARTS = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"caff", Container("CAF", "caf")),
    (b"#!AMR", Container("AMR", "amr")),
    (b".snd", Container("AU", "au")),
    (b"riff\x2e\x91\xcf\x11", Container("Wave64", "w64")),
    (b"RF64", Container("RF64", "wav")),
    (b"BW64", Container("BW64", "wav")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("WMA", "asf")),
    (b"\x00\x00\x01\xba", Container("MPEG programme stream", "mpeg")),
    (b"FLV\x01", Container("FLV", "flv")),
)
_FORMS = {
    (b"RIFF", b"WAVE"): WAV,
    (b"RIFX", b"WAVE"): Container("RIFX", "wav"),
    (b"RIFF", b"AVI "): Container("AVI", "avi"),
    (b"FORM", b"AIFF"): Container("AIFF", "aiff"),
    (b"FORM", b"AIFC"): Container("AIFF-C", "aiff"),
}
_BRANDS = {b"M4A ": M4A, b"M4B ": M4A, b"M4P ": M4A, b"qt  ": _CONVERTED["mov"]}
_AHEAD = 4096
"""Bytes of junk that may stand before the first frame."""
_ENOUGH = 3
"""Frames, or packets, one right behind the other: random bytes have no such row."""
_ZEROS = 1024 * 1024
"""Bytes of zeros that are passed over at a time: some recorders begin with them."""
_BLANK = 16
"""Zeros that begin no format."""
_MOST_TAGS = 8
_PACKETS = (188, 192, 204)
"""Bytes from one packet of a transport stream to the next: bare, with a time before it, with a sum behind it."""


def kind_of(file: IO[bytes]) -> Container | None:
    """What an open file is, behind its tags and zeros; None for what is no audio that is known.

    >>> import io
    >>> kind_of(io.BytesIO(b"ID3\\4\\0\\0\\0\\0\\0\\5" + bytes(5) + b"fLaC")).what
    'FLAC'
    """
    start = begin(file)
    return sniff(_at(file, start, HEAD)) or (MP3 if start else None)


def begin(file: IO[bytes]) -> int:
    """Where the sound's own bytes begin: behind ID3 tags, whose pictures can be of any size, and behind zeros."""
    start = 0
    for _ in range(_MOST_TAGS):
        head = _at(file, start, _BLANK)
        if size := tag_size(head):
            start += size
        elif len(head) == _BLANK and not head.strip(b"\0"):
            start += _zeros(file, start)
        else:
            break
    return start


def _zeros(file: IO[bytes], start: int) -> int:
    """How many there are; the last of them may begin a head (an MP4's begins with its size)."""
    data = _at(file, start, _ZEROS)
    count = len(data) - len(data.lstrip(b"\0"))
    found = (before for before in range(4) if sniff(data[count - before : count - before + HEAD]))
    return max(1, count - next(found, 0))


def _at(file: IO[bytes], offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def tag_size(head: bytes) -> int:
    """Bytes of the ID3 tag that begins so; 0 where none does.

    >>> tag_size(b"ID3\\4\\0\\0\\0\\0\\1\\1"), tag_size(b"fLaC......")
    (139, 0)
    """
    if len(head) < 10 or not head.startswith(b"ID3") or any(byte > 127 for byte in head[6:10]):
        return 0
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if head[5] & 0x10 else 0)


def sniff(head: bytes) -> Container | None:
    """What these first bytes begin; None for what is no audio that is known.

    >>> sniff(b"RIFF....WAVEfmt ").ending, sniff(b"PK..") is None
    ('wav', True)
    """
    form = _FORMS.get((head[:4], head[8:12]))
    if form:
        return form
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return _CONVERTED["3gp"] if brand.startswith((b"3gp", b"3g2")) else _BRANDS.get(brand, MP4)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free"):
        return _CONVERTED["mov"]
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:4096] else _CONVERTED["mkv"]
    known = next((kind for start, kind in _STARTS if head.startswith(start)), None)
    return known or _sniff_frames(head)


def _sniff_frames(head: bytes) -> Container | None:
    """What has no head of its own: transport streams, and bare frames behind a tag or some junk."""
    if size := tag_size(head):
        return (sniff(head[size:]) or MP3) if head[size:] else MP3
    if _is_transport(head):
        return TS
    for at in (match.start() for match in re.finditer(rb"\xff[\xe0-\xff]", head[:_AHEAD])):
        if _in_a_row(head, at, at == 0, adts_size):
            return _CONVERTED["aac"]
        if _in_a_row(head, at, at == 0, _mpeg_size):
            return MP3 if head[at + 1] & 0x06 == 0x02 else MPGA
    return None


def _mpeg_size(data: bytes, at: int) -> int:
    found = frame(data, at)
    return found.size if found else 0


def _in_a_row(head: bytes, at: int, first: bool, size: Callable[[bytes, int], int]) -> bool:
    """Whether frames follow each other from there, up to the head's end if it is near."""
    for number in range(_ENOUGH):
        if at >= len(head):
            return first or number > 1
        length = size(head, at)
        if not length:
            return number > 0 and at + 7 > len(head) and (first or number > 1)
        at += length
    return True


def _is_transport(head: bytes) -> bool:
    """Whether packets that begin with 0x47 follow each other, the first of them cut or not."""
    return any(
        head[at::step][: _ENOUGH + 2].strip(b"\x47") == b"" and len(head[at::step]) >= _ENOUGH
        for step in _PACKETS
        for at in range(min(step, len(head)))
        if head[at] == 0x47
    )


def clean_name(name: str, ending: str) -> str:
    r"""A name to send a file by: no path, nothing that acts, not long, with the ending that is right.

    >>> clean_name("../../x\n<img>.wav", "mp3"), clean_name("", "ogg")
    ('x img.mp3', 'audio.ogg')
    """
    last = PurePosixPath(name[-4096:].replace("\\", "/").strip("/")).name
    stem = last.rpartition(".")[0] or last
    words = re.sub(r"[^\w\-. ]+", " ", stem).strip(" .")
    return f"{' '.join(words.split())[:60].strip(' .') or 'audio'}.{ending}"
