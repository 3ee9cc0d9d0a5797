"""The budget: asked before each attempt, for whatever makes it; shared by kernels; unknown is not free."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import chatkit
from chatkit.exceptions import BudgetError, InputError
from chatkit.ledger import budget as budgets
from chatkit.ledger import rulebook
from chatkit.ledger.meter import AsyncMeteredTransport, Meter, MeteredTransport
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.request import read_request
from chatkit.ledger.rules import Limit, day_begins
from chatkit.ledger.store import UsageStore

MESSAGES: Any = [{"role": "user", "content": "Where was it held?"}]
ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "In Brazil."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}  # fmt: skip
COST = Decimal("0.00021")
"""What that answer costs on gpt-4o-mini."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    monkeypatch.setattr("chatkit.ledger.store._default", store)
    monkeypatch.setattr(rulebook, "FRESH", 0.0)
    monkeypatch.setattr(budgets, "_warned", set())
    yield store
    store.close()


class Endpoint:
    """Answers each request by a function, and counts them."""

    def __init__(self, say: Callable[[httpx2.Request], httpx2.Response] | None = None) -> None:
        self.asked = 0
        self._say = say or (lambda request: httpx2.Response(200, json=ANSWER))

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        return self._say(request)


def sdk(endpoint: Endpoint, base_url: str = "https://api.openai.com/v1", **options: Any) -> openai.OpenAI:
    transport = MeteredTransport(httpx2.MockTransport(endpoint), Meter())
    http = openai.DefaultHttpx2Client(transport=transport)
    return openai.OpenAI(**{"api_key": "sk-test", **options}, base_url=base_url, http_client=http)


def ask(client: openai.OpenAI, model: str = "gpt-4o-mini", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=100, **more)


def calls_until_refused(call: Callable[[], object], most: int = 50) -> tuple[int, BudgetError]:
    for number in range(most):
        try:
            call()
        except BudgetError as error:
            return number, error
    raise AssertionError("the budget never stopped it")


@pytest.mark.parametrize("amount", ["0", "0.000001", "0.00006", "0.0004", "0.00041"])
def test_the_amount_that_a_refusal_names_lets_the_call_through_at_once(store: UsageStore, amount: str) -> None:
    endpoint = Endpoint()
    client = sdk(endpoint)
    chatkit.budget(amount)
    _, refused = calls_until_refused(lambda: ask(client))
    before, named = endpoint.asked, refused.way_out.split('raise_to("')[1].split('"')[0]
    chatkit.budget().raise_to(named)
    ask(client)
    assert endpoint.asked == before + 1
    assert Decimal(named) >= Decimal(amount) * 2


def test_without_a_budget_nothing_stops(store: UsageStore) -> None:
    assert repr(chatkit.budget()) == 'No budget is set. One is: chatkit.budget("0.50", per="day")'
    for _ in range(3):
        ask(sdk(Endpoint()))
    assert store.total().cost == 3 * COST


def test_a_store_has_one_rulebook_which_no_call_makes_anew(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = rulebook.rulebook_of(store)
    monkeypatch.setattr(rulebook.Rulebook, "__init__", lambda *_: pytest.fail("made anew"))
    assert rulebook.rulebook_of(store) is kept


def test_a_raw_sdk_call_is_refused_as_it_is_and_nothing_is_sent(store: UsageStore) -> None:
    chatkit.budget("0.001")
    endpoint = Endpoint()
    client = sdk(endpoint)
    made, error = calls_until_refused(lambda: ask(client))
    assert (made, endpoint.asked, store.total().calls) == (5, 5, 5)
    assert store.total().cost == 5 * COST
    assert error.kind == "budget"
    assert str(error) == (
        "The budget of 0.0010 USD this session has 0.00 USD left: 0.0011 USD has gone. This call would likely cost "
        '0.000062 USD; it was not sent. Raise it: chatkit.budget().raise_to("0.002"). End it: chatkit.budget().off().'
    )


def test_it_goes_on_when_it_is_raised_or_off(store: UsageStore) -> None:
    chatkit.budget("0.0003")
    client = sdk(Endpoint())
    calls_until_refused(lambda: ask(client))
    chatkit.budget().raise_to("0.01")
    ask(client)
    chatkit.budget().raise_to(0)
    with pytest.raises(BudgetError):
        ask(client)
    assert chatkit.budget().off().limit is None
    ask(client)
    with pytest.raises(InputError, match="none can be raised"):
        chatkit.budget().raise_to(1)


def test_each_retry_of_the_sdk_is_asked_for(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai.OpenAI, "_sleep_for_retry", lambda *_, **__: None)
    most = budget_of_failures(1)
    chatkit.budget(most)
    endpoint = Endpoint(lambda request: httpx2.Response(500, json={"error": {"message": "down"}}))
    with pytest.raises(BudgetError, match="has gone"):
        ask(sdk(endpoint, max_retries=5))
    assert endpoint.asked == 1, "the first 500 may be billed, and after it nothing is left for the next"


def budget_of_failures(count: int) -> Decimal:
    """What `count` calls of unknown usage cost at most: a token a byte in, 100 tokens out."""
    prompt = (4 + 5) * 4  # 18 bytes by the rule of four, and four around the message; four bytes each
    return count * (prompt * Decimal("0.15") + 100 * Decimal("0.60")) / 1_000_000


def test_what_is_unknown_counts_at_its_most(store: UsageStore) -> None:
    chatkit.budget("0.01")
    endpoint = Endpoint(lambda request: httpx2.Response(500, json={"error": {"message": "down"}}))
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            ask(sdk(endpoint, max_retries=0))
    (first, *_) = store.records()
    assert (first.usage.cost, first.at_most) == (None, budget_of_failures(1))
    assert chatkit.budget().spending.spent == budget_of_failures(3)


def test_a_stream_that_broke_counts_more_than_was_seen_and_no_more_than_its_limit(store: UsageStore) -> None:
    def stream(request: httpx2.Request) -> httpx2.Response:
        events = [b'data: {"choices": [{"index": 0, "delta": {"content": "In"}, "finish_reason": null}]}\n\n'] * 10
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(events))

    chatkit.budget("0.01")
    for _ in ask(sdk(Endpoint(stream)), stream=True):
        pass
    (row,) = store.records()
    assert (row.outcome, row.usage.known, row.usage.completion_tokens) == ("incomplete", "estimated", 10)
    assert row.at_most == (36 * Decimal("0.15") + 40 * Decimal("0.60")) / 1_000_000
    assert chatkit.budget().spending.spent == row.at_most > row.usage.cost


def test_a_stream_and_sound_and_the_async_client_are_refused_too(store: UsageStore, tmp_path: Path) -> None:
    chatkit.budget(0)
    endpoint = Endpoint()
    client = sdk(endpoint)
    wav = ("talk.wav", b"RIFF" + bytes(64_000))
    for call in (
        lambda: ask(client, stream=True),
        lambda: client.responses.create(model="gpt-4o-mini", input="Hi"),
        lambda: client.embeddings.create(model="text-embedding-3-small", input="Hi"),
        lambda: client.audio.transcriptions.create(model="whisper-1", file=wav),
        lambda: client.audio.transcriptions.create(model="gpt-4o-transcribe", file=wav),
    ):
        with pytest.raises(BudgetError, match="was not sent"):
            call()

    async def alone() -> None:
        transport = AsyncMeteredTransport(httpx2.MockTransport(endpoint), Meter())
        http = openai.DefaultAsyncHttpx2Client(transport=transport)
        async with openai.AsyncOpenAI(api_key="sk-test", http_client=http) as client:
            await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    with pytest.raises(BudgetError):
        asyncio.run(alone())
    assert endpoint.asked == 0
    assert store.total().calls == 0


def test_what_has_no_price_is_refused_until_it_has_one(store: UsageStore) -> None:
    chatkit.budget("0.50", per="day")
    endpoint = Endpoint()
    client = sdk(endpoint, "http://127.0.0.1:11434/v1")
    with pytest.raises(
        BudgetError, match=r"What llama costs at 127.0.0.1:11434 is not known.*chatkit.set_price\(\"llama\""
    ):
        ask(client, "llama")
    assert endpoint.asked == 0
    chatkit.set_price(endpoint="http://127.0.0.1:11434/v1", input=0, output=0)
    ask(client, "llama")
    (row,) = store.records()
    assert (row.usage.cost, row.price_table) == (Decimal(0), "own price")


def test_a_local_model_is_free_whatever_the_budget_says(store: UsageStore) -> None:
    chatkit.budget(0)
    endpoint = Endpoint()
    free = MeteredTransport(httpx2.MockTransport(endpoint), Meter(free=True))
    assert httpx2.Client(transport=free).post("http://127.0.0.1/v1/chat/completions", json={}).status_code == 200
    ask(sdk(endpoint, "http://127.0.0.1:8321/v1", api_key="chatkit-local-abc"), "SmolLM2")
    assert endpoint.asked == 2


def test_a_warning_lets_the_call_through_and_comes_once(store: UsageStore) -> None:
    chatkit.budget("0.0003", on="warn")
    client = sdk(Endpoint())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(6):
            ask(client)
    assert ["it is sent all the same" in str(warning.message) for warning in told] == [True]
    assert store.total().calls == 6
    with pytest.warns(UserWarning, match="What llama costs at api.openai.com is not known"):
        ask(client, "llama")


def test_a_session_has_its_own_budget(store: UsageStore) -> None:
    chatkit.budget("0.0003")
    client = sdk(Endpoint())
    with chatkit.session("Lesson 1"):
        made, _ = calls_until_refused(lambda: ask(client))
    with chatkit.session("Lesson 2"):
        ask(client)
        assert chatkit.budget().left == Decimal("0.0003") - COST
    assert made == 2


def record(at: datetime, number: int, **change: Any) -> UsageRecord:
    usage = Usage(1000, 100, cost=Decimal("0.1"), known="measured")
    row = UsageRecord(f"r{number}", at, "s", "/p", "h", "m", None, False, "complete", 200, None, 1, 0.1, None, usage)
    return replace(row, **change)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland"])
def test_a_day_is_that_of_the_users_clock(store: UsageStore, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        begins = day_begins()
        assert begins.astimezone().strftime("%H:%M:%S") == "00:00:00"
        store.add(record(begins - timedelta(seconds=1), 1))
        store.add(record(begins, 2))
        assert chatkit.budget(1, per="day").spending.spent == Decimal("0.1")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_has_no_bound_is_named(store: UsageStore) -> None:
    chatkit.budget("0.50", per="day")
    store.add(record(datetime.now(UTC), 1, usage=Usage()))
    store.add(record(datetime.now(UTC), 2))
    assert repr(chatkit.budget()) == (
        "████░░░░░░░░░░░░░░░░ 0.10 USD of 0.50 USD gone today, 0.40 USD left; 1 call without a known price not counted; "
        "stops at the limit."
    )
    assert '<progress max="0.5" value="0.100000000000"' in chatkit.budget()._repr_html_()


def test_requests_in_flight_are_held(store: UsageStore) -> None:
    """Each needs a third of the budget, so the fourth is refused although none of the three has ended."""
    each = (9 * Decimal("0.15") + 100 * Decimal("0.60")) / 1_000_000
    chatkit.budget(3 * each)
    gate, asked = threading.Event(), threading.Semaphore(0)

    def wait(request: httpx2.Request) -> httpx2.Response:
        asked.release()
        gate.wait(20)
        return httpx2.Response(200, json=ANSWER)

    client = sdk(Endpoint(wait))
    threads = [threading.Thread(target=ask, args=(client,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert asked.acquire(timeout=20)
    gone = chatkit.budget().spending
    assert (gone.held, gone.in_flight, gone.spent) == (3 * each, 3, 0)
    with pytest.raises(BudgetError, match="of it for requests in flight"):
        ask(client)
    gate.set()
    for thread in threads:
        thread.join()
    gone = chatkit.budget().spending
    assert (gone.held, gone.in_flight, gone.spent) == (0, 0, 3 * COST)


def test_a_hold_of_a_dead_process_ends(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit(Decimal(1))
    book = rulebook.rulebook_of(store)
    assert book.hold("dead", limit, "s", Decimal("0.9"), always=False) is None
    refused = book.hold("next", limit, "s", Decimal("0.2"), always=False)
    assert refused is not None
    assert refused.held == Decimal("0.9")
    later = datetime.now(UTC) + rulebook.HOLD

    class Clock(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> datetime:
            return later

    monkeypatch.setattr(rulebook, "datetime", Clock)
    assert book.hold("next", limit, "s", Decimal("0.2"), always=False) is None


KERNEL = """
import json, sys, httpx2, chatkit
from chatkit.ledger.meter import Meter, MeteredTransport
answer = json.loads(sys.argv[1])
with chatkit.session("class"):
    client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(lambda r: httpx2.Response(200, json=answer)), Meter()))
    made = 0
    sys.stdin.readline()
    try:
        while made < 100:
            client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o-mini", "max_tokens": 100})
            made += 1
    except chatkit.BudgetError:
        print(made)
"""


def test_kernels_share_it(store: UsageStore) -> None:
    chatkit.budget(20 * COST)
    environment = {**os.environ, "CHATKIT_DB": str(store._place.file)}
    command = [sys.executable, "-c", KERNEL, json.dumps(ANSWER)]
    pipe = subprocess.PIPE
    kernels = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(4)]
    made = [int(kernel.communicate("go\n", timeout=60)[0]) for kernel in kernels]
    assert 20 <= sum(made) <= 20 + len(kernels)
    assert store.total(session="class").calls == sum(made)


def test_a_chat_tells_of_it_in_its_reply(store: UsageStore) -> None:
    chatkit.budget(0)
    endpoint = Endpoint()
    transport = AsyncMeteredTransport(httpx2.MockTransport(endpoint), Meter())
    client = openai.AsyncOpenAI(api_key="sk-test", http_client=openai.DefaultAsyncHttpx2Client(transport=transport))

    async def turn() -> list[Any]:
        from chatkit.client.engine import Engine

        return [item async for item in Engine().stream(client, {"model": "gpt-4o-mini", "messages": MESSAGES})]

    (reply,) = asyncio.run(turn())
    assert (reply.outcome, reply.records, endpoint.asked) == ("error", (), 0)
    assert isinstance(reply.error, BudgetError)
    assert "has 0.00 USD left" in str(reply.error)


def test_a_store_that_cannot_be_asked_stops_what_a_budget_was_set_for(
    store: UsageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chatkit.budget(1)
    client = sdk(Endpoint())
    ask(client)
    monkeypatch.setattr(rulebook, "FRESH", 60.0)
    store.close()
    file = store._place.file
    assert file is not None
    for path in file.parent.iterdir():
        path.unlink()
    file.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BudgetError, match=r"cannot be checked.*Try again later"):
            ask(client)


@pytest.mark.parametrize(
    ("name", "size", "seconds"),
    [
        ("a.wav", 64_000, 8),
        ("a.mp3", 8_000, 8),
        ("a.ogg", 6_000, 8),
        ("a", 6_000, 8),
        ("a.ogg", None, 26_214_400 * 8 / 6_000),
    ],
)
def test_sound_is_bounded_by_the_size_of_its_file(name: str, size: int | None, seconds: float) -> None:
    request = httpx2.Request("POST", "https://api.openai.com/v1/audio/transcriptions", files={"file": (name, b"x")})
    del request.headers["content-length"]
    if size:
        request.headers["content-length"] = str(size)
    asked = read_request(request)
    assert asked is not None
    assert asked.sound == seconds


@pytest.mark.parametrize("amount", ["much", -1, float("nan"), True, "1e9"])
def test_an_amount_is_dollars(store: UsageStore, amount: Any) -> None:
    with pytest.raises(InputError, match="must be an amount of US dollars"):
        chatkit.budget(amount)


def test_a_float_is_taken_as_it_is_written(store: UsageStore) -> None:
    assert chatkit.budget(0.1).limit == Limit(Decimal("0.1"))


def test_words_that_are_none_are_refused(store: UsageStore) -> None:
    with pytest.raises(InputError, match='per is "session" or "day"'):
        chatkit.budget(1, per="week")  # type: ignore[arg-type]
