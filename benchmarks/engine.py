"""What a streamed token and a first token cost: bare httpx2, the bare openai client, chatkit's engine.

All in one run against fakeserver.py, in turns, so that what else the machine does hits all alike. The CPU is
that of this process (the server has its own); the least of all rounds counts, of times the tenth percentile.

    python benchmarks/engine.py
"""

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import fakeserver
import httpx2
import openai

from chatkit.client.engine import Engine
from chatkit.ledger.meter import AsyncMeteredTransport, Meter
from chatkit.ledger.store import UsageStore

TOKENS = 2000
ROUNDS = 15
FIRSTS = 300
GOAL_CPU = 40 / 140  # of openai's cost, as first measured: 40 µs beside 140
GOAL_FIRST = 0.3  # ms more than openai

Way = Callable[[str], AsyncIterator[object]]


def body(model: str) -> dict[str, Any]:
    """The request that all make."""
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}]}


def asked(model: str) -> dict[str, Any]:
    """The same as a stream with its usage."""
    return body(model) | {"stream": True, "stream_options": {"include_usage": True}}


def ways(url: str, folder: Path) -> dict[str, Way]:
    """Each way to stream an answer; it yields at least once a token."""
    bare = httpx2.AsyncClient(trust_env=False)
    plain = openai.AsyncOpenAI(api_key="sk-none", base_url=url, http_client=_http(httpx2.AsyncHTTPTransport()))
    transport = AsyncMeteredTransport(
        httpx2.AsyncHTTPTransport(), Meter(UsageStore(folder / "usage.sqlite"), free=True)
    )
    metered = openai.AsyncOpenAI(api_key="sk-none", base_url=url, http_client=_http(transport))

    async def by_httpx2(model: str) -> AsyncIterator[object]:
        async with bare.stream("POST", f"{url}/chat/completions", json=asked(model)) as response:
            async for piece in response.aiter_bytes():
                if b'content":""' not in piece:
                    yield piece

    async def by_openai(model: str) -> AsyncIterator[object]:
        async for piece in await plain.chat.completions.create(**asked(model)):
            if piece.choices and piece.choices[0].delta.content:
                yield piece

    def by_engine(client: openai.AsyncOpenAI) -> Way:
        return lambda model: Engine().stream(client, body(model))

    return {
        "httpx2, bytes only": by_httpx2,
        "openai": by_openai,
        "chatkit engine": by_engine(plain),
        "chatkit engine, metered": by_engine(metered),
    }


def _http(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    return openai.DefaultAsyncHttpx2Client(transport=transport)


async def cpu_per_token(way: Way) -> float:
    """Microseconds of CPU for a token of a long answer."""
    gc.collect()
    begun = time.process_time()
    count = 0
    async for _ in way(f"fake_n{TOKENS}"):
        count += 1
    spent = time.process_time() - begun
    assert count >= TOKENS, count
    return spent / TOKENS * 1e6


async def first_token(way: Way) -> float:
    """Milliseconds from the call to the first token."""
    begun = time.perf_counter()
    first = None
    async for _ in way("fake_n2"):
        if first is None:
            first = time.perf_counter() - begun
    assert first is not None
    return first * 1e3


async def measure(url: str, folder: Path) -> dict[str, tuple[float, float]]:
    """CPU a token and time to the first, of each way."""
    all_ways = ways(url, folder)
    cpu: dict[str, list[float]] = {name: [] for name in all_ways}
    firsts: dict[str, list[float]] = {name: [] for name in all_ways}
    for number in range(ROUNDS + 2):
        for name, way in all_ways.items():
            spent = await cpu_per_token(way)
            if number >= 2:  # the first two warm up
                cpu[name].append(spent)
    for number in range(FIRSTS + 20):
        for name, way in all_ways.items():
            seconds = await first_token(way)
            if number >= 20:
                firsts[name].append(seconds)
    return {name: (min(cpu[name]), statistics.quantiles(firsts[name], n=10)[0]) for name in all_ways}


def main() -> None:
    """Print the table."""
    with fakeserver.running() as url, tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(url, Path(folder)))
    base_cpu, base_first = found["openai"]
    print(f"{'':26}{'CPU a token':>14}{'of openai':>11}{'first token':>14}{'over openai':>13}")
    for name, (cpu, first) in found.items():
        print(f"{name:26}{cpu:>11.1f} µs{cpu / base_cpu:>11.2f}{first:>11.2f} ms{first - base_first:>+10.2f} ms")
    cpu, first = found["chatkit engine, metered"]
    print(f"goals: at most {GOAL_CPU:.2f} of openai's CPU a token ({_said(cpu / base_cpu <= GOAL_CPU)}), ", end="")
    print(f"first token at most {GOAL_FIRST} ms later ({_said(first - base_first <= GOAL_FIRST)})")


def _said(met: bool) -> str:
    return "met" if met else "missed"


if __name__ == "__main__":
    main()
