"""Every role looks like a message, in the panel and in a chat's own output, in light and dark."""

import pytest
from lab import Notebook
from panel_page import Panel

from chatkit.conversation.message import ROLES

TALK = """
import chatkit
from chatkit.conversation.message import Message
calls = [{"id": f"call_{n}", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}} for n in (1, 2)]
picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
chat = chatkit.Chat(conversation=[
    Message("system", "Be brief."),
    Message("developer", "Use tools."),
    Message("user", [{"type": "text", "text": "What is the weather in Paris?"}, picture]),
    Message("assistant", None, extra={"tool_calls": calls}),
    Message("tool", "18 degrees and cloudy, with a long sentence to follow", extra={"tool_call_id": "call_1"}),
    Message("tool", "19 degrees", extra={"tool_call_id": "call_2"}),
    Message("assistant", "It is 18 degrees."),
    Message("assistant", None, extra={"refusal": "I cannot."}, enabled=False),
])
panel = chatkit.ChatPanel(chat)
panel
"""
SEEN = """(root) => [...root.querySelectorAll('.ck-message')].map((node) => {
    const body = node.querySelector('.ck-text'), box = body.getBoundingClientRect(), last = node.getBoundingClientRect();
    const style = getComputedStyle(node);
    return {
        display: style.display, cursor: style.cursor, inside: box.bottom <= last.bottom + 1 && box.right <= last.right + 1,
        whole: body.scrollWidth <= body.clientWidth + 1, size: getComputedStyle(body).fontSize, wide: last.width,
    };
})"""
CONTRAST = """(root) => Math.min(...[...root.querySelectorAll('.ck-role, .ck-of, .ck-text')].map((node) => {
    const light = (colour) => {
        const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
        context.fillStyle = getComputedStyle(document.body).getPropertyValue('--jp-layout-color1') || '#fff';
        context.fillRect(0, 0, 1, 1);
        if (colour) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
        const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const both = [light(getComputedStyle(node).color), light('')].sort((a, b) => a - b);
    return (both[1] + 0.05) / (both[0] + 0.05);
}))"""
WORDS = (
    "[picture: image/png, 8 bytes]",
    "calls get_weather({}) · call_2",
    "result of call_1",
    "result of call_2",
    "I cannot.",
)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_message_of_any_role_is_laid_out_like_the_others(notebook: Notebook, theme: str):
    notebook.open(TALK, "chat")
    notebook.run(0)
    notebook.run(1)
    panel = Panel(notebook)
    panel.message(7).wait_for()
    panel.tool(6, "More")
    panel.message(6).get_by_label("Role").select_option("tool")
    panel.root.locator(".ck-role-tool").nth(2).wait_for()
    notebook.page.evaluate(
        "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
        f"JupyterLab {theme}",
    )
    notebook.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
    shown = notebook.page.locator(".jp-Notebook-cell").nth(1).locator(".ck-conversation")
    for root in (panel.root, shown):
        seen = root.evaluate(SEEN)
        assert len(seen) == 8
        assert [(one["display"], one["cursor"]) for one in seen] == [("block", "auto")] * 8
        assert all(one["inside"] and one["whole"] and one["wide"] > 300 for one in seen)
        assert len({one["size"] for one in seen}) == 1
        assert all(words in root.inner_text() for words in WORDS)
        assert root.evaluate(CONTRAST) >= 4.5
        assert {role for role in ROLES if root.locator(f".ck-message.ck-role-{role}").count()} == set(ROLES)
    notebook.screenshot(f"roles-{theme.lower()}", panel.root)
    notebook.screenshot(f"roles-repr-{theme.lower()}", shown)
    notebook.page.evaluate(
        "async () => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' }) }"
    )
