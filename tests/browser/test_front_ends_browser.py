"""The same panel in Notebook 7 and in Voilà: no front end has a path of its own, so one talk in each is enough."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lab import RESULTS, Lab
from panel_page import Panel, setup
from scripted_endpoint import ScriptedEndpoint

from chatkit.ui import widget


def write_notebook(lab: Lab, name: str, *cells: str) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = [
        {"cell_type": "code", "id": f"c{n}", "source": code, "metadata": {}, "outputs": [], "execution_count": None}
        for n, code in enumerate(cells)
    ]
    path = lab.folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def talk(panel: Panel, endpoint: ScriptedEndpoint, question: str) -> None:
    """Ask, edit, answer again, go back to the first answer, look at the request."""
    panel.ask(question)
    panel.wait_answer(f"You said: {question}")
    panel.wait_idle()
    panel.message(0).get_by_role("button", name="Edit").click()
    panel.message(0).get_by_label("Message text").fill(f"{question} again")
    panel.message(0).get_by_role("button", name="Save and run").click()
    panel.wait_answer(f"You said: {question} again")
    panel.wait_idle()
    panel.message(0).get_by_role("button", name="Previous variant").click()
    panel.wait_answer(f"You said: {question}")
    panel.message(1).get_by_role("button", name="Inspect request and response").click()
    panel.root.get_by_role("tab", name="curl").click()
    assert "$OPENAI_API_KEY" in panel.root.locator(".ck-sheet").inner_text()
    assert [len(endpoint.asked(text)) for text in (question, f"{question} again")] == [1, 1]


@pytest.mark.own_page
def test_notebook_7_runs_the_panel(page: Any, lab: Lab, endpoint: ScriptedEndpoint):
    path = write_notebook(lab, "in-notebook-7", setup(endpoint))
    page.goto(f"{lab.url}/notebooks/{path.name}?token={lab.token}")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    panel = Panel(None, page)
    panel.wait_idle()
    talk(panel, endpoint, "in notebook 7")
    panel.root.get_by_role("tab", name="Python").click()
    panel.root.get_by_role("button", name="To cell").first.click()
    page.wait_for_function("document.querySelectorAll('.jp-Cell').length >= 2")
    lab.kernels.end_all_but_the_next()


def voila(browser: Any, lab: Lab, name: str, cell: str) -> tuple[Any, set[str]]:
    """A page on which Voilà shows the cell, and what it asked for beyond this machine (and did not get)."""
    path = write_notebook(lab, f"in-voila-{name}", cell)
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    beyond: set[str] = set()

    def refuse(route: Any) -> None:
        beyond.add(route.request.url)
        route.abort()

    context.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", "localhost"), refuse)
    page = context.new_page()
    page.goto(f"{lab.url}/voila/render/{path.name}?token={lab.token}", timeout=60_000)
    return page, beyond


def test_voila_runs_the_panel_and_asks_for_nothing_that_voila_does_not(
    chromium: Any, lab: Lab, endpoint: ScriptedEndpoint
):
    browser = chromium.launch()
    plain, asked = voila(browser, lab, "plain", "import ipywidgets\nipywidgets.IntSlider()")
    plain.locator(".widget-slider").first.wait_for()
    plain.context.close()
    page, beyond = voila(browser, lab, "panel", setup(endpoint))
    panel = Panel(None, page)
    panel.wait_idle()
    talk(panel, endpoint, "in Voilà")
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / "voila.png")
    assert page.locator(".ck-saved").all_inner_texts() == [] or not page.locator(".ck-saved").first.is_visible()
    lab.kernels.end_all_but_the_next()
    browser.close()
    assert beyond <= asked


ASKED = """([source, location, config]) => {
    const document = { getElementById: () => config && { textContent: config }, body: { dataset: {} } };
    const [one, url] = Function("location", "document", `${source}; return [frontEnd(), serverUrl()]`)(location, document);
    return [one.name, url, one.noMicrophone !== ""];
}"""


@pytest.mark.parametrize(
    ("protocol", "hostname", "config", "said"),
    [
        ("http:", "localhost", "", ["Jupyter", "/", False]),
        ("https:", "hub.example.org", '{"baseUrl": "/user/ada/"}', ["Jupyter", "/user/ada/", False]),
        ("vscode-webview:", "1a2b3c", "", ["VS Code", None, True]),
        ("https:", "0abc-496ff2e9c6d22116-0-colab.googleusercontent.com", "", ["Google Colab", None, False]),
        ("https:", "colab.googleusercontent.com.example.org", "", ["Jupyter", "/", False]),
    ],
)
def test_one_module_says_which_front_end_it_is_and_where_its_server_answers(
    page: Any, protocol: str, hostname: str, config: str, said: list[Any]
):
    source = (widget.HERE / "page" / "front_end.js").read_text(encoding="utf-8")
    assert page.evaluate(ASKED, [source, {"protocol": protocol, "hostname": hostname}, config]) == said


def test_no_other_module_of_a_page_asks_where_it_runs():
    scripts = {path.name: path.read_text(encoding="utf-8") for path in widget.HERE.rglob("*.js")}
    asking = {
        name for name, text in scripts.items() if re.search(r"\blocation\.|jupyter-config-data|sharedModel", text)
    }
    assert asking == {"front_end.js"}


THEMES = {
    "Jupyter, light": ('<body data-jp-theme-light="true">', "light"),
    "Jupyter, dark": ('<body data-jp-theme-light="false">', "dark"),
    "VS Code, dark": ('<body class="vscode-dark" data-vscode-theme-kind="vscode-dark">', "dark"),
    "VS Code, light": ('<body class="vscode-light">', "light"),
    "VS Code, high contrast": ('<body class="vscode-high-contrast">', "dark"),
    "VS Code, high contrast light": ('<body class="vscode-high-contrast-light">', "light"),
    "Colab, dark": ('<html theme="dark"><body>', "dark"),
    "Colab, light": ('<html theme="light"><body>', "light"),
    "Voilà, dark": ('<body class="jp-Notebook theme-dark">', "dark"),
    "marimo, light": ('<html class="light" data-theme="light"><body>', "light"),
    "marimo, dark": ('<html><body class="dark dark-theme">', "dark"),
    "a page that says nothing": ("<body>", "light"),
    "a page that is seen to be dark": ('<body style="background: #101418; color: #eee">', "dark"),
    "a frame with light text on what is behind it": ('<body style="color: rgb(230, 230, 230)">', "dark"),
    "a light card on a dark page": (
        '<body style="background: #000"><div style="background: rgb(250 250 250)">',
        "light",
    ),
    "a page whose name for itself is automatic": ('<html data-theme="auto"><body style="background: #fff">', "light"),
}


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    started = chromium.launch()
    yield started
    started.close()


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("shown", THEMES)
def test_a_widget_has_the_theme_of_the_page_around_it_and_not_of_the_system(browser: Any, shown: str, system: str):
    page = browser.new_page(color_scheme=system)
    html, theme = THEMES[shown]
    page.set_content(f"<!doctype html>{html}<div id=here></div>")
    style = widget.style("chat_panel")
    parts = "\n".join((widget.HERE / "page" / f"{name}.js").read_text(encoding="utf-8") for name in ("front_end",))
    seen = page.evaluate(
        """async ([parts, style]) => {
            const el = document.getElementById('here');
            el.innerHTML = `<style>${style}</style><section class="ck-widget">text</section>`;
            const stop = Function(`${parts}; return followTheme`)()(el);
            const scheme = getComputedStyle(el.querySelector('.ck-widget')).colorScheme;
            stop();
            return [el.dataset.ckTheme, scheme];
        }""",
        [parts, style],
    )
    page.close()
    assert seen == [theme, theme]


def test_a_widget_follows_when_the_page_changes_its_theme(browser: Any):
    page = browser.new_page()
    page.set_content('<!doctype html><body class="vscode-light"><div id=here></div>')
    source = (widget.HERE / "page" / "front_end.js").read_text(encoding="utf-8")
    page.evaluate(
        "(source) => Function(`${source}; return followTheme`)()(document.getElementById('here'))",
        source,
    )
    for kind, theme in (("vscode-dark", "dark"), ("vscode-light", "light"), ("vscode-high-contrast", "dark")):
        page.evaluate("(kind) => { document.body.className = kind }", kind)
        page.wait_for_function("(theme) => document.getElementById('here').dataset.ckTheme === theme", arg=theme)
    page.close()
