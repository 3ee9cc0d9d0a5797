"""The usage meter without a browser: what it sends, when, and how little."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from panel_wire import View
from test_ledger_sums import START
from test_readings import ESTIMATED, HEARD, HOSTILE, MEASURED, UNKNOWN, row

import chatkit
from chatkit.exceptions import StoreError
from chatkit.ledger.record import Usage
from chatkit.ledger.store import UsageStore
from chatkit.reports import live
from chatkit.ui import feed, usage_meter
from chatkit.ui.feed import RETELLS
from chatkit.ui.usage_meter import UsageMeter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    yield store
    store.close()


class Told:
    """A meter whose thread is this test: `flush` is called by hand, at a time that the test sets."""

    def __init__(self, store: UsageStore, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now = 1000.0
        self.sent: list[dict[str, Any]] = []
        monkeypatch.setattr(feed.reader, "touch", lambda *_, **__: None)
        for clock in ("monotonic", "perf_counter"):
            monkeypatch.setattr(usage_meter.time, clock, lambda: self.now)
        monkeypatch.setattr(UsageMeter, "send", lambda _, content, buffers=None: self._send(content))
        self.meter = UsageMeter("Lesson 1", store=store, **options)
        self.view = View(self.meter, "v1")

    def _send(self, content: dict[str, Any]) -> None:
        self.sent.append(content)
        self.view.hear(content)

    def flush(self, later: float = 0.5) -> list[dict[str, Any]]:
        """What is sent when the meter is flushed next."""
        before = len(self.sent)
        self.now += later
        self.pause = self.meter.flush()
        return self.sent[before:]

    def follow(self) -> None:
        """Have the view greet, look, and say that it has seen it."""
        self.view.hello()
        self.flush()
        self.ack()

    def ack(self) -> None:
        self.meter.simulate({"type": "ack", "view": "v1", "seq": self.view.seq})

    @property
    def status(self) -> dict[str, Any]:
        """What the view shows."""
        return self.view.status


@pytest.fixture
def told(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    told = Told(store, monkeypatch)
    yield told
    told.meter.close()


def test_the_state_has_counters_latest_calls_rows_and_time(store: UsageStore) -> None:
    for number, usage in enumerate([MEASURED, ESTIMATED, UNKNOWN, HEARD]):
        store.add(row(number, session="Lesson 1", usage=usage, at=START + timedelta(seconds=number)))
    shown = live.state(store, {"session": "Lesson 1"})
    assert shown["counters"] == [
        ["calls", "4"], ["tokens in", "≈ 150 + ?"], ["tokens out", "≈ 30 + ?"], ["cost, USD", "≈ 0.0093 + ?"],
        ["audio, minutes", "1.5"],
    ]  # fmt: skip
    assert shown["latest"] == [
        [100, 30, 20, "measured"],
        [50, 0, 10, "estimated"],
        [0, 0, 0, "unknown"],
        [0, 0, 0, "measured"],
    ]
    assert shown["rows"] == [{"name": "m", "parts": [120, 30, 25, 5], "tokens": "≈ 180 + ?", "cost": "≈ 0.0093 + ?"}]
    assert [[tokens, cost] for _, tokens, cost in shown["time"]] == [
        [120, 0.0002],
        [180, 0.0003],
        [180, 0.0003],
        [180, 0.0093],
    ]
    assert shown["time"][0][0] == START.timestamp() * 1000
    assert len(shown["notes"]) == 3
    assert (shown["budget"], shown["more"], shown["by"]) == (None, 0, "model")


def test_the_state_stays_small_whatever_the_number_of_calls(store: UsageStore) -> None:
    for number in range(300):
        store.add(row(number, session=f"s{number % 40}", usage=MEASURED, at=START + timedelta(seconds=number)))
    shown = live.state(store, {})
    assert (len(shown["latest"]), len(shown["rows"]), shown["more"], len(shown["time"])) == (60, 6, 34, 100)
    assert shown["time"][-1][1] == 300 * 120
    assert len(json.dumps(shown)) < 10_000


def test_no_calls_are_0_and_unknown_ones_are_not(store: UsageStore) -> None:
    assert live.state(store, {"session": "x"})["counters"] == [
        ["calls", "0"],
        ["tokens in", "0"],
        ["tokens out", "0"],
        ["cost, USD", "0"],
    ]
    store.add(row(1, session="x", usage=UNKNOWN))
    assert live.state(store, {"session": "x"})["counters"] == [
        ["calls", "1"], ["tokens in", "unknown"], ["tokens out", "unknown"], ["cost, USD", "unknown"],
    ]  # fmt: skip


def test_the_budget_is_a_bar(store: UsageStore) -> None:
    from chatkit.ledger.rulebook import rulebook_of
    from chatkit.ledger.rules import Limit

    rulebook_of(store).set_limit(Limit(Decimal("0.001"), "session", "stop"))
    store.add(row(1, session="Lesson 1", usage=Usage(1, 1, cost=Decimal("0.00025"), known="measured")))
    assert live.state(store, {"session": "Lesson 1"})["budget"] == {
        "share": 0.25, "words": "0.00025 of 0.001 USD spent in this session", "full": False,
    }  # fmt: skip
    assert live.state(store, {})["budget"] is None
    rulebook_of(store).set_limit(Limit(Decimal("0.0002"), "day", "warn"))
    store.add(row(2, session="x", usage=Usage(1, 1, cost=Decimal("0.0003"), known="measured"), at=datetime.now(UTC)))
    assert live.state(store, {})["budget"] == {"share": 1.0, "words": "0.0003 of 0.0002 USD spent today", "full": True}


def test_a_call_is_told_once_it_is_written_and_nothing_is_told_twice(told: Told, store: UsageStore) -> None:
    told.view.hello()
    assert [message["type"] for message in told.sent] == ["patch", "snapshot"]
    (first,) = told.flush()
    assert (first["type"], first["seq"], first["status"]["calls"], told.status["title"]) == ("patch", 2, 0, "Lesson 1")
    told.ack()
    assert told.flush() == []
    store.add(row(1, session="Lesson 1", usage=MEASURED))
    (second,) = told.flush()
    assert (second["seq"], second["status"]["calls"]) == (3, 1)
    assert not {"title", "budget", "by", "everywhere", "error"} & set(second["status"])  # what did not change
    told.ack()
    assert [told.flush() for _ in range(3)] == [[], [], []]


def test_a_view_that_missed_a_number_asks_for_all_of_it(told: Told, store: UsageStore) -> None:
    told.follow()
    real, told.view.hear = told.view.hear, lambda _: None
    store.add(row(1, session="Lesson 1", usage=MEASURED))
    told.flush()
    told.view.hear = real
    store.add(row(2, session="Lesson 1", usage=MEASURED))
    told.flush()
    assert (told.view.gaps, told.status["calls"]) == (1, 0)
    told.view.hello()
    assert (told.view.seq, told.status["calls"]) == (4, 2)


def test_calls_of_other_sessions_are_shown_on_the_switch_only(told: Told, store: UsageStore) -> None:
    told.follow()
    store.add(row(1, session="Lesson 2", usage=MEASURED))
    assert told.flush() == []
    told.meter.simulate({"type": "everywhere", "id": "1", "view": "v1", "value": True})
    assert told.meter.everywhere is True
    told.flush()
    assert (told.status["calls"], told.status["title"]) == (1, "All notebooks")
    told.meter.everywhere = False
    told.flush()
    assert told.status["calls"] == 0
    told.meter.simulate({"type": "everywhere", "id": "1", "view": "v1", "value": True})  # the same click, again
    assert told.meter.everywhere is False


def test_a_call_of_another_process_is_seen(told: Told, store: UsageStore, tmp_path: Path) -> None:
    told.follow()
    other = UsageStore(tmp_path / "usage.sqlite")
    other.add(row(1, session="Lesson 1", usage=MEASURED))
    other.close()
    assert told.flush()[0]["status"]["calls"] == 1


def test_the_store_is_not_read_while_nothing_is_written(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.follow()
    monkeypatch.setattr(usage_meter, "state", lambda *_: pytest.fail("the store was read"))
    for _ in range(5):
        told.flush()


def test_it_looks_twice_a_second_at_most_and_less_often_at_a_large_store(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.follow()
    told.flush()
    assert told.pause == 0.5
    looks = []
    real = usage_meter.state

    def slow(*arguments: Any) -> Any:
        looks.append(told.now)
        told.now += 0.2
        return real(*arguments)

    monkeypatch.setattr(usage_meter, "state", slow)
    told.meter.everywhere = True
    told.flush()
    assert told.meter._look_at - looks[0] == pytest.approx(2.0)
    told.meter._seen = ()
    told.flush(0.5)
    assert len(looks) == 1
    told.flush(2.0)
    assert len(looks) == 2


def test_a_page_that_greets_does_not_wait_for_a_store_that_is_held(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    real, greeted = usage_meter.state, []

    def held(*arguments: Any) -> Any:
        page = threading.Thread(target=lambda: (told.view.hello(), greeted.append(True)), daemon=True)
        page.start()
        page.join(10)
        return real(*arguments)

    monkeypatch.setattr(usage_meter, "state", held)
    told.flush()
    assert greeted == [True]


def test_the_last_number_is_told_again_until_a_view_has_it_and_then_the_store_is_seldom_looked_at(told: Told) -> None:
    told.view.hello()
    told.flush()
    told.view.hear = lambda _: None
    again = [message["type"] for _ in range(400) for message in told.flush(0.5)]
    assert again == ["tail"] * RETELLS
    told.flush(5.0)
    assert told.pause == usage_meter.PAUSE_ALONE
    told.follow()
    told.flush()
    assert told.pause == 0.5


def test_a_view_that_says_goodbye_is_not_waited_for(told: Told, store: UsageStore) -> None:
    told.follow()
    told.meter.simulate({"type": "hello", "view": "v2"})
    told.meter.simulate({"type": "bye", "view": "v2"})
    told.flush()
    assert told.flush(3.0) == []


def test_a_store_that_cannot_be_read_is_said_in_the_meter(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise StoreError("The usage store is ill.", "Wait.")

    told.view.hello()
    monkeypatch.setattr(usage_meter, "state", broken)
    told.flush()
    assert told.status["error"]["text"] == "The usage store is ill. Wait."
    monkeypatch.undo()


def test_a_session_that_is_renamed_is_followed(store: UsageStore) -> None:
    with chatkit.session("draft"):
        meter = UsageMeter(store=store)
        store.add(row(1, session="draft", usage=MEASURED))
        chatkit.rename_session("Optics", store=store)
        assert (meter.session, repr(meter)) == ("Optics", "UsageMeter('Optics', 1 call)")
    meter.close()


def test_nothing_of_the_usage_is_in_a_synced_trait(told: Told, store: UsageStore) -> None:
    store.add(row(1, session="Lesson 1", usage=MEASURED))
    told.flush()
    saved = json.dumps({k: v for k, v in told.meter.get_state().items() if k not in ("_esm", "_css")}, default=str)
    assert "Lesson 1" not in saved
    assert "120" not in saved


def test_a_closed_meter_says_nothing_more(told: Told) -> None:
    told.meter.close()
    told.meter.close()
    told.view.hello()
    assert (told.meter.flush(), told.sent) == (None, [])


def test_its_text_in_a_saved_notebook_says_what_to_do(told: Told) -> None:
    bundle = told.meter._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"] == "UsageMeter: run this cell to see here what is used."


def test_hostile_names_travel_as_plain_text(store: UsageStore) -> None:
    store.add(row(1, session=HOSTILE, usage=MEASURED))
    (shown,) = live.state(store, {})["rows"]
    assert shown["name"] == HOSTILE


def test_the_version_of_a_file_changes_with_every_commit_of_another(store: UsageStore, tmp_path: Path) -> None:
    store.add(row(1, usage=MEASURED))
    before = store.version()
    assert store.version() == before
    with closing(sqlite3.connect(tmp_path / "usage.sqlite")) as other, other:
        other.execute("CREATE TABLE x (y INTEGER)")
    assert store.version() != before
    assert store.written == 1
