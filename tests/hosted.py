"""OpenAI's own hosts without a network: clients that chatkit builds are answered by a function, and what came is kept."""

import json
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2

from chatkit.client import openai_clients
from chatkit.client.address import Endpoint

DONE = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "answered"}
CHUNKS = (
    {**DONE, "choices": [{"index": 0, "delta": {"content": "Brazil"}, "finish_reason": None}]},
    {**DONE, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)
RESPONSES = (
    {"type": "response.output_text.delta", "sequence_number": 0, "delta": "Brazil"},
    {"type": "response.completed", "sequence_number": 1, "response": {"status": "completed", "model": "answered"}},
)


@dataclass
class Hosted:
    """What was asked, each with its URL and body; `bodies` of requests in JSON."""

    requests: list[httpx2.Request] = field(default_factory=list)
    models: list[dict] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict]:
        return [json.loads(request.content) for request in self.requests]

    def endpoint(self, base_url: str = "https://api.openai.com/v1", model: str = "gpt-6-luna") -> Endpoint:
        """An endpoint there, with a key of its own, so that no client of another test is used."""
        return Endpoint(base_url, f"sk-test-{uuid4().hex}", model, "test")

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        await request.aread()
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"object": "list", "data": self.models})
        if "/audio/" in request.url.path:
            return httpx2.Response(200, json={"text": "In Brazil."})
        events = RESPONSES if request.url.path.endswith("/responses") else CHUNKS
        lines = [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]
        return httpx2.Response(200, text="".join(lines), headers={"content-type": "text/event-stream"})


def answering(monkeypatch) -> Hosted:
    """From here on every asynchronous client that is built is answered by what this gives back."""
    hosted = Hosted()
    monkeypatch.setattr(openai_clients.httpx2, "AsyncHTTPTransport", lambda **_: httpx2.MockTransport(hosted.answer))
    return hosted
