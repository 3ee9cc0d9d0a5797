"""The client's ways to its addresses: each request goes by the proxy and the certificates that hold for its own host.

In: a base URL, requests. Out: what httpx2 takes, and transports that send. What the variables and the system say of
proxies and certificates, system/network.py and system/certificates.py read; this machine is never asked through a proxy.
"""

import ssl
from collections.abc import Callable
from typing import Any

import httpx2

from chatkit.system import certificates, network
from chatkit.system.certificates import nobody_trusted

Origin = tuple[bytes, bytes, int | None]


def proxy(base_url: str) -> httpx2.Proxy | None:
    """The proxy on the way to an address; None where there is none. Raises SetupError for one that cannot be used."""
    found = network.proxy(base_url)
    return httpx2.Proxy(found.url, auth=found.auth) if found else None


def trust(base_url: str) -> ssl.SSLContext:
    """Whose certificates are believed on the way to an address. Raises SetupError where a variable names none."""
    return certificates.trust(base_url, httpx2.create_ssl_context)


def way(base_url: str) -> dict[str, Any]:
    """How httpx2's transports reach an address."""
    return {"proxy": proxy(base_url), "verify": trust(base_url)}


def way_without_secrets(base_url: str) -> dict[str, Any]:
    """The same for a question that anybody may hear: plain http, for which no certificates are read."""
    return {"proxy": proxy(base_url), "verify": nobody_trusted()}


class Ways(httpx2.BaseTransport):
    """Sends each request by the way to its own host; that to the first is made at once, so that a fault is told early.

    `localhost` is asked by its number first: Windows takes two seconds to find out that nobody listens on ::1.
    """

    def __init__(self, base_url: str, way: Callable[[str], dict[str, Any]] = way, **options: Any) -> None:
        self._ways: dict[Origin, httpx2.BaseTransport] = {}
        self._way, self._options = way, options
        self._to(httpx2.URL(base_url))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        inner = self._to(request.url)
        if network.is_local_name(request.url.host):
            try:
                return inner.handle_request(by_number(request))
            except httpx2.ConnectError:
                pass  # whoever listens on ::1 alone
        return inner.handle_request(request)

    def _to(self, url: httpx2.URL) -> httpx2.BaseTransport:
        origin = _origin(url)
        if origin not in self._ways:
            self._ways[origin] = httpx2.HTTPTransport(**self._way(str(url)), **self._options)
        return self._ways[origin]

    def close(self) -> None:
        for inner in self._ways.values():
            inner.close()


class AsyncWays(httpx2.AsyncBaseTransport):
    """The same for an async client."""

    def __init__(self, base_url: str, way: Callable[[str], dict[str, Any]] = way, **options: Any) -> None:
        self._ways: dict[Origin, httpx2.AsyncBaseTransport] = {}
        self._way, self._options = way, options
        self._to(httpx2.URL(base_url))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        inner = self._to(request.url)
        if network.is_local_name(request.url.host):
            try:
                return await inner.handle_async_request(by_number(request))
            except httpx2.ConnectError:
                pass  # whoever listens on ::1 alone
        return await inner.handle_async_request(request)

    def _to(self, url: httpx2.URL) -> httpx2.AsyncBaseTransport:
        origin = _origin(url)
        if origin not in self._ways:
            self._ways[origin] = httpx2.AsyncHTTPTransport(**self._way(str(url)), **self._options)
        return self._ways[origin]

    async def aclose(self) -> None:
        for inner in self._ways.values():
            await inner.aclose()


def by_number(request: httpx2.Request) -> httpx2.Request:
    """The request to `localhost` as one to 127.0.0.1: the host that it names, and for https the one it expects, stay.

    >>> asked = by_number(httpx2.Request("GET", "http://localhost:8080/v1/models"))
    >>> str(asked.url), asked.headers["host"]
    ('http://127.0.0.1:8080/v1/models', 'localhost:8080')
    """
    return httpx2.Request(
        request.method,
        request.url.copy_with(host="127.0.0.1"),
        headers=request.headers,
        stream=request.stream,
        extensions={"sni_hostname": request.url.host, **request.extensions},
    )


def _origin(url: httpx2.URL) -> Origin:
    return url.raw_scheme, url.raw_host, url.port
