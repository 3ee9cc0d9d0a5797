"""Annexe: /v1/responses. In: the request's body, then the engine's pieces. Out: what the API answers."""

import time
from collections.abc import Iterator
from typing import Any

from chatkit.api.parameters import named
from chatkit.local.ask import IGNORED, Generation, going_on, limit, read_input, sampling, streaming
from chatkit.local.chat import refuse_tools
from chatkit.local.formats import text_format
from chatkit.local.piece import GeneratedPiece, Whole, logprobs, response_usage
from chatkit.local.validation import Fields, shown

KNOWN = named("responses", "takes")
UNSUPPORTED = named("responses", "refuses")
LOGPROBS = "message.output_text.logprobs"


def read(body: dict[str, Any]) -> Generation:
    """Check a request; raise a ApiError that names all its faults."""
    fields = Fields(body, known=KNOWN, ignored=IGNORED, unsupported=UNSUPPORTED)
    fields.text("model")
    refuse_tools(fields)
    if fields.flag("background"):
        fields.unsupported("background", "nothing is kept after the answer")
    if fields.get("truncation") not in (None, "disabled"):
        fields.unsupported("truncation", "nothing is left out of a prompt unasked")
    asked = sampling(fields) | limit(fields, "max_output_tokens") | text_format(fields)
    asked["messages"] = read_input(fields)
    asked |= going_on(asked["messages"])
    top = _top_logprobs(fields)
    if top is not None:
        asked |= {"logprobs": True, "top_logprobs": max(1, top)}
    stream, _ = streaming(fields)
    fields.end()
    return Generation("chat", "input", [asked], stream, top_logprobs=top, extra=_echoed(fields, asked, top))


def _top_logprobs(fields: Fields) -> int | None:
    top = fields.integer("top_logprobs", 0, 20)
    include = fields.get("include")
    if include is not None and not (isinstance(include, list) and all(isinstance(i, str) for i in include)):
        fields.fault("include", f"'include' is {shown(include)}; it must be an array of strings.", "invalid_type")
        return None
    return (top or 0) if LOGPROBS in (include or ()) or top else None


def _echoed(fields: Fields, asked: dict[str, Any], top: int | None) -> dict[str, Any]:
    metadata = fields.get("metadata")
    plain = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    return {
        "instructions": fields.get("instructions"),
        "max_output_tokens": fields.get("max_output_tokens"),
        "metadata": metadata if plain else {},
        "temperature": asked["temperature"],
        "top_p": asked["top_p"],
        "text": {"format": fields.mapping("text").get("format") or {"type": "text"}},
        "top_logprobs": top or 0,
    }


def answer(ask: Generation, wholes: list[Whole], common: dict[str, Any]) -> dict[str, Any]:
    """The answer in one piece."""
    (whole,) = wholes
    cut = whole.finish == "length"
    return _response(ask, common, "incomplete" if cut else "completed", [_item(ask, whole)]) | {
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "completed_at": None if cut else int(time.time()),
        "usage": response_usage(whole.tokens),
    }


def _response(ask: Generation, common: dict[str, Any], status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"resp_{ask.token}",
        "object": "response",
        "created_at": ask.created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "max_tool_calls": None,
        "model": common["model"],
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "truncation": "disabled",
        **ask.extra,
    }


def _item(ask: Generation, whole: Whole | None) -> dict[str, Any]:
    if whole is None:
        return _message(ask, "in_progress", [])
    return _message(ask, "incomplete" if whole.finish == "length" else "completed", [_part(ask, whole)])


def _message(ask: Generation, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{ask.token}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _part(ask: Generation, whole: Whole) -> dict[str, Any]:
    entries = logprobs(whole.logprobs, ask.top_logprobs) if ask.top_logprobs is not None else []
    return {"type": "output_text", "annotations": [], "logprobs": entries, "text": whole.text}


class ResponseStream:
    """The answer as named, numbered events: created, in progress, item, part, text, and all of it again at the end."""

    done = None

    def __init__(self, ask: Generation, common: dict[str, Any]) -> None:
        self.ask = ask
        self.common = common
        self.number = -1
        self.whole = Whole.start()
        self.place = {"item_id": f"msg_{ask.token}", "output_index": 0, "content_index": 0}

    def open(self) -> Iterator[dict[str, Any]]:
        """What comes before any text."""
        response = _response(self.ask, self.common, "in_progress", [])
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)
        yield self._event("response.output_item.added", output_index=0, item=_item(self.ask, None))
        yield self._event("response.content_part.added", **self.place, part=_part(self.ask, Whole.start()))

    def feed(self, index: int, piece: GeneratedPiece) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - there is one answer
        """The events of one piece."""
        self.whole.add(piece)
        if piece.text or piece.logprobs:
            yield self._event(
                "response.output_text.delta", **self.place, delta=piece.text, logprobs=self._logprobs(piece.logprobs)
            )

    def close(self) -> Iterator[dict[str, Any]]:
        """What comes after all text."""
        entries = self._logprobs(self.whole.logprobs)
        yield self._event("response.output_text.done", **self.place, text=self.whole.text, logprobs=entries)
        yield self._event("response.content_part.done", **self.place, part=_part(self.ask, self.whole))
        yield self._event("response.output_item.done", output_index=0, item=_item(self.ask, self.whole))
        response = answer(self.ask, [self.whole], self.common)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, error: dict[str, Any]) -> dict[str, Any]:
        """What is sent when the engine fails in mid-stream."""
        failed = _response(self.ask, self.common, "failed", [])
        failed["error"] = {"code": "server_error", "message": error["message"]}
        return self._event("response.failed", response=failed)

    def _logprobs(self, entries: Any) -> list[dict[str, Any]]:
        if self.ask.top_logprobs is None:
            return []
        return [
            {"token": e["token"], "logprob": e["logprob"], "top_logprobs": [
                {"token": t["token"], "logprob": t["logprob"]} for t in e["top_logprobs"]
            ]}
            for e in logprobs(entries, self.ask.top_logprobs)
        ]  # fmt: skip

    def _event(self, kind: str, **values: Any) -> dict[str, Any]:
        self.number += 1
        return {"type": kind, **values, "sequence_number": self.number}


events = ResponseStream
"""What the front streams an answer of this endpoint with."""
