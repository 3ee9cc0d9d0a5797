"""Annexe: audio out of a file nobody vouches for, in the child process. In: bytes. Out: its length, then its samples.

The format is judged by content, never by a name; only the API's own formats are let in, and of ffmpeg's
demuxers only those that read nothing but the bytes they are given. Samples come in pieces, so that a day of
silence in a small file never lies in memory at once.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import av.logging
import numpy as np
from av.container import InputContainer

from chatkit.audio.mono import RATE as RATE
from chatkit.audio.mono import Mono
from chatkit.audio.opening import FAULTS, opened
from chatkit.audio.rates import is_a_rate
from chatkit.local.api_error import ApiError

FORMATS = "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm"
DEMUXERS = "flac,matroska,webm,mov,mp4,m4a,mp3,mpeg,ogg,wav"
"""No playlist, no list of files, no description of a stream elsewhere is among them."""
DECODERS = frozenset({
    "aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "vorbis",
    "libvorbis", "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_s24be",
    "pcm_s32be", "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms",
})  # fmt: skip
LONGEST = 4 * 3600.0
"""Seconds of audio in one request."""
SHORTEST = 0.1

av.logging.set_level(av.logging.PANIC)  # what ffmpeg prints of a bad file helps nobody


@dataclass(slots=True)
class Sound:
    """The bytes of one file, and what became known of them: where they are damaged, in seconds."""

    data: bytes
    damaged_after: float | None = None

    def length(self) -> float:
        """Seconds of audio, counted packet by packet, whatever a header says; ApiError if there can be none."""
        if not self.data:
            raise _refusal("The file is empty.", "empty_file")
        with _opened(self.data) as container:
            seconds = _counted(container)
        if seconds > LONGEST:
            raise _too_long()
        return seconds

    def pieces(self) -> Iterator[np.ndarray]:
        """The samples, as float32 at RATE; what cannot be decoded is left out, and where that begins is noted."""
        heard = 0
        with _opened(self.data) as container:
            stated = _stated(container, self.data)
            for part in self._decoded(container):
                if part is None:
                    self._damaged(heard)
                    continue
                heard += len(part)
                if heard > LONGEST * RATE:
                    raise _too_long()
                yield part
        if heard == 0:
            raise _refusal("There is no audio in this file: it cannot be decoded.", "no_audio")
        if stated and heard / RATE < stated - 1:
            self._damaged(heard)

    def _decoded(self, container: InputContainer) -> Iterator[np.ndarray | None]:
        """The samples packet by packet; None stands for one that is broken, and for all that follows where it ends."""
        mono = Mono()
        for packet in _packets(container):
            try:
                parts = None if packet is None else _heard(mono, packet)
            except av.FFmpegError:
                parts = None
            yield from [None] if parts is None else _floats(parts)
        yield from _floats(mono.rest())

    def _damaged(self, heard: int) -> None:
        if self.damaged_after is None:
            self.damaged_after = heard / RATE


def _packets(container: InputContainer) -> "Iterator[av.Packet[Any] | None]":
    """The packets of the sound; None where the file breaks off."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            yield None
            return


def _opened(data: bytes) -> InputContainer:
    allowed = {
        "format_whitelist": DEMUXERS,
        "codec_whitelist": ",".join(sorted(DECODERS)),
        "protocol_whitelist": "none",
    }
    try:
        container = opened(io.BytesIO(data), allowed)
    except FAULTS:
        raise _refusal(f"This is no audio file of a kind that is taken ({FORMATS}), or it is damaged.") from None
    try:
        _check(container)
    except ApiError:
        container.close()
        raise
    return container


def _check(container: InputContainer) -> None:
    if not container.streams.audio:
        raise _refusal("There is no audio in this file.", "no_audio")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None or context.codec.name not in DECODERS:
        raise _refusal("The audio in this file is coded in a way that is not taken here.")
    if context.sample_rate and not is_a_rate(context.sample_rate):
        raise _refusal(f"The file's header says {context.sample_rate:,} samples a second, which no recording has.")
    context.thread_count = 1


def _heard(mono: Mono, packet: Any) -> list[av.AudioFrame] | None:
    frames = packet.decode()
    if not all(isinstance(frame, av.AudioFrame) and is_a_rate(frame.sample_rate) for frame in frames):
        return None
    return [part for frame in frames for part in mono.heard(frame)]


def _counted(container: InputContainer) -> float:
    """What the packets say they last, up to LONGEST; where some say nothing, from the first's time to the last's."""
    tick = float(container.streams.audio[0].time_base or 0)
    total, silent, first, last = 0, False, None, 0
    for packet in _packets(container):
        if packet is None:
            break
        total += packet.duration or 0
        silent = silent or (packet.size > 0 and not packet.duration)
        if packet.pts is not None:
            first = packet.pts if first is None else first
            last = max(last, packet.pts + (packet.duration or 0))
        if total * tick > LONGEST:
            break
    return tick * (max(total, last - (first or 0)) if silent else total)


def _stated(container: InputContainer, data: bytes) -> float | None:
    """What the header says, unless it says nothing, or a length that programs write who do not know it yet."""
    riff = int.from_bytes(data[4:8], "little") if data[:4] == b"RIFF" else 0
    if len(data) < riff + 8 < 0xFFFF_0000:  # ffmpeg tells of such a file only what is there
        return float(LONGEST)
    stream = container.streams.audio[0]
    if container.format.name in ("mp3", "mpeg"):  # of these it is an estimate
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    alone = container.duration is not None and len(container.streams) == 1  # beside pictures it is the longer of both
    return float((container.duration or 0) / av.time_base) if alone else None


def _floats(frames: list[av.AudioFrame]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1).astype(np.float32) / 32768.0


def _too_long() -> ApiError:
    return _refusal(
        f"The audio is longer than {LONGEST / 3600:.0f} hours, the most that the local Whisper takes. Split it, and send "
        "the parts.",
        "audio_too_long",
    )


def _refusal(sentence: str, code: str = "unsupported_format") -> ApiError:
    return ApiError(400, sentence, param="file", code=code)
