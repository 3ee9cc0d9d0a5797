"""Annexe: the socket and the HTTP protocol under the front. In: host, port, app. Out: a served app, deadlines kept.

uvicorn waits for ever for the head of a request; here a head must come in time, and connections are counted: those
that have shown no key have a share of their own, in which the one that waits longest makes room for a new one.
"""

import asyncio
import contextlib
import errno
import logging
import re
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from chatkit.api.hosts import SERVER
from chatkit.exceptions import SetupError
from chatkit.local.gate import KNOWN
from chatkit.local.validation import ApiError

HEAD_SECONDS = 10.0
MOST_CONNECTIONS = 512
MOST_STRANGERS = 128
"""Connections of those that have not shown the key yet."""
OPEN_FILES = 2 * MOST_CONNECTIONS + MOST_STRANGERS
"""Files that are open then: for each connection its own, and that of what it uploads; and the engine's."""
_BARE_LINE_END = re.compile(rb"(?<!\r)\n")
_HEADS_END = re.compile(rb"\n\r?\n")
GRACE_SECONDS = 1
"""Given to answers under way when the server is told to end."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; SetupError in a sentence if the port or the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(256)
    except (OSError, OverflowError) as error:
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"Port {port} is taken by another program.", "Choose another: --port 0 finds one."
            ) from None
        raise SetupError(f"The local server cannot listen on {host} port {port}: {error}.", "Try --port 0.") from None
    return sock


class Protocol(H11Protocol):
    """HTTP/1.1 whose request heads must come within HEAD_SECONDS, in lines that end as HTTP's do."""

    _deadline: asyncio.TimerHandle | None = None
    _came = 0.0
    _known = _leaving = False

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._came = self.loop.time()
        self._make_room()
        self._watch()

    def handle_events(self) -> None:
        """Read on; a head whose lines end in a bare line feed, which others take for one line, is refused."""
        if self.conn.their_state is h11.IDLE:
            head = self.conn.trailing_data[0]
            end = _HEADS_END.search(head)
            if _BARE_LINE_END.search(head, 0, end.end() if end else len(head)):
                self.send_400_response("Invalid HTTP request received: a line ends in a bare line feed.")
                return
        super().handle_events()

    @property
    def is_stranger(self) -> bool:
        """Whether nobody has shown the key on this connection."""
        self._known = self._known or bool(self.scope and self.scope.get(KNOWN))
        return not self._known

    @property
    def is_answering(self) -> bool:
        """Whether a request came whole and its answer is not out."""
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        here = [one for one in self.connections if isinstance(one, Protocol) and not one._leaving]
        strangers = [one for one in here if one.is_stranger]
        if len(strangers) > MOST_STRANGERS:
            min(strangers, key=lambda one: (one.is_answering, one._came))._leave()
        elif len(here) > MOST_CONNECTIONS:
            self._leave()

    def _leave(self) -> None:
        self._leaving = True
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: the clock runs unless they complete a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """An answer is out; uvicorn's own clock runs until the next request begins."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left."""
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """A request that is not HTTP is refused in the API's form like any other."""
        problem = ApiError(400, msg, code="invalid_http")
        headers = [("content-type", "application/json"), ("connection", "close"), ("server", SERVER)]
        with contextlib.suppress(h11.LocalProtocolError):
            out = self.conn.send(h11.Response(status_code=400, headers=headers, reason=b"Bad Request"))
            out = (out or b"") + (self.conn.send(h11.Data(data=problem.body)) or b"")
            self.transport.write(out + (self.conn.send(h11.EndOfMessage()) or b""))
        self.transport.close()

    def _watch(self) -> None:
        if self.is_answering or self.timeout_keep_alive_task is not None:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """uvicorn that tells when it is ready and can be told to end from any thread."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None], *, verbose: bool = False) -> None:
        _hush(verbose)
        super().__init__(
            uvicorn.Config(
                app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
                headers=[("server", SERVER)], timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=False,
            )
        )  # fmt: skip
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept, then say so."""
        await super().startup(sockets=sockets)
        self._ready()

    def end(self) -> None:
        """Stop serving; answers under way get a moment."""
        self.should_exit = True


def _hush(verbose: bool) -> None:
    # a traceback can hold a prompt, so uvicorn's log is for --verbose only
    log = logging.getLogger("uvicorn")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.StreamHandler() if verbose else logging.NullHandler())
    log.setLevel(logging.INFO if verbose else logging.CRITICAL)
