"""Plots, waits: how long calls took, and how long until their first token.

In: a `Spread`. Out: a figure. Seconds run by powers of ten, for a wait is felt by its multiples.
"""

from collections.abc import Sequence
from math import ceil, floor, log10

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from chatkit.ledger.queries import Spread
from chatkit.reports.plots import style

BINS = 12
"""Bars for each power of ten."""
SHORTEST = 0.001

Times = Sequence[tuple[float, int]]


def latency(spread: Spread, *, ax: Axes | None = None, dark: bool | None = None) -> Figure:
    """The distribution of latency and of time to first token, with their medians and 95th percentiles."""
    canvas = style.canvas(ax, dark)
    kinds = [("first token", style.COMPLETION, spread.first_tokens), ("whole answer", style.PROMPT, spread.latencies)]
    kinds = [kind for kind in kinds if kind[2]]
    canvas.title("How long calls took", legend=bool(kinds))
    if not kinds:
        canvas.empty("No calls yet")
        return canvas.figure
    axes = canvas.axes
    notes = [f"from one call in {spread.every:,}"] if spread.every > 1 else []
    axes.set_xscale("log")
    for name, color, times in kinds:
        bars = _binned(times)
        axes.bar(
            [10 ** (place / BINS) for place in bars], list(bars.values()), align="edge", color=color, alpha=0.6,
            width=[10 ** ((place + 1) / BINS) - 10 ** (place / BINS) for place in bars],
        )  # fmt: skip
        middle, most = percentile(times, 0.5), percentile(times, 0.95)
        axes.axvline(middle, color=color, linewidth=1.6)
        axes.axvline(most, color=color, linewidth=1.2, linestyle=(0, (2, 2)))
        notes.append(f"{name}: half within {_seconds(middle)}, 95 % within {_seconds(most)}")
    seen = [seconds for *_, times in kinds for seconds, _ in times]
    _scale(axes, max(min(seen), SHORTEST), max(seen))
    canvas.numbers("y")
    canvas.labels("seconds", "calls", notes)
    canvas.legend([Patch(color=color, alpha=0.6) for _, color, _ in kinds], [name for name, *_ in kinds])
    return canvas.figure


def percentile(times: Times, share: float) -> float:
    """The seconds within which this share of the calls ended.

    >>> percentile([(0.5, 8), (2.0, 2)], 0.5), percentile([(0.5, 8), (2.0, 2)], 0.95)
    (0.5, 2.0)
    """
    left = share * sum(calls for _, calls in times)
    for seconds, calls in times:
        left -= calls
        if left <= 0:
            return seconds
    return times[-1][0]


def _binned(times: Times) -> dict[int, int]:
    bars: dict[int, int] = {}
    for seconds, calls in times:
        place = floor(log10(max(seconds, SHORTEST)) * BINS + 1e-9)
        bars[place] = bars.get(place, 0) + calls
    return bars


def _scale(axes: Axes, least: float, most: float) -> None:
    low, high = floor(log10(least)), ceil(log10(most * 1.0001))
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in (1, 2, 5)]
    axes.set_xlim(least * 0.8, most * 1.3)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if least * 0.8 <= tick <= most * 1.3]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
