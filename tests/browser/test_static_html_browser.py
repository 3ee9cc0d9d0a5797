"""What chatkit shows without a widget, on nbconvert's pages and on a bare one, light and dark: readable, names on one line."""

import re
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter

from chatkit.captions import usage_html
from chatkit.chats.inspection import Inspection
from chatkit.client.reply import Answer, Reply
from chatkit.conversation.message import Message
from chatkit.ledger.record import Usage
from chatkit.render.html import conversation_html
from chatkit.speech.timed import Missing, Segment
from chatkit.speech.transcript import Transcript

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 1}
REPLY = Reply(
    (Answer(text="Hello"),), "complete", request={"url": "https://api.openai.com/v1/chat/completions", "body": BODY}
)
TALK = [
    Message("system", "Be brief."),
    Message("user", "Where?"),
    Message("assistant", "In `Brazil`.\n\n> So it is.", id="a"),
]
HEARD = Transcript(
    "One two", "en", 9.0, [Segment(0, 3, "One", "A")], model="m", missing=(Missing(3, 4, "refused"),), notes=("A note",)
)
SHOWN = [
    conversation_html(TALK, captions={"a": "5 tokens in, 2 out"}),
    Inspection(REPLY)._repr_html_().replace("<details>", "<details open>"),
    HEARD._repr_html_(),
    usage_html(Usage(10, 5)),
]  # fmt: skip
FAINT = """() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const over = (colour, ground) => {
        canvas.fillStyle = `rgb(${ground})`; canvas.fillRect(0, 0, 1, 1);
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const faint = [];
    for (const node of document.querySelectorAll('.shown *')) {
        const words = [...node.childNodes].filter((one) => one.nodeType === 3 && one.data.trim());
        if (!words.length || node.tagName === 'STYLE' || !node.offsetParent) continue;
        const line = [];
        for (let one = node; one; one = one.parentElement) line.unshift(one);
        const ground = line.reduce((below, one) => over(getComputedStyle(one).backgroundColor, below), [255, 255, 255]);
        const [a, b] = [light(over(getComputedStyle(node).color, ground)), light(ground)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push([contrast.toFixed(2), node.className, words[0].data.trim()]);
    }
    return faint;
}"""
TALL = """() => [...document.querySelectorAll('.ck-sheet dt')]
    .map((one) => one.offsetHeight / parseFloat(getComputedStyle(one).lineHeight)).filter((lines) => lines > 1.5).length"""


def nbconvert_page(theme: str) -> str:
    cells = [
        nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", {"text/html": f'<div class="shown">{html}</div>'})])
        for html in SHOWN
    ]  # fmt: skip
    made = str(HTMLExporter(theme=theme).from_notebook_node(nbformat.v4.new_notebook(cells=cells))[0])
    return re.sub(r"<script.*?</script>", "", made, flags=re.S)  # they ask for more from elsewhere


def bare_page(theme: str) -> str:
    ink, paper = ("#111", "#fff") if theme == "light" else ("#eee", "#111")
    body = "".join(f'<div class="shown">{html}</div>' for html in SHOWN)
    return f'<body style="color-scheme: {theme}; color: {ink}; background: {paper}">{body}</body>'


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("make", [nbconvert_page, bare_page])
def test_every_word_stands_out_and_each_name_of_a_sheet_is_on_one_line(page: Any, make: Any, theme: str):
    page.set_content(make(theme), wait_until="domcontentloaded")
    page.locator(".ck-sheet dt").first.wait_for()
    assert page.evaluate(FAINT) == []
    assert page.evaluate(TALL) == 0
