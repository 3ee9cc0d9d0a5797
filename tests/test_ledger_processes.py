"""The store under many processes: written at once, killed in mid-write, forked, full, locked at the end."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.ledger.schema import MIGRATIONS
from chatkit.ledger.store import UsageStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to have many processes soon")

VERSIONS = [(number,) for number in range(1, len(MIGRATIONS) + 1)]
LIMIT = 60
"""Seconds after which a child that hangs fails its test."""

COMMON = """
import json, os, resource, signal, sys, threading, time
from dataclasses import replace
from datetime import UTC, datetime
from chatkit.ledger import database, schema
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore

path = sys.argv[1]

def row(name):
    return UsageRecord(str(name), datetime.now(UTC), "s", "/p", "h", "m", None, False, "complete", 200, None, 1, 0.1, None,
                       Usage(1, 1, known="measured"))

def fork(work):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid

def wait(pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]

def together(count, work):
    gate, open_gate = os.pipe()
    def start(number):
        os.close(open_gate)
        os.read(gate, 1)
        work(number)
    pids = [fork(lambda: start(number)) for number in range(count)]
    os.close(open_gate)
    return wait(pids)
"""


def run(script: str, file: Path, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", COMMON + script, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


def ids(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = [name for (name,) in connection.execute("SELECT id FROM chatkit_calls")]
    assert len(rows) == len(set(rows))
    return set(rows)


def test_forty_processes_make_a_store_and_write_at_once(file: Path) -> None:
    script = """
def write(process):
    store = UsageStore(path)
    for number in range(25):
        assert store.add(row(f"{process}-{number}"), patience=30)
assert together(40, write) == [0] * 40
"""
    run(script, file)
    assert ids(file) == {f"{process}-{number}" for process in range(40) for number in range(25)}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version FROM chatkit_schema").fetchall() == VERSIONS


def test_every_acknowledged_row_outlives_a_kill(file: Path) -> None:
    script = """
acknowledged = []
for life in range(30):
    reader, writer = os.pipe()
    def write():
        store = UsageStore(path)
        for number in range(100_000):
            if store.add(row(f"{life}-{number}"), patience=30):
                os.write(writer, f"{life}-{number}\\n".encode())
    pid = fork(write)
    os.close(writer)
    with open(reader, encoding="ascii") as lines:
        for _ in range(1 + 7 * life):
            acknowledged.append(next(lines).strip())
        os.kill(pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in lines if line.endswith("\\n")]
    assert wait([pid]) == [-signal.SIGKILL]
print(json.dumps(acknowledged))
"""
    acknowledged = json.loads(run(script, file).stdout)
    assert len(acknowledged) > 30
    assert ids(file) >= set(acknowledged)


def test_many_newer_versions_migrate_an_old_store_once(file: Path) -> None:
    script = """
UsageStore(path).add(row("old"))
database.MIGRATIONS += (("ALTER TABLE chatkit_calls ADD COLUMN mood TEXT", "CREATE TABLE chatkit_more (x INTEGER)"),)
def write(process):
    assert UsageStore(path).add(row(process), patience=30)
assert together(12, write) == [0] * 12
"""
    run(script, file)
    assert ids(file) == {"old", *map(str, range(12))}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version FROM chatkit_schema").fetchall() == [*VERSIONS, (len(VERSIONS) + 1,)]


def test_an_older_version_that_is_open_writes_on_after_a_migration(file: Path) -> None:
    script = """
store = UsageStore(path)
assert store.add(row("before"))
def newer():
    database.MIGRATIONS += (("ALTER TABLE chatkit_calls ADD COLUMN mood TEXT",),)
    assert UsageStore(path).add(row("newer"))
assert wait([fork(newer)]) == [0]
assert store.add(row("after"))
"""
    run(script, file)
    assert ids(file) == {"before", "newer", "after"}


def test_a_fork_gets_a_handle_of_its_own(file: Path) -> None:
    script = """
store = UsageStore(path)
assert store.add(row("parent-0"))
going = True
def busy():
    number = 1
    while going:
        store.add(row(f"parent-{number}"), patience=30)
        number += 1
thread = threading.Thread(target=busy)
thread.start()
def child(number):
    assert store.add(row(f"child-{number}"), patience=30)
    assert [record.id for record in store.records() if record.id == f"child-{number}"]
codes = wait([fork(lambda: child(number)) for number in range(12)])
going = False
thread.join()
assert codes == [0] * 12, codes
assert store.add(row("parent-last"))
assert store.waiting == 0
"""
    run(script, file)
    assert ids(file) >= {"parent-0", "parent-last", *(f"child-{number}" for number in range(12))}


def test_a_full_disk_makes_rows_wait(file: Path) -> None:
    script = """
import warnings
warnings.simplefilter("ignore")
store = UsageStore(path)
assert store.add(row("first"))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
number = 0
while store.add(row(f"n{number}")):
    number += 1
assert not store.add(row("also waits"))
assert store.waiting == 2, store.waiting
print(store.fault)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.add(row("last"))
print(number)
"""
    fault, number = run(script, file).stdout.splitlines()
    assert "cannot be used" in fault
    assert ids(file) == {"first", "also waits", "last", *(f"n{n}" for n in range(int(number) + 1))}


def test_rows_that_wait_are_written_before_the_interpreter_ends(file: Path) -> None:
    UsageStore(file).open()
    script = COMMON + 'assert not UsageStore(path).add(row("late"), patience=0)\nprint("over", flush=True)'
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        child = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "over\n"
        other.execute("ROLLBACK")
    child.communicate(timeout=LIMIT)
    assert child.returncode == 0
    assert ids(file) == {"late"}


def test_rows_that_cannot_be_written_at_the_end_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run('UsageStore(path).add(row("lost"))', tmp_path / "file" / "usage.sqlite")
    assert "1 usage rows could not be written" in done.stderr


def test_a_store_is_not_loaded_before_it_is_used() -> None:
    script = "import sys, chatkit.ledger.meter, chatkit.ledger.store as s; s.UsageStore(); print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT)
    assert done.stdout.strip() == "False"


def test_a_stream_that_is_still_open_at_the_end_is_a_row(file: Path) -> None:
    script = """
import httpx2
from chatkit.ledger.meter import Meter, MeteredTransport
words = b'data: {"choices": [{"delta": {"content": "In"}}]}\\n\\n'
answer = lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter([words]))
transport = MeteredTransport(httpx2.MockTransport(answer), Meter(UsageStore(path)))
request = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions", json={"model": "m", "stream": True})
pieces = iter(transport.handle_request(request).stream)  # no client: httpx2's crashes CPython 3.13.0 at its end
assert next(pieces) == words
"""
    run(script, file)
    assert [(row.outcome, row.usage.completion_tokens) for row in UsageStore(file).records()] == [("cancelled", 1)]


def test_a_row_is_there_when_the_process_dies_right_after_the_answer(file: Path) -> None:
    script = """
import httpx2
from chatkit.ledger.meter import Meter, MeteredTransport
answer = lambda request: httpx2.Response(200, json={"choices": [{"finish_reason": "stop"}]})
client = httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(answer), Meter(UsageStore(path))))
client.post("http://127.0.0.1/v1/chat/completions", json={"model": "m"})
os._exit(0)
"""
    run(script, file)
    assert [row.outcome for row in UsageStore(file).records()] == ["complete"]
