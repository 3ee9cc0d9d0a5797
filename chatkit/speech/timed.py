"""Speech, the values that have times: segments, words, gaps; and the sound that is played beside them.

In: nothing. Out: to whatever reads or shows a transcript.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

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


def by_speaker(segments: Sequence[Segment], missing: Sequence[Missing] = ()) -> str:
    """What each speaker said in turn, a line for each, with a mark where something is missing; "" where none is known."""
    if not any(segment.speaker for segment in segments):
        return ""
    said = [(segment.start, segment.speaker or "", segment.text) for segment in segments]
    marks = [(gap.start, "", f"[{clock(gap.start)}–{clock(gap.end)} is missing]") for gap in missing]
    turns = groupby(sorted([*said, *marks], key=lambda one: one[0]), key=lambda one: one[1])
    return "\n".join(f"{who}: {_run(turn)}" if who else _run(turn) for who, turn in turns)


def _run(turn: Iterable[tuple[float, str, str]]) -> str:
    return concatenated([" ".join(text.split()) for _, _, text in turn])


def concatenated(texts: Sequence[str]) -> str:
    """Texts with a space between them, but not between two that are written without.

    >>> concatenated(["Hello", "there"]), concatenated(["今天", "好"]), concatenated(["오늘", "아침"])
    ('Hello there', '今天好', '오늘 아침')
    """
    text = ""
    for piece in filter(None, texts):
        near = _is_written_without(text[-1:]) and _is_written_without(piece[:1])
        text = f"{text}{'' if near or not text else ' '}{piece}"
    return text


def _is_written_without(character: str) -> bool:
    return character > "\u2e7f" and not "\uac00" <= character <= "\ud7a3"
