"""The parameters of a turn, checked before anything is sent; all faults in one message.

In: a model's name and its parameters. Out: nothing, or an InputError. A parameter that is not known
here passes: an endpoint may have its own. Ranges: the API's description of chat completions.
"""

import math
from collections.abc import Mapping
from typing import Any

from chatkit.exceptions import InputError

_NUMBERS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_COUNTS = {
    "n": (1, 128),
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "max_output_tokens": (1, None),
    "top_logprobs": (0, 20),
}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OWN = ("model", "messages", "input", "instructions", "stream", "stream_options")
CONNECTION = ("api_key", "base_url", "organization", "project", "default_headers", "extra_headers", "http_client")
"""What says where calls go and with which key; it is no part of a request's body."""
SCHEMA_WORDS = frozenset({"properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items", "$schema"})
"""Words of a JSON schema, by which one is known that does not say its type."""


def check(model: str, parameters: Mapping[str, Any]) -> None:
    """Raise an InputError that names every parameter that cannot be sent, and its rule."""
    if found := faults(model, parameters):
        raise InputError(" ".join(found), "Nothing was sent.")


def faults(model: str, parameters: Mapping[str, Any]) -> list[str]:
    """What cannot be sent of these, a sentence each."""
    given = {k: v for k, v in parameters.items() if v is not None}
    return [f"{fault}." for fault in (*_model_faults(model), *_parameter_faults(given))]


def _model_faults(model: object) -> list[str]:
    if not isinstance(model, str) or not model.strip():
        return ["model is empty; it must be a model's name"]
    if " ".join(model.split()) != model or not model.isprintable() or ".." in model:
        return [f"model is {model!r}; a model's name has no spaces at its ends, line breaks or '..'"]
    return []


def _parameter_faults(parameters: Mapping[str, Any]) -> list[str]:
    whole = parameters.get("stream") is False  # the answer is asked for at once
    own = [name for name in _OWN if name in parameters and not (whole and name == "stream")]
    faults = [f"{name} is set by chatkit itself; leave it out" for name in own]
    faults += [f"{name} is no parameter of a turn; give it to connect()" for name in CONNECTION if name in parameters]
    for name, value in parameters.items():
        if name in _NUMBERS and not _in_range(value, *_NUMBERS[name]):
            low, high = _NUMBERS[name]
            faults.append(f"{name} is {value!r}; it must be a number from {low} to {high}")
        elif name in _COUNTS and not (isinstance(value, int) and _in_range(value, *_COUNTS[name])):
            faults.append(f"{name} is {value!r}; it must be a whole number {_span(*_COUNTS[name])}")
    if "max_tokens" in parameters and "max_completion_tokens" in parameters:
        faults.append("max_tokens and max_completion_tokens are two names for one limit; give one")
    if "seed" in parameters and (isinstance(parameters["seed"], bool) or not isinstance(parameters["seed"], int)):
        faults.append(f"seed is {parameters['seed']!r}; it must be a whole number")
    if "stop" in parameters and not _is_stop(parameters["stop"]):
        faults.append("stop must be text, or a list of at most 4 texts")
    if not _is_format(parameters.get("response_format", "text")):
        faults.append("response_format must be 'text', 'json', a JSON schema, or the API's own object")
    if not isinstance(parameters.get("reasoning", {}), Mapping):
        faults.append(f"reasoning is {parameters['reasoning']!r}; it must be an object such as {{'effort': 'low'}}")
    if not isinstance(parameters.get("tools", []), list | tuple):
        faults.append("tools must be a list of the API's objects")
    if parameters.get("reasoning_effort", "none") not in _EFFORTS:
        faults.append(
            f"reasoning_effort is {parameters['reasoning_effort']!r}; it must be one of {', '.join(_EFFORTS)}"
        )
    return faults


def _is_format(value: object) -> bool:
    if not isinstance(value, Mapping):
        return value in ("text", "json")
    kind = value.get("type")
    if kind == "json_schema" and "json_schema" in value:
        return isinstance(value["json_schema"], Mapping)
    return isinstance(kind, str | list) or bool(SCHEMA_WORDS & value.keys())


def _in_range(value: object, low: float, high: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return low <= value and (high is None or value <= high)


def _span(low: int, high: int | None) -> str:
    return f"from {low} to {high}" if high is not None else f"of at least {low}"


def _is_stop(value: object) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, list | tuple) and 0 < len(value) <= 4 and all(isinstance(s, str) and s for s in value)
