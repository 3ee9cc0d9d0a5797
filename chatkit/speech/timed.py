"""Speech, the values that have times: segments, words, gaps; and the sound that is played beside them.

In: nothing. Out: to whatever reads or shows a transcript.
"""

import math
from dataclasses import dataclass, field

NO_SPEECH = "no speech found"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of speech with its times in seconds; `speaker` where the model tells them apart.

    >>> Segment(0.0, 1.5, "In Brazil.").end
    1.5
    """

    start: float
    end: float
    text: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its times in seconds; `transcribe(..., words=True)` asks for them.

    >>> Word(0.0, 0.4, "In").text
    'In'
    """

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch of the audio, in seconds, that was not transcribed, and why.

    >>> Missing(600.0, 1200.0, "The endpoint did not answer in time.").start
    600.0
    """

    start: float
    end: float
    why: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound to play beside the text, small enough for a notebook.

    >>> Audio(b"fLaC", "audio/flac")
    Audio(mime='audio/flac')
    """

    data: bytes = field(repr=False)
    mime: str


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> clock(83.9), clock(7384)
    ('1:23', '2:03:04')
    """
    whole = math.floor(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
