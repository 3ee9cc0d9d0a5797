"""What a person tries in the panel can be taken back, is marked where it is wrong, and is whole in sight."""

from typing import Any

import pytest
from lab import Lab
from panel_page import Panel
from scripted_endpoint import ScriptedEndpoint

CHANGES = {
    "Message removed.": lambda panel: panel.message(1).get_by_role("button", name="Remove").click(),
    "Role changed.": lambda panel: panel.message(1).get_by_label("Role", exact=True).select_option("tool"),
    "Message moved.": lambda panel: panel.message(1).get_by_role("button", name="Move up").click(),
}


def undo(panel: Panel) -> Any:
    return panel.root.get_by_role("button", name="Undo", exact=True)


def ask(panel: Panel, text: str) -> None:
    panel.ask(text)
    panel.wait_answer(f"You said: {text}")
    panel.wait_idle()


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_stays_in_sight_with_its_way_back_and_there_again(panel: Panel, what: str):
    ask(panel, "alpha")
    panel.tool(1, "More")
    CHANGES[what](panel)
    strip = panel.root.locator(".ck-changed")
    strip.get_by_text(what).wait_for()
    changed = panel.texts(), panel.notebook.python("[m.role for m in chat.conversation]")
    undo(panel).click()
    panel.wait_texts("alpha", "You said: alpha")
    panel.until(lambda: panel.notebook.python("[m.role for m in chat.conversation]") == ["user", "assistant"])
    panel.root.get_by_role("button", name="Redo").click()
    undo(panel).wait_for()
    assert (panel.texts(), panel.notebook.python("[m.role for m in chat.conversation]")) == changed


def test_an_edit_is_taken_back_after_the_talk_went_on_and_what_came_since_is_a_branch(panel: Panel):
    ask(panel, "alpha")
    panel.tool(1, "Edit")
    panel.message(1).get_by_label("Message text").fill("made up")
    panel.message(1).get_by_role("button", name="Save", exact=True).click()
    panel.root.locator(".ck-changed", has_text="Message edited.").wait_for()
    ask(panel, "beta")
    panel.root.locator(".ck-changed").wait_for(state="hidden")
    panel.drawer("Branches").get_by_role("button", name="Undo the last change").click()
    panel.wait_texts("alpha", "You said: alpha")
    branches = panel.notebook.python("[[m.text for m in b.messages] for b in chat.branches]")
    assert branches == [["alpha", "made up", "beta", "You said: beta"], ["alpha", "You said: alpha"]]


def test_the_row_of_a_message_follows_it_and_keeps_the_focus(panel: Panel):
    ask(panel, "alpha")
    panel.tool(0, "More")
    row = panel.message(0).locator(".ck-morerow")
    for now, then in (("Switch off", "Switch on"), ("Switch on", "Switch off")):
        row.get_by_role("button", name=now).click()
        row.get_by_role("button", name=then).wait_for()
        assert panel.page.evaluate("document.activeElement.textContent") == then
    row.get_by_label("Role").select_option("system")
    panel.root.locator(".ck-role-system").wait_for()
    assert row.get_by_label("Role").input_value() == "system"


def test_a_bad_value_is_marked_at_its_field_and_a_good_one_is_set_back_to_nothing(panel: Panel):
    drawer = panel.drawer("Settings")
    names = {"Temperature": "temperature", "Max tokens": "max_completion_tokens", "Seed": "seed"}
    for label, bad in (("Temperature", "hot"), ("Max tokens", "-3"), ("Seed", "1.5")):
        field = drawer.get_by_label(label, exact=True)
        field.fill(bad)
        field.press("Tab")
        drawer.locator(f".ck-set-{names[label]} ~ .ck-fault:not(:empty)").wait_for()
        assert (field.get_attribute("aria-invalid"), field.input_value()) == ("true", bad)
    assert panel.root.locator(".ck-error").is_hidden(), "it is said at the field, not above it"
    field = drawer.get_by_label("Temperature", exact=True)
    field.fill("0.5")
    field.press("Tab")
    temperature = drawer.locator(".ck-label", has=panel.page.locator(".ck-set-temperature"))
    temperature.get_by_role("button", name="Reset").click()
    panel.until(lambda: "temperature" not in panel.notebook.python("dict(chat.parameters)"))
    panel.page.wait_for_function(
        "!document.querySelector('.ck-set-temperature').value && !document.querySelector('.ck-set-temperature').ariaInvalid"
    )
    assert temperature.get_by_role("button", name="Reset").is_hidden()


def test_a_field_that_appears_stands_at_what_it_belongs_to(panel: Panel):
    drawer = panel.drawer("Settings")
    drawer.get_by_label("When it gets long").select_option("budget")
    drawer.get_by_label("Token budget").wait_for()
    drawer.get_by_label("Response format", exact=True).select_option("schema")
    schema = drawer.get_by_label("JSON schema", exact=True)
    schema.wait_for()
    names = drawer.locator(".ck-name").all_inner_texts()
    assert names[names.index("Response format") + 1] == "JSON schema"
    assert names[names.index("When it gets long") + 1] == "Token budget"
    assert schema.evaluate("node => getComputedStyle(node).fontFamily.includes('mono')")
    assert schema.evaluate("node => node.clientHeight") > 120


@pytest.mark.parametrize("width", ["", "400px"])
def test_a_drawer_shows_all_that_it_holds_and_the_foot_has_one_left_edge(panel: Panel, width: str):
    ask(panel, "alpha")
    ask(panel, "beta")
    panel.tool(3, "Answer again")
    panel.message(3).locator(".ck-variants").wait_for()
    panel.wait_idle()
    panel.root.evaluate("(node, width) => { node.style.width = width }", width)
    closed = panel.root.locator(".ck-opener").evaluate_all("nodes => nodes.map(node => node.offsetLeft)")
    for name in ("Settings", "Branches", "History", "Code & export", "Keys"):
        drawer = panel.drawer(name)
        if name == "Branches":
            drawer.get_by_role("button", name="Compare").click()
            drawer.locator(".ck-difftable").wait_for()
        if name == "Code & export":
            drawer.get_by_role("button", name="HTML").wait_for()
            above = "(node) => node.querySelector('button').offsetTop < node.querySelector('pre').offsetTop"
            assert drawer.evaluate(above), "the files stand before the long code"
        assert drawer.evaluate("node => node.scrollHeight <= node.clientHeight + 1"), f"{name} is cut off"
        opened = panel.root.locator(".ck-opener").evaluate_all("nodes => nodes.map(node => node.offsetLeft)")
        assert opened == closed, "an open drawer's button moves its neighbours"
        panel.notebook.screenshot(f"drawer-{name.split()[0].lower()}{width}", panel.root)
    edges = panel.root.evaluate(
        """(root) => ['.ck-outlook', '.ck-session', '.ck-endpoint', '.ck-opener', '.ck-role'].map((name) => {
            const node = root.querySelector(name);
            return Math.round(node.getBoundingClientRect().left + parseFloat(getComputedStyle(node).paddingLeft));
        })"""
    )
    assert len({edge for at, edge in enumerate(edges) if at != 1 or width}) == 1, edges
    assert panel.root.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


def test_answers_are_side_by_side_again_and_each_that_was_cut_off_can_go_on(panel: Panel, endpoint: ScriptedEndpoint):
    panel.notebook.python("chat.parameters.update(n=2)")
    panel.ask("limited")
    panel.root.get_by_role("button", name="Keep this one").nth(1).wait_for()
    panel.wait_idle()
    heads = panel.root.locator(".ck-choice").evaluate_all(
        "nodes => nodes.map(node => node.querySelector('button').offsetTop < node.querySelector('.ck-text').offsetTop)"
    )
    assert heads == [True, True], "the button of a short answer is not a screen below it"
    panel.notebook.python("chat.keep(1) and None")
    panel.root.get_by_role("button", name="Side by side").click()
    kept = panel.root.locator(".ck-choice.ck-kept")
    kept.wait_for()
    assert kept.locator(".ck-role").inner_text().startswith("Answer 2 · kept")
    panel.notebook.python("chat.parameters.clear()")
    panel.root.locator(".ck-choice").first.get_by_role("button", name="Continue").click()
    panel.wait_idle()
    panel.until(lambda: len(endpoint.exchanges[-1].body["messages"]) == 3)
    first = panel.notebook.python("chat.conversation[1].text")
    assert endpoint.exchanges[-1].body["messages"][1]["content"] == first
    assert panel.notebook.python("chat.conversation[1].id == chat.branches[0].messages[1].id")


def test_an_empty_panel_says_who_will_answer_and_offers_three_beginnings(panel: Panel, endpoint: ScriptedEndpoint):
    asked = len(endpoint.exchanges)
    hello = panel.root.locator(".ck-hello")
    hello.wait_for()  # the kernel has said what there is
    assert "scripted" in hello.locator(".ck-who").inner_text()
    chips = hello.get_by_role("button")
    assert chips.count() == 3
    words = chips.nth(1).inner_text()
    chips.nth(1).click()
    assert panel.box.input_value() == words
    assert panel.page.evaluate("document.activeElement.className") == "ck-box"
    assert len(endpoint.exchanges) == asked, "nothing is sent before a person sends it"
    panel.box.press("Enter")
    panel.wait_answer(f"You said: {words}")
    assert hello.is_hidden()


def test_ones_own_stop_is_no_error(panel: Panel):
    panel.ask("silence")
    panel.wait_phase("waiting")
    panel.stop()
    said = panel.root.locator(".ck-error")
    said.get_by_text("Stopped before anything came.").wait_for()
    assert said.get_attribute("role") == "status"
    soft = panel.root.locator(".ck-name, .ck-outlook").first.evaluate("node => getComputedStyle(node).color")
    assert said.evaluate("node => getComputedStyle(node).borderInlineStartColor") == soft
    panel.ask("broken")
    panel.page.wait_for_selector(".ck-error[role=alert]")
    assert said.evaluate("node => getComputedStyle(node).borderInlineStartColor") != soft


@pytest.mark.own_page
def test_a_question_to_a_kernel_that_another_tab_started_anew_is_not_swallowed(
    panel: Panel, lab: Lab, endpoint: ScriptedEndpoint
):
    ask(panel, "before")
    panel.notebook.command("docmanager:save")
    tab = panel.page.context.new_page()
    panel.notebook.show(tab, workspace="-second")
    other = Panel(panel.notebook, tab)
    other.wait_answer("You said: before")
    panel.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    panel.wait_phase("gone")
    if other.root.get_attribute("data-phase") != "gone":
        other.box.fill("into the void?")
        other.box.press("Enter")
    other.wait_phase("gone")
    assert other.root.locator(".ck-notice").inner_text().startswith("The kernel is gone.")
    assert other.box.input_value() in ("into the void?", "")
    assert other.texts() == ["before", "You said: before"]
