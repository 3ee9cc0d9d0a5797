"""Speech, in the child: a file becomes samples, 16,000 a second, one channel, block by block.

In: a path and the demuxer that was sniffed. Out: numpy blocks, and what was wrong on the way. Only the child
process (child.py) imports this: a decoder that crashes or eats memory on a hostile file takes no kernel along.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from struct import unpack_from
from typing import Any

import av
import numpy as np

from chatkit.audio.mono import RATE as RATE
from chatkit.audio.mono import Mono
from chatkit.audio.opening import FAULTS, opened
from chatkit.audio.rates import PLAIN_WAV, THINNEST, is_a_rate

LONGEST = 24 * 3600 + 60
"""Seconds of audio that are looked through: a day, and a little."""
GUESSED = ("mp3", "aac")
"""Streams without a header, of which ffmpeg guesses the length."""
SHORT = 1.0
"""Seconds by which a file may be shorter than its header says."""
_OPTIONS = {"protocol_whitelist": "none", "format_probesize": "5000000"}


class NoAudioError(Exception):
    """There is nothing to decode; the words say why."""


class TooLongError(Exception):
    """It is longer than `LONGEST`: so many `seconds` by its header, or None where that does not say."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass
class Decoded:
    """What decoding has come upon: seconds so far, seconds that the container promised, the first damage."""

    codec: str = ""
    samples: int = 0
    promised: float | None = None
    damaged_at: float | None = None

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    def end(self) -> None:
        """All has been decoded: what ends too early is damaged there."""
        if self.damaged_at is None and self.promised and self.promised - self.seconds > SHORT + 0.01 * self.seconds:
            self.damaged_at = self.seconds


def blocks(path: Path, demuxer: str, seen: Decoded) -> Iterator[Any]:
    """The samples as int16 blocks. Raises NoAudioError where there is no stream to decode, TooLongError by its length."""
    with path.open("rb") as file:  # an open file, not a name: ffmpeg opens nothing by itself
        try:
            container = opened(file, _OPTIONS, demuxer)
        except FAULTS as error:
            raise NoAudioError(f"its header cannot be read ({_said(error)})") from None
        with container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise NoAudioError("it has no sound track")
            seen.codec = stream.codec_context.name
            _check_rate(stream.codec_context.sample_rate)
            seen.promised = _promised_by_riff(path) if demuxer == "wav" else _promised(container, stream)
            _check_length(path, _promised(container, stream) if demuxer == "wav" else seen.promised)
            yield from _resampled(_frames(container, stream, seen), seen)


def _check_rate(rate: int) -> None:
    """Refuse what no sound is recorded at; 0 is not known yet."""
    if rate and not is_a_rate(rate):
        raise NoAudioError(f"its header says {rate:,} samples a second, which no recording has")


def _check_length(path: Path, seconds: float | None) -> None:
    if seconds and LONGEST < seconds <= path.stat().st_size / THINNEST:
        raise TooLongError(seconds)


def _promised(container: Any, stream: Any) -> float | None:
    if container.format.name in GUESSED:
        return None
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _promised_by_riff(path: Path) -> float | None:
    """Seconds that a WAV's header names; ffmpeg looks at the file's size instead. None where it was never filled in."""
    with path.open("rb") as file:
        head = file.read(65_536)
    form, data = head.find(b"fmt "), head.find(b"data")
    if form < 0 or len(head) < max(form + 22, data + 8):
        return None
    kind, _, rate, bytes_a_second, frame = unpack_from("<HHIIH", head, form + 8)
    size = unpack_from("<I", head, data + 4)[0]
    bytes_a_second = rate * frame if kind in PLAIN_WAV else bytes_a_second
    return size / bytes_a_second if bytes_a_second and size not in (0, 0xFFFFFFFF) else None


def _frames(container: Any, stream: Any, seen: Decoded) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FAULTS:
            _note_damage(seen)
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except FAULTS:
            _note_damage(seen)


def _resampled(frames: Iterator[Any], seen: Decoded) -> Iterator[Any]:
    mono = Mono()
    for frame in frames:
        if seen.samples and not is_a_rate(frame.sample_rate):
            _note_damage(seen)
            continue
        _check_rate(frame.sample_rate)
        yield from _taken(partial(mono.heard, frame), seen)
        if seen.seconds > LONGEST:
            raise TooLongError
    yield from _taken(mono.rest, seen)


def _taken(resampled: Callable[[], list[Any]], seen: Decoded) -> Iterator[Any]:
    try:
        taken = resampled()
    except (*FAULTS, ValueError, OverflowError):  # a frame of a form that no sound has
        _note_damage(seen)
        return
    for out in taken:
        block = out.to_ndarray().reshape(-1)
        seen.samples += len(block)
        yield block


def _note_damage(seen: Decoded) -> None:
    if seen.damaged_at is None:
        seen.damaged_at = seen.seconds


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)[:80]


class SoundFile:
    """A file of such samples that grows by blocks: FLAC, or MP3 of a bit rate."""

    def __init__(self, path: Path, form: str = "flac", bit_rate: int | None = None) -> None:
        self._container = av.open(str(path), "w", format=form)
        stream: Any = self._container.add_stream(form, rate=RATE, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        self._stream = stream
        self._at = 0

    def write(self, block: Any) -> None:
        if len(block) == 0:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
