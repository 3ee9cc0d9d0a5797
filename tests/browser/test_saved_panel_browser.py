"""A notebook with a panel in it is opened again, and no kernel knows the panel: there is text, and no error."""

import json

from lab import Lab, Notebook
from scripted_endpoint import ScriptedEndpoint

SHOWN = """
from IPython.display import display
from chatkit import ChatPanel
from chatkit.render.transcript import saved, transcript
said = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In *Brazil*, $x^2$."}]
panel = ChatPanel(conversation=said)
display(panel)
display(DATA, raw=True)
"""
LIVE = """
import chatkit
from chatkit import Chat, ChatPanel
from chatkit.ui.beside import Beside
from IPython.display import display
chat = Chat(client=chatkit.connect(base_url={url!r}, api_key="sk-test", model="scripted", quiet=True))
panel, beside = ChatPanel(chat), Beside(chat, "Run this cell to talk.", talk=True)
display(panel)
beside.show()
stop = chat.conversation.listen(beside.update)
"""
SENTENCE = "Run this cell to talk."
TALK = ["Conversation", "user", "Where?", "assistant", "In Brazil, x^2."]
VISIBLE = """() => [...document.querySelectorAll('.jp-OutputArea')].map((area) =>
    [...area.querySelectorAll('.jp-OutputArea-output')].filter((node) => node.offsetHeight > 0).map((node) => node.innerText))"""


def visible(notebook: Notebook) -> list[list[str]]:
    """The lines of what is to be seen of each output, by cell."""
    return [[line for text in cell for line in text.split("\n") if line] for cell in notebook.page.evaluate(VISIBLE)]


def test_a_panel_without_its_kernel_leaves_text_and_no_error(notebook: Notebook, lab: Lab):
    transcript, saved = SHOWN.replace("DATA", "transcript(panel.chat.conversation)"), f"saved({SENTENCE!r})"
    notebook.open(transcript, SHOWN.replace("DATA", saved))
    notebook.run(0)
    notebook.run(1)
    notebook.page.locator(".ck-panel").nth(1).wait_for()
    notebook.page.locator(".ck-assistant").first.wait_for()
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


def test_the_text_beside_a_panel_follows_the_talk_and_the_panel_is_not_drawn_anew(
    notebook: Notebook, endpoint: ScriptedEndpoint
):
    notebook.open(LIVE.format(url=endpoint.base_url))
    notebook.run(0)
    panel = notebook.page.locator(".ck-panel")
    panel.get_by_label("Your message").fill("hello there")
    panel.evaluate("node => { node.dataset.same = 'yes' }")
    panel.get_by_label("Your message").press("Enter")
    notebook.page.get_by_text("You said: hello there").first.wait_for()
    beside = notebook.page.locator(".ck-saved", has_text="You said: hello there")
    beside.wait_for(state="attached")
    assert not beside.is_visible()
    assert panel.get_attribute("data-same") == "yes"
    notebook.command("docmanager:save")
    saved = json.loads(notebook.path.read_text(encoding="utf-8"))
    widget, talk = saved["cells"][0]["outputs"]
    assert "application/vnd.jupyter.widget-view+json" in widget["data"]
    assert "hello there" not in json.dumps(widget)
    assert "".join(talk["data"]["text/plain"]).startswith("hello there\nuser: hello there\nassistant: You said: hello")


DOLLARS = r"""
from IPython.display import display
from chatkit import Chat
from chatkit.render.transcript import transcript
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
    assert "\\href{https://evil.example}" in notebook.page.locator(".ck-user .ck-plain").inner_text()
