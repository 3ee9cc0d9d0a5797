"""Two ledgers over mixed calls: chat, streams, sound, embeddings, errors, cancels, faults in three of ten.

The endpoint counts what it sent, chatkit what it saw; the calls are made by the SDK's two clients and chatkit's verbs.

Run: python benchmarks/ledger.py [calls]
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def main(calls: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHATKIT_DB"] = str(Path(folder) / "usage.sqlite")
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        import ledger_run

        start = time.perf_counter()
        ledger, rows = ledger_run.run(calls)
        found = ledger_run.compare(ledger, rows)
        print(
            f"{calls} calls, {len(rows)} attempts in our ledger, {len(ledger)} in the endpoint's ({time.perf_counter() - start:.0f} s)"
        )
        print(
            f"outcomes {dict(Counter(row.outcome for row in rows))}, usage {dict(Counter(row.usage.known for row in rows))}"
        )
        for name, wrong in vars(found).items():
            print(f"{name:14}{len(wrong):6}", *list(wrong)[:5])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
