"""Builds openai's own clients on the meter's transports.

In: an `Endpoint`. Out: a plain `openai.OpenAI` or `openai.AsyncOpenAI`.
"""

import os
from typing import Any

import httpx2
import openai

from chatkit.api.text import scrub_bytes
from chatkit.client import proxies
from chatkit.client.address import Endpoint
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
    if asynchronous:
        transport = AsyncMeteredTransport(proxies.AsyncWays(endpoint.base_url, limits=LIMITS), meter)
        hooks = {} if shared else {"response": [_scrub_afar]}
        options["http_client"] = openai.DefaultAsyncHttpx2Client(transport=transport, event_hooks=hooks)
    else:
        metered = MeteredTransport(proxies.Ways(endpoint.base_url, limits=LIMITS), meter)
        options["http_client"] = openai.DefaultHttpx2Client(transport=metered, event_hooks={"response": [_scrub]})
    options = _of_one_source(endpoint, options)
    client = _of_openai(endpoint, asynchronous, options)
    client.organization, client.project = options["organization"], options["project"]
    return client


def own_headers(endpoint: Endpoint) -> dict[str, Any]:
    """The headers of a client to which nobody has given any."""
    return dict(_of_one_source(endpoint, {})["default_headers"])


def _of_openai(endpoint: Endpoint, asynchronous: bool, options: dict[str, Any]) -> openai.OpenAI | openai.AsyncOpenAI:
    if endpoint.azure:
        azure = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return azure(**dict(endpoint.azure), **options)
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


def _of_one_source(endpoint: Endpoint, options: dict[str, Any]) -> dict[str, Any]:
    """The options, and beside them all that openai would else fill in from the environment, which may be another source.

    A header that is left out stays left out in copies of the client (`with_options`), which ask the environment anew.
    """
    own = {name: options.get(name) or getattr(endpoint, name) for name in ("organization", "project")}
    headers: dict[str, Any] = {f"OpenAI-{name.title()}": openai.omit for name, value in own.items() if not value}
    if not endpoint.ambient:
        headers |= _without_ambient(endpoint.api_key)
        own |= {"admin_api_key": options.get("admin_api_key") or ""}
    if endpoint.local:
        own |= {"webhook_secret": ""}
    own["default_headers"] = headers | dict(options.get("default_headers") or {})
    own["default_query"] = dict(endpoint.query) | dict(options.get("default_query") or {})
    return options | own


def _without_ambient(key: str) -> dict[str, Any]:
    """Headers that undo those of OPENAI_CUSTOM_HEADERS; Azure's client sets its own of the key later."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    names = [line.partition(":")[0].strip() for line in ambient if ":" in line]
    own = f"Bearer {key}" if key else openai.omit
    return {name: own if name.lower() == "authorization" else openai.omit for name in names}
