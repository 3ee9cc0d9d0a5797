"""What has gone of a budget, by the calls of this user: their sums, and the worst of rows that cannot be read.

In: a transaction, the budget, a session. Out: 1e-12 US dollars, and how many calls have no bound. A row that cannot be
read counts with the most that it says, and never below 0: nothing that is written makes room.
"""

from typing import Any

from chatkit.ledger.functions import RunStatement
from chatkit.ledger.rollup import PROBE, columns
from chatkit.ledger.rows import LARGEST, moment, text
from chatkit.ledger.rules import Limit, day_begins

_SUMS = "SELECT COALESCE(SUM(at_most_pico), 0), COALESCE(SUM(unbounded), 0) FROM chatkit_rollup WHERE owner = {owner}"
_ADDED = (
    f"SELECT COALESCE(SUM({columns('one')['at_most_pico']}), 0), COALESCE(SUM({columns('one')['unbounded']}), 0)"
    " FROM chatkit_calls AS one WHERE owner = {owner} AND {readable}"
)
_UNREAD = "SELECT cost_pico, at_most_pico FROM chatkit_calls WHERE owner = {owner} AND {unreadable}"
_IN_SESSION = " AND session = :session"


def spent(run: RunStatement, limit: Limit, session: str) -> tuple[int, int]:
    """What has gone of the limit in this session, or on this day, and how many calls without a bound are beside it."""
    daily = limit.per == "day"
    values = {"since": moment(day_begins())[:16]} if daily else {"session": text(session)}
    if not run(PROBE):
        [(pico, unbounded)] = run(_SUMS + (" AND period >= :since" if daily else _IN_SESSION), **values)
        return int(pico), int(unbounded)
    [(pico, unbounded)] = run(_ADDED + (" AND at >= :since" if daily else _IN_SESSION), **values)
    unread = run(_UNREAD + (" AND (at >= :since OR {timeless})" if daily else _IN_SESSION), **values)
    worst = [_worst(row) for row in unread]
    known = [pico for pico in worst if pico is not None]
    return int(pico) + sum(known), int(unbounded) + len(worst) - len(known)


def _worst(row: Any) -> int | None:
    """The most that a row can have cost by what it says; None if it says nothing that can be so."""
    said = [value for value in row if isinstance(value, int | float) and value > 0]
    return int(min(max(said), LARGEST)) if said else None
