"""A record's way into a row of the store, and back; needs no database.

In: `UsageRecord`s. Out: values for the columns, such that any database takes them, and records again.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from chatkit.ledger.record import COLUMNS, Usage, UsageRecord

NAMES = tuple(column.name for column in COLUMNS)
BLANK = {column.name: "" if column.kind == "text" and column.needed else None for column in COLUMNS}
"""What a row has where nothing is said, as in one that an older version wrote."""

PICO = Decimal(10) ** 12
LARGEST = 2**63 - 1


def to_row(record: UsageRecord) -> tuple[Any, ...]:
    """The record's values in the order of `NAMES`, such that any database takes them and any reader reads them.

    A number that no call can have, whoever said so, is not known.
    """
    values = list(_FIELDS(record))
    for place, into in _INTO:
        values[place] = into(values[place])
    for place in _TEXTS:
        if (words := values[place]) is not None and not (words.isascii() and "\0" not in words):
            values[place] = text(words)
    for place, most in _MOST:
        if (number := values[place]) is not None and not 0 <= number <= most:
            values[place] = None
    return tuple(values)


def to_record(row: Any) -> UsageRecord:
    """The record that a row holds; the columns are its attributes."""
    values = list(_VALUES(row))
    for place, back in _BACK:
        values[place] = back(values[place])
    usage = Usage(**{name: values[place] for name, place in _OF_USAGE})
    return UsageRecord(usage=usage, **{name: values[place] for name, place in _OF_RECORD})


def pico(cost: Decimal | None) -> int | None:
    """1e-12 US dollars, as the store counts them."""
    return None if cost is None else whole(int((cost * PICO).to_integral_value()))


def dollars(pico: int | Decimal | None) -> Decimal | None:
    """US dollars from `cost_pico`, or from a sum of it."""
    return None if pico is None else Decimal(int(pico)).scaleb(-12).normalize() + Decimal(0)


def moment(at: datetime) -> str:
    """A time as the store writes it; one without a zone is local time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def whole(number: int | None) -> int | None:
    """The number, no larger than a column holds."""
    return None if number is None else max(-LARGEST, min(number, LARGEST))


def text(words: str | None) -> str | None:
    """The text without what a database refuses: lone surrogates and NUL are written out."""
    if words is None or (words.isascii() and "\0" not in words):
        return words
    return words.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _utc(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)


def _of_kinds(ways: Mapping[str, Callable[[Any], Any]]) -> list[tuple[int, Callable[[Any], Any]]]:
    return [(place, ways[column.kind]) for place, column in enumerate(COLUMNS) if column.kind in ways]


# each row that is written takes this way: few calls of functions keep it cheap
_INTO = _of_kinds({"moment": moment, "flag": int, "money": pico})
_BACK = _of_kinds({"moment": _utc, "flag": bool, "money": dollars})
_TEXTS = [place for place, column in enumerate(COLUMNS) if column.kind == "text"]
_MOST = [
    (place, column.most)
    for place, column in enumerate(COLUMNS)
    if column.kind in ("tokens", "seconds", "money") and not column.needed
]
_FIELDS = attrgetter(*(column.field for column in COLUMNS))
_VALUES = attrgetter(*NAMES)
_PLACES = [(*column.field.rpartition(".")[::2], place) for place, column in enumerate(COLUMNS)]
_OF_USAGE = [(name, place) for owner, name, place in _PLACES if owner]
_OF_RECORD = [(name, place) for owner, name, place in _PLACES if not owner]
