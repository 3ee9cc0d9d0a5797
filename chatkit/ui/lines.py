"""Faces: a transcript as lines that a person can edit.

In: a `Transcript`, and what was typed into one of its lines. Out: plain lines for a view, the edited `Transcript`,
and its text in the form of a file.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chatkit.exceptions import InputError
from chatkit.speech.transcript import Transcript

LONGEST = 200_000
"""Characters of one line at most."""
FORMS: Mapping[str, tuple[str, Callable[[Transcript], str]]] = {
    "txt": ("text/plain", Transcript.to_text),
    "srt": ("application/x-subrip", Transcript.to_srt),
    "vtt": ("text/vtt", Transcript.to_vtt),
    "json": ("application/json", Transcript.to_json),
}
"""By the file's ending: its type, and what makes it."""


def lines(said: Transcript) -> list[dict[str, Any]]:
    """One line for each segment; where there are none, one without a time for the whole text."""
    if not said.segments:
        return [{"id": "text", "start": None, "end": None, "text": said.text}] if said.text else []
    found: list[dict[str, Any]] = [
        {"id": str(n), "start": s.start, "end": s.end, "text": s.text.strip()} for n, s in enumerate(said.segments)
    ]
    for line, segment in zip(found, said.segments, strict=True):
        if segment.speaker:
            line["speaker"] = segment.speaker
    return found


def edited(said: Transcript, line: str, text: str) -> Transcript:
    """The transcript with another text in one line; the words' times of that line go, for they are no longer true.

    >>> from chatkit.speech.transcript import Segment
    >>> said = Transcript("One two. Three.", segments=(Segment(0, 1, "One two."), Segment(1, 2, "Three.")))
    >>> edited(said, "1", "Four.").text
    'One two. Four.'
    """
    clean = text[:LONGEST].replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if line == "text" and not said.segments:
        return replace(said, text=clean.strip(), words=())
    number = int(line) if line.isdecimal() else -1
    if not 0 <= number < len(said.segments):
        raise InputError(f"The transcript has no line {line[:20]!r}.")
    old = said.segments[number]
    new = replace(old, text=" ".join(clean.split()))
    segments = (*said.segments[:number], new, *said.segments[number + 1 :])
    start, end = _span(said, number)
    whole = f"{said.text[:start]}{new.text}{said.text[end:]}"
    words = tuple(word for word in said.words if not old.start <= (word.start + word.end) / 2 < old.end)
    return replace(
        said, text=whole if end else " ".join(s.text.strip() for s in segments), segments=segments, words=words
    )


def forms(said: Transcript) -> list[str]:
    """The forms that it can be saved in: subtitles need times."""
    timed = bool(said.segments) or not said.text
    return [form for form in FORMS if timed or form not in ("srt", "vtt")]


def written(said: Transcript, form: str) -> tuple[bytes, str]:
    """What a file of that form holds, and its type."""
    if form not in FORMS:
        raise InputError(f"There is no form {form[:20]!r}.", f"There are {', '.join(FORMS)}.")
    mime, make = FORMS[form]
    text = make(said)
    return (text if text.endswith("\n") else f"{text}\n").encode(), mime


def _span(said: Transcript, number: int) -> tuple[int, int]:
    """Where a segment stands in the text; (0, 0) where it does not stand there word for word."""
    start = end = 0
    for segment in said.segments[: number + 1]:
        text = segment.text.strip()
        start = said.text.find(text, end)
        if start < 0:
            return 0, 0
        end = start + len(text)
    return start, end
