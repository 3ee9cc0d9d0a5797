"""Rows in a file that can be handed on, for a class without a server: written by one store, taken in by another.

In: a store and a scope, or files. Out: lines of JSON, one a call, after a line that says what they are; and how
many were new. A call that is there already, by its id, is not taken twice. No file is trusted: what is no
row of the right form is refused, and named by its line.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Unpack, get_args

from chatkit import typed
from chatkit.exceptions import InputError
from chatkit.ledger.record import Known, Outcome, UsageRecord
from chatkit.ledger.rows import LARGEST, NAMES, moment, to_record, to_row
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore

FORMAT = "chatkit.usage/1"
LONGEST = 1_000_000
"""Characters of a line."""
BATCH = 1000

_TEXTS = ("id", "at", "session", "path", "host", "caller", "lesson", "exercise")
_TEXTS_OR_NONE = ("model", "answered_model", "error_code", "price_table", "price_date", "details")
_WHOLE = ("streamed", "attempt")
_WHOLE_OR_NONE = ("status", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_pico",
                  "at_most_pico")  # fmt: skip
_NUMBERS_OR_NONE = ("first_token", "audio_seconds")
_WORDS = {"outcome": get_args(Outcome), "known": get_args(Known)}


class Merged(NamedTuple):
    """How many rows the files had, and how many of them were new."""

    read: int
    new: int


def export(store: UsageStore, path: "str | os.PathLike[str]", **scope: Unpack[Scope]) -> int:
    """Write the calls of the scope into a new file; gives how many. A file that is there is not overwritten."""
    path = typed.path(path)
    records = store.records(**scope)
    try:
        with open(path, "x", encoding="utf-8") as file:
            os.chmod(path, 0o600)
            file.write(json.dumps({"format": FORMAT, "calls": len(records)}) + "\n")
            file.writelines(json.dumps(dict(zip(NAMES, to_row(record), strict=True))) + "\n" for record in records)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None
    return len(records)


def merge(store: UsageStore, paths: Iterable["str | os.PathLike[str]"]) -> Merged:
    """Take the calls of these files in; a file that is not right is refused before any of its rows is."""
    before, read = store.total().calls, 0
    for path in map(typed.path, paths):
        records = list(_records(path))
        read += len(records)
        for start in range(0, len(records), BATCH):
            store.add_all(records[start : start + BATCH])
    store.flush()
    return Merged(read, store.total().calls - before)


def _records(path: Path) -> Iterator[UsageRecord]:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is no file.", "Make one: chatkit usage export FILE.")
    try:
        with path.open(encoding="utf-8") as file:
            lines = ((number, line) for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 1))
            head = _parsed(path, *next(lines, (1, "")))
            if head.get("format") != FORMAT:
                raise InputError(f"{path} is no export of chatkit's usage.", "Make one: chatkit usage export FILE.")
            for number, line in lines:
                yield _record(path, number, _parsed(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _parsed(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path}, line {number}: this is no row of an export.", "Nothing of this file was taken in.")
    return value


def _record(path: Path, number: int, row: Mapping[str, Any]) -> UsageRecord:
    wrong = [name for name in NAMES if not _fits(name, row.get(name, "" if name in _TEXTS else None))]
    if wrong or not row.get("id"):
        what = ", ".join(wrong) or "id"
        raise InputError(f"{path}, line {number}: {what} cannot be so.", "Nothing of this file was taken in.")
    return to_record(_Row(**{name: row.get(name, "" if name in _TEXTS else None) for name in NAMES}))


class _Row:
    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def _fits(name: str, value: Any) -> bool:
    if name in _WORDS:
        return value in _WORDS[name]
    if name == "at":
        return isinstance(value, str) and _is_moment(value)
    if name in _TEXTS or name in _TEXTS_OR_NONE:
        return isinstance(value, str) or (value is None and name in _TEXTS_OR_NONE)
    if value is None:
        return name in _WHOLE_OR_NONE or name in _NUMBERS_OR_NONE
    if name in _WHOLE or name in _WHOLE_OR_NONE:
        return type(value) is int and 0 <= value <= (LARGEST if name not in ("streamed", "status") else 32_767)
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _is_moment(value: str) -> bool:
    try:
        return moment(datetime.fromisoformat(value)) == value
    except (ValueError, OverflowError):
        return False
