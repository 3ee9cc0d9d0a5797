"""Audio, a file opened by PyAV, whichever of its versions is installed.

In: an open file, and what ffmpeg may do with it. Out: its container, or why there is none.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, cast

import av
import av.logging
from av.container import InputContainer

from chatkit.audio import mp4
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
        why = UNCLOSED if mp4.is_unclosed(file) else f"its header cannot be read ({said})"
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
