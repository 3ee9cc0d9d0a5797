"""What a person gave a client goes along with every request that is made on its behalf, whoever builds the client for it."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import openai
import pytest
import sounds

import chatkit
from chatkit.client import connect, model_list
from chatkit.client.deadlines import DAY, Deadlines
from chatkit.client.given import NOTHING, given_to
from chatkit.exceptions import EndpointError, InputError

KEY = "sk-real-0123456789abcdef"
SECRET = "gateway-0123456789abcdef"
SAID: dict[str, Any] = {"default_headers": {"X-Course": SECRET}, "default_query": {"group": "7"}}


class Endpoint(BaseHTTPRequestHandler):
    """Answers a chat, speech and a list of models, and keeps what each request came with."""

    def do_GET(self) -> None:
        if self.path != "/health":
            self.answer({"data": [{"id": "m"}]})
        else:  # connect asks whether it is a local server of chatkit's
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        chat = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        self.answer({"text": "Hi"} if "audio" in self.path else chat)

    def answer(self, body: dict[str, Any]) -> None:
        self.server.seen.append((self.path, self.headers.get("X-Course")))  # type: ignore[attr-defined]
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.seen = []  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connected(url: str, **options: Any) -> Any:
    return connect.connect(base_url=url, api_key=KEY, quiet=True, **options)


WAYS: dict[str, Callable[..., Any]] = {
    "connect": connected,
    "connect, asynchronous": lambda url, **options: connected(url, asynchronous=True, **options),
    "a copy": lambda url, **options: connected(url).with_options(**options),
    "a copy of a copy": lambda url, **options: connected(url, **options).with_options(max_retries=1),
    "one's own": lambda url, **options: openai.OpenAI(base_url=url, api_key=KEY, **options),
    "one's own, asynchronous": lambda url, **options: openai.AsyncOpenAI(base_url=url, api_key=KEY, **options),
}


@pytest.mark.parametrize("way", WAYS)
def test_headers_and_query_of_a_client_go_along_with_all_that_is_asked_for_it(endpoint: Any, way: str) -> None:
    client = WAYS[way](endpoint.url, **SAID)
    chat = chatkit.Chat(client=client, model="m")
    chat.send("Hi")
    chat.api = "responses"
    with pytest.raises(EndpointError):  # what answers is no response
        chat.send("Hi")
    chatkit.transcribe(sounds.wav(sounds.tone(1.0)), client=client, model="whisper-1")
    asyncio.run(model_list.list_models(chat.endpoint))
    assert set(endpoint.seen) == {
        ("/v1/chat/completions?group=7", SECRET),
        ("/v1/responses?group=7", SECRET),
        ("/v1/audio/transcriptions?group=7", SECRET),
        ("/v1/models?group=7", SECRET),
    }


def test_what_was_given_to_one_client_goes_along_with_no_others(endpoint: Any) -> None:
    for options in (SAID, {}, {"default_headers": {"X-Course": "other"}}):
        chatkit.Chat(client=connected(endpoint.url, **options), model="m").send("Hi")
    assert [course for _, course in endpoint.seen] == [SECRET, None, "other"]


def test_a_copy_of_a_client_leads_where_the_client_does_unless_it_says_otherwise(endpoint: Any) -> None:
    client = connect.connect(base_url=endpoint.url, api_key=KEY, model="mine", quiet=True)
    copy, away = (
        client.with_options(timeout=9.0).with_options(max_retries=0),
        client.with_options(base_url="http://127.0.0.1:9/v1"),
    )
    del client
    assert (connect.endpoint_of(copy).model, connect.endpoint_of(copy).source) == ("mine", "arguments")
    assert (connect.endpoint_of(away).base_url, connect.endpoint_of(away).source) == ("http://127.0.0.1:9/v1", "client")


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        (openai.DEFAULT_TIMEOUT, None),
        (20, (20, 20, 20, 20)),
        (None, (None, None, None, None)),
        (httpx2.Timeout(600, connect=50.0), (50, 600, 600, 600)),
    ],
)
def test_a_timeout_that_was_given_is_told_from_one_that_was_not(said: Any, limits: Any) -> None:
    client = connected("http://127.0.0.1:9/v1", timeout=said)
    assert given_to(client).timeout == limits
    assert (given_to(client).retries, NOTHING.options) == (None, {})


def test_a_clients_timeout_is_how_long_its_chats_wait() -> None:
    assert Deadlines(text=5).within(50.0, 600.0) == Deadlines(50.0, 600.0, 600.0, 600.0, text=5)
    assert Deadlines().within(1.0, 2.0) == Deadlines(1.0, 2.0, 2.0)
    assert Deadlines().within(None, None) == Deadlines(DAY, DAY, DAY, DAY)


@pytest.mark.parametrize("way", WAYS)
def test_a_chat_waits_and_tries_again_as_its_client_says(way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        retries = {} if way == "a copy of a copy" else {"max_retries": 0}
        chat = chatkit.Chat(client=WAYS[way](url, timeout=0.2, **retries), model="m")
        with pytest.raises(EndpointError, match=r"0\.2 s"):
            chat.send("Hi")
        assert came(deaf) == (2 if way == "a copy of a copy" else 1)


def came(deaf: socket.socket) -> int:
    """How many questions have come; one by GET asks whether it is a local server of chatkit's."""
    deaf.setblocking(False)
    count = 0
    while True:
        try:
            connection, _ = deaf.accept()
        except BlockingIOError:
            return count
        with connection:
            connection.settimeout(10)
            count += connection.recv(4) == b"POST"


def test_a_transport_of_ones_own_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="takes no http_client"):
        connected("http://127.0.0.1:9/v1", http_client=httpx2.Client())


def test_what_a_client_has_anyway_was_not_given_and_is_made_anew_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Ambient: 1")
    for client in (connected("http://127.0.0.1:9/v1?version=1"), connected("http://127.0.0.1:9/v1").with_options()):
        assert connect.endpoint_of(client).given == NOTHING
    found = connect.endpoint_of(connected("http://127.0.0.1:9/v1?version=1", **SAID)).given
    assert (dict(found.headers), dict(found.query)) == (SAID["default_headers"], SAID["default_query"])


def test_nothing_that_was_given_is_shown(endpoint: Any) -> None:
    found = connect.endpoint_of(connected(endpoint.url, **SAID))
    assert dict(found.given.headers)["X-Course"] == SECRET
    assert SECRET not in repr(found) + repr(found.given) + repr(found.given.headers)
