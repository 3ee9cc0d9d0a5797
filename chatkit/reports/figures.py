"""Reports: which figure answers which question about usage.

In: a store, a scope, the name of a plot. Out: figures of `plots`, drawn from a few hundred sums.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from chatkit.exceptions import InputError
from chatkit.ledger.budget import Budget
from chatkit.ledger.readable import Unread
from chatkit.ledger.scope import Scope, UsageLine
from chatkit.ledger.store import UsageStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FigureKind = Literal[
    "tokens", "cost", "models", "time", "tokens over time", "cost over time", "latency", "context", "audio"
]
BUSIEST = "Context, turn by turn, of the session {}"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Question:
    """What a figure is asked about; `summed` gives the lines of a summary by something."""

    store: UsageStore
    scope: Scope
    summed: Callable[[str], Sequence[UsageLine]]
    by: str = "session"
    limit: Decimal | None = None
    ax: "Axes | None" = None
    dark: bool | None = None

    @property
    def look(self) -> dict[str, Any]:
        """Where and on which ground it is drawn."""
        return {"ax": self.ax, "dark": self.dark}

    @property
    def budget(self) -> Decimal | None:
        """The line to draw: the limit that was given, else a budget's."""
        return budget_line(self.store, self.scope) if self.limit is None else self.limit


def _tokens(asked: Question) -> "Figure":
    from chatkit.reports.plots import bars

    return bars.tokens(asked.summed(asked.by), asked.by, **asked.look)


def _cost(asked: Question) -> "Figure":
    from chatkit.reports.plots import bars

    return bars.cost(asked.summed(asked.by), asked.by, **asked.look)


def _audio(asked: Question) -> "Figure":
    from chatkit.reports.plots import bars

    return bars.audio(asked.summed(asked.by), asked.by, **asked.look)


def _models(asked: Question) -> "Figure":
    from chatkit.reports.plots import bars

    return bars.side_by_side(asked.summed("model"), "model", dark=asked.dark)


def _time(asked: Question) -> "Figure":
    from chatkit.reports.plots import bars

    return bars.over_time(asked.store.moments(**asked.scope), limit=asked.budget, dark=asked.dark)


def _tokens_over_time(asked: Question) -> "Figure":
    from chatkit.reports.plots import over_time

    return over_time.tokens(asked.store.moments(**asked.scope), **asked.look)


def _cost_over_time(asked: Question) -> "Figure":
    from chatkit.reports.plots import over_time

    return over_time.cost(asked.store.moments(**asked.scope), limit=asked.budget, **asked.look)


def _latency(asked: Question) -> "Figure":
    from chatkit.reports.plots import waits

    return waits.latency(asked.store.spread(**asked.scope), **asked.look)


def _context(asked: Question) -> "Figure":
    from chatkit.reports.plots import growth

    one, title = _one_session(asked.scope, asked.summed)
    return growth.context(asked.store.turns(**one), title=title, **asked.look)


@dataclass(frozen=True)
class Plot:
    """One plot: what it shows, who draws it; `parts` is the way out where two parts fit into no single ax."""

    about: str
    draw: Callable[[Question], "Figure"]
    parts: str = ""


PLOTS: Mapping[FigureKind, Plot] = {
    "tokens": Plot("of each session, or `by` another thing", _tokens),
    "cost": Plot("US dollars of each session, or `by` another thing", _cost),
    "models": Plot("tokens and cost of each model", _models, 'Take "tokens" or "cost" with by="model".'),
    "time": Plot("tokens and cost added up", _time, 'Take "tokens over time" or "cost over time".'),
    "tokens over time": Plot("the tokens of these alone", _tokens_over_time),
    "cost over time": Plot("the cost of these alone, where `limit` draws a budget's line", _cost_over_time),
    "latency": Plot("how long calls took", _latency),
    "context": Plot("what each turn of a talk sends along", _context),
    "audio": Plot("minutes of each session, or `by` another thing", _audio),
}
"""Every plot there is; the verb's docstring and the magic's help say what stands here."""


def documented(verb: F) -> F:
    """The verb, whose docstring names every plot where it says {plots}."""
    listed = "\n".join(f'        - "{kind}": {plot.about}' for kind, plot in PLOTS.items())
    verb.__doc__ = (verb.__doc__ or "").replace("        {plots}", listed)
    return verb


def plot(kind: FigureKind, asked: Question) -> "Figure":
    """The figure of this kind. It tells rows that could not be read."""
    found = PLOTS.get(kind)
    if found is None:
        raise InputError(f"There is no plot {kind!r}.", f"Choose one of {', '.join(PLOTS)}.")
    if found.parts and asked.ax is not None:
        raise InputError(f"The plot {kind!r} has two parts and fits into no single ax.", found.parts)
    return marked(found.draw(asked), asked.store.unread(**asked.scope), **asked.look)


def marked(figure: "Figure", unread: Unread, *, ax: "Axes | None" = None, dark: bool | None = None) -> "Figure":
    """The figure, with a note below that tells rows that could not be read."""
    if unread:
        from chatkit.reports.plots import style

        style.Canvas(ax or figure.axes[-1], style.THEMES[dark]).add_note(f"{unread.short}, not drawn")
    return figure


def budget_line(store: UsageStore, scope: Scope) -> Decimal | None:
    """What may be spent on these calls together: of one session, or of today."""
    limit = Budget(store).limit
    if limit is None:
        return None
    since = scope.get("since")
    today = since is not None and since.astimezone().date() == date.today()
    return limit.amount if (scope.get("session") is not None if limit.per == "session" else today) else None


def _one_session(scope: Scope, summed: Callable[[str], Sequence[UsageLine]]) -> tuple[Scope, str]:
    """The scope, narrowed to the session with the most calls if it has several."""
    if scope.get("session") is not None:
        return scope, ""
    sessions = summed("session")
    if len(sessions) < 2:
        return scope, ""
    busiest = max(sessions, key=lambda line: line.usage.calls).key[0]
    return {**scope, "session": busiest}, BUSIEST.format(busiest)
