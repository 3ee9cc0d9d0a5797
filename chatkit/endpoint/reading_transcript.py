"""The endpoint door's reading of a transcript: the one JSON body, or the events of a model that streams.

In: a body or events. Out: `Delta`s of text; `payload` is what the endpoint said in full: text, segments,
words, language, duration, usage, as far as it sent them.
Form: openai 3.54, `openai/types/audio/transcription*.py`
"""

from collections.abc import Mapping
from typing import Any

from chatkit.endpoint.reading import BadEvent, ErrorEvent, Reading
from chatkit.endpoint.refusals import Refusal, from_object
from chatkit.endpoint.reply import Delta
from chatkit.ledger.sse import Event


class TranscriptReading(Reading):
    """One transcript: its text grows by deltas, or comes whole."""

    def __init__(self, cap: int, expected: int = 1) -> None:
        super().__init__(cap, expected)
        self.payload: dict[str, Any] = {}

    @property
    def has_content(self) -> bool:
        """Whether there is anything to keep: an empty text is an answer too, that there was no speech."""
        return bool(self.payload) or super().has_content

    def read(self, event: Event) -> list[Delta]:
        """Take one event; give back what it adds. Raises BadEvent or ErrorEvent."""
        if not event.data or event.data.isspace():
            return []
        if event.data.startswith(b"[DONE]"):
            self.over = True
            return []
        value = self._decode(event.data)
        if not isinstance(value, dict):
            raise BadEvent("it is not a JSON object")
        kind = str(value.get("type") or event.name)
        if kind == "transcript.text.delta" and isinstance(value.get("delta"), str):
            return self._add(0, "text", value["delta"])
        if kind == "transcript.text.segment":
            self.payload.setdefault("segments", []).append(value)
        elif kind == "transcript.text.done":
            return self._done(value)
        elif kind == "error" or value.get("error"):
            raise ErrorEvent(from_object(value) or Refusal(str(value)[:1000]))
        return []

    def whole(self, data: bytes) -> list[Delta]:
        """Take a body that is one JSON answer. Raises BadEvent or ErrorEvent."""
        value = self._decode(data)
        if isinstance(value, Mapping) and value.get("error"):
            raise ErrorEvent(from_object(value) or Refusal(str(value)[:1000]))
        if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
            raise BadEvent("it has no text")
        return self._done(value)

    def _done(self, value: Mapping[str, Any]) -> list[Delta]:
        self.over = True
        deltas = [] if super().has_content else self._add(0, "text", str(value.get("text") or ""))
        self.payload = {**self.payload, **value}
        if isinstance(value.get("model"), str):
            self.model = value["model"]
        self._reason(0, "completed")
        return deltas
