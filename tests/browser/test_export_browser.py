"""Exported pages in a real browser: no payload runs a script, asks for anything, or leaves its message."""

import pytest
from hostile_payloads import PAYLOADS
from lab import RESULTS
from scripted_endpoint import RICH

from chatkit.conversation.conversation import Message
from chatkit.render.export import transcript
from chatkit.render.html import page as page_of

SEEN = """() => ({
    messages: document.querySelectorAll('main > .ck-conversation > .ck-message').length,
    active: document.querySelectorAll('script, iframe, img, svg, form, input, button, object, embed, video, link').length,
    handlers: [...document.querySelectorAll('*')].flatMap((node) => [...node.attributes])
        .filter(({ name }) => /^(on|data-|src)/.test(name)).length,
    owned: window.owned,
})"""


def talk(text: str) -> list[Message]:
    return [Message(role, text, id=role) for role in ("system", "user", "assistant")]


def test_no_payload_acts_in_an_exported_page(page):
    dialogs, requests = [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    for name, text in PAYLOADS.items():
        # the policy is taken out: what the renderer lets through would act
        html = page_of(talk(text), captions={"assistant": text}, title=text).replace("Content-Security-Policy", "x")
        page.set_content(html)
        assert page.evaluate(SEEN) == {"messages": 3, "active": 0, "handlers": 0, "owned": None}, name
        page.set_content(f"<main>{transcript(talk(text), title=text)['text/html']}</main>")
        assert page.evaluate(SEEN) == {"messages": 0, "active": 0, "handlers": 0, "owned": None}, name
    assert (dialogs, requests) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_readable_in_light_and_dark_and_in_320_pixels(page, tmp_path, scheme):
    messages = [
        Message("system", "Answer in one paragraph."),
        Message("user", "Who won the World Cup in 2010, and where was it?", enabled=False),
        Message("user", "Where was the 2014 World Cup held?"),
        Message("assistant", RICH, id="a", outcome="length"),
    ]
    file = tmp_path / "talk.html"
    file.write_text(
        page_of(
            messages,
            captions={"a": "SmolLM2 · 31 tokens in, 120 out · cost 0 (local)"},
            title="Where was the 2014 World Cup held?",
        )
    )
    page.emulate_media(color_scheme=scheme)
    page.goto(file.as_uri())
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    light = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, paper)]
    assert light[0] < light[1] if scheme == "light" else light[0] > light[1]
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"export-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 320, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
    page.screenshot(path=RESULTS / f"export-{scheme}-320.png")
