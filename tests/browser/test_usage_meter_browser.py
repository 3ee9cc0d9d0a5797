"""The usage meter in a real JupyterLab: it follows calls, keeps still, and says what it shows."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from lab import Notebook
from scripted_endpoint import ScriptedEndpoint


class Meter:
    """A usage meter on the page."""

    def __init__(self, notebook: Notebook, page: Any = None) -> None:
        self.notebook = notebook
        self.page = page or notebook.page
        self.root = self.page.locator(".ck-meter").first

    def wait_calls(self, count: int) -> None:
        self.page.wait_for_function(
            "(count) => document.querySelector('.ck-meter')?.dataset.calls === String(count)"
            " && document.querySelector('.ck-meter').dataset.phase === 'live'",
            arg=count,
        )

    def counters(self) -> dict[str, str]:
        return dict(
            self.root.locator(".ck-counters > div").evaluate_all(
                "nodes => nodes.map(node => [node.querySelector('dt').textContent, node.querySelector('dd').textContent])"
            )
        )


def setup(endpoint: ScriptedEndpoint, store: str) -> str:
    return "\n".join(
        [
            "import os",
            f"os.environ['CHATKIT_DB'] = {store!r}",
            "import chatkit",
            f"client = chatkit.connect(base_url={endpoint.base_url!r}, api_key='sk-test', quiet=True)",
            "def ask(text):",
            "    return client.chat.completions.create(model='scripted', messages=[{'role': 'user', 'content': text}])",
            "meter = chatkit.UsageMeter()",
            "meter",
        ]
    )


@pytest.fixture
def meter(notebook: Notebook, endpoint: ScriptedEndpoint, tmp_path: Any) -> Meter:
    notebook.open(setup(endpoint, str(tmp_path / "usage.sqlite")), "_ = ask('count 5')", "")
    notebook.run(0)
    shown = Meter(notebook)
    shown.wait_calls(0)
    return shown


BUSY = """
import threading
asked = [ask("count 5"), ask("count 7")]
import time
while not os.path.exists(flag):
    time.sleep(0.02)
"""

SEED = """
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from chatkit import Usage, UsageStore
random.seed(7)
(example,) = UsageStore().records()[:1]
other = UsageStore(os.environ['CHATKIT_DB'])
now = datetime.now(UTC)
names = ['Lesson 1', 'Lesson 2', '<img src=x onerror="window.hacked = 1">', 'Evening', 'Optics', 'Waves', 'Heat', 'Light']
for n in range(120):
    prompt = random.randint(200, 3000)
    known = 'unknown' if n % 29 == 28 else 'estimated' if n % 11 == 10 else 'measured'
    used = Usage() if known == 'unknown' else Usage(prompt, random.randint(20, 400), prompt // 3, 15 * (n % 4 == 0), None, Decimal(prompt).scaleb(-6), known)
    other.add(replace(example, id=f'seed{n}', session=names[n % 8], at=now - timedelta(minutes=5 * (120 - n)), usage=used))
chatkit.budget('0.50', per='day')
"""


def test_it_follows_the_plain_sdk_and_touches_only_what_changes(meter: Meter) -> None:
    assert meter.counters() == {"calls": "0", "tokens in": "0", "tokens out": "0", "cost, USD": "0"}
    meter.notebook.run(1)
    meter.wait_calls(1)
    meter.root.evaluate(
        """root => {
            root.dataset.removed = 0;
            new MutationObserver((all) => all.forEach((one) => {
                root.dataset.removed = Number(root.dataset.removed) + [...one.removedNodes].filter((node) => node.nodeType === 1).length;
            })).observe(root, { childList: true, subtree: true });
        }"""
    )
    meter.notebook.run(1)
    meter.notebook.run(1)
    meter.wait_calls(3)
    assert meter.counters() == {"calls": "3", "tokens in": "21", "tokens out": "15", "cost, USD": "unknown"}
    assert meter.notebook.python("[meter._shown['calls'], chatkit.usage().total.prompt_tokens]") == [3, 21]
    assert meter.root.get_attribute("data-removed") == "0"
    assert meter.root.locator(".ck-notes").inner_text() == "? 3 calls without a price, in no cost."
    assert meter.root.locator("tbody th").all_inner_texts() == ["scripted-1"]


def test_it_follows_calls_while_their_cell_still_runs(meter: Meter, tmp_path: Any) -> None:
    flag = tmp_path / "flag"
    write(meter.notebook, 2, f"flag = {str(flag)!r}\n{BUSY}")
    meter.notebook.start(2)
    meter.wait_calls(2)
    assert meter.counters()["tokens out"] == "12"
    flag.touch()
    meter.notebook.wait_for_end(2)


def test_all_notebooks_are_shown_on_the_switch_in_both_themes_and_in_320_pixels(meter: Meter) -> None:
    notebook, page, root = meter.notebook, meter.page, meter.root
    notebook.run(1)
    meter.wait_calls(1)
    write(notebook, 2, SEED)
    notebook.run(2)
    assert notebook.output(2) == "" or "USD" in notebook.output(2)
    root.get_by_label("All my notebooks").check()
    meter.wait_calls(121)
    assert notebook.python("meter.everywhere") is True
    assert meter.counters()["calls"] == "121"
    assert root.locator(".ck-budget").inner_text().endswith("of 0.5 USD spent today")
    assert root.locator("caption").inner_text() == "The largest 6; 3 more"
    assert '<img src=x onerror="window.hacked = 1">' in root.locator("tbody th").all_inner_texts()
    assert page.evaluate("window.hacked") is None
    for theme in ("Light", "Dark"):
        page.evaluate(
            "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
            f"JupyterLab {theme}",
        )
        wanted = "true" if theme == "Light" else "false"
        page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached")
        notebook.screenshot(f"meter-{theme.lower()}", root)
        assert violations(page) == []
        root.evaluate("node => { node.style.width = '320px' }")
        assert root.evaluate("node => node.scrollWidth <= node.clientWidth")
        notebook.screenshot(f"meter-{theme.lower()}-320", root)
        root.evaluate("node => { node.style.width = '' }")
    root.get_by_label("All my notebooks").uncheck()
    meter.wait_calls(1)
    notebook.shut_down()
    page.wait_for_selector(".ck-meter[data-phase=gone]")
    assert "The kernel is gone; this is the last that was seen." in root.inner_text()


def violations(page: Any) -> list[str]:
    found = Axe().run(page, context=".ck-meter", options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['target']} {node.get('failureSummary')}" for one in found for node in one["nodes"]]


def write(notebook: Notebook, cell: int, code: str) -> None:
    notebook.page.evaluate(
        """([cell, code]) =>
            window.jupyterapp.shell.currentWidget.content.widgets[cell].model.sharedModel.setSource(code)""",
        [cell, code],
    )
