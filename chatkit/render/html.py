"""Rendering, static HTML: a conversation for a repr or a page, and sheets of facts.

In: messages, and for some a caption by their id (what they took). Out: HTML that holds no script, fetches nothing
and needs no kernel.
"""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path

from chatkit.conversation.conversation import Message
from chatkit.conversation.message import heading, parts
from chatkit.display import displayed
from chatkit.render.blocks import render
from chatkit.render.markdown import code_html
from chatkit.render.text import line, marked, plain, tame

HERE = Path(__file__).parent
STYLE = (HERE / "render.css").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def conversation_html(
    messages: Iterable[Message], *, captions: Mapping[str, str] | None = None, title: str = "Conversation"
) -> str:
    """A conversation as clean, static HTML; `captions` has a line under a message (by its id), such as its usage."""
    return _section(messages, captions or {}, title, style=STYLE)


def page(
    messages: Iterable[Message],
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "Conversation",
    branches: Mapping[str, Iterable[Message]] | None = None,
) -> str:
    """A conversation as an HTML file that stands alone; other `branches` follow, each under its name.

    >>> page([Message("user", "Hello")], title="A talk").partition("<style>")[0].count("script")
    0
    """
    style = STYLE + (HERE / "page.css").read_text(encoding="utf-8")
    name = escape(line(title))
    body = _section(messages, captions or {}, title) + "".join(
        f"<h2>Branch {escape(line(branch))}</h2>{_section(others, captions or {}, branch)}"
        for branch, others in (branches or {}).items()
    )
    return (
        f'<!doctype html>\n<html lang="und">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{name}</title>\n<style>{style}</style>\n</head>\n'
        f"<body>{displayed(f'<h1>{name}</h1>{body}', tag='main')}</body>\n</html>\n"
    )


def message_html(
    message: Message, *, answer: Callable[[str], str] = render, typed: Callable[[str], str] = plain
) -> str:
    """What a message holds, part by part: `answer` lays out the words of a model, `typed` all else as it is.

    >>> message_html(Message("tool", "1 < 2", extra={"tool_call_id": "call_1"}))
    '<pre class="ck-plain">1 &lt; 2</pre>'
    """
    said = answer if message.role == "assistant" else typed
    return "".join((said if part.kind == "text" else typed)(part.words) for part in parts(message))


def _section(messages: Iterable[Message], captions: Mapping[str, str], title: str, style: str = "") -> str:
    shown = "".join(_article(message, captions.get(message.id, "")) for message in messages)
    return displayed(shown, "ck-conversation", tag="section", label=title, style=style)


def _article(message: Message, caption: str) -> str:
    head = heading(message)
    words = escape(line(" · ".join(filter(None, [head.role, head.aside]))))
    foot = f'<footer class="ck-caption">{escape(caption)}</footer>' if caption else ""
    dim = "" if message.enabled else " ck-off"
    body = message_html(message) or plain("")
    return (
        f'<article class="ck-message ck-role-{message.role}{dim}"><header class="ck-role">{words}'
        f'</header><div class="ck-text" dir="auto">{body}</div>{foot}</article>'
    )


def sheet_html(title: str, facts: Iterable[tuple[str, str]], sources: Iterable[tuple[str, str, str]]) -> str:
    """A sheet: `facts` are names and values, `sources` names, languages and texts.

    >>> sheet_html("POST", [("status", "<200>")], []).partition("</style>")[2]
    '<section class="ck-sheet ck-text mathjax_ignore tex2jax_ignore"><header>POST</header><dl><dt>status</dt><dd>&lt;200&gt;</dd></dl></section>'
    """
    rows = "".join(f"<dt>{_plain(name)}</dt><dd>{_plain(value)}</dd>" for name, value in facts)
    folds = "".join(
        f"<details><summary>{_plain(name)}</summary>{code_html(tame(source), language)}</details>"
        for name, language, source in sources
    )
    body = f"<header>{_plain(title)}</header><dl>{rows}</dl>{folds}"
    return displayed(body, "ck-sheet ck-text", tag="section", style=STYLE)


def _plain(text: str) -> str:
    return marked(escape(tame(text)), hidden=True)
