"""Plots, bars: tokens, cost and minutes of audio by session, model, user and the like, one or two in a picture.

In: `UsageLine`s, one for each bar. Out: figures. Of many, the largest are drawn and the rest is said in words; what is
estimated is hatched, what is unknown is said.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chatkit.ledger.queries import Moment
from chatkit.ledger.record import Usage
from chatkit.ledger.scope import UsageLine
from chatkit.reports.plots import over_time as over
from chatkit.reports.plots import style
from chatkit.reports.plots.style import Canvas

MOST = 20
"""Bars that are drawn; a bar of all the others would leave no room for these."""

BarPart = tuple[str, str, Callable[[Usage], float]]

TOKENS: tuple[BarPart, ...] = (
    ("prompt", style.PROMPT, lambda usage: (usage.prompt_tokens or 0) - (usage.cached_tokens or 0)),
    ("cached prompt", style.CACHED, lambda usage: usage.cached_tokens or 0),
    ("completion", style.COMPLETION, lambda usage: (usage.completion_tokens or 0) - (usage.reasoning_tokens or 0)),
    ("reasoning", style.REASONING, lambda usage: usage.reasoning_tokens or 0),
)
COST: tuple[BarPart, ...] = (("cost", style.MONEY, lambda usage: float(usage.cost or 0)),)
AUDIO: tuple[BarPart, ...] = (("audio", style.SECOND, lambda usage: (usage.audio_seconds or 0) / 60),)


def tokens(
    lines: Sequence[UsageLine], by: str = "session", *, ax: Axes | None = None, dark: bool | None = None
) -> Figure:
    """Tokens of each session (or model, user …), stacked: prompt, cached prompt, completion, reasoning."""
    return _bars(lines, by, TOKENS, f"Tokens per {by}", "tokens", _unknown, ax, dark)


def cost(
    lines: Sequence[UsageLine], by: str = "session", *, ax: Axes | None = None, dark: bool | None = None
) -> Figure:
    """Cost of each session (or model, user …) in US dollars; calls without a price are named, not drawn as 0."""
    return _bars(lines, by, COST, f"Cost per {by}", "US dollars", _unpriced, ax, dark)


def audio(
    lines: Sequence[UsageLine], by: str = "session", *, ax: Axes | None = None, dark: bool | None = None
) -> Figure:
    """Minutes of audio of each session (or model, user …)."""
    heard = [line for line in lines if line.usage.audio_seconds]
    return _bars(heard, by, AUDIO, f"Audio per {by}", "minutes", lambda _: "", ax, dark, "No audio yet")


def is_free(lines: Sequence[UsageLine]) -> bool:
    """Whether it is known of every call that it cost nothing."""
    return all(line.usage.cost == 0 and not line.usage.unpriced_calls for line in lines)


def _bars(lines: Sequence[UsageLine], by: str, parts: Sequence[BarPart], title: str, unit: str, left_out: Callable[[Usage], str],
          ax: Axes | None, dark: bool | None, nothing: str = "No calls yet") -> Figure:  # fmt: skip
    shown, rest = _largest(lines, parts)
    canvas = style.canvas(ax, dark, height=max(2.2, 1.5 + 0.27 * len(shown)))
    used = [part for part in parts if any(part[2](line.usage) for line in shown)]
    canvas.title(title, legend=len(used) > 1)
    if not shown:
        canvas.empty(nothing)
        return canvas.figure
    canvas.axes.grid(axis="y", visible=False)
    ends = _draw(canvas, shown, used)
    said = [left_out(line.usage) for line in shown]
    for place, (end, words) in enumerate(zip(ends, said, strict=True)):
        canvas.note(end, place, f"+ {words}" if words and end else words)
    canvas.names(list(range(len(shown))), [line.key[0] or f"(no {by})" for line in shown])
    canvas.numbers("x", "" if unit == "tokens" else unit)
    if not any(ends):
        canvas.without_scale("x")
    canvas.axes.set_xlim(0, max(*ends, 0 if any(ends) else 1) * (1.35 if any(said) else 1.05))
    notes = ["hatched: estimated"] if any(line.estimated.calls for line in shown) else []
    if rest:
        size = sum(part[2](line.usage) for line in rest for part in parts)
        notes.append(f"{len(rest):,} more, each below the least shown: {style.number(size)} {unit} together")
    canvas.labels(unit, "", notes)
    if len(used) > 1:
        canvas.legend([Patch(color=color) for _, color, _ in used], [name for name, _, _ in used])
    return canvas.figure


def _draw(canvas: Canvas, lines: Sequence[UsageLine], parts: Sequence[BarPart]) -> list[float]:
    """Draw all bars part by part, of each the measured share first; gives where they end."""
    ends = [0.0] * len(lines)
    for _, color, size in parts:
        guessed = [size(line.estimated) if line.estimated.calls else 0.0 for line in lines]
        sure = [size(line.usage) - guess for line, guess in zip(lines, guessed, strict=True)]
        for widths, look in ((sure, style.solid(color)), (guessed, style.hatched(color))):
            if any(widths):
                canvas.axes.barh(range(len(lines)), widths, 0.7, ends, **look)
                ends = [end + width for end, width in zip(ends, widths, strict=True)]
    return ends


def _largest(lines: Sequence[UsageLine], parts: Sequence[BarPart]) -> tuple[list[UsageLine], list[UsageLine]]:
    """All lines as they come; of too many, the largest first, and the others."""
    if len(lines) <= MOST:
        return list(lines), []
    order = sorted(lines, key=lambda line: -sum(size(line.usage) for *_, size in parts))
    return order[:MOST], order[MOST:]


def _unknown(usage: Usage) -> str:
    return f"{usage.unknown_calls:,} of unknown usage" if usage.unknown_calls else ""


def _unpriced(usage: Usage) -> str:
    if usage.unpriced_calls:
        return f"{usage.unpriced_calls:,} call{'' if usage.unpriced_calls == 1 else 's'} without price"
    return "free" if usage.cost == 0 else ""


def side_by_side(lines: Sequence[UsageLine], by: str, *, dark: bool | None = None) -> Figure:
    """Tokens and cost of each model (or session, user …), one above the other; tokens alone where nothing cost anything."""
    if lines and is_free(lines):
        return _noted(tokens(lines, by, dark=dark), dark)
    shown = min(len(lines), MOST)
    figure, (first, second) = _two(2 * max(2.2, 1.5 + 0.27 * shown), dark)
    tokens(lines, by, ax=first, dark=dark)
    cost(lines, by, ax=second, dark=dark)
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
