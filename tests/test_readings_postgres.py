"""The same questions to a server as to a file, the same answers."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from postgres import Cluster
from test_ledger_sums import START
from test_readings import ESTIMATED, HEARD, MEASURED, UNKNOWN, row

import chatkit
from chatkit.ledger import queries
from chatkit.ledger.store import UsageStore


def test_a_server_answers_as_a_file_does(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with server.database(f"d{uuid4().hex}") as name:
        stores = [UsageStore(server.url(database=name)), UsageStore(tmp_path / "usage.sqlite")]
        for store in stores:
            for number, usage in enumerate([MEASURED, ESTIMATED, UNKNOWN, HEARD, MEASURED]):
                at = START + timedelta(minutes=number)
                store.add(
                    row(number, session=f"Lesson {number // 2}", usage=usage, at=at, latency=1.5, first_token=0.25)
                )
            store.flush()
        _assert_same_answers(*stores)
        for few, many in (("FEW", 1), ("TURNS", 1), ("MANY", 2), ("SAMPLE", 2)):
            monkeypatch.setattr(queries, few, many)
        assert stores[0].moments() == stores[1].moments()
        assert stores[0].turns() == stores[1].turns()
        assert stores[0].spread() == stores[1].spread()
        for store in stores:
            chatkit.tag_session("physics", session="Lesson 0", store=store)
            chatkit.rename_session("Optics", "Lesson 0", store=store)
            assert chatkit.sessions("physics", store=store).names == ["Optics"]
            assert chatkit.delete_session("Optics", store=store) == 2
        _assert_same_answers(*stores)
        for store in stores:
            store.close()


def _assert_same_answers(server: UsageStore, file: UsageStore) -> None:
    reports = [chatkit.usage(since=START + timedelta(seconds=59), store=store) for store in (server, file)]
    assert repr(reports[0]) == repr(reports[1])
    for by in ("session", "model", "day", "hour", "endpoint", "user"):
        assert list(reports[0].summary(by)) == list(reports[1].summary(by))
    assert reports[0].records() == reports[1].records()
    assert server.moments() == file.moments()
    assert server.turns() == file.turns()
    assert server.spread() == file.spread()
    assert server.latest(3) == file.latest(3)
