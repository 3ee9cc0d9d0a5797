"""A notebook with a panel in it is opened again, and no kernel knows the panel: there is text, and no error."""

import json
from pathlib import Path

import pytest
from lab import Lab, Notebook
from panel_page import Panel, setup
from scripted_endpoint import ScriptedEndpoint

SHOWN = """
from chatkit import ChatPanel
said = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In *Brazil*, $x^2$."}]
panel = ChatPanel(conversation=said, save_transcript=SAVES)
panel
"""
SENTENCE = (
    "ChatPanel: run this cell to talk to the model here. If its kernel still runs, the talk is still there: "
    "trust the notebook (in the command palette: Trust Notebook)."
)
TALK = ["Where?", "user", "Where?", "assistant", "In Brazil, x^2."]
VISIBLE = """() => [...document.querySelectorAll('.jp-OutputArea')].map((area) =>
    [...area.querySelectorAll('.jp-OutputArea-output')].filter((node) => node.offsetHeight > 0).map((node) => node.innerText))"""


def visible(notebook: Notebook) -> list[list[str]]:
    """The lines of what is to be seen of each output, by cell."""
    return [[line for text in cell for line in text.split("\n") if line] for cell in notebook.page.evaluate(VISIBLE)]


@pytest.mark.own_page
def test_a_panel_without_its_kernel_leaves_text_and_no_error(notebook: Notebook, lab: Lab):
    notebook.open(SHOWN.replace("SAVES", "True"), SHOWN.replace("SAVES", "False"))
    notebook.run(0)
    notebook.run(1)
    notebook.page.locator(".ck-panel[data-phase=idle]").nth(1).wait_for()
    notebook.page.locator(".ck-role-assistant").first.wait_for()
    assert notebook.page.locator(".ck-saved").evaluate_all("nodes => nodes.map(node => node.offsetHeight)") == [0, 0]
    notebook.command("docmanager:save")
    notebook.shut_down()
    notebook.page.reload()
    notebook.wait_for_kernel()
    gone = notebook.page.get_by_text("Error displaying widget: model not found")
    gone.nth(1).wait_for(state="attached")
    assert visible(notebook) == [TALK, [SENTENCE]]
    notebook.screenshot("saved-panel")

    content = json.loads(notebook.path.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        del cell["outputs"][0]["data"]["text/plain"]
        cell["outputs"][1]["data"]["text/html"] += "<script>document.title = 'owned'</script>"
    stranger = Notebook(notebook.page, lab, "from-somebody-else")
    stranger.path.write_text(json.dumps(content), encoding="utf-8")
    stranger.show()
    stranger.page.locator(".ck-saved").nth(1).wait_for()
    assert visible(stranger) == [TALK, [SENTENCE]]
    assert "owned" not in stranger.page.title()
    stranger.shut_down()


def test_a_transcript_follows_the_talk_and_nothing_else_is_saved(notebook: Notebook, endpoint: ScriptedEndpoint):
    kept = setup(endpoint).replace("ChatPanel(chat)", "ChatPanel(chat, save_transcript=True)")
    notebook.open(kept, setup(endpoint).replace("chat", "other").replace("otherkit", "chatkit"))
    notebook.run(0)
    notebook.run(1)
    for nth, words in enumerate(("to be kept", "to be forgotten")):
        panel = Panel(notebook, nth=nth)
        panel.ask(words)
        panel.wait_answer(f"You said: {words}")
        panel.wait_idle()
    panel = Panel(notebook)
    panel.root.evaluate("node => { node.dataset.same = 'yes' }")
    panel.tool(0, "Edit")
    panel.message(0).get_by_label("Message text").fill("kept and edited")
    panel.message(0).get_by_role("button", name="Save", exact=True).click()
    panel.wait_texts("kept and edited", "You said: to be kept")
    notebook.page.wait_for_function(
        "JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).includes('kept and edited')"
    )
    assert panel.root.get_attribute("data-same") == "yes", "the panel was drawn anew"
    assert not notebook.page.locator(".ck-saved", has_text="kept and edited").is_visible()
    saved = notebook.save_with_widgets()
    assert "You said: to be kept" in saved
    assert "to be forgotten" not in saved
    assert "sk-test" not in saved.replace("api_key='sk-test'", "")


DOLLARS = r"""
from IPython.display import display
from chatkit import Chat
from chatkit.render.export import transcript
text = r"It costs $\href{https://evil.example}{nothing}$ \(\href{javascript:alert(1)}{x}\)."
chat = Chat(conversation=[{"role": "user", "content": text}, {"role": "assistant", "content": r"\$a\$ " + text}])
display(chat)
display(transcript(chat.conversation.messages), raw=True)
display({"text/html": "<p class='control'>$x^2$</p>"}, raw=True)
"""


def test_the_front_end_makes_no_links_of_dollars_in_what_is_shown_as_it_is(notebook: Notebook):
    notebook.open(DOLLARS)
    notebook.run(0)
    notebook.page.locator(".control mjx-container").wait_for()  # it has come by all three outputs
    assert notebook.page.locator("mjx-container").count() == 1
    assert notebook.page.locator(".jp-OutputArea a").count() == 0
    assert "\\href{https://evil.example}" in notebook.page.locator(".ck-role-user .ck-plain").inner_text()


SHIPPED = Path(__file__).parents[2] / "notebooks" / "03-chat-panel.ipynb"


@pytest.mark.own_page
def test_a_panel_of_a_shipped_notebook_is_there_again_after_a_reload(notebook: Notebook, endpoint: ScriptedEndpoint):
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    first = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    first["source"] = setup(endpoint)
    notebook.path.write_text(json.dumps(content), encoding="utf-8")
    notebook.show()
    notebook.run(content["cells"].index(first))
    panel = Panel(notebook)
    panel.ask("still there?")
    panel.wait_answer("You said: still there?")
    notebook.command("docmanager:save")
    notebook.page.reload()
    notebook.wait_for_kernel()
    panel.wait_texts("still there?", "You said: still there?")
    panel.ask("and alive?")
    panel.wait_answer("You said: and alive?")
