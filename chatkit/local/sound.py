"""Annexe: audio out of a file nobody vouches for, in the child process. In: bytes. Out: its length, then its samples.

What decoding is, audio/decode.py knows; here is what this server takes: the API's own formats, judged by content, and of
ffmpeg's demuxers only those that read nothing but the bytes they are given. Samples come in pieces, so that a day of
silence in a small file never lies in memory at once.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from chatkit.audio import decode, sniff
from chatkit.audio.decode import RATE as RATE
from chatkit.audio.decode import Allowed, Decoded, NoAudioError, TooLongError
from chatkit.local.validation import ApiError

FORMATS = "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm"
DEMUXERS = "flac,matroska,webm,mov,mp4,m4a,mp3,mpeg,ogg,wav"
"""No playlist, no list of files, no description of a stream elsewhere is among them."""
OPTIONS = {"format_whitelist": DEMUXERS, "codec_whitelist": ",".join(sorted(decode.DECODERS))}
LONGEST = 4 * 3600.0
"""Seconds of audio in one request."""
SHORTEST = 0.1


@dataclass(slots=True)
class Sound:
    """The bytes of one file, and what became known of them: where they are damaged, in seconds, and which track is heard."""

    data: bytes
    damaged_after: float | None = None
    track: int = 0

    def length(self) -> float:
        """Seconds of audio, counted packet by packet, whatever a header says; ApiError if there can be none."""
        if not self.data:
            raise _refusal("The file is empty.", "empty_file")
        with _refusing():
            file, allowed = io.BytesIO(self.data), self._allowed()
            self.track = decode.track_with_sound(file, allowed)
            seconds = decode.counted(file, allowed, self.track)
            if seconds > LONGEST:
                raise TooLongError
        return seconds

    def pieces(self) -> Iterator[np.ndarray]:
        """The samples, as float32 at RATE; what cannot be decoded is left out, and where that begins is noted."""
        seen = Decoded()
        with _refusing():
            for block in decode.blocks(io.BytesIO(self.data), seen, self._allowed(), self.track):
                yield block.astype(np.float32) / 32768.0
                self.damaged_after = seen.damaged_at
        self.damaged_after = seen.damaged_at

    def _allowed(self) -> Allowed:
        kind = sniff.kind_of(io.BytesIO(self.data))
        if kind is not None and kind.demuxer not in DEMUXERS.split(","):
            raise NoAudioError(f"it is {kind.what}; convert it", "unsupported_format")
        return Allowed(None, OPTIONS, decode.DECODERS, LONGEST)


@contextmanager
def _refusing() -> Iterator[None]:
    """What a file is refused for, in the API's form."""
    try:
        yield
    except NoAudioError as error:
        kinds = f"This is no audio file of a kind that is taken ({FORMATS})"
        said = kinds if error.code == "unsupported_format" else "There is no audio in this file"
        raise _refusal(f"{said}: {error}.", error.code) from None
    except TooLongError:
        raise _refusal(
            f"The audio is longer than {LONGEST / 3600:.0f} hours, the most that the local Whisper takes. Split it, and "
            "send the parts.",
            "audio_too_long",
        ) from None


def _refusal(sentence: str, code: str) -> ApiError:
    return ApiError(400, sentence, param="file", code=code)
