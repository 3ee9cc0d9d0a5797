"""Annexe: who may come in. In: each request's head. Out: the same request let through, or a refusal before its body.

A web page that the user visits can reach loopback: it is told apart by Host (a rebound name) and
Origin (another page), and no answer ever carries an Access-Control header.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatkit.local.stream import ClientGoneError
from chatkit.local.validation import ApiError, server_fault

KNOWN = "chatkit.known"
"""What a request's scope holds once its key was the right one."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Hosts:
    """The names under which this server may be called.

    >>> "localhost:8321" in Hosts("127.0.0.1", 8321), "evil.example:8321" in Hosts("127.0.0.1", 8321)
    (True, False)
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self.any_address = host in ("0.0.0.0", "::")
        names: Iterable[str] = (*LOOPBACK, f"[{host}]" if ":" in host else host)
        if self.any_address:
            names = (*names, socket.gethostname(), socket.getfqdn())
        self.names = {name.lower() for name in names}

    def __contains__(self, given: str) -> bool:
        name, colon, port = given.lower().rpartition(":")
        if not colon or port != str(self.port):
            return False
        # a rebound name is a name: an address as such is safe
        return name in self.names or (self.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class Gate:
    """Checks Host, Origin and key, in this order; turns whatever is raised within into the API's error form."""

    def __init__(self, app: ASGIApp, key: str, hosts: Hosts) -> None:
        self.app = app
        self.key = key.encode()
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                headers["x-request-id"] = f"req_{secrets.token_hex(12)}"
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
            await self.app(scope, receive, marked)
        except ClientGoneError:
            pass  # nobody is there to be told
        except ApiError as problem:
            await refuse(problem, marked)
        except Exception:
            if started:
                raise
            await refuse(server_fault(), marked)
            raise

    def _check(self, scope: Scope, headers: Headers) -> None:
        # of two headers of one name each reader may heed another
        host, origin = headers.getlist("host"), headers.getlist("origin")
        if len(host) != 1 or host[0] not in self.hosts:
            raise ApiError(403, "This Host is not one of the local server's names.", code="host_not_allowed")
        if len(origin) > 1 or not all(self._is_own(page) for page in origin):
            raise ApiError(403, "The local server answers no web page (Origin).", code="origin_not_allowed")
        known = self._is_key(headers.getlist("authorization"))
        scope[KNOWN] = known
        if scope["path"] != "/health" and not known:
            raise ApiError(
                401,
                "No or wrong API key. Send the key that the local server was started with as 'Authorization: Bearer'.",
                code="invalid_api_key",
            )

    def _is_own(self, origin: str) -> bool:
        return origin.startswith("http://") and origin[7:] in self.hosts

    def _is_key(self, authorization: list[str]) -> bool:
        if len(authorization) != 1:
            return False
        scheme, _, given = authorization[0].partition(" ")
        same = hmac.compare_digest(given.encode("latin-1"), self.key)
        return same and scheme.lower() == "bearer"


async def refuse(problem: ApiError, send: Send) -> None:
    """Send a problem as an answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(problem.body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})
