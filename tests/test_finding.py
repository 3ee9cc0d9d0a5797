"""Where a chat's first question goes is found on the loop, and what takes a while is said."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.client.reply import Wait

FOUND = Endpoint("http://127.0.0.1:9/v1", "chatkit-local-x", "any", "the local model", True)


def heard(monkeypatch: pytest.MonkeyPatch, resolve: Callable[..., Endpoint], then: Callable[[], object]) -> list:
    monkeypatch.setattr(connect, "resolve", resolve)

    async def run() -> list:
        items = []
        async for item in connect.find(None):
            items.append(item)
            then()
        return items

    return asyncio.run(run())


def test_a_model_that_has_to_be_started_is_said_to_be_starting(monkeypatch: pytest.MonkeyPatch):
    started = threading.Event()
    monkeypatch.setattr(connect, "AT_ONCE", 0.01)

    def resolve(*, tell: Callable[[str], None]) -> Endpoint:
        assert started.wait(10)
        return FOUND

    assert heard(monkeypatch, resolve, started.set) == [Wait(0, 1, 1, "Starting the local model…"), FOUND]


def test_what_is_found_at_once_is_not_said_to_be_starting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connect, "AT_ONCE", 10)
    assert heard(monkeypatch, lambda *, tell: FOUND, lambda: None) == [FOUND]


def test_a_download_is_said_in_its_own_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connect, "AT_ONCE", 10)

    def resolve(*, tell: Callable[[str], None]) -> Endpoint:
        tell("fetching 10 %")
        return FOUND

    assert heard(monkeypatch, resolve, lambda: None) == [Wait(0, 1, 1, "fetching 10 %"), FOUND]
