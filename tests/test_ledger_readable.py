"""One bad row: it is told and in no sum, and everything else goes on; in a file, on a server, in what is handed on."""

import json
import math
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import postgres
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres import Cluster

import chatkit
from chatkit import __main__ as command
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import export, queries, readable, repricing, rollup
from chatkit.ledger.readable import Unread, faults
from chatkit.ledger.record import Usage, UsageRecord, total
from chatkit.ledger.rollup import PROBE
from chatkit.ledger.rows import NAMES, to_row
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.rules import Limit
from chatkit.ledger.schema import UNREADABLE, UNSOUND_KEYS, UNSOUND_SUMS, statement, worded
from chatkit.ledger.store import UsageStore
from chatkit.reports import live
from chatkit.reports.class_report import ClassReport

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

AT = datetime(2026, 11, 27, 5, 3, 20, tzinfo=UTC)
GOOD = UsageRecord(
    "0", AT, "s", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", None, False, "complete", 200, None, 1, 0.25,
    0.125, Usage(1000, 100, 10, 1, 2.5, Decimal("0.1"), "measured"), "genai-prices", "2026-11-23", "ada", "1", "a",
)  # fmt: skip
MOMENT = "2026-11-27T05:03:20.000000Z"
MONTHS = ["9999-99-99T99:99:99.000000Z", "2026-02-29T05:03:20.000000Z", "2026-04-31T05:03:20.000000Z",
          "2100-02-29T05:03:20.000000Z", "2026-13-01T05:03:20.000000Z", "2026-11-27T24:00:00.000000Z",
          "2026-11-27T05:60:20.000000Z", "2026-11-27T05:03:60.000000Z"]  # fmt: skip
TIMES = [*MONTHS, "", "now", "zzzz", "2026-11-27", "2026-11-27T05:03:20Z", "2026-11-27T05:03:20.000000+00:00", f"{MOMENT} ",
         "0000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z",
         "2026-11-27 05:03:20.000000Z", f"{MOMENT}\0x", f"{MOMENT}.\0x", "subsec", "２026-11-27T05:03:20.000000Z"]  # fmt: skip
WHOLE = [-1, -(10**15), -(2**63), 2**63 - 1, 10**17]
NUMBERS = [math.inf, -math.inf, -1e308, 1e308, -0.5, 1e9]
STRANGE = [b"\x00\xff", "many", b""]
"""What SQLite keeps in a column of any type."""
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
BAD: list[tuple[str, object]] = [
    *(("at", value) for value in (*TIMES, b"2026-11-27T05:03:20.000000Z", 5)),
    *((name, value) for name in (*TOKENS, "cost_pico", "at_most_pico") for value in (*WHOLE, 1.5, math.inf, *STRANGE)),
    *((name, value) for name in ("latency", "first_token", "audio_seconds") for value in (*NUMBERS, *STRANGE)),
    *((name, value) for name in ("attempt", "streamed", "status") for value in (-1, 2**63 - 1, 1.5, *STRANGE)),
    *((name, value) for name in ("outcome", "known") for value in ("<b>", "", "weird", 5, b"complete")),
    *((name, b"\xff\x00") for name in (*readable.TEXTS, "model", "answered_model", "error_code", "details")),
]  # fmt: skip


def spoil(file: Path, id: str, column: str, value: object) -> None:
    """Add a row as good as the others but for one value, behind the store's back."""
    row = dict(zip(NAMES, to_row(replace(GOOD, id=id)), strict=True)) | {column: value}
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            f"INSERT INTO chatkit_calls ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", (*row.values(),)
        )


def numbered(number: int, **change: object) -> UsageRecord:
    return replace(GOOD, id=f"n{number}", at=AT + timedelta(minutes=7 * number), **change)


RECORDS = [numbered(0), numbered(1), numbered(2, session="t"), numbered(3, usage=Usage(5, 1, known="estimated"))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


@pytest.fixture
def store(file: Path) -> Iterator[UsageStore]:
    made = UsageStore(file)
    made.add_all(RECORDS)
    yield made
    made.close()


def told(store: UsageStore) -> str:
    """Ask every reader; what the table of all calls says last."""
    report = chatkit.usage(None, store=store)
    assert report.total == total(RECORDS)
    for by in ("session", "model", "day", "hour", "endpoint", "user", "lesson", "exercise"):
        summary = report.summary(by)
        assert sum(line.usage.calls for line in summary) == len(RECORDS)
        assert "could not be read" in repr(summary)
        assert "could not be read" in summary._repr_html_()
    with pytest.warns(UserWarning, match="could not be read"):
        assert report.records() == RECORDS
    lines = (report.to_csv() or "").splitlines()
    assert len(lines) == 1 + len(RECORDS) + 1
    assert "could not be read: " in lines[-1]
    assert "could not be read" in repr(chatkit.sessions(store=store))
    assert chatkit.sessions(store=store).names == ["s", "t"]
    course = ClassReport(store=store)
    assert (course.total, course.students) == (total(RECORDS), ("ada",))
    assert "could not be read" in repr(course) + (course.to_csv() or "")
    assert any("could not be read" in note for note in live.state(store, {})["notes"])
    assert [one.cost for one in store.moments()] == [record.usage.cost or 0 for record in RECORDS]
    assert len(store.turns()) == len(store.latest(9)) == len(RECORDS)
    assert sum(calls for _, calls in store.spread().latencies) == len(RECORDS)
    assert store.total(since=AT, until=AT + timedelta(minutes=10)) == total(RECORDS[:2])
    assert store.total(since=AT + timedelta(minutes=1)) == total(RECORDS[1:])
    return repr(report)


@pytest.mark.parametrize(("column", "value"), BAD, ids=lambda value: ascii(value)[:30])
def test_one_bad_row_of_a_file_is_told_and_the_rest_goes_on(
    store: UsageStore, file: Path, column: str, value: object
) -> None:
    spoil(file, "bad", column, value)
    words = told(store)
    assert "1 row could not be read: " in words
    assert f"{column} cannot be " in words


KINDS = ("tokens", "cost", "models", "time", "tokens over time", "cost over time", "latency", "context", "audio")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_tells_what_it_does_not_draw(store: UsageStore, file: Path, kind: str) -> None:
    spoil(file, "bad", "at", MONTHS[0])
    spoil(file, "worse", "latency", -1e308)
    figures = [chatkit.usage(None, store=store).plot(kind)]
    if kind in ("tokens", "cost", "audio"):
        figures.append(ClassReport(store=store).plot(kind))
    for figure in figures:
        assert "2 rows could not be read, not drawn" in figure.axes[-1].get_xlabel()
        figure.savefig(file.with_suffix(".png"))
    good = chatkit.usage("t", store=store).plot(kind)
    assert all("could not be read" not in axes.get_xlabel() for axes in good.axes)


def test_many_bad_rows_are_counted_and_the_first_are_named(store: UsageStore, file: Path) -> None:
    for number in range(30):
        spoil(file, f"bad{number}", "cost_pico", -5)
    report = chatkit.usage(None, store=store)
    assert report.total == total(RECORDS)
    assert "30 rows could not be read: bad0 (cost_pico cannot be -5); " in repr(report)
    assert "; and 27 more. In no sum." in repr(report)
    lines = (report.to_csv() or "").splitlines()
    assert len(lines) == 1 + len(RECORDS) + readable.LISTED + 1
    assert "could not be read: 10 more" in lines[-1]


def test_a_bad_row_of_another_session_or_time_is_not_told(store: UsageStore, file: Path) -> None:
    spoil(file, "bad", "cost_pico", -5)
    spoil(file, "late", "at", "zzzz")
    assert [id for id, _ in store.unread(session="s").rows] == ["bad", "late"]
    assert store.unread(session="t") == Unread()
    assert [id for id, _ in store.unread(since=AT + timedelta(days=1)).rows] == ["late"], "whose time nobody knows"


def test_invalid_utf_8_is_written_out(store: UsageStore, file: Path) -> None:
    for column in ("session", "model", "host", "error_code", "details", "caller"):
        spoil(file, f"bad {column}", column, "?")
        with closing(sqlite3.connect(file)) as other, other:
            other.execute(
                f"UPDATE chatkit_calls SET {column} = CAST(x'41ff42' AS TEXT) WHERE id = ?", (f"bad {column}",)
            )
            other.execute("DELETE FROM chatkit_rollup")
            other.execute(rollup.fill("sqlite"))
    assert {record.session for record in store.records()} == {"s", "t", "A\\xffB"}
    report = chatkit.usage(None, store=store)
    assert (report.total.calls, report.unread) == (len(RECORDS) + 6, Unread())
    assert "A\\xffB" in repr(report) + (report.to_csv() or "")
    repricing.reprice(store=store)


SPOILT: list[tuple[str, object]] = [
    ("latency", math.inf),
    ("cost_pico", "x"),
    ("prompt_tokens", -1e300),
    ("calls", 2.0**63),
    ("audio_seconds", b""),
    ("first_at", "zzzz"),
    ("first_at", "2026-11-27T04:59:59.999999Z"),
    ("first_at", "2026-11-27T05:04:00.00000xZ"),
    ("first_at", MOMENT.encode()),
    ("first_at", f"{MOMENT}{MOMENT}\0"),
    ("last_at", "2026-11-27T05:03:99.000000Z"),
    ("last_at", "2026-11-27T06:00:00.000000Z"),
    ("last_at", "2026-11-27T05:14:00.000000+00:00"),
    ("last_at", "2026-11-27T05:14:00.000000Z\0x"),
    ("last_at", "2026-11-27T05:14:00.0+00:00"),
    ("host", b"api"),
    ("known", "?"),
    ("last_seq", b""),
]


@pytest.mark.parametrize(("column", "value"), SPOILT, ids=lambda value: ascii(value)[:40])
def test_sums_that_a_row_has_spoilt_which_is_gone_are_those_of_the_rows(
    store: UsageStore, file: Path, column: str, value: object
) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE chatkit_rollup SET {column} = ? WHERE session = 's' AND known = 'measured'", (value,))
    assert store.total() == total(RECORDS)
    assert [line.latency for line in store.lines("session")] == [0.75, 0.25]
    assert not store.unread()


CHANGES = [
    "UPDATE chatkit_calls SET at = 'zzzz-11-27T05:30:00.000000Z' WHERE id = 'n0'",
    "UPDATE chatkit_calls SET at = '2026-11-28T05:30:00.000000Z' WHERE id = 'n0'",
    "UPDATE chatkit_calls SET session = 'moved' WHERE id = 'n0'",
    "UPDATE chatkit_calls SET known = 'weird' WHERE id = 'n0'",
    "UPDATE chatkit_calls SET latency = -1, model = 'other' WHERE id = 'n0'",
    "UPDATE chatkit_calls SET prompt_tokens = 7, outcome = 'error' WHERE session = 's'",
    "UPDATE chatkit_calls SET cost_pico = -5 WHERE id = 'n0'",
    "DELETE FROM chatkit_calls WHERE id = 'n0'",
]


def agree(store: UsageStore) -> None:
    """Hold that the sums are those of the rows that can be read, and go on to be when more come."""
    for number in (0, 1):
        store.add(replace(GOOD, id=f"later{number}"))
        records = store.records()
        assert store.total() == total(records)
        assert sum(line.failed for line in store.lines("model")) == sum(one.outcome == "error" for one in records)
        assert {key: line.usage.calls for (key,), line in ((line.key, line) for line in store.lines("session"))} == {
            name: sum(one.session == name for one in records) for name in {one.session for one in records}
        }


@pytest.mark.parametrize("change", CHANGES)
def test_a_call_that_is_changed_or_deleted_after_it_was_summed_is_in_the_sums_as_it_is_now(
    store: UsageStore, file: Path, change: str
) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(change)
    agree(store)


def test_indexes_tell_at_once_that_there_are_no_bad_rows_also_in_a_store_of_an_older_version(
    store: UsageStore, file: Path
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        for name in (UNREADABLE, UNSOUND_KEYS, UNSOUND_SUMS):
            other.execute(f"DROP INDEX {name}")
        for name in ("changed", "gone"):
            other.execute(f"DROP TRIGGER chatkit_{name}")
        other.execute("CREATE INDEX chatkit_rollup_keys ON chatkit_rollup (first_seq)")
    UsageStore(file).open()
    with closing(sqlite3.connect(file)) as other:
        plan = [row[-1] for row in other.execute(f"EXPLAIN QUERY PLAN {statement(PROBE, 'sqlite')}")]
        kept = {name for (name,) in other.execute("SELECT name FROM sqlite_master")}
        other.execute(CHANGES[0])
        other.commit()
    assert [step.split()[-1] for step in plan if " chatkit_" in step] == [UNREADABLE, UNSOUND_KEYS, UNSOUND_SUMS]
    assert "chatkit_rollup_keys" not in kept, "what it was called once is gone, and costs no row anything"
    agree(store)


VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-2, 10**13), st.floats(), st.text(), st.binary(),
    st.sampled_from([*TIMES, MOMENT, "complete", "measured", "2096-02-29T23:59:59.999999Z"]),
    st.datetimes(datetime(1950, 1, 1), datetime(2250, 1, 1)).map(lambda at: at.isoformat(timespec="microseconds") + "Z"),
)  # fmt: skip


@pytest.fixture(scope="module")
def loose() -> Iterator[sqlite3.Connection]:
    """A table that keeps everything as it is."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
        connection.execute(f"CREATE TABLE chatkit_calls ({', '.join(NAMES)})")
        yield connection


@given(column=st.sampled_from(NAMES), value=VALUES)
def test_python_and_sqlite_have_one_rule(loose: sqlite3.Connection, column: str, value: object) -> None:
    row = dict(zip(NAMES, to_row(GOOD), strict=True)) | {column: value}
    loose.execute("DELETE FROM chatkit_calls")
    try:
        loose.execute(f"INSERT INTO chatkit_calls VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    except UnicodeEncodeError:
        return  # no database keeps half a character
    found = loose.execute("SELECT * FROM chatkit_calls").fetchone()
    [(sound,)] = loose.execute(f"SELECT {readable.readable('sqlite')} FROM chatkit_calls")
    assert bool(sound) == (not faults(dict(zip(NAMES, found, strict=True))))


def test_what_the_meter_writes_can_be_read(store: UsageStore) -> None:
    hostile = Usage(10**15, -1, 2**70, 10**13, math.nan, Decimal(10**20), "measured")
    store.add(replace(GOOD, id="far", usage=hostile, at_most=Decimal(-1)))
    assert store.unread() == Unread()
    assert store.records()[-1].usage == Usage(known="measured")


ROW = dict(zip(NAMES, to_row(replace(GOOD, id="x")), strict=True))


@pytest.mark.parametrize(
    "line",
    [
        *(json.dumps(ROW | {column: value}) for column, value in BAD if not isinstance(value, bytes)),
        *(json.dumps(ROW | {column: True}) for column in ("attempt", "cost_pico", "latency", "session", "id")),
        json.dumps(ROW | {"id": ""}), json.dumps(ROW | {"latency": math.nan}), json.dumps(ROW | {"cost_pico": 2**63}),
        "[1, 2", "{}", "null", "[" * 100_000, "\udcff\udcfe", json.dumps(ROW)[:40], f'{{"id": "x", "attempt": {"9" * 5000}}}',
    ],
    ids=lambda line: ascii(line)[-30:],
)  # fmt: skip
def test_a_bad_line_of_a_file_that_is_handed_on_is_told_and_the_rest_is_taken(
    store: UsageStore, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "ada.jsonl"
    export.export(store, path)
    lines = path.read_text().splitlines()
    path.write_bytes("\n".join([*lines[:3], line, *lines[3:]]).encode("utf-8", "surrogateescape"))
    merged = export.merge(other := UsageStore(tmp_path / "class.sqlite"), [path])
    assert (merged.read, merged.new, merged.unread.count) == (4, 4, 1)
    assert f"{path}, line 4 (" in str(merged.unread)
    assert (other.records(), other.unread()) == (RECORDS, Unread())


def test_the_commands_tell_what_they_leave_out(
    store: UsageStore, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(file, "bad", "at", "zzzz")
    mine, other = str(tmp_path / "ada.jsonl"), str(tmp_path / "class.sqlite")
    assert command.main(["usage", "export", mine, "--store", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == f"4 calls written to {mine}.\n"
    assert err == "1 row could not be read: bad (at cannot be 'zzzz'). Left out.\n"
    with open(mine, "a") as more:
        more.write("[1, 2\n")
    assert command.main(["usage", "merge", mine, "--store", other]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("4 calls read, 4 of them new;")
    assert err == f"1 row could not be read: {mine}, line 6 (it is no row of an export). Left out.\n"


def test_a_file_that_is_no_export_keeps_none_of_the_others_out(store: UsageStore, tmp_path: Path) -> None:
    export.export(store, tmp_path / "ada.jsonl")
    (tmp_path / "list.txt").write_text("milk\n")
    other = UsageStore(tmp_path / "class.sqlite")
    with pytest.raises(InputError, match=r"list.txt is no export.* 4 calls were read, 4 of them new"):
        export.merge(other, [tmp_path / "list.txt", tmp_path / "ada.jsonl"])
    assert other.records() == RECORDS


@pytest.mark.parametrize("details", ["{{{", "[]", "5", '{"service_tier": []}', "[" * 100_000, "NaN", ""])
def test_calls_are_priced_again_but_for_those_whose_details_cannot_be_read(
    store: UsageStore, file: Path, details: str
) -> None:
    spoil(file, "bad", "details", details)
    spoil(file, "worse", "cost_pico", -5)
    done = repricing.reprice(store=store)
    assert done.looked_at == len(RECORDS) + (not details)
    assert done.changed
    assert "worse (cost_pico cannot be -5)" in repr(done)
    assert ("bad (details cannot be " in repr(done)) is bool(details)
    assert store.total().calls == len(RECORDS) + 1


LIMIT = Limit(Decimal("0.5"), "day")
LARGEST = Decimal(2**63 - 1).scaleb(-12)


@pytest.mark.parametrize(
    ("column", "value", "beside", "unbounded"),
    [
        ("cost_pico", -(10**15), None, 1), ("cost_pico", -(2**63), None, 1), ("cost_pico", "much", None, 1),
        ("cost_pico", math.inf, LARGEST, 0), ("cost_pico", 2**63 - 1, LARGEST, 0),
        ("at_most_pico", -1, Decimal("0.1"), 0), ("latency", -1, Decimal("0.1"), 0), ("outcome", "<b>", Decimal("0.1"), 0),
    ],
)  # fmt: skip
def test_no_row_makes_room_in_a_budget(
    file: Path, column: str, value: object, beside: Decimal | None, unbounded: int
) -> None:
    store = UsageStore(file)
    store.add(now := replace(GOOD, id="n", at=datetime.now(UTC)))
    spoil(file, "bad", column, value)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE chatkit_calls SET at = ?", (to_row(now)[1],))
    for limit in (LIMIT, Limit(Decimal("0.5"), "session")):
        gone = rulebook_of(store).spending(limit, "s")
        assert (gone.spent, gone.unbounded) == (Decimal("0.1") + (beside or 0), unbounded)
        assert rulebook_of(store).spending(limit, "t").spent == (gone.spent if limit.per == "day" else 0)


def test_a_row_whose_time_cannot_be_read_is_of_any_day(file: Path) -> None:
    store = UsageStore(file)
    store.open()
    spoil(file, "bad", "at", "0000-11-27T05:03:20.000000Z")
    assert rulebook_of(store).spending(LIMIT, "s").spent == Decimal("0.1")


def test_no_hold_makes_room_in_a_budget(file: Path) -> None:
    store = UsageStore(file)
    store.add(replace(GOOD, id="n", at=datetime.now(UTC)))
    rules = rulebook_of(store)
    assert rules.hold("a", LIMIT, "s", Decimal("0.1"), always=False) is None
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            "INSERT INTO chatkit_holds (id, session, pico, expires) VALUES ('h', 's', ?, '2199')", (-(10**15),)
        )
    assert rules.hold("b", LIMIT, "s", Decimal("0.4"), always=False) is not None, "a negative hold makes no room"
    assert rules.hold("c", LIMIT, "s", Decimal("0.3"), always=False) is None
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE chatkit_holds SET pico = ? WHERE id = 'h'", (math.inf,))
    assert rules.hold("d", LIMIT, "s", Decimal(0), always=False) is not None


@pytest.fixture
def server_store(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[UsageStore, str]]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with server.database(f"d{uuid4().hex}") as name:
        made = UsageStore(server.url(database=name))
        made.add_all(RECORDS)
        yield made, name
        made.close()


FEW = [("at", MONTHS[0]), ("at", MONTHS[1]), ("at", MONTHS[3]), ("at", "zzzz-11-27T05:30:00.000000+00:00"), ("latency", math.nan),
       ("latency", math.inf), ("latency", -1e308), ("first_token", math.nan), ("audio_seconds", math.nan), ("cost_pico", -(10**15)),
       ("cost_pico", 2**63 - 1), ("prompt_tokens", -1000000), ("attempt", -1), ("outcome", "<b>"), ("known", "weird")]  # fmt: skip


@postgres.needed
def test_bad_rows_of_a_server_are_told_and_the_rest_goes_on(
    server: Cluster, server_store: tuple[UsageStore, str]
) -> None:
    store, name = server_store
    where = {"host": "127.0.0.1", "port": server.port, "user": "teacher", "dbname": name}
    for column, value in FEW:
        with psycopg.connect(**where, autocommit=True) as teacher:
            teacher.execute("DELETE FROM chatkit_calls WHERE id = 'bad'")  # which leaves what it did to the sums
            row = ROW | {"id": "bad", column: value}
            teacher.execute(
                f"INSERT INTO chatkit_calls ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                (*row.values(),),
            )
        words = told(store)
        assert f"1 row could not be read: bad ({column} cannot be " in words
        assert rulebook_of(store).spending(Limit(Decimal(1), "session"), "s").spent >= Decimal("0.2")
    assert "bad (known cannot be 'weird')" in repr(repricing.reprice(store=store))


@postgres.needed
@pytest.mark.parametrize("many", [False, True])
def test_python_and_postgresql_have_one_rule(server: Cluster, server_store: tuple[UsageStore, str], many: bool) -> None:
    store, name = server_store
    where = {"host": "127.0.0.1", "port": server.port, "user": "teacher", "dbname": name}
    days = [f"{year}-{day}T23:59:59.999999Z" for year in (1969, 1970, 2000, 2023, 2024, 2099, 2100, 2199, 2200)
            for day in ("02-28", "02-29", "02-30", "04-30", "04-31", "12-31", "12-32", "00-10", "01-00")]  # fmt: skip
    cases: list[tuple[str, object]] = [("at", day) for day in days] if many else []
    if not many:
        cases = [pair for pair in BAD if not isinstance(pair[1], bytes) and "\0" not in str(pair[1])]
    rows = [ROW | {"id": f"bad{number}", column: value} for number, (column, value) in enumerate(cases)]
    kept = []
    with psycopg.connect(**where, autocommit=True) as teacher:
        for row in rows:
            try:
                teacher.execute(
                    f"INSERT INTO chatkit_calls ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                    (*row.values(),),
                )
                kept.append(row)
            except psycopg.Error:
                continue  # the server's own types refuse it
        sound = {
            id for (id,) in teacher.execute(f"SELECT id FROM chatkit_calls WHERE {readable.readable('postgresql')}")
        }
        whole = {row.pop("id"): row for row in map(dict, teacher.cursor(row_factory=psycopg.rows.dict_row).execute(
            f"SELECT {', '.join(NAMES)} FROM chatkit_calls"))}  # fmt: skip
    assert sound == {id for id, row in whole.items() if not faults({"id": id, **row})}
    assert len(kept) > 20
    assert store.total() == total(store.records())


def test_a_server_and_many_rows_use_the_quarters_too(
    store: UsageStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(file, "bad", "cost_pico", -5)
    for few, many in (("FEW", 1), ("TURNS", 1), ("MANY", 2), ("SAMPLE", 2)):
        monkeypatch.setattr(queries, few, many)
    assert sum(one.cost for one in store.moments()) == total(RECORDS).cost
    assert store.turns()
    assert store.spread().latencies


def test_what_cannot_be_read_of_the_rules_refuses(file: Path) -> None:
    store = UsageStore(file)
    store.open()
    rules = rulebook_of(store)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            "INSERT INTO chatkit_prices VALUES ('m', '', 'cheap', '1', '1', '1', ''), ('k', '', '-1', '1', '1', '1', '')"
        )
        other.execute(
            "INSERT INTO chatkit_prices VALUES ('n', '', 'NaN', '1', '1', '1', ''), ('ok', '', '1', '1', '1', '1', '')"
        )
    assert [price.model for price in rules.reread().prices] == ["ok"]
    for amount, per, on in (
        (-1, "day", "stop"),
        ("much", "day", "stop"),
        (1, "week", "stop"),
        (1, "day", "?"),
        (math.inf, "day", "stop"),
    ):
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("DELETE FROM chatkit_budgets")
            other.execute("INSERT INTO chatkit_budgets VALUES ('', ?, ?, ?, '')", (amount, per, on))
        with pytest.raises(StoreError, match="The budget in the usage store cannot be read"):
            rules.reread()


def test_no_bad_rows_no_words(store: UsageStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = chatkit.usage(None, store=store)
        assert report.records() == RECORDS
        assert "could not" not in repr(report) + (report.to_csv() or "") + repr(chatkit.sessions(store=store))
        assert str(Unread()) == ""


def test_a_time_in_a_condition_is_no_parameter() -> None:
    assert worded("SELECT '0:00.000000Z' WHERE session = :session AND at >= :since", "postgresql") == (
        "SELECT '0:00.000000Z' WHERE session = %(session)s AND at >= %(since)s"
    )
    assert "%(0" not in worded(PROBE, "postgresql")
