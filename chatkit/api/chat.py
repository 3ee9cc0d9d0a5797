"""The wire's Chat Completions and the older completions: events of the stream, or the one body, into answers.

In: events as sse.py splits them. Out: `Delta`s; the answers grow in `Reading`. Where nobody follows, a chunk that only
brings more text is told by a search in its bytes (a microsecond).
Form: https://platform.openai.com/docs/api-reference/chat-streaming, and what other servers make of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chatkit.api.answer import Delta, reason_of
from chatkit.api.errors import error_in, read_refusal
from chatkit.api.reading import BadEvent, Reading
from chatkit.api.sse import Event

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields of reasoning; servers that mirror it send the same in two of them (MoonshotAI/kimi-code#3928)."""


class ChatReading(Reading):
    """Answers of Chat Completions."""

    def _take(self, event: Event) -> Sequence[Delta]:
        data = event.data
        if not self.follows and self.pieces and self.model and not event.name and _only_brings_text(data, self.tier):
            self.pieces += 1
            return ()
        if not data or data.isspace():
            return self._silent(event)
        if data.startswith(b"[DONE]"):
            self.over = True
            return ()
        if event.name == "error":
            self.refusal = read_refusal(data)
            return ()
        return self._chunk(self._decode(data))

    def _whole(self, data: bytes) -> Sequence[Delta]:
        answer = self._decode(data, streamed=False)
        deltas = self._chunk(_first_error(answer))
        if not self.began and not self.refusal:
            raise BadEvent("it has no choices")
        self.over = True
        self._weigh(deltas)
        return deltas

    def _silent(self, event: Event) -> Sequence[Delta]:
        """Look at an event without data: some servers write an error outside of any field of an event."""
        raw = event.raw.lstrip()
        if raw.startswith((b"error:", b'{"error"')):
            self.refusal = read_refusal(raw.removeprefix(b"error:").strip())
        return ()

    def _chunk(self, chunk: Any) -> Sequence[Delta]:
        if not isinstance(chunk, dict):
            if chunk is None:
                return ()
            raise BadEvent("it is not a JSON object")
        if not self.model or (not self.tier and "service_tier" in chunk):
            self._head(chunk)
        if chunk.get("usage") or "x_groq" in chunk:
            self._used(chunk)
        if chunk.get("error") and (refusal := error_in(chunk)):
            self.refusal = refusal
            return ()
        choices = chunk.get("choices")
        if not choices:
            self.extra = isinstance(chunk.get("usage"), dict)
            return ()
        deltas: Sequence[Delta] = ()
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                found = self._choice(choice)
                deltas = [*deltas, *found] if deltas else found
        return deltas

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        index = choice.get("index")
        index = index if type(index) is int else 0
        delta = choice.get("delta") or choice.get("message") or choice
        inner = delta if isinstance(delta, dict) else {}
        deltas = self._delta(index, inner) if inner else []
        if deltas or (inner is not choice and any(inner[key] for key in inner if key != "role")):
            self.pieces += 1
        if (value := choice.get("finish_reason")) is not None and (reason := reason_of(value)):
            self._reason(index, reason)
        if choice.get("error") or inner.get("error"):  # OpenRouter: genkit-ai/genkit#6259
            self.refusal = next(filter(None, map(error_in, (choice, inner))), self.refusal)
        if "usage" in choice or "usage" in inner:
            self._used({"choices": [choice]})
        return deltas

    def _delta(self, index: int, delta: dict[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        thought = False
        for name, value in delta.items():
            if not value:
                continue
            if name in ("content", "text"):
                deltas += self._add(index, "text", value) if isinstance(value, str) else self._parts(index, value)
            elif name in REASONING:
                deltas += [] if thought or not isinstance(value, str) else self._add(index, "reasoning", value)
                thought = True
            elif name == "refusal" and isinstance(value, str):
                deltas += self._add(index, "refusal", value)
            elif name == "tool_calls" and isinstance(value, list):
                deltas += self._calls(index, value)
            elif name == "function_call" and isinstance(value, Mapping):
                deltas += self._call(index, "function_call", {"function": value})
            elif name == "images" and isinstance(value, list):  # OpenRouter: danny-avila/LibreChat#9514
                self._media(index, "picture", len(value))
            elif name == "audio" and isinstance(value, Mapping):
                deltas += self._sound(index, value)
        if not deltas:
            self._at(index)
        return deltas

    def _calls(self, index: int, calls: list[Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for place, call in enumerate(calls):
            if isinstance(call, Mapping):
                number = call.get("index")
                number = number if type(number) is int else place if len(calls) > 1 else None
                deltas += self._call(index, number, call)
        return deltas

    def _parts(self, index: int, parts: Any) -> list[Delta]:
        """Content as a list of parts, as Mistral's Magistral and some gateways send it (BerriAI/litellm#16272)."""
        deltas: list[Delta] = []
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, str) and part:
                deltas += self._add(index, "text", part)
            elif isinstance(part, Mapping):
                deltas += self._part(index, part)
        return deltas

    def _part(self, index: int, part: Mapping[str, Any]) -> list[Delta]:
        kind = str(part.get("type"))
        if "image" in kind:
            self._media(index, "picture")
        if (thought := _text_in(part.get("thinking") or part.get("reasoning"))) or kind in ("thinking", "reasoning"):
            thought = thought or _text_in(part.get("text"))
            return self._add(index, "reasoning", thought) if thought else []
        if kind == "refusal" and isinstance(part.get("refusal"), str):
            return self._add(index, "refusal", part["refusal"])
        text = part.get("text")
        return self._add(index, "text", text) if isinstance(text, str) and text else []

    def _sound(self, index: int, audio: Mapping[str, Any]) -> list[Delta]:
        """An answer that is spoken: its words are its text."""
        words = audio.get("transcript")
        self._media(index, "spoken" if isinstance(words, str) and words else "sound")
        return self._add(index, "text", words) if isinstance(words, str) and words else []


def _first_error(answer: Any) -> Any:
    """Gemini's error in an array, as the object in it."""
    inner = answer[0] if isinstance(answer, list) and answer else None
    return inner if isinstance(inner, dict) and inner.get("error") else answer


def _text_in(value: Any) -> str:
    """The text of a part's inside: text, or parts of its own."""
    if isinstance(value, str):
        return value
    inner = value if isinstance(value, list) else [value]
    return "".join(part["text"] for part in inner if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _only_brings_text(data: bytes, tier: str | None) -> bool:
    # in JSON, a quote inside a text is escaped: these bytes can only be keys, or a text of just that word
    used, reasons = data.count(b'"usage"'), data.count(b'"finish_reason"')
    return (
        (not reasons or (reasons == 1 and (b'"finish_reason":null' in data or b'"finish_reason": null' in data)))
        and (not used or (used == 1 and (b'"usage":null' in data or b'"usage": null' in data)))
        and b'"error"' not in data
        and (b'"choices":[{' in data or b'"choices": [{' in data)
        and (tier is not None or b'"service_tier"' not in data)
    )
