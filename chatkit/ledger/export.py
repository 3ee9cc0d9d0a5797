"""Rows in a file that can be handed on, for a class without a server: written by one store, taken in by another.

In: a store and a scope, or files. Out: lines of JSON, one a call, after a line that says what they are; and how
many were new. A call that is there already, by its id, is not taken twice. No file is trusted: a row that cannot be
read is not taken in and is named by its line, and the others are; a file that is no export is named, and the other
files are taken in.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from chatkit import typed
from chatkit.exceptions import InputError
from chatkit.ledger.readable import LISTED, NONE, Unread, faults
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.rows import BLANK, NAMES, to_record, to_row
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore
from chatkit.system import files, shell

FORMAT = "chatkit.usage/1"
LONGEST = 1_000_000
"""Characters of a line."""
BATCH = 1000


class Merged(NamedTuple):
    """How many rows the files had, how many of them were new, and those that could not be read."""

    read: int
    new: int
    unread: Unread = NONE


def export(store: UsageStore, path: "str | os.PathLike[str]", **scope: Unpack[Scope]) -> int:
    """Write the calls of the scope into a new file; gives how many. A file that is there is not overwritten."""
    path = typed.path(path)
    records = store.records(**scope)
    lines = [{"format": FORMAT, "calls": len(records)}]
    lines += [dict(zip(NAMES, to_row(record), strict=True)) for record in records]
    with files.explained(path):
        files.create(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    return len(records)


def merge(store: UsageStore, paths: Iterable["str | os.PathLike[str]"]) -> Merged:
    """Take the calls of these files in, but for rows that cannot be read.

    Raises InputError for files that are no exports, after all others were taken in.
    """
    before, read, refused = store.total().calls, 0, []
    unread: list[tuple[str, str]] = []
    for path in map(typed.path, paths):
        try:
            records, wrong = _records(path)
        except InputError as error:
            refused.append(error)
            continue
        read += len(records)
        unread += wrong
        for start in range(0, len(records), BATCH):
            store.add_all(records[start : start + BATCH])
    store.flush()
    merged = Merged(read, store.total().calls - before, Unread(len(unread), unread[:LISTED]))
    if refused:
        raise InputError(" ".join([*(error.cause for error in refused), *_also(merged)]), refused[0].way_out)
    return merged


def _also(merged: Merged) -> list[str]:
    """What was taken in beside the files that were refused."""
    taken = f"Of the other files {merged.read} calls were read, {merged.new} of them new." if merged.read else ""
    return [words for words in (taken, str(merged.unread)) if words]


def _records(path: Path) -> tuple[list[UsageRecord], list[tuple[str, str]]]:
    """The calls of a file, and the places of the rows that cannot be read, each with what is wrong."""
    records, wrong = [], []
    for number, row in _rows(path):
        found = faults(row) if row else ["it is no row of an export"]
        if row and not found:
            records.append(to_record(_Row(row)))
        else:
            wrong.append((f"{path}, line {number}", ", ".join(found)))
    return records, wrong


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is no file.", f"Make one: {shell.chatkit('usage export FILE')}.")
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            head = _parsed(file.readline(LONGEST))
            if not head or head.get("format") != FORMAT:
                raise InputError(
                    f"{path} is no export of chatkit's usage.", f"Make one: {shell.chatkit('usage export FILE')}."
                )
            for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 2):
                yield number, _parsed(line)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _parsed(line: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return None
    return {name: value.get(name, BLANK.get(name)) for name in (*NAMES, "format")}


class _Row:
    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)
