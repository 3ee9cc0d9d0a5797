"""An SQLite file of the user's: who may read it, where it has no log, how it is migrated and when it is set aside."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.exceptions import StoreError
from chatkit.sqlite_file import SqliteFile, make, set_aside


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "folder" / "usage.sqlite"
    make(file)
    make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_another_process_has_put_in_place_is_not_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "usage.sqlite"
    file.write_text("good")
    set_aside(file, file.stat().st_ino + 1, "is bad")
    assert file.read_text() == "good"


FIRST, SECOND = "CREATE TABLE words (word TEXT)", "ALTER TABLE words ADD COLUMN said INTEGER"
MINE = 0x1234


def opened(path: Path, *migrations: str, traceless: bool = False) -> sqlite3.Connection:
    file = SqliteFile(path, "list", migrations, MINE, traceless=traceless, way_out="Name another.")
    file.make()
    connection = file.connect(1.0)
    connection.execute("BEGIN IMMEDIATE")
    file.migrate(connection)
    connection.execute("COMMIT")
    return connection


def test_each_step_runs_once_whenever_it_was_added(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "a.sqlite", FIRST)) as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
    for _ in range(2):
        with closing(opened(tmp_path / "a.sqlite", FIRST, SECOND)) as connection:
            assert connection.execute("SELECT * FROM words").fetchall() == [("one", None)]


def test_the_file_of_a_newer_chatkit_or_of_another_program_is_refused_and_stays(tmp_path: Path) -> None:
    opened(tmp_path / "newer.sqlite", FIRST, SECOND).close()
    with pytest.raises(StoreError, match="newer.sqlite was written by a newer chatkit") as told:
        opened(tmp_path / "newer.sqlite", FIRST)
    assert told.value.way_out == "Name another."
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="theirs.sqlite is a database of another program"):
        opened(tmp_path / "theirs.sqlite", FIRST)


@pytest.mark.parametrize(
    ("traceless", "network", "journal"), [(False, False, "wal"), (False, True, "delete"), (True, False, "delete")]
)
def test_only_what_may_leave_traces_on_a_disk_of_this_machine_has_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traceless: bool, network: bool, journal: str
) -> None:
    monkeypatch.setattr("chatkit.sqlite_file.on_network", lambda _: network)
    with closing(opened(tmp_path / "a.sqlite", FIRST, traceless=traceless)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (journal,)
        assert not traceless or connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_any_bytes_in_a_text_are_written_out(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "a.sqlite", FIRST)) as connection:
        assert connection.execute("SELECT CAST(x'41ff' AS TEXT)").fetchone() == ("A\\xff",)


def test_what_is_no_database_is_set_aside_and_what_is_only_held_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"my thesis" * 1000)
    file = SqliteFile(path, "list", (FIRST,))
    inode = file.make()
    with pytest.raises(sqlite3.Error) as damaged:
        file.connect(0.0)
    with pytest.warns(UserWarning, match=r"a.sqlite is no list \(file is not a database\).* a new list is begun"):
        assert file.renew(damaged.value, inode)
    [aside] = tmp_path.glob("*.aside-*")
    assert aside.read_bytes() == b"my thesis" * 1000
    with closing(file.connect(0.0)) as one, closing(file.connect(0.0)) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.Error) as held:
            other.execute("BEGIN IMMEDIATE")
        assert not file.renew(held.value, path.stat().st_ino)
    assert not file.renew(None, path.stat().st_ino)
