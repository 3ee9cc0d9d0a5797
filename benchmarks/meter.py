"""CPU of the meter: a raw SDK call, and a streamed chunk, beside the same client without a meter.

The answers are canned, so that only the client's own work is counted, on the thread that does it.

Run: python benchmarks/meter.py
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai

from chatkit.ledger.meter import Meter, MeteredTransport
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.rules import Limit
from chatkit.ledger.store import UsageStore

ROUNDS = 9
CALLS = 200
STREAMS = 5
CHUNKS = 2000
HEAD = '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18",'
HEAD += '"service_tier":"default","system_fingerprint":"fp_0","choices":['
USED = {"prompt_tokens": 100, "completion_tokens": CHUNKS, "total_tokens": 100 + CHUNKS}
MESSAGES: list[Any] = [{"role": "user", "content": "Where was the World Cup held? " * 10}]
URL = "https://api.openai.com/v1/chat/completions"


class Canned(httpx2.BaseTransport):
    """Answers at once: a chat answer, or a stream with one network chunk for each token."""

    def __init__(self) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": "In Brazil. " * 20}, "finish_reason": "stop"}
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
        self.answer = json.dumps(answer | {"choices": [choice], "usage": USED}).encode()
        text = HEAD + '{"index":0,"delta":{"content":" tok"},"logprobs":null,"finish_reason":null}],"usage":null}'
        stop = HEAD + '{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}'
        usage = HEAD + '],"usage":' + json.dumps(USED) + "}"
        self.events = [self._event(line) for line in [text] * CHUNKS + [stop, usage, "[DONE]"]]

    @staticmethod
    def _event(line: str) -> bytes:
        return f"data: {line}\n\n".encode()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if b'"stream":true' in request.content:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(self.events))
        return httpx2.Response(200, headers={"content-type": "application/json"}, stream=Pieces([self.answer]))


class Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces


def cpu(work: Callable[[], object], times: int) -> float:
    start = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - start) / times


def compare(
    name: str,
    make: Callable[[httpx2.BaseTransport], Callable[[], object]],
    times: int,
    share: int,
    limit: Limit | None = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = UsageStore(Path(folder) / "usage.sqlite")
        rulebook_of(store).set_limit(limit)
        bare, metered = make(Canned()), make(MeteredTransport(Canned(), Meter(store)))
        for work in (bare, metered):
            cpu(work, times)
        pairs = [(cpu(bare, times), cpu(metered, times)) for _ in range(ROUNDS)]
        assert store.total().calls == (ROUNDS + 1) * times
        store.close()
    floor, cost = (statistics.median(side) / share * 1e6 for side in zip(*pairs, strict=True))
    print(f"{name:34}{floor:10.1f}{cost:10.1f}{cost - floor:10.1f}{cost / floor:8.2f}")


def sdk_call(transport: httpx2.BaseTransport) -> Callable[[], object]:
    client = openai.OpenAI(api_key="none", http_client=openai.DefaultHttpx2Client(transport=transport))
    return lambda: client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


def sdk_stream(transport: httpx2.BaseTransport) -> Callable[[], object]:
    client = openai.OpenAI(api_key="none", http_client=openai.DefaultHttpx2Client(transport=transport))
    return lambda: list(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))


def raw_stream(transport: httpx2.BaseTransport) -> Callable[[], object]:
    client = httpx2.Client(transport=transport)
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}

    def work() -> None:
        with client.stream("POST", URL, json=body) as response:
            for _ in response.iter_raw():
                pass

    return work


def main() -> None:
    print(f"{'CPU, µs':34}{'bare':>10}{'metered':>10}{'added':>10}{'ratio':>8}")
    compare("openai: a call, not streamed", sdk_call, CALLS, 1)
    compare("the same, under a budget", sdk_call, CALLS, 1, Limit(Decimal(1000)))
    compare("openai: a streamed chunk", sdk_stream, STREAMS, CHUNKS)
    compare("httpx2: a streamed chunk, raw", raw_stream, STREAMS, CHUNKS)


if __name__ == "__main__":
    main()
