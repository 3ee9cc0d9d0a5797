"""The store in one process: what goes in comes out, and what cannot be written waits."""

import os
import sqlite3
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.exceptions import StoreError
from chatkit.ledger import database, rows, schema
from chatkit.ledger.record import NOTHING, Usage, UsageRecord, total
from chatkit.ledger.store import UsageStore, default_store

USAGE = Usage(10, 5, 4, 3, 2.5, Decimal("0.000012345678"), "measured")
RECORD = UsageRecord(
    id="0",
    at=datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC),
    session="Lesson 1",
    path="/v1/chat/completions",
    host="api.openai.com",
    model="gpt-4o-mini",
    answered_model="gpt-4o-mini-2024-07-18",
    streamed=True,
    outcome="complete",
    status=200,
    error_code=None,
    attempt=2,
    latency=0.25,
    first_token=0.125,
    usage=USAGE,
    price_table="genai-prices 0.2.3",
    price_date="2026-11-23",
    user="Ada",
    lesson="3",
    exercise="b",
    details='{"input_audio_tokens": 2}',
    at_most=Decimal("0.01"),
)
BARE = replace(
    RECORD, id="1", session="Lesson 2", model=None, answered_model=None, streamed=False, outcome="error", status=None,
    error_code="ConnectError", first_token=None, usage=Usage(), price_table=None, price_date=None, details=None, at_most=None,
)  # fmt: skip

VERSIONS = [(number,) for number in range(1, len(schema.MIGRATIONS) + 1)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


@pytest.fixture
def store(file: Path) -> Iterator[UsageStore]:
    store = UsageStore(file)
    yield store
    store.close()


def numbered(number: int, **change: object) -> UsageRecord:
    return replace(RECORD, id=f"n{number}", **change)


def test_what_goes_in_comes_out(store: UsageStore) -> None:
    assert store.add(RECORD) is True
    assert store.add(BARE) is True
    assert store.records() == [RECORD, BARE]
    assert store.sessions() == ["Lesson 1", "Lesson 2"]


def test_a_row_that_is_sent_twice_is_there_once(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    UsageStore(file).add(replace(RECORD, latency=9.0))
    assert store.records() == [RECORD]


def test_the_file_keeps_the_rows(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    store.close()
    assert UsageStore(file).records() == [RECORD]
    store.add(BARE)
    assert len(store.records()) == 2


def test_filters(store: UsageStore) -> None:
    later = replace(RECORD, id="2", at=RECORD.at + timedelta(hours=1), model="other")
    for record in (RECORD, BARE, later):
        store.add(record)
    assert store.records(session="Lesson 2") == [BARE]
    assert store.records(model="other") == [later]
    assert store.records(model="gpt-4o-mini-2024-07-18") == [RECORD, later]
    east = (RECORD.at + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=9)))
    assert store.records(since=east) == [later]
    assert store.records(since=RECORD.at, session="Lesson 1", model="gpt-4o-mini") == [RECORD]


USAGES = st.builds(
    Usage,
    prompt_tokens=st.none() | st.integers(0, 10**6),
    cached_tokens=st.none() | st.integers(0, 10**6),
    audio_seconds=st.none() | st.integers(0, 999).map(float),
    cost=st.none() | st.integers(0, 10**15).map(lambda n: Decimal(n).scaleb(-12)),
    known=st.sampled_from(("measured", "estimated", "unknown")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(USAGES, max_size=12))
def test_the_databases_sum_is_the_sum(sums: UsageStore, usages: list[Usage]) -> None:
    name = uuid4().hex
    records = [replace(RECORD, id=uuid4().hex, session=name, usage=usage) for usage in usages]
    for record in records:
        sums.add(record)
    assert sums.total(session=name) == total(records)
    assert sums.records(session=name) == records


def test_no_rows_sum_up_to_nothing(store: UsageStore) -> None:
    assert store.total() == NOTHING


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> UsageStore:
    return UsageStore(tmp_path_factory.mktemp("sums") / "usage.sqlite")


def test_money_is_exact(store: UsageStore) -> None:
    for number in range(1000):
        store.add(numbered(number, usage=Usage(cost=Decimal("0.000000000001"), known="measured")))
    assert store.total().cost == Decimal("0.000000001")


HOSTILE = [
    "'; DROP TABLE chatkit_calls; --",
    'a"b',
    "nul\0l",
    "lone \ud800",
    "=HYPERLINK(1)",
    "é日🙂",
    "x" * 10_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:9]))
def test_hostile_text_is_stored_in_every_column(store: UsageStore, text: str) -> None:
    names = (
        "session",
        "path",
        "host",
        "model",
        "answered_model",
        "error_code",
        "price_table",
        "user",
        "lesson",
        "exercise",
        "details",
    )
    assert store.add(replace(RECORD, **dict.fromkeys(names, text))) is True
    (record,) = store.records(session=rows.text(text))
    shown = text.replace("\0", "\\x00").replace("\ud800", "\\ud800")
    assert {getattr(record, name) for name in names} == {shown}


def test_numbers_beyond_a_column_do_not_stop_the_store(store: UsageStore) -> None:
    assert store.add(numbered(1, usage=Usage(10**30, -(10**30), cost=Decimal(10**20)))) is True
    assert store.add(numbered(2)) is True


def test_the_order_is_that_of_writing_whatever_the_clock_says(store: UsageStore) -> None:
    for number in range(5):
        store.add(numbered(number, at=RECORD.at - timedelta(days=number)))
    assert [record.id for record in store.records()] == ["n0", "n1", "n2", "n3", "n4"]


def test_threads_share_a_store(store: UsageStore) -> None:
    def write(thread: int) -> None:
        for number in range(50):
            assert store.add(numbered(100 * thread + number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.total().calls == 400
    assert store.waiting == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_file_and_its_companions_are_for_the_owner_only(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {"usage.sqlite": 0o600, "usage.sqlite-wal": 0o600, "usage.sqlite-shm": 0o600}


def test_the_database_is_set_up_as_it_should(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT version FROM chatkit_schema").fetchall() == VERSIONS


def test_there_is_no_wal_on_a_network_file_system(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkit.ledger.database.on_network", lambda _: True)
    with pytest.warns(UserWarning, match="network file system.*CHATKIT_DB"):
        assert UsageStore(file).add(RECORD)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_locked_file_makes_rows_wait_and_they_are_written_later(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    with closing(sqlite3.connect(file, isolation_level=None)) as other, warnings.catch_warnings():
        warnings.simplefilter("error")
        other.execute("BEGIN IMMEDIATE")
        assert store.add(BARE, patience=0) is False
        assert store.waiting == 1
        assert isinstance(store.fault, StoreError)
        other.execute("ROLLBACK")
        store.flush()
    assert store.records() == [RECORD, BARE]
    assert (store.waiting, store.fault) == (0, None)


def test_a_thread_writes_what_the_caller_could_not(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.add(BARE, patience=0)
        (relief,) = [thread for thread in threading.enumerate() if thread.name == "chatkit-store"]
        other.execute("ROLLBACK")
    relief.join(20)
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT count(*) FROM chatkit_calls").fetchone() == (2,)


def test_a_file_that_is_locked_before_it_is_opened_makes_rows_wait_too(store: UsageStore, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert store.add(RECORD, patience=0) is False
        other.execute("ROLLBACK")
        store.flush()
    assert store.records() == [RECORD]


def test_a_folder_that_cannot_be_made_is_told_once_and_rows_wait(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = UsageStore(tmp_path / "file" / "usage.sqlite")
    with pytest.warns(UserWarning, match="cannot be used.*CHATKIT_DB.*kept in memory") as told:
        assert [store.add(numbered(number)) for number in range(3)] == [False] * 3
    assert len(told) == 1
    with pytest.raises(StoreError, match="cannot be used"):
        store.flush()
    (tmp_path / "file").unlink()
    assert store.add(numbered(3)) is True
    assert [record.id for record in store.records()] == ["n0", "n1", "n2", "n3"]


def test_no_more_rows_wait_than_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkit.ledger.store.ROOM", 10)
    (tmp_path / "file").write_text("in the way")
    store = UsageStore(tmp_path / "file" / "usage.sqlite")
    with pytest.warns(UserWarning, match="kept in memory"):
        assert not any(store.add(numbered(number)) for number in range(25))
    assert store.waiting == 10
    (tmp_path / "file").unlink()
    with pytest.warns(UserWarning, match="15 usage rows could not be written"):
        store._finish()


@pytest.mark.parametrize("content", [b"this is a shopping list", b"SQLite format 3\0 and then no more", b"\0" * 5000])
def test_a_file_that_is_no_database_is_set_aside(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    store = UsageStore(file)
    with pytest.warns(UserWarning, match="is no usage store"):
        assert store.add(RECORD) is True
    (aside,) = file.parent.glob("usage.sqlite.aside-*")
    assert aside.read_bytes() == content
    assert UsageStore(file).records() == [RECORD]


def test_a_database_whose_table_is_another_is_set_aside(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.executescript(
            "CREATE TABLE chatkit_schema (version INTEGER, at TEXT); INSERT INTO chatkit_schema VALUES (1, '');"
            "CREATE TABLE chatkit_calls (id TEXT, secret TEXT);"
        )
    with pytest.warns(UserWarning, match="it lacks answered_model, at, attempt"):
        assert UsageStore(file).add(RECORD) is True
    assert len(list(file.parent.glob("usage.sqlite.aside-*"))) == 1


def test_a_database_of_another_program_keeps_its_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.executescript("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('cake');")
    store = UsageStore(file)
    assert store.add(RECORD)
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT name FROM recipes").fetchall() == [("cake",)]


def test_a_file_that_is_damaged_while_open_is_set_aside(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="is no usage store"):
        assert store.add(BARE) is True
    assert store.records() == [BARE]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file in its place")
def test_a_file_that_is_removed_while_open_is_made_anew(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    file.rename(file.with_name("moved.sqlite"))
    assert store.add(BARE) is True
    assert store.records() == UsageStore(file).records() == [BARE]


def test_a_newer_schema_is_read_and_not_written(store: UsageStore, file: Path) -> None:
    store.add(RECORD)
    store.close()
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("INSERT INTO chatkit_schema VALUES (99, 'tomorrow')")
        newer.execute("ALTER TABLE chatkit_calls ADD COLUMN mood TEXT")
        newer.commit()
    old = UsageStore(file)
    assert old.records() == [RECORD]
    with pytest.warns(
        UserWarning, match=rf"schema version 99; this chatkit knows up to {len(VERSIONS)}.*Update chatkit"
    ):
        assert old.add(BARE) is False
    with pytest.raises(StoreError, match="schema version 99"):
        old.flush()
    assert old.records() == [RECORD]


def test_a_migration_that_is_added_later_runs_once_on_an_old_store(
    store: UsageStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(RECORD)
    store.close()
    monkeypatch.setattr(database, "MIGRATIONS", (*schema.MIGRATIONS, ("ALTER TABLE chatkit_calls ADD mood TEXT",)))
    for _ in range(2):
        UsageStore(file).add(BARE)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version FROM chatkit_schema").fetchall() == [*VERSIONS, (len(VERSIONS) + 1,)]
        assert connection.execute("SELECT id, mood FROM chatkit_calls").fetchall() == [("0", None), ("1", None)]


def test_the_insert_and_the_table_compile_for_postgresql() -> None:
    dialect = sa.dialects.registry.load("postgresql.psycopg")()
    insert, named = database._insert(dialect)
    assert insert.startswith("INSERT INTO chatkit_calls (id, at, session,")
    assert insert.endswith("ON CONFLICT (id) DO NOTHING")
    assert named
    assert "%(cost_pico)s" in insert
    assert set(schema.PIECES) == {"sqlite", "postgresql"}


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # importing it raises, as where it is not installed
    store = UsageStore("postgresql+psycopg://ada:topsecret@127.0.0.1:1/usage")
    with pytest.raises(StoreError, match=r"127.0.0.1:1/usage needs a driver.*pip install") as raised:
        store.records()
    assert "topsecret" not in str(raised.value) + repr(store)


def test_a_server_is_written_to_by_a_thread_and_a_caller_waits_for_it_only_if_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    written: list[tuple[str, object]] = []
    may = threading.Event()

    class Server:
        gone = False

        def insert(self, rows: list[tuple[object, ...]], _: float) -> None:
            may.wait(20)
            written.extend((threading.current_thread().name, row[0]) for row in rows)

    monkeypatch.setattr("chatkit.ledger.database.open_database", lambda *_: Server())
    store = UsageStore("postgresql+psycopg://ada@127.0.0.1/usage")
    assert store.add(RECORD, patience=0.05) is False
    may.set()
    assert store.add(BARE) is True
    store.flush()
    assert written == [("chatkit-post", RECORD.id), ("chatkit-post", BARE.id)]
    store.close()


def test_another_database_is_refused() -> None:
    with pytest.raises(StoreError, match="Use SQLite or PostgreSQL"):
        database._insert(sa.dialects.registry.load("mysql.pymysql")())


def test_the_default_store_is_one_for_the_process() -> None:
    assert default_store() is default_store()
    assert repr(default_store()) == f"UsageStore({os.environ['CHATKIT_DB']!r})"


def test_a_row_added_amid_a_write_of_the_same_thread_goes_with_it(
    store: UsageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(RECORD)
    insert, seen = database.Database.insert, []

    def collector_strikes(self: database.Database, rows: list[tuple[object, ...]], patience: float) -> None:
        if not seen:
            seen.append(store.add(BARE))
        insert(self, rows, patience)

    monkeypatch.setattr(database.Database, "insert", collector_strikes)
    assert store.add(numbered(2)) is True
    assert seen == [False]
    assert [record.id for record in store.records()] == ["0", "n2", "1"]
