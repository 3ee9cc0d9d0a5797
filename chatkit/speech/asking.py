"""Speech, what is asked: the parameters of a transcription, checked, and the form that goes beside the file.

In: what the caller passed, and the model. Out: an `Ask`, and from it the form's fields. Ranges: the API's
description of both endpoints.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chatkit.api import speech_models
from chatkit.api.parameters import CONNECTION
from chatkit.api.speech_models import SpeechModel, Task
from chatkit.endpoint.address import Endpoint
from chatkit.exceptions import InputError

OWN = frozenset({"file", "stream", "response_format", "timestamp_granularities"})
"""What chatkit sets itself, so that it can read what comes back."""


@dataclass(frozen=True)
class Ask:
    """One job's parameters."""

    task: Task
    model: str | None = None
    words: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise an InputError that names every parameter that cannot be sent, and its rule."""
        faults = [f"{name} is set by chatkit; leave it out" for name in sorted(OWN & set(self.parameters))]
        faults += [
            f"{name} is no parameter of a transcription; give it to connect()"
            for name in CONNECTION
            if name in self.parameters
        ]
        faults += _faults(self.parameters)
        if self.model is not None and (
            not isinstance(self.model, str) or not re.fullmatch(r"[^\s\x00-\x1f]{1,300}", self.model)
        ):
            faults.append("model is not the name of a model")
        if faults:
            raise InputError(" ".join(f"{fault}." for fault in faults), "Nothing was sent.")

    def model_at(self, endpoint: Endpoint) -> SpeechModel:
        """What is known of the model that is asked there. Raises InputError for what it cannot do."""
        name = self.model or speech_models.default(self.task, endpoint.rules)
        model = speech_models.find(name, endpoint.rules)
        asked = {**self.parameters, "words": self.words}
        speech_models.check(model, self.task, datetime.now(UTC).date(), asked)
        return speech_models.fit(model, asked)

    def fields(self, model: SpeechModel, *, overlap: bool = False) -> dict[str, Any]:
        """The form beside the file; where parts overlap, the words' times are needed to join them."""
        form: dict[str, Any] = {"model": self.model or model.name, "response_format": model.response_format}
        if model.times:
            words = self.words or (overlap and model.words)
            form["timestamp_granularities"] = ["segment", "word"] if words else ["segment"]
        if self.task == "translate":
            form.pop("timestamp_granularities", None)  # this endpoint has no such parameter
        if model.streams:
            form["stream"] = True
        if model.speakers:
            form["chunking_strategy"] = "auto"
        return {**form, **{k: v for k, v in self.parameters.items() if v is not None}}


def _faults(parameters: Mapping[str, Any]) -> list[str]:
    faults = []
    temperature = parameters.get("temperature")
    if temperature is not None and not (_is_number(temperature) and 0 <= temperature <= 1):
        faults.append(f"temperature is {temperature!r}; it must be a number from 0 to 1")
    language = parameters.get("language")
    if language is not None and not (isinstance(language, str) and re.fullmatch(r"[A-Za-z]{2,3}(-\w{1,8})*", language)):
        faults.append(f"language is {str(language)[:40]!r}; it must be a code such as 'en'")
    prompt = parameters.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        faults.append(f"prompt is {type(prompt).__name__}; it must be text")
    for name in ("keywords", "languages", "known_speaker_names", "known_speaker_references", "include"):
        value = parameters.get(name)
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
            faults.append(f"{name} is {str(value)[:40]!r}; it must be a list of texts")
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
