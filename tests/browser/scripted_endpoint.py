"""A loopback endpoint that answers by the last user message, slowly, and logs what happens to its sockets.

"count 200" streams the numbers to 200, one each 20 ms; "burst 2000" the same at once; "rich" a text with
everything in it; "busy" is refused once with Retry-After: 1; "broken" is refused for good; "silence" gets
no answer; "cut" breaks off. Anything else is echoed.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

RICH = """## The World Cup of 2014

It was held in **Brazil**, in *twelve* cities; see [FIFA](https://www.fifa.com/tournaments).

| City | Stadium | Seats |
|:--|:--|--:|
| Rio de Janeiro | Maracanã | 78,838 |
| São Paulo | Arena Corinthians | 68,727 |

```python
def goals(match: str) -> int:
    # Germany won the semi-final
    return sum(int(n) for n in match.split(":"))  # "1:7" -> 8
```

The mean is $\\bar{x} = \\frac{1}{n} \\sum_{i=1}^{n} x_i$, and

$$ E = mc^2 $$

1. first
2. second

> A quote, with `code` in it. ![chart](https://elsewhere.invalid/chart.png?q=secret)
"""


@dataclass
class Exchange:
    """One request: what was asked, and what became of it; times by `time.monotonic`."""

    question: str
    began: float
    sent: int = 0
    finished: bool = False
    closed: float | None = None
    body: dict = field(default_factory=dict)


class ScriptedEndpoint:
    """Serves on its own thread until `close()`."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, question: str) -> list[Exchange]:
        """The exchanges with that question."""
        return [e for e in self.exchanges if e.question == question]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._exchange(head, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _exchange(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
        body = json.loads(await reader.readexactly(length) or b"{}")
        question = next((m["content"] for m in reversed(body.get("messages", [])) if m["role"] == "user"), "")
        exchange = Exchange(question, time.monotonic(), body=body)
        self.exchanges.append(exchange)
        gone = asyncio.create_task(reader.read(1))
        playing = asyncio.create_task(self._play(exchange, writer))
        await asyncio.wait({gone, playing}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() or exchange.question == "cut":
            exchange.closed = time.monotonic()
            playing.cancel()
            raise ConnectionResetError
        gone.cancel()
        await asyncio.wait({gone})
        playing.result()

    async def _play(self, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
        word, _, number = exchange.question.partition(" ")
        if word == "silence":
            await asyncio.sleep(3600)
        elif word == "busy" and len(self.asked(exchange.question)) == 1:
            refusal = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}
            _answer(writer, "429 Too Many Requests", refusal, "Retry-After: 1\r\n")
        elif word == "broken":
            message = "The model `scripted` <script>alert(1)</script> does not like this."
            _answer(writer, "400 Bad Request", {"error": {"message": message, "type": "invalid_request_error"}})
        else:
            await self._stream(exchange, writer, _words(word, number, exchange.question))
        await writer.drain()
        exchange.finished = True

    async def _stream(self, exchange: Exchange, writer: asyncio.StreamWriter, words: AsyncIterator[str]) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for word in words:
            exchange.sent += 1
            _event(writer, {"choices": [{"index": 0, "delta": {"content": word}}]})
            await writer.drain()
        if exchange.question == "cut":
            return
        _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": 7, "completion_tokens": exchange.sent, "total_tokens": 7 + exchange.sent}
        _event(writer, {"choices": [], "usage": usage})
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")


async def _words(word: str, number: str, question: str) -> AsyncIterator[str]:
    count = int(number) if number.isdigit() else 3
    if word == "rich":
        for start in range(0, len(RICH), 7):
            yield RICH[start : start + 7]
            await asyncio.sleep(0.005)
    elif word in ("count", "burst", "cut"):
        for n in range(1, count + 1):
            yield f"{n} "
            await asyncio.sleep(0 if word == "burst" else 0.02)
    else:
        yield f"You said: {question}"


def _event(writer: asyncio.StreamWriter, data: dict) -> None:
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted-1", **data}
    _chunk(writer, b"data: " + json.dumps(whole).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _answer(writer: asyncio.StreamWriter, status: str, body: dict, headers: str = "") -> None:
    data = json.dumps(body).encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{headers}\r\n".encode()
        + data
    )
