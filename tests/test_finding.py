"""An endpoint that has to be started first: who waits is told what for."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chatkit.endpoint import connect, finding, launch
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.reply import Wait

LOCAL = Endpoint("http://127.0.0.1:9/v1", "chatkit-local-x", "small", "local", local=True)
NAMED = Endpoint("http://127.0.0.1:8/v1", "none", "m", "OPENAI_BASE_URL")


def found(known: Endpoint | None = None) -> list[Any]:
    async def all_of_it() -> list[Any]:
        return [word async for word in finding.find(known)]

    return asyncio.run(all_of_it())


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    server = SimpleNamespace(base_url=LOCAL.base_url, key=LOCAL.api_key, model="small", window=None, alive=True)

    def local_server(model: str | None = None, tell: Any = None) -> Any:
        (tell or print)("downloading 1 of 98 MB")
        return server

    monkeypatch.setattr(launch, "_servers", {})
    monkeypatch.setattr(launch, "local_server", local_server)
    monkeypatch.setattr(launch, "has_engines", lambda: True)


def test_who_asks_first_is_told_that_the_local_model_starts() -> None:
    assert found() == [Wait(0, 1, 1, finding.STARTING), Wait(0, 1, 1, "downloading 1 of 98 MB"), LOCAL]


def test_nothing_is_said_to_start_that_runs_or_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "runs", lambda: True)
    assert Wait(0, 1, 1, finding.STARTING) not in found()
    monkeypatch.setattr(launch, "runs", lambda: False)
    assert found(NAMED) == [NAMED]
    monkeypatch.setenv("OPENAI_BASE_URL", NAMED.base_url)
    assert found() == [connect.named()]
