"""What a model is: how long it lives, what follows it, which parameters it refuses, its window.

In: a model's name. Out: a `Model`; what is not known of it is None, and an unknown model is never
refused. Days of shut-down: openai 3.54, `openai/types/shared/chat_model.py`. Defaults of reasoning
effort and windows: the vendor's model pages, read in November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

HOSTED_DEFAULT = "gpt-6-luna"
"""The one name of a hosted chat model in this project."""

SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
"""What a model that reasons refuses."""

_ENDS = {
    date(2024, 1, 4): "text-davinci-002 text-davinci-003",
    date(2026, 7, 23): "gpt-5.1-codex gpt-5.1-chat-latest gpt-5-chat-latest gpt-4o-search-preview gpt-4o-mini-search-preview",
    date(2026, 8, 10): "gpt-5.3-chat-latest gpt-5.2-chat-latest",
    date(2026, 10, 23): "gpt-4.1-nano o4-mini o3-mini o1 gpt-4o-2024-05-13 gpt-4-turbo gpt-4-1106-preview gpt-4 gpt-3.5-turbo",
    date(2026, 12, 11): "gpt-5 gpt-5-mini gpt-5-nano o3",
    date(2027, 1, 14): "gpt-4.1 gpt-4.1-mini gpt-4o gpt-4o-mini",
    date(2027, 2, 26): "whisper-1 gpt-4o-transcribe gpt-4o-mini-transcribe",
    date(2027, 4, 1): "gpt-5.4-nano gpt-5.1",
}  # fmt: skip
_END_OF = {name: day for day, names in _ENDS.items() for name in names.split()}

_REASONS_BY_DEFAULT = ("o1", "o3", "o4-mini", "gpt-5-", "gpt-5.6", "gpt-6")
_WINDOWS = {"gpt-6": 1_050_000}


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of one model."""

    name: str
    ends: date | None = None
    reasons_by_default: bool = False
    window: int | None = None

    @property
    def instead(self) -> str:
        """The model that follows this one."""
        return "gpt-transcribe" if "whisper" in self.name or "transcribe" in self.name else HOSTED_DEFAULT

    def refusals(self, parameters: Mapping[str, Any]) -> list[str]:
        """Why the model would refuse these parameters, a sentence each."""
        effort = _effort(parameters)
        if effort == "none" or (effort is None and not self.reasons_by_default):
            return []
        return [
            f"{name} is refused by {self.name} while it reasons; leave it out or set reasoning_effort='none'."
            for name in SAMPLING
            if parameters.get(name) not in (None, 1, False)
        ]

    def gone(self, today: date) -> str | None:
        """The sentence that says the model was shut down, once it was."""
        if self.ends is None or today < self.ends:
            return None
        return f"{self.name} was shut down on {self.ends:%Y-%m-%d}; {self.instead} follows it."


def find(name: str) -> Model:
    """What is known of a model; a dated name (`gpt-4o-2024-08-06`) is its family's.

    >>> find("gpt-3.5-turbo").gone(date(2026, 11, 1))
    'gpt-3.5-turbo was shut down on 2026-10-23; gpt-6-luna follows it.'
    """
    family = max((known for known in _END_OF if name == known or name.startswith(f"{known}-20")), key=len, default=None)
    reasons = f"{name}-".startswith(_REASONS_BY_DEFAULT) and "chat" not in name
    window = next((size for start, size in _WINDOWS.items() if name.startswith(start)), None)
    return Model(name, _END_OF[family] if family else None, reasons, window)


def _effort(parameters: Mapping[str, Any]) -> Any:
    reasoning = parameters.get("reasoning")
    return parameters.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None)
