"""The socket and the protocol under the local server: who holds connections, and what is no HTTP; no model is needed."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from chatkit.local import listen
from chatkit.local.gate import Gate, Hosts

KEY = "chatkit-local-key-of-the-tests"
DEADLINE = 20.0


async def app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Running:
    def __init__(self) -> None:
        self.socket = listen.bind("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        ready = threading.Event()
        gated = Gate(app, KEY, Hosts("127.0.0.1", self.port))
        self.server = listen.Server(gated, ready.set)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        assert ready.wait(DEADLINE)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE)

    def head(self, *lines: str, end: bytes = b"\r\n", key: str | None = KEY) -> bytes:
        told = [f"Host: 127.0.0.1:{self.port}", *([f"Authorization: Bearer {key}"] if key else []), *lines]
        return end.join([b"GET /v1/models HTTP/1.1", *(line.encode() for line in told), b"", b""])

    def ask(self, raw: bytes) -> bytes:
        with self.connect() as client:
            client.sendall(raw)
            return status(client)

    def end(self) -> None:
        self.server.end()
        self.thread.join(DEADLINE)


def status(client: socket.socket) -> bytes:
    """The status of the answer; nothing where the connection was closed."""
    answer = http.client.HTTPResponse(client)
    try:
        answer.begin()
        answer.read()
    except (http.client.HTTPException, ConnectionError):
        return b""
    return str(answer.status).encode()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.end()


# --- one header of a name


@pytest.mark.parametrize(
    "lines",
    [
        ("Origin: {own}", "Origin: https://evil.example"),
        ("Origin: https://evil.example", "Origin: {own}"),
        ("Origin: {own}", "Origin: {own}"),
        ("origin: {own}", "ORIGIN: null"),
        ("Origin: {own}, https://evil.example",),
    ],
)
def test_two_origins_are_refused_whichever_comes_first(running: Running, lines):
    own = f"http://127.0.0.1:{running.port}"
    assert running.ask(running.head(f"Origin: {own}")) == b"200"
    assert running.ask(running.head(*(line.format(own=own) for line in lines))) == b"403"


@pytest.mark.parametrize("first", [True, False])
def test_two_keys_are_none(running: Running, first: bool):
    lines = [f"Authorization: Bearer {KEY}", "Authorization: Bearer other"]
    assert running.ask(running.head(*(lines if first else lines[::-1]), key=None)) == b"401"
    assert running.ask(running.head(lines[0], lines[0], key=None)) == b"401"


def test_two_hosts_are_refused(running: Running):
    assert running.ask(running.head("Host: evil.example")) in (b"400", b"403")


# --- lines end as HTTP's do


@pytest.mark.parametrize("place", ["all", "first", "between", "last", "blank"])
def test_a_bare_line_feed_is_refused(running: Running, place: str):
    head = running.head("X-One: 1", "X-Two: 2")
    bare = {
        "all": head.replace(b"\r\n", b"\n"),
        "first": head.replace(b"\r\n", b"\n", 1),
        "between": head.replace(b"1\r\nX", b"1\nX"),
        "last": head[:-4] + b"\n\r\n",
        "blank": head[:-2] + b"\n",
    }[place]
    assert running.ask(bare) == b"400"


def test_a_bare_line_feed_is_refused_in_a_request_behind_another_and_in_pieces(running: Running):
    with running.connect() as client:
        client.sendall(running.head() + running.head().replace(b"\r\n", b"\n"))
        said = b""
        while b"400" not in said:
            said += client.recv(65_536)
    assert said.startswith(b"HTTP/1.1 200")
    with running.connect() as client:
        for letter in running.head().replace(b"\r\n", b"\n", 1)[:30]:
            with contextlib.suppress(ConnectionError):
                client.sendall(bytes([letter]))
        assert status(client) in (b"400", b"")


def test_line_feeds_in_a_body_are_its_own(running: Running):
    head = running.head("Content-Length: 4").replace(b"GET", b"POST")
    assert running.ask(head + b"a\n\nb") == b"200"


# --- room


def test_idle_strangers_do_not_lock_out_those_with_the_key(running: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listen, "MOST_CONNECTIONS", 40)
    monkeypatch.setattr(listen, "MOST_STRANGERS", 10)
    with contextlib.ExitStack() as stack:
        known = [stack.enter_context(running.connect()) for _ in range(5)]
        for client in known:
            client.sendall(running.head())
            assert status(client) == b"200"
        idle = [stack.enter_context(running.connect()) for _ in range(100)]
        for client in idle[::2]:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET /v1/models HTTP/1.1\r\nHost")
        for client in known:  # they stay
            client.sendall(running.head())
            assert status(client) == b"200"
        assert running.ask(running.head()) == b"200"
        assert running.ask(running.head(key=None)) == b"401"


def test_of_strangers_the_one_that_waits_longest_makes_room(running: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listen, "MOST_STRANGERS", 3)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(running.connect()) for _ in range(4)]
        assert status(idle[0]) == b""
        for client in idle[1:]:
            client.sendall(running.head())
            assert status(client) == b"200"


def test_a_wrong_key_makes_nobody_known(running: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listen, "MOST_STRANGERS", 1)
    with running.connect() as first, running.connect() as second:
        second.sendall(running.head(key="wrong"))
        assert status(second) == b"401"
        with running.connect() as third:
            assert status(second) == b""
            third.sendall(running.head())
            assert status(third) == b"200"
        assert status(first) == b""


def test_more_connections_than_there_may_be_are_closed_with_the_key_or_without(running: Running, monkeypatch):
    monkeypatch.setattr(listen, "MOST_CONNECTIONS", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(running.connect())
            client.sendall(running.head())
            assert status(client) == b"200"
        assert running.ask(running.head()) == b""
