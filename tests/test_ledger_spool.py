"""The spool's file: rows that wait in it, whatever befalls the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.ledger.outbox import Spool
from chatkit.ledger.rows import NAMES

ROWS = [tuple({"id": id, "session": "s", "latency": 0.25}.get(name) for name in NAMES) for id in ("a", "b", "c")]


def test_rows_wait_in_the_order_in_which_they_came_each_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    assert spool.count() == 0
    for row in (*ROWS, ROWS[0]):
        spool.put(row)
    spool.forget(ROWS[:1])
    spool.refuse(ROWS[1:2])
    assert (spool.count(), spool.some(9)) == (1, ROWS[2:])
    spool.close()
    assert Spool(tmp_path / "spool.sqlite").some(9) == ROWS[2:]


def test_a_spool_that_was_made_before_it_had_versions_keeps_its_rows(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    spool.put(ROWS[0])
    spool.close()
    with closing(sqlite3.connect(spool.file)) as older:
        older.execute("PRAGMA user_version = 0")
    spool.put(ROWS[1])
    assert spool.some(9) == ROWS[:2]
    spool.close()


@pytest.mark.parametrize("while_open", [False, True])
def test_a_spool_that_is_damaged_is_set_aside_and_another_begun(tmp_path: Path, while_open: bool) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    if while_open:
        spool.put(ROWS[0])
        with closing(sqlite3.connect(spool.file)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool.file.write_bytes(b"my thesis" * 1000)
    with pytest.warns(UserWarning, match="is no spool .*: it is kept as .*, and a new spool is begun"):
        spool.put(ROWS[1])
    assert spool.some(9) == ROWS[1:2]
    spool.close()
