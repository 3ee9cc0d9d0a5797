"""Questions to the store that are answered by a series: over time, turn by turn, by how long a call took.

In: a connection and a `Scope`. Out: a few hundred points, whatever the number of rows; the database makes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from chatkit.ledger.record import Known
from chatkit.ledger.rows import dollars
from chatkit.ledger.scope import Scope
from chatkit.ledger.sums import lines, matching, summed_from

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
