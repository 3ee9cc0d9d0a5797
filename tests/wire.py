"""How the tests of the wire take a turn without a network: bytes in, and what reply, message and usage row say of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from chatkit.chats import request as answers
from chatkit.client.engine import Engine
from chatkit.client.reply import Delta, Reply
from chatkit.conversation.message import Message
from chatkit.ledger.exchange import Ticket, new_call
from chatkit.ledger.meter import AsyncMeteredTransport, Meter, MeteredTransport
from chatkit.ledger.record import UsageRecord

KEY = "sk-test-abcdefghijkl-wxyz"
DONE = b"data: [DONE]\n\n"
EVENTS = "text/event-stream"
URL = "http://127.0.0.1/v1"
PATHS = {"chat": "/chat/completions", "responses": "/responses", "transcribe": "/audio/transcriptions"}


class Rows(Meter):
    """A meter whose rows are kept in a list."""

    def __init__(self) -> None:
        super().__init__(free=True)
        self.rows: list[UsageRecord] = []

    def warm_up(self) -> None:
        pass

    def admit(self, asked: object) -> Ticket:
        return Ticket(new_call(), free=True)

    def write(self, record: UsageRecord, patience: float = 0) -> None:
        self.rows.append(record)


class Pieces(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """A body in pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = pieces

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@dataclass
class Told:
    """What is told of one answer: the reply, its messages, the usage row."""

    reply: Reply
    deltas: list[Delta]
    rows: list[UsageRecord]

    @property
    def row(self) -> UsageRecord:
        return self.rows[-1]

    @property
    def messages(self) -> list[Message]:
        return answers.messages(self.reply)

    @property
    def outcomes(self) -> tuple[str, str | None, str]:
        """Of the reply, of its first message, of the row."""
        return self.reply.outcome, self.messages[0].outcome, self.row.outcome

    @property
    def calls(self) -> list[tuple[Any, str, str]]:
        """Id, name and arguments of each tool call."""
        said = [call for answer in self.reply.answers for call in answer.tool_calls]
        return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in said]

    @property
    def tokens(self) -> tuple[int | None, int | None, str]:
        used = self.row.usage
        return used.prompt_tokens, used.completion_tokens, used.known


def event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


def events(*values: Any) -> list[bytes]:
    return [value if isinstance(value, bytes) else event(value) for value in values]


def typed(*values: dict[str, Any]) -> list[bytes]:
    return [event(value, value["type"]) for value in values]


def say(text: str | None = None, reason: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {} if text is None else {"content": text}, "finish_reason": reason}
    return {"model": "answered", "choices": [{**choice, **more}]}


def tell(
    *pieces: bytes | BaseException,
    api: str = "chat",
    body: dict[str, Any] | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    metered: bool = True,
    **options: Any,
) -> Told:
    """Take one turn that is answered by these bytes."""
    asked = {"model": "asked", "messages": [{"role": "user", "content": "Hi"}], **(body or {})}
    if api != "chat":
        asked = {"model": "asked", "input": "Hi", **(body or {})}
    head = {"content-type": EVENTS, **(headers or {})}
    inner = httpx2.MockTransport(lambda request: httpx2.Response(status, headers=head, stream=Pieces(*pieces)))
    meter = Rows()
    transport = AsyncMeteredTransport(inner, meter) if metered else inner

    async def turn() -> list[Any]:
        http = httpx2.AsyncClient(transport=transport, trust_env=False)
        async with openai.AsyncOpenAI(api_key=KEY, base_url=URL, http_client=http) as client:
            engine = Engine(sleep=_at_once, chance=lambda: 0.0)
            return [item async for item in engine.stream(client, asked, api=api, attempts=1, **options)]

    *items, reply = asyncio.run(turn())
    return Told(reply, [item for item in items if isinstance(item, Delta)], meter.rows)


async def _at_once(seconds: float) -> None:
    """Wait for nothing."""


def booked(
    *pieces: bytes | BaseException,
    api: str = "chat",
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[bytes, UsageRecord]:
    """What a caller without an engine gets, and the row."""
    head = {"content-type": EVENTS, **(headers or {})}
    inner = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=head, stream=Pieces(*pieces)))
    meter, came = Rows(), bytearray()
    asked = {"model": "asked", "stream": True, "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
    client = httpx2.Client(transport=MeteredTransport(inner, meter), trust_env=False)
    try:
        with client.stream("POST", URL + PATHS[api], json={**asked, **(body or {})}) as response:
            for piece in response.iter_bytes():
                came += piece
    except httpx2.HTTPError:
        pass
    return bytes(came), meter.rows[-1]
