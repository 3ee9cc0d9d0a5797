"""Random hostile documents wherever chatkit shows what was said, in a real JupyterLab with its own renderers."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hostile_documents import documents
from lab import Notebook
from test_hostile_panel_browser import TRAPS

SEED = int(os.environ.get("CHATKIT_FUZZ_SEED", "20261127"))
COUNT = int(os.environ.get("CHATKIT_FUZZ_COUNT", "10"))
"""Documents of each run, 5 at least, one for each role; `make test-wide` shows more, and a long fuzz by hand sets another seed."""

MAKE = """
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from IPython.display import display
import chatkit
from chatkit.conversation.conversation import Conversation
from chatkit.client.reply import Answer, Reply
from chatkit.exceptions import EndpointError, InputError
from chatkit.chats.inspection import Inspection
from chatkit.chats.history_file import Archive, Entry, now
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore
from chatkit.magics import ShownReply
from chatkit.conversation.message import Message
from chatkit.reports.class_report import ClassReport
from chatkit.reports.forecast import NOTHING, Forecast
from chatkit.reports.report import UsageReport
from chatkit.reports.summary import Session, SessionList
from chatkit.chats.history import History, Kept
from chatkit.render.export import to_markdown
from chatkit.render.export import saved, transcript
from chatkit.speech.timed import Missing, Segment
from chatkit.speech.transcript import Transcript
docs = json.loads(Path("documents.json").read_text())
ROLES = ("system", "developer", "user", "assistant", "tool")
call = lambda text: {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
told = [
    Message(ROLES[n % 5], text, id=str(n), outcome=text, note=text, extra={"name": text, "tool_call_id": text})
    for n, text in enumerate(docs)
]
told += [Message("assistant", text, id=f"a{n}", extra={"refusal": text, "reasoning": text, "tool_calls": [call(text)]})
         for n, text in enumerate(docs)]
told += [Message("user", [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": text}}, {"type": text}])
         for text in docs]
captions = {message.id: text for message, text in zip(told, docs * 3)}
used, at = Usage(10, 5), datetime(2026, 11, 27, tzinfo=UTC)
store = UsageStore("fuzz.sqlite")
store.add_all([
    UsageRecord(f"{n}", at, text[:200], "/chat/completions", text[:100], text[:100], None, True, "complete", 200, None, 1, 0.5, 0.1,
                used, user=text[:100], lesson=text[:100])
    for n, text in enumerate(docs)
])
chat = chatkit.Chat(conversation=told)
"""
SHOW = """
report = UsageReport(store, {}, docs[0])
for by in ("session", "model", "user"):
    display(report.summary(by))
display(report, ClassReport(store=store), SessionList([Session(text, (text,), at, at, used) for text in docs]))
display(Forecast(NOTHING, 30, tuple(docs)), History([Kept(Entry("i", t, t, 1, 1, now(), now()), Archive(None)) for t in docs], None, docs[0]))
display(Kept(Entry("i", docs[0], docs[0], 1, 1, now(), now()), Archive(None)), chat, chat.conversation, chat.branches, used)
segments = [Segment(n, n + 1, text, text) for n, text in enumerate(docs)]
display(Transcript(" ".join(docs), docs[0], 9.0, segments, model=docs[0], missing=(Missing(1, 2, docs[1]),), notes=tuple(docs)))
display(Transcript(docs[0]))
answers = tuple(Answer(n, text, text, text, (call(text),)) for n, text in enumerate(docs))
reply = Reply(answers, "incomplete", docs[0], {"url": docs[0], "body": {"x": docs}}, error=EndpointError(docs[1], kind="server"), notes=tuple(docs))
display(reply, ShownReply(reply), Inspection(reply), Reply((), "error", error=EndpointError("\\n".join(docs), kind="server")))
other = Conversation([replace(message, content=f"{message.text} more") for message in told])
display(chat.conversation.diff(chat.conversation, other))
display(transcript(told, captions=captions, title=docs[0]), raw=True)
for text in docs[:5]:
    display(saved(text), raw=True)
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
"""
MARKDOWN = """
display({"text/markdown": to_markdown(told, captions=captions, title=docs[0], branches={docs[1]: told[:9]})}, raw=True)
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
"""
WIDGETS = """
panel = chatkit.ChatPanel(chat)
display(panel, chatkit.AudioUploader(), chatkit.UsageMeter())
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
"""
FIGURES = """
for kind in ("tokens", "cost", "models"):
    display(report.plot(kind))
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
"""
ERROR = """
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
raise InputError("\\n".join(docs), docs[0])
"""
EXPORT = """
for n, ending in enumerate(("md", "html")):
    chat.export(f"talk-{COUNT}.{ending}", branches=True)
with open(f"talk-{COUNT}.md", "a") as file:
    file.write("\\n\\n$x^2$\\n")
""".replace("{COUNT}", str(COUNT))
ACTIVE = """(root) => ({
    formulas: [...root.querySelectorAll("mjx-container")].filter((node) => !node.closest(".control, blockquote")).length,
    leading: root.querySelectorAll("mjx-container a, mjx-container img").length,
    active: [...root.querySelectorAll("script, iframe, object, embed, form, link, base, meta, video, svg image, img")]
        .filter((node) => !node.closest(".jp-RenderedImage, .ck-widget, .jp-RenderedHTMLCommon > svg")).map((node) => node.outerHTML.slice(0, 200)),
})"""
QUIET = {"formulas": 0, "leading": 0, "active": []}
OWN = re.compile(r"command (notebook:run-cell|docmanager:open|htmlviewer:trust-html|\w+:get-kernel)")
"""Commands that the tests and JupyterLab itself give."""
OPEN = """async ([path, factory]) => {
    const widget = await window.jupyterapp.commands.execute("docmanager:open", { path, factory });
    await widget.context.ready;
    await widget.content.ready;
}"""


@pytest.fixture
def asked(page: Any) -> list[str]:
    """Every request of the page that is no part of Jupyter's own talk with its server."""
    found: list[str] = []
    page.on("request", lambda request: None if _is_jupyters(request.url) else found.append(request.url))
    return found


def _is_jupyters(url: str) -> bool:
    return url.startswith(("data:image/", "blob:")) or any(
        f"/{own}/" in url for own in ("api", "static", "lab", "files")
    )


def show(notebook: Notebook, docs: list[str]) -> None:
    """Open a notebook of all cells and make what they show."""
    (notebook.lab.folder / "documents.json").write_text(json.dumps(docs), encoding="utf-8")
    (notebook.lab.folder / "fuzz.sqlite").unlink(missing_ok=True)
    notebook.open(MAKE, SHOW, MARKDOWN, WIDGETS, FIGURES, ERROR, EXPORT)
    notebook.run(0)
    notebook.page.evaluate(TRAPS)


def assert_quiet(notebook: Notebook, root: Any, asked: list[str]) -> None:
    assert root.evaluate(ACTIVE) == QUIET
    assert [hit for hit in notebook.page.evaluate("window.hits") if not OWN.fullmatch(hit)] == []
    assert notebook.page.evaluate("window.owned") is None
    assert asked == []


def test_nothing_in_a_cells_outputs_acts_asks_or_becomes_a_formula(notebook: Notebook, asked: list[str]):
    show(notebook, documents(SEED, COUNT))
    for cell in range(1, 6):
        asked.clear()
        notebook.run(cell)
        outputs = notebook.page.locator(".jp-Notebook-cell").nth(cell).locator(".jp-Cell-outputArea")
        outputs.locator(".control mjx-container").wait_for(timeout=120_000)  # it has come by all that stands above
        if cell == 3:
            outputs.locator(".ck-panel .ck-message").nth(3 * COUNT - 1).wait_for()
        assert_quiet(notebook, outputs, asked)


def test_nor_in_what_was_exported_and_is_opened_again(notebook: Notebook, asked: list[str]):
    show(notebook, documents(SEED + 1, COUNT))
    notebook.run(6)
    page = notebook.page
    asked.clear()
    page.evaluate(OPEN, [f"talk-{COUNT}.md", "Markdown Preview"])
    preview = page.locator(".jp-MarkdownViewer .jp-RenderedMarkdown")
    preview.locator(":scope > p:last-child mjx-container").wait_for(timeout=120_000)
    preview.evaluate("(root) => root.lastElementChild.classList.add('control')")
    assert_quiet(notebook, preview, asked)
    page.evaluate(OPEN, [f"talk-{COUNT}.html", "HTML Viewer"])
    page.frame_locator(".jp-HTMLViewer iframe").locator(".ck-message").nth(3 * COUNT - 1).wait_for()
    assert asked == []
    _look_in_a_browser(page, notebook.lab.folder / f"talk-{COUNT}.html")


def _look_in_a_browser(page: Any, file: Path) -> None:
    alone = page.context.new_page()
    requests: list[str] = []
    alone.on("request", lambda request: requests.append(request.url))
    alone.goto(file.as_uri())
    assert requests == [file.as_uri()]
    assert alone.evaluate("window.owned") is None
    assert alone.locator("script, img, iframe, form, object, svg, link").count() == 0
    alone.close()
