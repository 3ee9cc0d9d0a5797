"""Speech, the value: a `Transcript`, what was said and when, what it took, and what it looks like.

In: from job.py. Out: text, subtitles, JSON, a file, and HTML with a player.

Where Jupyter does not trust a
notebook it takes that out; text, times and player stay.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from chatkit import typed
from chatkit.api.speech_models import END_OF_WHISPER, HOSTED_TRANSLATE
from chatkit.audio import subtitles
from chatkit.captions import amount_caption
from chatkit.display import displayed
from chatkit.exceptions import InputError
from chatkit.ledger.record import NOTHING, Outcome, Usage, UsageRecord
from chatkit.render.text import marked, tame
from chatkit.signs import fit_to_print
from chatkit.speech import timed
from chatkit.speech.timed import NO_SPEECH, Audio, Missing, Segment, Word, clock
from chatkit.system import files


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said: the text, and where the model gives them the times of segments and words.

    `duration` is the audio's, in seconds; `language` as the model named it; `model` the one that
    answered, or that was asked if it does not say; None where nothing was sent. `segments` and `words` are empty where the model gives no times; `notes` say so. `missing`
    lists what could not be transcribed; the text has a mark there. `usage` sums all attempts; `cost` is
    US dollars, None where it is not known. An empty text means that no speech was found.

    >>> said = Transcript("Hello there.", duration=1.5, segments=(Segment(0.2, 1.4, "Hello there."),))
    >>> print(said.to_srt())
    1
    00:00:00,200 --> 00:00:01,400
    Hello there.
    <BLANKLINE>
    """

    text: str
    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()
    task: Literal["transcribe", "translate"] = "transcribe"
    model: str | None = None
    outcome: Outcome = "complete"
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    records: tuple[UsageRecord, ...] = field(default=(), repr=False)
    audio: Audio | None = field(default=None, repr=False)

    @property
    def usage(self) -> Usage:
        """What all attempts used together."""
        return sum((record.usage for record in self.records), NOTHING)

    @property
    def cost(self) -> Decimal | None:
        """US dollars; None where any part of it is not known."""
        return None if self.usage.unpriced_calls else self.usage.cost

    def to_text(self) -> str:
        """The text; where speakers are told apart, a line for each turn, named by who speaks.

        >>> said = Transcript("Hello. Hi.", segments=(Segment(0, 1, "Hello.", "Ada"), Segment(1, 2, "Hi.", "Bob")))
        >>> print(said.to_text())
        Ada: Hello.
        Bob: Hi.
        """
        turns = timed.by_speaker(self.segments, self.missing)
        return turns if len(turns) >= len(self.text) else self.text  # a part may have come without segments

    def to_srt(self) -> str:
        """Subtitles in the SubRip form. Raises InputError where the model gave no times."""
        return subtitles.srt(self._cues())

    def to_vtt(self) -> str:
        """Subtitles in the WebVTT form. Raises InputError where the model gave no times."""
        return subtitles.vtt(self._cues())

    def to_json(self) -> str:
        """All of it but the audio, as JSON."""
        whole = {
            "text": self.text, "task": self.task, "language": self.language, "duration": self.duration,
            "model": self.model, "outcome": self.outcome,
            "segments": [_without_none(asdict(s)) for s in self.segments], "words": [asdict(w) for w in self.words],
            "missing": [asdict(m) for m in self.missing], "notes": list(self.notes),
            "audio_seconds": self.usage.audio_seconds, "cost": None if self.cost is None else str(self.cost),
        }  # fmt: skip
        return json.dumps(whole, ensure_ascii=False, indent=2)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a file in the form that its ending names: .txt, .srt, .vtt or .json."""
        target = typed.path(path)
        make = {".txt": self.to_text, ".srt": self.to_srt, ".vtt": self.to_vtt, ".json": self.to_json}
        if target.suffix.lower() not in make:
            raise InputError(f"{target.name!r} ends in none of {', '.join(make)}.", "Give it one of these endings.")
        text = make[target.suffix.lower()]()
        return files.save(target, text if text.endswith("\n") else f"{text}\n")

    def _cues(self) -> Sequence[subtitles.Cue]:
        if self.text and not self.segments:
            raise InputError(
                f"There are no times: {self.model or 'the model'} gives text only.",
                f"Ask {HOSTED_TRANSLATE} (until {END_OF_WHISPER}) or the local Whisper, which give times.",
            )
        return subtitles.cues(self.segments, self.words, self.duration)

    def __str__(self) -> str:
        return self.text

    @fit_to_print
    def __repr__(self) -> str:
        length = f", {clock(self.duration)}" if self.duration is not None else ""
        said = repr(self.text if len(self.text) <= 60 else f"{self.text[:59]}…") if self.text else NO_SPEECH
        gaps = f", {len(self.missing)} missing" if self.missing else ""
        return f"Transcript({said}{length}{gaps})"

    def _repr_html_(self) -> str:

        return html(self.text, self._facts(), self.segments, self.missing, self.notes, self.audio)

    def _facts(self) -> list[str]:
        what = "Translated into English" if self.task == "translate" else "Transcribed"
        length = clock(self.duration) if self.duration is not None else None
        facts = [f"{what} by {self.model}" if self.model else what, self.language, length, amount_caption(self.cost)]
        return [fact for fact in facts if fact]


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


STYLE = (Path(__file__).parent / "transcript.css").read_text(encoding="utf-8")
MOST = 1000
"""Segments that are shown; a file holds them all."""

_PLAY = "var a=this.closest('.ck-transcript').querySelector('audio');if(a){a.currentTime=+this.dataset.at;a.play()}"
_MARK = (
    "var t=this.currentTime,l=this.closest('.ck-transcript').querySelectorAll('[data-at]');"
    "l.forEach(function(s){s.classList.toggle('ck-now',t>=+s.dataset.at&&t<+s.dataset.end)})"
)


def html(
    text: str,
    facts: Sequence[str],
    segments: Sequence[Segment],
    missing: Sequence[Missing],
    notes: Sequence[str],
    audio: Audio | None,
) -> str:
    """The transcript with its player."""
    rows = _rows(segments, missing, clickable=audio is not None)
    said = _safe(text) if text else f"<em>{NO_SPEECH}</em>"
    body = f'<ol class="ck-segments">{rows}</ol>' if rows else f'<p class="ck-said" dir="auto">{said}</p>'
    below = "".join(f'<p class="ck-note">{_safe(note)}</p>' for note in notes if note != NO_SPEECH)
    head = f'<p class="ck-facts">{" · ".join(map(_safe, facts))}</p>{_player(audio) if audio else ""}'
    return displayed(f"{head}{body}{below}", "ck-transcript", style=STYLE)


def _player(audio: Audio) -> str:
    data = b64encode(audio.data).decode("ascii")
    source = f"data:{escape(audio.mime)};base64,{data}"
    return f'<audio controls preload="metadata" ontimeupdate="{escape(_MARK)}" src="{source}"></audio>'


def _rows(segments: Sequence[Segment], missing: Sequence[Missing], *, clickable: bool) -> str:
    rows = [(segment.start, _segment(segment, clickable)) for segment in segments[:MOST]]
    if rows:
        rows += [(gap.start, _gap(gap)) for gap in missing]
    left = len(segments) - MOST
    more = f'<li class="ck-gap">{left} more segments: save() writes them all.</li>' if left > 0 else ""
    return "".join(row for _, row in sorted(rows)) + more


def _segment(segment: "Segment", clickable: bool) -> str:
    at = clock(segment.start)
    play = f' data-at="{segment.start:.3f}" data-end="{segment.end:.3f}" onclick="{escape(_PLAY)}"' if clickable else ""
    time = f'<button type="button" title="Play from {at}">{at}</button>' if clickable else f"<span>{at}</span>"
    who = f"<b>{_safe(segment.speaker)}</b> " if segment.speaker else ""
    return f'<li{play}><span class="ck-at">{time}</span> <span class="ck-said" dir="auto">{who}{_safe(segment.text)}</span></li>'


def _gap(gap: "Missing") -> str:
    return f'<li class="ck-gap">{clock(gap.start)}–{clock(gap.end)} is missing: {_safe(gap.why)}</li>'


def _safe(text: str) -> str:
    return marked(escape(tame(text)), hidden=True)
