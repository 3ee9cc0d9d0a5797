"""Speech, the cost before anything is sent.

In: audio, and the model that would be asked. Out: its length in seconds, and US dollars where the price is
known. Nothing is sent.
"""

import asyncio
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatkit.endpoint import connect, speech_models
from chatkit.endpoint.loop import get_loop
from chatkit.endpoint.speech_models import Task
from chatkit.exceptions import InputError
from chatkit.ledger.pricing import price_of
from chatkit.speech import source
from chatkit.speech.asking import is_ours
from chatkit.speech.looking import look
from chatkit.speech.source import Source

if TYPE_CHECKING:
    import openai


def estimate_cost(
    audio: Any,
    *,
    model: str | None = None,
    client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
    task: Task = "transcribe",
    rate: int | None = None,
) -> Decimal | None:
    """US dollars that a transcription or translation of this audio would cost; None where the price is not known.

    A local model is free. Raises InputError for what holds no audio.
    """
    endpoint = connect.endpoint_of(client) if client is not None else connect.resolve()
    if is_ours(endpoint):
        source.check(audio, rate)
        return Decimal(0)
    name = model or speech_models.default(task)
    return price(measure(audio, rate=rate), name, endpoint.base_url, task)


def measure(audio: Any, *, rate: int | None = None) -> float:
    """The length of the audio in seconds, by decoding it. Raises InputError for what holds no audio."""
    source.check(audio, rate)
    with source.opened(audio, rate) as given:
        return asyncio.run_coroutine_threadsafe(_seconds(given), get_loop()).result()


def price(seconds: float, model: str, base_url: str, task: Task = "transcribe") -> Decimal | None:
    """US dollars for so many seconds of audio there.

    >>> price(60, "gpt-transcribe", "https://api.openai.com/v1")
    Decimal('0.0045')
    """
    path = {"transcribe": "/audio/transcriptions", "translate": "/audio/translations"}[task]
    found = price_of({"audio_seconds": seconds}, model, f"{base_url}{path}")
    return found.cost if found else None


async def _seconds(given: Source) -> float:
    async with aclosing(look(given)) as words:
        async for said in words:
            if "seconds" in said:
                return float(said["seconds"])
    raise InputError("The length of this audio is not known.")
