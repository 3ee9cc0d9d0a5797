"""The endpoint door's reading of Chat Completions: events of the stream, or the one body, into answers.

In: events as ledger/sse.py splits them. Out: `Delta`s; the answers grow in `Reading`.
Form: https://platform.openai.com/docs/api-reference/chat-streaming, and what other servers make of it.
"""

from collections.abc import Mapping
from typing import Any

from chatkit.endpoint.reading import BadEvent, ErrorEvent, Reading
from chatkit.endpoint.refusals import Refusal, from_object, read_refusal
from chatkit.endpoint.reply import Delta
from chatkit.ledger.sse import Event


class ChatReading(Reading):
    """Answers of Chat Completions."""

    def read(self, event: Event) -> list[Delta]:
        """Take one event; give back what it adds. Raises BadEvent or ErrorEvent."""
        data = event.data
        if not data or data.isspace():
            return _silent(event)
        if data.startswith(b"[DONE]"):
            self.over = True
            return []
        chunk = self._decode(data)
        if event.name == "error":
            raise ErrorEvent(from_object(chunk) or Refusal(data.decode("utf-8", "replace")))
        return self._chunk(chunk)

    def whole(self, data: bytes) -> list[Delta]:
        """Take a body that is one JSON answer. Raises BadEvent or ErrorEvent."""
        deltas = self._chunk(self._decode(data))
        if not self.began:
            raise BadEvent("it has no choices")
        self.over = True
        return deltas

    def _chunk(self, chunk: Any) -> list[Delta]:
        if not isinstance(chunk, dict):
            if chunk is None:
                return []
            raise BadEvent("it is not a JSON object")
        if chunk.get("error"):
            raise ErrorEvent(from_object(chunk) or Refusal(str(chunk["error"])))
        if self.model is None and isinstance(chunk.get("model"), str):
            self.model = chunk["model"]
        deltas: list[Delta] = []
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict):
                deltas += self._choice(choice)
        return deltas

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        index = choice.get("index")
        index = index if type(index) is int else 0
        delta = choice.get("delta") or choice.get("message") or choice
        deltas = self._delta(index, delta) if isinstance(delta, dict) else []
        if (reason := choice.get("finish_reason")) is not None:
            self._reason(index, reason)
        return deltas

    def _delta(self, index: int, delta: dict[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for name, value in delta.items():
            if not value:
                continue
            if name in ("content", "text"):
                deltas += self._add(index, "text", value) if isinstance(value, str) else self._parts(index, value)
            elif name in ("reasoning_content", "reasoning") and isinstance(value, str):
                deltas += self._add(index, "reasoning", value)
            elif name == "refusal" and isinstance(value, str):
                deltas += self._add(index, "refusal", value)
            elif name == "tool_calls" and isinstance(value, list):
                deltas += self._calls(index, value)
            elif name == "function_call" and isinstance(value, Mapping):
                deltas += self._call(index, 0, {"function": value})
        self._at(index)
        return deltas

    def _calls(self, index: int, calls: list[Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for place, call in enumerate(calls):
            if isinstance(call, Mapping):
                deltas += self._call(index, call.get("index", place), call)
        return deltas

    def _parts(self, index: int, parts: Any) -> list[Delta]:
        """Content as a list of parts, as some servers send it."""
        deltas: list[Delta] = []
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                deltas += self._add(index, "text", part["text"])
        return deltas


def _silent(event: Event) -> list[Delta]:
    """Look at an event without data: some servers write an error outside of any field of an event."""
    raw = event.raw.lstrip()
    if raw.startswith((b"error:", b'{"error"')):
        raise ErrorEvent(read_refusal(raw.removeprefix(b"error:").strip()))
    return []
