"""Speech, what a file really is: told by its first bytes, never by its name.

In: the head of a file. Out: a `Kind` (which demuxer reads it, by which ending the API knows it), or None.
A demuxer is named here and nowhere else, so no file chooses one for itself: playlists and the like, which
would open other files, cannot.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

HEAD = 65_536
"""Bytes of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A container: ffmpeg's demuxer, the ending and type that the API takes it by; no ending if it does not."""

    what: str
    demuxer: str
    ending: str | None = None
    mime: str = "application/octet-stream"


WAV = Kind("WAV", "wav", "wav", "audio/wav")
FLAC = Kind("FLAC", "flac", "flac", "audio/flac")
OGG = Kind("Ogg", "ogg", "ogg", "audio/ogg")
MP3 = Kind("MP3", "mp3", "mp3", "audio/mpeg")
MPGA = Kind("MPEG audio", "mp3", "mpga", "audio/mpeg")
M4A = Kind("M4A", "mov", "m4a", "audio/mp4")
MP4 = Kind("MP4", "mov", "mp4", "video/mp4")
WEBM = Kind("WebM", "matroska", "webm", "video/webm")
_CONVERTED = {
    "mov": Kind("QuickTime", "mov"),
    "3gp": Kind("3GP", "mov"),
    "mkv": Kind("Matroska", "matroska"),
    "aac": Kind("AAC", "aac"),
}
_STARTS = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"caff", Kind("CAF", "caf")),
    (b"#!AMR", Kind("AMR", "amr")),
    (b".snd", Kind("AU", "au")),
    (b"riff\x2e\x91\xcf\x11", Kind("Wave64", "w64")),
    (b"RF64", Kind("RF64", "wav")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("WMA", "asf")),
    (b"\x00\x00\x01\xba", Kind("MPEG programme stream", "mpeg")),
    (b"FLV\x01", Kind("FLV", "flv")),
)
_FORMS = {
    (b"RIFF", b"WAVE"): WAV,
    (b"RIFF", b"AVI "): Kind("AVI", "avi"),
    (b"FORM", b"AIFF"): Kind("AIFF", "aiff"),
    (b"FORM", b"AIFC"): Kind("AIFF-C", "aiff"),
}
_BRANDS = {b"M4A ": M4A, b"M4B ": M4A, b"M4P ": M4A, b"qt  ": _CONVERTED["mov"]}
_BITRATES = {  # kbit/s by MPEG version 1 or 2 and layer
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
_AHEAD = 4096  # bytes of junk that may stand before the first frame


def sniff(head: bytes) -> Kind | None:
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


def _sniff_frames(head: bytes) -> Kind | None:
    """Streams of bare frames, perhaps behind a tag or some junk: MPEG audio and ADTS."""
    if head.startswith(b"ID3") and len(head) > 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        rest = head[10 + size :]
        return sniff(rest) or MP3 if rest else MP3
    for at in (match.start() for match in re.finditer(rb"\xff[\xe0-\xff]", head[:_AHEAD])):
        if _adts(head, at):
            return _CONVERTED["aac"]
        length = _mpeg(head, at)
        if length and (at + length >= len(head) or _mpeg(head, at + length)):
            return MP3 if head[at + 1] & 0x06 == 0x02 else MPGA
    return None


def _mpeg(head: bytes, at: int) -> int:
    """Bytes of the MPEG audio frame that begins there; 0 where none does."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = (head[at + 1] >> 3) & 3, 4 - ((head[at + 1] >> 1) & 3)
    rate_bits, sample_bits, padding = head[at + 2] >> 4, (head[at + 2] >> 2) & 3, (head[at + 2] >> 1) & 1
    if version == 1 or layer == 4 or rate_bits in (0, 15) or sample_bits == 3:
        return 0
    bitrate = _BITRATES[1 if version == 3 else 2, layer][rate_bits] * 1000
    rate = _RATES[sample_bits] // {3: 1, 2: 2, 0: 4}[version]
    if layer == 1:
        return (12 * bitrate // rate + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bitrate // rate + padding


def _adts(head: bytes, at: int) -> bool:
    def length(here: int) -> int:
        if len(head) < here + 7 or head[here] != 0xFF or head[here + 1] & 0xF6 != 0xF0:
            return 0
        return (head[here + 3] & 3) << 11 | head[here + 4] << 3 | head[here + 5] >> 5

    first = length(at)
    return first > 7 and (at + first + 7 > len(head) or length(at + first) > 7)


def clean_name(name: str, ending: str) -> str:
    r"""A name to send a file by: no path, nothing that acts, not long, with the ending that is right.

    >>> clean_name("../../x\n<img>.wav", "mp3"), clean_name("", "ogg")
    ('x img.mp3', 'audio.ogg')
    """
    last = PurePosixPath(name[-4096:].replace("\\", "/").strip("/")).name
    stem = last.rpartition(".")[0] or last
    words = re.sub(r"[^\w\-. ]+", " ", stem).strip(" .")
    return f"{' '.join(words.split())[:60].strip(' .') or 'audio'}.{ending}"
