"""One price for every place that says a cost: own prices first, then the table, by host and port."""

import json
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

import chatkit
from chatkit.captions import estimate_caption
from chatkit.exceptions import BudgetError, StoreError
from chatkit.ledger import budget, estimate, pricing, rulebook
from chatkit.ledger.estimate import estimate_body, priced_as
from chatkit.ledger.meter import Meter, MeteredTransport
from chatkit.ledger.pricing import price_of
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.request import MeteredRequest, read_request
from chatkit.ledger.rules import LastRules, MoneyRules, OwnPrice
from chatkit.ledger.store import UsageStore, default_store
from chatkit.speech import costs
from chatkit.ui.audio_captions import foresee
from chatkit.ui.view_model import Stage, outlook

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE = "http://127.0.0.1:36179/v1"
NEXT_DOOR = "http://127.0.0.1:36180/v1"
OPENAI = "https://api.openai.com/v1"
USED = {"prompt_tokens": 1000, "completion_tokens": 100}
COUNTS = {"input_tokens": 1000, "output_tokens": 100}
KEY = {"authorization": "Bearer sk-test"}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    monkeypatch.setattr("chatkit.ledger.store._default", store)
    monkeypatch.setattr(rulebook, "FRESH", 0.0)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    yield store
    store.close()


def post(
    url: str, model: str, used: dict[str, Any] = USED, path: str = "/chat/completions", **more: Any
) -> UsageRecord:
    """A call as it is booked."""
    answer = {"model": model, "choices": [{"finish_reason": "stop"}], "usage": used, **more}
    say = lambda request: httpx2.Response(200, json=answer)  # noqa: E731
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(say), Meter()))
    if path.startswith("/audio"):
        client.post(url + path, data={"model": model}, files={"file": ("a.wav", b"RIFF")}, headers=KEY)
    else:
        client.post(url + path, json={"model": model, **more}, headers=KEY)
    return default_store().records()[-1]


def asked(url: str, body: dict[str, Any]) -> MeteredRequest:
    found = read_request(httpx2.Request("POST", f"{url}/chat/completions", json=body))
    assert found is not None
    return found


def held(url: str, model: str) -> Decimal | None:
    """What the budget holds for a question of 1,000 tokens at most 100 long, for 1,000 and 100 tokens."""
    body = {"model": model, "max_tokens": 100, "prompt": "x"}
    given = asked(url, body)
    cost = budget.likely(given, pricing.own_now(), AT)
    if cost is None:
        return None
    sent = estimate.of_prompt(body)
    one, hundred = (price_of({"input_tokens": n, "output_tokens": 100}, model, url) for n in (sent, 1000))
    assert one is not None
    assert hundred is not None
    assert cost == one.cost, "the budget's price is the price of the rule"
    return hundred.cost


def chat_at(url: str, model: str) -> chatkit.Chat:
    return chatkit.Chat(model=model, client=chatkit.connect(base_url=url, api_key="sk-test", quiet=True))


def in_the_panel(url: str, model: str) -> str:
    chat = chat_at(url, model)
    chat.parameters["max_completion_tokens"] = 100
    found = outlook(chat, chat.preview("Hi there"))
    assert found is not None
    return str(found["caption"])


def in_a_notebook(url: str, model: str) -> Any:
    code = f"client.chat.completions.create(model={model!r}, messages=[{{'role': 'user', 'content': 'Hi'}}], max_tokens=100)"
    cells = [{"cell_type": "code", "source": [code]}]
    Path("lesson.ipynb").write_text(json.dumps({"cells": cells}))
    return chatkit.estimate("lesson.ipynb", model=model, base_url=url).once


def test_every_place_says_the_price_that_was_set() -> None:
    """One dollar a million tokens in, two a million out; 1,000 in and 100 out are 0.0012 everywhere."""
    before = post(HERE, "my-model")
    assert "cost unknown" in in_the_panel(HERE, "my-model")
    chatkit.set_price("my-model", input=1, output=2, endpoint=HERE)

    def whole(sent: int, came: int) -> Decimal:
        return (sent * Decimal(1) + came * Decimal(2)) / 1_000_000

    cost = whole(1000, 100)
    row = post(HERE, "my-model")
    assert (row.host, row.usage.cost, row.price_table) == ("127.0.0.1:36179", cost, "own price")
    assert priced_as(row.usage, "my-model", HERE) == cost
    assert held(HERE, "my-model") == cost
    for made in (
        estimate_body({"model": "my-model", "prompt": "Hi", "max_tokens": 100}, f"{HERE}/completions"),
        chatkit.estimate("Hi", model="my-model", base_url=HERE, max_completion_tokens=100).once,
        chatkit.estimate(chat_at(HERE, "my-model"), "Hi", max_completion_tokens=100).once,
        in_a_notebook(HERE, "my-model"),
    ):
        assert made.cost is not None
        assert made.unpriced_calls == 0
        assert made.cost.likely == whole(made.prompt.likely, made.completion.likely)
    chat = chat_at(HERE, "my-model")
    chat.parameters["max_completion_tokens"] = 100
    body = chat.preview("Hi there").body
    assert in_the_panel(HERE, "my-model") == estimate_caption(estimate_body(body, HERE), local=False)
    assert "unknown" not in in_the_panel(HERE, "my-model")
    again = chatkit.estimate("Hi", model="my-model", base_url=HERE, session=row.session).once
    assert again.cost is not None
    assert again.cost.likely == 2 * cost, "two calls of that session"
    chatkit.reprice()
    rows = {record.id: record.usage.cost for record in default_store().records()}
    assert rows[before.id] == cost


def test_in_the_panels_priced_as_too() -> None:
    used = Usage(1000, 100, cost=Decimal(0), known="measured")
    stage = Stage(chat_at(HERE, "other"), "my-model")
    assert "my-model" in stage._also_priced("x", used)
    assert "0.0012" not in stage._also_priced("x", used)
    chatkit.set_price("my-model", input=1, output=2, endpoint=HERE)
    assert "0.0012 USD" in stage._also_priced("x", used)
    chatkit.remove_price("my-model", endpoint=HERE)
    chatkit.set_price("my-model", input=1, output=2)
    assert "0.0012 USD" in stage._also_priced("x", used)


def test_a_minute_of_sound_costs_the_same_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 90))
    client = chatkit.connect(base_url=HERE, api_key="sk-test", quiet=True)
    assert foresee("transcribe", "my-whisper", client).per_minute is None
    assert chatkit.estimate(path, model="my-whisper", base_url=HERE).once.cost is None
    chatkit.set_price("my-whisper", per_minute="0.01", endpoint=HERE)
    cost = Decimal("0.015")
    assert foresee("transcribe", "my-whisper", client).per_minute == Decimal("0.01")
    assert costs.estimate_transcription(path, model="my-whisper", client=client) == cost
    found = chatkit.estimate(path, model="my-whisper", base_url=HERE).once.cost
    assert found is not None
    assert found.likely == cost
    row = post(HERE, "my-whisper", {"type": "duration", "seconds": 90}, "/audio/transcriptions", text="x")
    assert (row.usage.cost, row.price_table) == (cost, "own price")
    assert priced_as(row.usage, "my-whisper", HERE) == cost
    with open(path, "rb") as sound:
        request = httpx2.Request(
            "POST", f"{HERE}/audio/transcriptions", data={"model": "my-whisper"}, files={"file": ("a.wav", sound)}
        )
        given = read_request(request)
    assert given is not None
    assert budget.likely(replace(given, audio_seconds=90.0), pricing.own_now(), AT) == cost


def test_a_price_for_one_port_is_not_that_of_the_next(store: UsageStore) -> None:
    first, second = post(HERE, "my-model"), post(NEXT_DOOR, "my-model")
    chatkit.set_price("my-model", input=1000, output=1000, endpoint=HERE)
    chatkit.set_price("my-model", input=1, output=1, endpoint="http://127.0.0.1:1/v1")
    chatkit.reprice()
    rows = {record.id: record.usage.cost for record in store.records()}
    assert rows == {first.id: Decimal("1.1"), second.id: None}
    assert post(NEXT_DOOR, "my-model").usage.cost is None
    assert chatkit.estimate("Hi", model="my-model", base_url=NEXT_DOOR).once.cost is None
    by = {line.key: line.usage.calls for line in store.lines("endpoint")}
    assert by == {("127.0.0.1:36179/v1/chat/completions",): 1, ("127.0.0.1:36180/v1/chat/completions",): 2}


def test_a_row_whose_port_nobody_wrote_down_has_no_price_of_a_port(store: UsageStore) -> None:
    """Earlier versions kept the host alone."""
    old = replace(post(HERE, "my-model"), id="old", host="127.0.0.1")
    store.add(old)
    chatkit.set_price("my-model", input=1, output=1, endpoint=HERE)
    chatkit.reprice()
    assert {record.id: record.usage.cost for record in store.records()}["old"] is None
    chatkit.set_price("my-model", input=2, output=2, endpoint="127.0.0.1")
    chatkit.reprice()
    costs = {record.id: record.usage.cost for record in store.records()}
    assert costs.pop("old") == Decimal("0.0022"), "the price of the host holds for all its ports"
    assert list(costs.values()) == [Decimal("0.0011")], "that of the port goes before it"


def test_a_host_has_a_price_for_all_its_models_until_it_is_removed() -> None:
    chatkit.set_price(endpoint="127.0.0.1", input=1, output=1)
    for url in (HERE, NEXT_DOOR):
        assert post(url, "any").usage.cost == Decimal("0.0011")
        assert price_of(COUNTS, "another", url) is not None
    chatkit.remove_price(endpoint="127.0.0.1")
    assert post(HERE, "any").usage.cost is None
    assert chatkit.estimate("Hi", model="any", base_url=HERE).once.cost is None


@pytest.mark.parametrize("named", ["https://API.openai.com:443/v1", "https://api.openai.com", "api.openai.com"])
def test_the_schemes_own_port_is_no_other_server(named: str) -> None:
    chatkit.set_price("gpt-4o-mini", input=1, output=1, endpoint=named)
    found = price_of(COUNTS, "gpt-4o-mini", OPENAI)
    assert found is not None
    assert (found.cost, found.table) == (Decimal("0.0011"), "own price")
    assert price_of(COUNTS, "gpt-4o-mini", "https://api.openai.com:8443/v1", own=()) is None, "not OpenAI's server"


@pytest.mark.parametrize("tier", [None, "flex", "priority"])
def test_a_tier_is_priced_alike_before_and_after(tier: str | None) -> None:
    more = {"service_tier": tier} if tier else {}
    row = post(OPENAI, "gpt-6-luna", **more)
    found = price_of(COUNTS, "gpt-6-luna", OPENAI, tier=tier, own=())
    assert found is not None
    assert row.usage.cost == found.cost
    body = {
        "model": "gpt-6-luna",
        "max_completion_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
        **more,
    }
    likely = budget.likely(asked(OPENAI, body), (), datetime.now(UTC))
    plain = budget.likely(asked(OPENAI, body | {"service_tier": "auto"}), (), datetime.now(UTC))
    assert likely is not None
    assert plain is not None
    ratio = {None: 1, "flex": Decimal("0.5"), "priority": 2}[tier]
    assert likely == ratio * plain
    made = estimate_body(body, OPENAI)
    again = price_of({"input_tokens": made.prompt.likely, "output_tokens": 100}, "gpt-6-luna", OPENAI, tier=tier)
    assert made.cost is not None
    assert again is not None
    assert made.cost.likely == again.cost


def test_what_was_cached_has_its_own_rate_in_row_and_priced_as() -> None:
    chatkit.set_price("my-model", input=1, output=2, cached="0.1", endpoint=HERE)
    row = post(HERE, "my-model", {**USED, "prompt_tokens_details": {"cached_tokens": 400}})
    assert row.usage.cost == (600 + 400 * Decimal("0.1") + 200) / 1_000_000
    assert priced_as(row.usage, "my-model", HERE) == row.usage.cost


def test_a_free_server_nearby_stays_free_whatever_is_set() -> None:
    chatkit.set_price("my-model", input=1, output=2)
    answer = {"model": "my-model", "choices": [{"finish_reason": "stop"}], "usage": USED}
    say = lambda request: httpx2.Response(200, json=answer)  # noqa: E731
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(say), Meter(free=True)))
    client.post(f"{HERE}/chat/completions", json={"model": "my-model"})
    chatkit.reprice()
    (row,) = default_store().records()
    assert (row.usage.cost, row.host) == (0, "127.0.0.1"), "its port is another each time, and is left out"


def test_a_budget_takes_the_price_of_the_server_that_is_asked() -> None:
    chatkit.set_price("my-model", input=1, output=1, endpoint=HERE)
    chatkit.budget("0.50", per="day")
    post(HERE, "my-model")
    with pytest.raises(BudgetError, match="What my-model costs at 127.0.0.1:36180 is not known"):
        post(NEXT_DOOR, "my-model")


GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"
OWN = OwnPrice("gemini-x", input=Decimal(1), output=Decimal(2))


@pytest.mark.parametrize(
    ("name", "url", "like"),
    [
        ("models/gemini-2.5-flash", GOOGLE, "gemini-2.5-flash"),
        ("google/gemini-2.5-flash", GOOGLE, "gemini-2.5-flash"),
        ("publishers/google/models/gemini-2.5-flash", GOOGLE, "gemini-2.5-flash"),
        ("openai/gpt-4o-mini", OPENAI, "gpt-4o-mini"),
        ("GPT-4o-mini", OPENAI, "gpt-4o-mini"),
    ],
)
def test_a_model_has_its_price_by_the_name_that_its_list_gives_it(name: str, url: str, like: str) -> None:
    found, plain = (price_of(COUNTS, each, url, AT, own=()) for each in (name, like))
    assert found == plain is not None


@pytest.mark.parametrize(
    ("name", "priced"), [("models/gemini-x", True), ("Gemini-X-2026-01-01", True), ("gemini", False)]
)
def test_an_own_price_is_found_by_that_name_too(name: str, priced: bool) -> None:
    found = price_of(COUNTS, name, "http://h:8000/v1", own=[OWN])
    assert (found.cost if found else None) == (Decimal("0.0012") if priced else None)
    assert chatkit.set_price("models/gemini-x", input=1).model == "gemini-x"


@pytest.mark.parametrize("say", [lambda: price_of(COUNTS, None, OPENAI), lambda: price_of(COUNTS, [None], OPENAI)])
def test_no_name_has_no_price(say: Callable[[], object]) -> None:
    assert say() is None


def test_a_panel_does_not_wait_for_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was last known is said at once; a thread asks the server again."""
    away = UsageStore("postgresql+psycopg://ada@127.0.0.1:1/class")
    monkeypatch.setattr("chatkit.ledger.store._default", away)
    asked, answered = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        asked.set()
        assert answered.wait(20)
        raise StoreError("It is away.")

    monkeypatch.setattr(UsageStore, "select", slow)
    LastRules(away.place).keep(MoneyRules(prices=(OwnPrice("my-model", input=Decimal(1), output=Decimal(2)),)))
    caption = in_the_panel(HERE, "my-model")
    assert "USD" in caption
    assert "unknown" not in caption
    assert asked.wait(20)
    answered.set()
