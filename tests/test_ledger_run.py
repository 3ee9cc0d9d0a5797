"""Two ledgers: the endpoint's and ours, over mixed calls with faults in three of ten."""

from collections import Counter
from dataclasses import replace

import ledger_run
import pytest
from ledger_run import Difference

from chatkit.ledger.store import UsageStore

AGREED = Difference(Counter(), Counter(), [], [], [])


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory):
    store = UsageStore(tmp_path_factory.mktemp("ledger") / "usage.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatkit.ledger.store._default", store)
        patch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
        patch.setattr("chatkit.api.errors.FIRST", 0.001)
        yield ledger_run.run(400)
    store.close()


def test_rows_are_attempts_and_tokens_are_those_that_were_sent(ledgers):
    ledger, rows = ledgers
    assert ledger_run.compare(ledger, rows) == AGREED
    assert len(rows) > 400, "calls that failed were tried again"
    outcomes = Counter(row.outcome for row in rows)
    assert set(outcomes) == {"complete", "error", "incomplete", "cancelled"}
    assert {row.usage.known for row in rows} == {"measured", "estimated", "unknown"}


def test_the_comparison_sees_what_is_wrong(ledgers):
    ledger, rows = ledgers
    sound = next(n for n, row in enumerate(rows) if row.usage.known == "measured" and row.usage.completion_tokens)
    lost = [*rows[:sound], *rows[sound + 1 :]]
    doubled = [*rows, rows[sound]]
    off = [*rows]
    off[sound] = replace(rows[sound], usage=replace(rows[sound].usage, prompt_tokens=1))
    name = (rows[sound].model, rows[sound].attempt)
    assert ledger_run.compare(ledger, lost).missing == Counter([name])
    assert ledger_run.compare(ledger, doubled).too_many == Counter([name])
    assert ledger_run.compare(ledger, off).wrong_tokens == [name]
