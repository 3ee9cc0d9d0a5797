"""A class: on a real PostgreSQL with roles of its own, or by files that are handed on."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import postgres
import pytest
from postgres import Cluster

import chatkit
from chatkit import __main__ as command
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import export
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.rules import Limit
from chatkit.ledger.store import UsageStore
from chatkit.reports.class_report import ClassReport

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

RECORD = UsageRecord(
    "0", datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "s", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", None,
    False, "complete", 200, None, 1, 0.25, None, Usage(1000, 100, cost=Decimal("0.1"), known="measured"),
    "genai-prices", "2026-11-23",
)  # fmt: skip


def numbered(number: object, **change: object) -> UsageRecord:
    return replace(RECORD, id=f"n{number}", **change)


@pytest.fixture
def database(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with server.database(f"d{uuid4().hex}") as name:
        assert command.main(["db", "init", server.url(database=name), "--class", "--student", "ada", "--student", "bob",
                             "--instructor", "grace"]) == 0  # fmt: skip
        yield name


def store(server: Cluster, user: str, database: str) -> UsageStore:
    return UsageStore(server.url(user, database))


@postgres.needed
def test_a_student_reads_only_what_is_the_students(server: Cluster, database: str) -> None:
    ada, bob, grace = (store(server, user, database) for user in ("ada", "bob", "grace"))
    ada.add(numbered(1, user="bob", lesson="1"), patience=0)
    bob.add(numbered(2, lesson="1"), patience=0)
    for one in (ada, bob):
        one.flush()
    assert [(record.id, record.user) for record in ada.records()] == [("n1", "ada")], "nobody calls by another's name"
    assert [(record.id, record.user) for record in bob.records()] == [("n2", "bob")]
    assert sorted(record.id for record in grace.records()) == ["n1", "n2"]
    assert [one.total().calls for one in (ada, bob, grace)] == [1, 1, 2]


@postgres.needed
@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE chatkit_calls SET cost_pico = 0",
        "DELETE FROM chatkit_calls",
        "INSERT INTO chatkit_calls (owner, id) VALUES ('bob', 'x')",
        "UPDATE chatkit_rollup SET cost_pico = 0",
        "INSERT INTO chatkit_prices VALUES ('gpt-4o-mini', '', '0', '0', '0', '0', '')",
        "INSERT INTO chatkit_schema VALUES (99, '')",
        "INSERT INTO chatkit_budgets (owner, amount_pico, per, on_end, at) VALUES ('bob', 0, 'day', 'stop', '')",
        "SET ROLE chatkit_instructor",
        "SET ROLE bob",
        "ALTER TABLE chatkit_calls DISABLE ROW LEVEL SECURITY",
        "DROP TABLE chatkit_calls",
        "CREATE TABLE chatkit_more (x INTEGER)",
        "CREATE FUNCTION public.upper(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "COPY chatkit_calls TO PROGRAM 'cat'",
    ],
)
def test_a_student_can_do_nothing_else(server: Cluster, database: str, attack: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        server.sql(attack, "ada", database)
    assert refused.value.sqlstate == "42501"


@postgres.needed
def test_an_instructor_prices_again_and_deletes_nothing(
    server: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, grace = store(server, "ada", database), store(server, "grace", database)
    ada.add(numbered(1), patience=0)
    ada.flush()
    monkeypatch.setattr("chatkit.ledger.store._default", grace)
    chatkit.set_price("gpt-4o-mini", input=1, output=1)
    assert chatkit.reprice().changed == 1
    assert ada.total().cost == Decimal("0.0011")
    assert rulebook_of(ada).reread().prices == chatkit.own_prices(), "the students' meters go by the same prices"
    with pytest.raises(psycopg.Error, match="permission denied"):
        server.sql("DELETE FROM chatkit_calls", "grace", database)
    with pytest.raises(StoreError, match="permission denied"):
        rulebook_of(ada).remove_price("gpt-4o-mini", None)


@postgres.needed
def test_everyone_has_a_budget_of_their_own(server: Cluster, database: str) -> None:
    a, b = (store(server, name, database) for name in ("ada", "bob"))
    ada, bob = rulebook_of(a), rulebook_of(b)
    limit = Limit(Decimal("0.5"), "day")
    ada.set_limit(limit)
    assert (ada.reread().limit, bob.reread().limit) == (limit, None)
    bob.set_limit(limit)
    assert bob.hold("b1", limit, "s", Decimal("0.4"), always=False) is None
    assert ada.hold("a1", limit, "s", Decimal("0.4"), always=False) is None
    a.add(replace(RECORD, id="a1", at=datetime.now(UTC)), patience=0)
    a.flush()
    assert (ada.spending(limit, "s").spent, ada.spending(limit, "s").held) == (Decimal("0.1"), 0)
    assert (bob.spending(limit, "s").spent, bob.spending(limit, "s").held) == (0, Decimal("0.4"))


@postgres.needed
def test_it_can_be_set_up_again(
    server: Cluster, database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "class.txt").write_text("ada\ncarl.b\n")
    words = ["db", "init", server.url(database=database), "--class", "--students", str(tmp_path / "class.txt")]
    capsys.readouterr()
    assert command.main(words) == 0
    out = capsys.readouterr().out.splitlines()
    name, url = out[-1].split("\t")
    assert (name, len(out)) == ("carl.b", 3)
    UsageStore(url).add(numbered(7))
    assert [record.user for record in UsageStore(url).records()] == ["carl.b"]
    assert command.main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("name", ["Ada", "", 'a"b', "pg_x", "chatkit_student", "a b", "x" * 64])
def test_what_is_no_login_is_refused(name: str) -> None:
    from chatkit.ledger import class_roles

    with pytest.raises(InputError, match="cannot be a login"):
        class_roles.add_logins(lambda *_, **__: pytest.fail("ran"), [name], "student")


def test_a_file_has_no_roles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["db", "init", str(tmp_path / "u.sqlite"), "--class"]) == 1
    assert command.main(["db", "init", str(tmp_path / "u.sqlite"), "--student", "ada"]) == 1
    assert "A file has no roles." in capsys.readouterr().err
    assert command.main(["db", "init", str(tmp_path / "u.sqlite")]) == 0


@pytest.fixture
def filled(tmp_path: Path) -> UsageStore:
    store = UsageStore(tmp_path / "usage.sqlite")
    store.add(numbered(1, user="ada", lesson="1", exercise="a"))
    store.add(numbered(2, user="bob", lesson="1", exercise="a"))
    store.add(numbered(3, user="ada", lesson="2", usage=Usage()))
    store.add(numbered(4, user="ada", lesson="2", exercise="b", session="other"))
    return store


def test_a_class_is_summed_by_student_lesson_and_exercise(filled: UsageStore) -> None:
    report = ClassReport(store=filled)
    assert report.students == ("ada", "bob")
    assert report.total.calls == 4
    found = {
        by: {line.key[0]: line.usage.calls for line in report.summary(by)} for by in ("user", "lesson", "exercise")
    }
    assert found == {"user": {"ada": 3, "bob": 1}, "lesson": {"1": 2, "2": 2}, "exercise": {"a": 2, "": 1, "b": 1}}
    assert {line.key[0]: line.usage.calls for line in report.summary("lesson", user="ada")} == {"1": 1, "2": 2}
    assert repr(report).startswith("Usage of the class: 4 calls")
    assert "<table>" in report._repr_html_()
    assert ClassReport(store=filled, lesson="1").total.calls == 2


def test_students_can_go_by_pseudonyms(filled: UsageStore) -> None:
    report = ClassReport(store=filled, pseudonyms=True)
    assert report.students == ("Student 1", "Student 2")
    assert report.summary("lesson", user="Student 2")["1"].calls == 1
    assert "ada" not in repr(report) + report._repr_html_() + str(report.to_csv())
    assert ClassReport(store=filled, pseudonyms=True, lesson="1", since="2026-11-01").students == (
        "Student 1",
        "Student 2",
    )
    assert ClassReport(store=filled, pseudonyms={"bob": "B."}).students == ("ada", "B.")


def test_a_class_is_a_table_for_a_spreadsheet(filled: UsageStore) -> None:
    text = ClassReport(store=filled).to_csv()
    assert text is not None
    assert text.splitlines() == [
        "user,lesson,exercise,calls,prompt_tokens,completion_tokens,audio_seconds,cost,estimated_calls,unknown_calls,unpriced_calls",
        "ada,1,a,1,1000,100,,0.1,0,0,0",
        "bob,1,a,1,1000,100,,0.1,0,0,0",
        "ada,2,,1,,,,,0,1,1",
        "ada,2,b,1,1000,100,,0.1,0,0,0",
    ]


@pytest.mark.parametrize("kind", ["cost", "tokens"])
def test_a_class_is_drawn(filled: UsageStore, kind: str) -> None:
    figure = ClassReport(store=filled, pseudonyms=True).plot(kind)
    labels = {text.get_text() for text in figure.axes[0].get_yticklabels() + figure.axes[0].get_xticklabels()}
    assert {"Student 1", "Student 2"} <= labels
    with pytest.raises(InputError, match="no plot 'mood'"):
        ClassReport(store=filled).plot("mood")


def test_files_are_merged_once(filled: UsageStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, one, two = (str(tmp_path / name) for name in ("class.sqlite", "one.jsonl", "two.jsonl"))
    mine = str(tmp_path / "usage.sqlite")
    assert command.main(["usage", "export", one, "--store", mine, "--user", "ada"]) == 0
    assert command.main(["usage", "export", two, "--store", mine]) == 0
    assert command.main(["usage", "merge", one, two, one, "--store", place]) == 0
    assert command.main(["usage", "merge", two, "--store", place]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"3 calls written to {one}.",
        f"4 calls written to {two}.",
        f"10 calls read, 4 of them new; UsageStore({place!r}) has 4 now.",
        f"4 calls read, 0 of them new; UsageStore({place!r}) has 4 now.",
    ]
    assert {r.id: r for r in UsageStore(place).records()} == {r.id: r for r in filled.records()}
    assert UsageStore(place).total() == filled.total()


def test_an_export_does_not_overwrite(filled: UsageStore, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    export.export(filled, path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="Name another file"):
        export.export(filled, path)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""}, {"id": 5}, {"at": "yesterday"}, {"at": None}, {"outcome": "splendid"}, {"known": "rumoured"},
        {"cost_pico": 1.5}, {"cost_pico": -1}, {"cost_pico": 2**63}, {"latency": None}, {"latency": float("nan")},
        {"prompt_tokens": "many"}, {"streamed": 99_999}, {"attempt": None}, {"host": None}, {"details": 3}, None,
    ],
)  # fmt: skip
def test_a_wrong_row_of_a_file_is_named_and_the_others_are_taken(
    filled: UsageStore, tmp_path: Path, change: dict[str, object] | None
) -> None:
    path = tmp_path / "bad.jsonl"
    export.export(filled, path)
    lines = path.read_text().splitlines()
    lines[3] = json.dumps({**json.loads(lines[3]), **change}) if change else "[1, 2"
    path.write_text("\n".join(lines))
    target = UsageStore(tmp_path / "class.sqlite")
    merged = export.merge(target, [path])
    assert (merged.read, merged.new, merged.unread.count) == (3, 3, 1)
    assert f"{path}, line 4 (" in str(merged.unread)
    assert [record.id for record in target.records()] == ["n1", "n2", "n4"]


def test_another_file_is_no_export(filled: UsageStore, tmp_path: Path) -> None:
    (tmp_path / "shopping.txt").write_text('{"milk": 2}\n')
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    for name in ("shopping.txt", "picture", "missing"):
        with pytest.raises(InputError):
            export.merge(filled, [tmp_path / name])


def test_a_class_that_paid_nothing_is_drawn_by_its_tokens(tmp_path: Path) -> None:
    store = UsageStore(tmp_path / "free.sqlite")
    free = chatkit.ClassReport(store=store)
    store.add(numbered(1, user="ada", usage=Usage(10, 5, cost=Decimal(0), known="measured")))
    assert repr(free.plot()) == "Figure(Tokens per user)"
    store.add(numbered(2, user="bob", usage=Usage(10, 5, cost=Decimal("0.01"), known="measured")))
    assert repr(free.plot()) == "Figure(Cost per user)"
    with pytest.raises(InputError, match="There is no plot 'pie' of a class"):
        free.plot("pie")
