"""A table for a person: text begins at the beginning of its column, numbers end below each other, in text and in HTML."""

import re
from datetime import UTC, datetime

import pytest

from chatkit.ledger.record import NOTHING
from chatkit.render.table import STYLE, Table
from chatkit.reports.summary import Session, SessionList

ROWS = [("a", "x", "12", "m"), ("bb", "yy", "1", "long")]


@pytest.mark.parametrize("words", [(0,), (0, 1), (0, 1, 3), ()])
def test_text_is_at_the_left_and_numbers_at_the_right(words: tuple[int, ...]) -> None:
    table = Table("T", ("name", "tag", "calls", "model"), ROWS, ("total", "", "13", ""), words=words)
    lines = table.text().splitlines()[2:]
    ends = [5, 10, 17, 24]
    for place, (end, width) in enumerate(zip(ends, (5, 3, 5, 5), strict=True)):
        for line, row in zip(lines, (table.head, *ROWS, table.foot), strict=True):
            cell = line.ljust(24)[end - width : end]
            assert cell == (row[place].ljust(width) if place in words else row[place].rjust(width))
    cells = re.findall(r"<t[hd]( scope=\"\w+\")?( class=\"ck-words\" dir=\"auto\")?>", table.html())
    assert [bool(kind) for _, kind in cells] == [place in words for _ in range(4) for place in range(4)]
    assert ".ck-usage .ck-words { text-align: start; }" in STYLE


def test_names_tags_and_times_of_sessions_are_text() -> None:
    day = datetime(2026, 11, 23, 9, tzinfo=UTC)
    table = SessionList([Session("One", ("year 9", "b"), day, day, NOTHING)]).table()
    assert [table.head[place] for place in table.words] == ["session", "tags", "last call"]
