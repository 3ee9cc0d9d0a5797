"""What a conversation's file asks for beyond its words: what costs more or reaches out is set aside first.

In: settings from a file that anybody may have written. Out: those that only shape an answer, and the rest by name,
each with what it would do; a person takes it (`Chat.accept`) or not.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chatkit.api import parameters
from chatkit.api.models import HOSTED_DEFAULT
from chatkit.chats.settings import Settings
from chatkit.ledger.estimate import priced_as
from chatkit.ledger.record import Usage

LONG = 32_000
"""Tokens of an answer from which on a limit is no plain one."""
DEARER = 2
MUCH = 20_000
"""Characters of a parameter that every question sends along, from which on it is no plain one."""
DOES = {
    "n": "asks for several answers, each of which costs",
    "tools": "offers the model tools, which may search, run or fetch",
    "functions": "offers the model tools",
    "web_search_options": "lets the model search the web, which costs",
    "store": "has the endpoint keep what is said",
    "background": "has the endpoint go on by itself",
    "metadata": "sends words of the file's along",
    "user": "sends words of the file's along",
    "service_tier": "asks for another price",
    "models": "lets other models answer",
    "modalities": "asks for more than text",
    "audio": "asks for sound, which costs more",
    "prediction": "sends a long text along, which costs",
    "reasoning_effort": "lets the model think long, which costs",
    "reasoning": "lets the model think long, which costs",
}
_TOKENS = Usage(prompt_tokens=1000, completion_tokens=1000, known="measured")


def parted(asked: Settings) -> tuple[Settings, dict[str, Any]]:
    """The settings that only shape an answer, and what is set aside by name.

    >>> parted(Settings(parameters={"temperature": 0, "n": 128}))[1]
    {'n': 128}
    """
    plain = {name: value for name, value in asked.parameters.items() if _is_plain(name, value)}
    aside = {name: value for name, value in asked.parameters.items() if name not in plain}
    if asked.model and _is_dearer(asked.model):
        return replace(asked, model=None, parameters=plain), {"model": asked.model, **aside}
    return replace(asked, parameters=plain), aside


def sentence(aside: Mapping[str, Any]) -> str:
    """What was set aside, and why."""
    said = [f"{name} = {short(value)} ({_why(name, value)})" for name, value in aside.items()]
    return f"The conversation's file also sets {'; '.join(said)}. It is set aside, and not sent."


def _is_plain(name: str, value: Any) -> bool:
    return name in _PLAIN and len(_text(value)) <= MUCH and _PLAIN[name](value)


def _few(value: Any) -> bool:
    return not (isinstance(value, int) and value > LONG)


def _always(_: Any) -> bool:
    return True


_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    **{row.name: _always for row in parameters.TABLE if row.plain},
    **dict.fromkeys(parameters.LIMITS, _few),
    "n": lambda value: value == 1,
    "store": lambda value: value is False,
    "reasoning_effort": lambda value: value in ("none", "minimal", "low", "medium"),
}
"""What only shapes an answer, where its value does no more than that."""


def _is_dearer(model: str) -> bool:
    """Whether it is known to cost more than `DEARER` times the model that is asked where none is named."""
    if model == HOSTED_DEFAULT:
        return False
    cost, usual = priced_as(_TOKENS, model), priced_as(_TOKENS, HOSTED_DEFAULT)
    return cost is not None and usual is not None and cost > DEARER * usual


def _why(name: str, value: Any) -> str:
    if name == "model":
        return f"costs more than twice as much as {HOSTED_DEFAULT}"
    if name in _PLAIN and len(_text(value)) > MUCH:
        return "is long, and sent with every question"
    if name in _PLAIN and name not in DOES:
        return "lets an answer be long, which costs"
    return DOES.get(name, "is nothing that chatkit knows")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def short(value: Any) -> str:
    """A parameter's value as JSON, its beginning if it is long."""
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
