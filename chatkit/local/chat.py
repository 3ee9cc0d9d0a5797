"""Annexe: /v1/chat/completions. In: the request's body, then the engine's pieces. Out: what the API answers."""

from collections.abc import Iterator
from typing import Any

from chatkit.api.parameters import named
from chatkit.local.ask import IGNORED, Generation, answers, going_on, limit, read_messages, sampling, streaming
from chatkit.local.formats import chat_format
from chatkit.local.piece import GeneratedPiece, Tokens, Whole, chat_usage, logprobs, total
from chatkit.local.validation import Fields

KNOWN = named("chat", "takes")
UNSUPPORTED = named("chat", "refuses")


def read(body: dict[str, Any]) -> Generation:
    """Check a request; raise a ApiError that names all its faults."""
    fields = Fields(body, known=KNOWN, ignored=IGNORED, unsupported=UNSUPPORTED)
    fields.text("model", needed=True)
    refuse_tools(fields)
    if fields.get("modalities") not in (None, ["text"]):
        fields.expect("modalities", "['text']")
    top = _top_logprobs(fields)
    asked = sampling(fields) | limit(fields, "max_completion_tokens", "max_tokens") | chat_format(fields)
    asked["messages"] = read_messages(fields)
    asked |= going_on(asked["messages"])
    if top is not None:
        asked |= {"logprobs": True, "top_logprobs": max(1, top)}
    bodies = answers(fields, asked)
    stream, usage = streaming(fields)
    fields.end()
    return Generation("chat", "messages", bodies, stream, usage, top)


def refuse_tools(fields: Fields) -> None:
    """The local model calls no tools: a request that offers some is refused rather than half served."""
    for name in ("tools", "functions"):
        if fields.get(name):
            fields.unsupported(name, "the local model calls no tools")
    for name in ("tool_choice", "function_call"):
        if fields.get(name) not in (None, "none", "auto"):
            fields.unsupported(name, "the local model calls no tools")


def _top_logprobs(fields: Fields) -> int | None:
    wanted = fields.flag("logprobs")
    top = fields.integer("top_logprobs", 0, 20)
    if top is not None and not wanted:
        fields.fault("top_logprobs", "'top_logprobs' is only allowed when 'logprobs' is true.")
    return (top or 0) if wanted else None


def answer(ask: Generation, wholes: list[Whole], common: dict[str, Any]) -> dict[str, Any]:
    """The answer in one piece."""
    return {
        "id": f"chatcmpl-{ask.token}",
        "object": "chat.completion",
        "created": ask.created,
        **common,
        "choices": [_choice(ask, i, whole) for i, whole in enumerate(wholes)],
        "usage": chat_usage(total([w.tokens for w in wholes])),
        "service_tier": "default",
    }


def _choice(ask: Generation, index: int, whole: Whole) -> dict[str, Any]:
    return {
        "index": index,
        "message": {"role": "assistant", "content": whole.text, "refusal": None, "annotations": []},
        "logprobs": _logprobs(ask, whole.logprobs),
        "finish_reason": whole.finish,
    }


def _logprobs(ask: Generation, entries: Any) -> dict[str, Any] | None:
    if ask.top_logprobs is None:
        return None
    return {"content": logprobs(entries, ask.top_logprobs), "refusal": None}


class ChatStream:
    """The answer as chunks: for each answer its role, its text, its end; then the usage if asked for."""

    done = "[DONE]"

    def __init__(self, ask: Generation, common: dict[str, Any]) -> None:
        self.ask = ask
        self.head = {
            "id": f"chatcmpl-{ask.token}",
            "object": "chat.completion.chunk",
            "created": ask.created,
            **common,
            "service_tier": "default",
        }
        self.tail = {"usage": None} if ask.include_usage else {}
        self.tokens = [Tokens(0, 0)] * len(ask.bodies)

    def open(self) -> Iterator[dict[str, Any]]:
        """What comes before any text."""
        for index in range(len(self.ask.bodies)):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def feed(self, index: int, piece: GeneratedPiece) -> Iterator[dict[str, Any]]:
        """The chunks of one piece."""
        if piece.text or piece.logprobs:
            yield self._chunk(index, {"content": piece.text}, logprobs=_logprobs(self.ask, piece.logprobs))
        if piece.finish:
            yield self._chunk(index, {}, finish=piece.finish)
        if piece.tokens:
            self.tokens[index] = piece.tokens

    def close(self) -> Iterator[dict[str, Any]]:
        """What comes after all text."""
        if self.ask.include_usage:
            yield {**self.head, "choices": [], "usage": chat_usage(total(self.tokens))}

    def fail(self, error: dict[str, Any]) -> dict[str, Any]:
        """What is sent when the engine fails in mid-stream."""
        return {"error": error}

    def _chunk(
        self, index: int, delta: dict[str, Any], *, logprobs: Any = None, finish: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self.head, "choices": [choice], **self.tail}


events = ChatStream
"""What the front streams an answer of this endpoint with."""
