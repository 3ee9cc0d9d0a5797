"""Which rows of calls can be read: one rule for each column, as Python and as SQL.

In: values of a row, wherever they come from. Out: what in it cannot be so, in words; conditions for a database. A row
that cannot be read is in no sum and no list, and is told (`Unread`): it harms nothing but itself.

SQLite keeps any type in any column, PostgreSQL any number and text; a file that is handed on may hold anything.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatkit.ledger import rollup
from chatkit.ledger.record import COLUMNS, SECONDS

TEXTS = tuple(column.name for column in COLUMNS if column.kind == "text" and column.needed)
_TEXTS_OR_NONE = tuple(column.name for column in COLUMNS if column.kind == "text" and not column.needed)
_WORDS = {column.name: column.words for column in COLUMNS if column.kind == "word"}
_TOKENS = tuple(column.name for column in COLUMNS if column.kind == "tokens")
_MONEY = tuple(column.name for column in COLUMNS if column.kind == "money")
_WHOLE = {column.name: column.most for column in COLUMNS if column.kind in ("flag", "count", "tokens", "money")}
_NUMBERS = tuple(column.name for column in COLUMNS if column.kind == "seconds")
_NEEDED = tuple(column.name for column in COLUMNS if column.needed)
FIRST, END = "1970", "2200"
"""The years of a call: from the first on, before the last."""

NAMED = 3
"""Rows of which a sentence says what is wrong with them; there may be very many."""
LISTED = 20
"""Rows that are looked at closely."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Rows that could not be read: how many, and of the first of them their ids and what cannot be so.

    >>> str(Unread(1, (("a1", "cost_pico cannot be -5"),)))
    '1 row could not be read: a1 (cost_pico cannot be -5).'
    """

    count: int = 0
    rows: Sequence[tuple[str, str]] = ()

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if not self.count:
            return ""
        named = "; ".join(f"{id} ({why})" for id, why in self.rows[:NAMED])
        more = f"; and {self.count - NAMED:,} more" if self.count > NAMED else ""
        return f"{self.short}: {named}{more}." if named else f"{self.short}."

    @property
    def short(self) -> str:
        """How many."""
        return f"{self.count:,} row{'' if self.count == 1 else 's'} could not be read"

    @property
    def marks(self) -> list[str]:
        """A line for each of the first, and one for the others."""
        lines = [f"could not be read: {id} ({why})" for id, why in self.rows]
        left = self.count - len(self.rows)
        return [*lines, f"could not be read: {left:,} more"] if left > 0 else lines


NONE = Unread()
"""Every row can be read."""


def unread_row(row: Mapping[str, Any]) -> tuple[str, str]:
    """The id of a row that cannot be read, and why not."""
    wrong = faults(row)
    return str(row.get("id"))[:80], ", ".join(wrong) or "it is not as chatkit writes it"


def faults(row: Mapping[str, Any]) -> list[str]:
    """What in the row cannot be so; empty where it can be read."""
    return [f"{name} cannot be {_shown(row.get(name))}" for name, fits in _FITS.items() if not fits(row.get(name))]


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_moment(value: object) -> bool:
    if not isinstance(value, str) or not FIRST <= value[:4] < END:
        return False
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == 27 and value[-1] == "Z" and at.isoformat(timespec="microseconds")[:26] == value[:26]


def _word(words: Sequence[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


def _whole(name: str) -> Callable[[object], bool]:
    def fits(value: Any) -> bool:
        return name not in _NEEDED if value is None else type(value) is int and 0 <= value <= _WHOLE[name]

    return fits


def _number(name: str) -> Callable[[object], bool]:
    def fits(value: Any) -> bool:
        if value is None:
            return name not in _NEEDED
        return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= SECONDS

    return fits


_FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(TEXTS, _is_text),
    "id": lambda value: isinstance(value, str) and value != "",
    "at": _is_moment,
    **dict.fromkeys(_TEXTS_OR_NONE, lambda value: value is None or isinstance(value, str)),
    **{name: _word(words) for name, words in _WORDS.items()},
    **{name: _whole(name) for name in _WHOLE},
    **{name: _number(name) for name in _NUMBERS},
}
"""The rule: whether a column can have a value."""


def readable(dialect: str) -> str:
    """The condition on a row of `chatkit_calls`."""
    return f"({' AND '.join(_CALLS[dialect])}) IS TRUE"


def unreadable(dialect: str) -> str:
    """The condition on a row that cannot be read."""
    return f"({' AND '.join(_CALLS[dialect])}) IS NOT TRUE"


def unsound_keys(dialect: str) -> str:
    """The condition on a line of `chatkit_rollup` that no calls that can be read have in common."""
    return f"({' AND '.join(_KEYS[dialect])}) IS NOT TRUE"


def unsound_sums(dialect: str) -> str:
    """The condition on a line of `chatkit_rollup`, of sound keys, that no calls that can be read add up to."""
    return f"({' AND '.join(_SUMS[dialect])}) IS NOT TRUE"


def timeless(dialect: str) -> str:
    """The condition on a row whose time cannot be read."""
    return f"({_MOMENT[dialect].format(at='at')}) IS NOT TRUE"


def _one_of(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


_WITHIN = "[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z"
_HOURS = "[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:"
_YEARS = f"{{at}} >= '{FIRST}' AND {{at}} < '{END}'"
# a day that is none becomes another by way of a number; a date function may stand in an index if never asked for "now",
# which nothing is that ends in a blank
_DAY = (
    "SUBSTR({at}, 12, 2) < '24' AND ((SUBSTR({at}, 9, 2) BETWEEN '01' AND '28' AND SUBSTR({at}, 6, 2) BETWEEN '01' AND '12')"
    " OR DATE(JULIANDAY(SUBSTR({at}, 1, 10) || ' ')) = SUBSTR({at}, 1, 10))"
)
_MOMENT = {
    "sqlite": f"{_YEARS} AND LENGTH(CAST({{at}} AS BLOB)) = 27 AND {{at}} GLOB '{_HOURS}{_WITHIN}' AND {_DAY}",
    "postgresql": "{at} ~ '^(19[7-9]|2[01][0-9])[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])"
    ":[0-5][0-9]:[0-5][0-9][.][0-9][0-9][0-9][0-9][0-9][0-9]Z$' AND {at} !~ '-(02-3|(04|06|09|11)-31)'"
    " AND ({at} !~ '-02-29' OR ({at} ~ '^[0-9][0-9]([02468][048]|[13579][26])' AND {at} !~ '^2100'))",
}


# Each row that is written is held against SQLite's conditions, a line of sums twice: as it was and as it is now. What
# only compares is nearly free there and a function is not, nor a CASE, of which all is worked out before it is asked.
# In SQLite's order, numbers come before all text, and bytes after it. GLOB ends at a NUL, so the length is asked in bytes.


def _calls_of_sqlite() -> list[str]:
    most = _WHOLE | dict.fromkeys(_NUMBERS, SECONDS)
    whole = [name if name in _NEEDED else f"COALESCE({name}, 0)" for name in _WHOLE]
    return [
        *map(_is_text_in_sqlite, TEXTS),
        "id <> ''",
        _MOMENT["sqlite"].format(at="at"),
        *(_or_none(name, _is_text_in_sqlite(name)) for name in _TEXTS_OR_NONE),
        *(_is_one_of(name, known) for name, known in _WORDS.items()),
        *(_or_none(name, f"{name} BETWEEN 0 AND {largest}") for name, largest in most.items()),
        f"TYPEOF({' + '.join(whole)}) = 'integer'",  # a sum is whole only if all of it is
    ]


def _is_text_in_sqlite(name: str) -> str:
    return f"{name} >= '' AND {name} < X''"


def _is_one_of(name: str, words: Sequence[str]) -> str:
    choices = [f"{name} = '{word}'" for word in words]  # a list would be built anew for each row
    return f"({' OR '.join(choices)})"


def _calls_of_postgresql() -> list[str]:
    most = _WHOLE | dict.fromkeys(_NUMBERS, SECONDS)
    return [
        *(f"{name} IS NOT NULL" for name in TEXTS),
        "id <> ''",
        _MOMENT["postgresql"].format(at="at"),
        *(f"{name} IN ({_one_of(known)})" for name, known in _WORDS.items()),
        *(_or_none(name, f"{name} BETWEEN 0 AND {largest}") for name, largest in most.items()),
    ]


def _or_none(name: str, condition: str) -> str:
    return f"({condition})" if name in _NEEDED else f"({name} IS NULL OR ({condition}))"


_COUNTED = ("calls", "failed", "unpriced", "unbounded", *_MONEY, "first_seq", "last_seq")
_LARGEST_SUM = 2**63 - 1
"""Beyond it SQLite's sums are no whole numbers."""


def _keys_of_sqlite() -> list[str]:
    return [
        *map(_is_text_in_sqlite, rollup.KEYS),
        _is_one_of("known", _WORDS["known"]),
        f"LENGTH(CAST(period AS BLOB)) = 16 AND (period GLOB '{_HOURS}[03]0' OR period GLOB '{_HOURS}[14]5')",
        f"{_YEARS} AND {_DAY}".format(at="period"),
    ]


def _keys_of_postgresql() -> list[str]:
    return [
        f"known IN ({_one_of(_WORDS['known'])})",
        _MOMENT["postgresql"].format(at="(SUBSTR(period, 1, 15) || '0:00.000000Z')"),
        "SUBSTR(period, 15) IN ('00', '15', '30', '45')",
    ]


def _sums_of_sqlite() -> list[str]:
    both, form = " || ".join(_SPAN), f"{'?' * 14}{_WITHIN}" * 2
    return [
        *_counted(),
        # between the period and its hour's end all begin with that hour, and none is bytes or a number
        "first_at >= period AND first_at <= last_at AND last_at < SUBSTR(period, 1, 14) || 'Z'",
        f"LENGTH(CAST({both} AS BLOB)) = 54 AND {both} GLOB '{form}'",
    ]


def _sums_of_postgresql() -> list[str]:
    return [*_counted(), *(_MOMENT["postgresql"].format(at=at) for at in _SPAN), *_SAME_HOUR]


def _counted() -> list[str]:
    return [
        *(f"{name} BETWEEN 0 AND {_LARGEST_SUM}" for name in _COUNTED),
        *(f"({name} IS NULL OR {name} BETWEEN 0 AND {_LARGEST_SUM})" for name in _TOKENS),
        "(audio_seconds IS NULL OR audio_seconds BETWEEN 0 AND 1e30) AND latency BETWEEN 0 AND 1e30",
    ]


_SPAN = ("first_at", "last_at")
_SAME_HOUR = tuple(f"SUBSTR({at}, 1, 14) = SUBSTR(period, 1, 14)" for at in _SPAN)
_CALLS = {"sqlite": _calls_of_sqlite(), "postgresql": _calls_of_postgresql()}
_KEYS = {"sqlite": _keys_of_sqlite(), "postgresql": _keys_of_postgresql()}
_SUMS = {"sqlite": _sums_of_sqlite(), "postgresql": _sums_of_postgresql()}
