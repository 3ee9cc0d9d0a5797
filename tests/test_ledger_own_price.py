"""Prices of the user's own, what is free nearby, and pricing again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from faultserver import FaultServer, reply

import chatkit
from chatkit.exceptions import InputError
from chatkit.ledger import rulebook, rules
from chatkit.ledger.meter import Meter, MeteredTransport
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rules import OwnPrice
from chatkit.ledger.store import UsageStore

TODAY = datetime.now(UTC).date().isoformat()
CHAT = "https://llm.example.org/v1/chat/completions"
USED = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    monkeypatch.setattr("chatkit.ledger.store._default", store)
    monkeypatch.setattr(rulebook, "FRESH", 0.0)
    yield store
    store.close()


def post(
    url: str = CHAT, model: str = "my-model", server: str = "x", peer: str = "127.0.0.1", key: str = "sk-a"
) -> None:
    answer = {"model": model, "choices": [{"finish_reason": "stop"}], "usage": USED}
    extensions = {"network_stream": Peer(peer)}
    say = lambda request: httpx2.Response(200, json=answer, headers={"server": server}, extensions=extensions)  # noqa: E731
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(say), Meter()))
    client.post(url, json={"model": model}, headers={"authorization": f"Bearer {key}"})


class Peer:
    def __init__(self, address: str) -> None:
        self.address = address

    def get_extra_info(self, name: str) -> Any:
        return (self.address, 443) if name == "server_addr" else None


@pytest.mark.parametrize(
    ("rates", "counts", "cost"),
    [
        ({"input": "2", "output": "8"}, {"input_tokens": 1000, "output_tokens": 100}, "0.0028"),
        ({"input": "2", "output": "8", "cached": "0.5"}, {"input_tokens": 1000, "cache_read_tokens": 400}, "0.0014"),
        ({"input": "2", "output": "8"}, {"input_tokens": 1000, "cache_read_tokens": 400}, "0.002"),
        ({"output": "8"}, {"output_tokens": 10, "output_reasoning_tokens": 8}, "0.00008"),
        ({"per_minute": "0.006"}, {"audio_seconds": 90}, "0.009"),
        ({"input": "0", "output": "0"}, {"input_tokens": 1000, "output_tokens": 100}, "0"),
        ({"input": "2"}, {"input_tokens": 1000, "output_tokens": 100}, None),
        ({"input": "2", "output": "8"}, {"audio_seconds": 1}, None),
        ({"input": "2", "output": "8"}, {"input_tokens": 1, "web_searches": 1}, None),
    ],
)
def test_what_has_no_rate_stays_unpriced(rates: dict[str, str], counts: dict[str, int], cost: str | None) -> None:
    found = OwnPrice("m", **{name: Decimal(rate) for name, rate in rates.items()}, since=TODAY).price(counts)
    assert found == (None if cost is None else (Decimal(cost), "own price", TODAY))


def test_the_most_special_goes_first() -> None:
    used = {"input_tokens": 1_000_000}
    own = [
        OwnPrice(endpoint="h", input=Decimal(1)),
        OwnPrice("m", input=Decimal(2)),
        OwnPrice("m", "h:8000", input=Decimal(3)),
        OwnPrice(None, "h:81", input=Decimal(4)),
    ]
    for model, endpoint, cost in (
        ("m", "h:8000", 3), ("models/M-2026-01-01", "h:8000", 3), ("m", "h", 2), ("m", "other", 2),
        ("n", "h:82", 1), ("n", "h", 1), ("n", "h:81", 4),
    ):  # fmt: skip
        found = rules.price(own, used, [model], endpoint)
        assert found is not None
        assert found.cost == cost
    assert rules.price(own, used, ["mm", None], "hh") is None
    assert rules.price([OwnPrice("m", "h:80", input=Decimal(3))], used, ["m"], "h:81") is None


def test_a_price_holds_from_then_on_and_rows_keep_theirs(store: UsageStore) -> None:
    post()
    own = chatkit.set_price("My-Model", input="0.10", output=0.4, endpoint="https://llm.example.org/v1")
    assert repr(own) == f"my-model at llm.example.org: 0.10 in, 0.4 out per million tokens (USD, own price of {TODAY})"
    post()
    chatkit.set_price("my-model", input=1, output=1, endpoint="llm.example.org")
    post()
    assert len(chatkit.own_prices()) == 1
    assert chatkit.remove_price("my-model", endpoint="llm.example.org") == ()
    post()
    assert [(row.usage.cost, row.price_table, row.price_date) for row in store.records()] == [
        (None, None, None),
        (Decimal("0.00014"), "own price", TODAY),
        (Decimal("0.0011"), "own price", TODAY),
        (None, None, None),
    ]


def test_an_own_price_goes_before_the_table(store: UsageStore) -> None:
    chatkit.set_price("gpt-4o-mini", input=1, output=1, cached="0.5")
    post("https://api.openai.com/v1/chat/completions", "gpt-4o-mini-2024-07-18")
    (row,) = store.records()
    assert (row.usage.cost, row.price_table) == (Decimal("0.0009"), "own price")


@pytest.mark.parametrize(
    "given", [{"input": "0.1"}, {"model": "m"}, {"model": "m", "input": "cheap"}, {"model": "m", "input": -1},
              {"endpoint": "a b", "input": 1}]
)  # fmt: skip
def test_what_is_no_price_is_refused(store: UsageStore, given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        chatkit.set_price(**given)
    assert chatkit.own_prices() == ()


LOCAL = "http://127.0.0.1:8321/v1/chat/completions"


@pytest.mark.parametrize(
    ("server", "peer", "key", "free"),
    [
        ("chatkit-local", "127.0.0.1", "chatkit-local-abc", True),
        ("chatkit-local", "::1", "chatkit-local-abc", True),
        ("chatkit-local", "192.168.1.5", "chatkit-local-abc", True),
        ("chatkit-local", "93.184.216.34", "chatkit-local-abc", False),
        ("chatkit-local", "127.0.0.1", "sk-real", False),
        ("nginx", "127.0.0.1", "chatkit-local-abc", False),
        ("chatkit-local", "not an address", "chatkit-local-abc", False),
    ],
)
def test_a_chatkit_server_nearby_is_free_and_nothing_else_can_say_so(
    store: UsageStore, server: str, peer: str, key: str, free: bool
) -> None:
    post(LOCAL, "SmolLM2-135M-Instruct", server, peer, key)
    (row,) = store.records()
    assert row.usage.cost == (Decimal(0) if free else None)


def test_the_address_is_that_of_the_connection(store: UsageStore) -> None:
    answer = {"model": "SmolLM2", "choices": [{"finish_reason": "stop"}], "usage": USED}
    with FaultServer(reply(200, answer, {"server": "chatkit-local"})) as server:
        client = httpx2.Client(transport=MeteredTransport(httpx2.HTTPTransport(), Meter()))
        for key in ("chatkit-local-abc", "sk-real"):
            client.post(
                f"{server.url}/chat/completions", json={"model": "m"}, headers={"authorization": f"Bearer {key}"}
            )
        client.close()
    assert [row.usage.cost for row in store.records()] == [0, None]


def row(number: int, **change: Any) -> UsageRecord:
    usage = Usage(1000, 100, known="measured")
    at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=number)
    made = UsageRecord(f"r{number}", at, "s", "/v1/chat/completions", "api.openai.com", "my-model", None, False,
                       "complete", 200, None, 1, 0.1, None, usage)  # fmt: skip
    return replace(made, **change)


def test_pricing_again_keeps_the_old_price_and_the_sums_follow(store: UsageStore) -> None:
    wrong = replace(row(1).usage, cost=Decimal(5))
    free = replace(row(1).usage, cost=Decimal(0))
    store.add(row(1))
    store.add(row(2, usage=wrong, price_table="old table", price_date="2020-01-01"))
    store.add(row(3, usage=free))
    store.add(row(4, usage=Usage()))
    store.add(row(5, session="other"))
    store.add(row(6, model="gpt-4o-mini", details='{"service_tier": "flex", "input_audio_tokens": 0}'))
    chatkit.set_price("my-model", input=1, output=1)
    done = chatkit.reprice(session="s")
    assert repr(done) == (
        "3 of 5 calls priced again, 2 of them for the first time: 5 USD before, 0.00241 USD now. The old prices are kept."
    )
    costs = {record.id: record.usage.cost for record in store.records()}
    assert costs == {
        "r1": Decimal("0.0011"), "r2": Decimal("0.0011"), "r3": 0, "r4": None, "r5": None, "r6": Decimal("0.00021"),
    }  # fmt: skip
    assert store.total(session="s").cost == Decimal("0.00241")
    kept = store.select("SELECT call_id, cost_pico, price_table, price_date FROM chatkit_repricings ORDER BY call_id")
    assert [tuple(line) for line in kept] == [
        ("r1", None, None, None),
        ("r2", 5 * 10**12, "old table", "2020-01-01"),
        ("r6", None, None, None),
    ]
    assert repr(chatkit.reprice(session="s")) == "5 calls looked at; their prices are as they were."


def test_an_estimated_call_that_is_priced_again_has_a_bound(store: UsageStore) -> None:
    store.add(row(1, usage=Usage(1000, 100, known="estimated")))
    chatkit.set_price("my-model", input=1, output=1)
    chatkit.reprice()
    (changed,) = store.records()
    assert (changed.usage.cost, changed.at_most) == (Decimal("0.0011"), Decimal("0.0011"))
