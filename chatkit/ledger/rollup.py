"""The store's table of sums: a line for each quarter of an hour, session, model, endpoint and person.

In: nothing. Out: SQL. Triggers keep the table in the transaction that writes a row, so that a sum over a
million rows reads a few thousand, and a row that is sent twice is counted once. Quarters, because every
time zone of today lies whole quarters from UTC: days and hours of any clock can be made of them.

Migration 2 is made of this text: what it makes may be added to by a later migration, never changed here.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, MetaData, Numeric, Table, Text

QUARTER = "SUBSTR({row}.at, 1, 14) || SUBSTR('00153045', CAST(SUBSTR({row}.at, 15, 2) AS INTEGER) / 15 * 2 + 1, 2)"

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
    "failed": "CASE WHEN {row}.outcome = 'error' THEN 1 ELSE 0 END",
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

OLD = "chatkit_rollup"
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


def digest(row: str) -> str:
    """PostgreSQL's key of the line that a call belongs to: its index takes no long text."""
    keys = ", ".join(KEYS.values()).format(row=row)
    return f"ENCODE(SHA256(CONVERT_TO(CAST(ROW({keys}) AS TEXT), 'UTF8')), 'hex')"


def fill(dialect: str, where: str = "") -> str:
    """The statement that makes the lines anew from the calls that match."""
    summed = [f"SUM({value})" for value in SUMS.values()]
    span = [f"{'MIN' if name.startswith('first') else 'MAX'}({value})" for name, value in SPAN.items()]
    names, values = [*KEYS, *SUMS, *SPAN], [*KEYS.values(), *summed, *span]
    grouped = ", ".join(map(str, range(1, len(KEYS) + 1)))
    if dialect == "postgresql":
        names, values = [*names, "digest"], [*values, f"MIN({digest('one')})"]
    chosen = ", ".join(values).format(row="one")
    return (
        f"INSERT INTO chatkit_rollup ({', '.join(names)}) SELECT {chosen} FROM chatkit_calls AS one"
        f" {where} GROUP BY {grouped}"
    )


def _add(dialect: str) -> str:
    """What the trigger does for a call that came in."""
    columns = KEYS | SUMS | SPAN
    key = ", ".join(KEYS)
    if dialect == "postgresql":
        columns, key = columns | {"digest": digest("NEW")}, "digest"
    sums = [f"{name} = COALESCE({OLD}.{name} + excluded.{name}, {OLD}.{name}, excluded.{name})" for name in SUMS]
    span = [
        f"{name} = CASE WHEN excluded.{name} {'<' if name.startswith('first') else '>'} {OLD}.{name}"
        f" THEN excluded.{name} ELSE {OLD}.{name} END"
        for name in SPAN
    ]
    return (
        f"INSERT INTO chatkit_rollup ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(sums + span)};"
    ).format(row="NEW")


def _reprice(dialect: str) -> str:
    """What the trigger does for a call whose price changed."""
    sums = [f"{name} = {name} + ({SUMS[name].format(row='NEW')}) - ({SUMS[name].format(row='OLD')})" for name in MONEY]
    lines = [f"{name} = {value.format(row='NEW')}" for name, value in KEYS.items()]
    line = f"digest = {digest('NEW')}" if dialect == "postgresql" else " AND ".join(lines)
    return f"UPDATE chatkit_rollup SET {', '.join(sums)} WHERE {line};"


def triggers(dialect: str) -> tuple[str, ...]:
    """The statements that make the triggers."""
    steps = (("added", "INSERT", _add(dialect)), ("repriced", "UPDATE OF cost_pico, at_most_pico", _reprice(dialect)))
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER chatkit_{n} AFTER {when} ON chatkit_calls BEGIN {do} END" for n, when, do in steps
        )
    # with the rights of the table's owner: who may only insert calls can neither read nor change the sums of others
    return tuple(
        statement
        for name, when, do in steps
        for statement in (
            f"CREATE FUNCTION chatkit_{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path FROM CURRENT AS $$ BEGIN {do} RETURN NULL; END $$",
            f"CREATE TRIGGER chatkit_{name} AFTER {when} ON chatkit_calls"
            f" FOR EACH ROW EXECUTE FUNCTION chatkit_{name}()",
        )
    )


_SUMMED: dict[str, Any] = {
    **dict.fromkeys(SUMS, Numeric(asdecimal=False)),
    **dict.fromkeys(("calls", "failed", "unpriced", "unbounded"), BigInteger),
    **dict.fromkeys(("audio_seconds", "latency"), Double),
    **dict.fromkeys(("first_seq", "last_seq"), BigInteger),
    **dict.fromkeys(("first_at", "last_at"), Text),
}

ROLLUP = Table(
    "chatkit_rollup",
    MetaData(),
    *(Column(name, Text) for name in KEYS),
    *(Column(name, kind) for name, kind in _SUMMED.items()),
)
