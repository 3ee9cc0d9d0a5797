"""Plots, growth: what each turn of a talk sends along, which is why a long chat gets dear.

In: `Turn`s, in order. Out: a figure.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chatkit.ledger.series import Turn
from chatkit.plots import style


def context(turns: Sequence[Turn], *, title: str = "", ax: Axes | None = None, dark: bool | None = None) -> Figure:
    """Prompt tokens (new and cached) and completion tokens of each turn; estimated turns are hatched."""
    canvas = style.canvas(ax, dark)
    canvas.title(title or "Context, turn by turn")
    if not turns:
        canvas.empty("No turns yet")
        return canvas.figure
    width = turns[1].number - turns[0].number if len(turns) > 1 else 1
    parts = [
        ("prompt", style.PROMPT, [turn.prompt_tokens - turn.cached_tokens for turn in turns]),
        ("cached prompt", style.CACHED, [turn.cached_tokens for turn in turns]),
        ("completion", style.COMPLETION, [turn.completion_tokens for turn in turns]),
    ]
    parts = [part for part in parts if any(part[2])]
    below = [0] * len(turns)
    for _, color, sizes in parts:
        for turn, size, base in zip(turns, sizes, below, strict=True):
            canvas.axes.bar(
                turn.number, size, width * (0.8 if len(turns) <= 60 else 1.0), base, hatch=style.HATCH * turn.estimated,
                facecolor="none" if turn.estimated else color, edgecolor=color if turn.estimated else "none", linewidth=0.6,
            )  # fmt: skip
        below = [base + size for base, size in zip(below, sizes, strict=True)]
    notes = ["hatched: estimated"] if any(turn.estimated for turn in turns) else []
    notes += [f"each bar is the largest of {width:,} turns"] if width > 1 else []
    sent = sum(turn.prompt_tokens for turn in turns)
    if width == 1 and len(turns) > 1:
        notes.append(
            f"sent in all: {style.number(sent)} tokens, the last turn alone {style.number(turns[-1].prompt_tokens)}"
        )
    canvas.numbers("y")
    canvas.numbers("x")
    canvas.axes.set_xlim(turns[0].number - width, turns[-1].number + width)
    canvas.labels("turn", "tokens", notes)
    canvas.legend([Patch(color=color) for _, color, _ in parts], [name for name, *_ in parts])
    return canvas.figure
