"""People: what axe-core finds, contrast in both themes, reduced motion, right-to-left text, the order of Tab."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from panel_page import Panel

SERIOUS = ("serious", "critical")


def choose_theme(panel: Panel, theme: str) -> None:
    panel.page.evaluate(
        "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
        f"JupyterLab {theme}",
    )
    panel.page.wait_for_selector(f"body[data-jp-theme-light={str(theme == 'Light').lower()}]", state="attached")


def serious(panel: Panel) -> list[str]:
    """What axe-core finds in the panel that is serious: the rule, and where."""
    found = Axe().run(panel.page, context=".ck-panel", options={"resultTypes": ["violations"]}).response
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_serious_in_any_state(panel: Panel, theme: str):
    choose_theme(panel, theme)
    panel.ask("rich")
    panel.root.locator(".ck-caption").wait_for()
    panel.wait_idle()
    panel.tool(1, "Answer again")
    panel.message(1).locator(".ck-variants").wait_for()
    panel.wait_idle()
    panel.tool(0, "More")
    panel.message(0).get_by_role("button", name="Switch off").click()
    panel.message(0).locator(".ck-state").wait_for()
    panel.tool(0, "Edit")
    panel.message(0).get_by_label("Message text").wait_for()
    panel.tool(1, "Inspect request and response")
    panel.root.locator(".ck-inspector [role=tab]").first.wait_for()
    found = {}
    for drawer in ("Settings", "Branches", "History", "Code & export", "Keys"):
        panel.drawer(drawer)
        if drawer == "Branches":
            panel.root.get_by_role("button", name="Compare").click()
            panel.root.locator(".ck-difftable").wait_for()
        if drawer == "History":
            panel.root.locator(".ck-drawer[aria-label=History] .ck-item").first.wait_for()
        found[drawer] = serious(panel)
        panel.notebook.screenshot(f"panel-{drawer.split()[0].lower()}-{theme.lower()}", panel.root)
    panel.ask("broken")
    panel.root.get_by_role("button", name="Retry").wait_for()
    found["error"] = serious(panel)
    assert {state: faults for state, faults in found.items() if faults} == {}


def test_motion_stops_for_those_who_ask(panel: Panel):
    panel.page.emulate_media(reduced_motion="reduce")
    panel.ask("count 200")
    panel.wait_numbers(3)
    moving = panel.root.evaluate(
        """root => [...root.querySelectorAll('*')].flatMap((node) => ['', '::before', '::after'].map((part) =>
            getComputedStyle(node, part || null).animationName)).filter((name) => name !== 'none')"""
    )
    assert moving == []
    panel.stop()
    panel.page.emulate_media(reduced_motion="null")


def test_text_runs_the_way_it_is_written(panel: Panel):
    panel.ask("مرحبا بالعالم")
    panel.wait_texts("مرحبا بالعالم", "You said: مرحبا بالعالم")
    ways = panel.root.locator(".ck-message .ck-body").evaluate_all(
        "nodes => nodes.map(n => getComputedStyle(n).direction)"
    )
    assert ways == ["rtl", "ltr"]
    panel.box.fill("שלום")
    assert panel.box.evaluate("node => getComputedStyle(node).direction") == "rtl"


def test_tab_goes_through_the_panel_in_the_order_of_reading(panel: Panel):
    panel.ask("order")
    panel.wait_answer("You said: order")
    panel.wait_idle()
    panel.root.locator(".ck-talk").focus()
    panel.page.keyboard.press("ArrowUp")
    names = []
    for _ in range(12):
        panel.page.keyboard.press("Tab")
        names.append(
            panel.page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
            )
        )
    tools = ["Edit", "Copy", "Answer again", "Inspect request and response", "More"]
    drawers = ["Settings", "Branches", "History", "Code & export", "Keys"]
    assert names == [*tools, "Your message", *drawers, names[-1]]
