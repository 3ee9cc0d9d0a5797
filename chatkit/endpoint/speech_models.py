"""What a model for speech can do: formats, languages, times, translation, streaming, length, end of life.

In: a model's name, and what is asked of it. Out: a `SpeechModel`, or an InputError that names the models
that can. What is not known of a model is let through: an endpoint may have its own.
Sources: openai 3.54, `openai/types/audio/transcription_create_params.py`, `translation_create_params.py` and
`audio_model.py` (shut-down dates, formats, parameters); 1,400 s for the gpt-4o family is what the API
answers for longer files, and is assumed for gpt-transcribe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from chatkit.endpoint import catalog
from chatkit.exceptions import InputError

Task = Literal["transcribe", "translate"]

HOSTED_TRANSCRIBE = "gpt-transcribe"
HOSTED_TRANSLATE = "whisper-1"
LOCAL = "whisper"
"""The name by which the local Whisper is asked; it answers under any."""

UPLOAD = 26_214_400
"""Bytes that the API takes in one file."""
EXTENSIONS = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
"""What the API takes, by the file name's ending."""

THE_LOCAL_ONE = "the local Whisper (connect(local=True))"
END_OF_WHISPER = catalog.find("whisper-1").ends
"""The day on which all hosted models for speech end but one, and the endpoint for translations with them."""


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """What is known of one model for speech; `longest` is seconds of audio in one request."""

    name: str
    ends: date | None = None
    tasks: frozenset[str] = frozenset({"transcribe", "translate"})
    times: bool = True
    words: bool = True
    prompt: bool = True
    languages: bool = False
    keywords: bool = False
    speakers: bool = False
    logprobs: bool = False
    streams: bool = False
    longest: float | None = None
    local: bool = False

    def format(self) -> str:
        """The richest response format that it answers in."""
        return "verbose_json" if self.times else "diarized_json" if self.speakers else "json"


_WHISPER = SpeechModel("whisper-1", END_OF_WHISPER, longest=1400.0)
_ONLY_TRANSCRIBES = frozenset({"transcribe"})

KNOWN: tuple[SpeechModel, ...] = (
    _WHISPER,
    SpeechModel(
        "gpt-transcribe", None, _ONLY_TRANSCRIBES, times=False, words=False, languages=True, keywords=True,
        streams=True, longest=1400.0,
    ),
    SpeechModel(
        "gpt-4o-transcribe-diarize", END_OF_WHISPER, _ONLY_TRANSCRIBES, times=False, words=False, prompt=False,
        speakers=True, longest=1400.0,
    ),
    SpeechModel(
        "gpt-4o-mini-transcribe", END_OF_WHISPER, _ONLY_TRANSCRIBES, times=False, words=False, logprobs=True,
        streams=True, longest=1400.0,
    ),
    SpeechModel(
        "gpt-4o-transcribe", END_OF_WHISPER, _ONLY_TRANSCRIBES, times=False, words=False, logprobs=True,
        streams=True, longest=1400.0,
    ),
)  # fmt: skip

LOCAL_MODEL = SpeechModel(LOCAL, longest=600.0, local=True)
"""The local Whisper; its parts are short, so that progress is seen and a stop is quick."""


def find(name: str, *, local: bool = False) -> SpeechModel:
    """What is known of a model; one that nobody knows is taken for a Whisper.

    >>> find("gpt-4o-mini-transcribe-2025-12-15").streams, find("whisper-large-v3").times
    (True, True)
    """
    if local:
        return LOCAL_MODEL
    known = next((model for model in KNOWN if name == model.name or name.startswith(f"{model.name}-20")), None)
    return known or SpeechModel(name, longest=1400.0)


def default(task: Task, *, local: bool = False) -> str:
    """The model that is asked where none is named."""
    return LOCAL if local else HOSTED_TRANSLATE if task == "translate" else HOSTED_TRANSCRIBE


def check(model: SpeechModel, task: Task, today: date, asked: Mapping[str, Any]) -> None:
    """Raise an InputError for what the model cannot do, that names the models that can.

    `asked` holds the parameters that were given, and `words` and `times` where those are wanted.
    """
    faults = [f"{model.name} was shut down on {model.ends:%Y-%m-%d}."] if _gone(model, today) else []
    faults += _faults(model, task, asked)
    if task == "translate" and asked.get("language"):
        raise InputError(
            "A translation takes no language: the model finds it out, and writes English.", "Leave it out."
        )
    if faults:
        able = [m.name for m in KNOWN if not _gone(m, today) and not _faults(m, task, asked)]
        able += [] if _faults(LOCAL_MODEL, task, asked) else [THE_LOCAL_ONE]
        can = f"What can: {', '.join(able)}." if able else "No model that is known can do all of this at once."
        raise InputError(" ".join(faults), can)


def _gone(model: SpeechModel, today: date) -> bool:
    return model.ends is not None and today >= model.ends


_NEEDS = (
    ("words", "words", "gives no times of words"),
    ("times", "times", "gives no times"),
    ("keywords", "keywords", "takes no keywords"),
    ("languages", "languages", "takes no list of languages, only one `language`"),
    ("prompt", "prompt", "takes no prompt"),
    ("known_speaker_names", "speakers", "does not tell speakers apart"),
    ("known_speaker_references", "speakers", "does not tell speakers apart"),
    ("include", "logprobs", "gives no log probabilities"),
)


def _faults(model: SpeechModel, task: Task, asked: Mapping[str, Any]) -> list[str]:
    faults = [] if task in model.tasks else [f"{model.name} does not translate into English."]
    wanting = (words for name, able, words in _NEEDS if asked.get(name) and not getattr(model, able))
    return faults + [f"{model.name} {words}." for words in dict.fromkeys(wanting)]
