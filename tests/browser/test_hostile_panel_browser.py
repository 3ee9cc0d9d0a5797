"""Hostile text in the panel: it runs nothing, asks nobody, and leads nowhere without a click."""

import re
from typing import Any

import pytest
from hostile_payloads import PAYLOADS
from panel_page import Panel, write
from scripted_endpoint import ScriptedEndpoint

TRAPS = """() => {
    if (window.hits) return window.hits.splice(0);
    const own = (name, value) => Object.defineProperty(window, name, { value, writable: true, enumerable: false });
    own("hits", []);
    const hit = (what) => window.hits.push(what);
    for (const name of ["alert", "confirm", "prompt", "open"]) window[name] = () => hit(name);
    own("hit", hit);
    const execute = window.jupyterapp.commands.execute.bind(window.jupyterapp.commands);
    window.jupyterapp.commands.execute = (...args) => { hit(`command ${args[0]}`); return execute(...args); };
    document.addEventListener("submit", () => hit("submit"), true);
}"""
TAGS = {
    "a",
    "article",
    "b",
    "blockquote",
    "br",
    "button",
    "code",
    "dd",
    "del",
    "details",
    "dl",
    "dt",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "input",
    "kbd",
    "label",
    "li",
    "ins",
    "ol",
    "option",
    "p",
    "path",
    "pre",
    "section",
    "select",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "svg",
    "s",
    "table",
    "tbody",
    "td",
    "textarea",
    "th",
    "thead",
    "tr",
    "ul",
    "datalist",
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "msup",
    "msub",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mfrac",
    "msqrt",
    "mroot",
    "mtable",
    "mtr",
    "mtd",
    "mstyle",
    "mpadded",
    "mphantom",
    "menclose",
    "mmultiscripts",
    "mprescripts",
    "none",
}
OWN = re.compile(r"command \w+:get-kernel")
"""What JupyterLab itself asks its menus when a notebook is opened."""
FOUND = """(root) => [...root.querySelectorAll("*")].map((node) => [
    node.localName,
    [...node.attributes].map((attribute) => attribute.name),
    node.getAttribute("href"), node.getAttribute("rel"), node.getAttribute("target"),
])"""


@pytest.fixture
def asked(page: Any) -> list[str]:
    """Every request of the page that is no part of Jupyter's own talk with its server."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    return found


def assert_harmless(panel: Panel, asked: list[str]) -> None:
    hits = panel.page.evaluate("[...window.hits, ...(window.owned ? ['owned'] : [])]")
    assert [hit for hit in hits if not OWN.fullmatch(hit)] == []
    assert [url for url in asked if "/api/" not in url and "/static/" not in url] == []
    for tag, attributes, href, rel, target in panel.root.evaluate(FOUND):
        assert tag in TAGS, tag
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcdoc", "action", "formaction")
        ]
        if href is not None:
            assert href.startswith(("http://", "https://", "mailto:")), href
            assert (rel, target) == ("noopener noreferrer", "_blank")


def test_more_than_a_hundred_payloads_as_messages_of_every_kind(
    panel: Panel, endpoint: ScriptedEndpoint, asked: list[str]
):
    panel.page.evaluate(TRAPS)
    panel.notebook.python(f"globals().__setitem__('payloads', {list(PAYLOADS.values())!r})")
    asked.clear()
    roles = "('user', 'assistant', 'system', 'tool', 'developer')"
    made = f"chatkit.Message({roles}[n % 5] if k else 'assistant', text, note=text[:80])"
    panel.notebook.python(
        f"chat.conversation.replace_all([{made} for k in (0, 1) for n, text in enumerate(payloads)]) or 0"
    )
    panel.page.wait_for_function(
        f"document.querySelectorAll('.ck-message').length === {2 * len(PAYLOADS)}", timeout=60_000
    )
    assert len(PAYLOADS) >= 100
    assert_harmless(panel, asked)


def test_payloads_that_stream_from_the_model(panel: Panel, endpoint: ScriptedEndpoint, asked: list[str]):
    endpoint.payloads = list(PAYLOADS.values())
    panel.page.evaluate(TRAPS)
    asked.clear()
    for number in range(0, len(PAYLOADS), max(1, len(PAYLOADS) // 12)):
        panel.ask(f"hostile {number}")
        panel.wait_idle()
    assert_harmless(panel, asked)


def test_payloads_in_names_errors_branches_history_and_what_is_opened(
    panel: Panel, endpoint: ScriptedEndpoint, asked: list[str]
):
    attack = "<img src=x onerror=hit('img')><script>hit('script')</script>'\"`"
    panel.page.evaluate(TRAPS)
    asked.clear()
    panel.ask(f"broken {attack}")
    panel.root.locator(".ck-error-text", has_text="refused").wait_for()
    panel.box.fill("")
    panel.ask(attack)
    panel.root.locator(".ck-caption").wait_for()
    panel.wait_idle()
    branches = panel.drawer("Branches")
    branches.get_by_label("Name of the new branch").fill(attack[:70])
    branches.get_by_role("button", name="New branch").click()
    branches.locator(".ck-itemname", has_text="onerror").wait_for()
    panel.tool(1, "Answer again")
    panel.message(1).locator(".ck-variants").wait_for()
    panel.wait_idle()
    branches.get_by_role("button", name="Compare").click()
    branches.locator(".ck-difftable").wait_for()
    panel.tool(1, "Inspect request and response")
    for tab in panel.root.locator(".ck-inspector").get_by_role("tab").all():
        tab.click()
    panel.drawer("History").locator(".ck-itemname", has_text="<img").first.wait_for()
    panel.drawer("Code & export").locator(".ck-sheet pre").wait_for()
    settings = panel.drawer("Settings")
    settings.get_by_label("System prompt").fill(attack)
    settings.get_by_label("System prompt").press("Tab")
    panel.root.locator(".ck-role-system").wait_for()
    model = settings.get_by_label("Model", exact=True)
    model.fill(f"<b>{attack}..")  # a name that is refused is quoted
    model.press("Tab")
    panel.root.locator(".ck-error-text", has_text="a model's name").wait_for()
    assert_harmless(panel, asked)
    model.fill(f"<b>{attack}")  # what may be a file's name is taken and shown
    model.press("Tab")
    panel.root.locator(".ck-info", has_text="<b><img").wait_for()
    assert_harmless(panel, asked)


def test_a_link_opens_by_click_alone_in_a_page_that_knows_nothing_of_this_one(panel: Panel, endpoint: ScriptedEndpoint):
    write(panel.notebook, 1, f"chat.conversation.add('assistant', '[a link]({panel.notebook.lab.url}/api)')")
    panel.notebook.run(1)
    link = panel.root.get_by_role("link", name="a link")
    link.wait_for()
    assert "127.0.0.1" in panel.root.locator(".ck-host").inner_text()
    assert len(panel.page.context.pages) == 1
    with panel.page.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("window.opener") is None
    assert opened.value.evaluate("document.referrer") == ""
