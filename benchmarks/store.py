"""What it costs to keep a row, and to ask about many.

1. `UsageStore.add`, committed, beside bare sqlite3 with the same table of calls, indices and settings but without
   the table of sums; then eight processes at once on either, and every row counted afterwards.
2. Reports, summaries and plots over 10,000, 100,000 and 1,000,000 rows: median of five, after a first one.

Run: python benchmarks/store.py [largest number of rows]
"""

import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path

import chatkit
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rows import NAMES, to_row
from chatkit.ledger.schema import CALLS, MIGRATIONS, statement
from chatkit.ledger.store import UsageStore
from chatkit.reports.figures import FigureKind

ROUNDS, ROWS = 7, 3000
WRITERS, EACH = 8, 2500
SESSIONS, DAYS = 200, 30
KINDS: tuple[FigureKind, ...] = ("tokens", "cost", "models", "time", "latency", "context", "audio")
RECORD = UsageRecord(
    id="0", at=datetime.now(UTC), session="2026-11-23 09:30:00 a1b2c3", path="/v1/chat/completions",
    host="api.openai.com", model="gpt-4o-mini", answered_model="gpt-4o-mini-2024-07-18", streamed=True,
    outcome="complete", status=200, error_code=None, attempt=1, latency=1.25, first_token=0.25,
    usage=Usage(1000, 100, 0, 0, cost=Decimal("0.00021"), known="measured"),
    price_table="genai-prices 0.2.3", price_date="2026-11-23",
)  # fmt: skip


def bare(file: Path) -> sqlite3.Connection:
    """The floor: one connection, the same table and pragmas, a transaction for each row."""
    new = not file.exists()
    connection = sqlite3.connect(file, isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = NORMAL")
    if new:
        for text in (*MIGRATIONS[0], *MIGRATIONS[1][:7]):  # without the table of sums
            connection.execute(statement(text, "sqlite"))
    return connection


def durably(connection: sqlite3.Connection) -> Callable[[UsageRecord], object]:
    """What writes a record there and commits it."""
    insert = (
        f"INSERT INTO {CALLS.name} ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"
        " ON CONFLICT (id) DO NOTHING"
    )

    def write(record: UsageRecord) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert, to_row(record))
        connection.execute("COMMIT")

    return write


def seconds(write: Callable[[UsageRecord], object], records: list[UsageRecord]) -> float:
    start = time.perf_counter()
    for record in records:
        write(record)
    return (time.perf_counter() - start) / len(records)


def one_writer(folder: Path) -> None:
    floors, costs = [], []
    store = UsageStore(folder / "store.sqlite")
    store.open()
    with closing(bare(folder / "bare.sqlite")) as connection:
        write = durably(connection)
        for number in range(ROUNDS):  # in turn, so that what else the machine does falls on both
            records = [replace(RECORD, id=f"{time.time_ns():016x}{number}-{row}") for row in range(ROWS)]
            floors.append(seconds(write, records))
            costs.append(seconds(store.add, records))
    assert store.total().calls == ROUNDS * ROWS
    store.close()
    floor, cost = statistics.median(floors), statistics.median(costs)
    print(f"{'a row, committed':34}{'µs':>8}{'rows/s':>10}{'ratio':>8}")
    print(f"{'bare sqlite3':34}{floor * 1e6:8.1f}{1 / floor:10,.0f}{1:8.2f}")
    print(f"{'UsageStore.add':34}{cost * 1e6:8.1f}{1 / cost:10,.0f}{cost / floor:8.2f}")


def many_writers(folder: Path) -> None:
    for side in ("bare", "store"):
        file = folder / f"shared-{side}.sqlite"
        UsageStore(file).open() if side == "store" else bare(file).close()
        writers = [
            subprocess.Popen([sys.executable, __file__, "--write", side, str(file), str(n)], stdin=-1, stdout=-1)
            for n in range(WRITERS)
        ]
        for writer in writers:
            assert writer.stdout and writer.stdout.readline() == b"ready\n"
        start = time.perf_counter()
        for writer in writers:
            writer.communicate(b"\n")
        took = time.perf_counter() - start
        with closing(sqlite3.connect(file)) as connection:
            calls = connection.execute(f"SELECT COUNT(*) FROM {CALLS.name}").fetchone()[0]
        lost = WRITERS * EACH - calls
        print(f"{f'{WRITERS} processes, {side}':34}{took / calls * 1e6:8.1f}{calls / took:10,.0f}{'':8}  {lost} lost")
        assert lost == 0


def write(side: str, file: str, writer: str) -> None:
    """What each of many writers does."""
    records = [replace(RECORD, id=f"{writer}-{row}", session=f"writer {writer}") for row in range(EACH)]
    add = durably(bare(Path(file))) if side == "bare" else partial(UsageStore(file).add, patience=30)
    add(records.pop())  # opens it
    print("ready", flush=True)
    sys.stdin.readline()
    for record in records:
        add(record)


def rows(count: int) -> Iterator[UsageRecord]:
    """A month of a class: sessions one after the other, three models, some estimated, unknown or without a price."""
    chance = random.Random(1)
    begin = datetime.now(UTC) - timedelta(days=DAYS)
    for row in range(count):
        kind, prompt = chance.random(), chance.randint(100, 4000)
        known = "measured" if kind < 0.9 else "estimated" if kind < 0.97 else "unknown"
        cost = Decimal(prompt).scaleb(-7) if row % 10 else None
        used = Usage(prompt, chance.randint(10, 400), prompt // 3, 0, None, cost, known)  # type: ignore[arg-type]
        model = ("gpt-6-luna", "gpt-4o-mini", "SmolLM2-135M-Instruct")[row % 3]
        yield replace(
            RECORD, id=f"r{row}", at=begin + timedelta(days=DAYS) * (row / count), model=model, answered_model=model,
            session=f"Session {row * SESSIONS // count:03}", usage=Usage() if known == "unknown" else used,
            latency=chance.lognormvariate(0, 0.6), first_token=chance.lognormvariate(-1.5, 0.5),
        )  # fmt: skip


def questions(folder: Path, count: int) -> None:
    store = UsageStore(folder / f"{count}.sqlite")
    made = rows(count)
    while batch := list(islice(made, 20_000)):
        store.add_all(batch)
    everything = chatkit.usage(None, store=store)
    one = f"Session {SESSIONS // 2:03}"
    lesson = chatkit.usage(one, store=store)
    since = datetime.now(UTC) - timedelta(days=DAYS / 2, seconds=77)
    asked: dict[str, Callable[[], object]] = {
        "report, all sessions": lambda: chatkit.usage(None, store=store),
        "report, one session": lambda: chatkit.usage(one, store=store),
        "report, since amid an hour": lambda: chatkit.usage(since=since, store=store),
        "summary by model": lambda: everything.summary("model"),
        "summary by day": lambda: everything.summary("day"),
    }
    for kind in KINDS:
        asked[f"plot {kind}, all sessions"] = partial(draw, everything, kind)
    asked["plot time, one session"] = partial(draw, lesson, "time")
    print(f"\n{f'{count:,} rows':34}{'first, ms':>12}{'median, ms':>12}")
    for name, ask in asked.items():
        times = []
        for _ in range(6):
            start = time.perf_counter()
            ask()
            times.append((time.perf_counter() - start) * 1000)
        print(f"{name:34}{times[0]:12.1f}{statistics.median(times[1:]):12.1f}")
    store.close()


def draw(report: chatkit.UsageReport, kind: FigureKind) -> None:
    """A figure, down to its PNG."""
    report.plot(kind).savefig(BytesIO(), dpi=72)


def main(largest: int = 1_000_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one_writer(Path(folder))
        many_writers(Path(folder))
        for count in (10_000, 100_000, 1_000_000):
            if count <= largest:
                questions(Path(folder), count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(*sys.argv[2:])
    else:
        main(*map(int, sys.argv[1:]))
