"""Readings: which figure answers which question about usage.

In: a store, a scope, the name of a plot. Out: figures of `plots`, drawn from a few hundred sums.
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from chatkit.exceptions import InputError
from chatkit.ledger.budget import Budget
from chatkit.ledger.readable import Unread
from chatkit.ledger.scope import Line, Scope
from chatkit.ledger.store import UsageStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["tokens", "cost", "models", "time", "tokens over time", "cost over time", "latency", "context", "audio"]
BUSIEST = "Context, turn by turn, of the session {}"


def plot(
    store: UsageStore,
    scope: Scope,
    kind: Kind,
    summed: Callable[[str], Sequence[Line]],
    *,
    by: str = "session",
    limit: Decimal | None = None,
    ax: "Axes | None" = None,
    dark: bool | None = None,
) -> "Figure":
    """The figure of this kind; `summed` gives the lines of a summary. It tells rows that could not be read."""
    drawn = _drawn(store, scope, kind, summed, by=by, limit=limit, ax=ax, dark=dark)
    return marked(drawn, store.unread(**scope), ax=ax, dark=dark)


def marked(figure: "Figure", unread: Unread, *, ax: "Axes | None" = None, dark: bool | None = None) -> "Figure":
    """The figure, with a note below that tells rows that could not be read."""
    if unread:
        from chatkit.plots import style

        style.Canvas(ax or figure.axes[-1], style.THEMES[dark]).add_note(f"{unread.short}, not drawn")
    return figure


def _drawn(
    store: UsageStore,
    scope: Scope,
    kind: Kind,
    summed: Callable[[str], Sequence[Line]],
    *,
    by: str,
    limit: Decimal | None,
    ax: "Axes | None",
    dark: bool | None,
) -> "Figure":
    from chatkit.plots import bars, growth, over_time, panels, waits

    look: dict[str, Any] = {"ax": ax, "dark": dark}
    limit = limit if limit is not None else budget_line(store, scope)
    if kind in ("models", "time") and ax is not None:
        raise InputError(f"The plot {kind!r} has two parts and fits into no single ax.", _TWO[kind])
    if kind == "tokens":
        return bars.tokens(summed(by), by, **look)
    if kind == "cost":
        return bars.cost(summed(by), by, **look)
    if kind == "audio":
        return bars.audio(summed(by), by, **look)
    if kind == "models":
        return panels.side_by_side(summed("model"), "model", dark=dark)
    if kind == "time":
        return panels.over_time(store.moments(**scope), limit=limit, dark=dark)
    if kind == "tokens over time":
        return over_time.tokens(store.moments(**scope), **look)
    if kind == "cost over time":
        return over_time.cost(store.moments(**scope), limit=limit, **look)
    if kind == "latency":
        return waits.latency(store.spread(**scope), **look)
    if kind == "context":
        one, title = _one_session(scope, summed)
        return growth.context(store.turns(**one), title=title, **look)
    raise InputError(f"There is no plot {kind!r}.", f"Choose one of {', '.join(get_args(Kind))}.")


def budget_line(store: UsageStore, scope: Scope) -> Decimal | None:
    """What may be spent on these calls together: of one session, or of today."""
    limit = Budget(store).limit
    if limit is None:
        return None
    since = scope.get("since")
    today = since is not None and since.astimezone().date() == date.today()
    return limit.amount if (scope.get("session") is not None if limit.per == "session" else today) else None


_TWO = {
    "models": 'Take "tokens" or "cost" with by="model".',
    "time": 'Take "tokens over time" or "cost over time".',
}


def _one_session(scope: Scope, summed: Callable[[str], Sequence[Line]]) -> tuple[Scope, str]:
    """The scope, narrowed to the session with the most calls if it has several."""
    if scope.get("session") is not None:
        return scope, ""
    sessions = summed("session")
    if len(sessions) < 2:
        return scope, ""
    busiest = max(sessions, key=lambda line: line.usage.calls).key[0]
    return {**scope, "session": busiest}, BUSIEST.format(busiest)
