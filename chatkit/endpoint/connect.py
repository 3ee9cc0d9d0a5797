"""Decides where calls go: arguments, then the environment or a `.env`, else the local server.

In: `connect()`'s arguments. Out: an `Endpoint`, and from it a plain openai client on the meter. A key
is only ever sent to the endpoint that it came with.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from chatkit.api.redact import scrub
from chatkit.endpoint import launch
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.catalog import HOSTED_DEFAULT
from chatkit.endpoint.keys import Key, clean_key, veiled
from chatkit.exceptions import InputError, SetupError
from chatkit.ledger.free import LOCAL_PREFIX

if TYPE_CHECKING:
    import openai

HOSTED = "https://api.openai.com/v1"
NO_KEY = "none"
"""What is sent as the key to a server on this machine that asks for none."""

_endpoints: "WeakKeyDictionary[Any, Endpoint]" = WeakKeyDictionary()


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
    All other options go to openai's client. Prints one sentence on what serves, unless `quiet`.

    Raises InputError for a key or URL that cannot be right (before any request), and SetupError where
    there is neither a key nor a local model.

    >>> client = connect(base_url="http://127.0.0.1:9/v1", api_key="sk-test", model="some-model")
    some-model answers at 127.0.0.1:9 (arguments).
    """
    base_url, api_key = veiled(base_url), veiled(api_key)
    endpoint = resolve(
        base_url=base_url, api_key=api_key, model=model, local=local, tell=None if quiet else print, **options
    )
    if not quiet:
        print(endpoint.sentence)
    return client_for(endpoint, asynchronous, **{k: v for k, v in options.items() if k not in dict(endpoint.azure)})


@overload
def client_for(endpoint: Endpoint, asynchronous: Literal[True], **options: Any) -> "openai.AsyncOpenAI": ...
@overload
def client_for(endpoint: Endpoint, asynchronous: bool, **options: Any) -> "openai.OpenAI | openai.AsyncOpenAI": ...


def client_for(endpoint: Endpoint, asynchronous: bool, **options: Any) -> "openai.OpenAI | openai.AsyncOpenAI":
    """A metered client for an endpoint that is already decided."""
    from chatkit.endpoint import clients

    client = clients.build(endpoint, asynchronous, **options)
    _endpoints[client] = endpoint
    return client


def endpoint_of(client: "openai.OpenAI | openai.AsyncOpenAI") -> Endpoint:
    """The endpoint of a client; of one that chatkit did not build, by its base URL and key."""
    known = _endpoints.get(client)
    return known or Endpoint(str(client.base_url).rstrip("/"), client.api_key, HOSTED_DEFAULT, "client")


@cache
def _shared_client(endpoint: Endpoint, process: int) -> "openai.AsyncOpenAI":  # noqa: ARG001  # a fork needs its own
    return client_for(endpoint, asynchronous=True, shared=True)


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
    if azure:
        return _azure(azure, api_key, base_url, model)
    if local:
        if base_url or api_key:
            raise InputError(
                "local=True was given with a base_url or an api_key.",
                "The local server has its own of both: leave them out.",
            )
        return _local(model, tell)
    if base_url or api_key:
        return _from_arguments(base_url, api_key, model)
    return _from_environment(model) or _local(model, tell)


def named(model: str | None = None) -> Endpoint | None:
    """The endpoint that the environment or a `.env` file names; None where the local server would answer."""
    return _from_environment(model)


def refresh(endpoint: Endpoint, tell: Callable[[str], None] | None = None) -> Endpoint:
    """The same endpoint; of a local server that has died, the one that is started in its place."""
    server = launch.successor(endpoint.base_url, tell) if endpoint.local else None
    if server is None or server.base_url == endpoint.base_url:
        return endpoint
    return replace(endpoint, base_url=server.base_url, api_key=server.key)


def _from_arguments(base_url: str | None, api_key: str | None, model: str | None) -> Endpoint:
    settings = _settings()
    url = _checked_url(base_url, "base_url") if base_url else settings.url
    if api_key is not None:
        key = clean_key(api_key, "api_key")
    elif url == settings.url and settings.key:
        key = settings.key
    elif launch.is_ours(url):
        return _local(model, None)
    elif _on_this_machine(url):
        key = NO_KEY
    else:
        raise SetupError(
            f"No api_key was given for {url}; a key in the environment belongs to {settings.url}.",
            "Give it too: connect(base_url=..., api_key=...).",
        )
    _check_fits(url, key)
    return Endpoint(url, key, model or HOSTED_DEFAULT, "arguments")


def _from_environment(model: str | None) -> Endpoint | None:
    settings = _settings()
    if not settings.key and not (settings.url_source and _on_this_machine(settings.url)):
        return None
    key = settings.key or NO_KEY
    _check_fits(settings.url, key)
    source = settings.key_source if settings.key else settings.url_source
    return Endpoint(settings.url, key, model or HOSTED_DEFAULT, f"key from {source}" if settings.key else str(source))


def _local(model: str | None, tell: Callable[[str], None] | None) -> Endpoint:
    own = model if model and model.endswith(".gguf") else None
    server = launch.local_server(own, tell)
    return Endpoint(server.base_url, server.key, server.model, "local", local=True, window=server.window)


def _azure(azure: dict[str, Any], api_key: str | None, base_url: str | None, model: str | None) -> Endpoint:
    url = str(base_url or azure.get("azure_endpoint") or os.environ.get("AZURE_OPENAI_ENDPOINT", ""))
    given = {"base_url": _checked_url(base_url, "base_url")} if base_url else {}
    if api_key is not None:
        given["api_key"] = clean_key(api_key, "api_key")
    return Endpoint(
        url, "", model or azure.get("azure_deployment") or HOSTED_DEFAULT, "Azure", azure=tuple((azure | given).items())
    )


@dataclass(frozen=True)
class _Settings:
    key: str | None
    key_source: str | None
    url: str
    url_source: str | None


def _settings() -> _Settings:
    """What the environment and a `.env` file say; where both speak, the environment counts."""
    from dotenv import dotenv_values, find_dotenv

    path = find_dotenv(usecwd=True)
    file = dotenv_values(path, interpolate=False) if path else {}
    key, key_source = _setting("OPENAI_API_KEY", file)
    url, url_source = _setting("OPENAI_BASE_URL", file)
    return _Settings(
        clean_key(key, str(key_source)) if key else None,
        key_source,
        _checked_url(url, "OPENAI_BASE_URL") if url else HOSTED,
        url_source,
    )


def _setting(name: str, file: Mapping[str, str | None]) -> tuple[str | None, str | None]:
    if value := os.environ.get(name, "").strip():
        return value, name
    value = (file.get(name) or "").strip()
    return (value, f"{name} in .env") if value else (None, None)


def _checked_url(text: str, source: str) -> str:
    url: str = Key(str(text).strip().strip("\"'"))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or url.split() != [url]:
        raise InputError(
            f"{source} is {scrub(url.rpartition('@')[2])!r}; it must start with http:// or https:// and name a host.",
            "For a server on this machine: http://127.0.0.1:8080/v1",
        )
    if parts.username or parts.password:
        raise InputError(f"{source} holds a user name or password.", "Give the key as api_key instead.")
    return url.rstrip("/")


def _on_this_machine(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _check_fits(url: str, key: str) -> None:
    """Refuse to send a real key to a chatkit local server, or a local server's key anywhere else."""
    ours = launch.is_ours(url) or (urlsplit(url).scheme == "http" and _is_chatkit_server(url))
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

    try:
        answer = httpx2.get(f"{url.removesuffix('/v1')}/health", timeout=2.0, trust_env=False)
    except httpx2.HTTPError:
        return False
    return answer.headers.get("server") == "chatkit-local"
