"""Questions to the store: sums over its table of sums, and series over time, by turn, by wait.

In: a connection, a `Scope`, what to group by. Out: `UsageLine`s. Where a scope begins or ends amid a quarter of an
hour, that quarter is summed from its calls, so that no answer is rounded. Where there are rows that cannot be read,
the lines that they are part of are summed from the other calls, so that they are in no answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from chatkit import typed
from chatkit.ledger.readable import LISTED, Unread, unread_row
from chatkit.ledger.record import NOTHING, Known, Usage
from chatkit.ledger.rollup import KEYS, PROBE, SPAN, SUMS, columns
from chatkit.ledger.rows import NAMES, dollars, moment
from chatkit.ledger.schema import statement
from chatkit.ledger.scope import Grouping, Scope, UsageLine

MODEL = "COALESCE(NULLIF(answered_model, ''), model)"
ENDPOINT = "host || path"
GROUPINGS: dict[Grouping, str] = {
    "session": "session",
    "model": MODEL,
    "endpoint": ENDPOINT,
    "user": "caller",
    "lesson": "lesson",
    "exercise": "exercise",
    "quarter": "period",
}
"""What can be grouped by. A model is the one that answered, else the one asked."""

_TOKENS: tuple[Any, ...] = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_NAMES = (*KEYS, *SUMS, *SPAN)
_FROM_CALLS = ", ".join(f"{value} AS {name}" for name, value in columns("one").items())
_TEXT = {
    "session": "session = :session",
    "model": "(model = :model OR answered_model = :model)",
    "endpoint": f"{ENDPOINT} = :endpoint",
    "user": "caller = :user",
    "lesson": "lesson = :lesson",
    "exercise": "exercise = :exercise",
    "tag": "session IN (SELECT session FROM chatkit_tags WHERE tag = :tag)",
}
_SUMMED = ", ".join(
    [f"SUM({name}) AS {name}" for name in SUMS]
    + [f"{'MIN' if name.startswith('first') else 'MAX'}({name}) AS {name}" for name in SPAN]
)


def lines(
    connection: sa.Connection, by: tuple[Grouping, ...], scope: Scope, rename: Callable[[str], str] = str
) -> list[UsageLine]:
    """One line for each group that has calls, in the order of their first calls.

    `rename` makes one group of all whose last key it gives the same name.
    """
    keys = [f"{GROUPINGS[name]} AS key_{number}" for number, name in enumerate(by)]
    groups = [*(f"key_{number}" for number in range(len(by))), "known"]
    source, values = summed_from(connection, scope)
    query = f"SELECT {', '.join([*keys, 'known', _SUMMED])} FROM ({source}) AS one GROUP BY {', '.join(groups)}"
    rows: Iterable[Any] = connection.execute(sa.text(query), values)
    if rename is not str:
        rows = _folded(rows, len(by), rename)
    found: dict[tuple[str, ...], UsageLine] = {}
    for row in sorted(rows, key=lambda row: row[-4]):
        line = _line(tuple(row[: len(by)]), row[len(by) :])
        found[line.key] = found[line.key] + line if line.key in found else line
    return list(found.values())


def _folded(rows: Iterable[Any], keys: int, rename: Callable[[str], str]) -> list[list[Any]]:
    """The rows added up by their new names, before anything dearer is made of them."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        key = (*row[: keys - 1], rename(row[keys - 1]), row[keys])
        old = found.get(key)
        if old is None:
            found[key] = [*key, *row[keys + 1 :]]
            continue
        for place in range(len(key), len(row) - 4):
            if (more := row[place]) is not None:
                old[place] = more if old[place] is None else old[place] + more
        old[-4:] = min(old[-4], row[-4]), max(old[-3], row[-3]), min(old[-2], row[-2]), max(old[-1], row[-1])
    return list(found.values())


def total(connection: sa.Connection, scope: Scope) -> Usage:
    """The sum over the calls of the scope, as `record.total` would make it."""
    return next((line.usage for line in lines(connection, (), scope)), NOTHING)


def matching(connection: sa.Connection, scope: Scope) -> tuple[str, dict[str, Any]]:
    """The condition on `chatkit_calls` that chooses the calls of the scope that can be read, and its values."""
    clauses, values = _matching(scope)
    times, since = _between(scope)
    sound = [] if is_sound(connection) else [_sql(connection, "{readable}")]
    return " AND ".join([*clauses, *times, *sound]) or "1 = 1", values | since


def unread(connection: sa.Connection, scope: Scope) -> Unread:
    """The calls of the scope that cannot be read; one whose time cannot be, is of any time."""
    clauses, values = _matching(scope)
    times, since = _between(scope)
    if times:
        clauses.append(f"({' AND '.join(times)} OR {_sql(connection, '{timeless}')})")
    chosen = f"FROM chatkit_calls WHERE {' AND '.join([*clauses, _sql(connection, '{unreadable}')])}"
    values |= since
    count = connection.execute(sa.text(f"SELECT COUNT(*) {chosen}"), values).scalar_one()
    if not count:
        return Unread()
    query = sa.text(f"SELECT {', '.join(NAMES)} {chosen} ORDER BY seq LIMIT {LISTED}")
    return Unread(count, tuple(unread_row(dict(row._mapping)) for row in connection.execute(query, values)))


def is_sound(connection: sa.Connection) -> bool:
    """Whether every row can be read and every line of sums is one that they add up to."""
    return connection.execute(_probe(connection.dialect.name)).first() is None


@cache
def _probe(dialect: str) -> sa.TextClause:
    return sa.text(statement(PROBE, dialect))


def _sql(connection: sa.Connection, text: str) -> str:
    return statement(text, connection.dialect.name)


def _between(scope: Scope) -> tuple[list[str], dict[str, Any]]:
    given = {name: scope.get(name) for name in ("since", "until")}
    chosen = {name: moment(cast(datetime, at)) for name, at in given.items() if at is not None}
    return [f"at {'>=' if name == 'since' else '<'} :{name}" for name in chosen], chosen


def _matching(scope: Scope) -> tuple[list[str], dict[str, Any]]:
    given = {name: scope.get(name) for name in _TEXT}
    chosen = {name: typed.name(value, name) for name, value in given.items() if value is not None}
    return [_TEXT[name] for name in chosen], chosen


def summed_from(connection: sa.Connection, scope: Scope) -> tuple[str, dict[str, Any]]:
    """The select that has the scope's sums, of whole quarters and of the calls at its edges, and its values."""
    clauses, values = _matching(scope)
    since, until = (moment(at) if at else "" for at in (scope.get("since"), scope.get("until")))
    begin, end = _next_quarter(since) if since else "", until[:14] + _quarter(until) if until else ""
    if since and until and begin > end:  # not one whole quarter
        where, values = matching(connection, scope)
        return f"SELECT {_FROM_CALLS} FROM chatkit_calls AS one WHERE {where}", values
    sound = is_sound(connection)
    bounds = [("{period} >= :begin", begin), ("{period} < :end", end)]
    values |= {"begin": begin, "end": end, "since": since, "until": until}
    whole = [*clauses, *(clause for clause, bound in bounds if bound)]
    readable = [] if sound else [_sql(connection, "{readable}")]
    lines = [clause.format(period="period") for clause in whole] + ([] if sound else [_not_spoilt(connection)])
    parts = [f"SELECT {', '.join(_NAMES)} FROM chatkit_rollup AS one WHERE {' AND '.join(lines) or '1 = 1'}"]
    if not sound:
        calls = [*(clause.format(period=_PERIOD) for clause in whole), *readable, _spoilt(connection)]
        parts.append(f"SELECT {_FROM_CALLS} FROM chatkit_calls AS one WHERE {' AND '.join(calls)}")
    edges = [("at >= :since AND at < :begin", since and since[:16] < begin)]
    edges += [("at >= :end AND at < :until", bool(until))]
    for edge, needed in edges:
        if needed:
            where = " AND ".join([*clauses, *readable, edge])
            parts.append(f"SELECT {_FROM_CALLS} FROM chatkit_calls AS one WHERE {where}")
    used = " ".join(parts)
    return " UNION ALL ".join(parts), {name: value for name, value in values.items() if f":{name}" in used}


_PERIOD = f"({columns('one')['period']})"


def _spoilt(connection: sa.Connection) -> str:
    """The condition on a call whose line of sums cannot be used."""
    return f"(session, {_PERIOD}) IN ({_spoilt_lines(connection)})"


def _not_spoilt(connection: sa.Connection) -> str:
    """The condition on a line of sums that can be used."""
    return f"(session, period) NOT IN ({_spoilt_lines(connection)})"


def _spoilt_lines(connection: sa.Connection) -> str:
    period = columns("bad")["period"]
    return _sql(
        connection,
        f"SELECT session, {period} FROM chatkit_calls AS bad WHERE {{unreadable}}"
        " UNION SELECT session, period FROM chatkit_rollup WHERE {unsound_keys}"
        " UNION SELECT session, period FROM chatkit_rollup WHERE {unsound_sums}",
    )


def _quarter(at: str) -> str:
    return f"{int(at[14:16]) // 15 * 15:02}"


def _next_quarter(at: str) -> str:
    """The first quarter that begins at `at` or later."""
    begun = at[:14] + _quarter(at)
    if at == f"{begun}:00.000000Z":
        return begun
    later = datetime.fromisoformat(f"{begun}:00+00:00").timestamp() + 900
    return moment(datetime.fromtimestamp(later, UTC))[:16]


def _line(key: tuple[str, ...], row: Sequence[Any]) -> UsageLine:
    known: Known = row[0]
    one = dict(zip((*SUMS, *SPAN), row[1:], strict=True))
    calls, unpriced = int(one["calls"]), int(one["unpriced"])
    usage = Usage(
        **{name: _int(one[name]) for name in _TOKENS},
        audio_seconds=one["audio_seconds"],
        cost=None if unpriced == calls else dollars(int(one["cost_pico"])),
        known=known,
        calls=calls,
        unknown_calls=calls if known == "unknown" else 0,
        estimated_calls=calls if known == "estimated" else 0,
        unpriced_calls=unpriced,
    )
    estimated = usage if known == "estimated" else NOTHING
    first, last = (datetime.fromisoformat(one[name]) for name in ("first_at", "last_at"))
    return UsageLine(key, usage, estimated, int(one["failed"]), one["latency"], first, last)


def _int(number: Any) -> int | None:
    return None if number is None else int(number)


FEW = 2000
"""Calls up to which each is a point over time; of more, a quarter of an hour is one."""
TURNS = 400
"""Points of a talk; of more turns, the largest of several neighbours is one."""
MANY, SAMPLE = 100_000, 25_000
"""Calls from which on waits are those of a sample, and how large it is at the least."""
EACH = (
    "WITH RECURSIVE chosen(number) AS (SELECT CAST(:first AS BIGINT) UNION ALL"
    " SELECT number + :every FROM chosen WHERE number + :every <= :last)"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What calls used at a time: of one call, or of a quarter of an hour."""

    at: datetime
    tokens: int
    estimated_tokens: int
    cost: Decimal
    calls: int = 1
    unknown_calls: int = 0
    unpriced_calls: int = 0


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """What one turn of a talk sent and got; `number` counts from 1."""

    number: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Call:
    """The tokens of one call; 0 where `known` is unknown."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    known: Known


@dataclass(frozen=True, slots=True)
class Spread:
    """How long calls took: pairs of seconds (to three digits) and how many calls took so long.

    `every` is 1, or n where only every nth call was looked at.
    """

    latencies: Sequence[tuple[float, int]]
    first_tokens: Sequence[tuple[float, int]]
    every: int = 1


def moments(connection: sa.Connection, scope: Scope) -> list[Moment]:
    """Usage over time, in the order of time."""
    if _span(connection, scope).calls > FEW:
        return _quarters(connection, scope)
    where, values = matching(connection, scope)
    query = (
        "SELECT at, prompt_tokens, completion_tokens, cost_pico, known FROM chatkit_calls"
        f" WHERE {where} ORDER BY at, seq"
    )
    return [_moment(row) for row in connection.execute(sa.text(query), values)]


def _moment(row: Any) -> Moment:
    tokens = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
    return Moment(
        datetime.fromisoformat(row.at),
        tokens,
        tokens if row.known == "estimated" else 0,
        dollars(row.cost_pico) or Decimal(0),
        1,
        int(row.known == "unknown"),
        int(row.cost_pico is None),
    )


def _quarters(connection: sa.Connection, scope: Scope) -> list[Moment]:
    return [
        Moment(
            line.last or datetime.fromisoformat(f"{line.key[0]}+00:00"),
            line.usage.total_tokens or 0,
            line.estimated.total_tokens or 0,
            line.usage.cost or Decimal(0),
            line.usage.calls,
            line.usage.unknown_calls,
            line.usage.unpriced_calls,
        )
        for line in sorted(lines(connection, ("quarter",), scope), key=lambda line: line.key)
    ]


def latest(connection: sa.Connection, scope: Scope, count: int) -> list[Call]:
    """The last calls that were written, in the order in which they were."""
    where, values = matching(connection, scope)
    query = (
        "SELECT prompt_tokens, cached_tokens, completion_tokens, known FROM chatkit_calls"
        f" WHERE {where} ORDER BY seq DESC LIMIT {int(count)}"
    )
    rows = list(connection.execute(sa.text(query), values))
    return [Call(r.prompt_tokens or 0, r.cached_tokens or 0, r.completion_tokens or 0, r.known) for r in reversed(rows)]


def turns(connection: sa.Connection, scope: Scope) -> list[TurnUsage]:
    """The turns of a talk that carried tokens, in the order in which they were written."""
    where, values = matching(connection, scope)
    chosen = f"FROM chatkit_calls WHERE {where} AND prompt_tokens > 0 AND completion_tokens IS NOT NULL"
    count = connection.execute(sa.text(f"SELECT COUNT(*) {chosen}"), values).scalar_one()
    wide = max(1, -(-count // TURNS))
    query = (
        "SELECT (number - 1) / :wide AS place, MAX(number) AS number, MAX(prompt_tokens) AS prompt,"
        " MAX(COALESCE(cached_tokens, 0)) AS cached, MAX(completion_tokens) AS completion,"
        " MAX(CASE WHEN known = 'estimated' THEN 1 ELSE 0 END) AS estimated FROM"
        " (SELECT ROW_NUMBER() OVER (ORDER BY seq) AS number, prompt_tokens, cached_tokens, completion_tokens, known"
        f" {chosen}) AS one GROUP BY 1 ORDER BY 1"
    )
    rows = connection.execute(sa.text(query), values | {"wide": wide})
    return [TurnUsage(r.number, r.prompt, r.cached, r.completion, bool(r.estimated)) for r in rows]


def spread(connection: sa.Connection, scope: Scope) -> Spread:
    """How long the calls took that did not fail, and how long their first tokens; of very many, a sample's."""
    where, values = matching(connection, scope)
    whole = _span(connection, scope)
    source, every = "chatkit_calls", int(whole.calls) // SAMPLE if whole.calls > MANY else 1
    if every > 1:
        values |= {"first": whole.first, "last": whole.last, "every": every}
        source = "chosen JOIN chatkit_calls ON seq = number"
    found = []
    for name in ("latency", "first_token"):
        step = f"CASE WHEN {name} < 1 THEN 1000 WHEN {name} < 10 THEN 100 ELSE 10 END"
        query = (
            f"{EACH if every > 1 else ''} SELECT CAST({name} * {step} AS INTEGER) * 1.0 / ({step}) AS seconds, COUNT(*) AS calls"
            f" FROM {source} WHERE {where} AND outcome <> 'error' AND {name} IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        found.append([(float(row.seconds), int(row.calls)) for row in connection.execute(sa.text(query), values)])
    return Spread(found[0], found[1], every)


def _span(connection: sa.Connection, scope: Scope) -> Any:
    source, values = summed_from(connection, scope)
    query = f"SELECT COALESCE(SUM(calls), 0) AS calls, MIN(first_seq) AS first, MAX(last_seq) AS last FROM ({source}) AS one"
    return connection.execute(sa.text(query), values).one()
