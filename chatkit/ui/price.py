"""Faces: what recognition would cost, said before anything is sent.

In: the verb, the model, a client or none. Out: a `MinutePrice` of a minute. Nothing is started for it: where the
environment names no endpoint, the local server would answer, and it is free.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from chatkit.api import speech_models
from chatkit.api.speech_models import Task
from chatkit.endpoint import connect
from chatkit.speech import costs

if TYPE_CHECKING:
    import openai


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
