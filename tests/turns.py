"""How the tests take a turn: ask a fault server by the engine, on a metered client, and get all that came."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import openai
from faultserver import FaultServer

from chatkit.client.engine import Engine
from chatkit.client.reply import Delta, Reply, Wait
from chatkit.ledger.meter import AsyncMeteredTransport, Meter
from chatkit.ledger.record import UsageRecord, session
from chatkit.ledger.store import default_store

KEY = "sk-test-abcdefghijkl-wxyz"
BODY = {"model": "asked", "messages": [{"role": "user", "content": "Hello"}]}

Item = Delta | Wait | Reply


@dataclass
class Naps:
    """Takes the place of sleep: notes the seconds, waits for nothing."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass
class Taken:
    """A turn that was taken."""

    items: list[Delta | Wait]
    reply: Reply
    naps: list[float]

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items if isinstance(item, Delta) and item.kind == "text")

    @property
    def waits(self) -> list[Wait]:
        return [item for item in self.items if isinstance(item, Wait)]

    @property
    def message(self) -> str:
        return str(self.reply.error)

    @property
    def kind(self) -> str | None:
        return getattr(self.reply.error, "kind", None)


def ask(
    server: FaultServer | None,
    body: Mapping[str, Any] = BODY,
    *,
    url: str = "",
    then: Callable[[Item], object] = bool,
    transport: httpx2.AsyncBaseTransport | None = None,
    key: str = KEY,
    chance: float = 0.0,
    **options: Any,
) -> Taken:
    """Take one turn; `then` hears of each item as it comes, waits between attempts take no time.

    The common rule is held in passing: one row in the store for each request that the server has seen,
    and the reply has the same rows.
    """
    naps, seen = Naps(), len(server.log) if server else 0
    engine = Engine(sleep=naps, chance=lambda: chance)

    async def turn() -> list[Item]:
        items: list[Item] = []
        async with client(url or (server.url if server else "http://nowhere.test/v1"), key, transport) as asking:
            async for item in engine.stream(asking, body, **options):
                items.append(item)
                then(item)
        return items

    with session(f"turn {uuid4()}") as name:
        *items, reply = asyncio.run(turn())
    assert isinstance(reply, Reply)
    rows = default_store().records(session=name)
    assert rows == list(reply.records)
    if server and not url and server.url.startswith("http:"):
        posts = [request for request in server.log[seen:] if request.method == "POST"]
        assert [row.attempt for row in rows] == [request.attempt for request in posts]
    return Taken([item for item in items if not isinstance(item, Reply)], reply, naps.seconds)


def client(url: str, key: str = KEY, transport: httpx2.AsyncBaseTransport | None = None) -> openai.AsyncOpenAI:
    """A metered client, on a transport that does not look at the environment's proxies."""
    inner = transport or httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=None))
    metered = AsyncMeteredTransport(inner, Meter(free=True))
    return openai.AsyncOpenAI(api_key=key, base_url=url, http_client=openai.DefaultAsyncHttpx2Client(transport=metered))


def bare_client(url: str) -> openai.AsyncOpenAI:
    """A client that chatkit did not build."""
    return openai.AsyncOpenAI(api_key=KEY, base_url=url, http_client=openai.DefaultAsyncHttpx2Client(trust_env=False))


def outcomes(records: tuple[UsageRecord, ...]) -> list[tuple[int, str, int | None]]:
    """What the meter booked: attempt, outcome and status of each row."""
    return [(row.attempt, row.outcome, row.status) for row in records]
