"""Whatever a notebook displays of chatkit's: a dollar is a dollar in it, and values have reprs that a person can read."""

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_parts import TALK

import chatkit
from chatkit import captions
from chatkit.chats import request
from chatkit.chats.chat import Chat
from chatkit.chats.history import History, Kept
from chatkit.chats.history_file import Archive, Entry, now
from chatkit.chats.inspection import Inspection
from chatkit.client.reply import Answer, Reply
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.message import Message
from chatkit.display import AS_IT_IS, displayed, shown
from chatkit.exceptions import EndpointError
from chatkit.ledger.budget import Budget
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore
from chatkit.magics import ShownReply
from chatkit.render.export import saved, transcript
from chatkit.render.html import page, sheet_html
from chatkit.reports.class_report import ClassReport
from chatkit.reports.forecast import NOTHING, Forecast
from chatkit.reports.report import UsageReport
from chatkit.reports.summary import Session, SessionList
from chatkit.speech.timed import Segment
from chatkit.speech.transcript import Transcript

HOUSE = Path(chatkit.__file__).parent
TEXT = r"It costs $5, not $6; \(x\), \[y\], \begin{align}z\end{align}, $\href{https://trip.example}{the bank}$"
WHEN = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
USAGE = Usage(10, 5, cost=Decimal("0.00012"), known="measured")
RECORD = UsageRecord(
    *("id", WHEN, "Lesson 1", "/chat/completions", "api.example", "asked", "answered", True),
    *("complete", 200, None, 1, 0.5, 0.1, USAGE),
)
REPLY = Reply(
    (Answer(text=f"In *Brazil*. {TEXT}", finish_reason="stop"),), "complete", "m", latency=0.5, records=(RECORD,)
)


def listed() -> History:
    return History([Kept(Entry("id", TEXT, TEXT, 1, 1, now(), now()), Archive(None))], None, TEXT)


def kept_in(path: Path) -> UsageStore:
    store = UsageStore(path / "usage.sqlite")
    store.add(replace(RECORD, session=TEXT, user=TEXT))
    return store


def compared() -> Any:
    talk = Conversation([Message("user", TEXT)])
    return talk.diff(talk, Conversation([Message("user", f"{TEXT} more")]))


def limited(path: Path) -> Budget:
    return Budget(kept_in(path))


PRODUCERS: dict[str, Callable[[Path], Any]] = {
    "chats.request.reply_html": lambda _: REPLY,
    "captions.usage_html": lambda _: USAGE,
    "chats.chat.Chat": lambda _: Chat(conversation=[*TALK, Message("user", TEXT), Message("assistant", TEXT)]),
    "client.reply.Reply": lambda _: Reply((), "error", error=EndpointError(TEXT, kind="server")),
    "chats.inspection.Inspection": lambda _: Inspection(
        replace(REPLY, request={"url": TEXT, "body": {"a": TEXT}}, notes=(TEXT,))
    ),
    "ledger.budget.Budget": limited,
    "ledger.record.Usage": lambda _: Usage(),
    "magics.ShownReply": lambda _: ShownReply(REPLY),
    "reports.class_report.ClassReport": lambda path: ClassReport(store=kept_in(path)),
    "reports.forecast.Forecast": lambda _: Forecast(NOTHING, 3, (TEXT,)),
    "reports.report.UsageReport": lambda path: UsageReport(kept_in(path), {}, TEXT),
    "reports.summary.SessionList": lambda _: SessionList([Session(TEXT, (TEXT,), WHEN, WHEN, USAGE)]),
    "reports.summary.Summary": lambda path: UsageReport(kept_in(path), {}, TEXT).summary("user"),
    "chats.history.History": lambda _: listed(),
    "speech.transcript.Transcript": lambda _: Transcript(TEXT, notes=(TEXT,), segments=(Segment(0, 1, TEXT),)),
    "conversation.diff.Diff": lambda _: compared(),
}
EMPTY: dict[str, Callable[[Path], Any]] = {
    "Chat": lambda _: Chat(),
    "Reply": lambda _: Reply((), "cancelled"),
    "SessionList": lambda _: SessionList([]),
    "UsageReport": lambda path: UsageReport(UsageStore(path / "usage.sqlite"), {}, TEXT),
    "History": lambda _: History([], None),
    "Transcript": lambda _: Transcript(""),
}
WIDGETS = {"ui.usage_meter.UsageMeter", "ui.widget.Widget"}
LITERALS = {"render.export", "api.reading"}
"""Modules that name the type of HTML: an output's data, a download, what a server says it sends."""


def root_of(html: str) -> tuple[str, list[str]]:
    """The one element that HTML consists of beside style sheets, and its classes."""
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    tag = re.match(r"<(\w+)([^>]*)>", bare)
    assert tag, bare[:80]
    depth = 0
    for found in re.finditer(rf"<(/?){tag[1]}\b[^>]*>", bare):
        depth += -1 if found[1] else 1
        if not depth:
            assert found.end() == len(bare), f"more than one root: {bare[found.end() :][:80]}"
            break
    classes = re.search(r'class="([^"]*)"', tag[2])
    return tag[1], classes[1].split() if classes else []


def producers() -> dict[str, set[str]]:
    """Every class, and every function registered with `shown`, by the way in which it is displayed."""
    found: dict[str, set[str]] = {}
    for path in HOUSE.rglob("*.py"):
        module = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and re.fullmatch(r"_repr_(?!pretty_)\w+_", method.name):
                        found.setdefault(method.name, set()).add(f"{module}.{node.name}")
            if isinstance(node, ast.FunctionDef) and "shown.register" in map(ast.unparse, node.decorator_list):
                found.setdefault("_repr_html_", set()).add(f"{module}.{node.name}")
    return found


def test_each_thing_that_is_displayed_as_html_is_tried_here():
    assert producers() == {
        "_repr_html_": set(PRODUCERS),
        "_repr_mimebundle_": WIDGETS | {"reports.plots.style.Picture"},
        "_repr_png_": {"reports.plots.style.Picture"},
    }
    named = {
        ".".join(path.relative_to(HOUSE).with_suffix("").parts)
        for path in HOUSE.rglob("*.py")
        if re.search(r"\"text/(html|markdown|latex)\"", path.read_text(encoding="utf-8"))
    }
    assert named == LITERALS


@pytest.mark.parametrize("producer", [*PRODUCERS, *EMPTY])
def test_no_formula_is_looked_for_in_anything_that_is_displayed(producer: str, tmp_path: Path):
    html = (PRODUCERS | EMPTY)[producer](tmp_path)._repr_html_()
    assert set(AS_IT_IS.split()) <= set(root_of(html)[1])


def test_nor_in_what_stands_beside_a_panel_in_a_sheet_or_in_a_page():
    for html in (saved(TEXT)["text/html"], transcript(TALK, title=TEXT)["text/html"], sheet_html(TEXT, [], [])):
        assert set(AS_IT_IS.split()) <= set(root_of(html)[1])
    assert f'<main class="{AS_IT_IS}">' in page(TALK, title=TEXT)


@pytest.mark.parametrize("widget", [chatkit.ChatPanel, chatkit.AudioUploader, chatkit.UsageMeter])
def test_a_widget_is_a_view_and_a_line_of_text(widget: type):
    made = widget()
    bundle = made._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    made.close()


def test_html_is_in_one_element_with_its_style_before_it():
    assert displayed("x", "ck-a", tag="p", label='"', style="b{}") == (
        f'<style>b{{}}</style><p class="ck-a {AS_IT_IS}" aria-label="&quot;">x</p>'
    )
    assert shown(object()) is None


def test_a_reply_is_short_in_text_and_laid_out_in_a_notebook():
    assert repr(Reply((Answer(text="a" * 61),), "length", "m")) == (
        f"Reply('{'a' * 59}…', outcome='length', model='m')"
    )
    assert repr(REPLY).endswith(
        "outcome='complete', model='m', finish_reason='stop', "
        "usage=Usage(prompt_tokens=10, completion_tokens=5, cost=Decimal('0.00012'), known='measured'))"
    )
    html = REPLY._repr_html_()
    assert "In <em>Brazil</em>." in html
    assert "m · 10 tokens in, 5 out · cost 0.00012 USD · 0.5 s" in html


def test_a_reply_shows_all_that_came_and_what_ended_it():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "<a>"}}
    first, second = Answer(0, "One", reasoning="<hm>"), Answer(1, refusal="<no>", tool_calls=(call,))
    both = Reply((first, second), "incomplete", "m", error=EndpointError("It <broke>.", kind="stream"))
    html = request.reply_html(both)
    for words in ("reasoning: &lt;hm&gt;", "<p>One</p>", "&lt;no&gt;", "calls f(&lt;a&gt;)", "It &lt;broke&gt;."):
        assert words in html
    assert repr(both) == "Reply('One', outcome='incomplete', model='m', answers=2, error='It <broke>.')"
    alone = Reply((second,), "complete")
    assert repr(alone) == "Reply('', outcome='complete', refusal='<no>', tool_calls=1)"
    assert repr(Reply((), "error", error=EndpointError("No\x1b[31m.", kind="server"))) == (
        "Reply('', outcome='error', error='No\\x1b[31m.')"
    )


def test_usage_and_a_row_are_read_at_a_glance():
    assert captions.usage_html(USAGE).partition(">")[2] == "1 call · 10 tokens in, 5 out · cost 0.00012 USD</div>"
    assert USAGE._repr_html_() == captions.usage_html(USAGE)
    assert repr(RECORD) == (
        "UsageRecord('2026-11-27 12:00:00 UTC', session='Lesson 1', path='/chat/completions', host='api.example', "
        "model='asked', outcome='complete', status=200, latency=0.5, usage=Usage(prompt_tokens=10, "
        "completion_tokens=5, cost=Decimal('0.00012'), known='measured'))"
    )
