"""The wire, the parameters of a request: one table, and the check of what is given before anything is sent.

In: parameters as a person gives them. Out: the table's rows; what cannot be sent, a sentence each. What stands in no
row passes: an endpoint may have its own. Sources: the API's description of Chat Completions, Responses and
Completions; the names that openai 3.54 takes (a test compares them). Which model refuses what: models.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chatkit.api import response_formats
from chatkit.api.hosts import HostRules
from chatkit.exceptions import InputError

ParameterKind = Literal["number", "count", "whole", "texts", "effort", "format", "object", "list", "any"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model may be told to reason; which of these one takes, models.py knows."""
CONNECTION = ("api_key", "base_url", "organization", "project", "default_headers", "extra_headers", "http_client")
"""What says where calls go and with which key; it is no part of a request's body."""
MOST_STOPS = 4
COMPLETIONS_LIMIT = 16
"""Tokens of an answer of the legacy Completions API for which no limit was asked."""

SAME = "="


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the API.

    `low` and `high` are its range, `apis` the SDK's methods that take it by this name. `responses` is where it stands
    in a body for Responses: `SAME`, a path, or None where that API has nothing like it; `nothing` is the value that
    asks for nothing. `refused` is by whom: models while they reason, or those of the first kind that reasoned, always.
    `local` is what the local server does with it. One that is `plain` only shapes an answer, whatever its value. One
    with a `label` has a control; `hint` and the defaults (OpenAI's, the local server's) are what is shown there while
    nothing is set.
    """

    name: str
    kind: ParameterKind = "any"
    low: float | None = None
    high: float | None = None
    apis: str = "chat responses"
    responses: str | None = SAME
    nothing: Any = None
    refused: Literal["sampling", "steering"] | None = None
    local: Literal["takes", "ignores", "refuses"] = "takes"
    plain: bool = False
    label: str = ""
    example: str = ""
    hint: str = "default"
    default: float | None = None
    local_default: float | None = None
    local_high: int | None = None

    @property
    def rule(self) -> str:
        """What a value must be, for a sentence."""
        return f"{self._span()}, such as {self.example}" if self.example else self._span()

    def range_at(self, rules: HostRules | None) -> tuple[float | None, float | None]:
        """The least and the most that may be asked for there."""
        return self.low, self.local_high if rules == "local" and self.local_high else self.high

    def fault(self, value: Any, rules: HostRules | None = None) -> str | None:
        """Why the value cannot be sent, in words; None if it can."""
        low, high = self.range_at(rules)
        if self.kind in ("number", "count", "whole"):
            whole = self.kind == "number" or isinstance(value, int)
            return None if whole and _in_range(value, low, high) else f"is {value!r}; it must be {self._span(rules)}"
        if self.kind == "texts":
            return None if _is_texts(value) else f"must be text, or a list of at most {MOST_STOPS} texts"
        if self.kind == "format":
            return response_formats.fault(value)
        if self.kind == "object":
            return None if isinstance(value, Mapping) else f"is {value!r}; it must be an object such as {self.example}"
        if self.kind == "list":
            return None if isinstance(value, list | tuple) else "must be a list of the API's objects"
        if self.kind == "effort" and not isinstance(value, str):
            return f"is {value!r}; it must be text, such as 'low'"
        if self.kind == "effort" and rules == "openai" and value not in EFFORTS:
            return f"is {value!r}; it must be one of {', '.join(EFFORTS)}"
        return None

    def _span(self, rules: HostRules | None = None) -> str:
        low, high = self.range_at(rules)
        if self.kind == "number":
            return f"a number from {low} to {high}"
        if self.kind == "count":
            return f"a whole number {f'from {low} to {high}' if high is not None else f'of at least {low}'}"
        return {"whole": "a whole number", "texts": f"at most {MOST_STOPS} lines"}.get(self.kind, "one of the list")


def _plain(names: str, **more: Any) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, **more) for name in names.split())


TABLE: tuple[Parameter, ...] = (
    Parameter("temperature", "number", 0, 2, "chat responses completions", nothing=1, refused="sampling",
              label="Temperature", example="0.7", default=1, local_default=0.1, plain=True),
    Parameter("top_p", "number", 0, 1, "chat responses completions", nothing=1, refused="sampling",
              label="Top p", example="0.9", default=1, local_default=0.9, plain=True),
    Parameter("max_tokens", "count", 1, apis="chat completions", responses="max_output_tokens"),
    Parameter("max_completion_tokens", "count", 1, apis="chat", responses="max_output_tokens",
              label="Max tokens", local_default=512),
    Parameter("max_output_tokens", "count", 1, apis="responses"),
    Parameter("stop", "texts", apis="chat completions", responses=None, refused="steering",
              label="Stop, one a line", hint="none", plain=True),
    Parameter("seed", "whole", apis="chat completions", responses=None, label="Seed", hint="random", plain=True),
    Parameter("n", "count", 1, 128, "chat completions", None, 1, label="Answers (n)", default=1, local_default=1,
              local_high=16),
    Parameter("presence_penalty", "number", -2, 2, "chat completions", None, 0, "steering",
              label="Presence penalty", default=0, local_default=0, plain=True),
    Parameter("frequency_penalty", "number", -2, 2, "chat completions", None, 0, "steering",
              label="Frequency penalty", default=0, local_default=0, plain=True),
    Parameter("reasoning_effort", "effort", apis="chat", responses="reasoning.effort", local="ignores",
              label="Reasoning effort"),
    Parameter("response_format", "format", apis="chat", responses="text.format", plain=True),
    Parameter("logprobs", apis="chat completions", responses="include", nothing=False, refused="sampling", plain=True),
    Parameter("top_logprobs", "count", 0, 20, refused="sampling", plain=True),
    Parameter("logit_bias", apis="chat completions", responses=None, refused="steering", plain=True),
    Parameter("reasoning", "object", apis="responses", local="ignores", example="{'effort': 'low'}"),
    Parameter("verbosity", apis="chat", responses="text.verbosity", local="ignores", plain=True),
    Parameter("tools", "list"),
    *_plain("model stream stream_options", apis="chat responses completions"),
    *_plain("messages", apis="chat"),
    *_plain("input instructions", apis="responses"),
    *_plain("tool_choice"),
    *_plain("functions function_call modalities", apis="chat"),
    *_plain("audio prediction web_search_options", apis="chat", local="refuses"),
    *_plain("text truncation include background max_tool_calls", apis="responses"),
    *_plain("previous_response_id conversation context_management", apis="responses", local="refuses"),
    *_plain("access_programs background_options image", apis="responses", local="refuses"),
    *_plain("metadata store service_tier safety_identifier prompt_cache_key prompt_cache_options "
            "prompt_cache_retention parallel_tool_calls moderation", local="ignores"),
    *_plain("user", apis="chat responses completions", local="ignores"),
    *_plain("prompt", apis="responses", local="refuses"),
    *_plain("prompt best_of echo", apis="completions"),
    *_plain("suffix", apis="completions", local="refuses"),
)  # fmt: skip

_BY_NAME = {row.name: row for row in TABLE}
OWN = ("model", "messages", "input", "instructions", "stream", "stream_options")
"""What chatkit sets itself."""

LIMITS = tuple(row.name for row in TABLE if "max_output_tokens" in (row.name, row.responses))
"""The names by which an answer's length is limited; they mean the same."""
CONTROLS = tuple(row for row in TABLE if row.label)
"""Those that have a control in the settings, in its order."""
NOT_IN_RESPONSES = tuple(row.name for row in TABLE if row.responses is None)
"""What the Responses API does not have."""
LOCAL_DEFAULTS: Mapping[str, Any] = {row.name: row.local_default for row in TABLE if row.local_default is not None}
"""What the local server takes where the request does not say. The makers of SmolLM2 advise a temperature of 0.2 and
top_p 0.9; at 0.2 it put the 2014 World Cup in Brazil in 35 answers of 48, at 0.1 in all of 16. At the API's own 1 so
small a model rambles, and without a limit it would fill its whole window."""
LOCAL_LONGEST: int = LOCAL_DEFAULTS["max_completion_tokens"]
"""Tokens after which the local server ends an answer for which no limit was asked."""


def find(name: str) -> Parameter:
    """The row of a parameter; of one that nobody knows, a row that takes anything.

    >>> find("temperature").rule, find("my_own").fault("x")
    ('a number from 0 to 2, such as 0.7', None)
    """
    return _BY_NAME.get(name) or Parameter(name)


def named(api: str, local: str | None = None) -> frozenset[str]:
    """The parameters that an API ("chat", "responses", "completions") has by name.

    With `local`, those of them that the local server "takes", "ignores" or "refuses".
    """
    return frozenset(row.name for row in TABLE if api in row.apis.split() and local in (None, row.local))


def answer_limit(parameters: Mapping[str, Any]) -> int | None:
    """The most tokens that an answer may have, if the parameters (or a body) say so.

    >>> answer_limit({"max_tokens": 5}), answer_limit({"max_tokens": "5"})
    (5, None)
    """
    limits = (parameters.get(name) for name in LIMITS)
    return next((limit for limit in limits if type(limit) is int and limit > 0), None)


def effort_of(parameters: Mapping[str, Any]) -> Any:
    """How much the model is told to reason, under either API's name for it; None where nothing is said."""
    reasoning = parameters.get("reasoning")
    return parameters.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None)


def check(model: str, parameters: Mapping[str, Any], rules: HostRules | None = "openai") -> None:
    """Raise an InputError that names every parameter that cannot be sent, and its rule."""
    if found := faults(model, parameters, rules):
        raise InputError(" ".join(found), "Nothing was sent.")


def faults(model: str, parameters: Mapping[str, Any], rules: HostRules | None = "openai") -> list[str]:
    """What cannot be sent of these, a sentence each; `rules` None: to nobody, whoever will answer."""
    given = {k: v for k, v in parameters.items() if v is not None}
    return [f"{fault}." for fault in (*_model_faults(model), *_parameter_faults(given, rules))]


def _model_faults(model: object) -> list[str]:
    if not isinstance(model, str) or not model.strip():
        return ["model is empty; it must be a model's name"]
    if " ".join(model.split()) != model or not model.isprintable() or ".." in model:
        return [f"model is {model!r}; a model's name has no spaces at its ends, line breaks or '..'"]
    return []


def _parameter_faults(given: Mapping[str, Any], rules: HostRules | None) -> list[str]:
    whole = given.get("stream") is False  # the answer is asked for at once
    own = [name for name in OWN if name in given and not (whole and name == "stream")]
    found = [f"{name} is set by chatkit itself; leave it out" for name in own]
    found += [f"{name} is no parameter of a turn; give it to connect()" for name in CONNECTION if name in given]
    found += [f"{name} {fault}" for name, value in given.items() if (fault := find(name).fault(value, rules))]
    if len(limits := [name for name in LIMITS if name in given]) > 1:
        found.append(f"{' and '.join(limits)} are {len(limits)} names for one limit; give one".replace(" 2 ", " two "))
    return found


def _in_range(value: object, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (low is None or low <= value) and (high is None or value <= high)


def _is_texts(value: object) -> bool:
    if isinstance(value, str):
        return bool(value)
    few = isinstance(value, list | tuple) and 0 < len(value) <= MOST_STOPS
    return few and all(isinstance(s, str) and s for s in value)  # type: ignore[attr-defined]  # a list by now
