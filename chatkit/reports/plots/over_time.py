"""Plots, over time: tokens and cost added up since the first call, with the line that a budget draws.

In: `Moment`s, in order. Out: figures. Days and hours are those of the local clock.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from dateutil import tz
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator

from chatkit.ledger.queries import Moment
from chatkit.reports.plots import style
from chatkit.reports.plots.style import Canvas

BRIEF = 600 / 86400
"""Days within which seconds are shown."""
LEAST = 2 / 86400
"""Days that are shown at the least."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120)
FREE = "No call cost anything"


def tokens(moments: Sequence[Moment], *, ax: Axes | None = None, dark: bool | None = None) -> Figure:
    """Tokens, added up; the part that is only estimated is hatched, on top."""
    canvas = style.canvas(ax, dark)
    canvas.title("Tokens over time, added up")
    if not moments:
        canvas.empty("No calls yet")
        return canvas.figure
    times, end = _times(canvas, moments)
    whole = list(accumulate(moment.tokens for moment in moments))
    sure = list(accumulate(moment.tokens - moment.estimated_tokens for moment in moments))
    _steps(canvas, (times, end), whole, sure, style.PROMPT)
    unknown = sum(moment.unknown_calls for moment in moments)
    notes = [f"{_calls(unknown)} of unknown usage, not in the sum"] if unknown else []
    if whole[-1] > sure[-1]:
        canvas.axes.fill_between(
            [*times, end],
            [*sure, sure[-1]],
            [*whole, whole[-1]],
            step="post",
            facecolor="none",
            edgecolor=style.PROMPT,
            hatch=style.HATCH,
            linewidth=0,
        )
        notes.insert(0, "hatched: estimated")
    _finish(canvas, "tokens", notes)
    return canvas.figure


def cost(
    moments: Sequence[Moment], *, limit: Decimal | None = None, ax: Axes | None = None, dark: bool | None = None
) -> Figure:
    """Cost in US dollars, added up, and the line of a budget that may not be passed."""
    canvas = style.canvas(ax, dark)
    canvas.title("Cost over time, added up", legend=limit is not None and bool(moments))
    if not moments:
        canvas.empty("No calls yet")
        return canvas.figure
    if limit is None and is_free(moments):
        canvas.empty(FREE)
        return canvas.figure
    times, end = _times(canvas, moments)
    spent = list(accumulate(float(moment.cost) for moment in moments))
    _steps(canvas, (times, end), spent, spent, style.MONEY)
    unpriced = sum(moment.unpriced_calls for moment in moments)
    notes = [f"{_calls(unpriced)} without price, not in the sum"] if unpriced else []
    if is_free(moments):
        notes.append(FREE)
    if limit is not None:
        canvas.axes.axhline(float(limit), color=style.LIMIT, linewidth=1.4, linestyle=(0, (5, 3)))
        canvas.legend(
            [Patch(color=style.MONEY, alpha=0.6), Line2D([], [], color=style.LIMIT, linestyle=(0, (5, 3)))],
            ["spent", f"budget: {style.number(float(limit))} USD"],
        )
    _finish(canvas, "US dollars", notes)
    return canvas.figure


def is_free(moments: Sequence[Moment]) -> bool:
    """Whether it is known of every call that it cost nothing."""
    return all(not moment.cost and not moment.unpriced_calls for moment in moments)


def _steps(
    canvas: Canvas, when: tuple[list[float], float], sums: Sequence[float], filled: Sequence[float], color: str
) -> None:
    """Sums that grow in steps, the last one as far as the right edge, with the area below `filled` of them."""
    times, end = when
    axes = canvas.axes
    axes.fill_between([*times, end], [*filled, filled[-1]], step="post", color=color, alpha=0.35, linewidth=0)
    axes.hlines(sums[-1], times[-1], end, color=color, linewidth=1.6)
    marker = "o" if len(times) <= 60 else ""
    axes.plot(times, sums, drawstyle="steps-post", color=color, linewidth=1.6, marker=marker, markersize=3)


def _times(canvas: Canvas, moments: Sequence[Moment]) -> tuple[list[float], float]:
    """When each of them was, and the right edge, so that the last step has a width; in days."""
    local = tz.gettz() or tz.tzlocal()
    times: list[float] = date2num([moment.at for moment in moments]).tolist()
    span = max(times[-1] - times[0], LEAST)
    end = times[0] + span * 1.04
    canvas.axes.set_xlim(times[0] - span / 25, end)
    if span < BRIEF:
        canvas.axes.xaxis.set_major_locator(_whole_steps(span))
        canvas.axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S", tz=local))
        return times, end
    locator = AutoDateLocator(tz=local, minticks=3, maxticks=7)
    canvas.axes.xaxis.set_major_locator(locator)
    canvas.axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=local))
    return times, end


def _whole_steps(span: float) -> MultipleLocator:
    """Ticks at whole seconds, all of them as far apart."""
    step = next(seconds for seconds in STEPS if round(span * 86400) / seconds <= 5)
    return MultipleLocator(step / 86400)


def _finish(canvas: Canvas, unit: str, notes: list[str]) -> None:
    canvas.axes.set_ylim(bottom=0)
    if canvas.axes.get_ylim()[1] <= 0:
        canvas.axes.set_ylim(0, 1)
    canvas.numbers("y", "" if unit == "tokens" else unit)
    canvas.labels("", unit, notes)
    canvas.axes.xaxis.get_offset_text().set_color(canvas.theme.ink)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
