"""Speech, a transcript as HTML: a player, and segments that play from where they begin.

In: what a transcript holds. Out: HTML that is safe whatever was said: every text is escaped, and the script, a line
for a click and one for the marking, is the same for all and written here. Where Jupyter does not trust a
notebook it takes that out; text, times and player stay.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from chatkit.display import displayed
from chatkit.render.plain_text import marked, tame
from chatkit.speech.timed import NO_SPEECH, Audio, Missing, Segment, clock

STYLE = (Path(__file__).parent / "showing.css").read_text(encoding="utf-8")
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
