"""Audio: a file is opened by PyAV and becomes samples, block by block.

In: an open file, and what is allowed. Out: numpy blocks of int16, and what was found on the way. Only a child process
(child.py, or the local server's recogniser) imports this: a decoder that crashes or eats memory takes no kernel along.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, cast

import av
import av.logging
from av.container import InputContainer

from chatkit.audio import headers
from chatkit.audio.headers import THINNEST, is_a_rate
from chatkit.audio.samples import RATE as RATE
from chatkit.audio.samples import Loudness, Mono
from chatkit.audio.sniff import begin

FAULTS = (av.FFmpegError, OSError)
"""What a bad file is met with: ffmpeg's own errors, and Python's where PyAV reads or seeks. All else is ours."""
_OPTIONS = {"protocol_whitelist": "none", "format_probesize": "5000000"}
UNCLOSED = "the recording was not closed, or its end is cut off: the index of what it holds (moov) is missing"

av.logging.set_level(av.logging.PANIC)  # what ffmpeg prints of a bad file helps nobody


class NoAudioError(Exception):
    """There is nothing to decode; the words say why, and `code` in the API's way."""

    def __init__(self, why: str, code: str = "no_audio") -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Allowed:
    """What ffmpeg may do: by a `demuxer` that was sniffed or by one of those in the `options`; with these `decoders`."""

    demuxer: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    decoders: frozenset[str] | None = None
    longest: float | None = None


def opened(file: IO[bytes], options: dict[str, str], demuxer: str | None = None) -> InputContainer:
    """The file as a container, its tags in whatever encoding; without a demuxer ffmpeg finds it.

    Raises one of FAULTS for a bad file.
    """
    inside: InputContainer = av.open(file, "r", format=demuxer, options=options, **_tags(av.__version__))
    return inside


@contextmanager
def container(file: IO[bytes], allowed: Allowed, *, ignore_length: bool = False) -> Iterator[InputContainer]:
    """The file as a container; NoAudioError for what is none. An open file, not a name: ffmpeg opens nothing by itself."""
    options = _OPTIONS | allowed.options | ({"ignore_length": "1"} if ignore_length else {})
    start = begin(file)
    if start:
        file = cast(IO[bytes], _Behind(file, start))
    file.seek(0)
    try:
        inside = opened(file, options, allowed.demuxer)
    except FAULTS as error:
        said = str(getattr(error, "strerror", None) or error)[:80]
        why = UNCLOSED if headers.is_unclosed(file) else f"its header cannot be read ({said})"
        raise NoAudioError(why, "unsupported_format") from None
    with inside:
        yield inside


class _Behind:
    """A file without its first bytes: most demuxers know a head only where the file begins."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start = file, start
        self.read = file.read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; the place, counted from where the head is."""
        return self._file.seek(offset + (self._start if whence == io.SEEK_SET else 0), whence) - self._start

    def tell(self) -> int:
        """The place, counted so too."""
        return self._file.tell() - self._start


def _tags(version: str) -> dict[str, Any]:
    """What lets tags be that are not UTF-8: up to 18 PyAV breaks on them unless told; 19 never does, and knows no word.

    >>> _tags("18.1.0"), _tags("19.0.2")
    ({'metadata_errors': 'ignore'}, {})
    """
    return {"metadata_errors": "ignore"} if int(version.partition(".")[0]) < 19 else {}


LONGEST = 24 * 3600 + 60
"""Seconds of audio that are looked through: a day, and a little."""
GUESSED = ("mp3", "aac", "mpeg", "mpegts")
"""Streams without a head, of which ffmpeg guesses the length."""
SHARED = ("asf",)
"""Containers that give each track the length of the longest."""
SHORT = 1.0
"""Seconds by which a file may be shorter than its header says."""
DECODERS = frozenset({
    "aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "vorbis",
    "libvorbis", "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_s24be",
    "pcm_s32be", "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms",
})  # fmt: skip
"""Codecs that the API's containers commonly hold: the local server takes no other, and what has another is converted."""


class TooLongError(Exception):
    """It is longer than is taken: so many `seconds` by its header, or None where that does not say."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass
class Decoded:
    """What decoding has come upon: seconds so far, seconds that the container promised, the first damage.

    `tracks` is how many sound tracks there are; `holds_more` says that a WAV goes on behind its head's length, `hidden`
    that a tag or zeros stand before all; `cancelled` counts samples whose channels take each other away in the mix.
    """

    codec: str = ""
    tracks: int = 0
    samples: int = 0
    promised: float | None = None
    damaged_at: float | None = None
    holds_more: bool = False
    hidden: bool = False
    cancelled: int = 0

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    def damaged(self) -> None:
        """What comes now is damaged."""
        if self.damaged_at is None:
            self.damaged_at = self.seconds

    def end(self) -> None:
        """All has been decoded: what ends too early is damaged there."""
        if self.promised and self.promised - self.seconds > SHORT + 0.01 * self.seconds:
            self.damaged()


def blocks(file: IO[bytes], seen: Decoded, allowed: Allowed, track: int = 0) -> Iterator[Any]:
    """The samples as int16 blocks, of the sound track of that number, from 0.

    Raises NoAudioError where there is no stream to decode, TooLongError by its length.
    """
    size, start, most = file.seek(0, io.SEEK_END), begin(file), allowed.longest or LONGEST
    head = headers.read(file, start)
    seen.hidden, seen.holds_more = start > 0, head is not None and head.holds_more
    with _sound(file, allowed, track, head) as (inside, stream):
        seen.codec, seen.tracks = stream.codec_context.codec.name, len(inside.streams.audio)
        seen.promised = _promised(inside, stream, head)
        _check_length(head.seconds if head else seen.promised, most, size)
        for block in _resampled(_frames(inside, stream, seen), seen):
            yield block
            if seen.seconds > most:
                raise TooLongError
    if not seen.samples:
        raise NoAudioError("it has no sound in it" if seen.damaged_at is None else "what it holds cannot be decoded")
    seen.end()


def track_with_sound(file: IO[bytes], allowed: Allowed) -> int:
    """The first sound track, from 0, in which something is heard: a recorder's first may be silent. 0 if none is."""
    with container(file, allowed) as inside:
        count = len(inside.streams.audio)
    return next((track for track in range(count) if _is_heard(file, allowed, track)), 0) if count > 1 else 0


def _is_heard(file: IO[bytes], allowed: Allowed, track: int) -> bool:
    loudness = Loudness()
    try:
        for block in blocks(file, Decoded(), allowed, track):
            loudness.take(block)
            if not loudness.silent:
                return True
    except NoAudioError:
        return False
    return False


def counted(file: IO[bytes], allowed: Allowed, track: int = 0) -> float:
    """What the packets say they last, up to what is taken; where some say nothing, from the first's time to the last's."""
    head, most = headers.read(file, begin(file)), allowed.longest or LONGEST
    with _sound(file, allowed, track, head) as (inside, stream):
        tick, total, silent, first, last = float(stream.time_base or 0), 0, False, None, 0
        for packet in _packets(inside, stream):
            if packet is None or total * tick > most:
                break
            total += packet.duration or 0
            silent = silent or (packet.size > 0 and not packet.duration)
            if packet.pts is not None:
                first = packet.pts if first is None else first
                last = max(last, packet.pts + (packet.duration or 0))
        return tick * (max(total, last - (first or 0)) if silent else total)


@contextmanager
def _sound(file: IO[bytes], allowed: Allowed, track: int, head: headers.Wav | None) -> Iterator[tuple[Any, Any]]:
    """The container and its sound track, if both are what is taken."""
    with container(file, allowed, ignore_length=head is not None and head.fills_the_file) as inside:
        streams = inside.streams.audio
        if not streams:
            raise NoAudioError("it has no sound track")
        if track >= len(streams):
            raise NoAudioError(f"sound track {track + 1} was asked for, and it has {len(streams)}")
        _check_codec(streams[track].codec_context, allowed.decoders)
        yield inside, streams[track]


def _check_codec(context: Any, decoders: frozenset[str] | None) -> None:
    if context is None or (decoders is not None and context.codec.name not in decoders):
        raise NoAudioError("its sound is coded in a way that is not taken", "unsupported_format")
    _check_rate(context.sample_rate)
    context.thread_count = 1


def _check_rate(rate: int) -> None:
    """Refuse what no sound is recorded at; 0 is not known yet."""
    if rate and not is_a_rate(rate):
        raise NoAudioError(f"its header says {rate:,} samples a second, which no recording has", "unsupported_format")


def _check_length(seconds: float | None, most: float, size: int) -> None:
    if seconds and most < seconds <= size / THINNEST:
        raise TooLongError(seconds)


def _promised(inside: Any, stream: Any, head: headers.Wav | None) -> float | None:
    """Seconds that the head names, unless it says nothing; beside pictures a container's length is the longest track's."""
    if head is not None:
        return head.promised
    name, alone = inside.format.name, len(inside.streams) == 1
    if name in GUESSED or not (alone or name not in SHARED):
        return None
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    return inside.duration / av.time_base if inside.duration and alone else None


def _packets(inside: Any, stream: Any) -> Iterator[Any]:
    """The packets of the sound; None where the file breaks off."""
    packets = inside.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except FAULTS:
            yield None
            return


def _frames(inside: Any, stream: Any, seen: Decoded) -> Iterator[Any]:
    """All frames but those that are broken. A last one that is too short for its codec is none that is missed."""
    broken = False
    for packet in _packets(inside, stream):
        try:
            frames = [] if packet is None else packet.decode()
        except av.error.EOFError:
            return
        except FAULTS:
            frames, packet = [], None
        if broken and frames:
            seen.damaged()
        broken = broken or packet is None
        yield from frames
    if broken and seen.promised is None:
        seen.damaged()


def _resampled(frames: Iterator[Any], seen: Decoded) -> Iterator[Any]:
    mono = Mono()
    for frame in frames:
        if seen.samples and not is_a_rate(frame.sample_rate):
            seen.damaged()
            continue
        _check_rate(frame.sample_rate)
        yield from _taken(partial(mono.heard, frame), seen)
        seen.cancelled = mono.cancelled
    yield from _taken(mono.rest, seen)


def _taken(resampled: Callable[[], list[Any]], seen: Decoded) -> Iterator[Any]:
    try:
        taken = resampled()
    except (*FAULTS, ValueError, OverflowError):  # a frame of a form that no sound has
        seen.damaged()
        return
    for out in taken:
        block = out.to_ndarray().reshape(-1)
        seen.samples += len(block)
        yield block
