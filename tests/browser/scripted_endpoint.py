"""A loopback endpoint that answers by the last user message, slowly, and logs what happens to its sockets.

"count 200" streams the numbers to 200, one each 20 ms; "burst 2000" the same at once; "rich" a text with
everything in it; "busy" is refused once with Retry-After: 1; "broken" is refused for good; "silence" gets
no answer; "cut" breaks off; "limited" ends at its token limit; "full" is refused as too long for the context while
more than two messages come along; "hostile N" answers with payload N. Anything else is echoed, `n` times if asked.
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


MODELS = ("scripted-1", "scripted-2", "gpt-6-luna")
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Exchange:
    """One request: what was asked, and what became of it; times by `time.monotonic`."""

    question: str
    began: float
    sent: int = 0
    finished: bool = False
    closed: float | None = None
    body: dict = field(default_factory=dict)
    path: str = ""


class ScriptedEndpoint:
    """Serves on its own thread until `close()`."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.payloads: list[str] = []
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
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _end(self) -> None:
        """Leave no talk unfinished: a kernel may still hold its end of one."""
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

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
        path = lines[0].split(" ")[1].removeprefix("/v1")
        if path == "/models":
            models = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"} for name in MODELS]
            _answer(writer, "200 OK", {"object": "list", "data": models})
            await writer.drain()
            return
        messages = body.get("messages") or body.get("input") or []
        question = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
        exchange = Exchange(question, time.monotonic(), body=body, path=path)
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
        elif word == "full" and len(exchange.body["messages"]) > 2:
            message = (
                "This model's maximum context length is 100 tokens. However, your messages resulted in 120 tokens."
            )
            refusal = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
            _answer(writer, "400 Bad Request", {"error": refusal | {"param": "messages"}})
        elif exchange.path == "/responses":
            await self._respond(exchange, writer, _words(word, number, exchange.question))
        else:
            await self._stream(exchange, writer, self._words(word, number, exchange.question))
        await writer.drain()
        exchange.finished = True

    def _words(self, word: str, number: str, question: str) -> AsyncIterator[str]:
        if word == "hostile" and number.isdigit():
            return _one(self.payloads[int(number)])
        return _words(word, number, question)

    async def _stream(self, exchange: Exchange, writer: asyncio.StreamWriter, words: AsyncIterator[str]) -> None:
        writer.write(EVENTS)
        answers = exchange.body.get("n") or 1
        async for word in words:
            exchange.sent += 1
            for index in range(answers):
                content = word if index == 0 else f"{word} ({index + 1})"
                _event(writer, {"choices": [{"index": index, "delta": {"content": content}}]})
            await writer.drain()
        if exchange.question == "cut":
            return
        reason = "length" if exchange.question == "limited" else "stop"
        for index in range(answers):
            _event(writer, {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": 7, "completion_tokens": exchange.sent, "total_tokens": 7 + exchange.sent}
        _event(writer, {"choices": [], "usage": usage})
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")

    async def _respond(self, exchange: Exchange, writer: asyncio.StreamWriter, words: AsyncIterator[str]) -> None:
        writer.write(EVENTS)
        number, text = 0, ""
        response = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "scripted-1",
            "status": "in_progress",
        }
        _named(writer, "response.created", number, {"response": response})
        async for word in words:
            number, text = number + 1, text + word
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            _named(writer, "response.output_text.delta", number, {**place, "delta": word})
            await writer.drain()
        content = [{"type": "output_text", "text": text, "annotations": []}]
        output = [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}]
        usage = {"input_tokens": 7, "output_tokens": number, "total_tokens": 7 + number}
        done = response | {"status": "completed", "output": output, "usage": usage}
        _named(writer, "response.completed", number + 1, {"response": done})
        writer.write(b"0\r\n\r\n")


async def _one(text: str) -> AsyncIterator[str]:
    yield text


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


def _named(writer: asyncio.StreamWriter, name: str, number: int, data: dict) -> None:
    event = json.dumps({"type": name, "sequence_number": number, **data})
    _chunk(writer, f"event: {name}\ndata: {event}\n\n".encode())


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
