"""The store under a class: many processes at once, killed ones, a server that goes away. Counts what is lost and doubled.

Run: python benchmarks/processes.py file      200 processes × 200 rows into one SQLite file; the wait of each row
     python benchmarks/processes.py kills     200 processes killed in mid-write, one after the other
     python benchmarks/processes.py server    150 processes on a PostgreSQL of 100 connections, away for 60 s meanwhile

`server` needs PostgreSQL's programs and the tests beside it (tests/postgres.py), and each takes a number to be smaller.
"""

import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from chatkit.ledger import database  # noqa: F401  # before the fork, so that a process is soon there
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore

RECORD = UsageRecord(
    "0", datetime.now(UTC), "class", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", None, False, "complete", 200,
    None, 1, 1.25, None, Usage(1000, 100, cost=Decimal("0.00021"), known="measured"), "genai-prices", "2026-11-23",
)  # fmt: skip


def fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def at_once(count: int, work: Callable[[int], None], meanwhile: Callable[[], None] = lambda: None) -> None:
    gate, opened = os.pipe()

    def start(number: int) -> None:
        os.close(opened)
        os.read(gate, 1)
        work(number)

    pids = [fork(lambda number=number: start(number)) for number in range(count)]  # type: ignore[misc]  # its default
    os.close(opened)
    meanwhile()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(f"  {codes.count(0)} of {count} processes ended well")


def write(place: str, process: int, rows: int, folder: Path, pause: float = 0.0, patience: float = 30.0) -> None:
    store = UsageStore(place)
    waits = []
    for number in range(rows):
        start = time.perf_counter()
        store.add(replace(RECORD, id=f"{process}-{number}"), patience=patience)
        waits.append(time.perf_counter() - start)
        time.sleep(pause)
    store.flush(300)
    (folder / f"first-{process}").write_text(str(waits[0]))
    (folder / f"waits-{process}").write_text("\n".join(map(str, waits[1:])))


def tell(folder: Path, ids: list[str], expected: int, seconds: float) -> None:
    waits = sorted(float(line) for path in folder.glob("waits-*") for line in path.read_text().split())
    first = sorted(float(path.read_text()) for path in folder.glob("first-*"))
    p50, p99 = (waits[int(len(waits) * share)] for share in (0.5, 0.99))
    print(
        f"  {len(ids)} rows of {expected}: {expected - len(set(ids))} lost, {len(ids) - len(set(ids))} doubled, {seconds:.1f} s"
    )
    print(f"  the first row, with the opening: median {first[len(first) // 2]:.1f} s, longest {first[-1]:.1f} s")
    print(
        f"  each other row's wait: median {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.0f} ms, longest {waits[-1] * 1e3:.0f} ms"
    )


def in_file(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [name for (name,) in connection.execute("SELECT id FROM chatkit_calls")]


def one_file(processes: int = 200, rows: int = 200) -> None:
    print(f"{processes} processes × {rows} rows into one SQLite file")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        at_once(processes, lambda number: write(str(folder / "u.sqlite"), number, rows, folder))
        tell(folder, in_file(folder / "u.sqlite"), processes * rows, time.perf_counter() - start)


def kills(lives: int = 200) -> None:
    print(f"{lives} processes killed in mid-write")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "u.sqlite"
        acknowledged: list[str] = []
        for life in range(lives):
            reader, writer = os.pipe()

            def work(life: int = life, writer: int = writer) -> None:
                store = UsageStore(file)
                for number in range(10**9):
                    if store.add(replace(RECORD, id=f"{life}-{number}"), patience=30):
                        os.write(writer, f"{life}-{number}\n".encode())

            pid = fork(work)
            os.close(writer)
            with open(reader, encoding="ascii") as lines:
                acknowledged += [next(lines).strip() for _ in range(1 + life % 97)]
                os.kill(pid, signal.SIGKILL)
                acknowledged += [line.strip() for line in lines if line.endswith("\n")]
            os.waitpid(pid, 0)
        there = set(in_file(file))
        print(f"  {len(acknowledged)} rows acknowledged, {len(set(acknowledged) - there)} of them lost; integrity ok")


def server(students: int = 150, away: float = 60.0) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import postgres

    rows, pause = 40, (away + 20) / 40
    print(
        f"{students} processes × {rows} rows over {away + 20:.0f} s, PostgreSQL with 100 connections, away for {away:.0f} s"
    )
    with tempfile.TemporaryDirectory() as name, postgres.cluster(connections=100) as cluster:
        folder = Path(name)
        UsageStore(cluster.url()).open()

        def student(number: int) -> None:
            warnings.simplefilter("ignore")
            os.environ["XDG_DATA_HOME"] = str(folder / f"home-{number}")  # a disk of the student's own
            write(cluster.url(), number, rows, folder, pause, 5.0)

        def outage() -> None:
            def stop_and_start() -> None:
                time.sleep(10)
                cluster.stop()
                time.sleep(away)
                cluster.start()

            threading.Thread(target=stop_and_start).start()

        start = time.perf_counter()
        at_once(students, student, outage)
        ids = [name for (name,) in cluster.sql("SELECT id FROM chatkit_calls")]
        tell(folder, ids, students * rows, time.perf_counter() - start)


if __name__ == "__main__":
    chosen, *numbers = sys.argv[1:] or ["file"]
    {"file": one_file, "kills": kills, "server": server}[chosen](*map(int, numbers))
