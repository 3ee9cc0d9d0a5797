"""Annexe: audio out of a file nobody vouches for, in the child process. In: bytes. Out: its length, then its samples.

The format is judged by content, never by a name; only the API's own formats are let in, and of ffmpeg's
demuxers only those that read nothing but the bytes they are given. Samples come in pieces, so that a day of
silence in a small file never lies in memory at once.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.logging
import numpy as np
from av.container import InputContainer

from chatkit.local.api_error import ApiError

RATE = 16_000
"""Samples a second that Whisper hears, in one channel."""
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
            raise _refusal(
                f"The audio is longer than {LONGEST / 3600:.0f} hours, the most that the local Whisper takes. Split it, "
                "and send the parts.",
                "audio_too_long",
            )
        return seconds

    def pieces(self) -> Iterator[np.ndarray]:
        """The samples, as float32 at RATE; ends where the file is damaged, and notes it."""
        heard = 0
        with _opened(self.data) as container:
            stated = _stated(container, self.data)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            try:
                for frame in container.decode(audio=0):
                    frame.pts = None  # what stands in the file may jump; what was decoded follows on itself
                    for part in _samples(resampler.resample(frame)):
                        heard += len(part)
                        yield part
            except av.FFmpegError:
                self.damaged_after = heard / RATE
            for part in _samples(resampler.resample(None)) if heard else ():
                heard += len(part)
                yield part
        if heard == 0:
            raise _refusal("There is no audio in this file: it cannot be decoded.", "no_audio")
        if stated and heard / RATE < stated - 1 and self.damaged_after is None:
            self.damaged_after = heard / RATE


def _opened(data: bytes) -> InputContainer:
    allowed = {
        "format_whitelist": DEMUXERS,
        "codec_whitelist": ",".join(sorted(DECODERS)),
        "protocol_whitelist": "none",
    }
    try:
        container = av.open(io.BytesIO(data), "r", options=allowed, metadata_errors="ignore")
    except (av.FFmpegError, ValueError):
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
    context.thread_count = 1


def _counted(container: InputContainer) -> float:
    """What the packets say they last, up to LONGEST; where some say nothing, from the first's time to the last's."""
    stream = container.streams.audio[0]
    tick = float(stream.time_base or 0)
    total, silent, first, last = 0, False, None, 0
    try:
        for packet in container.demux(stream):
            total += packet.duration or 0
            silent = silent or (packet.size > 0 and not packet.duration)
            if packet.pts is not None:
                first = packet.pts if first is None else first
                last = max(last, packet.pts + (packet.duration or 0))
            if total * tick > LONGEST:
                break
    except av.FFmpegError:
        pass  # what there is counts; decoding will say where it ends
    return tick * (max(total, last - (first or 0)) if silent else total)


def _stated(container: InputContainer, data: bytes) -> float | None:
    """What the header says, unless it says nothing, or a length that programs write who do not know it yet."""
    riff = int.from_bytes(data[4:8], "little") if data[:4] == b"RIFF" else 0
    if len(data) < riff + 8 < 0xFFFF_0000:  # ffmpeg tells of such a file only what is there
        return float(LONGEST)
    if container.duration is None or container.format.name in ("mp3", "mpeg"):  # of these it is an estimate
        return None
    return float(container.duration / av.time_base)


def _samples(frames: "list[av.AudioFrame]") -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1).astype(np.float32) / 32768.0


def _refusal(sentence: str, code: str = "unsupported_format") -> ApiError:
    return ApiError(400, sentence, param="file", code=code)
