"""Plots, growth: what each request of a talk sends along, which is why a long chat gets dear.

In: `TurnUsage`s, in order. Out: a figure.
"""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chatkit.ledger.queries import TurnUsage
from chatkit.reports.plots import style
from chatkit.reports.plots.style import Canvas

BARS = 80
"""Turns up to which each is a bar; more are an area."""

GrowthPart = tuple[str, str, list[int]]


def context(turns: Sequence[TurnUsage], *, title: str = "", ax: Axes | None = None, dark: bool | None = None) -> Figure:
    """Prompt tokens (new and cached) and completion tokens of each turn; estimated turns are hatched."""
    canvas = style.canvas(ax, dark)
    canvas.title(title or "Context, turn by turn", legend=bool(turns))
    if not turns:
        canvas.empty("No turns yet")
        return canvas.figure
    parts: list[GrowthPart] = [
        ("prompt", style.PROMPT, [turn.prompt_tokens - turn.cached_tokens for turn in turns]),
        ("cached prompt", style.CACHED, [turn.cached_tokens for turn in turns]),
        ("completion", style.COMPLETION, [turn.completion_tokens for turn in turns]),
    ]
    parts = [part for part in parts if any(part[2])]
    (_bars if len(turns) <= BARS else _areas)(canvas, turns, parts)
    canvas.numbers("y")
    canvas.numbers("x")
    width = _width(turns)
    canvas.axes.set_xlim(turns[0].number - 0.6 * width, turns[-1].number + 0.6 * width)
    for turn in _drops(turns):
        canvas.axes.axvline(turn.number - 0.5, color=canvas.theme.ink, linewidth=1, linestyle=(0, (1, 2)))
    canvas.axes.set_ylim(bottom=0)
    canvas.labels("turn", "tokens", _notes(turns))
    canvas.legend([Patch(color=color) for _, color, _ in parts], [name for name, *_ in parts])
    return canvas.figure


def _bars(canvas: Canvas, turns: Sequence[TurnUsage], parts: Sequence[GrowthPart]) -> None:
    below = [0] * len(turns)
    for _, color, sizes in parts:
        for estimated, look in ((False, style.solid(color)), (True, style.hatched(color))):
            heights = [size * (turn.estimated == estimated) for turn, size in zip(turns, sizes, strict=True)]
            if any(heights):
                canvas.axes.bar([turn.number for turn in turns], heights, 0.8, below, **look)
        below = [base + size for base, size in zip(below, sizes, strict=True)]


def _areas(canvas: Canvas, turns: Sequence[TurnUsage], parts: Sequence[GrowthPart]) -> None:
    numbers = [turn.number for turn in turns]
    below = [0] * len(turns)
    for _, color, sizes in parts:
        top = [base + size for base, size in zip(below, sizes, strict=True)]
        canvas.axes.fill_between(numbers, below, top, step="mid", color=color, linewidth=0)
        below = top


def _notes(turns: Sequence[TurnUsage]) -> list[str]:
    estimated = sum(turn.estimated for turn in turns)
    if len(turns) > BARS:
        notes = [f"{estimated} of the points are estimates"] if estimated else []
        return [*notes, *([f"each point is the largest of {_width(turns):,} turns"] if _width(turns) > 1 else [])]
    notes = ["hatched: estimated"] if estimated else []
    if len(turns) > 1:
        sent, last = sum(turn.prompt_tokens for turn in turns), turns[-1].prompt_tokens
        notes.append(f"sent in all: {style.number(sent)} tokens; by the last turn alone: {style.number(last)}")
    if _drops(turns):
        notes.append("dotted: less was sent than before, so another talk begins, or turns are left out")
    return notes


def _drops(turns: Sequence[TurnUsage]) -> list[TurnUsage]:
    """Where a talk cannot have gone on as it was: its next request sends all that was sent before."""
    if len(turns) > BARS:
        return []
    return [turn for before, turn in pairwise(turns) if turn.prompt_tokens < before.prompt_tokens]


def _width(turns: Sequence[TurnUsage]) -> int:
    return turns[1].number - turns[0].number if len(turns) > 1 else 1
