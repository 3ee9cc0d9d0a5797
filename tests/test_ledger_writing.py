"""A row is one statement and one transaction; what is done in one transaction is there whole, or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from chatkit import sqlite_file
from chatkit.ledger.writing import DatabaseWriter

ADD = "INSERT INTO words VALUES (?)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "words.sqlite"


@pytest.fixture(params=["wal", "delete"])
def writer(file: Path, request: pytest.FixtureRequest) -> Iterator[DatabaseWriter]:
    engine = sa.create_engine(f"sqlite:///{file}")
    log = request.param == "wal"
    sa.event.listen(engine, "connect", lambda one, _: sqlite_file.prepare(one, 0.0, log=log))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE words (word TEXT PRIMARY KEY)")
    made = DatabaseWriter(engine, keeps=True)
    yield made
    made.close()
    engine.dispose()


def words(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


def test_one_statement_is_committed_when_it_returns_and_nothing_else_is_run(writer: DatabaseWriter, file: Path) -> None:
    writer.write(ADD, ("one",), 0.0)
    ran: list[str] = []
    writer._held.set_trace_callback(ran.append)
    writer.write(ADD, ("two",), 0.0)
    assert (words(file), ran) == (["one", "two"], ["INSERT INTO words VALUES ('two')"])


def test_a_transaction_is_committed_whole_or_undone(writer: DatabaseWriter, file: Path) -> None:
    with writer.transaction(0.0) as cursor:
        cursor.execute(ADD, ("one",))
        cursor.execute(ADD, ("two",))
    with pytest.raises(sqlite3.IntegrityError), writer.transaction(0.0) as cursor:
        cursor.executemany(ADD, [("three",), ("one",)])
    with pytest.raises(sqlite3.IntegrityError):
        writer.write(ADD, ("two",), 0.0)
    writer.write(ADD, ("last",), 0.0)
    assert words(file) == ["last", "one", "two"]


def test_a_file_that_another_program_holds_is_busy_and_free_again_afterwards(
    writer: DatabaseWriter, file: Path
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as one:
            writer.write(ADD, ("one",), 0.0)
        with pytest.raises(sqlite3.OperationalError) as many, writer.transaction(0.0):
            pytest.fail("it was given")
        assert sqlite_file.is_busy(one.value)
        assert sqlite_file.is_busy(many.value)
        other.execute("COMMIT")
        writer.write(ADD, ("one",), 0.0)
        other.execute("BEGIN IMMEDIATE")  # nothing of ours holds it
        other.execute("COMMIT")
    assert words(file) == ["one"]


@pytest.mark.parametrize("writer", ["wal"], indirect=True)
def test_a_row_that_waits_is_written_as_soon_as_the_file_is_free(
    writer: DatabaseWriter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(ADD, ("before",), 0.0)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits = iter(["ROLLBACK", "BEGIN IMMEDIATE"])
        monkeypatch.setattr("chatkit.patience.time.sleep", lambda _: other.execute(next(waits)))
        writer.write(ADD, ("one",), 2.0)
        assert list(waits) == ["BEGIN IMMEDIATE"], "it waited once"
    assert words(file) == ["before", "one"]
