"""Plots, how they all look: figures that show themselves, colours for light and dark, text taken literally.

In: an axes of one's own, or none. Out: a `Canvas` to draw on. Colours are Okabe and Ito's, which colour-blind
people tell apart; what is estimated is hatched. No global setting is read or changed, so that a plot may be
drawn on any thread.
"""

import io
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from chatkit.render.text import tame
from chatkit.signs import fit_to_print

PROMPT, CACHED, COMPLETION, REASONING = "#0072B2", "#56B4E9", "#E69F00", "#D55E00"
MONEY, SECOND, LIMIT = "#009E73", "#CC79A7", "#D55E00"
HATCH = "////"
WIDTH = 7.2
CSS = 96
"""Pixels of a page in an inch; a picture has twice as many, for screens that show them."""
NAME_LENGTH = 30

_FONTS = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of what is not data."""

    ink: str
    rule: str
    paper: str


THEMES = {
    # 4.3 : 1 from white and from the dark theme's ground; no grey is farther from both
    None: Theme("#797979", "#79797955", "none"),
    False: Theme("#202124", "#20212433", "white"),
    True: Theme("#e3e3e3", "#e3e3e344", "#111111"),
}
"""For both grounds (transparent), for a light one, for a dark one."""


class Picture(Figure):
    """A figure that a notebook shows at the end of a cell, without pyplot."""

    def __init__(self, height: float, theme: Theme, width: float = WIDTH) -> None:
        super().__init__(figsize=(width, height), layout="constrained", facecolor=theme.paper)
        FigureCanvasAgg(self)

    @fit_to_print
    def __repr__(self) -> str:
        titles = [axes.get_title(loc="left") for axes in self.axes]
        return f"Figure({'; '.join(filter(None, titles))})"

    def draw(self, renderer: Any) -> None:
        """Draw; a sign that no font has becomes a box, without a warning for each."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return self.to_png()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
        width, height = (round(inches * CSS) for inches in self.get_size_inches())
        return {"image/png": self.to_png()}, {"image/png": {"width": width, "height": height}}

    def to_png(self, dpi: float = 2 * CSS) -> bytes:
        """The figure as PNG."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi, facecolor=self.get_facecolor())
        return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Canvas:
    """An axes with its theme; texts put on it are taken literally."""

    axes: Axes
    theme: Theme

    @property
    def figure(self) -> Figure:
        """The whole picture."""
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        return figure

    def title(self, words: str, *, legend: bool = False) -> None:
        """The title, over the left edge, with room for a legend below it."""
        made = self.axes.set_title(short(words, 90), loc="left", pad=20 if legend else 8)
        self._style(made, size=11.5, weight="bold")

    def without_scale(self, axis: str) -> None:
        """No numbers on an axis on which nothing has a length."""
        (self.axes.xaxis if axis == "x" else self.axes.yaxis).set_ticks([])

    def labels(self, x: str = "", y: str = "", notes: list[str] | None = None) -> None:
        """What the axes count, in which unit; notes stand below, in words."""
        below = "\n".join([x, *wrapped(notes or [])]).strip("\n")
        self._style(self.axes.set_xlabel(below), size=9.5)
        self._style(self.axes.set_ylabel(y), size=9.5)

    def add_note(self, words: str) -> None:
        """One more note below, after those that are there."""
        said = self.axes.get_xlabel()
        self._style(self.axes.set_xlabel(f"{said}\n{words}".strip("\n")), size=9.5)

    def names(self, places: list[int], words: list[str]) -> None:
        """Names of bars, from top to bottom."""
        self.axes.set_yticks(places, [short(word) for word in words])
        self.axes.set_ylim(len(places) - 0.4, -0.6)
        for label in self.axes.get_yticklabels():
            self._style(label, size=9.5)

    def note(self, x: float, y: float, words: str) -> None:
        """Words at the end of a bar."""
        text = self.axes.annotate(words, (x, y), xytext=(4, 0), textcoords="offset points", va="center")
        self._style(text, size=8.5)

    def numbers(self, axis: str = "x", unit: str = "") -> None:
        """Numbers a person reads: 1,200, 3.4 M, 0.00012."""
        which = self.axes.xaxis if axis == "x" else self.axes.yaxis
        which.set_major_locator(MaxNLocator(6, integer=not unit))
        which.set_major_formatter(FuncFormatter(lambda value, _: number(value)))

    def legend(self, handles: list[Any], words: list[str]) -> None:
        """The legend, below the title; it has our own words only."""
        made = self.axes.legend(
            handles, words, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=len(words), frameon=False, fontsize=8.5,
            borderaxespad=0.2, handlelength=1.2, columnspacing=1.2,
        )  # fmt: skip
        for text in made.get_texts():
            self._style(text, size=8.5)

    def empty(self, words: str) -> None:
        """Say in the middle that there is nothing to draw."""
        self.axes.set_xticks([])
        self.axes.set_yticks([])
        self._style(self.axes.text(0.5, 0.5, words, transform=self.axes.transAxes, ha="center", va="center"), size=10.5)

    def _style(self, text: Text, *, size: float, weight: str = "normal") -> Text:
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_fontfamily(_families())
        text.set_fontsize(size)
        text.set_fontweight(weight)
        text.set_color(self.theme.ink)
        return text


def canvas(ax: Axes | None, dark: bool | None, height: float = 3.4) -> Canvas:
    """The axes given, or that of a new picture, made ready."""
    theme = THEMES[dark]
    axes = ax if ax is not None else Picture(height, theme).add_subplot()
    return dressed(axes, theme)


def dressed(axes: Axes, theme: Theme) -> Canvas:
    """An axes in the colours of a theme."""
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(axis="both", color=theme.rule, linewidth=0.6)
    axes.tick_params(colors=theme.ink, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.rule)
    return Canvas(axes, theme)


def short(words: str, most: int = NAME_LENGTH) -> str:
    """A name on one line, cut in the middle, where names tend to be alike at both ends the least.

    >>> short("gpt-4o-mini"), short("a" * 20 + "b" * 20)
    ('gpt-4o-mini', 'aaaaaaaaaaaaaaa…bbbbbbbbbbbbbb')
    """
    line = " ".join(tame(words[:1000]).split())
    tail = most // 2 - 1
    return line if len(line) <= most else f"{line[: most - tail - 1]}…{line[-tail:]}"


def number(value: float) -> str:
    """A number as short as it can be read.

    >>> number(1200), number(3400000), number(0.00012), number(0)
    ('1,200', '3.4 M', '0.00012', '0')
    """
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):,.4g} {sign}"
    if abs(value) >= 1 or not value:
        return f"{value:,.10g}" if value == int(value) else f"{value:,.2f}".rstrip("0")
    return f"{value:.8f}".rstrip("0").rstrip(".") if abs(value) >= 1e-7 else f"{value:.1e}"


def wrapped(notes: list[str], most: int = 95) -> list[str]:
    """The notes, as many on a line as fit."""
    lines: list[str] = []
    for note in notes:
        if lines and len(lines[-1]) + len(note) + 3 <= most:
            lines[-1] += f" · {note}"
        else:
            lines.append(note)
    return lines


def solid(color: str) -> dict[str, Any]:
    """How a bar of what was measured looks."""
    return {"facecolor": color, "edgecolor": "none", "linewidth": 0}


def hatched(color: str) -> dict[str, Any]:
    """How a bar of what is only estimated looks."""
    return {"facecolor": "none", "edgecolor": color, "linewidth": 0.6, "hatch": HATCH}


@cache
def _families() -> list[str]:
    there = {font.name for font in fontManager.ttflist}
    return [name for name in _FONTS if name in there]
