"""Audio, the heads of bare frames: MPEG audio (MP3 and its kin) and ADTS, which carries AAC. It imports nothing.

In: bytes, and where a frame would begin. Out: what its head says, or None.
"""

from typing import NamedTuple

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
