"""Plots, two in one picture: tokens and cost of the same thing.

In: lines or moments. Out: a figure with two axes.
"""

from collections.abc import Sequence
from decimal import Decimal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chatkit.ledger.scope import UsageLine
from chatkit.ledger.series import Moment
from chatkit.plots import bars, style
from chatkit.plots import over_time as over


def side_by_side(lines: Sequence[UsageLine], by: str, *, dark: bool | None = None) -> Figure:
    """Tokens and cost of each model (or session, user …), one above the other; tokens alone where nothing cost anything."""
    if lines and all(line.usage.cost == 0 and not line.usage.unpriced_calls for line in lines):
        return _noted(bars.tokens(lines, by, dark=dark), dark)
    shown = min(len(lines), bars.MOST)
    figure, (first, second) = _two(2 * max(2.2, 1.5 + 0.27 * shown), dark)
    bars.tokens(lines, by, ax=first, dark=dark)
    bars.cost(lines, by, ax=second, dark=dark)
    return figure


def over_time(moments: Sequence[Moment], *, limit: Decimal | None = None, dark: bool | None = None) -> Figure:
    """Tokens and cost, added up since the first call; tokens alone where no call cost anything."""
    if moments and limit is None and over.is_free(moments):
        return _noted(over.tokens(moments, dark=dark), dark)
    figure, (first, second) = _two(5.6, dark)
    over.tokens(moments, ax=first, dark=dark)
    over.cost(moments, limit=limit, ax=second, dark=dark)
    return figure


def _noted(figure: Figure, dark: bool | None) -> Figure:
    """The figure of tokens alone, where there is no cost to draw."""
    style.Canvas(figure.axes[0], style.THEMES[dark]).add_note(over.FREE)
    return figure


def _two(height: float, dark: bool | None) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = style.Picture(height, style.THEMES[dark])
    return figure, (figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2))
