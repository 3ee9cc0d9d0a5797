"""Which models an endpoint has: asked once, kept a while, and never longer waited for than a panel can wait.

In: an `Endpoint`. Out: `Models`: names to choose from, or the reason why there are none. Nothing is raised.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any, NamedTuple

from chatkit.api import models as catalog
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.client.deadlines import Deadlines
from chatkit.client.keys import find_keys
from chatkit.client.turn import get_loop, on_loop_thread
from chatkit.exceptions import ChatkitError
from chatkit.patience import result_of

PATIENCE = 5.0
"""Seconds that a list may take."""
KEPT = 600.0
"""Seconds that a list is good for."""
MOST, LONGEST = 500, 200
"""Names of a list, characters of a name."""

_CHAT = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d)")
_OTHER = re.compile(
    r"audio|realtime|transcribe|translate|whisper|tts|image|search|instruct|embedding|moderation|live|vision"
)

_kept: dict[Endpoint, "tuple[float, Models]"] = {}


class Models(NamedTuple):
    """The names, the default first and then the newest; where there are none, `reason` says why in a sentence."""

    names: tuple[str, ...]
    reason: str | None = None


def models_of(endpoint: Endpoint) -> Models:
    """The models of an endpoint; waits for at most `PATIENCE` seconds."""
    if on_loop_thread():
        return Models((), "The list of models was asked for where nothing may wait.")
    return result_of(ask_models(endpoint))


def ask_models(endpoint: Endpoint) -> "Future[Models]":
    """The same without waiting: a future, for `add_done_callback`, or `await asyncio.wrap_future(…)`."""
    return asyncio.run_coroutine_threadsafe(list_models(endpoint), get_loop())


async def list_models(endpoint: Endpoint) -> Models:
    """The same as a coroutine, for the engine's loop."""
    if endpoint.local:
        return Models((endpoint.model,))
    if endpoint.azure:
        return Models((endpoint.model,), "Azure does not list its deployments: type the name of yours.")
    at, kept = _kept.get(endpoint, (0.0, None))
    if kept and monotonic() - at < KEPT:
        return kept
    found = await _listed(endpoint)
    if found.names:
        _kept[endpoint] = monotonic(), found
    return found


async def _listed(endpoint: Endpoint) -> Models:
    from chatkit.client import sending  # brings openai

    host = endpoint.base_url.partition("://")[2].partition("/")[0]
    try:
        async with asyncio.timeout(PATIENCE):
            client = await asyncio.to_thread(connect.shared_client, endpoint)
            found = await sending.models(client, Deadlines(connect=PATIENCE))
    except TimeoutError:
        return Models((), f"{host} did not list its models within {PATIENCE:g} s.")
    except ChatkitError as error:
        return Models((), error.cause)
    names = (
        _hosted(found, datetime.now(UTC).date())
        if endpoint.rules == "openai"
        else [str(model["id"]) for model in found]
    )
    kept = tuple(dict.fromkeys(name for name in names[:MOST] if _is_name(name)))
    return Models(kept) if kept else Models((), f"{host} lists no models to chat with.")


def _is_name(text: str) -> bool:
    """Whether it may be shown and sent as a model's name: printed characters, spaces within, that hold no key."""
    is_text = 0 < len(text) <= LONGEST and text.isprintable() and " ".join(text.split()) == text
    return is_text and not any(find_keys(text))


def _hosted(listed: Iterable[Mapping[str, Any]], today: date) -> list[str]:
    """Those of the vendor's that chat in text and are still there, the default first, then the newest."""

    def is_there(model: Mapping[str, Any]) -> bool:
        name, ends = model["id"], str(model.get("shutdown_date") or "9999")
        return ends > today.isoformat() and catalog.find(name).gone(today) is None

    chatting = [m for m in listed if _CHAT.match(m["id"]) and not _OTHER.search(m["id"]) and is_there(m)]
    age = {m["id"]: m["created"] if isinstance(m.get("created"), int) else 0 for m in chatting}
    return sorted(age, key=lambda name: (name != catalog.HOSTED_DEFAULT, -age[name], name))
