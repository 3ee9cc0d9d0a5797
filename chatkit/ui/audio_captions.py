"""Faces: what audio, its recognition and its price are called in words.

In: sizes, times, progress, transcripts. Out: short sentences that an uploader shows as they are.

Nothing is started for it: where the
environment names no endpoint, the local server would answer, and it is free.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from chatkit.api import speech_models
from chatkit.api.speech_models import Task
from chatkit.audio.languages import CODES, COMMON, NAMES, title_of
from chatkit.captions import cost_caption, sentences
from chatkit.client import connect
from chatkit.client.reply import Progress
from chatkit.speech import costs
from chatkit.speech.timed import clock
from chatkit.speech.transcript import Transcript

if TYPE_CHECKING:
    import openai


LANGUAGES = {code: title_of(code) for code in COMMON}
"""The languages that are offered by name; any other may be typed."""


def language_code(said: str) -> str | None:
    """The code of a language that was typed by its name; what else was typed as it is, None for an empty text.

    >>> language_code("Spanish"), language_code("pt-BR"), language_code("")
    ('es', 'pt-BR', None)
    """
    return CODES.get(said.strip().lower(), said.strip() or None)


def size_caption(size: int) -> str:
    """A number of bytes, in words.

    >>> size_caption(900), size_caption(4_400_000), size_caption(2**30)
    ('900 bytes', '4.4 MB', '1.1 GB')
    """
    if size < 1000:
        return f"{size} bytes"
    unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if size >= u * 0.9995 or n == "kB")
    amount = f"{size / unit:.1f}".removesuffix(".0") if size / unit < 9.95 else f"{size / unit:.0f}"
    return f"{amount} {name}"


def progress_caption(progress: Progress) -> tuple[str, float | None]:
    """How far a job is, and its share from 0 to 1 where that is known.

    >>> progress_caption(Progress("sending", sent=3_000_000, size=12_000_000))
    ('Sending 3 MB of 12 MB', 0.25)
    >>> progress_caption(Progress("listening", parts=4, parts_done=1, seconds=150, duration=600))
    ('Listening: 2:30 of 10:00', 0.25)
    """
    if progress.phase == "reading":
        return "Looking the file through…", None
    if progress.sent < progress.size:
        return f"Sending {size_caption(progress.sent)} of {size_caption(progress.size)}", progress.sent / progress.size
    if progress.parts > 1 and progress.duration:
        heard = f"{clock(progress.seconds)} of {clock(progress.duration)}"
        return f"Listening: {heard}", progress.seconds / progress.duration
    return "Listening…", None


def transcript_caption(said: Transcript, *, edited: bool, local: bool) -> str:
    """What a transcript is and what it took.

    >>> transcript_caption(Transcript("Hola.", language="es", duration=83.9, model="whisper"), edited=True, local=True)
    'Spanish · 1:23 · whisper · edited'
    """
    language = title_of(said.language or "") if said.language in NAMES else (said.language or "").capitalize()
    length = "" if said.duration is None else clock(said.duration)
    cost = cost_caption(said.usage, local=local) if said.records else ""
    return " · ".join(part for part in (language, length, said.model, cost, "edited" if edited else "") if part)


def transcript_notes(said: Transcript) -> list[str]:
    """What has to be known beside the text: what is missing, what the model could not do."""
    gaps = [f"{clock(gap.start)} to {clock(gap.end)} is missing: {gap.why}" for gap in said.missing]
    return sentences((*gaps, *said.notes))


@dataclass(frozen=True, slots=True)
class MinutePrice:
    """Who would answer, in words; US dollars a minute, None where they are not known."""

    sentence: str
    per_minute: Decimal | None
    local: bool


def foresee(task: Task, model: str | None, client: "openai.OpenAI | openai.AsyncOpenAI | None") -> MinutePrice:
    """What a minute of audio would cost, and where."""
    endpoint = connect.endpoint_of(client) if client is not None else connect.named(model)
    if endpoint is None or endpoint.local:
        return MinutePrice("Whisper answers on this machine: no key, no network, no cost.", None, True)
    asked = model or speech_models.default(task)
    minute = None if endpoint.free else costs.price(60, asked, endpoint.base_url, task)
    return MinutePrice(replace(endpoint, model=asked).sentence, minute, endpoint.free)
