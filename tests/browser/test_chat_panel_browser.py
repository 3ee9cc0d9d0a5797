"""The chat panel in a real JupyterLab: the page's state and the kernel's are both looked at."""

import json
import time
from pathlib import Path

import pytest
from lab import RESULTS, Lab, Notebook
from panel_page import Panel, setup, write
from scripted_endpoint import Exchange, ScriptedEndpoint

NUMBERS = " ".join(str(n) for n in range(1, 301))
BLOCKED = "import os, time\nwhile not os.path.exists({flag!r}):\n    time.sleep(0.02)\nprint('released')"


def assert_stopped(situation: str, panel: Panel, exchange: Exchange, clicked: float, shown: float) -> None:
    panel.until(lambda: exchange.closed is not None)
    assert not exchange.finished
    RESULTS.mkdir(exist_ok=True)
    figures = RESULTS / "stop.json"
    known = json.loads(figures.read_text()) if figures.exists() else {}
    known[situation] = {"panel idle, ms": round(shown), "socket closed, ms": round(1000 * (exchange.closed - clicked))}
    figures.write_text(json.dumps(known, indent=1))


def test_an_answer_streams_is_counted_and_is_in_the_store(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("count 30")
    panel.wait_phase("streaming")
    panel.wait_answer(" ".join(str(n) for n in range(1, 31)))
    panel.wait_idle()
    assert panel.root.locator(".ck-caption").inner_text().startswith("scripted-1 · 7 tokens in, 30 out · cost ")
    assert "1 call · 7 tokens in, 30 out" in panel.root.locator(".ck-session").inner_text()
    assert panel.notebook.python("chat.conversation.messages[-1].text.split()[-1]") == "30"
    row = "[r for r in chatkit.UsageStore().records() if r.path.endswith('/chat/completions')][-1]"
    assert panel.notebook.python(
        f"(lambda r: [r.usage.prompt_tokens, r.usage.completion_tokens, r.outcome])({row})"
    ) == [
        7,
        30,
        "complete",
    ]
    assert panel.root.locator(".ck-spoken").text_content().split()[-1] == "30"


def test_ten_thousand_fast_tokens_arrive_as_they_were_sent(panel: Panel):
    panel.ask("burst 10000")
    panel.wait_answer(" ".join(str(n) for n in range(1, 10001)))


def test_stop_ends_a_stream_started_from_the_panel(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("count 2001")
    panel.wait_numbers(10)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("from the panel", panel, endpoint.asked("count 2001")[0], clicked, shown)
    assert panel.notebook.python("[chat.run.done, chat.conversation.messages[-1].outcome]") == [True, "cancelled"]
    assert panel.root.locator(".ck-state").inner_text() == "stopped"
    panel.ask("and now?")
    panel.wait_answer("You said: and now?")


def test_stop_ends_a_stream_started_from_a_handle(panel: Panel, endpoint: ScriptedEndpoint):
    write(panel.notebook, 1, "h = chat.stream('count 2002')")
    panel.notebook.run(1)
    panel.wait_numbers(10)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("a cell's handle", panel, endpoint.asked("count 2002")[0], clicked, shown)
    assert panel.notebook.python("[h.done, h.reply.outcome]") == [True, "cancelled"]


def test_stop_ends_an_await_cell(panel: Panel, endpoint: ScriptedEndpoint):
    write(panel.notebook, 1, "reply = await chat.stream('count 2003')\nprint(reply.outcome)")
    panel.notebook.start(1)
    panel.wait_numbers(10)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("an await cell", panel, endpoint.asked("count 2003")[0], clicked, shown)
    panel.notebook.wait_for_end(1)
    assert panel.notebook.output(1) == "cancelled\n"


def test_stop_ends_a_blocking_cell_and_leaves_the_next_cell_alone(
    panel: Panel, endpoint: ScriptedEndpoint, tmp_path: Path
):
    interrupts: list[str] = []
    panel.page.on("request", lambda r: interrupts.append(r.url) if r.url.endswith("/interrupt") else None)
    flag = tmp_path / "flag"
    write(panel.notebook, 1, "reply = chat.send('count 2004')\nprint(reply.outcome)")
    write(panel.notebook, 2, BLOCKED.format(flag=str(flag)))
    panel.notebook.start(1)
    panel.notebook.start(2)
    panel.wait_numbers(10)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("a blocking cell", panel, endpoint.asked("count 2004")[0], clicked, shown)
    panel.notebook.wait_for_end(1)
    assert panel.notebook.output(1) == "cancelled\n"
    # past the moment at which the third way would have been tried
    panel.page.wait_for_function(
        "(began) => performance.now() > began + 1500", arg=panel.page.evaluate("performance.now()")
    )
    flag.touch()
    panel.notebook.wait_for_end(2)
    assert panel.notebook.output(2) == "released\n"
    assert interrupts == []


def test_stop_works_while_an_unrelated_cell_runs(panel: Panel, endpoint: ScriptedEndpoint, tmp_path: Path):
    flag = tmp_path / "flag"
    write(panel.notebook, 1, BLOCKED.format(flag=str(flag)))
    panel.ask("count 2005")
    panel.wait_numbers(3)
    panel.notebook.start(1)
    panel.wait_numbers(20)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("an unrelated cell", panel, endpoint.asked("count 2005")[0], clicked, shown)
    panel.ask("still there?")
    panel.wait_answer("You said: still there?")
    flag.touch()
    panel.notebook.wait_for_end(1)
    assert panel.notebook.output(1) == "released\n"


@pytest.mark.own_page
def test_stop_interrupts_the_cell_where_messages_wait_behind_it(
    notebook: Notebook, endpoint: ScriptedEndpoint, tmp_path: Path
):
    notebook.open(setup(endpoint), "reply = chat.send('count 2006')", "")
    # without subshells no message is taken while a cell blocks
    notebook.page.evaluate("""() => {
        window.jupyterapp.serviceManager.kernels.commsOverSubshells = 'disabled';
        window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = 'disabled';
    }""")
    notebook.page.evaluate("""() => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        Object.defineProperty(kernel, 'supportsSubshells', { get: () => false });
    }""")
    notebook.run(0)
    panel = Panel(notebook)
    panel.wait_idle()
    notebook.start(1)
    panel.wait_numbers(10)
    clicked, shown = time.monotonic(), panel.stop()
    assert_stopped("a blocking cell, by interrupt", panel, endpoint.asked("count 2006")[0], clicked, shown)
    notebook.wait_for_end(1)
    assert notebook.output(1).startswith("KeyboardInterrupt")
    assert notebook.python("[chat.run.done, chat.conversation.messages[-1].outcome]") == [True, "cancelled"]


@pytest.mark.own_page
def test_a_reloaded_page_shows_the_talk_and_goes_on(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("first")
    panel.wait_answer("You said: first")
    panel.notebook.command("docmanager:save")
    panel.page.reload()
    panel.notebook.wait_for_kernel()
    panel.wait_answer("You said: first")
    panel.ask("second")
    panel.wait_answer("You said: second")
    assert panel.notebook.python("len(chat.conversation)") == 4


@pytest.mark.own_page
def test_a_page_reloaded_in_mid_stream_catches_up(panel: Panel, endpoint: ScriptedEndpoint):
    panel.notebook.command("docmanager:save")
    panel.ask("count 300")
    panel.wait_numbers(5)
    panel.page.reload()
    panel.wait_answer(NUMBERS)
    panel.wait_idle()
    assert len(endpoint.asked("count 300")) == 1
    assert panel.notebook.python("chat.conversation.messages[-1].text.strip()") == NUMBERS


def test_a_connection_cut_in_mid_stream_is_mended(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("count 200")
    panel.wait_numbers(5)
    panel.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.reconnect()")
    panel.wait_answer(" ".join(str(n) for n in range(1, 201)))
    panel.wait_idle()
    assert panel.root.locator(".ck-message").count() == 2
    assert len(endpoint.asked("count 200")) == 1


LOSE = """
lost, real = [], panel.send
def send(content, buffers=None):
    if lost and lost[-1] is None and content.get("type") == "patch" and (content.get("live") or content.get("talk")):
        lost[-1] = content["seq"]
    else:
        real(content, buffers)
panel.send = send
"""
"""The next patch after `lost.append(None)` does not come to the page, as under load."""


def counted(panel: Panel) -> list[str]:
    return panel.root.locator(".ck-live.ck-role-assistant .ck-body").inner_text().split()


def test_a_patch_that_is_lost_is_missed_at_once_and_nothing_is_built_on_the_gap(panel: Panel):
    write(panel.notebook, 1, LOSE)
    panel.notebook.run(1)
    panel.ask("count 400")
    panel.wait_numbers(5)
    panel.notebook.python("lost.append(None)")
    for count in (40, 60, 80):
        panel.wait_numbers(count)
        shown = counted(panel)
        assert shown == [str(n) for n in range(1, len(shown) + 1)]
    assert panel.notebook.python("type(lost[0]).__name__") == "int"
    panel.stop()
    # of messages that code adds, too; the end of no answer tells of these
    panel.wait_idle()
    panel.notebook.python(
        "str([chat.conversation.replace_all([]), lost.append(None), chat.conversation.add('user', 'one')])"
    )
    panel.until(lambda: panel.notebook.python("lost[1] is not None"))
    panel.notebook.python("str(chat.conversation.add('user', 'two'))")
    panel.wait_texts("one", "two")


def test_a_reader_who_scrolled_up_stays_where_he_is_and_one_at_the_end_is_taken_along(panel: Panel):
    lines = "for n in range(40): chat.conversation.add('user', f'line {n}')"
    write(panel.notebook, 1, f"{LOSE}\n{lines}")
    panel.notebook.run(1)
    talk = panel.root.locator(".ck-talk")
    below = "node => node.scrollHeight - node.scrollTop - node.clientHeight"
    panel.message(39).wait_for()
    panel.ask("count 2008")
    panel.wait_numbers(5)
    assert talk.evaluate(below) < 40
    talk.evaluate("node => { node.scrollTop = 100 }")
    panel.wait_numbers(25)
    assert talk.evaluate("node => node.scrollTop") == 100
    panel.notebook.python("lost.append(None)")
    panel.wait_numbers(60)  # by a snapshot
    assert panel.notebook.python("type(lost[0]).__name__") == "int"
    assert talk.evaluate("node => node.scrollTop") == 100
    talk.evaluate("node => { node.scrollTop = node.scrollHeight }")
    panel.wait_numbers(100)
    assert talk.evaluate(below) < 40
    talk.evaluate("node => { node.scrollTop = 100 }")
    panel.stop()
    assert talk.evaluate("node => node.scrollTop") == 100


def test_two_views_stay_in_step_and_a_double_click_asks_once(panel: Panel, endpoint: ScriptedEndpoint):
    write(panel.notebook, 1, "panel")
    panel.notebook.run(1)
    second = Panel(panel.notebook, nth=1)
    second.wait_idle()
    second.box.fill("count 41")
    second.root.get_by_label("Send", exact=True).dblclick()
    numbers = " ".join(str(n) for n in range(1, 42))
    for view in (panel, second):
        view.wait_answer(numbers)
        view.wait_idle()
    exchange = endpoint.asked("count 41")
    assert [e.finished for e in exchange] == [True]
    assert [panel.root.locator(".ck-message").count(), second.root.locator(".ck-message").count()] == [2, 2]
    spoken = [view.root.locator(".ck-spoken").text_content() for view in (panel, second)]
    assert [bool(words) for words in spoken] == [True, False]


def test_enter_held_down_asks_once_and_shift_enter_makes_a_line(panel: Panel, endpoint: ScriptedEndpoint):
    panel.box.fill("held")
    panel.box.press("Shift+Enter")
    panel.box.press_sequentially("down")
    assert panel.box.input_value() == "held\ndown"
    composing = (
        "node => node.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))"
    )
    panel.box.evaluate(composing)
    assert panel.box.input_value() == "held\ndown"
    panel.page.keyboard.down("Enter")
    panel.page.keyboard.down("Enter")
    panel.page.keyboard.up("Enter")
    panel.wait_answer("You said: held\ndown")
    panel.wait_idle()
    assert len(endpoint.asked("held\ndown")) == 1


def test_a_wait_and_an_error_are_said_in_sentences(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("busy bee")
    panel.page.wait_for_function("/Waiting 1 s, try 2 of 3/.test(document.querySelector('.ck-notice').textContent)")
    panel.wait_answer("You said: busy bee")
    panel.ask("broken")
    panel.root.get_by_role("button", name="Retry").wait_for()
    words = panel.root.locator(".ck-error-text").inner_text()
    assert "refused the request (400)" in words
    assert "<" not in words
    assert panel.box.input_value() == "broken"
    assert panel.notebook.python("len(chat.conversation)") == 2
    panel.root.get_by_role("button", name="Retry").click()
    panel.until(lambda: len(endpoint.asked("broken")) == 2)
    panel.root.get_by_role("button", name="Retry").wait_for()
    assert panel.box.input_value() == "broken"


def test_what_code_does_to_the_chat_is_seen_in_the_panel(panel: Panel):
    write(
        panel.notebook,
        1,
        "reply = chat.send('from code')\nchat.conversation.edit(0, 'from *someone*')\nchat.system = 'Be kind.'",
    )
    panel.notebook.run(1)
    panel.wait_answer("You said: from code")
    shown = panel.root.locator(".ck-message .ck-text")
    panel.page.wait_for_function("document.querySelectorAll('.ck-message').length === 3")
    assert shown.all_inner_texts() == ["Be kind.", "from *someone*", "You said: from code"]


def test_settings_reach_the_request(panel: Panel, endpoint: ScriptedEndpoint):
    panel.root.get_by_text("Settings").click()
    for label, value in (("Model", "other-model"), ("Temperature", "0.3"), ("System prompt", "Rhyme.")):
        panel.root.get_by_label(label, exact=True).fill(value)
    panel.ask("with settings")
    panel.wait_answer("You said: with settings")
    body = endpoint.asked("with settings")[0].body
    assert (body["model"], body["temperature"], body["messages"][0]) == (
        "other-model",
        0.3,
        {"role": "system", "content": "Rhyme."},
    )


def test_hostile_text_runs_nothing_and_asks_nobody(panel: Panel):
    panel.ask("<img src=x onerror='window.hit=1'> ![x](https://attacker.invalid/?q=1) [go](javascript:window.hit=1)")
    panel.root.locator(".ck-role-assistant .ck-host").wait_for()
    panel.wait_idle()
    assert panel.root.locator("img, script, iframe, form").count() == 0
    assert panel.root.locator(".ck-role-assistant a").evaluate_all(
        "links => links.map(a => [a.href, a.rel, a.target])"
    ) == [["https://attacker.invalid/?q=1", "noopener noreferrer", "_blank"]]
    assert panel.page.evaluate("window.hit") is None


def test_a_cell_that_runs_again_closes_its_old_panel_and_stops_its_stream(panel: Panel, endpoint: ScriptedEndpoint):
    panel.ask("count 2007")
    panel.wait_numbers(5)
    panel.notebook.python("globals().__setitem__('old', panel)")
    panel.notebook.run(0)
    panel.wait_idle()
    assert panel.notebook.python("[old.comm is None, panel.comm is None, len(chat.conversation)]") == [True, False, 0]
    panel.until(lambda: endpoint.asked("count 2007")[0].closed is not None)
    assert panel.page.locator(".ck-panel").count() == 1


def test_a_kernel_that_restarts_leaves_the_text_readable(panel: Panel):
    panel.ask("remember me")
    panel.wait_answer("You said: remember me")
    panel.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    panel.wait_phase("gone")
    assert panel.root.locator(".ck-notice").inner_text().startswith("The kernel is gone.")
    assert panel.answers.inner_text() == "You said: remember me"
    assert panel.box.is_disabled()


def test_nothing_of_the_talk_is_saved_with_the_notebook(panel: Panel):
    panel.ask("the secret word is xyzzy")
    panel.wait_answer("You said: the secret word is xyzzy")
    saved = panel.notebook.save_with_widgets()
    assert "application/vnd.jupyter.widget-state+json" in saved
    assert "xyzzy" not in saved
    assert "sk-test" not in saved.replace("api_key='sk-test'", "")
    assert "ChatPanel: run this cell to talk to the model here." in saved


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_panel_is_shown_in_both_themes_and_in_320_pixels(panel: Panel, theme: str):
    panel.page.evaluate(
        "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
        f"JupyterLab {theme}",
    )
    wanted = "true" if theme == "Light" else "false"
    panel.page.wait_for_selector(f"body[data-jp-theme-light={wanted}]", state="attached")
    panel.ask("rich")
    panel.wait_idle()
    panel.root.locator(".ck-role-assistant .ck-caption").wait_for()
    panel.notebook.screenshot(f"panel-{theme.lower()}", panel.root)
    ink, paper = panel.root.evaluate("node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]")
    assert _brightness(ink) < _brightness(paper) if theme == "Light" else _brightness(ink) > _brightness(paper)
    panel.root.evaluate("node => { node.style.width = '320px' }")
    assert panel.root.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    panel.notebook.screenshot(f"panel-{theme.lower()}-320", panel.root)


def _brightness(colour: str) -> float:
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].replace("/", ",").split(",")[:3]]
    return sum(numbers)


def test_a_second_tab_shows_the_same_talk(panel: Panel, lab: Lab, endpoint: ScriptedEndpoint):
    panel.notebook.command("docmanager:save")
    tab = panel.page.context.new_page()
    panel.notebook.show(tab, workspace="-second")
    other = Panel(panel.notebook, tab)
    other.wait_idle()
    other.ask("from the second tab")
    panel.wait_answer("You said: from the second tab")
    other.wait_answer("You said: from the second tab")
    assert len(endpoint.asked("from the second tab")) == 1
