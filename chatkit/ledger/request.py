"""What a request asks for, read without consuming it; and the same request with usage asked for.

In: an `httpx2.Request`. Out: `MeteredRequest`, and for a stream that did not ask for usage an edited request.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from chatkit.api import request as wire
from chatkit.api.request import CallKind
from chatkit.api.speech_models import LARGEST_FILE
from chatkit.audio import length as audio_length
from chatkit.ledger.pricing import has_local_key

LOWEST_RATE = 6_000
LOWEST_RATES = {"wav": 64_000, "flac": 32_000, "mp3": 8_000, "mpga": 8_000, "mpeg": 8_000}
"""Bits a second of the thinnest sound that people record: telephone WAV, speech in Opus."""


@dataclass(slots=True)
class MeteredRequest:
    """The facts of one request that its usage record needs; `body` is its JSON, for an estimate only."""

    kind: CallKind
    url: str
    """Scheme, host, port and path."""
    endpoint: str
    """Host, port and path: what remembers that it refuses an option."""
    host: str
    path: str
    model: str | None
    attempt: int
    streamed: bool = False
    choices: int = 1
    hides_usage: bool = False
    """A stream of the kind that tells its usage only if asked, and was not asked."""
    body: dict[str, Any] | None = None
    audio_seconds: float | None = None
    """What the head of an uploaded file says of its length."""
    sound: float = 0.0
    """The most seconds of sound that the file sent along can hold."""
    local_key: bool = False
    """The key is a local server's, on which nobody is billed."""
    keys: tuple[str, ...] = ()
    """The keys that were sent, so that no row quotes one."""

    @property
    def server(self) -> str:
        """Host and port."""
        return self.endpoint.partition("/")[0]

    @property
    def tells_usage(self) -> bool:
        """A stream of that kind that was asked by its caller."""
        return self.streamed and self.kind in ("chat", "text") and self.body is not None and not self.hides_usage

    def again(self) -> "MeteredRequest":
        """The same, as the attempt after this one."""
        return replace(self, attempt=self.attempt + 1)

    def __repr__(self) -> str:  # the body holds the user's words
        return f"Asked({self.kind!r}, {self.host!r}, {self.path!r})"


def read_request(request: httpx2.Request) -> MeteredRequest | None:
    """The facts; None for what is no call of a model: every method but POST, and the POSTs that keep house."""
    if request.method != "POST":
        return None
    path = request.url.path
    kind = wire.kind_of(path)
    if kind is None:
        return None
    body = _json(request)
    fields = _form(request) if body is None else body
    model, choices = fields.get("model"), fields.get("n")
    streamed = fields.get("stream") in (True, "true")
    host = request.url.host
    return MeteredRequest(
        kind=kind,
        url=f"{request.url.scheme}://{request.url.netloc.decode()}{path}",
        endpoint=f"{request.url.netloc.decode()}{path}",
        host=host,
        path=path,
        model=model[:300] if isinstance(model, str) else None,
        attempt=_attempt(request),
        streamed=streamed,
        choices=choices if type(choices) is int else 1,
        hides_usage=streamed and body is not None and not wire.tells_usage(kind, body),
        body=body,
        audio_seconds=_audio_seconds(request) if kind == "audio" else None,
        sound=_sound(request) if kind == "audio" else 0.0,
        local_key=has_local_key(request.headers),
        keys=_keys(request.headers),
    )


def with_usage(request: httpx2.Request, body: dict[str, Any]) -> httpx2.Request:
    """The same request, asking for usage, in an encoding in which the extra chunk can be found."""
    content = wire.with_usage(request.content, body)
    headers = httpx2.Headers(request.headers)
    headers["accept-encoding"] = "identity"
    if "content-length" in headers:
        headers["content-length"] = str(len(content))
    return httpx2.Request(request.method, request.url, headers=headers, content=content, extensions=request.extensions)


def _json(request: httpx2.Request) -> dict[str, Any] | None:
    if not request.headers.get("content-type", "").startswith("application/json"):
        return None
    try:
        body = json.loads(request.content)
    except (ValueError, RecursionError, httpx2.RequestNotRead):
        return None
    return body if isinstance(body, dict) else None


def _form(request: httpx2.Request) -> dict[str, Any]:
    """The plain fields of a multipart form, without touching the files beside them."""
    fields = {}
    for field in getattr(request.stream, "fields", ()):
        value = getattr(field, "value", None)
        if isinstance(value, str | bytes):
            fields[field.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return fields


def _sound(request: httpx2.Request) -> float:
    """How long sound in a body of this size can be, by the lowest rate that is heard of in its format."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else LARGEST_FILE
    names = (getattr(field, "filename", None) for field in getattr(request.stream, "fields", ()))
    ending = next((name.rpartition(".")[2].lower() for name in names if isinstance(name, str)), "")
    return size * 8 / LOWEST_RATES.get(ending, LOWEST_RATE)


def _audio_seconds(request: httpx2.Request) -> float | None:
    files = [field.file for field in getattr(request.stream, "fields", ()) if hasattr(field, "file")]
    return audio_length.seconds(files[0]) if len(files) == 1 else None


def _keys(headers: httpx2.Headers) -> tuple[str, ...]:
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    others = () if bearer else (headers.get(name) for name in ("api-key", "x-api-key"))
    return (bearer,) if bearer else tuple(filter(None, others))


def _attempt(request: httpx2.Request) -> int:
    count = request.headers.get("x-stainless-retry-count", "0")
    return 1 + int(count) if count.isdecimal() and len(count) < 6 else 1
