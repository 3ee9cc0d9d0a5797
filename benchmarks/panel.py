"""What a streamed answer costs in JupyterLab: the chat panel beside plain `update_display(Markdown)`, in one run.

For answers of 500, 2,000 and 8,000 tokens, at 100 tokens a second and as fast as they go: wall time over the ideal,
bytes over the websocket over the answer's own, the longest task of the page's main thread, the time from the last
token to the last glyph, the kernel's CPU; a key press in a long talk; and 50 panels that stream at once. Needs Chromium and the test extra.

    python benchmarks/panel.py            # all of it, about 7 minutes
    python benchmarks/panel.py 2000 r100  # one answer
"""

import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import fakeserver

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "browser")]
import conftest
from lab import Lab, Notebook

COUNTS = (500, 2_000, 8_000)
RATES = {"r100": 100.0, "full": 0.0}
PANELS = 50
SETUP = """
import os, chatkit, openai
from IPython.display import Markdown, display
os.environ["CHATKIT_HISTORY"] = "off"
client = chatkit.connect(base_url={url!r}, api_key="sk-none", quiet=True)
plain = openai.OpenAI(base_url={url!r}, api_key="sk-none")

def show_plainly(model):
    handle, text = display(Markdown(""), display_id=True), ""
    for chunk in plain.chat.completions.create(model=model, stream=True, messages=[{{"role": "user", "content": "Go"}}]):
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
            handle.update(Markdown(text))
"""
WATCH = """([root, text]) => {
    const seen = (window.seen = { last: 0, length: 0, task: 0, began: Date.now() });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.task = Math.max(seen.task, entry.duration);
    }).observe({ type: "longtask" });
    new MutationObserver(() => {
        let length = 0;
        for (const node of document.querySelectorAll(text)) length += node.textContent.length;
        if (length !== seen.length) Object.assign(seen, { length, last: Date.now() });
    }).observe(document.querySelector(root), { childList: true, characterData: true, subtree: true });
}"""
TYPE = """() => {
    window.took = [];
    document.querySelector(".ck-box").addEventListener("keydown", () => {
        const began = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - began)));
    }, true);
}"""
ANSWERS = ".ck-assistant .ck-body"
OUTPUTS = ".jp-OutputArea-output"


def expected(count: int) -> str:
    """The answer, as a reader sees it: without white space, which Markdown folds."""
    return "".join("".join(fakeserver.tokens(count)).split())


class Bench:
    """One notebook in which both ways are tried."""

    def __init__(self, notebook: Notebook, url: str) -> None:
        self.notebook, self.page, self.url = notebook, notebook.page, url
        self.bytes = 0
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame: str | bytes) -> None:
        self.bytes += len(frame)

    def panel(self, model: str, count: int) -> dict[str, float]:
        """The answer in a panel."""
        self.notebook.open(
            SETUP.format(url=self.url), f"panel = chatkit.ChatPanel(client=client, model={model!r})\npanel"
        )
        self.notebook.run(0)
        self.notebook.run(1)
        self.page.locator(".ck-panel[data-phase=idle]").wait_for()
        self._begin(".ck-panel", ANSWERS)
        self.page.get_by_label("Your message").fill("Go")
        self.page.get_by_label("Your message").press("Enter")
        self.page.wait_for_function(
            "document.querySelector('.ck-assistant .ck-caption')?.textContent.includes('tokens in')", timeout=300_000
        )
        shown = self.page.locator(".ck-assistant .ck-body").inner_text()
        return self._figures(model, count, shown)

    def plainly(self, model: str, count: int) -> dict[str, float]:
        """The same by `update_display(Markdown)`."""
        self.notebook.open(SETUP.format(url=self.url), f"show_plainly({model!r})")
        self.notebook.run(0)
        self._begin(".jp-Notebook", OUTPUTS)
        self.notebook.start(1)
        self.page.wait_for_function(
            """() => { const cell = window.jupyterapp.shell.currentWidget.content.widgets[1].model;
                       return cell.executionState !== "running" && cell.executionCount; }""",
            timeout=300_000,
        )
        # the page goes on working through what is queued; when it has been still for two seconds, that is all
        self.page.wait_for_function("Date.now() - window.seen.last > 2000", timeout=300_000)
        shown = self.page.locator(".jp-OutputArea-output").last.inner_text()
        return self._figures(model, count, shown)

    def together(self, model: str, count: int) -> dict[str, float]:
        """Many panels that stream at once."""
        make = f"panels = [chatkit.ChatPanel(client=client, model={model!r}) for _ in range({PANELS})]\nfrom ipywidgets import VBox\nVBox(panels)"
        self.notebook.open(
            SETUP.format(url=self.url),
            make,
            "runs = [p.chat.stream('Go') for p in panels]\n[run.wait().outcome for run in runs]",
        )
        self.notebook.run(0)
        self.notebook.run(1)
        self.page.wait_for_function(
            f"document.querySelectorAll('.ck-panel[data-phase=idle]').length === {PANELS}", timeout=120_000
        )
        self._begin(".jp-Notebook", ANSWERS)
        self.notebook.start(2)
        self.page.wait_for_function(
            f"document.querySelectorAll('.ck-assistant .ck-caption').length === {PANELS}", timeout=300_000
        )
        texts = self.page.locator(".ck-assistant .ck-body").all_inner_texts()
        wrong = sum("".join(text.split()) != expected(count) for text in texts)
        return self._figures(model, count * PANELS, None) | {"wrong": float(wrong)}

    def keys(self, model: str, count: int) -> dict[str, float]:
        """What a key press takes in a talk of 200 turns and a megabyte: from the key to the next frame."""
        words = "word " * (count // 5)
        said = f"[{{'role': r, 'content': {words!r}}} for _ in range(200) for r in ('user', 'assistant')]"
        made = f"panel = chatkit.ChatPanel(client=client, model={model!r}, conversation={said})\npanel"
        self.notebook.open(SETUP.format(url=self.url), made)
        self.notebook.run(0)
        self.notebook.run(1)
        self.page.wait_for_function("document.querySelectorAll('.ck-message').length === 400", timeout=120_000)
        self.page.evaluate(TYPE)
        box = self.page.get_by_label("Your message")
        for letter in "what a quick key press":
            box.press(letter if letter != " " else "Space")
        took = sorted(self.page.evaluate("window.took"))
        return {"median ms": took[len(took) // 2], "most ms": took[-1], "keys": float(len(took))}

    def _begin(self, root: str, text: str) -> None:
        self.page.evaluate(WATCH, [root, text])
        self.bytes, self.cpu = 0, self._cpu()

    def _cpu(self) -> float:
        return float(self.notebook.python("sum(__import__('os').times()[:2])"))

    def _figures(self, model: str, count: int, shown: str | None) -> dict[str, float]:
        received = self.bytes
        cpu = self._cpu() - self.cpu
        seen = self.page.evaluate("window.seen")
        with urllib.request.urlopen(f"{self.url}/last") as answer:
            last = json.load(answer)["at"]
        rate = fakeserver.settings(model)[1]
        own = len("".join(fakeserver.tokens(count)).encode())
        return {
            "wall/ideal": (seen["last"] - seen["began"]) / 1000 / (fakeserver.settings(model)[0] / rate)
            if rate
            else 0.0,
            "bytes/own": received / own,
            "MB": received / 1e6,
            "task ms": seen["task"],
            "last glyph ms": seen["last"] - 1000 * last,
            "cpu s": cpu,
            "wrong": float(shown is not None and "".join(shown.split()) != expected(count)),
        }


def main(arguments: list[str]) -> None:
    """Print a line for each way, count and rate."""
    counts = [int(a) for a in arguments if a.isdigit()] or list(COUNTS)
    rates = [a for a in arguments if a in RATES] or list(RATES)
    from playwright.sync_api import sync_playwright

    path = next(found for name in conftest.NAMES if (found := shutil.which(name)))
    with (
        tempfile.TemporaryDirectory() as folder,
        fakeserver.running() as url,
        conftest.running_lab(Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=conftest.FLAGS)
        for count in counts:
            for rate in rates:
                model = f"fake_n{count}" + (f"_{rate}" if RATES[rate] else "")
                for way in ("panel", "plainly"):
                    _report(f"{way} {count} {rate}", _measure(browser, lab, url, way, model, count))
        if not arguments:
            _report("a key in 200 turns, 1 MB", _measure(browser, lab, url, "keys", "fake_n20", 2_500))
            _report(f"{PANELS} panels 500 r100", _measure(browser, lab, url, "together", "fake_n500_r100", 500))
        browser.close()


def _measure(browser: Any, lab: Lab, url: str, way: str, model: str, count: int) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1100, "height": 850})
    notebook = Notebook(page, lab, f"{way}-{model}")
    try:
        return getattr(Bench(notebook, url), way)(model, count)
    finally:
        notebook.shut_down()
        page.close()


def _report(name: str, figures: dict[str, float]) -> None:
    print(f"{name:24}", "  ".join(f"{key} {value:,.2f}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
