"""Annexe: sends an answer, whole or as server-sent events, and stops the engine when the client leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chatkit.local.validation import ApiError, server_fault

T = TypeVar("T")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Pieces = AsyncIterator[list[tuple[int, Any]]]
"""What an engine yields: pieces of text, or the recogniser's lines."""


class ClientGoneError(Exception):
    """The client has left; there is nobody to answer."""


class Chunks(Protocol):
    """How an endpoint turns pieces into chunks."""

    done: str | None

    def open(self) -> Iterator[dict[str, Any]]: ...
    def feed(self, index: int, piece: Any) -> Iterator[dict[str, Any]]: ...
    def close(self) -> Iterator[dict[str, Any]]: ...
    def fail(self, error: dict[str, Any]) -> dict[str, Any]: ...


async def left(receive: Receive) -> None:
    """Return when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it is cancelled, and ClientGoneError raised, if the client leaves first."""
    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left(receive))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        leaving.cancel()
        task.cancel()


class EventStream(Response):
    """Chunks as server-sent events. The status is sent with the first piece: until then a refusal can be a real one."""

    media_type = "text/event-stream"

    def __init__(self, chunks: Chunks, pieces: Pieces, headers: dict[str, str]) -> None:
        super().__init__(headers={"cache-control": "no-cache", **headers})
        self.chunks = chunks
        self.pieces = pieces
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Send the stream; raises the ApiError of an engine that refuses before it has begun."""
        await while_connected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        started = False
        try:
            async with aclosing(self.pieces) as pieces:  # type: ignore[type-var]
                async for batch in pieces:
                    made = [] if started else list(self.chunks.open())
                    made += [chunk for index, piece in batch for chunk in self.chunks.feed(index, piece)]
                    if not started:
                        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                        started = True
                    await self._write(send, made)
        except ApiError as problem:
            if not started:
                raise
            await self._end(send, [self.chunks.fail(problem.error)], done=None)
            return
        if not started:
            raise server_fault()
        await self._end(send, self.chunks.close(), done=self.chunks.done)

    async def _write(self, send: Send, chunks: Iterable[dict[str, Any]]) -> None:
        body = b"".join(map(_event, chunks))
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _end(self, send: Send, chunks: Iterable[dict[str, Any]], *, done: str | None) -> None:
        body = b"".join(map(_event, chunks)) + (f"data: {done}\n\n".encode() if done else b"")
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _event(chunk: dict[str, Any]) -> bytes:
    name = f"event: {chunk['type']}\n" if "type" in chunk else ""
    return f"{name}data: {_encode(chunk)}\n\n".encode()
