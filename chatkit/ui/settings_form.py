"""Faces: the settings of a chat, as controls that a page can draw without knowing them.

In: a chat and the models of its endpoint. Out: one plain dict a control, with the reason where the model refuses
it; and, the other way, what a person typed into one, checked and set.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from chatkit.api import models as catalog
from chatkit.api import parameters, response_formats
from chatkit.api.models import Model
from chatkit.api.parameters import Parameter
from chatkit.api.response_formats import ResponseFormat
from chatkit.chats.chat import Chat
from chatkit.chats.offered import short
from chatkit.client.keys import without_keys
from chatkit.client.model_list import Models
from chatkit.conversation.message import mended_all
from chatkit.exceptions import InputError

ControlOptions = tuple[tuple[str, str], ...]

APIS: ControlOptions = (("chat", "Chat Completions"), ("responses", "Responses"))
TRIMS: ControlOptions = (
    ("none", "send everything"),
    ("oldest", "leave out the oldest turns"),
    ("budget", "keep to a token budget"),
)
HELP: Mapping[str, str] = {
    "temperature": "Low: the likeliest words. High: more surprising ones.",
    "top_p": "Choose among the likeliest words that have this share together.",
    "max_completion_tokens": "The answer is cut off after so many.",
    "stop": "The answer ends before the first of these.",
    "seed": "The same seed asks for the same answer.",
    "n": "So many answers to each question; all are paid.",
    "presence_penalty": "Above 0: words that occurred are avoided.",
    "frequency_penalty": "Above 0: the more often a word occurred, the more it is avoided.",
    "reasoning_effort": "How long the model thinks before it answers.",
    "priced_as": "What the same tokens would cost there is said beside each answer.",
}
"""What a setting does, for a person who sees it for the first time."""
RESETS = ("system", "model", "priced_as")
"""What can be set back to nothing, beside the parameters."""
EMPTY_SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _lines(text: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in text.splitlines() if line]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(str(line).replace("\n", "\\n") for line in value)
    return "" if value is None else str(value)


_READ: Mapping[str, Callable[[str], Any]] = {
    "number": _number,
    "count": int,
    "whole": int,
    "texts": _lines,
    "effort": str,
}
_DRAWN = {"texts": "area", "effort": "select"}
_BY_NAME = {parameter.name: parameter for parameter in parameters.CONTROLS}


def controls(chat: Chat, models: Models, priced_as: str | None) -> list[dict[str, Any]]:
    """The controls, in the order in which they are shown."""
    endpoint, rejected = chat.foreseen, chat.rejected
    own = endpoint.model if endpoint else "the local model"
    known = catalog.find(chat.model or own, endpoint.rules if endpoint else "local")
    names = tuple((n, n) for n in dict.fromkeys((*([own] if endpoint else ()), *models.names, catalog.HOSTED_DEFAULT)))
    found = [
        _control("system", "System prompt", "area", chat.system or "", hint="none", wide=True),
        _control(
            "model", "Model", "list", chat.model or "", options=names, hint=own, note=_life(known) or models.reason
        ),
        _control("api", "API", "select", chat.api, options=_apis(known, chat.api), note=rejected.get("api")),
        *(_of_parameter(chat, parameter, known, rejected) for parameter in parameters.CONTROLS),
        *_format_controls(chat, rejected.get("response_format")),
        *_trim_controls(chat),
        _control("priced_as", "Priced as", "list", priced_as or "", options=names, hint=catalog.HOSTED_DEFAULT),
        *_also_sent(chat),
    ]
    return [{key: value for key, value in control.items() if value not in (None, (), False)} for control in found]


def set_control(chat: Chat, name: str, text: str) -> None:
    """Set what a person typed or chose; raises InputError that says the rule, and changes nothing then."""
    text = text.strip()
    if name in _BY_NAME:
        _set_parameter(chat, _BY_NAME[name], text)
    elif name == "model":
        if text:
            parameters.check(text, {})
        chat.model = text or None
    elif name == "api":
        chat.api = "responses" if text == "responses" else "chat"
    elif name == "system":
        chat.system = text or None
    elif name in ("response_format", "schema"):
        _set_format(chat, name, text)
    elif name in ("trim", "budget"):
        _set_trim(chat, name, text)


def _control(name: str, label: str, kind: str, value: str, **more: Any) -> dict[str, Any]:
    own = {"help": HELP.get(name), "resets": name in RESETS or name in _BY_NAME}
    return {"name": name, "label": label, "kind": kind, "value": value, **own, **more}


def _life(model: Model) -> str | None:
    """What is to be known of the model's end, where it is known to have one."""
    soon = f"{model.name} ends on {model.ends:%Y-%m-%d}; {model.instead} follows it." if model.ends else None
    return model.gone(datetime.now(UTC).date()) or soon


def _apis(model: Model, chosen: str) -> ControlOptions:
    return tuple((api, words) for api, words in APIS if model.only_api in (None, api) or api == chosen)


def _of_parameter(chat: Chat, parameter: Parameter, model: Model, rejected: Mapping[str, str]) -> dict[str, Any]:
    name, value = _set_as(chat, parameter)
    shown = _shown(value)
    return _control(
        parameter.name,
        parameter.label,
        _DRAWN.get(parameter.kind, "number"),
        shown,
        options=_efforts(model, shown) if parameter.kind == "effort" else (),
        hint=_hint(parameter, model, name in rejected),
        reason=rejected.get(name),
    )


def _set_as(chat: Chat, parameter: Parameter) -> tuple[str, Any]:
    """Under which name the parameter is set, and its value: some have two names, or stand in another's object."""
    if parameter.kind == "effort":
        return parameter.name, parameters.effort_of(chat.parameters)
    names = (parameter.name, *(parameters.LIMITS if parameter.name in parameters.LIMITS else ()))
    name = next((name for name in names if chat.parameters.get(name) is not None), parameter.name)
    return name, chat.parameters.get(name)


def _efforts(model: Model, chosen: str) -> ControlOptions:
    """What the model takes, and what code has set, whatever it is."""
    names = dict.fromkeys((*model.offered_efforts, *([chosen] if chosen else ())))
    return (("", "default"), *((name, name) for name in names))


def _hint(parameter: Parameter, model: Model, rejected: bool) -> str:
    """What holds while nothing is set, as far as it is known who answers."""
    if parameter.name in parameters.LIMITS and model.longest_answer:
        return f"{model.longest_answer:,}" if model.rules == "local" else f"at most {model.longest_answer:,}"
    default = {"local": parameter.local_default, "openai": parameter.default, "own": None}[model.rules]
    return parameter.hint if default is None or rejected else f"{default:g}"


def _also_sent(chat: Chat) -> list[dict[str, Any]]:
    """What code or a file has set that no control shows: it is sent too."""
    shown = {*_BY_NAME, *parameters.LIMITS, "response_format"}
    if set(chat.parameters.get("reasoning") or ()) == {"effort"}:
        shown.add("reasoning")
    words = "; ".join(f"{name} = {short(value)}" for name, value in chat.parameters.items() if name not in shown)
    note = "Set by code or by the conversation's file: chat.parameters."
    return [_control("also", "Also sent", "output", without_keys(words), note=note, wide=True)] if words else []


def _set_parameter(chat: Chat, parameter: Parameter, text: str) -> None:
    name, _ = _set_as(chat, parameter)
    if text:
        try:
            value = _READ[parameter.kind](text)
        except ValueError:
            raise InputError(f"{parameter.label} is {text!r}; it must be {parameter.rule}.") from None
        endpoint = chat.foreseen
        rules = endpoint.rules if endpoint else "local"
        parameters.check(chat.model or catalog.HOSTED_DEFAULT, {parameter.name: value}, rules)
    for other in (name, parameter.name):
        chat.parameters.pop(other, None)
    if parameter.kind == "effort" and isinstance(reasoning := chat.parameters.pop("reasoning", None), Mapping):
        kept = {key: value for key, value in reasoning.items() if key != "effort"}
        chat.parameters |= {"reasoning": kept} if kept else {}
    if text:
        chat.parameters[parameter.name if name in chat.rejected else name] = value


# The response's format: text, any JSON, or JSON by a schema, which has a box of its own.


def _format_controls(chat: Chat, reason: str | None) -> list[dict[str, Any]]:
    value = chat.parameters.get("response_format")
    form, schema = response_formats.form_of(value), response_formats.schema_of(value)
    forms = dict.fromkeys((*response_formats.FORMATS, form))
    options = tuple((_option(one), one.label) for one in forms)
    found = [_control("response_format", "Response format", "select", _option(form), options=options, reason=reason)]
    if schema is not None:
        found.append(
            _control(
                "schema", "JSON schema", "area", json.dumps(schema, indent=1, ensure_ascii=False), wide=True, code=True
            )
        )
    return found


def _option(form: ResponseFormat) -> str:
    return "" if form == response_formats.TEXT else form.name


def _set_format(chat: Chat, name: str, text: str) -> None:
    if name == "response_format":
        asked = chat.parameters.get("response_format")
        if text == response_formats.SCHEMA.name:
            chat.parameters["response_format"] = response_formats.schema_of(asked) or EMPTY_SCHEMA
        elif not text:
            chat.parameters.pop("response_format", None)
        elif text != response_formats.form_of(asked).name:
            chat.parameters["response_format"] = text
        return
    try:
        schema = mended_all(json.loads(text), "The JSON schema")
    except (ValueError, RecursionError) as error:
        raise InputError(f"The JSON schema is not JSON: {error}.", "Nothing was changed.") from None
    if not isinstance(schema, dict):
        raise InputError('The JSON schema must be an object, such as {"type": "object", …}.', "Nothing was changed.")
    chat.parameters["response_format"] = schema


# What is left out when the talk gets long.


def _trim_controls(chat: Chat) -> list[dict[str, Any]]:
    budget = isinstance(chat.trim, int)
    found = [_control("trim", "When it gets long", "select", "budget" if budget else str(chat.trim), options=TRIMS)]
    if budget:
        found.append(_control("budget", "Token budget", "number", str(chat.trim)))
    return found


DEFAULT_BUDGET = 2_000


def _set_trim(chat: Chat, name: str, text: str) -> None:
    if name == "trim":
        chat.trim = DEFAULT_BUDGET if text == "budget" else "oldest" if text == "oldest" else "none"
        return
    try:
        chat.trim = int(text)
    except ValueError:
        raise InputError(f"The token budget is {text!r}; it must be a whole number of at least 1.") from None
