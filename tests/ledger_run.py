"""Mixed calls against an endpoint that keeps its own ledger, and the comparison of the two ledgers.

The model's name says what happens to a call and is its name in both ledgers: `c17-stream-cut` is call 17, a stream
that is cut. A call that fails is tried again by the SDK or the engine, under the same name, as the next attempt.
"""

import asyncio
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import openai

import chatkit
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.store import default_store

KEY = "sk-test-abcdefghijkl-wxyz"
GOOD = ("chat", "stream", "hidden", "responses", "audio", "embed")
FAULTS = {
    "chat": ("e400", "e429", "e500", "reset", "html", "bad", "nousage", "refused"),
    "stream": ("e500", "cut", "reset", "nousage", "cancel", "error", "refused"),
    "hidden": ("e400", "cut", "cancel", "nousage"),
    "responses": ("e401", "e500", "bad"),
    "audio": ("e500", "reset", "nousage", "refused"),
    "embed": ("e429", "reset"),
}  # fmt: skip
SHARE = 0.3


@dataclass(frozen=True)
class Entry:
    """One request as the endpoint saw it: what usage it sent in full, and with which status."""

    name: str
    attempt: int
    usage: tuple[int, int] | None
    status: int


class Endpoint:
    """The other side, with its ledger."""

    def __init__(self) -> None:
        self.ledger: list[Entry] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"GET"):  # a look whether this is a chatkit server: no call, no entry
                    await _send(writer, 404, {})
                    continue
                length = int(re.search(rb"content-length: *(\d+)", head.lower())[1])
                body = await reader.readexactly(length)
                if not await self._answer(head.decode("latin-1"), body, reader, writer):
                    break
        writer.close()

    async def _answer(self, head: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        name = re.search(rb"c\d+-[a-z]+-[a-z0-9]+", body)[0].decode()
        attempt = 1 + int(re.search(r"x-stainless-retry-count: *(\d+)", head.lower())[1])
        _, kind, fate = name.split("-")
        used = (len(body), int(name[1:].split("-")[0]) % 97 + 1)
        if fate.startswith("e4") or fate == "e500":
            status = int(fate[1:])
            self._note(name, attempt, None, status)
            return await _send(writer, status, {"error": {"message": "no", "code": fate, "type": "x"}})
        if fate == "reset":
            self._note(name, attempt, None, 0)
            return False
        if fate in ("html", "bad"):
            self._note(name, attempt, None, 200)
            kind_of = "text/html" if fate == "html" else "application/json"
            return await _send(writer, 200, b"<p>sign in</p>" if fate == "html" else b'{"id": ', kind_of)
        sent = None if fate == "nousage" else used
        streamed = kind in ("stream", "hidden") or b'"stream":true' in body.replace(b" ", b"")
        if streamed:
            return await self._stream(name, attempt, fate, sent, body, reader, writer)
        self._note(name, attempt, sent if kind != "audio" or sent is None else (0, 0), 200)
        return await _send(writer, 200, _whole(kind, name, sent))

    async def _stream(
        self, name: str, attempt: int, fate: str, sent: tuple[int, int] | None, body: bytes,
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
    ) -> bool:  # fmt: skip
        asks = b"include_usage" in body
        whole = fate not in ("cut", "cancel", "error")
        self._note(name, attempt, sent if whole and asks else None, 200)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for word in ("In ", "Brazil", "."):
            writer.write(
                _event({"model": name, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
            )
        if fate == "cancel":
            await writer.drain()
            await reader.read(1)  # until the client has left
            return False
        if fate == "error":
            writer.write(_event({"error": {"message": "broken", "code": "server_error"}}) + b"0\r\n\r\n")
            return True
        if fate == "cut":
            await writer.drain()
            return False
        writer.write(_event({"model": name, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        if sent and asks:
            writer.write(_event({"model": name, "choices": [], "usage": _usage(sent)}))
        writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
        return True

    def _note(self, name: str, attempt: int, usage: tuple[int, int] | None, status: int) -> None:
        self.ledger.append(Entry(name, attempt, usage, status))


def _usage(sent: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": sent[0], "completion_tokens": sent[1], "total_tokens": sum(sent)}


def _whole(kind: str, name: str, sent: tuple[int, int] | None) -> dict[str, Any]:
    if kind == "audio":
        return {"text": "Brazil."} | ({"usage": {"type": "duration", "seconds": 7}} if sent else {})
    used: dict[str, Any] = {}
    if kind == "responses":
        text = {"type": "output_text", "text": "Brazil.", "annotations": []}
        output = [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}]
        if sent:
            used = {"usage": {"input_tokens": sent[0], "output_tokens": sent[1], "total_tokens": sum(sent)}}
        return {"id": "r", "object": "response", "model": name, "status": "completed", "output": output, **used}
    if sent:
        used = {"usage": _usage(sent)}
    if kind == "embed":
        return {
            "object": "list",
            "model": name,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            **used,
        }
    choice = {"index": 0, "message": {"role": "assistant", "content": "Brazil."}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": name, "choices": [choice], **used}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(value: dict[str, Any]) -> bytes:
    return _chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


async def _send(writer: asyncio.StreamWriter, status: int, value: Any, kind: str = "application/json") -> bool:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nretry-after-ms: 1\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    return True


@contextmanager
def running() -> Iterator[Endpoint]:
    """The endpoint on a thread of its own, while inside."""
    endpoint, loop = Endpoint(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=512))
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def plan(count: int, seed: int = 1) -> list[str]:
    """The names of the calls."""
    dice = random.Random(seed)
    names = []
    for number in range(count):
        kind = dice.choice(GOOD)
        fate = dice.choice(FAULTS[kind]) if dice.random() < SHARE else "ok"
        names.append(f"c{number}-{kind}-{fate}")
    return names


class Caller:
    """Makes the calls, a third each by the plain SDK, by its asynchronous client, and by chatkit's own verbs."""

    def __init__(self, url: str) -> None:
        self._good, self._dead = url, "http://127.0.0.1:9/v1"
        self._clients = {
            where: chatkit.connect(base_url=where, api_key=KEY, quiet=True) for where in (self._good, self._dead)
        }

    def make(self, names: list[str], threads: int = 8) -> None:
        """All of them."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._call, [name for number, name in enumerate(names) if number % 3 != 1]))
        asyncio.run(self._calls([name for number, name in enumerate(names) if number % 3 == 1], threads))

    def _call(self, name: str) -> None:
        number, kind, fate = name.split("-")
        client = self._clients[self._dead if fate == "refused" else self._good]
        with suppress(openai.OpenAIError, ValueError, chatkit.ChatkitError):
            if int(number[1:]) % 3 == 2 and kind in ("chat", "stream"):
                self._by_chat(client, name, fate)
            else:
                _by_sdk(client, name, kind, fate)

    def _by_chat(self, client: openai.OpenAI, name: str, fate: str) -> None:
        run = chatkit.Chat(model=name, client=client).stream("Where was it held?")
        if fate == "cancel":
            for _ in run:
                run.cancel()
        run.wait()

    async def _calls(self, names: list[str], at_once: int) -> None:
        turns = asyncio.Semaphore(at_once)
        where = {
            url: chatkit.connect(base_url=url, api_key=KEY, quiet=True, asynchronous=True) for url in self._clients
        }

        async def one(name: str) -> None:
            _, kind, fate = name.split("-")
            async with turns:
                with suppress(openai.OpenAIError, ValueError):
                    await _by_async_sdk(where[self._dead if fate == "refused" else self._good], name, kind, fate)

        await asyncio.gather(*map(one, names))
        for client in where.values():
            await client.close()


MESSAGES: Any = [{"role": "user", "content": "Where was it held?"}]
WAV = ("talk.wav", b"RIFF\0\0\0\0WAVE" + bytes(2000))


def _by_sdk(client: openai.OpenAI, name: str, kind: str, fate: str) -> None:
    stream = _request(client, name, kind)
    if kind in ("stream", "hidden"):
        with stream as pieces:
            for _ in pieces:
                if fate == "cancel":
                    break


async def _by_async_sdk(client: openai.AsyncOpenAI, name: str, kind: str, fate: str) -> None:
    answer = await _request(client, name, kind)
    if kind in ("stream", "hidden"):
        async with answer as pieces:
            async for _ in pieces:
                if fate == "cancel":
                    break


def _request(client: Any, name: str, kind: str) -> Any:
    calls: dict[str, Callable[[], Any | Coroutine[Any, Any, Any]]] = {
        "chat": lambda: client.chat.completions.create(model=name, messages=MESSAGES),
        "hidden": lambda: client.chat.completions.create(model=name, messages=MESSAGES, stream=True),
        "stream": lambda: client.chat.completions.create(
            model=name, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ),
        "responses": lambda: client.responses.create(model=name, input="Where?"),
        "audio": lambda: client.audio.transcriptions.create(model=name, file=WAV),
        "embed": lambda: client.embeddings.create(model=name, input="Brazil"),
    }
    return calls[kind]()


@dataclass(frozen=True)
class Difference:
    """What the two ledgers do not agree on; all empty if they do."""

    missing: Counter[tuple[str, int]]
    too_many: Counter[tuple[str, int]]
    wrong_tokens: list[tuple[str, int]]
    not_marked: list[tuple[str, int]]
    invented: list[tuple[str, int]]


def compare(ledger: list[Entry], rows: list[UsageRecord]) -> Difference:
    """Hold the rows against the endpoint's ledger; calls to where nobody listens are not in that, but are rows."""
    seen = {(entry.name, entry.attempt): entry for entry in ledger}
    counted = Counter((entry.name, entry.attempt) for entry in ledger)
    refused = [row for row in rows if (row.model or "").endswith("-refused")]
    booked = Counter((str(row.model), row.attempt) for row in rows if row not in refused)
    wrong, unmarked, invented = [], [], [(str(row.model), row.attempt) for row in refused if not _is_nothing(row)]
    for row in rows:
        key = (str(row.model), row.attempt)
        entry = seen.get(key)
        if entry is None:
            continue
        used = (row.usage.prompt_tokens, row.usage.completion_tokens)
        is_audio = "-audio-" in entry.name
        if entry.usage is not None:
            exact = row.usage.audio_seconds == 7 if is_audio else used == entry.usage
            if not exact or row.usage.known != "measured":
                wrong.append(key)
        elif 400 <= entry.status < 500:
            if not _is_nothing(row):
                invented.append(key)
        elif row.usage.known == "measured":
            unmarked.append(key)
        elif row.usage.known == "unknown" and used != (None, None):
            invented.append(key)
    return Difference(counted - booked, booked - counted, wrong, unmarked, invented)


def _is_nothing(row: UsageRecord) -> bool:
    return (row.usage.prompt_tokens, row.usage.completion_tokens, row.usage.known) == (0, 0, "measured")


def run(count: int, seed: int = 1) -> tuple[list[Entry], list[UsageRecord]]:
    """Make the calls, on this process's store, which has no others; both ledgers."""
    with running() as endpoint:
        Caller(endpoint.url).make(plan(count, seed))
        return endpoint.ledger, default_store().records()
