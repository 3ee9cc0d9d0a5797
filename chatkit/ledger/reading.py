"""What an answer says of itself: model, usage, how it ended. Read from copies of its bytes.

In: the events of a stream, or a whole body. Out: a `Reading`. A chunk that only brings more text is told
by a search in its bytes (a microsecond); the others are parsed.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from chatkit.ledger import counts, tokens
from chatkit.ledger.asking import Kind
from chatkit.ledger.counts import Counts
from chatkit.ledger.record import Outcome
from chatkit.ledger.sse import Event

ENDS: dict[str, Outcome] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content_filter": "filtered",
}
"""Finish reasons that mean something else than complete."""

_WORST: dict[Outcome, int] = {"complete": 0, "length": 1, "filtered": 2, "incomplete": 3}
_TYPE = re.compile(rb'"type"\s*:\s*"([\w.]+)"')
_LAST_CUE = re.compile(rb"--> *(?:(\d+):)?(\d+):(\d+)[.,](\d+)")
_TYPED_ENDS = frozenset(
    [
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "transcript.text.done",
        "speech.audio.done",
        "image_generation.completed",
        "image_edit.completed",
    ]
)


class Reading:
    """What is known so far. `outcome` is None until the answer has said how it ended."""

    __slots__ = (
        "answered_model",
        "choices",
        "counts",
        "done",
        "doubt",
        "error_code",
        "finished",
        "kind",
        "outcome",
        "pieces",
        "text_tokens",
        "tier",
    )  # fmt: skip

    def __init__(self, kind: Kind, choices: int = 1) -> None:
        self.kind = kind
        self.choices = choices
        self.answered_model: str | None = None
        self.tier: str | None = None
        self.counts: Counts | None = None
        self.doubt: Literal["measured", "estimated"] = "measured"
        self.outcome: Outcome | None = None
        self.error_code: str | None = None
        self.done = False
        self.finished = 0
        self.pieces = 0
        """Stream events that brought content: about one token each."""
        self.text_tokens: int | None = None
        """About how many tokens the text of a whole body has."""

    def take(self, event: Event) -> bool:
        """Read one event of a stream; True for the extra chunk that only tells the usage."""
        data = event.data
        if self.done or not data:
            return False
        if self.kind in ("chat", "text"):
            if self.pieces and _only_brings_text(data) and not event.name:
                self.pieces += 1
                return False
            return self._take_chunk(event)
        self._take_typed(event)
        return False

    def take_body(self, body: bytes) -> None:
        """Read a whole answer that is no stream."""
        if self.kind == "embeddings":
            self._take_embeddings(body)
            return
        answer = _parse(body)
        if answer is not None:
            self._take_answer(answer)
        elif self.kind in ("audio", "other"):
            self._take_transcript(body)
        else:
            self.fail("bad_answer")

    def take_audio_head(self, headers: Mapping[str, str]) -> None:
        """Read what the head of an answer to audio says; chatkit's own server names model and seconds there."""
        self.answered_model = headers.get("openai-model")
        with suppress(ValueError):
            self.counts = counts.read({"seconds": float(headers.get("x-audio-seconds", ""))})

    def take_refusal(self, body: bytes) -> None:
        """Read the body of an answer with an error status."""
        answer = _parse(body) or {}
        self.fail(_code(answer.get("error", answer)))

    def _take_chunk(self, event: Event) -> bool:
        if event.data.startswith(b"[DONE]"):
            self.done = True
            self.outcome = self.outcome or "complete"
            return False
        chunk = _parse(event.data)
        if chunk is None:
            return False
        if chunk.get("error") or event.name == "error":
            self.fail(_code(chunk.get("error", chunk)))
            return False
        self._take_head(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take_choice(choice)
        return choices == [] and isinstance(chunk.get("usage"), dict)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        texts = [delta[key] for key in delta if key != "role"] if isinstance(delta, dict) else [choice.get("text")]
        self.pieces += any(texts)
        if reason := choice.get("finish_reason"):
            self._end(ENDS.get(str(reason), "complete"))

    def _end(self, outcome: Outcome) -> None:
        self.finished += 1
        if self.outcome != "error":
            self.outcome = max(self.outcome or "complete", outcome, key=lambda end: _WORST.get(end, 0))

    @property
    def ended(self) -> bool:
        """Whether a stream has said that it is whole: `[DONE]`, an end event, or a reason for each choice."""
        return self.done or self.finished >= max(self.choices, 1) or self.outcome == "error"

    def _take_typed(self, event: Event) -> None:
        kind = event.name or _type(event.data)
        if kind.endswith(".delta"):
            self.pieces += 1
        elif kind in _TYPED_ENDS or kind in ("response.created", "error"):
            answer = _parse(event.data) or {}
            inner = answer.get("response")
            if kind == "error":
                self.fail(_code(answer.get("error", answer)))
            elif kind == "response.created":
                self._take_head(inner if isinstance(inner, dict) else answer)
            else:
                self.done = True
                self._take_response(inner if isinstance(inner, dict) else answer)
        elif event.data.startswith(b"[DONE]"):
            self.done = True
            self.outcome = self.outcome or "complete"

    def _take_head(self, answer: dict[str, Any]) -> None:
        if self.answered_model is None and isinstance(model := answer.get("model"), str):
            self.answered_model = model[:300]
        if isinstance(tier := answer.get("service_tier"), str):
            self.tier = tier[:40]
        self.counts = counts.read(answer.get("usage")) or self.counts
        if self.kind == "audio" and self.counts is None:
            self.counts = counts.read({"seconds": answer.get("duration")})

    def _take_response(self, answer: dict[str, Any]) -> None:
        """A whole response, or what the last event of a typed stream holds."""
        self._take_head(answer)
        details = answer.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        if answer.get("error") or answer.get("status") == "failed":
            self.fail(_code(answer.get("error")))
        elif answer.get("status") == "cancelled":
            self.outcome = "cancelled"
        elif answer.get("status") == "incomplete":
            self._end(ENDS.get(str(reason), "incomplete"))
        else:
            self._end("complete")
        items = _dicts(answer.get("output"))
        if self.counts:
            self.counts = counts.with_tools(self.counts, [item.get("type") for item in items])
        texts = [_text(part) for item in items for part in _dicts(item.get("content"))]
        self.text_tokens = tokens.of_text("".join(texts)) if texts else None

    def _take_answer(self, answer: dict[str, Any]) -> None:
        if self.kind == "responses":
            self._take_response(answer)
            return
        self._take_head(answer)
        if answer.get("error"):
            self.fail(_code(answer["error"]))
        elif self.kind in ("chat", "text"):
            self._take_choices(_dicts(answer.get("choices")))
        else:
            self._end("complete")

    def _take_choices(self, choices: list[dict[str, Any]]) -> None:
        if not choices:
            self.fail("bad_answer")
            return
        texts = []
        for choice in choices:
            message = choice.get("message")
            texts.append(_text(message) if isinstance(message, dict) else _text(choice))
            self._end(ENDS.get(str(choice.get("finish_reason")), "complete"))
        self.text_tokens = tokens.of_text("".join(texts))

    def _take_embeddings(self, body: bytes) -> None:
        # hundreds of kilobytes of numbers, in which no key can hide: only what stands beside them is parsed
        self._take_head({key: _value(body, key) for key in ("model", "usage")})
        if self.counts:
            self._end("complete")
        else:
            answer = _parse(body)
            self._take_answer(answer) if answer is not None else self.fail("bad_answer")

    def _take_transcript(self, body: bytes) -> None:
        """Subtitles tell by their last cue how long the audio was, within a silence; plain text tells nothing."""
        self._end("complete")
        if self.counts is None and (cues := _LAST_CUE.findall(body)):
            hours, minutes, seconds, fraction = cues[-1]
            length = int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{int(seconds)}.{int(fraction):03d}")
            self.counts, self.doubt = {"audio_seconds": length}, "estimated"

    def fail(self, code: str | None) -> None:
        """The answer is an error, or none at all."""
        self.outcome, self.error_code = "error", code


def _only_brings_text(data: bytes) -> bool:
    # in JSON, a quote inside a text is escaped: these bytes can only be keys, or a text of just that word
    return (
        (b'"finish_reason":null' in data or b'"finish_reason": null' in data or b'"finish_reason"' not in data)
        and (b'"usage"' not in data or b'"usage":null' in data or b'"usage": null' in data)
        and b'"error"' not in data
        and b'"choices"' in data
    )


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _value(body: bytes, key: str) -> Any:
    start = body.rfind(b'"%b"' % key.encode())
    match = re.compile(rb"\s*:\s*").match(body, start + len(key) + 2) if start >= 0 else None
    if match is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(body[match.end() : match.end() + 2000].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return None


def _type(data: bytes) -> str:
    match = _TYPE.search(data, 0, 200)
    return match[1].decode() if match else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(part: dict[str, Any]) -> str:
    texts = (part.get(key) for key in ("content", "text", "reasoning_content", "refusal"))
    return "".join(text for text in texts if isinstance(text, str))


def _code(error: Any) -> str | None:
    if not isinstance(error, dict):
        return None
    code = error.get("code") or error.get("type")
    return str(code)[:100] if isinstance(code, str | int) else None
