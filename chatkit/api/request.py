"""The wire's requests, as far as their answers depend on them: which call it is, whether it streams, tells its usage.

In: a path, a body. Out: a `CallKind`, the reader of its answer, and the same body with usage asked for.
"""

import json
import re
from functools import lru_cache
from typing import Any, Literal

from chatkit.api.chat import ChatReading
from chatkit.api.other import EmbeddingsReading, OtherReading
from chatkit.api.reading import Reading
from chatkit.api.responses import ResponsesReading
from chatkit.api.transcript import TranscriptReading

CallKind = Literal["chat", "text", "responses", "embeddings", "audio", "moderations", "other"]

KINDS: tuple[tuple[str, CallKind], ...] = (
    ("/chat/completions", "chat"),
    ("/completions", "text"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/audio/transcriptions", "audio"),
    ("/audio/translations", "audio"),
    ("/moderations", "moderations"),
)
BOOKKEEPING = re.compile(
    r"/(files|uploads|batches|vector_stores|conversations|fine_tuning|containers|evals|skills|voices)(/|$)"
    r"|/(cancel|input_tokens|client_secrets)$"
)
READINGS: dict[CallKind, type[Reading]] = {
    "chat": ChatReading,
    "text": ChatReading,
    "responses": ResponsesReading,
    "audio": TranscriptReading,
    "embeddings": EmbeddingsReading,
    "moderations": OtherReading,
    "other": OtherReading,
}
ASK = b'"stream_options":{"include_usage":true}'


@lru_cache(maxsize=1024)
def kind_of(path: str) -> CallKind | None:
    """What the call of a path is; None for the POSTs that keep house."""
    if BOOKKEEPING.search(path):
        return None
    return next((kind for end, kind in KINDS if path.endswith(end)), "other")


def reading_of(kind: CallKind, choices: int = 1) -> Reading:
    """The reader of its answer, of which so many are asked for."""
    reader = READINGS[kind]
    return reader(choices) if reader is ChatReading else reader()


def tells_usage(kind: CallKind, body: dict[str, Any]) -> bool:
    """Whether a stream of this body tells its usage: some do only if they are asked."""
    options = body.get("stream_options")
    return kind not in ("chat", "text") or (isinstance(options, dict) and options.get("include_usage") is True)


def with_usage(content: bytes, body: dict[str, Any]) -> bytes:
    """The same request's bytes, asking for usage.

    >>> with_usage(b'{"model":"m"}', {"model": "m"})
    b'{"stream_options":{"include_usage":true},"model":"m"}'
    """
    if "stream_options" in body:
        options = body["stream_options"] if isinstance(body["stream_options"], dict) else {}
        return json.dumps(body | {"stream_options": options | {"include_usage": True}}).encode()
    start = content.index(b"{") + 1
    return b"".join((content[:start], ASK, b"," if body else b"", content[start:]))
