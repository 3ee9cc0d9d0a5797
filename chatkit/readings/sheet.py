"""Readings: rows for other programs, as CSV that is safe in a spreadsheet, or as a DataFrame.

In: rows of plain values. Out: CSV in which no cell is a formula; pandas, where it is installed. What is
unknown is an empty cell.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatkit import typed
from chatkit.exceptions import SetupError

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
    if path is None:
        buffer = io.StringIO(newline="")
        _write(buffer, head, rows)
        return buffer.getvalue()
    with typed.path(path).open("w", encoding="utf-8-sig", newline="") as file:
        _write(file, head, rows)
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
