"""A loopback server that plays scripted faults, byte by byte, and logs each request.

    with FaultServer(reply(429, headers={"retry-after": "1"}), stream(say("Hi"), stop(), DONE)) as server:
        ...  # ask at server.url
    assert [seen.path for seen in server.log] == ["/v1/chat/completions"] * 2

One script for each request, the last one again for all further ones. A script is a list of steps: bytes
to send, or GATE (wait for `server.release()` or for the client to leave), RESET, CLOSE, or a function that
makes bytes for ever. The log is the oracle for how often and what the client really asked.
"""

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

GATE, RESET, CLOSE = "gate", "reset", "close"
DONE = "[DONE]"
LAST_CHUNK = b"0\r\n\r\n"
PATIENCE = 10.0  # seconds after which a test that waits for the server has failed

Step = bytes | str | Callable[[], bytes]
Script = Sequence[Step]


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attempt(self) -> int:
        return 1 + int(self.headers["x-stainless-retry-count"])


def head(status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """A response's head."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(status: int = 200, body: Any = b"", headers: dict[str, str] | None = None) -> list[Step]:
    """A whole response; a dict becomes JSON."""
    kind = "application/json" if isinstance(body, (dict, list)) else "text/plain"
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return [head(status, {"content-type": kind, **(headers or {}), "content-length": str(len(data))}) + data]


def refusal(status: int, message: str = "no", headers: dict[str, str] | None = None, **fields: Any) -> list[Step]:
    """An error in the API's form."""
    error = {"message": message, "type": None, "param": None, "code": None, **fields}
    return reply(status, {"error": error}, headers)


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def opening(**headers: str) -> bytes:
    """The head of an event stream whose body is chunked."""
    return head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers})


def event(value: Any, name: str = "") -> bytes:
    """A server-sent event; a dict becomes JSON."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def stream(*values: Any) -> list[Step]:
    """An event stream in full: dicts, strings and bytes are its events, each a chunk; steps stay steps."""
    return [opening(), *map(_piece, values), LAST_CHUNK]


def cut(*values: Any) -> list[Step]:
    """An event stream that ends without its last chunk; add GATE, RESET, CLOSE as needed."""
    return [opening(), *map(_piece, values)]


def plain_stream(*values: Any) -> list[Step]:
    """An event stream that ends when the connection does, cleanly."""
    pieces = (v if v in (GATE, RESET) or isinstance(v, bytes) else event(v) for v in values)
    return [head(200, {"content-type": "text/event-stream", "connection": "close"}), *pieces, CLOSE]


def _piece(value: Any) -> Step:
    if callable(value) or (isinstance(value, str) and value in (GATE, RESET, CLOSE)):
        return value
    return chunk(value if isinstance(value, bytes) else event(value))


def say(text: str | None, index: int = 0, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat answer."""
    choice = {"index": index, "delta": {"content": text, **delta}, "finish_reason": None}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "answered", "choices": [choice]}


def stop(reason: str | None = "stop", index: int = 0) -> dict[str, Any]:
    """The chunk that ends a chat answer."""
    return {**say(None), "choices": [{"index": index, "delta": {}, "finish_reason": reason}]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The chunk that carries the usage."""
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**say(None), "choices": [], "usage": tokens}


def completion(text: str, reason: str = "stop") -> dict[str, Any]:
    """A chat answer that is no stream."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "model": "answered",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


class FaultServer:
    """Plays one script for each request on 127.0.0.1, on a thread of its own."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> None:
        self.log: list[Seen] = []
        self.open = 0
        self.accepted = 0
        self._scripts: Iterator[Script] = iter(scripts)
        self._script: Script = reply(500)
        self.greeting = greeting
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._gate = asyncio.Semaphore(0)
        self._connections: set[_Connection] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-server", daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def release(self, times: int = 1) -> None:
        """Let the next GATE pass."""
        for _ in range(times):
            self._loop.call_soon_threadsafe(self._gate.release)

    def wait_until(self, true: Callable[["FaultServer"], bool]) -> None:
        """Wait until it is so; a test fails that waits too long."""
        with self._changed:
            assert self._changed.wait_for(lambda: true(self), PATIENCE), f"{self.open} open, {len(self.log)} seen"

    def __enter__(self) -> Self:
        self._thread.start()
        make = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(make, self._loop).result(PATIENCE)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = [c.playing for c in self._connections if c.playing]
        for connection in tuple(self._connections):
            connection.abort()
        if tasks:
            await asyncio.wait(tasks)

    def note(self, seen: Seen | None = None, opened: int = 0) -> None:
        with self._changed:
            self.open += opened
            self.accepted += opened > 0
            if seen:
                self.log.append(seen)
            self._changed.notify_all()

    def script(self) -> Script:
        self._script = next(self._scripts, self._script)
        return self._script

    async def pass_gate(self) -> None:
        await self._gate.acquire()


class _Connection(asyncio.Protocol):
    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.playing: asyncio.Task[None] | None = None
        self._buffer = b""
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server._connections.add(self)
        self.server.note(opened=1)
        if self.server.greeting:
            transport.write(self.server.greeting)

    def connection_lost(self, _: Exception | None) -> None:
        self.server._connections.discard(self)
        if self.playing:
            self.playing.cancel()
        self.server.note(opened=-1)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.playing or self.playing.done():
            self._read()

    def abort(self) -> None:
        self._transport.abort()

    def _read(self) -> None:
        top, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(" ")
        self.server.note(Seen(method, path, headers, rest[:length]))
        self.playing = asyncio.get_running_loop().create_task(self._play(self.server.script()))
        self.playing.add_done_callback(lambda task: task.cancelled() or self._read())

    async def _play(self, script: Script) -> None:
        for step in script:
            if step == GATE:
                await self.server.pass_gate()
            elif step == RESET:
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._transport.abort()
            elif step == CLOSE:
                self._transport.close()
            elif isinstance(step, bytes):
                await self._send(step)
            elif callable(step):
                while True:
                    await self._send(step())

    async def _send(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()
        await asyncio.sleep(0)  # a step of its own on the wire; an endless one lets the loop see the end
