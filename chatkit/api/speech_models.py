"""The wire, what a model for speech can do: formats, languages, times, translation, streaming, length, end of life.

In: a model's name, whose rules hold where it is asked, and what is asked of it. Out: a `SpeechModel`, or an
InputError that names the models that can. OpenAI's facts (model_table.py) are refusals at OpenAI's own hosts only;
elsewhere they are the best guess at the form in which an answer can be had, and nothing is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from chatkit.api.hosts import HostRules
from chatkit.api.model_table import FEBRUARY, SPEECH, SpeechRow
from chatkit.api.models import is_dated
from chatkit.exceptions import InputError

Task = Literal["transcribe", "translate"]

HOSTED_TRANSCRIBE = "gpt-transcribe"
HOSTED_TRANSLATE = "whisper-1"
LOCAL = "whisper"
"""The name by which the local Whisper is asked; it answers under any."""

LARGEST_FILE = 26_214_400
"""Bytes that the API takes in one file."""
THE_LOCAL_ONE = "the local Whisper (connect(local=True))"
END_OF_WHISPER = FEBRUARY


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """What is known of one model that turns speech into text; `chatkit.speech_models()` has them all.

    `ends` is the day on which OpenAI shuts it down, `tasks` what it does; `times` and `words` say whether it tells the
    times of segments and words, `prompt`, `languages`, `keywords`, `speakers` and `logprobs` what else may be asked of
    it, `streams` whether the text comes while it hears; `longest` is seconds of audio in one request.

    >>> import chatkit
    >>> whisper = chatkit.speech_models()[0]
    >>> whisper.name, whisper.words, whisper.response_format
    ('whisper-1', True, 'verbose_json')
    """

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
    rules: HostRules = "openai"

    @property
    def local(self) -> bool:
        """Whether it is the local Whisper."""
        return self.rules == "local"

    @property
    def response_format(self) -> str:
        """The richest response format that it answers in."""
        return "verbose_json" if self.times else "diarized_json" if self.speakers else "json"

    def gone(self, today: date) -> bool:
        """Whether OpenAI has shut it down by that day."""
        return self.ends is not None and today >= self.ends


_SWITCHES = ("times", "words", "prompt", "languages", "keywords", "speakers", "logprobs", "streams")


def _of(row: SpeechRow) -> SpeechModel:
    can = row.can.split()
    tasks = frozenset({"transcribe", "translate"} & set(can))
    able: dict[str, Any] = {name: name in can for name in _SWITCHES}
    return SpeechModel(row.name, row.ends, tasks, longest=row.longest, **able)


KNOWN: tuple[SpeechModel, ...] = tuple(map(_of, SPEECH))

LOCAL_MODEL = SpeechModel(LOCAL, longest=600.0, rules="local")
"""The local Whisper; its parts are short, so that progress is seen and a stop is quick."""


def speech_models() -> tuple[SpeechModel, ...]:
    """The models that turn speech into text: OpenAI's, with the day on which each ends, and the local Whisper.

    >>> [model.name for model in speech_models() if "translate" in model.tasks]
    ['whisper-1', 'whisper']
    """
    return (*KNOWN, LOCAL_MODEL)


def find(name: str, rules: HostRules = "openai") -> SpeechModel:
    """What is known of a model where these rules hold; one that nobody knows is taken for a Whisper.

    >>> find("gpt-4o-mini-transcribe-2025-12-15").streams, find("whisper-large-v3").times
    (True, True)
    >>> find("whisper-1", "own").ends is None
    True
    """
    if rules == "local":
        return LOCAL_MODEL
    known = next((model for model in KNOWN if is_dated(name, model.name)), None)
    found = known or SpeechModel(name, longest=1400.0)
    return replace(found, name=name, ends=None, rules="own") if rules == "own" else found


def default(task: Task, rules: HostRules = "openai") -> str:
    """The model that is asked where none is named."""
    return LOCAL if rules == "local" else HOSTED_TRANSLATE if task == "translate" else HOSTED_TRANSCRIBE


def fit(model: SpeechModel, asked: Mapping[str, Any]) -> SpeechModel:
    """The model as it is asked where somebody else decides: what the caller wants of it, it is taken to give.

    >>> fit(find("gpt-transcribe", "own"), {"words": True}).response_format
    'verbose_json'
    """
    if model.rules != "own":
        return model
    wanted: dict[str, Any] = {able: True for name, able, _ in _NEEDS if asked.get(name)}
    if "words" in wanted or "times" in wanted:
        wanted |= {"times": True, "streams": False}  # times come with verbose_json, which no stream brings
    return replace(model, **wanted)


def check(model: SpeechModel, task: Task, today: date, asked: Mapping[str, Any]) -> None:
    """Raise an InputError for what the model cannot do, that names the models that can.

    `asked` holds the parameters that were given, and `words` and `times` where those are wanted. Where OpenAI does
    not answer, nothing is refused.
    """
    if model.rules == "own":
        return
    faults = [f"{model.name} was shut down on {model.ends:%Y-%m-%d}."] if model.gone(today) else []
    faults += _faults(model, task, asked)
    if task == "translate" and asked.get("language"):
        raise InputError(
            "A translation takes no language: the model finds it out, and writes English.", "Leave it out."
        )
    if faults:
        able = [m.name for m in KNOWN if not m.gone(today) and not _faults(m, task, asked)]
        able += [] if _faults(LOCAL_MODEL, task, asked) else [THE_LOCAL_ONE]
        can = f"What can: {', '.join(able)}." if able else "No model that is known can do all of this at once."
        raise InputError(" ".join(faults), can)


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
