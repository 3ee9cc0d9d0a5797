"""The store's table of sums: a line for each quarter of an hour, session, model, endpoint and person.

In: nothing. Out: SQL. Triggers keep the table in the transaction that writes a row, so that a sum over a
million rows reads a few thousand, and a row that is sent twice is counted once. What a call was summed as cannot be
taken out again; where a call in a file is changed or deleted behind the store's back, its line is spoilt, and who asks
sums it from its calls. Quarters, because every
time zone of today lies whole quarters from UTC: days and hours of any clock can be made of them.

Migration 2 is made of this text: what it makes may be added to by a later migration, never changed here. On
PostgreSQL the triggers are no part of it: `safeguards` makes them, and mends those that an older version made.
"""

from collections.abc import Mapping

PLAIN = {"cut": "SUBSTR", "joined": "||", "plus": "+", "minus": "-", "times": "*", "over": "/", "is": "=",
         "below": "<", "above": ">"}  # fmt: skip
"""Functions and operators of the statements below, as any database knows them."""
CATALOG = {word: f"OPERATOR(pg_catalog.{sign})" for word, sign in PLAIN.items()} | {"cut": "pg_catalog.substr"}
"""The same as PostgreSQL's own, whatever stands in a schema in which somebody else may make things."""

QUARTER = (
    "{cut}({row}.at, 1, 14) {joined} {cut}('00153045',"
    " ((CAST({cut}({row}.at, 15, 2) AS INTEGER) {over} 15) {times} 2) {plus} 1, 2)"
)

KEYS = {
    "session": "{row}.session",
    "caller": "{row}.caller",
    "lesson": "{row}.lesson",
    "exercise": "{row}.exercise",
    "model": "COALESCE({row}.model, '')",
    "answered_model": "COALESCE({row}.answered_model, '')",
    "host": "{row}.host",
    "path": "{row}.path",
    "known": "{row}.known",
    "period": QUARTER,
    "owner": "{row}.owner",
}
"""What the calls of one line share, and how it is read off a call."""

SUMS = {
    "calls": "1",
    "failed": "CASE WHEN {row}.outcome {is} 'error' THEN 1 ELSE 0 END",
    "unpriced": "CASE WHEN {row}.cost_pico IS NULL THEN 1 ELSE 0 END",
    "unbounded": "CASE WHEN COALESCE({row}.at_most_pico, {row}.cost_pico) IS NULL THEN 1 ELSE 0 END",
    "prompt_tokens": "{row}.prompt_tokens",
    "completion_tokens": "{row}.completion_tokens",
    "cached_tokens": "{row}.cached_tokens",
    "reasoning_tokens": "{row}.reasoning_tokens",
    "audio_seconds": "{row}.audio_seconds",
    "cost_pico": "COALESCE({row}.cost_pico, 0)",
    "at_most_pico": "COALESCE({row}.at_most_pico, {row}.cost_pico, 0)",
    "latency": "{row}.latency",
}
"""What is added up. Tokens and seconds are NULL where no call of the line said any; money is 0 there, and counted
as `unpriced` (no cost) and `unbounded` (not even a cost that it cannot exceed)."""

SPAN = {"first_seq": "{row}.seq", "last_seq": "{row}.seq", "first_at": "{row}.at", "last_at": "{row}.at"}

MONEY = ("unpriced", "unbounded", "cost_pico", "at_most_pico")
"""What changes when calls are priced again."""

TABLE = (
    "CREATE TABLE chatkit_rollup ({digest_column} session TEXT NOT NULL, caller TEXT NOT NULL, lesson TEXT NOT NULL,"
    " exercise TEXT NOT NULL, model TEXT NOT NULL, answered_model TEXT NOT NULL, host TEXT NOT NULL,"
    " path TEXT NOT NULL, known TEXT NOT NULL, period TEXT NOT NULL, owner TEXT NOT NULL, calls BIGINT NOT NULL,"
    " failed BIGINT NOT NULL, unpriced BIGINT NOT NULL, unbounded BIGINT NOT NULL, prompt_tokens {sum},"
    " completion_tokens {sum}, cached_tokens {sum}, reasoning_tokens {sum}, audio_seconds DOUBLE PRECISION,"
    " cost_pico {sum} NOT NULL, at_most_pico {sum} NOT NULL, latency DOUBLE PRECISION NOT NULL,"
    " first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL"
    "{rollup_end}"
)
_ANY = (
    "SELECT 1 FROM chatkit_calls WHERE {unreadable} ORDER BY seq LIMIT 1",
    "SELECT 1 FROM chatkit_rollup WHERE {unsound_keys} ORDER BY {still} LIMIT 1",
    "SELECT 1 FROM chatkit_rollup WHERE {unsound_sums} ORDER BY first_seq LIMIT 1",
)
PROBE = " UNION ALL ".join(f"SELECT * FROM ({query}) AS any_{number}" for number, query in enumerate(_ANY)) + " LIMIT 1"
"""What asks whether there is any call that cannot be read, or any line that no such calls add up to; without the orders,
SQLite would go through all lines."""


def columns(row: str, words: Mapping[str, str] = PLAIN) -> dict[str, str]:
    """How each column of a line is read off the call `row`."""
    return {name: value.format(row=row, **words) for name, value in (KEYS | SUMS | SPAN).items()}


def digest(row: str) -> str:
    """PostgreSQL's key of the line that a call belongs to: its index takes no long text."""
    found = columns(row, CATALOG)
    keys = f"CAST(ROW({', '.join(found[name] for name in KEYS)}) AS pg_catalog.text)"
    return f"pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to({keys}, 'UTF8')), 'hex')"


def fill(dialect: str, where: str = "") -> str:
    """The statement that makes the lines anew from the calls that match."""
    one = columns("one")
    summed = [f"SUM({one[name]})" for name in SUMS]
    span = [f"{'MIN' if name.startswith('first') else 'MAX'}({one[name]})" for name in SPAN]
    names, values = [*KEYS, *SUMS, *SPAN], [*(one[name] for name in KEYS), *summed, *span]
    grouped = ", ".join(map(str, range(1, len(KEYS) + 1)))
    if dialect == "postgresql":
        names, values = [*names, "digest"], [*values, f"MIN({digest('one')})"]
    return (
        f"INSERT INTO chatkit_rollup ({', '.join(names)}) SELECT {', '.join(values)} FROM chatkit_calls AS one"
        f" {where} GROUP BY {grouped}"
    )


def added(table: str, key: str, new: Mapping[str, str], words: Mapping[str, str] = PLAIN) -> str:
    """What the trigger does for a call that came in."""
    line = table.rpartition(" AS ")[2]
    plus, below, above = (words[word] for word in ("plus", "below", "above"))
    sums = [f"{name} = COALESCE({line}.{name} {plus} excluded.{name}, {line}.{name}, excluded.{name})" for name in SUMS]
    span = [
        f"{name} = CASE WHEN excluded.{name} {below if name.startswith('first') else above} {line}.{name}"
        f" THEN excluded.{name} ELSE {line}.{name} END"
        for name in SPAN
    ]
    return (
        f"INSERT INTO {table} ({', '.join(new)}) VALUES ({', '.join(new.values())})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(sums + span)};"
    )


def repriced(table: str, where: str, words: Mapping[str, str] = PLAIN) -> str:
    """What the trigger does for a call whose price changed."""
    old, new = columns("OLD", words), columns("NEW", words)
    plus, minus = words["plus"], words["minus"]
    sums = [f"{name} = ({name} {plus} ({new[name]})) {minus} ({old[name]})" for name in MONEY]
    return f"UPDATE {table} SET {', '.join(sums)} WHERE {where};"


_SUMMED = ("at", "session", "caller", "lesson", "exercise", "model", "answered_model", "host", "path", "known", "outcome",
           "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "audio_seconds", "latency")  # fmt: skip
STEPS = {
    "added": "INSERT",
    "repriced": "UPDATE OF cost_pico, at_most_pico",
    "changed": f"UPDATE OF {', '.join(_SUMMED)}",
    "gone": "DELETE",
}
"""The triggers, and after what they run; the first two are migration 2's, the others a file's alone: to put a trigger on
a server's table waits for whoever has just added a call, and only its owner can change one there."""
ENDLESS = "9e999"
"""The latency of a line that a call is gone from: no sum has it, and it stays whatever is added to it."""


def triggers() -> dict[str, str]:
    """The statements that make SQLite's triggers."""
    table, add = "chatkit_rollup", added("chatkit_rollup", ", ".join(KEYS), columns("NEW"))
    spoil = f"UPDATE {table} SET latency = {ENDLESS} WHERE {_line('OLD')};"
    steps = {"added": add, "repriced": repriced(table, _line("NEW")), "changed": f"{add} {spoil}", "gone": spoil}
    return {
        name: f"CREATE TRIGGER chatkit_{name} AFTER {STEPS[name]} ON chatkit_calls BEGIN {do} END"
        for name, do in steps.items()
    }


def _line(row: str) -> str:
    """The condition on the line that a call belongs to."""
    found = columns(row)
    return " AND ".join(f"{name} = {found[name]}" for name in KEYS)
