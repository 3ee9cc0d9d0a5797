"""Builds openai's own clients on the meter's transports. The only place of this floor that imports openai.

In: an `Endpoint`. Out: a plain `openai.OpenAI` or `openai.AsyncOpenAI`.
"""

import os
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from chatkit.api.redact import scrub_bytes
from chatkit.endpoint.address import Endpoint
from chatkit.ledger.meter import AsyncMeteredTransport, Meter, MeteredTransport

LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)


def build(
    endpoint: Endpoint, asynchronous: bool, *, shared: bool = False, **options: Any
) -> openai.OpenAI | openai.AsyncOpenAI:
    """A client for the endpoint; `options` are those of openai's client.

    A refusal that quotes the key loses it before openai makes an error of it; the engine, whose client is
    `shared`, sees to that itself.
    """
    meter = Meter(free=endpoint.local)
    proxy = _proxy(endpoint.base_url)
    if asynchronous:
        transport = AsyncMeteredTransport(httpx2.AsyncHTTPTransport(proxy=proxy, limits=LIMITS), meter)
        hooks = {} if shared else {"response": [_scrub_afar]}
        options["http_client"] = openai.DefaultAsyncHttpx2Client(transport=transport, event_hooks=hooks)
    else:
        metered = MeteredTransport(httpx2.HTTPTransport(proxy=proxy, limits=LIMITS), meter)
        options["http_client"] = openai.DefaultHttpx2Client(transport=metered, event_hooks={"response": [_scrub]})
    if endpoint.azure:
        azure = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return azure(**dict(endpoint.azure), **options)
    if endpoint.local:
        options = _nothing_of_the_users(endpoint) | options
    plain = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return plain(base_url=endpoint.base_url, api_key=endpoint.api_key, **options)


def _scrub(response: httpx2.Response) -> None:
    if response.is_error:
        response.read()
        _take_keys_out(response)


async def _scrub_afar(response: httpx2.Response) -> None:
    if response.is_error:
        await response.aread()
        _take_keys_out(response)


def _take_keys_out(response: httpx2.Response) -> None:
    sent = response.request.headers
    keys = [sent.get("authorization", "").removeprefix("Bearer "), sent.get("api-key", "")]
    response._content = scrub_bytes(response.content, [key for key in keys if key])  # what .text and .json() read


def _proxy(base_url: str) -> str | None:
    # a client that is given a transport ignores the proxy variables, so they are read here
    address = urlsplit(base_url)
    if not address.hostname or urllib.request.proxy_bypass(address.hostname):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(address.scheme) or proxies.get("all")


def _nothing_of_the_users(endpoint: Endpoint) -> dict[str, Any]:
    """Options that keep what openai reads from the environment (keys, headers, ids) away from the local server."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    headers: dict[str, Any] = {line.partition(":")[0].strip(): openai.omit for line in ambient if ":" in line}
    headers |= {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
    headers["Authorization"] = f"Bearer {endpoint.api_key}"
    return {"default_headers": headers, "admin_api_key": "", "webhook_secret": ""}
