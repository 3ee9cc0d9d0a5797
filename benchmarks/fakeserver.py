"""A fast, deterministic stand-in for a chat endpoint: what the benchmarks measure chatkit against.

One process, one thread, HTTP/1.1 with keep-alive, loopback only. The model's name says what it does:

    fake_n2000        2,000 tokens, as fast as they go, one HTTP chunk each
    fake_n2000_r100   the same at 100 tokens a second, on a schedule that does not drift
    fake_n20_f5       the first token 5 ms after the request was read

POST /v1/chat/completions and /v1/responses (stream or not), GET /v1/models, and GET /v1/last: when the last token
was written, in seconds since 1970.

    python benchmarks/fakeserver.py            # prints {"port": N}; ends with its standard input
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

WORDS = ["the", " quick", " brown", " fox", " jumps", " naïve", " tokens", " 日本語", ",", " into", " a", " cell", "."]
SETTING = re.compile(r"_([nrf])(\d+(?:\.\d+)?)")
AT_ONCE = 16  # events that are written together
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def tokens(count: int) -> list[str]:
    """The answer's pieces: always the same, some not ASCII."""
    return ["\n\n" if i and i % 50 == 0 else WORDS[(i * 7 + i // 20) % len(WORDS)] for i in range(count)]


def settings(model: str) -> tuple[int, float, float]:
    """How many tokens, how many a second (0: no limit), and the seconds before the first."""
    found = {name: float(value) for name, value in SETTING.findall(model)}
    return int(found.get("n", 20)), found.get("r", 0.0), found.get("f", 0.0) / 1000


def usage(count: int) -> dict[str, int]:
    """What the answer used."""
    return {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}


@lru_cache
def chat_events(model: str, count: int, with_usage: bool) -> tuple[bytes, ...]:
    """The stream of a chat answer, ready to be sent: one HTTP chunk for each event, the end in one."""
    base: dict[str, Any] = {
        "id": "chatcmpl-fake0000000000000000000000000",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake000000",
    }

    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event(base | {"choices": [choice], "usage": None})

    last = event({}, "stop")
    if with_usage:
        last += _event(base | {"choices": [], "usage": usage(count)})
    first = event({"role": "assistant", "content": "", "refusal": None})
    pieces = [event({"content": token}) for token in tokens(count)]
    return tuple(_chunk(data) for data in (first, *pieces, last + b"data: [DONE]\n\n"))


@lru_cache
def response_events(model: str, count: int) -> tuple[bytes, ...]:
    """The same of the Responses API."""
    numbers = iter(range(count + 2))

    def event(kind: str, **fields: Any) -> bytes:
        value = {"type": f"response.{kind}", "sequence_number": next(numbers), **fields}
        return f"event: {value['type']}\n".encode() + _event(value)

    created = event("created", response={"id": "resp_fake", "model": model, "status": "in_progress"})
    place = {"item_id": "msg_fake", "output_index": 0, "content_index": 0, "logprobs": []}
    pieces = [event("output_text.delta", delta=token, **place) for token in tokens(count)]
    used = {"input_tokens": 7, "output_tokens": count, "total_tokens": 7 + count}
    done = {"id": "resp_fake", "model": model, "status": "completed", "output": [], "usage": used}
    return tuple(_chunk(data) for data in (created, *pieces, event("completed", response=done)))


def whole(model: str, count: int) -> dict[str, Any]:
    """A chat answer that is no stream."""
    message = {"role": "assistant", "content": "".join(tokens(count)), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 1700000000, "model": model}
    return head | {"choices": [choice], "usage": usage(count)}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """One client's connection; requests are answered one after the other."""

    last_token = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._answering: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._write: Callable[[bytes], None] = transport.write

    def connection_lost(self, _: Exception | None) -> None:
        self._writable.set()
        if self._answering:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length:\s*(\d+)", head.lower())
        size = int(length[1]) if length else 0
        if found and len(rest) >= size:
            self._buffer = rest[size:]
            path = head.split(b" ", 2)[1].decode()
            self._answering = asyncio.get_running_loop().create_task(self._answer(path, rest[:size]))

    async def _answer(self, path: str, body: bytes) -> None:
        if path.endswith("/models"):
            return self._json({"object": "list", "data": [{"id": "fake_n20", "object": "model"}]})
        if path.endswith("/last"):
            return self._json({"at": Connection.last_token})
        asked = json.loads(body)
        count, rate, delay = settings(asked["model"])
        if delay:
            await asyncio.sleep(delay)
        if not asked.get("stream"):
            return self._json(whole(asked["model"], count))
        if path.endswith("/responses"):
            return await self._stream(response_events(asked["model"], count), rate)
        with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return await self._stream(chat_events(asked["model"], count, with_usage), rate)

    def _json(self, value: dict[str, Any]) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self._write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data
        )

    async def _stream(self, events: tuple[bytes, ...], rate: float) -> None:
        self._write(HEAD)
        if rate:
            await self._paced(events, rate)
        else:
            for start in range(0, len(events), AT_ONCE):
                self._write(b"".join(events[start : start + AT_ONCE]))
                await self._writable.wait()
        Connection.last_token = time.time()
        self._write(b"0\r\n\r\n")

    async def _paced(self, events: tuple[bytes, ...], rate: float) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        for number, event in enumerate(events):
            await asyncio.sleep(max(0.0, begun + number / rate - clock()))
            self._write(event)


@contextmanager
def running() -> Iterator[str]:
    """A server in a process of its own, while inside; gives its base URL."""
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/v1"
        finally:
            process.terminate()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_serve())
