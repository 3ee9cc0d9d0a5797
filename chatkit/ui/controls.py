"""Faces: the settings of a chat, as controls that a page can draw without knowing them.

In: a chat and the models of its endpoint. Out: one plain dict a control, with the reason where the model refuses
it; and, the other way, what a person typed into one, checked and set.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatkit.chat import Chat
from chatkit.endpoint import catalog, parameters
from chatkit.endpoint.listing import Models
from chatkit.exceptions import InputError
from chatkit.message import mended_all

Options = tuple[tuple[str, str], ...]

EFFORTS: Options = (("", "default"), *((name, name) for name in ("none", "minimal", "low", "medium", "high", "xhigh")))
FORMATS: Options = (("", "text"), ("json", "JSON"), ("schema", "JSON schema"))
APIS: Options = (("chat", "Chat Completions"), ("responses", "Responses"))
TRIMS: Options = (
    ("none", "send everything"),
    ("oldest", "leave out the oldest turns"),
    ("budget", "keep to a token budget"),
)
EMPTY_SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _lines(text: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in text.splitlines() if line]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(str(line).replace("\n", "\\n") for line in value)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the API that has a control: how its text is read."""

    name: str
    label: str
    read: Callable[[str], Any]
    rule: str
    kind: str = "number"
    options: Options = ()
    hint: str = "default"


PARAMETERS = (
    Parameter("temperature", "Temperature", _number, "a number from 0 to 2, such as 0.7"),
    Parameter("top_p", "Top p", _number, "a number from 0 to 1, such as 0.9"),
    Parameter("max_completion_tokens", "Max tokens", int, "a whole number of at least 1", hint="no limit"),
    Parameter("stop", "Stop, one a line", _lines, "at most 4 lines", kind="area", hint="none"),
    Parameter("seed", "Seed", int, "a whole number", hint="random"),
    Parameter("n", "Answers (n)", int, "a whole number of at least 1", hint="1"),
    Parameter("presence_penalty", "Presence penalty", _number, "a number from -2 to 2", hint="0"),
    Parameter("frequency_penalty", "Frequency penalty", _number, "a number from -2 to 2", hint="0"),
    Parameter("reasoning_effort", "Reasoning effort", str, "one of the list", kind="select", options=EFFORTS),
)
_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def controls(chat: Chat, models: Models, priced_as: str | None) -> list[dict[str, Any]]:
    """The controls, in the order in which they are shown."""
    own = chat.endpoint.model if chat.endpoint else catalog.HOSTED_DEFAULT
    names = tuple((name, name) for name in dict.fromkeys((own, *models.names, catalog.HOSTED_DEFAULT)))
    found = [
        _control("system", "System prompt", "area", chat.system or "", hint="none", wide=True),
        _control("model", "Model", "list", chat.model or "", options=names, hint=own, note=models.reason),
        _control("api", "API", "select", chat.api, options=APIS, note=chat.rejected.get("api")),
        *(_of_parameter(chat, parameter) for parameter in PARAMETERS),
        *_format_controls(chat),
        *_trim_controls(chat),
        _control("priced_as", "Priced as", "list", priced_as or "", options=names, hint=catalog.HOSTED_DEFAULT),
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
    return {"name": name, "label": label, "kind": kind, "value": value, **more}


def _of_parameter(chat: Chat, parameter: Parameter) -> dict[str, Any]:
    return _control(
        parameter.name,
        parameter.label,
        parameter.kind,
        _shown(chat.parameters.get(parameter.name)),
        options=parameter.options,
        hint=parameter.hint,
        reason=chat.rejected.get(parameter.name),
    )


def _set_parameter(chat: Chat, parameter: Parameter, text: str) -> None:
    if not text:
        chat.parameters.pop(parameter.name, None)
        return
    try:
        value = parameter.read(text)
    except ValueError:
        raise InputError(f"{parameter.label} is {text!r}; it must be {parameter.rule}.") from None
    parameters.check(chat.model or catalog.HOSTED_DEFAULT, {parameter.name: value})
    chat.parameters[parameter.name] = value


# The response's format: text, any JSON, or JSON by a schema, which has a box of its own.


def _schema_of(chat: Chat) -> Mapping[str, Any] | None:
    chosen = chat.parameters.get("response_format")
    if not isinstance(chosen, Mapping):
        return None
    inner = chosen.get("json_schema")
    return (
        inner.get("schema") if isinstance(inner, Mapping) else None if "type" in chosen and len(chosen) == 1 else chosen
    )


def _format_controls(chat: Chat) -> list[dict[str, Any]]:
    schema = _schema_of(chat)
    chosen = chat.parameters.get("response_format")
    kind = "schema" if schema is not None else "json" if chosen not in (None, "text", {"type": "text"}) else ""
    found = [
        _control(
            "response_format",
            "Response format",
            "select",
            kind,
            options=FORMATS,
            reason=chat.rejected.get("response_format"),
        )
    ]
    if schema is not None:
        found.append(
            _control("schema", "JSON schema", "area", json.dumps(schema, indent=1, ensure_ascii=False), wide=True)
        )
    return found


def _set_format(chat: Chat, name: str, text: str) -> None:
    if name == "response_format":
        if text == "schema":
            chat.parameters["response_format"] = _schema_of(chat) or EMPTY_SCHEMA
        elif text == "json":
            chat.parameters["response_format"] = "json"
        else:
            chat.parameters.pop("response_format", None)
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
