"""Reports: rows for other programs, and times as people say them.

In: rows of plain values. Out: CSV in which no cell is a formula; pandas, where it is installed. What is
unknown is an empty cell.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatkit import typed
from chatkit.exceptions import InputError, SetupError
from chatkit.system import files

if TYPE_CHECKING:
    import pandas


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may take for the start of a formula."""


def to_csv(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    path: "str | os.PathLike[str] | None",
    marks: Sequence[str] = (),
) -> str | None:
    """The rows as CSV text; written to `path` instead, with the mark by which Excel knows UTF-8, if one is given.

    Each of `marks` is a line of its own at the end, of one cell.
    """
    rows = [*rows, *((mark, *[None] * (len(head) - 1)) for mark in marks)]
    buffer = io.StringIO(newline="")
    _write(buffer, head, rows)
    if path is None:
        return buffer.getvalue()
    files.save(typed.path(path), buffer.getvalue(), "utf-8-sig")
    return None


def to_dataframe(columns: Mapping[str, Sequence[Any]]) -> "pandas.DataFrame":
    """The columns as a DataFrame: whole numbers and text that may be missing, times in UTC, money as float."""
    try:
        import pandas as pd
    except ImportError:
        raise SetupError("A DataFrame needs pandas, which is not installed.", "Try: pip install pandas.") from None
    return pd.DataFrame({name: pd.Series(_plain(values), dtype=_dtype(name)) for name, values in columns.items()})


def _write(file: Any, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\r\n")  # so that a \r in a cell is quoted too
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """The value as a cell.

    >>> _cell("=1+1"), _cell(Decimal("0.0000001")), _cell(None), _cell("-2"), _cell(-2)
    ("'=1+1", '0.0000001', '', "'-2", -2)
    """
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else value


_NUMBERS = ("latency", "first_token", "audio_seconds", "cost")
_TIMES = ("at", "first", "last")
_COUNTS = ("status", "attempt", "calls", "failed")


def _dtype(name: str) -> str:
    if name in _TIMES:
        return "datetime64[us, UTC]"
    if name in _NUMBERS:
        return "float64"
    if name == "streamed":
        return "bool"
    return "Int64" if name in _COUNTS or name.endswith(("_tokens", "_calls")) else "string"


def _plain(values: Sequence[Any]) -> list[Any]:
    return [float(value) if isinstance(value, Decimal) else value for value in values]


When = datetime | date | timedelta | str | None


def instant(when: When, name: str) -> datetime | None:
    """The instant that is meant: a time (without a zone: local), the midnight before a date, so long ago.

    >>> instant("2026-11-23T09:30:00+00:00", "since")
    datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.timezone.utc)
    """
    if when is None:
        return None
    if isinstance(when, timedelta):
        return datetime.now(UTC) - when
    if isinstance(when, str):
        when = _said(when, name)
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return when.astimezone(UTC)


def _said(words: str, name: str) -> datetime | date:
    said = words.strip().lower()
    if said in ("today", "yesterday"):
        return date.today() - timedelta(days=said == "yesterday")
    try:
        return date.fromisoformat(words) if len(words) == 10 else datetime.fromisoformat(words)
    except ValueError:
        raise InputError(
            f"{name} is {words!r}; it must be a time.", 'Try "today", "2026-11-23" or "2026-11-23 09:30".'
        ) from None


def local_day(quarter: str) -> str:
    """The local day in which a quarter of an hour lies, as the store writes it (in UTC)."""
    return f"{_local(quarter):%Y-%m-%d}"


def local_hour(quarter: str) -> str:
    """The local hour in which it lies, with the distance from UTC: when the clock goes back, an hour comes twice."""
    local = _local(quarter).isoformat(" ")
    return f"{local[:14]}00{local[-6:]}"


def short_hours(hours: Sequence[str]) -> list[str]:
    """The hours without the distance from UTC, but where it tells two of them apart.

    >>> short_hours(["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00+01:00"])
    ['2026-10-25 02:00+02:00', '2026-10-25 02:00+01:00', '2026-10-25 03:00']
    """
    times = Counter(hour[:16] for hour in hours)
    return [hour if times[hour[:16]] > 1 else hour[:16] for hour in hours]


def _local(quarter: str) -> datetime:
    return datetime.fromisoformat(quarter + "+00:00").astimezone()
