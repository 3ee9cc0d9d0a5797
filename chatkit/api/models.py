"""The wire, what a model is: how long it lives, which parameters it refuses, how much it gives; and lists of models.

In: a model's name, and whose rules hold where it is asked. Out: a `Model`; what is not known of it is None. OpenAI's
facts (model_table.py) hold at OpenAI's own hosts: elsewhere the same name is somebody's alias, and nothing is refused.
Windows are the price table's: ledger/estimate.py.

Together and Jan send a bare array (danielmiessler/Fabric#435, janhq/jan#1669), others `models`, or names alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from chatkit.api import parameters as table
from chatkit.api.hosts import HostRules
from chatkit.api.model_table import SPEECH, TABLE, ModelFacts
from chatkit.api.text import decode, mend

HOSTED_DEFAULT = "gpt-6-luna"
"""The one name of a hosted chat model in this project."""

_ENDS = {r.name: r.ends for r in TABLE if r.ends} | {r.name: r.ends for r in SPEECH if r.ends}
_APIS = {"chat": "Chat Completions API", "responses": "Responses API"}
_ASIDE = ("chat", "search")
"""Words of names that stand beside a family and take nothing over from it."""

Why = Literal["other api", "no such", "ignored", "old name", "never reasons", "always reasons", "reasons", "by default"]

_CONTROL: Mapping[Why, str] = {
    "other api": "{model} speaks the {api} only.",
    "no such": "The Responses API has no {name}.",
    "ignored": "The local model does not reason: this changes nothing.",
    "old name": "{model} takes max_completion_tokens instead of max_tokens.",
    "never reasons": "{model} does not reason and rejects reasoning effort.",
    "always reasons": "{model} always reasons and rejects {name}.",
    "reasons": "{model} reasons and rejects {name}; set reasoning effort to none.",
    "by default": "{model} reasons by default and rejects {name}; set reasoning effort to none.",
}
_LEAVE = "{name} is refused by {model} while it reasons; leave it out"
_REQUEST: Mapping[Why, str] = {
    "other api": "{model} speaks the {api} only.",
    "old name": "{name} is refused by {model}; give max_completion_tokens instead.",
    "never reasons": "reasoning_effort is refused by {model}, which does not reason; leave it out.",
    "always reasons": f"{_LEAVE}.",
    "reasons": f"{_LEAVE} or set reasoning_effort='none'.",
    "by default": f"{_LEAVE} or set reasoning_effort='none'.",
}
"""The same verdicts as the request's check says them; what is not here goes out."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of one model; `efforts` is None where that is not known, empty where it does not reason."""

    name: str
    ends: date | None = None
    efforts: tuple[str, ...] | None = None
    reasons_by_default: bool = False
    steers: bool = True
    only_api: str | None = None
    longest_answer: int | None = None
    rules: HostRules = "openai"

    @property
    def instead(self) -> str:
        """The model that follows this one."""
        return "gpt-transcribe" if "whisper" in self.name or "transcribe" in self.name else HOSTED_DEFAULT

    @property
    def offered_efforts(self) -> tuple[str, ...]:
        """The efforts of reasoning to choose from: its own, or all where they are not known."""
        return table.EFFORTS if self.efforts is None else self.efforts

    @property
    def always_reasons(self) -> bool:
        """Whether it reasons and cannot be told not to."""
        return bool(self.efforts) and "none" not in (self.efforts or ())

    def why_not(self, parameter: str, given: Mapping[str, Any], api: str | None = "chat") -> Why | None:
        """Why `parameter` cannot be set beside the others in `given`; None where it can, or where that is not known."""
        if parameter == "api":
            return "other api" if self.only_api else None
        if api == "responses" and parameter in table.NOT_IN_RESPONSES:
            return "no such"
        if parameter == "reasoning_effort":
            return "ignored" if self.rules == "local" else "never reasons" if self.efforts == () else None
        if parameter == "max_tokens":
            return "old name" if self.efforts and api == "chat" else None
        return self._reasoning(table.find(parameter).refused, table.effort_of(given))

    def verdict(self, parameter: str, given: Mapping[str, Any] | None = None, api: str = "chat") -> str | None:
        """`why_not` in a sentence for a control.

        >>> find("gpt-6-luna").verdict("temperature")
        'gpt-6-luna reasons by default and rejects temperature; set reasoning effort to none.'
        >>> find("gpt-6-luna", "own").verdict("temperature") is None
        True
        """
        why = self.why_not(parameter, given or {}, api)
        return self._said(_CONTROL[why], parameter) if why else None

    def rejected(self, given: Mapping[str, Any], api: str) -> dict[str, str]:
        """Which parameters would be refused or not heeded, set or not, and why; also "api", where the model has one."""
        names = (*_JUDGED, "api")
        return {name: said for name in names if (said := self.verdict(name, given, api))}

    def refusals(self, parameters: Mapping[str, Any], api: str | None = None) -> list[str]:
        """Why the model would refuse a request with these parameters, a sentence each; `api` None: either."""
        given = {name: value for name, value in parameters.items() if value is not None}
        effort = table.effort_of(given)
        if effort is not None:
            given = {"reasoning_effort": effort, **given}
        verdicts = [(name, why) for name in ("api", *_JUDGED) if (why := self._refused(name, given, api))]
        found = [self._said(_REQUEST[why], name) for name, why in verdicts if why in _REQUEST]
        if effort is not None and self.efforts and effort not in self.efforts:
            known = ", ".join(self.efforts)
            found.insert(0, f"reasoning_effort {effort!r} is refused by {self.name}; it may be {known}.")
        return found

    def gone(self, today: date) -> str | None:
        """The sentence that says the model was shut down, once it was."""
        if self.ends is None or today < self.ends:
            return None
        return f"{self.name} was shut down on {self.ends:%Y-%m-%d}; {self.instead} follows it."

    def _refused(self, name: str, given: Mapping[str, Any], api: str | None) -> Why | None:
        if name == "api":
            return "other api" if api and self.only_api not in (None, api) else None
        nothing = table.find(name).nothing
        if name not in given or (nothing is not None and given[name] == nothing):
            return None
        return self.why_not(name, given, api)

    def _reasoning(self, refused: str | None, effort: Any) -> Why | None:
        reasons = self.reasons_by_default if effort is None else bool(self.efforts) and effort != "none"
        if refused == "steering":
            return None if self.steers else "always reasons"
        if refused is None or not (self.always_reasons or reasons):
            return None
        return "always reasons" if self.always_reasons else "reasons" if effort else "by default"

    def _said(self, sentence: str, parameter: str) -> str:
        return sentence.format(model=self.name, name=parameter, api=_APIS.get(self.only_api or "", ""))


_JUDGED = (
    *(row.name for row in table.TABLE if row.refused or row.responses is None),
    "reasoning_effort",
    "max_tokens",
)
"""The parameters that some model, or one of the APIs, does not take."""


@lru_cache(maxsize=1024)
def find(name: str, rules: HostRules = "openai") -> Model:
    """What is known of a model where these rules hold; a dated name (`gpt-4o-2024-08-06`) is its family's.

    >>> find("gpt-3.5-turbo").gone(date(2026, 11, 1))
    'gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it.'
    >>> find("gpt-3.5-turbo", "own").gone(date(2026, 11, 1)) is None
    True
    """
    if rules != "openai":
        return Model(name, longest_answer=table.LOCAL_LONGEST if rules == "local" else None, rules=rules)
    rows = _rows(name)
    said = next((row.efforts for row in rows if row.efforts is not None), None)
    efforts = None if said is None else tuple(said.split())
    rests = next((row.rests for row in rows if row.rests is not None), False)
    return Model(
        name,
        ends_of(name),
        efforts,
        bool(efforts) and not (rests and "none" in (efforts or ())),
        next((row.steers for row in rows if row.steers is not None), True),
        next((row.only for row in rows if row.only), None),
        next((row.longest for row in rows if row.longest), None),
    )


def ends_of(name: str) -> date | None:
    """The day on which OpenAI shuts the model down, or did; of a dated name that has none of its own, its family's."""
    known = (other for other in _ENDS if is_dated(name, other))
    longest = max(known, key=len, default=None)
    return _ENDS[longest] if longest else None


def is_dated(name: str, family: str) -> bool:
    """Whether the name is that of `family`, or of one of its snapshots: `gpt-4o-2024-08-06` of `gpt-4o`."""
    return name == family or name.startswith(f"{family}-20")


def _rows(name: str) -> list[ModelFacts]:
    """The rows that say something of the model, the longest name first."""
    aside = [word for word in _ASIDE if word in name]
    rows = [row for row in TABLE if name == row.name or name.startswith(f"{row.name}-")]
    return sorted((row for row in rows if all(word in row.name for word in aside)), key=lambda row: -len(row.name))


_LISTS = ("models", "result", "items")
_NAMES = ("id", "name", "model")


def read_models(body: bytes) -> list[dict[str, Any]]:
    """The models of a list; raises ValueError for what is no list.

    >>> read_models(b'[{"id": "a"}, {"id": null}, null, "b"]')
    [{'id': 'a'}, {'id': 'b'}]
    """
    listed = decode(body.decode("utf-8", "replace"))
    if isinstance(listed, Mapping):
        others = (listed[name] for name in _LISTS if isinstance(listed.get(name), list) and listed[name])
        listed = listed["data"] if isinstance(listed.get("data"), list) else next(others, None)
    if not isinstance(listed, list):
        raise ValueError("it holds no list of models")
    return [model for model in map(_model, listed) if model]


def _model(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return {"id": mend(entry)} if entry else None
    if not isinstance(entry, Mapping):
        return None
    name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str) and entry[key]), None)
    return {**entry, "id": name} if name else None
