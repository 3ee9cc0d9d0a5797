"""Speech, what is asked: the parameters of a transcription, checked, and the form that goes beside the file.

In: what the caller passed, and the model. Out: an `SpeechRequest`, and from it the form's fields. Ranges: the API's
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
from chatkit.audio.languages import CODES, code_of
from chatkit.client.address import Endpoint
from chatkit.exceptions import InputError

OWN = frozenset({"file", "stream", "response_format", "timestamp_granularities"})
"""What chatkit sets itself, so that it can read what comes back."""
FIND_OUT = frozenset({"auto", "detect", "automatic"})
"""What other programs call it where the model is to find the language out."""
LONGEST_PROMPT = 60_000
"""Bytes of a prompt; the local server takes 64 KiB of all that stands beside the file, a model reads 224 tokens."""


@dataclass(frozen=True)
class SpeechRequest:
    """One job's parameters."""

    task: Task
    model: str | None = None
    words: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, model: str | None, words: bool, parameters: Mapping[str, Any]) -> "SpeechRequest":
        """What was passed, with the language by its code; where it was called otherwise, a note says so."""
        given = {name: value for name, value in parameters.items() if value is not None}
        language, notes = _language(given.pop("language", None))
        return cls(task, model, words, given if language is None else {**given, "language": language}, notes)

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
    if language is not None and not (isinstance(language, str) and re.fullmatch(r"[a-z]{2,3}", language)):
        faults.append(f"language is {str(language)[:40]!r}; it must be a code such as 'en'")
    prompt = parameters.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        faults.append(f"prompt is {type(prompt).__name__}; it must be text")
    elif prompt is not None and len(prompt.encode("utf-8", "replace")) > LONGEST_PROMPT:
        faults.append(f"prompt has {len(prompt):,} characters; a model reads a few hundred words of it, so shorten it")
    for name in ("keywords", "languages", "known_speaker_names", "known_speaker_references", "include"):
        value = parameters.get(name)
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
            faults.append(f"{name} is {str(value)[:40]!r}; it must be a list of texts")
    return faults


def _language(said: Any) -> tuple[Any, tuple[str, ...]]:
    """The language as the API takes it, a code without a region; None where the model is to find it out.

    >>> _language("pt-BR"), _language("German"), _language("auto")
    (('pt', ("the language was asked for as 'pt', not as 'pt-BR'",)), ('de', ()), (None, ()))
    """
    if not isinstance(said, str) or not said.strip() or said.strip().lower() in FIND_OUT:
        return (None if isinstance(said, str) else said), ()
    plain = said.strip().lower()
    code = code_of(plain) or _primary(plain)
    if code is None or code == plain or CODES.get(plain) == code:
        return code or said, ()
    return code, (f"the language was asked for as {code!r}, not as {said.strip()!r}",)


def _primary(tag: str) -> str | None:
    """The first part of a tag such as "gsw-CH", where Whisper does not know the language."""
    match = re.fullmatch(r"([a-z]{2,3})([-_]\w{1,8})*", tag, re.ASCII)
    return match[1] if match else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
