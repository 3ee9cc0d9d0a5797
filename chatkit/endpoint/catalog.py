"""What a model is: how long it lives, what follows it, which parameters it refuses, how much it takes and gives.

In: a model's name. Out: a `Model`; what is not known of it is None, and an unknown model is never
refused. The facts are in model_facts.py; windows are the price table's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from chatkit.endpoint.model_facts import AT_REST, CHAT_ONLY, EFFORTS, ENDS, NO_PENALTIES, RESPONSES_ONLY, family
from chatkit.ledger import limits

HOSTED_DEFAULT = "gpt-6-luna"
"""The one name of a hosted chat model in this project."""

SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
"""What a model refuses while it reasons."""
STEERING = ("presence_penalty", "frequency_penalty", "stop", "logit_bias")
"""What the first models that reason refuse too, always."""
NOT_IN_RESPONSES = ("n", "presence_penalty", "frequency_penalty", "seed", "stop", "logit_bias")
"""What the Responses API does not have."""

_END_OF = {name: day for day, names in ENDS.items() for name in names.split()}
_ASKS_NOTHING = {"temperature": 1, "top_p": 1, "logprobs": False, "presence_penalty": 0, "frequency_penalty": 0}
_APIS = {"chat": "Chat Completions API", "responses": "Responses API"}


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of one model; `efforts` is None where that is not known, empty where it does not reason."""

    name: str
    ends: date | None = None
    efforts: tuple[str, ...] | None = None
    reasons_by_default: bool = False
    steers: bool = True
    only_api: str | None = None

    @property
    def instead(self) -> str:
        """The model that follows this one."""
        return "gpt-transcribe" if "whisper" in self.name or "transcribe" in self.name else HOSTED_DEFAULT

    @property
    def window(self) -> int | None:
        """The most tokens of a prompt and its answer together."""
        return limits.window(self.name)

    @property
    def longest_answer(self) -> int | None:
        """The most tokens of an answer, what is reasoned included."""
        return limits.longest_answer(self.name)

    @property
    def always_reasons(self) -> bool:
        """Whether it reasons and cannot be told not to."""
        return bool(self.efforts) and "none" not in (self.efforts or ())

    def verdict(
        self, parameter: str, parameters: Mapping[str, Any] | None = None, api: str = "chat", local: bool = False
    ) -> str | None:
        """Why `parameter` cannot be set, given the others, the API and whether chatkit's local server answers.

        None where it can, or where that is not known.

        >>> find("gpt-6-luna").verdict("temperature")
        'gpt-6-luna reasons by default and rejects temperature; set reasoning effort to none.'
        >>> find("gpt-6-luna").verdict("seed", api="responses")
        'The Responses API has no seed.'
        """
        if parameter == "api":
            return None if local or self.only_api is None else f"{self.name} speaks the {_APIS[self.only_api]} only."
        if api == "responses" and parameter in NOT_IN_RESPONSES:
            return f"The Responses API has no {parameter}."
        if local:
            return "The local model does not reason: this changes nothing." if parameter == "reasoning_effort" else None
        if parameter == "reasoning_effort":
            return f"{self.name} does not reason and rejects reasoning effort." if self.efforts == () else None
        if parameter == "max_tokens" and self.efforts and api == "chat":
            return f"{self.name} takes max_completion_tokens instead of max_tokens."
        if not self._rejects(parameter, parameters or {}):
            return None
        if self.always_reasons:
            return f"{self.name} always reasons and rejects {parameter}."
        by_default = "" if _effort(parameters or {}) else " by default"
        return f"{self.name} reasons{by_default} and rejects {parameter}; set reasoning effort to none."

    def refusals(self, parameters: Mapping[str, Any], api: str | None = None) -> list[str]:
        """Why the model would refuse a request with these parameters, a sentence each; `api` None: either."""
        given = {name: value for name, value in parameters.items() if value is not None}
        effort = _effort(given)
        found = (
            [f"{self.name} speaks the {_APIS[self.only_api]} only."] if api and self.only_api not in (None, api) else []
        )
        if effort is not None and self.efforts is not None and effort not in self.efforts:
            found.append(
                f"reasoning_effort {effort!r} is refused by {self.name}; it may be {', '.join(self.efforts)}."
                if self.efforts
                else f"reasoning_effort is refused by {self.name}, which does not reason; leave it out."
            )
        if "max_tokens" in given and self.efforts and api == "chat":
            found.append(f"max_tokens is refused by {self.name}; give max_completion_tokens instead.")
        way_out = "leave it out" if self.always_reasons else "leave it out or set reasoning_effort='none'"
        return found + [
            f"{name} is refused by {self.name} while it reasons; {way_out}."
            for name, value in given.items()
            if self._rejects(name, given) and (name not in _ASKS_NOTHING or value != _ASKS_NOTHING[name])
        ]

    def gone(self, today: date) -> str | None:
        """The sentence that says the model was shut down, once it was."""
        if self.ends is None or today < self.ends:
            return None
        return f"{self.name} was shut down on {self.ends:%Y-%m-%d}; {self.instead} follows it."

    def _rejects(self, parameter: str, parameters: Mapping[str, Any]) -> bool:
        if parameter in STEERING:
            return not self.steers
        if parameter not in SAMPLING or not self.efforts:
            return False
        effort = _effort(parameters)
        return self.always_reasons or (self.reasons_by_default if effort is None else effort != "none")


def find(name: str) -> Model:
    """What is known of a model; a dated name (`gpt-4o-2024-08-06`) is its family's.

    >>> find("gpt-3.5-turbo").gone(date(2026, 11, 1))
    'gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it.'
    """
    dated = max((known for known in _END_OF if name == known or name.startswith(f"{known}-20")), key=len, default=None)
    reasoner = None if "chat" in name or "search" in name else family(name, EFFORTS)
    efforts = None if reasoner is None else tuple(EFFORTS[reasoner].split())
    by_default = bool(efforts) and ("none" not in (efforts or ()) or reasoner not in AT_REST)
    only = "responses" if family(name, RESPONSES_ONLY) else "chat" if family(name, CHAT_ONLY) else None
    steers = reasoner is None or family(name, NO_PENALTIES) is None
    return Model(name, _END_OF[dated] if dated else None, efforts, by_default, steers, only)


def _effort(parameters: Mapping[str, Any]) -> Any:
    reasoning = parameters.get("reasoning")
    return parameters.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None)
