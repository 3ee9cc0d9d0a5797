"""The store on a real PostgreSQL: outages, many writers, nothing lost and nothing doubled."""

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import postgres
import pytest
from postgres import Cluster

from chatkit.exceptions import StoreError
from chatkit.ledger import rulebook
from chatkit.ledger.outbox import spool_of
from chatkit.ledger.record import Usage, UsageRecord, total
from chatkit.ledger.rules import Limit
from chatkit.ledger.store import UsageStore

pytestmark = postgres.needed

RECORD = UsageRecord(
    "0", datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "Lesson 1", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini",
    None, False, "complete", 200, None, 1, 0.25, None, Usage(10, 5, cost=Decimal("0.000012"), known="measured"),
    "genai-prices", "2026-11-23",
)  # fmt: skip


@pytest.fixture
def url(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with server.database(f"d{uuid4().hex}") as name:
        yield server.url(database=name)


def numbered(number: object) -> UsageRecord:
    return replace(RECORD, id=f"n{number}")


def ids(url: str) -> list[str]:
    return sorted(record.id for record in UsageStore(url).records())


def test_what_goes_in_comes_out_once(url: str) -> None:
    store = UsageStore(url)
    store.open()
    assert store.add(RECORD) is True
    assert store.add(RECORD) is True
    assert store.add(numbered(1), patience=0.05) is False, "a caller that cannot wait is not held up"
    store.flush()
    assert store.records() == [RECORD, numbered(1)]
    assert store.total(session="Lesson 1") == total([RECORD, RECORD])
    assert (store.waiting, store.fault) == (0, None)


def test_an_outage_loses_nothing_and_doubles_nothing(server: Cluster, url: str) -> None:
    """The server stops in the middle of a class and is started again; each caller is let go soon."""
    store = UsageStore(url)
    longest = 0.0

    def write(numbers: range) -> None:
        nonlocal longest
        for number in numbers:
            start = time.monotonic()
            store.add(numbered(number))
            longest = max(longest, time.monotonic() - start)

    write(range(20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.stop()
        try:
            write(range(20, 300))
            assert store.waiting == 280
            assert store.fault is None or "cannot be used" in str(store.fault)
            with pytest.raises(StoreError, match=r"127.0.0.1:\d+/\w+ cannot be used.*CHATKIT_DB"):
                UsageStore(url).records()
        finally:
            server.start()
        store.flush()
    assert longest < 5
    assert ids(url) == sorted(f"n{number}" for number in range(300))


CHILD = """
import os, sys, signal
sys.path.insert(0, sys.argv[2])
from test_ledger_postgres import numbered
from chatkit.ledger.store import UsageStore
store = UsageStore(sys.argv[1])
store.add(numbered("first"), patience=0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_rows_of_a_killed_kernel_are_sent_by_the_next(server: Cluster, url: str) -> None:
    """E15 and the spool: the server is away, the kernel dies at once, and the row is there later, once."""
    server.stop()
    try:
        subprocess.run([sys.executable, "-c", CHILD, url, str(Path(__file__).parent)], check=False, timeout=60)
    finally:
        server.start()
    store = UsageStore(url)
    store.add(numbered("second"))
    store.flush()
    assert ids(url) == ["nfirst", "nsecond"]


def test_two_kernels_share_a_spool_and_send_each_row_once(url: str) -> None:
    first, second = UsageStore(url), UsageStore(url)
    first.open()
    for number in range(100):
        (first, second)[number % 2].add(numbered(number), patience=0)
    first.flush()
    second.flush()
    assert ids(url) == sorted(f"n{number}" for number in range(100))
    assert first.waiting == second.waiting == 0


def test_a_row_that_the_server_refuses_does_not_stop_the_others(server: Cluster, url: str) -> None:
    store = UsageStore(url)
    store.open()
    name = url.rpartition("/")[2]
    server.sql("ALTER TABLE chatkit_calls ADD CONSTRAINT calm CHECK (model <> 'forbidden')", database=name)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number, model in enumerate(["a", "forbidden", "b"]):
            store.add(replace(numbered(number), model=model), patience=0)
        store.flush()
    assert [str(warning.message) for warning in told if "refuses 1 usage rows" in str(warning.message)]
    assert ids(url) == ["n0", "n2"]


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from test_ledger_postgres import numbered  # brings the driver too, before the fork
from chatkit.ledger import database
from chatkit.ledger.store import UsageStore
gate, opened = os.pipe()
children = []
for student in range(int(sys.argv[3])):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(opened)
            os.read(gate, 1)
            store = UsageStore(sys.argv[1])
            for number in range(int(sys.argv[4])):
                store.add(numbered(f"{student}-{number}"), patience=5)
            store.flush(50)
            code = 0
        finally:
            os._exit(code)
    children.append(pid)
os.close(opened)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""


def test_more_writers_than_connections(server: Cluster, url: str) -> None:
    UsageStore(url).open()
    command = [sys.executable, "-W", "ignore", "-c", WRITER, url, str(Path(__file__).parent), "25", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert json.loads(done.stdout) == [0] * 25, done.stderr
    assert ids(url) == sorted(f"n{student}-{number}" for student in range(25) for number in range(4))


def test_a_budget_is_kept_on_the_server_too(url: str) -> None:
    store = UsageStore(url)
    book = rulebook.rulebook_of(store)
    book.set_limit(Limit(Decimal("0.5"), "day"))
    results: list[object] = []

    def hold(number: int) -> None:
        own = UsageStore(url)
        results.append(
            rulebook.rulebook_of(own).hold(
                f"c{number}", Limit(Decimal("0.5"), "day"), "s", Decimal("0.2"), always=False
            )
        )

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is None for result in results) == 2, "two of 0.2 fit into 0.5, however many ask at once"
    assert book.reread().limit == Limit(Decimal("0.5"), "day")


def test_a_spool_that_cannot_be_written_keeps_no_row_from_the_server(url: str, tmp_path: Path) -> None:
    (tmp_path / "chatkit").write_text("in the way")
    store = UsageStore(url)
    with pytest.warns(UserWarning, match="cannot be written.*kept in memory meanwhile"):
        store.add(numbered(0), patience=0)
    store.add(numbered(1), patience=0)
    store.add(numbered(2), patience=0)
    store.flush()
    assert ids(url) == ["n0", "n1", "n2"]
    assert store.waiting == 0


def test_rules_and_budget_while_the_server_is_away(server: Cluster, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebook, "FRESH_ON_SERVER", 0.0)
    store, limit = UsageStore(url), Limit(Decimal("0.5"))
    book = rulebook.rulebook_of(store)
    book.set_limit(limit)
    assert book.rules().limit == limit
    server.stop()
    try:
        assert book.rules().limit == limit, "the last that is known holds on"
        with pytest.raises(StoreError, match="cannot be used"):
            book.hold("c", limit, "s", Decimal("0.1"), always=False)
    finally:
        server.start()
    assert book.hold("c", limit, "s", Decimal("0.1"), always=False) is None


def test_the_spool_is_for_its_owner_only(url: str, server: Cluster) -> None:
    store = UsageStore(url)
    store.add(RECORD)
    file = spool_of(store._place).file
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert str(server.port) not in file.name
