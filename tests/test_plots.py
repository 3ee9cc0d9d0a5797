"""Plots: what is drawn is exactly what was used; names are taken literally; nothing is drawn as 0 that is unknown."""

import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from test_ledger_sums import START
from test_readings import ESTIMATED, HEARD, HOSTILE, MEASURED, UNKNOWN, row

import chatkit
from chatkit.exceptions import InputError
from chatkit.ledger.queries import Moment, Spread, TurnUsage
from chatkit.ledger.scope import UsageLine
from chatkit.ledger.store import UsageStore
from chatkit.magics import HELP
from chatkit.reports import figures
from chatkit.reports.figures import PLOTS
from chatkit.reports.plots import bars, growth, over_time, style, waits
from chatkit.reports.report import UsageReport

LINES = [
    UsageLine(("Lesson 1",), MEASURED + ESTIMATED, ESTIMATED),
    UsageLine(("Lesson 2",), MEASURED + UNKNOWN + UNKNOWN),
    UsageLine(("Lesson 3",), UNKNOWN),
    UsageLine(("local",), chatkit.Usage(7, 3, cost=Decimal(0), known="measured")),
]
BROKEN = "a $\\frac{1 b$ _{x"


def bars_of(axes: Axes) -> list[tuple[str, bool, int, float, float]]:
    """Every bar that can be seen: colour, whether hatched, its place, where it begins, how long it is."""
    return [
        (
            style_of(patch), bool(patch.get_hatch()), round(patch.get_y() + patch.get_height() / 2),
            patch.get_x(), patch.get_width(),
        )
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_width()
    ]  # fmt: skip


def style_of(patch: Rectangle) -> str:
    color = patch.get_edgecolor() if patch.get_hatch() else patch.get_facecolor()
    names = {
        to_rgb(getattr(style, name)): name
        for name in ("PROMPT", "CACHED", "COMPLETION", "REASONING", "MONEY", "SECOND")
    }
    return names[tuple(color)[:3]]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_tokens_are_stacked_the_estimated_share_hatched() -> None:
    figure = bars.tokens(LINES)
    (axes,) = figure.axes
    assert bars_of(axes) == [
        ("PROMPT", False, 0, 0, 70), ("PROMPT", False, 1, 0, 70), ("PROMPT", False, 3, 0, 7),
        ("PROMPT", True, 0, 70, 50),
        ("CACHED", False, 0, 120, 30), ("CACHED", False, 1, 70, 30),
        ("COMPLETION", False, 0, 150, 15), ("COMPLETION", False, 1, 100, 15), ("COMPLETION", False, 3, 7, 3),
        ("COMPLETION", True, 0, 165, 10),
        ("REASONING", False, 0, 175, 5), ("REASONING", False, 1, 115, 5),
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Lesson 1", "Lesson 2", "Lesson 3", "local"]
    assert axes.get_title(loc="left") == "Tokens per session"
    assert axes.get_xlabel() == "tokens\nhatched: estimated"
    legend = axes.get_legend()
    assert legend and [text.get_text() for text in legend.get_texts()] == [
        "prompt",
        "cached prompt",
        "completion",
        "reasoning",
    ]
    assert "+ 2 of unknown usage" in words(figure)


def test_cost_names_what_has_no_price_and_what_is_free() -> None:
    figure = bars.cost(LINES)
    (axes,) = figure.axes
    drawn = bars_of(axes)
    assert [(color, hatched, place) for color, hatched, place, *_ in drawn] == [
        ("MONEY", False, 0), ("MONEY", False, 1), ("MONEY", True, 0),
    ]  # fmt: skip
    assert [width for *_, width in drawn] == pytest.approx([0.0002, 0.0002, 0.0001])
    assert [text.get_text() for text in axes.texts] == ["", "+ 2 calls without price", "1 call without price", "free"]


def test_two_hundred_sessions_are_the_twenty_largest_and_a_sentence() -> None:
    lines = [UsageLine((f"s{n}",), chatkit.Usage(n + 1, 0, known="measured")) for n in range(200)]
    figure = bars.tokens(lines)
    (axes,) = figure.axes
    assert [width for *_, width in bars_of(axes)] == list(range(200, 180, -1))
    assert axes.get_xlabel() == "tokens\n180 more, each below the least shown: 16,290 tokens together".replace(
        "16,290", "16.29 k"
    )


def test_minutes_of_audio() -> None:
    (axes,) = bars.audio([*LINES, UsageLine(("heard",), HEARD)], "model").axes
    assert bars_of(axes) == [("SECOND", False, 0, 0, 1.5)]
    assert (axes.get_title(loc="left"), axes.get_xlabel()) == ("Audio per model", "minutes")


MOMENTS = [
    Moment(START, 10, 0, Decimal("0.1")),
    Moment(START + timedelta(minutes=1), 5, 5, Decimal(0), 1, 0, 1),
    Moment(START + timedelta(minutes=2), 20, 0, Decimal("0.3"), 2, 1, 1),
]


def test_tokens_and_cost_are_added_up_and_the_budget_is_a_line() -> None:
    figure = bars.over_time(MOMENTS, limit=Decimal("0.5"))
    first, second = figure.axes
    assert list(first.lines[0].get_ydata()) == [10, 15, 35]
    assert list(second.lines[0].get_ydata()) == pytest.approx([0.1, 0.1, 0.4])
    assert list(second.lines[1].get_ydata()) == [0.5, 0.5]
    assert first.get_xlabel() == "hatched: estimated · 1 call of unknown usage, not in the sum"
    assert second.get_xlabel() == "2 calls without price, not in the sum"
    assert (first.get_ylabel(), second.get_ylabel()) == ("tokens", "US dollars")
    assert "budget: 0.5 USD" in words(figure)


@pytest.mark.parametrize(
    ("seconds", "step"), [(0, 1), (1, 1), (4, 1), (10, 2), (14, 5), (55, 15), (80, 30), (299, 60), (599, 120)]
)
def test_a_brief_session_shows_whole_seconds_all_as_far_apart(seconds: int, step: int) -> None:
    figure = over_time.tokens(
        [Moment(START, 1, 0, Decimal(0)), Moment(START + timedelta(seconds=seconds), 1, 0, Decimal(0))]
    )
    figure.draw_without_rendering()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [round(tick * 86400) for tick in axes.get_xticks() if low <= tick <= high]
    assert 2 <= len(ticks) <= 7
    assert {later - earlier for earlier, later in pairwise(ticks)} == {step}
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", label.get_text()) for label in axes.get_xticklabels())


def test_the_last_step_has_an_area_under_it() -> None:
    for draw in (over_time.tokens, over_time.cost):
        (axes,) = draw(MOMENTS[:1]).axes
        corners = axes.collections[0].get_paths()[0].get_extents()
        assert corners.width > 0
        assert corners.x1 == pytest.approx(axes.get_xlim()[1])


FREE = [Moment(START, 1, 0, Decimal(0)), Moment(START + timedelta(seconds=9), 1, 0, Decimal(0))]


def test_where_nothing_cost_anything_no_axis_is_made_up_for_it() -> None:
    free = [UsageLine(("ada",), chatkit.Usage(7, 3, cost=Decimal(0), known="measured"))]
    (alone,) = over_time.cost(FREE).axes
    assert ([text.get_text() for text in alone.texts], list(alone.get_yticks())) == (["No call cost anything"], [])
    for figure, ticked in ((bars.over_time(FREE), "y"), (bars.side_by_side(free, "model"), "x")):
        (tokens,) = figure.axes
        assert tokens.get_xlabel().endswith("No call cost anything")
        assert len(getattr(tokens, f"get_{ticked}ticks")()) > 1
    (bar,) = bars.cost(free).axes
    assert ([text.get_text() for text in bar.texts], list(bar.get_xticks())) == (["free"], [])
    limited = bars.over_time(FREE, limit=Decimal("0.5"))
    assert len(limited.axes) == 2 and "budget: 0.5 USD" in words(limited)
    unknown = bars.over_time([*FREE, Moment(START + timedelta(seconds=11), 1, 0, Decimal(0), 1, 0, 1)])
    assert unknown.axes[1].get_xlabel() == "1 call without price, not in the sum"


def test_where_another_talk_begins_a_line_stands_between() -> None:
    sent = [41, 30, 60, 95, 20, 44]
    (axes,) = growth.context([TurnUsage(n, size, 0, 5, False) for n, size in enumerate(sent, 1)]).axes
    assert [line.get_xdata()[0] for line in axes.lines] == [1.5, 4.5]
    assert "dotted: less was sent than before" in axes.get_xlabel()
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [2, 4, 6]


def test_a_picture_is_as_large_on_a_page_as_its_text_and_twice_as_sharp() -> None:
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(bars.tokens(LINES))
    pixels = matplotlib.image.imread(io.BytesIO(data["image/png"]))
    assert metadata["image/png"]["width"] == 691
    assert pixels.shape[:2] == pytest.approx((2 * metadata["image/png"]["height"], 2 * 691), abs=2)


def test_waits_are_binned_with_their_median_and_95th_percentile() -> None:
    figure = waits.latency(Spread([(0.5, 8), (2.0, 2)], [(0.1, 10)], every=3))
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [patch.get_height() for patch in axes.patches] == [10, 8, 2]
    assert [round(patch.get_x(), 3) for patch in axes.patches] == [0.1, 0.464, 1.778]
    assert [line.get_xdata()[0] for line in axes.lines] == [0.1, 0.1, 0.5, 2.0]
    assert axes.get_xlabel().splitlines() == [
        "seconds", "from one call in 3 · first token: half within 100 ms, 95 % within 100 ms",
        "whole answer: half within 500 ms, 95 % within 2.0 s",
    ]  # fmt: skip


TURNS = [TurnUsage(1, 100, 0, 20, False), TurnUsage(2, 130, 100, 25, True)]


def test_each_turn_of_a_talk_sends_more_along() -> None:
    (axes,) = growth.context(TURNS).axes
    drawn = [
        (patch.get_height(), patch.get_y(), bool(patch.get_hatch())) for patch in axes.patches if patch.get_height()
    ]
    assert drawn == [(100, 0, False), (30, 0, True), (100, 30, True), (20, 100, False), (25, 130, True)]
    assert axes.get_xlabel() == "turn\nhatched: estimated · sent in all: 230 tokens; by the last turn alone: 130"


def test_very_many_turns_are_an_area() -> None:
    (axes,) = growth.context([TurnUsage(5 * n, n, 0, 1, n == 7) for n in range(1, 200)]).axes
    assert len(axes.patches) == 0
    assert len(axes.collections) == 2
    assert axes.get_xlabel() == "turn\n1 of the points are estimates · each point is the largest of 5 turns"


EMPTY: list[tuple[Any, Any, str]] = [
    (bars.tokens, [], "No calls yet"), (bars.cost, [], "No calls yet"), (bars.audio, LINES, "No audio yet"),
    (over_time.tokens, [], "No calls yet"), (over_time.cost, [], "No calls yet"),
    (waits.latency, Spread([], []), "No calls yet"), (growth.context, [], "No turns yet"),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "data", "said"), EMPTY)
def test_where_nothing_is_there_the_figure_says_so(draw: Any, data: Any, said: str) -> None:
    figure = draw(data)
    assert said in words(figure)
    assert figure._repr_png_().startswith(b"\x89PNG")


ALL: list[tuple[Any, Any]] = [
    (bars.tokens, LINES), (bars.cost, LINES), (bars.audio, [UsageLine(("x",), HEARD)]), (over_time.tokens, MOMENTS),
    (over_time.cost, MOMENTS), (waits.latency, Spread([(0.5, 1)], [(0.5, 1)])), (growth.context, TURNS),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "data"), ALL)
def test_every_plot_has_a_title_and_units_and_goes_into_an_ax_of_ones_own(draw: Any, data: Any) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    assert draw(data, ax=axes) is figure
    assert axes.get_title(loc="left")
    assert axes.get_xlabel() + axes.get_ylabel()
    figure.savefig(io.BytesIO())


@pytest.mark.parametrize("text", [BROKEN, HOSTILE, "_hidden", "日本語 🙂", "$", "\\", "a" * 500, "\n\n", ""])
def test_any_name_is_drawn_literally(text: str) -> None:
    lines = [UsageLine((text,), MEASURED), UsageLine((f"{text}2",), MEASURED)]
    figures = [bars.tokens(lines), bars.cost(lines, "model"), growth.context(TURNS, title=f"Context of {text}")]
    for figure in figures:
        figure._repr_png_()
    label = figures[0].axes[0].get_yticklabels()[1].get_text()
    assert label == style.short(f"{text}2")
    assert len(label) <= style.NAME_LENGTH


def picture(figure: Any) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(figure.to_png(72)))


def share(pixels: np.ndarray, color: str) -> float:
    """How much of the picture has this colour, or nearly."""
    return float((np.abs(pixels[..., :3] - np.array(to_rgb(color))).max(axis=-1) < 0.03).mean())


@pytest.mark.parametrize("dark", [None, False, True])
def test_a_figure_is_drawn_on_its_ground_in_colours_that_the_colour_blind_tell_apart(dark: bool | None) -> None:
    pixels = picture(bars.tokens(LINES, dark=dark))
    assert all(share(pixels, color) > 0.002 for color in (style.PROMPT, style.CACHED, style.COMPLETION))
    if dark is None:
        assert (pixels[..., 3] == 0).mean() > 0.6
    else:
        assert share(pixels, style.THEMES[dark].paper) > 0.6
        assert share(pixels, style.THEMES[dark].ink) > 0.001


def luminance(color: str) -> float:
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


@pytest.mark.parametrize(
    ("dark", "ground", "least"),
    [(None, "white", 4.2), (None, "#111111", 4.2), (False, "white", 7), (True, "#111111", 7)],
)
def test_texts_stand_out_from_their_ground(dark: bool | None, ground: str, least: float) -> None:
    bright, dim = sorted((luminance(style.THEMES[dark].ink), luminance(ground)), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= least


def test_a_figure_is_shown_by_a_notebook_and_has_a_stable_text(store: UsageStore) -> None:
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(chatkit.usage(None, store=store).plot())
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == "Figure(Tokens per session)"


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys; from chatkit.reports.plots import bars, growth, over_time, bars as panels, waits;"
        " bars.tokens([]).to_png(); print('matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_figures_are_drawn_on_any_thread() -> None:
    drawn: list[bytes] = []
    threads = [threading.Thread(target=lambda: drawn.append(bars.tokens(LINES).to_png(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 4
    assert len(set(drawn)) == 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    for number, (name, usage) in enumerate([("Lesson 1", MEASURED), ("Lesson 1", ESTIMATED), ("Lesson 2", HEARD)]):
        store.add(
            row(number, session=name, usage=usage, at=START + timedelta(minutes=number), latency=1.0, first_token=0.5)
        )
    yield store
    store.close()


KINDS = {
    "tokens": "Tokens per session", "cost": "Cost per session", "models": "Tokens per model; Cost per model",
    "time": "Tokens over time, added up; Cost over time, added up", "tokens over time": "Tokens over time, added up",
    "cost over time": "Cost over time, added up", "latency": "How long calls took", "audio": "Audio per session",
    "context": "Context, turn by turn, of the session Lesson 1",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_plots_itself(store: UsageStore, kind: Any) -> None:
    assert repr(chatkit.usage(None, store=store).plot(kind)) == f"Figure({KINDS[kind]})"


def test_a_report_of_one_session_plots_its_time_and_its_models(store: UsageStore) -> None:
    report = chatkit.usage("Lesson 1", store=store)
    assert repr(report.plot()) == f"Figure({KINDS['time']})"
    assert repr(report.plot("tokens")) == "Figure(Tokens per model)"
    (axes,) = report.plot("context").axes
    assert [patch.get_height() for patch in axes.patches if patch.get_height()] == [70, 50, 30, 20, 10]


def test_a_plot_that_is_not_there_or_does_not_fit_is_refused_in_words(store: UsageStore) -> None:
    report = chatkit.usage(None, store=store)
    with pytest.raises(InputError, match="no plot 'pie'. Choose one of tokens, cost"):
        report.plot("pie")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two parts.*tokens over time"):
        report.plot("time", ax=Figure().add_subplot())


def test_the_line_of_the_budget_is_drawn_where_it_holds(store: UsageStore) -> None:
    from chatkit.ledger.rulebook import rulebook_of
    from chatkit.ledger.rules import Limit

    lesson = chatkit.usage("Lesson 1", store=store)
    assert "budget" not in words(lesson.plot("cost over time"))
    rulebook_of(store).set_limit(Limit(Decimal("0.5"), "session", "stop"))
    assert "budget: 0.5 USD" in words(lesson.plot("cost over time"))
    assert "budget: 2 USD" in words(lesson.plot("cost over time", limit=Decimal(2)))
    assert "budget" not in words(chatkit.usage(None, store=store).plot("cost over time"))
    rulebook_of(store).set_limit(Limit(Decimal("0.5"), "day", "stop"))
    assert "budget" not in words(lesson.plot("cost over time"))
    store.add(row(9, session="now", usage=MEASURED, at=datetime.now(UTC)))
    assert "budget: 0.5 USD" in words(chatkit.usage(since="today", store=store).plot("cost over time"))


def test_every_plot_is_named_by_the_verb_and_by_the_magics_help() -> None:
    assert set(PLOTS) == set(get_args(figures.FigureKind))
    said = UsageReport.plot.__doc__ or ""
    listed = next(line for line in HELP.splitlines() if line.startswith("%usage plot")).partition("figure: ")[2]
    assert listed.split(", ") == list(PLOTS)
    assert [
        line.partition('"')[2].partition('"')[0] for line in said.splitlines() if line.strip()[:3] == '- "'
    ] == list(PLOTS)
    assert "{plots}" not in said
