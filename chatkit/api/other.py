"""The wire's other calls: transcripts, embeddings, moderations, pictures, speech, whatever comes next.

In: a body, or typed events. Out: no text, only what a usage row needs: model, usage, how it ended.

Form: openai 3.54, `openai/types/audio/transcription*.py`
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chatkit.api import answer
from chatkit.api.answer import Delta
from chatkit.api.errors import Refusal, error_in, from_object
from chatkit.api.reading import BadEvent, Reading
from chatkit.api.responses import type_of
from chatkit.api.sse import Event
from chatkit.api.text import mended

LAST = frozenset({"speech.audio.done", "image_generation.completed", "image_edit.completed"})


class OtherReading(Reading):
    """An answer of which only its end and its usage are read."""

    def _take(self, event: Event) -> Sequence[Delta]:
        kind = event.name or type_of(event.data)
        if event.data.startswith(b"[DONE]"):
            self.over = True
            self._reason(0, "completed")
        elif kind.endswith(".delta"):
            self.pieces += 1
            self._at(0)
        elif kind in LAST:
            value = self._decode(event.data)
            if isinstance(value, Mapping):
                self._done(value)
        elif kind == "error":
            value = self._decode(event.data)
            self.refusal = from_object(value) or Refusal(str(value)[:1000])
        return ()

    def _whole(self, data: bytes) -> Sequence[Delta]:
        try:
            value = self._decode(data, streamed=False)
        except BadEvent:
            value = {}  # sound, pictures, text: an answer, though none that tells of itself
        self._done(value if isinstance(value, Mapping) else {})
        return ()

    def _done(self, value: Mapping[str, Any]) -> None:
        self.over = True
        self._head(value)
        self._used(value)
        self.refusal = error_in(value)
        self._reason(0, "completed")


class EmbeddingsReading(OtherReading):
    """Hundreds of kilobytes of numbers, in which no key can hide: only what stands beside them is parsed."""

    def _whole(self, data: bytes) -> Sequence[Delta]:
        beside = {key: _value(data, key) for key in ("model", "usage")}
        self._used(beside)
        if self.counts:
            self._done(beside)
            return ()
        value = self._decode(data, streamed=False)
        if not isinstance(value, Mapping):
            raise BadEvent("it is not a JSON object")
        self._done(value)
        return ()


def _value(body: bytes, key: str) -> Any:
    start = body.rfind(b'"%b"' % key.encode())
    match = re.compile(rb"\s*:\s*").match(body, start + len(key) + 2) if start >= 0 else None
    if match is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(body[match.end() : match.end() + 2000].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return None


_LAST_CUE = re.compile(rb"--> *(?:(\d+):)?(\d+):(\d+)[.,](\d+)")


class TranscriptReading(Reading):
    """One transcript: its text grows by deltas, or comes whole."""

    def __init__(self) -> None:
        super().__init__()
        self.payload: dict[str, Any] = {}

    @property
    def has_content(self) -> bool:
        """Whether there is anything to keep: an empty text is an answer too, that there was no speech."""
        return bool(self.payload) or super().has_content

    def _take(self, event: Event) -> Sequence[Delta]:
        if not event.data or event.data.isspace():
            return ()
        if event.data.startswith(b"[DONE]"):
            self.over = True
            return ()
        if not self.follows and (event.name or type_of(event.data)) == "transcript.text.delta":
            self.pieces += 1
            self._at(0)
            return ()
        value = self._decode(event.data)
        if not isinstance(value, dict):
            raise BadEvent("it is not a JSON object")
        return self._event(str(value.get("type") or event.name), value)

    def _event(self, kind: str, value: dict[str, Any]) -> Sequence[Delta]:
        if kind == "transcript.text.delta" and isinstance(value.get("delta"), str):
            self.pieces += 1
            return self._add(0, "text", value["delta"])
        if kind == "transcript.text.segment":
            if self.follows:
                self.payload.setdefault("segments", []).append(mended(value))
        elif kind == "transcript.text.done":
            return self._done(mended(value))
        elif kind == "error" or value.get("error"):
            self.refusal = error_in(value) or from_object(value) or Refusal(str(value)[:1000])
        return ()

    def _whole(self, data: bytes) -> Sequence[Delta]:
        try:
            value = self._decode(data, streamed=False)
        except BadEvent:
            value = None
        if isinstance(value, Mapping) and (refusal := error_in(value)):
            self._about(value)
            self.refusal = refusal
            return ()
        if self.follows and (not isinstance(value, Mapping) or not isinstance(value.get("text"), str)):
            raise BadEvent("it has no text")
        if isinstance(value, Mapping):
            return self._done(value)
        self._plain(data)
        return ()

    def _done(self, value: Mapping[str, Any]) -> Sequence[Delta]:
        self.over = True
        self._about(value)
        deltas = [] if super().has_content else self._add(0, "text", str(value.get("text") or ""))
        if self.follows:
            self.payload = {**self.payload, **value}
        self._reason(0, "completed")
        return deltas

    def _about(self, value: Mapping[str, Any]) -> None:
        self._head(value)
        self._used(value)
        if self.counts is None:
            self.counts = answer.read({"seconds": value.get("duration")})

    def _plain(self, body: bytes) -> None:
        """Subtitles tell by their last cue how long the audio was, within a silence; plain text tells nothing."""
        self.over = True
        self._reason(0, "completed")
        if self.counts is None and (cues := _LAST_CUE.findall(body)):
            hours, minutes, seconds, fraction = cues[-1]
            length = int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{int(seconds)}.{int(fraction):03d}")
            self.counts, self.doubt = {"audio_seconds": length}, "estimated"
