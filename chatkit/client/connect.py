"""Decides where calls go: arguments, then the environment or a `.env`, else the local server, which is started.

In: `connect()`'s arguments. Out: an `Endpoint`, and from it a plain openai client on the meter. A key
is only ever sent to the address that its own source names (environment.py has the rule).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from chatkit.api.hosts import LOCAL_PREFIX, SERVER
from chatkit.api.models import HOSTED_DEFAULT
from chatkit.api.text import clean_url
from chatkit.client import environment, local_process
from chatkit.client.address import Endpoint, checked_url, is_loopback, without_query
from chatkit.client.environment import AZURE, Pair
from chatkit.client.given import given_to
from chatkit.client.keys import AZURE_KEY, clean_key, veiled, veiled_all
from chatkit.client.reply import Wait
from chatkit.exceptions import ChatkitError, InputError, SetupError
from chatkit.signs import printable

if TYPE_CHECKING:
    import openai


NO_KEY = "none"
"""What is sent as the key to a server on this machine that asks for none."""

LOCAL_PROMISE = "A model on this machine will answer: no key, no network, no cost."

_endpoints: "WeakKeyDictionary[Any, tuple[Endpoint, Any, str]]" = WeakKeyDictionary()
"""By the HTTP client, which the copies of a client have in common: the endpoint, and the address and key that lead there."""


@overload
def connect(*, asynchronous: Literal[True], **arguments: Any) -> "openai.AsyncOpenAI": ...
@overload
def connect(*, asynchronous: Literal[False] = False, **arguments: Any) -> "openai.OpenAI": ...


def connect(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    local: bool = False,
    asynchronous: bool = False,
    quiet: bool = False,
    **options: Any,
) -> "openai.OpenAI | openai.AsyncOpenAI":
    """A plain `openai.OpenAI` client whose calls are metered, for whatever endpoint there is.

    Where calls go, the first that is there: the arguments; `OPENAI_API_KEY` and `OPENAI_BASE_URL` in
    the environment or a `.env` file; else the local server, started once per kernel (`local=True` asks
    for it; `model` may then be the path or hub name of a GGUF file). `asynchronous=True` gives an
    `openai.AsyncOpenAI`. Arguments that start with `azure_` or an `api_version` give the Azure client.
    All other options go to openai's client, and what they say (headers, query, timeout, retries) counts for the chats that
    are given it too. Prints one sentence on what serves, unless `quiet`.

    A key goes only to the address that its own source names, OpenAI's where it names none; docs/endpoints.md has
    the table. Raises InputError for a key or URL that cannot be right, SetupError where address and key are of two
    sources that do not agree, where a proxy or a file of certificates cannot be used, and where there is neither a
    key nor a local model; all before any request.

    >>> client = connect(base_url="http://127.0.0.1:9/v1", api_key="sk-test", model="some-model")
    some-model answers at 127.0.0.1:9 (arguments).
    """
    base_url, api_key, options = veiled(base_url), veiled(api_key), veiled_all(options)
    if options.pop("http_client", None) is not None:
        raise InputError(
            "connect() takes no http_client: the calls go through one of its own, which puts them on the books.",
            "Give timeout=, default_headers= or default_query=; a proxy and certificates are named in the environment.",
        )
    endpoint = resolve(
        base_url=base_url, api_key=api_key, model=model, local=local, tell=None if quiet else _tell, **options
    )
    if not quiet:
        print(printable(endpoint.sentence))
    return client_for(endpoint, asynchronous, **{k: v for k, v in options.items() if k not in dict(endpoint.azure)})


def _tell(words: str) -> None:
    print(printable(words))


@overload
def client_for(endpoint: Endpoint, asynchronous: Literal[True], **options: Any) -> "openai.AsyncOpenAI": ...
@overload
def client_for(endpoint: Endpoint, asynchronous: bool, **options: Any) -> "openai.OpenAI | openai.AsyncOpenAI": ...


def client_for(endpoint: Endpoint, asynchronous: bool, **options: Any) -> "openai.OpenAI | openai.AsyncOpenAI":
    """A metered client for an endpoint that is already decided."""
    from chatkit.client import openai_clients

    client = openai_clients.build(endpoint, asynchronous, **options)
    _endpoints[client._client] = endpoint, client.base_url, client.api_key
    return client


def endpoint_of(client: "openai.OpenAI | openai.AsyncOpenAI") -> Endpoint:
    """The endpoint of a client, with what was given to it; of one that chatkit did not build, by its base URL and key."""
    from chatkit.client import openai_clients

    if not hasattr(client, "_client"):  # another's client, which only looks like openai's
        return _own(client)
    known, given = _known(client), given_to(client)
    if known is None:
        return replace(_own(client), given=given)
    return replace(known, given=given.beside(openai_clients.own_headers(known), dict(known.query)))


def _known(client: "openai.OpenAI | openai.AsyncOpenAI") -> Endpoint | None:
    """The endpoint of a client that chatkit built, or of a copy of one (`with_options`) that leads to the same place."""
    endpoint, *place = _endpoints.get(client._client, (None, None, None))
    return endpoint if place == [client.base_url, client.api_key] else None


def _own(client: "openai.OpenAI | openai.AsyncOpenAI") -> Endpoint:
    base, query = without_query(str(client.base_url))
    own = Endpoint(base, veiled(client.api_key), HOSTED_DEFAULT, "client", query=query, ambient=True)
    organization, project = (getattr(client, name, None) for name in ("organization", "project"))
    return replace(own, organization=organization, project=project)


@cache
def _shared_client(endpoint: Endpoint, process: int) -> "openai.AsyncOpenAI":  # noqa: ARG001  # a fork needs its own
    return client_for(endpoint, asynchronous=True, shared=True, **endpoint.given.options)


def shared_client(endpoint: Endpoint) -> "openai.AsyncOpenAI":
    """The one asynchronous client for an endpoint, for use on the engine's loop (a new one costs 31 ms)."""
    return _shared_client(endpoint, os.getpid())


def resolve(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    local: bool = False,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Endpoint:
    """The endpoint that `connect` would use; `tell` hears of a download's progress."""
    azure = {k: v for k, v in options.items() if k.startswith("azure_") or k == "api_version"}
    if local and (base_url is not None or api_key is not None):
        raise InputError(
            "local=True was given with a base_url or an api_key.",
            "The local server has its own of both: leave them out.",
        )
    if azure:
        return _azure(azure, api_key, base_url, model, options)
    if local:
        return _local(model, tell)
    if base_url is not None and local_process.is_ours(str(base_url)) and api_key is None:
        return _local(model, None)
    found = _named(base_url, api_key, model, options)
    if found is None:
        return _local(model, tell)
    _check_fits(found.base_url, found.api_key)
    return found


def named(model: str | None = None) -> Endpoint | None:
    """The endpoint that the environment or a `.env` file names; None where the local server would answer.

    Nobody is asked for it. Raises a ChatkitError where calls would be refused.
    """
    return _named(None, None, model, {})


def announcement(model: str | None = None) -> str | None:
    """The sentence that names an endpoint and its `.env`, for whoever is about to send there; None for all others.

    A `.env` may be of a folder that somebody else made, so where it leads is said before the first request.
    """
    found = foreseen(model)
    return found.sentence if found and found.file else None


def foreseen(model: str | None = None) -> Endpoint | None:
    """What `named` says; None too where calls would be refused."""
    try:
        return named(model)
    except ChatkitError:
        return None  # a turn will say what is wrong with it


def promise(model: str | None = None) -> str:
    """Who will answer where nothing names an endpoint, in one sentence; empty where calls would be refused.

    Nothing is started for it.
    """
    try:
        if named(model) is not None:
            return ""
    except ChatkitError:
        return ""
    return LOCAL_PROMISE if local_process.has_engines() else local_process.NO_ENGINES


def refresh(endpoint: Endpoint, tell: Callable[[str], None] | None = None) -> Endpoint:
    """The same endpoint; of a local server that has died, the one that is started in its place."""
    server = local_process.successor(endpoint.base_url, tell) if endpoint.local else None
    if server is None or server.base_url == endpoint.base_url:
        return endpoint
    return replace(endpoint, base_url=server.base_url, api_key=server.key)


def _named(base_url: str | None, api_key: str | None, model: str | None, options: Mapping[str, Any]) -> Endpoint | None:
    """The endpoint of the one source that counts; None where no source names one that can be asked."""
    url = None if base_url is None else checked_url(base_url, "base_url")
    key = None if api_key is None else clean_key(api_key, "api_key")
    pair = environment.pair(environment.arguments(url, key), environment.PLAIN)
    if pair is not None and (pair.key is not None or is_loopback(pair.url)):
        base, query = without_query(pair.url)
        of = (base, pair.key or NO_KEY, model or HOSTED_DEFAULT, _words(pair))
        return Endpoint(*of, query=query, **_along(pair, options))
    if url is not None:
        raise _no_key(url, pair, "base_url=..., api_key=...")
    return None


def _words(pair: Pair) -> str:
    if pair.source.kind == "arguments":
        return "arguments"
    return f"key from {pair.source.place_of(pair.named)}" if pair.key else pair.source.place_of(pair.named)


def _along(pair: Pair, options: Mapping[str, Any]) -> dict[str, Any]:
    """What goes along with a key: the caller's own words first, then those of the key's source."""
    return {
        "organization": options.get("organization") or pair.source.says("OPENAI_ORG_ID"),
        "project": options.get("project") or pair.source.says("OPENAI_PROJECT_ID"),
        "ambient": pair.source.kind == "environment",
        "file": pair.source.file,
    }


def _no_key(url: str, pair: Pair | None, arguments: str) -> SetupError:
    others = f"; {pair.passed_over}" if pair and pair.passed_over else ""
    return SetupError(
        f"No api_key was given for {clean_url(url)}{others}. Nothing was sent.", f"Give it too: connect({arguments})."
    )


def _local(model: str | None, tell: Callable[[str], None] | None) -> Endpoint:
    own = model if model and model.endswith(".gguf") else None
    server = local_process.local_server(own, tell)
    return Endpoint(server.base_url, server.key, server.model, "local", local=True, window=server.window)


def _azure(
    azure: dict[str, Any], api_key: str | None, base_url: str | None, model: str | None, options: Mapping[str, Any]
) -> Endpoint:
    name = "base_url" if base_url is not None else "azure_endpoint"
    url = azure.get("azure_endpoint") if base_url is None else base_url
    given: dict[str, Any] = {} if url is None else {name: checked_url(url, name)}
    if api_key is not None:
        given["api_key"] = clean_key(api_key, "api_key")
    credential = given.get("api_key") or azure.get("azure_ad_token")
    if credential is None and azure.get("azure_ad_token_provider"):
        credential = "provided by a function"
    pair = environment.pair(environment.arguments(given.get(name), credential, AZURE), AZURE)
    if pair is None:
        raise SetupError("No azure_endpoint was given.", "Give it: connect(azure_endpoint=..., api_key=...).")
    if pair.key is None:
        raise _no_key(pair.url, pair, "azure_endpoint=..., api_version=..., api_key=...")
    if pair.source.kind != "arguments":
        given["api_key" if pair.named == AZURE_KEY else "azure_ad_token"] = pair.key
    base, query = without_query(pair.url)
    given |= {name: base, "api_version": azure.get("api_version") or _api_version(pair)}
    words = "Azure" if pair.source.kind == "arguments" else f"Azure, {_words(pair)}"
    asked = model or azure.get("azure_deployment") or HOSTED_DEFAULT
    return Endpoint(base, "", asked, words, azure=tuple((azure | given).items()), query=query, **_along(pair, options))


def _api_version(pair: Pair) -> str:
    version = pair.source.says("OPENAI_API_VERSION") or os.environ.get("OPENAI_API_VERSION", "").strip()
    if not version:
        raise SetupError(
            "No api_version was given for Azure.", "Give it: connect(azure_endpoint=..., api_version=...)."
        )
    return version


def _check_fits(url: str, key: str) -> None:
    """Refuse to send a real key to a chatkit local server, or a local server's key anywhere else."""
    ours = local_process.is_ours(url) or (urlsplit(url).scheme == "http" and _is_chatkit_server(url))
    if key.startswith(LOCAL_PREFIX) and not ours:
        raise InputError(
            f"The key is that of a chatkit local server, and {url} is not one; nothing was sent.",
            "Use the key that belongs to this address.",
        )
    if ours and not key.startswith(LOCAL_PREFIX) and key != NO_KEY:
        raise InputError(
            f"{url} is a chatkit local server, and the key is not one of its; it was not sent.",
            "Use the key that it printed when it started, or connect(local=True).",
        )


def _is_chatkit_server(url: str) -> bool:
    import httpx2

    from chatkit.client import proxies

    transport = proxies.Ways(url, proxies.way_without_secrets)
    try:
        with httpx2.Client(transport=transport, timeout=2.0, trust_env=False) as client:
            answer = client.get(f"{url.removesuffix('/v1')}/health")
    except httpx2.HTTPError:
        return False
    return answer.headers.get("server") == SERVER


AT_ONCE = 0.3
"""Seconds in which an endpoint is found that need not be started."""
STARTING = "Starting the local model…"


async def find(known: Endpoint | None) -> AsyncIterator[Wait | Endpoint]:
    """The endpoint that `connect` would use; of a known one, itself, or the server started in its place."""
    loop, words = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def tell(word: str | None) -> None:
        loop.call_soon_threadsafe(words.put_nowait, word)

    how = resolve if known is None else partial(refresh, known)
    finding = asyncio.create_task(asyncio.to_thread(how, tell=tell))
    finding.add_done_callback(lambda _: words.put_nowait(None))
    done, _ = await asyncio.wait([finding], timeout=AT_ONCE)
    if not done and words.empty():
        yield Wait(0, 1, 1, STARTING)
    while (word := await words.get()) is not None:
        yield Wait(0, 1, 1, word)
    yield finding.result()
