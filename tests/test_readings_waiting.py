"""Usage while the store cannot be read: the calls that wait in memory are shown, and that they are not all."""

import re
import warnings
from pathlib import Path

import pytest
from test_ledger_store import RECORD, numbered

from chatkit.exceptions import StoreError
from chatkit.ledger.store import UsageStore
from chatkit.reports.report import usage


@pytest.fixture
def unusable(tmp_path: Path) -> UsageStore:
    """A store whose file is a folder."""
    (tmp_path / "usage.sqlite").mkdir()
    return UsageStore(tmp_path / "usage.sqlite")


def fill(store: UsageStore, count: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(count):
            assert store.add(numbered(number)) is False


@pytest.mark.parametrize("count", [1, 3])
def test_calls_that_wait_in_memory_are_shown_and_the_rest_is_not_said_to_be_nothing(unusable: UsageStore, count: int):
    fill(unusable, count)
    for session in (None, RECORD.session):
        report = usage(session, store=unusable)
        assert report.total.calls == len(report.records()) == count
        said = "only the call that waits" if count == 1 else f"only the {count} calls that wait"
        assert f"{said} in memory (The usage store " in re.sub(r"\s+", " ", repr(report))
        assert said in report._repr_html_()
    assert usage("another", store=unusable).total.calls == 0
    assert unusable.waiting == count
    unusable._waiting.clear()


def test_where_nothing_waits_the_store_says_why_it_cannot_be_read(unusable: UsageStore):
    with pytest.raises(StoreError, match="cannot be used"):
        usage(None, store=unusable)


def test_once_the_store_is_there_all_is_read_from_it(unusable: UsageStore, tmp_path: Path):
    fill(unusable, 2)
    (tmp_path / "usage.sqlite").rmdir()
    report = usage(None, store=unusable)
    assert (report.total.calls, "in memory" in repr(report), unusable.waiting) == (2, False, 0)
