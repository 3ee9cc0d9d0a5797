"""Nothing that others wrote acts, wherever it is shown: each payload on each surface, by an allow-list."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hostile_payloads import PAYLOADS
from IPython.lib.pretty import pretty
from markdown_it import MarkdownIt

from chatkit.chats.chat import Chat
from chatkit.chats.history import History, Kept
from chatkit.chats.history_file import Archive, Entry, now
from chatkit.conversation.conversation import Conversation, Message
from chatkit.conversation.diff import Diff
from chatkit.render import markdown
from chatkit.render.blocks import GrowingText, render
from chatkit.render.export import saved, to_markdown, transcript
from chatkit.render.html import POLICY, conversation_html, page
from chatkit.render.text import plain

LAYOUT = {"section", "article", "header", "footer", "style", "small", "p", "br", "caption"}
PAGE = {"html", "head", "meta", "title", "body", "main"}
DIFF = {"table", "thead", "tbody", "tr", "th", "td", "b", "ins", "del"}
ATTRIBUTES = {"href", "target", "rel", "class", "start", "tabindex", "dir", "aria-label", "scope"}
CLASSES = re.compile(r"(ck-[a-z-]+|mathjax_ignore|tex2jax_ignore)\Z")
STYLES = re.compile(r"[a-z0-9:;,.%() -]*\Z")


class Reader(HTMLParser):
    """What a browser would find: tags with their attributes, and the text of style elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data!r}")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.styles.append(data)


def check(
    html: str, more: frozenset[str] | set[str] = frozenset(), attributes: frozenset[str] | set[str] = frozenset()
):
    """Every tag and attribute is one of ours."""
    read = Reader(html)
    assert {tag for tag, _ in read.tags} <= markdown.TEXT_TAGS | markdown.MATH_TAGS | LAYOUT | more
    for tag, given in read.tags:
        own = markdown.MATH_ATTRIBUTES if tag in markdown.MATH_TAGS else frozenset()
        assert set(given) <= ATTRIBUTES | own | attributes, (tag, given)
        for name in (given.get("class") or "").split():
            assert CLASSES.match(name) or name in markdown.CODE_CLASSES, given
        assert not re.search(r"url|expression|position|javascript|@", given.get("style") or "")
        if "href" in given:
            assert tag == "a"
            assert re.match(r"(https?://|mailto:)", given["href"] or ""), given
            assert (given["rel"], given["target"]) == ("noopener noreferrer", "_blank")
    for style in read.styles:
        assert not re.search(r"url\(|@import|@font-face|expression|</", style)
    return read


def talk(text: str) -> list[Message]:
    return [
        Message("system", text),
        Message("user", text, id="u", enabled=False),
        Message("assistant", text, id="a", outcome=text),
        Message("tool", text, extra={"tool_call_id": text}),
    ]


def growing(text: str) -> str:
    answer = GrowingText()
    for piece in text:
        answer.feed(piece)
    answer.finish()
    return "".join(answer.html)


def diff(text: str) -> Diff:
    conversation = Conversation(talk(text))
    conversation.branch()
    conversation.edit("a", f"{text} more")
    return conversation.diff("main", "main-2")


def listed(text: str) -> History:
    entry = Entry("id", text, text, 1, 1, now(), now())
    return History([Kept(entry, Archive(None))], None, text)


SURFACES: dict[str, Callable[[str], str]] = {
    "answer": render,
    "list": lambda text: render(f"- {text}"),
    "answer that grows": growing,
    "question": plain,
    "conversation": lambda text: conversation_html(talk(text), captions={"a": text}, title=text),
    "transcript": lambda text: transcript(talk(text), captions={"a": text}, title=text)["text/html"],
    "saved": lambda text: saved(text)["text/html"],
    "history": lambda text: listed(text)._repr_html_(),
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_surface_lets_anything_act(payload: str):
    text = PAYLOADS[payload]
    for surface in SURFACES.values():
        check(surface(text))
    check(diff(text)._repr_html_(), DIFF, {"style"})


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_page_holds_our_head_and_our_style_and_nothing_that_acts(payload: str):
    text = PAYLOADS[payload]
    html = page(talk(text), captions={"a": text}, title=text, branches={text: talk(text)})
    read = check(html, PAGE | {"h1", "h2"}, {"charset", "content", "http-equiv", "name", "lang"})
    metas = [given for tag, given in read.tags if tag == "meta"]
    assert [given.get("http-equiv") for given in metas] == [None, "Content-Security-Policy", None, None]
    assert metas[1]["content"] == POLICY
    assert [tag for tag, _ in read.tags].count("article") == 8
    assert [tag for tag, _ in read.tags].count("style") == 1


LAX = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_keeps_each_message_in_its_place_even_for_a_reader_that_lets_html_pass(payload: str):
    text = PAYLOADS[payload]
    exported = to_markdown(talk(text), captions={"a": text}, title=text, branches={text: talk(text)})
    tokens = LAX.parse(exported)
    inner = [child for token in tokens for child in token.children or ()]
    assert {t.type for t in (*tokens, *inner)} & {"html_block", "html_inline", "image"} == set()
    top = [token.type for token in tokens if token.level == 0 and token.nesting >= 0]
    message = ["paragraph_open", ("blockquote_open", "fence")]
    answer = [*message, "paragraph_open"]
    once = [*message, *message, *answer, *message]
    wanted = ["heading_open", *once, "heading_open", *once]
    assert len(top) == len(wanted)
    assert all(found == want or found in want for found, want in zip(top, wanted, strict=True))
    roles = [t.content for t in inner if t.type == "text" and t.content in ("system", "user", "tool")]
    assert roles.count("tool") == 2
    check(render(exported))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_plain_forms_hold_nothing_that_acts_on_a_terminal(payload: str):
    text = PAYLOADS[payload]
    messages = talk(text)
    shown_as = [
        transcript(messages, title=text)["text/plain"],
        to_markdown(messages, captions={"a": text}, title=text),
        pretty(Chat(conversation=messages, model=text)),
        pretty(diff(text)),
        pretty(listed(text)),
    ]
    for shown in shown_as:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
