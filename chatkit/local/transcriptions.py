"""Annexe: /v1/audio/transcriptions and /v1/audio/translations. In: the form, then segments. Out: what the API answers."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from chatkit.api.speech_models import Task
from chatkit.audio import subtitles
from chatkit.audio.languages import CODES, NAMES, code_of
from chatkit.audio.subtitles import Cue
from chatkit.local.form import UploadForm
from chatkit.local.validation import ApiError, Fields, shown

SegmentObject = dict[str, Any]

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
STREAMED = ("json", "text")
GRANULARITIES = ("word", "segment")
NOT_HERE = frozenset({"languages", "keywords", "include", "known_speaker_names", "known_speaker_references"})
"""Parameters of the API that its other models know and Whisper does not."""
KNOWN: dict[Task, frozenset[str]] = {
    "translate": frozenset({"model", "prompt", "response_format", "temperature"}),
    "transcribe": frozenset({
        "model", "prompt", "response_format", "temperature", "language", "timestamp_granularities", "stream",
        "chunking_strategy",
    }),
}  # fmt: skip
NO_LANGUAGE = "unknown"
"""Where nothing was said."""
MOST_TOLD = 20
"""Stretches of speech without text that an answer's head tells; the body tells all."""


@dataclass(frozen=True)
class AudioRequest:
    """One request, read and checked."""

    task: Task
    model: str
    format: str
    language: str | None
    prompt: str | None
    temperature: float
    granularities: tuple[str, ...]
    stream: bool

    @property
    def job(self) -> dict[str, Any]:
        """The same in the recogniser's words."""
        return {
            "task": self.task, "language": self.language, "prompt": self.prompt, "temperature": self.temperature,
            "words": "word" in self.granularities,
        }  # fmt: skip


@dataclass(slots=True)
class Recognised:
    """What was said, put together from the recogniser's lines; `seconds` is the audio's length."""

    segments: list[SegmentObject] = field(default_factory=list)
    language: str | None = None
    seconds: float = 0.0
    damaged_after: float | None = None
    languages: list[str] = field(default_factory=list)
    unheard: list[list[float]] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Take in the next line."""
        if "segment" in line:
            self.segments.append({"id": len(self.segments), **line["segment"]})
        elif "done" in line:
            done = line["done"]
            self.language, self.seconds, self.damaged_after = done["language"], done["duration"], done["damaged_after"]
            self.languages, self.unheard = done.get("languages", []), done.get("unheard", [])

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(segment["text"] for segment in self.segments).strip()

    @property
    def cues(self) -> list[Cue]:
        """A subtitle for each segment, as the API has it."""
        found = [Cue(each["start"], each["end"], each["text"]) for each in self.segments]
        return subtitles.timed(found, self.seconds)

    @property
    def notes(self) -> dict[str, Any]:
        """What the API has no field for: where the file is damaged, which speech gave no text, a second language."""
        notes: dict[str, Any] = {}
        if self.damaged_after is not None:
            notes["damaged_after"] = round(self.damaged_after, 3)
        if self.unheard:
            notes["unheard"] = [{"start": round(start, 3), "end": round(end, 3)} for start, end in self.unheard]
        if len(self.languages) > 1:
            notes["languages"] = [{"code": code} for code in self.languages]
        return notes


def read(form: UploadForm, task: Task) -> AudioRequest:
    """Check a request; raise an ApiError that names all its faults."""
    given = form.fields | {"stream": _flag(form.fields.get("stream"))}
    given["temperature"] = _number(given.get("temperature") or None)  # a form's empty field is none
    fields = Fields(
        {name: value for name, value in given.items() if name != "file"}, known=KNOWN[task], unsupported=_not_here(task)
    )
    if form.file is None:
        fields.fault("file", "'file' is missing: send the audio as a file with a name.", "missing_required_parameter")
    model = fields.text("model", needed=True)
    format = _one_of(fields, "response_format", FORMATS) or "json"
    granularities = _granularities(fields, format)
    stream = task == "transcribe" and fields.flag("stream")
    if stream and format not in STREAMED:
        fields.fault("stream", f"'stream' is only allowed when 'response_format' is {' or '.join(STREAMED)}.")
    if fields.get("chunking_strategy") not in (None, "auto"):
        fields.unsupported("chunking_strategy", "only 'auto' is")
    ask = AudioRequest(
        task, model or "", format, _language(fields), fields.text("prompt"), fields.number("temperature", 0, 1) or 0.0,
        granularities, stream,
    )  # fmt: skip
    fields.end()
    return ask


def _not_here(task: Task) -> frozenset[str]:
    return NOT_HERE if task == "transcribe" else frozenset()


def _flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _one_of(fields: Fields, name: str, allowed: Iterable[str]) -> str | None:
    value = fields.text(name)
    if value is not None and value not in allowed:
        fields.expect(name, f"one of {', '.join(allowed)}")
        return None
    return value


def _granularities(fields: Fields, format: str) -> tuple[str, ...]:
    given = fields.get("timestamp_granularities")
    if given is None:
        return ("segment",)
    wanted = tuple(given) if isinstance(given, list) else (given,)
    if not wanted or not set(wanted) <= set(GRANULARITIES):
        fields.expect("timestamp_granularities", "word, segment or both", "invalid_value")
    elif format != "verbose_json":
        fields.fault(
            "timestamp_granularities",
            "'timestamp_granularities' is only allowed when 'response_format' is verbose_json.",
        )
    return wanted


def _language(fields: Fields) -> str | None:
    given = fields.text("language")
    if not given:
        return None
    code = CODES.get(given.lower(), given.lower())
    if code not in NAMES:
        meant = code_of(given)
        way = f"give {meant!r}" if meant else "give its ISO-639-1 code, like en or es, or none, and it is found out"
        fields.fault("language", f"Whisper knows no language {shown(given)}; {way}.", "unsupported_language")
    return code


def answer(ask: AudioRequest, heard: Recognised, model: str) -> Response:
    """The answer in one piece, in the form that was asked for; its head names the model and the seconds."""
    if ask.format == "text":
        return Response(heard.text + "\n", headers=_head(heard, model), media_type="text/plain")
    if ask.format in ("srt", "vtt"):
        write = subtitles.srt if ask.format == "srt" else subtitles.vtt
        text = write(heard.cues)
        return Response(f"{text}\n" if text else "", headers=_head(heard, model), media_type="text/plain")
    body: dict[str, Any] = _verbose(ask, heard, model) if ask.format == "verbose_json" else {"text": heard.text}
    body["usage"] = {"type": "duration", "seconds": round(heard.seconds, 3)}
    return Response(json.dumps(body, ensure_ascii=False), headers=_head(heard, model), media_type="application/json")


def _head(heard: Recognised, model: str) -> dict[str, str]:
    head = {"openai-model": model, "x-audio-seconds": f"{heard.seconds:.3f}"}
    if heard.damaged_after is not None:
        head["x-audio-damaged-after"] = f"{heard.damaged_after:.3f}"
    if heard.unheard:
        head["x-audio-unheard"] = ", ".join(f"{start:.3f}-{end:.3f}" for start, end in heard.unheard[:MOST_TOLD])
    if len(heard.languages) > 1:
        head["x-audio-languages"] = ", ".join(heard.languages)
    return head


def _verbose(ask: AudioRequest, heard: Recognised, model: str) -> dict[str, Any]:
    language = "english" if ask.task == "translate" else NAMES.get(heard.language or "", NO_LANGUAGE)
    body: dict[str, Any] = {
        "task": ask.task, "model": model, "language": language, "text": heard.text,
        "duration": round(heard.seconds, 3), **heard.notes,
    }  # fmt: skip
    if "word" in ask.granularities:
        body["words"] = [
            {"word": word["word"].strip(), "start": round(word["start"], 3), "end": round(word["end"], 3)}
            for segment in heard.segments
            for word in segment["words"]
        ]
    if "segment" in ask.granularities:
        body["segments"] = [
            {name: round(value, 3) if name in ("start", "end") else value for name, value in segment.items()}
            for segment in ({k: v for k, v in each.items() if k != "words"} for each in heard.segments)
        ]
    return body


class TranscriptStream:
    """The answer as events: a delta for each segment, then the whole text."""

    done = None

    def __init__(self) -> None:
        self.heard = Recognised()

    def open(self) -> Iterator[dict[str, Any]]:
        """Nothing comes before the text."""
        return iter(())

    def feed(self, index: int, line: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - there is one answer
        """The event of one line of the recogniser's, if it brings text."""
        self.heard.add(line)
        if "segment" in line:
            text = line["segment"]["text"]
            first = len(self.heard.segments) == 1
            yield {"type": "transcript.text.delta", "delta": text.lstrip() if first else text}

    def close(self) -> Iterator[dict[str, Any]]:
        """The whole; `duration` stands beside it because the API's usage would be tokens here."""
        heard = self.heard
        yield {"type": "transcript.text.done", "text": heard.text, "duration": round(heard.seconds, 3), **heard.notes}

    def fail(self, error: dict[str, Any]) -> dict[str, Any]:
        """What is sent when recognition fails in mid-stream."""
        return {"type": "error", "error": error}


def refused(line: dict[str, Any]) -> ApiError:
    """A refusal of the recogniser's, as it came over the pipe."""
    error = line["error"]
    headers = {"x-should-retry": "false"} if error["status"] >= 500 else None
    return ApiError(
        error["status"], error["message"], type=error["type"], param=error["param"], code=error["code"], headers=headers
    )
