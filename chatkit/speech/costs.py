"""Speech, the cost before anything is sent.

In: audio, and the model that would be asked. Out: its length in seconds, and US dollars where the price is
known. Nothing is sent.
"""

import asyncio
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatkit.api import speech_models
from chatkit.api.hosts import rules_at
from chatkit.api.speech_models import Task
from chatkit.client import connect
from chatkit.client.turn import get_loop
from chatkit.exceptions import InputError
from chatkit.ledger.pricing import price_of
from chatkit.patience import result_of
from chatkit.speech import source
from chatkit.speech.source import AudioSource, look

if TYPE_CHECKING:
    import openai


def estimate_transcription(
    audio: Any,
    *,
    model: str | None = None,
    client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
    base_url: str | None = None,
    task: Task = "transcribe",
    rate: int | None = None,
) -> Decimal | None:
    """US dollars that a transcription ("translate": a translation) of this audio would cost; None if that is unknown.

    `audio` is what `transcribe` takes, which is decoded to measure it, or a number of seconds. `client` or
    `base_url` says where it would go; without them the rule of `connect()` decides, and the local Whisper costs 0.
    Nothing is sent, and no server is started. Raises InputError for what holds no audio.

    >>> estimate_transcription(60, model="whisper-1", base_url="https://api.openai.com/v1")
    Decimal('0.006')
    >>> estimate_transcription(60, model="their-own", base_url="https://models.example.org/v1") is None
    True
    """
    where = connect.endpoint_of(client) if client is not None else None if base_url else connect.foreseen()
    rules = rules_at(base_url) if base_url else where.rules if where else "local"
    seconds = audio if isinstance(audio, int | float) and not isinstance(audio, bool) else None
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise InputError(f"audio is {seconds!r}; a length must be seconds, 0 or more.")
    if rules == "local":  # as `Endpoint.free` has it
        if seconds is None:
            source.check(audio, rate)
        return Decimal(0)
    length = measure(audio, rate=rate) if seconds is None else float(seconds)
    return price(length, model or speech_models.default(task), base_url or (where.base_url if where else ""), task)


def measure(audio: Any, *, rate: int | None = None) -> float:
    """The length of the audio in seconds, by decoding it. Raises InputError for what holds no audio."""
    source.check(audio, rate)
    with source.opened(audio, rate) as given:
        return result_of(asyncio.run_coroutine_threadsafe(_seconds(given), get_loop()))


def price(seconds: float, model: str, base_url: str, task: Task = "transcribe") -> Decimal | None:
    """US dollars for so many seconds of audio there.

    >>> price(60, "gpt-transcribe", "https://api.openai.com/v1")
    Decimal('0.0045')
    """
    path = {"transcribe": "/audio/transcriptions", "translate": "/audio/translations"}[task]
    found = price_of({"audio_seconds": seconds}, model, f"{base_url}{path}")
    return found.cost if found else None


async def _seconds(given: AudioSource) -> float:
    async with aclosing(look(given)) as words:
        async for said in words:
            if "seconds" in said:
                return float(said["seconds"])
    raise InputError("The length of this audio is not known.")
