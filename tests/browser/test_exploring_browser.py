"""Exploring prompts in the panel: editing, branches, parameters, the inspector, the outlook, history, export."""

import json
from pathlib import Path

import pytest
from lab import Notebook
from panel_page import Panel, setup, write
from scripted_endpoint import ScriptedEndpoint


def said(panel: Panel) -> list[list[str]]:
    return panel.notebook.python("[[m.role, m.text] for m in chat.conversation]")


# 1 · every message is editable


def test_a_message_is_edited_in_place_and_keeps_its_place(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("first")
    panel.wait_answer("You said: first")
    panel.wait_idle()
    panel.tool(1, "Edit")
    panel.message(1).get_by_label("Message text").fill("I never said that.")
    panel.message(1).get_by_role("button", name="Save", exact=True).click()
    panel.wait_texts("first", "I never said that.")
    assert said(panel) == [["user", "first"], ["assistant", "I never said that."]]
    panel.ask("second")
    panel.wait_answer("You said: second")
    assert endpoint.asked("second")[-1].body["messages"][1] == {"role": "assistant", "content": "I never said that."}


def test_role_insert_move_switch_and_remove(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("alpha")
    panel.wait_answer("You said: alpha")
    panel.wait_idle()
    panel.tool(0, "More")
    more = panel.message(0)
    more.get_by_role("button", name="Insert before").click()
    more.get_by_label("Message text").fill("Be kind.")
    more.locator(".ck-editor").get_by_label("Role").select_option("system")
    more.locator(".ck-editor").get_by_role("button", name="Save").click()
    panel.wait_texts("Be kind.", "alpha", "You said: alpha")
    panel.message(1).get_by_role("button", name="Insert after").click()
    panel.message(1).get_by_label("Message text").fill("An example.")
    panel.message(1).locator(".ck-editor").get_by_role("button", name="Save").click()
    panel.wait_texts("Be kind.", "alpha", "An example.", "You said: alpha")
    assert [role for role, _ in said(panel)] == ["system", "user", "assistant", "assistant"]
    panel.message(1).get_by_role("button", name="Move down").click()
    panel.wait_texts("Be kind.", "An example.", "alpha", "You said: alpha")
    panel.tool(1, "More")
    panel.message(1).get_by_label("Role", exact=True).select_option("user")
    panel.until(lambda: said(panel)[1][0] == "user")
    panel.message(1).get_by_role("button", name="Switch off").click()
    panel.message(1).locator(".ck-state", has_text="switched off").wait_for()
    assert "ck-off" in panel.message(1).get_attribute("class")
    panel.ask("beta")
    panel.wait_answer("You said: beta")
    sent = endpoint.asked("beta")[-1].body["messages"]
    assert [m["content"] for m in sent] == ["Be kind.", "alpha", "You said: alpha", "beta"]
    panel.wait_idle()
    panel.message(1).get_by_role("button", name="Remove").click()
    panel.wait_texts("Be kind.", "alpha", "You said: alpha", "beta", "You said: beta")


def test_what_is_being_written_outlives_a_change_elsewhere(panel: Panel):
    panel.ask("keep my words")
    panel.wait_answer("You said: keep my words")
    panel.wait_idle()
    panel.tool(0, "Edit")
    panel.message(0).get_by_label("Message text").fill("half a thought")
    write(panel.notebook, 1, "chat.conversation.edit(0, 'changed by code')\nchat.system = 'Hello'")
    panel.notebook.run(1)
    panel.page.wait_for_function("document.querySelectorAll('.ck-message').length === 3")
    assert panel.message(1).get_by_label("Message text").input_value() == "half a thought"


# 2 · regenerate, undo, branch


def test_an_edit_that_runs_keeps_the_old_branch_and_both_are_compared(panel: Panel):
    panel.ask("tell me about cats")
    panel.wait_answer("You said: tell me about cats")
    panel.wait_idle()
    panel.tool(0, "Edit")
    panel.message(0).get_by_label("Message text").fill("tell me about dogs")
    panel.message(0).get_by_role("button", name="Save and run").click()
    panel.wait_texts("tell me about dogs", "You said: tell me about dogs")
    panel.wait_idle()
    assert panel.message(0).locator(".ck-variants").inner_text().strip() == "2/2"
    panel.message(0).get_by_role("button", name="Previous variant").click()
    panel.wait_texts("tell me about cats", "You said: tell me about cats")
    assert said(panel)[0] == ["user", "tell me about cats"]
    drawer = panel.drawer("Branches")
    assert drawer.locator(".ck-item").count() == 2
    drawer.get_by_role("button", name="Compare").click()
    drawer.locator("ins").first.wait_for()
    assert {drawer.locator("del").first.inner_text(), drawer.locator("ins").first.inner_text()} == {"cats", "dogs"}
    assert len(panel.notebook.python("[b.name for b in chat.branches]")) == 2


def test_branches_are_made_named_shown_and_removed(panel: Panel):
    panel.ask("start")
    panel.wait_answer("You said: start")
    panel.wait_idle()
    drawer = panel.drawer("Branches")
    drawer.get_by_label("Name of the new branch").fill("formal")
    drawer.get_by_role("button", name="New branch").click()
    drawer.locator(".ck-current", has_text="formal").wait_for()
    panel.ask("only here")
    panel.wait_answer("You said: only here")
    panel.wait_idle()
    other = drawer.locator(".ck-item:not(.ck-current)")
    other.get_by_role("button", name="Show").click()
    panel.wait_texts("start", "You said: start")
    drawer.locator(".ck-item:not(.ck-current)").get_by_role("button", name="Rename").click()
    drawer.get_by_label("New name").fill("very formal")
    drawer.get_by_label("New name").press("Enter")
    drawer.locator(".ck-itemname", has_text="very formal").wait_for()
    assert panel.notebook.python("[b.name for b in chat.branches if not b.current]") == ["very formal"]
    drawer.locator(".ck-item:not(.ck-current)").get_by_role("button", name="Remove").click()
    panel.page.wait_for_function("document.querySelectorAll('.ck-item').length === 1")


def test_answering_again_keeps_the_answer_before(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("again")
    panel.wait_answer("You said: again")
    panel.wait_idle()
    panel.tool(1, "Answer again")
    panel.message(1).locator(".ck-variants", has_text="2/2").wait_for()
    assert len(endpoint.asked("again")) == 2
    panel.tool(1, "Previous variant")
    panel.message(1).locator(".ck-variants", has_text="1/2").wait_for()


def test_a_turn_is_taken_back_and_stays_on_a_branch(panel: Panel):
    for words in ("first", "second"):
        panel.ask(words)
        panel.wait_answer(f"You said: {words}")
    panel.wait_idle()
    drawer = panel.drawer("Branches")
    drawer.get_by_role("button", name="Undo the last turn").click()
    panel.wait_texts("first", "You said: first")
    assert [
        len(b) for b in panel.notebook.python("[b.messages and [m.text for m in b.messages] for b in chat.branches]")
    ] == [4, 2]
    drawer.locator(".ck-item:not(.ck-current)").get_by_role("button", name="Show").click()
    panel.wait_texts("first", "You said: first", "second", "You said: second")


# 3 · parameters


def test_parameters_reach_the_request_and_a_refused_one_says_why(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("so that the models are known")
    panel.wait_answer("You said: so that the models are known")
    drawer = panel.drawer("Settings")
    values = {"Top p": "0.5", "Max tokens": "50", "Seed": "7", "Presence penalty": "0.2", "Frequency penalty": "-0.2"}
    for label, value in values.items():
        drawer.get_by_label(label, exact=True).fill(value)
        drawer.get_by_label(label, exact=True).press("Tab")
    drawer.get_by_label("Stop, one a line").fill("END\nSTOP")
    drawer.get_by_label("Stop, one a line").press("Tab")
    drawer.get_by_label("Response format", exact=True).select_option("json")
    panel.until(lambda: panel.notebook.python("'response_format' in chat.parameters"))
    panel.ask("give me JSON with parameters")
    panel.wait_answer("You said: give me JSON with parameters")
    body = endpoint.asked("give me JSON with parameters")[0].body
    named = ("top_p", "max_completion_tokens", "seed", "presence_penalty", "frequency_penalty", "stop")
    assert [body[name] for name in named] == [0.5, 50, 7, 0.2, -0.2, ["END", "STOP"]]
    assert body["response_format"] == {"type": "json_object"}
    drawer.get_by_label("Temperature", exact=True).fill("hot")
    drawer.get_by_label("Temperature", exact=True).press("Tab")
    panel.root.locator(".ck-error-text", has_text="it must be a number from 0 to 2").wait_for()
    assert "temperature" not in panel.notebook.python("list(chat.parameters)")


def go_to(panel: Panel, base_url: str, key: str = "sk-test", local: bool = False) -> None:
    """Have the chat's next turn go elsewhere, as far as its settings know."""
    endpoint = f"replace(chat.endpoint, base_url={base_url!r}, api_key={key!r}, local={local})"
    panel.notebook.python(f"setattr(chat, 'endpoint', __import__('dataclasses').{endpoint})")


def test_settings_say_what_the_model_takes_where_it_is_asked(panel: Panel):
    panel.ask("so that the endpoint is known")
    panel.wait_answer("You said: so that the endpoint is known")
    drawer = panel.drawer("Settings")

    def field(label: str):
        return drawer.get_by_label(label, exact=True)

    def options() -> list[str]:
        return field("Reasoning effort").locator("option").all_inner_texts()

    def choose(model: str) -> None:
        field("Model").fill(model)
        field("Model").press("Tab")
        panel.until(lambda: panel.notebook.python("chat.model") == model)

    choose("gpt-4o")
    assert options() == ["default", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
    assert drawer.locator(".ck-refused").count() == 0 and field("Temperature").is_enabled()
    go_to(panel, "https://api.openai.com/v1")
    choose("gpt-6-luna")
    drawer.locator(".ck-refused", has_text="Temperature").wait_for()
    assert field("Temperature").is_disabled()
    assert "gpt-6-luna" in drawer.locator(".ck-refused", has_text="Temperature").locator(".ck-why").inner_text()
    assert options() == ["default", "none", "low", "medium", "high", "xhigh", "max"]
    field("Reasoning effort").select_option("max")
    panel.until(lambda: panel.notebook.python("chat.parameters.get('reasoning_effort')") == "max")
    assert field("Reasoning effort").input_value() == "max"
    assert field("Max tokens").get_attribute("placeholder") == "at most 128,000"
    shots(panel, "settings-hosted")
    go_to(panel, "http://127.0.0.1:9/v1", "chatkit-local-x", local=True)
    choose("any")
    panel.page.wait_for_selector("input[placeholder='512']")
    shown = [field(label).get_attribute("placeholder") for label in ("Temperature", "Top p", "Max tokens")]
    assert shown == ["0.1", "0.9", "512"]
    shots(panel, "settings-local")


def shots(panel: Panel, name: str) -> None:
    for theme in ("Dark", "Light"):
        panel.page.evaluate(
            "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
            f"JupyterLab {theme}",
        )
        light = "true" if theme == "Light" else "false"
        panel.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        panel.notebook.screenshot(f"{name}-{theme.lower()}", panel.root)


def test_models_of_the_endpoint_are_offered(panel: Panel):
    panel.ask("hello")
    panel.wait_answer("You said: hello")
    drawer = panel.drawer("Settings")
    panel.page.wait_for_function(
        "[...document.querySelectorAll('.ck-drawer datalist option')].some((node) => node.value === 'scripted-2')"
    )
    assert drawer.get_by_label("Model", exact=True).is_enabled()


def test_several_answers_stand_side_by_side_and_one_is_kept(panel: Panel, endpoint: ScriptedEndpoint):
    drawer = panel.drawer("Settings")
    drawer.get_by_label("Answers (n)").fill("3")
    drawer.get_by_label("Answers (n)").press("Tab")
    panel.until(lambda: panel.notebook.python("chat.parameters.get('n')") == 3)
    panel.ask("choose")
    panel.root.get_by_role("button", name="Keep this one").nth(2).wait_for()
    assert endpoint.asked("choose")[0].body["n"] == 3
    choices = panel.root.locator(".ck-choice .ck-text")
    assert [text.strip() for text in choices.all_inner_texts()] == [
        "You said: choose",
        "You said: choose (2)",
        "You said: choose (3)",
    ]
    panel.notebook.screenshot("panel-choices", panel.root)
    panel.root.get_by_role("button", name="Keep this one").nth(1).click()
    panel.wait_texts("choose", "You said: choose (2)")
    assert said(panel) == [["user", "choose"], ["assistant", "You said: choose (2)"]]
    assert panel.message(1).locator(".ck-variants").inner_text().strip().endswith("/3")


def test_the_responses_api_answers_in_the_same_panel(panel: Panel, endpoint: ScriptedEndpoint):
    panel.drawer("Settings").get_by_label("API", exact=True).select_option("responses")
    panel.until(lambda: panel.notebook.python("chat.api") == "responses")
    panel.ask("by responses")
    panel.wait_answer("You said: by responses")
    assert endpoint.asked("by responses")[0].path == "/responses"
    why = panel.drawer("Settings").locator(".ck-label", has_text="Seed").locator(".ck-why")
    assert "Responses" in why.inner_text()


# 4 · inspector


def test_the_inspector_shows_what_was_sent_and_what_came_back(panel: Panel):
    panel.ask("inspect 'me' & \"you\"")
    panel.wait_answer("You said: inspect 'me' & \"you\"")
    panel.wait_idle()
    panel.tool(1, "Inspect request and response")
    inspector = panel.root.locator(".ck-inspector")
    inspector.get_by_role("tab", name="Python").wait_for()
    facts = inspector.locator(".ck-facts").inner_text()
    for word in ("status", "200", "latency", "first token", "usage", "cost", "came back"):
        assert word in facts
    sheets = {}
    for tab in inspector.get_by_role("tab").all():
        tab.click()
        sheets[tab.inner_text()] = inspector.locator(".ck-sheet").inner_text()
    assert "OPENAI_API_KEY" in sheets["Python"]
    assert "Bearer $OPENAI_API_KEY" in sheets["curl"]
    sent = json.loads(sheets["JSON"])
    assert sent["messages"][0]["content"] == "inspect 'me' & \"you\""
    assert "chat.completion.chunk" in sheets["Chunks"]
    assert "sk-test" not in "".join(sheets.values())
    panel.notebook.screenshot("panel-inspector", panel.root)
    inspector.get_by_role("tab", name="Python").click()
    inspector.get_by_role("button", name="To cell").click()
    panel.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.getSource().includes('openai')"
    )


@pytest.mark.own_page
@pytest.mark.parametrize(
    ("system", "own", "other"),
    [
        ("Windows", "curl.exe", ("sh", "curl -N http")),
        ("macOS", "curl -N http", ("PowerShell", "curl.exe")),
        ("", "curl -N http", None),
    ],
)
def test_the_command_is_that_of_the_browsers_shell_and_the_other_a_click_away(panel: Panel, system, own, other):
    panel.page.evaluate(
        """(platform) => {
            Object.defineProperty(navigator, 'userAgentData', { value: platform ? { platform } : undefined });
            Object.defineProperty(navigator, 'platform', { value: 'Linux x86_64' });
        }""",
        system,
    )
    panel.ask("inspect")
    panel.wait_answer("You said: inspect")
    panel.wait_idle()
    panel.tool(1, "Inspect request and response")
    inspector = panel.root.locator(".ck-inspector")
    inspector.get_by_role("tab", name="curl").click()
    names = [tab.inner_text() for tab in inspector.get_by_role("tab").all()]
    assert names[:4] == ["Python", "curl", other[0] if other else "PowerShell", "JSON"]
    assert own in inspector.locator(".ck-sheet").inner_text()
    if other:
        inspector.get_by_role("tab", name=other[0]).click()
        assert other[1] in inspector.locator(".ck-sheet").inner_text()


# as Safari does: nothing that is not asked for in the click itself reaches the clipboard
SAFARI = """(takesPromises) => {
    window.copied = [];
    const refused = () => Promise.reject(new DOMException('The request is not allowed by the user agent', 'NotAllowedError'));
    const inClick = () => window.event?.type === 'click';
    const write = async (items) => window.copied.push(await (await items[0].getType('text/plain')).text());
    const clipboard = {
        writeText: (text) => (inClick() ? (window.copied.push(text), Promise.resolve()) : refused()),
        write: (items) => (inClick() && takesPromises ? write(items) : refused()),
    };
    Object.defineProperty(navigator, 'clipboard', { value: clipboard });
    document.execCommand = () => takesPromises === null;
}"""


@pytest.mark.own_page
@pytest.mark.parametrize(
    ("takes_promises", "shown"), [(True, "Copied"), (None, "Copied"), (False, "Could not copy")], ids=str
)
def test_a_message_that_the_kernel_has_yet_to_send_is_copied_in_safari_too(panel: Panel, takes_promises, shown):
    panel.ask("to be copied")
    panel.wait_answer("You said: to be copied")
    panel.wait_idle()
    panel.page.evaluate(SAFARI, takes_promises)
    panel.tool(1, "Copy")
    panel.message(1).get_by_role("button", name=shown, exact=True).wait_for()
    assert panel.page.evaluate("window.copied") == (["You said: to be copied"] if takes_promises else [])
    if takes_promises:  # what stands on the page already
        panel.tool(1, "Inspect request and response")
        panel.root.locator(".ck-inspector").get_by_role("button", name="Copy Python").click()
        panel.root.locator(".ck-inspector").get_by_role("button", name="Copied", exact=True).wait_for()
        assert "from openai import OpenAI" in panel.page.evaluate("window.copied.at(-1)")


@pytest.mark.own_page
def test_a_browser_that_knows_no_clipboard_items_copies_as_before(panel: Panel):
    panel.ask("to be copied")
    panel.wait_answer("You said: to be copied")
    panel.wait_idle()
    panel.page.evaluate(
        """() => {
            delete window.ClipboardItem;
            const clipboard = { writeText: async (text) => void (window.copied = text) };
            Object.defineProperty(navigator, 'clipboard', { value: clipboard });
        }"""
    )
    panel.tool(1, "Copy")
    panel.message(1).get_by_role("button", name="Copied", exact=True).wait_for()
    assert panel.page.evaluate("window.copied") == "You said: to be copied"


def test_the_code_of_the_talk_makes_it_again(panel: Panel):
    panel.ask("remember")
    panel.wait_answer("You said: remember")
    sheet = panel.drawer("Code & export").locator(".ck-sheet")
    sheet.locator("pre").wait_for()
    code = panel.notebook.python("panel.code()")
    assert sheet.inner_text().strip() == code.strip()
    write(panel.notebook, 1, code + "\nagain = chat")
    panel.notebook.run(1)
    assert panel.notebook.python("[[m.role, m.text] for m in again.conversation]") == [
        ["user", "remember"],
        ["assistant", "You said: remember"],
    ]


# 5 · meter, 7 · context


def test_the_next_request_is_estimated_before_enter(panel: Panel):
    panel.ask("hello")
    panel.wait_answer("You said: hello")
    panel.wait_idle()
    before = panel.root.locator(".ck-outlook").inner_text()
    panel.box.fill("word " * 400)
    panel.page.wait_for_function("(before) => document.querySelector('.ck-outlook').textContent !== before", arg=before)
    assert "≈" in panel.root.locator(".ck-outlook").inner_text()


def test_what_is_left_out_is_said_and_dimmed(panel: Panel, endpoint: ScriptedEndpoint):
    for text in ("one " * 60, "two " * 60, "three " * 60):
        panel.ask(text.strip())
        panel.wait_answer(f"You said: {text.strip()}")
    panel.wait_idle()
    drawer = panel.drawer("Settings")
    drawer.get_by_label("When it gets long").select_option("budget")
    drawer.get_by_label("Token budget").fill("320")
    drawer.get_by_label("Token budget").press("Tab")
    panel.root.locator(".ck-left", has_text="left out").wait_for()
    off = panel.root.locator(".ck-message.ck-off")
    assert off.count() >= 2
    assert "trimmed" in off.first.locator(".ck-state").inner_text()
    panel.ask("and now")
    panel.wait_answer("You said: and now")
    sent = [m["content"] for m in endpoint.asked("and now")[-1].body["messages"]]
    assert ("one " * 60).strip() not in sent
    assert sent[-1] == "and now"
    assert len(said(panel)) == 8


def test_a_context_that_is_too_long_offers_a_way_out_and_loses_no_word(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("some turn")
    panel.wait_answer("You said: some turn")
    panel.ask("full of words")
    panel.root.get_by_role("button", name="Leave out the oldest turn").wait_for()
    assert panel.box.input_value() == "full of words"
    panel.root.get_by_role("button", name="Leave out the oldest turn").click()
    panel.root.locator(".ck-off").first.wait_for()
    panel.box.press("Enter")
    panel.wait_answer("You said: full of words")
    assert len(endpoint.asked("full of words")) == 2


def test_an_answer_cut_by_its_limit_can_go_on(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("limited")
    panel.root.get_by_role("button", name="Continue").wait_for()
    assert "cut off at the token limit" in panel.message(1).locator(".ck-state").inner_text()
    panel.root.get_by_role("button", name="Continue").click()
    panel.page.wait_for_function("document.querySelectorAll('.ck-role-assistant .ck-caption').length === 2")
    assert panel.notebook.python("chat.conversation[-1].role") == "assistant"


# 8 · keeping


def test_a_talk_is_found_again_after_a_restart_and_deleted_for_good(panel: Panel):
    panel.ask("where is the xylophone")
    panel.wait_answer("You said: where is the xylophone")
    panel.wait_idle()
    panel.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    panel.wait_phase("gone")
    panel.notebook.wait_for_kernel()
    panel.notebook.start(0)  # it counts from 1 again, so its number does not tell when it has ended
    again = Panel(panel.notebook)
    again.wait_idle()
    drawer = again.drawer("History")
    drawer.get_by_label("Search in all talks").fill("xylophone")
    item = drawer.locator(".ck-item", has_text="where is the xylophone")
    item.wait_for()
    item.get_by_role("button", name="Open").click()
    again.wait_texts("where is the xylophone", "You said: where is the xylophone")
    assert panel.notebook.python("len(panel.chat.conversation)") == 2
    drawer.locator(".ck-item.ck-current").get_by_role("button", name="Delete", exact=True).click()
    drawer.get_by_role("button", name="Delete for good").click()
    panel.page.wait_for_function("!document.querySelector('.ck-item')?.textContent.includes('xylophone')")
    assert panel.notebook.python("len(chatkit.history('xylophone'))") == 0


@pytest.mark.parametrize(
    ("format", "words"), [("Markdown", "**assistant**"), ("HTML", "<!doctype html>"), ("JSON", "chatkit")]
)
def test_a_talk_is_exported(panel: Panel, format: str, words: str, tmp_path: Path):
    panel.ask("export me")
    panel.wait_answer("You said: export me")
    panel.wait_idle()
    with panel.page.expect_download() as saved:
        panel.drawer("Code & export").get_by_role("button", name=format).click()
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    text = path.read_text(encoding="utf-8")
    assert "export me" in text
    assert words.lower() in text.lower()


# 12 · keyboard


def test_the_keyboard_alone_is_enough(panel: Panel):
    panel.ask("by keys")
    panel.wait_answer("You said: by keys")
    panel.wait_idle()
    keys = panel.page.keyboard
    panel.box.focus()
    keys.press("ArrowUp")
    panel.message(0).get_by_label("Message text").wait_for()
    keys.press("Control+A")
    keys.type("by keys, edited")
    keys.press("Control+Enter")
    panel.wait_texts("by keys, edited", "You said: by keys, edited")
    panel.wait_idle()
    panel.root.locator(".ck-talk").focus()
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    keys.press("ArrowLeft")
    panel.wait_texts("by keys", "You said: by keys")
    keys.press("ArrowDown")
    keys.press("i")
    panel.root.locator(".ck-inspector [role=tab]").first.wait_for()
    panel.root.locator(".ck-inspector [role=tab]").first.focus()
    keys.press("ArrowRight")
    assert panel.root.locator(".ck-inspector [role=tab]").nth(1).get_attribute("aria-selected") == "true"
    keys.press("Escape")
    panel.page.wait_for_function("!document.querySelector('.ck-inspector')")


# 13 · from code


def test_code_asks_and_hears_in_a_running_cell(panel: Panel):
    heard = "heard = []\npanel.on_reply(lambda reply: heard.append(reply.text))\nprint(panel.send('from a cell').text)"
    write(panel.notebook, 1, heard)
    panel.notebook.run(1)
    panel.wait_answer("You said: from a cell")
    assert panel.notebook.output(1) == "You said: from a cell\n"
    assert panel.notebook.python("heard") == ["You said: from a cell"]
    write(panel.notebook, 2, "panel.draft('for the box')")
    panel.notebook.run(2)
    panel.page.wait_for_function("document.querySelector('.ck-box').value === 'for the box'")


# a running cell


def test_a_question_behind_a_running_cell_says_that_it_waits(
    notebook: Notebook, endpoint: ScriptedEndpoint, tmp_path: Path
):
    flag = tmp_path / "flag"
    notebook.open(setup(endpoint), f"import os, time\nwhile not os.path.exists({str(flag)!r}):\n    time.sleep(0.02)")
    # without subshells no message is taken while a cell runs
    notebook.page.evaluate("""() => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        Object.defineProperty(kernel, 'supportsSubshells', { get: () => false });
        kernel.commsOverSubshells = 'disabled';
    }""")
    notebook.run(0)
    panel = Panel(notebook)
    panel.wait_idle()
    notebook.start(1)
    panel.box.fill("are you there?")
    panel.box.press("Enter")
    panel.root.locator(".ck-notice", has_text="Waiting for the running cell…").wait_for()
    flag.touch()
    panel.wait_answer("You said: are you there?")
    assert len(endpoint.asked("are you there?")) == 1


def test_an_inspection_in_a_cell_has_each_name_on_one_line(panel: Panel):
    panel.ask("look")
    panel.wait_answer("You said: look")
    write(panel.notebook, 1, "chat.inspect()")
    panel.notebook.run(1)
    names = panel.page.locator(".jp-OutputArea .ck-sheet dt")
    names.first.wait_for()
    lines = names.evaluate_all(
        "(all) => all.map((one) => one.offsetHeight / parseFloat(getComputedStyle(one).lineHeight))"
    )
    assert len(lines) >= 7
    assert max(lines) < 1.5


def test_notes_and_what_no_control_shows_are_in_sight(panel: Panel):
    write(panel.notebook, 1, "chat.conversation.add('user', 'half \\ud83d of a sign'); chat.parameters['user'] = 'me'")
    panel.notebook.run(1)
    panel.message(0).locator(".ck-notes").wait_for()
    assert panel.message(0).locator(".ck-notes").inner_text() == panel.notebook.python("chat.conversation[0].note")
    panel.notebook.python("panel.touch()")
    also = panel.drawer("Settings").locator(".ck-set-also")
    also.wait_for()
    assert also.inner_text() == 'user = "me"'
