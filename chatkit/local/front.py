"""Annexe: the local server's front, a Starlette app. In: requests let through the gate. Out: what the API answers.

Takes a loaded language model, a keeper of the speech model and a key; reads a body within its limits; keeps the line of those who wait short.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chatkit.api.speech_models import Task
from chatkit.local import chat, completions, form, responses, transcriptions
from chatkit.local.ask import Generation
from chatkit.local.gate import Gate, Hosts
from chatkit.local.language import Language
from chatkit.local.piece import Whole
from chatkit.local.speech import Speech
from chatkit.local.stream import ClientGoneError, EventStream, while_connected
from chatkit.local.validation import ApiError, parse

LARGEST_BODY = 1_048_576
"""Bytes; a full window of text is some forty thousand."""
MOST_FILES = 64
"""Recordings that may wait, each of up to 25 MB on the disk."""
BODY_SECONDS = 15.0
"""Within which a body must have come."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class WaitingLine:
    """How many requests may be under way or wait for their work; one more is told when to come back."""

    def __init__(self, places: int, work: str) -> None:
        self.places = places
        self.work = work
        self.taken = 0

    @contextmanager
    def place(self, count: int) -> Iterator[None]:
        """Hold `count` places, or raise the API's 429."""
        if self.taken and self.taken + count > self.places:
            raise ApiError(
                429,
                f"The local server has {self.taken} {self.work} and room for {self.places}; try again in a moment.",
                type="requests",
                code="rate_limit_exceeded",
                headers={"retry-after": "2"},
            )
        self.taken += count
        try:
            yield
        finally:
            self.taken -= count


def app(language: Language, speech: Speech, key: str, hosts: Hosts, *, queue: int, created: int) -> ASGIApp:
    """The whole front, gate included; `queue` requests may wait beside those that run."""
    line = WaitingLine(language.slots + queue, "answers to write")
    hearing = WaitingLine(1 + min(queue, MOST_FILES), "files to hear")

    def listed() -> list[dict[str, Any]]:
        common = {"object": "model", "created": created, "owned_by": "chatkit-local"}
        return [
            {"id": language.alias, **common, "context_window": language.window},
            *({"id": alias, **common} for alias in speech.aliases),
        ]

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": listed()})

    async def one_model(request: Request) -> Response:
        name, here = request.path_params["name"], {model["id"]: model for model in listed()}
        if name not in here:
            raise ApiError(
                404, f"There is no model {name[:80]!r} here; the local ones are {', '.join(map(repr, here))}.",
                param="model", code="model_not_found",
            )  # fmt: skip
        return JSONResponse(here[name])

    async def audio(_: Request) -> Response:
        raise ApiError(
            501, "The local server writes down what is said; it cannot speak.", type="not_implemented_error",
            code="not_implemented",
        )  # fmt: skip

    routes = [
        Route("/health", health),
        Route("/v1/models", models),
        Route("/v1/models/{name:path}", one_model),
        Route("/v1/audio/transcriptions", _hearing(speech, hearing, "transcribe"), methods=["POST"]),
        Route("/v1/audio/translations", _hearing(speech, hearing, "translate"), methods=["POST"]),
        Route("/v1/audio/speech", audio, methods=METHODS),
        Route("/v1/chat/completions", _answering(chat, language, line), methods=["POST"]),
        Route("/v1/completions", _answering(completions, language, line), methods=["POST"]),
        Route("/v1/responses", _answering(responses, language, line), methods=["POST"]),
    ]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _unknown})
    inner.router.redirect_slashes = False
    return Gate(_without_server_errors(inner), key, hosts)


def _without_server_errors(inner: Starlette) -> ASGIApp:
    """Starlette without its outermost layer, which would answer an ApiError with plain text."""
    stack: Any = inner.build_middleware_stack()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = inner
        await stack.app(scope, receive, send)

    return app


def _answering(endpoint: ModuleType, language: Language, line: WaitingLine) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        ask: Generation = endpoint.read(parse(await _body(request)))
        if ask.stream:
            return _Queued(endpoint.events(ask, language.names), language.pieces(ask), line, len(ask.bodies), {})
        with line.place(len(ask.bodies)):
            wholes = await while_connected(request.receive, _gather(language, ask))
        return JSONResponse(endpoint.answer(ask, wholes, language.names))

    return answer


def _hearing(speech: Speech, line: WaitingLine, task: Task) -> Callable[[Request], Any]:
    async def hear(request: Request) -> Response:
        with line.place(1):
            upload = await form.read(request)
            ask, file = transcriptions.read(upload, task), upload.file
            assert file
            model = speech.named(ask.model)
            lines = speech.lines(ask.job, file, model)
            if not ask.stream:
                return transcriptions.answer(ask, await while_connected(request.receive, _whole(lines)), model)
        return _Queued(transcriptions.TranscriptStream(), lines, line, 1, {"openai-model": model})

    return hear


async def _whole(lines: Any) -> transcriptions.Recognised:
    heard = transcriptions.Recognised()
    async with aclosing(lines):
        async for batch in lines:
            for _, line in batch:
                heard.add(line)
    return heard


class _Queued(EventStream):
    """A stream that holds its places in the line until it has ended."""

    def __init__(self, chunks: Any, pieces: Any, line: WaitingLine, count: int, headers: dict[str, str]) -> None:
        super().__init__(chunks, pieces, headers)
        self.line, self.count = line, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.line.place(self.count):
            await super().__call__(scope, receive, send)


async def _gather(language: Language, ask: Generation) -> list[Whole]:
    wholes = [Whole.start() for _ in ask.bodies]
    async for batch in language.pieces(ask):
        for index, piece in batch:
            wholes[index].add(piece)
    return wholes


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "Send the request as 'Content-Type: application/json'.", code="unsupported_media_type")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request)
    except TimeoutError:
        raise ApiError(
            408, f"The body did not come within {BODY_SECONDS:.0f} seconds.", code="request_timeout",
            headers={"connection": "close"},
        ) from None  # fmt: skip
    except ClientDisconnect:
        raise ClientGoneError from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> ApiError:
    return ApiError(413, f"The body is larger than {LARGEST_BODY:,} bytes.", code="request_too_large")


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path[:200]}"
    if error.status_code == 405:
        problem = ApiError(405, f"Not allowed: {where}.", code="method_not_allowed", headers=dict(error.headers or {}))
    else:
        problem = ApiError(error.status_code, f"Unknown request URL: {where}.", code="unknown_url")
    return Response(problem.body, problem.status, problem.headers, "application/json")
