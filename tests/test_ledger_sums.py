"""Sums and series of the store: whatever the scope and the grouping, they are those of its rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ledger_store import RECORD

from chatkit.ledger import queries, rollup
from chatkit.ledger.record import NOTHING, Usage, UsageRecord, total
from chatkit.ledger.schema import FIRST, MIGRATIONS, statement
from chatkit.ledger.store import UsageStore

START = datetime.fromisoformat("2026-11-23T09:00:00+00:00")
PLAIN = replace(RECORD, at_most=None, details=None)


def numbered(number: int, **change: Any) -> UsageRecord:
    return replace(PLAIN, id=f"n{number}", **change)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    yield store
    store.close()


RECORDS = st.builds(
    replace,
    st.just(PLAIN),
    session=st.sampled_from(["one", "two", "$x$"]),
    model=st.sampled_from([None, "m", "n"]),
    answered_model=st.sampled_from([None, "m", "n-2026"]),
    user=st.sampled_from(["", "Ada"]),
    at=st.integers(0, 4 * 3600 * 10**6).map(lambda us: START + timedelta(microseconds=us)),
    outcome=st.sampled_from(["complete", "error"]),
    usage=st.builds(
        Usage,
        prompt_tokens=st.none() | st.integers(0, 1000),
        completion_tokens=st.none() | st.integers(0, 1000),
        cost=st.none() | st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-12)),
        known=st.sampled_from(["measured", "estimated", "unknown"]),
    ),
)
EDGES = st.none() | st.integers(0, 16).map(lambda q: START + timedelta(minutes=15 * q)) | st.integers(
    0, 4 * 3600
).map(lambda seconds: START + timedelta(seconds=seconds))  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(records=st.lists(RECORDS, max_size=12), since=EDGES, until=EDGES, model=st.sampled_from([None, "m"]))
def test_the_sums_of_any_scope_are_those_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, records: list[UsageRecord], since: Any, until: Any, model: str | None
) -> None:
    store = UsageStore(tmp_path_factory.mktemp("sums") / "usage.sqlite")
    rows = [replace(record, id=str(number)) for number, record in enumerate(records)]
    for row in rows:
        store.add(row)
    chosen = [
        row
        for row in rows
        if (since is None or row.at >= since)
        and (until is None or row.at < until)
        and (model is None or model in (row.model, row.answered_model))
    ]
    scope: Any = {"since": since, "until": until, "model": model}
    assert store.records(**scope) == chosen
    assert store.total(**scope) == total(chosen)
    for by, key in (
        ("session", lambda row: row.session),
        ("model", lambda row: row.answered_model or row.model or ""),
        ("user", lambda row: row.user),
    ):
        lines = store.lines(by, **scope)
        assert [line.key[0] for line in lines] == list(dict.fromkeys(key(row) for row in chosen))
        for line in lines:
            mine = [row for row in chosen if key(row) == line.key[0]]
            assert line.usage == total(mine)
            assert line.estimated == sum((r.usage for r in mine if r.usage.known == "estimated"), NOTHING)
            assert line.failed == sum(row.outcome == "error" for row in mine)
            assert (line.first, line.last) == (min(row.at for row in mine), max(row.at for row in mine))
    store.close()


def test_a_row_that_is_sent_twice_is_summed_once(store: UsageStore, tmp_path: Path) -> None:
    store.add(numbered(1))
    UsageStore(tmp_path / "usage.sqlite").add(numbered(1))
    assert store.total().calls == 1


def test_a_price_that_changes_changes_the_sums(store: UsageStore, tmp_path: Path) -> None:
    for number, cost in enumerate((None, Decimal("0.5"))):
        store.add(numbered(number, usage=Usage(1, 1, cost=cost, known="measured")))
    with closing(sqlite3.connect(tmp_path / "usage.sqlite")) as other, other:
        other.execute("UPDATE chatkit_calls SET cost_pico = 250000000000")
    assert store.total() == Usage(2, 2, cost=Decimal("0.5"), known="measured", calls=2)


def test_an_old_file_gets_its_sums_when_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "usage.sqlite"
    with closing(sqlite3.connect(file)) as old, old:
        old.execute("CREATE TABLE chatkit_schema (version INTEGER PRIMARY KEY, at TEXT NOT NULL)")
        old.execute("INSERT INTO chatkit_schema VALUES (1, '')")
        for text in MIGRATIONS[0]:
            old.execute(statement(text, "sqlite"))
        row = ("a", "2026-11-23T09:07:00.000000Z", "Lesson 1", "/v1/chat/completions", "api.openai.com", "m", None, 0,
               "complete", 200, None, 1, 0.5, None, 10, 5, None, None, None, 3_000_000, "measured", None, None)  # fmt: skip
        old.execute(f"INSERT INTO chatkit_calls ({', '.join(FIRST)}) VALUES ({', '.join('?' * len(FIRST))})", row)
    store = UsageStore(file)
    assert store.lines("session")[0].usage == Usage(10, 5, cost=Decimal("0.000003"), known="measured")
    (record,) = store.records()
    assert (record.id, record.user, record.lesson, record.details, record.at_most) == ("a", "", "", None, None)
    store.close()


def test_sums_made_anew_are_the_sums_that_were_kept(store: UsageStore, tmp_path: Path) -> None:
    for number in range(40):
        usage = Usage(number, 1, cost=Decimal(number).scaleb(-6) if number % 3 else None, known="measured")
        store.add(numbered(number, at=START + timedelta(minutes=4 * number), session=f"s{number % 2}", usage=usage))
    with closing(sqlite3.connect(tmp_path / "usage.sqlite")) as other, other:
        kept = other.execute("SELECT * FROM chatkit_rollup ORDER BY 1, 10").fetchall()
        other.execute("DELETE FROM chatkit_rollup")
        other.execute(rollup.fill("sqlite"))
        assert other.execute("SELECT * FROM chatkit_rollup ORDER BY 1, 10").fetchall() == kept
    assert len(kept) > 20


def test_few_calls_are_moments_of_their_own_in_the_order_of_time(store: UsageStore) -> None:
    later, earlier = START + timedelta(minutes=1), START
    store.add(numbered(1, at=later, usage=Usage(3, 4, cost=Decimal(1), known="estimated")))
    store.add(numbered(2, at=earlier, usage=Usage()))
    assert store.moments() == [
        queries.Moment(earlier, 0, 0, Decimal(0), 1, 1, 1),
        queries.Moment(later, 7, 7, Decimal(1), 1, 0, 0),
    ]


def test_many_calls_are_moments_by_the_quarter(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "FEW", 3)
    for number in range(6):
        usage = Usage(1, 1, cost=Decimal(1) if number else None, known="measured")
        store.add(numbered(number, at=START + timedelta(minutes=5 * number), usage=usage))
    assert store.moments() == [
        queries.Moment(START + timedelta(minutes=10), 6, 0, Decimal(2), 3, 0, 1),
        queries.Moment(START + timedelta(minutes=25), 6, 0, Decimal(3), 3, 0, 0),
    ]


def test_turns_are_in_the_order_of_writing_and_leave_out_what_was_no_turn(store: UsageStore) -> None:
    store.add(numbered(1, at=START, usage=Usage(10, 5, 4, known="measured")))
    store.add(numbered(2, at=START, usage=Usage(audio_seconds=9.0, known="measured")))
    store.add(numbered(3, at=START - timedelta(hours=1), usage=Usage(20, 6, known="estimated")))
    assert store.turns(session="Lesson 1") == [
        queries.TurnUsage(1, 10, 4, 5, False),
        queries.TurnUsage(2, 20, 0, 6, True),
    ]


def test_of_many_turns_the_largest_of_neighbours_is_a_point(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "TURNS", 2)
    for number in range(1, 6):
        store.add(numbered(number, usage=Usage(number, 1, known="measured")))
    assert [(turn.number, turn.prompt_tokens) for turn in store.turns()] == [(3, 3), (5, 5)]


def test_waits_are_counted_and_those_of_failed_calls_are_not(store: UsageStore) -> None:
    for number, (latency, first) in enumerate([(0.5, 0.25), (0.5, None), (12.34, 0.25)]):
        store.add(numbered(number, latency=latency, first_token=first))
    store.add(numbered(9, latency=30.0, outcome="error"))
    assert store.spread() == queries.Spread([(0.5, 2), (12.3, 1)], [(0.25, 2)])


def test_waits_of_very_many_calls_are_those_of_a_sample(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MANY", 10)
    monkeypatch.setattr(queries, "SAMPLE", 5)
    for number in range(20):
        store.add(numbered(number, latency=float(number), first_token=None))
    assert store.spread() == queries.Spread([(0, 1), (4, 1), (8, 1), (12, 1), (16, 1)], [], every=4)
