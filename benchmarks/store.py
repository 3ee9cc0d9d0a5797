"""What it costs to keep a row: `UsageStore.add`, committed, beside bare sqlite3 with the same table and settings.

Run: python benchmarks/store.py [rows]
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rows import NAMES, to_row
from chatkit.ledger.schema import CALLS, MIGRATIONS, statement
from chatkit.ledger.store import UsageStore

ROUNDS = 7
RECORD = UsageRecord(
    id="0", at=datetime.now(UTC), session="2026-11-23 09:30:00 a1b2c3", path="/v1/chat/completions",
    host="api.openai.com", model="gpt-4o-mini", answered_model="gpt-4o-mini-2024-07-18", streamed=True,
    outcome="complete", status=200, error_code=None, attempt=1, latency=1.25, first_token=0.25,
    usage=Usage(1000, 100, 0, 0, cost=Decimal("0.00021"), known="measured"),
    price_table="genai-prices 0.2.3", price_date="2026-11-23",
)  # fmt: skip


def bare(file: Path) -> sqlite3.Connection:
    """The floor: one connection, the same table and pragmas, a transaction for each row."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = NORMAL")
    for text in (*MIGRATIONS[0], *MIGRATIONS[1][:7]):  # without the table of sums
        connection.execute(statement(text, "sqlite"))
    return connection


def seconds(write: Callable[[UsageRecord], object], records: list[UsageRecord]) -> float:
    start = time.perf_counter()
    for record in records:
        write(record)
    return (time.perf_counter() - start) / len(records)


def main(rows: int = 3000) -> None:
    marks = ", ".join("?" * len(NAMES))
    insert = f"INSERT INTO {CALLS.name} ({', '.join(NAMES)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
    floors, costs = [], []
    with tempfile.TemporaryDirectory() as folder:
        store = UsageStore(Path(folder) / "store.sqlite")
        store.open()
        with closing(bare(Path(folder) / "bare.sqlite")) as connection:

            def write(record: UsageRecord) -> None:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(insert, to_row(record))
                connection.execute("COMMIT")

            for number in range(ROUNDS):  # in turn, so that what else the machine does falls on both
                records = [replace(RECORD, id=f"{time.time_ns():016x}{number}-{row}") for row in range(rows)]
                floors.append(seconds(write, records))
                costs.append(seconds(store.add, records))
        assert store.total().calls == ROUNDS * rows
        store.close()
    floor, cost = statistics.median(floors), statistics.median(costs)
    print(f"{'a row, committed':34}{'µs':>8}{'rows/s':>10}{'ratio':>8}")
    print(f"{'bare sqlite3':34}{floor * 1e6:8.1f}{1 / floor:10,.0f}{1:8.2f}")
    print(f"{'UsageStore.add':34}{cost * 1e6:8.1f}{1 / cost:10,.0f}{cost / floor:8.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
