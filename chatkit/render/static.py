"""Rendering, a whole conversation: clean, static HTML for a repr, a page of its own, or a saved notebook.

In: messages, and for some a caption by their id (what they took). Out: HTML that holds no script, fetches nothing
and needs no kernel.
"""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from chatkit.conversation import Message
from chatkit.render.blocks import render
from chatkit.render.plain_text import AS_IT_IS, line, plain

HERE = Path(__file__).parent
STYLE = (HERE / "render.css").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def conversation_html(
    messages: Iterable[Message], *, captions: Mapping[str, str] | None = None, title: str = "Conversation"
) -> str:
    """A conversation as clean, static HTML; `captions` has a line under a message (by its id), such as its usage."""
    return f"<style>{STYLE}</style>{_section(messages, captions or {}, title)}"


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
        f"<body><main><h1>{name}</h1>{body}</main></body>\n</html>\n"
    )


def state_of(message: Message) -> str:
    """What is to be said beside a message's role: not sent, or how an answer ended if not well.

    >>> state_of(Message("assistant", "In Bra", outcome="cancelled", enabled=False))
    'not sent · cancelled'
    """
    sent = "" if message.enabled else "not sent"
    ended = message.outcome if message.outcome not in (None, "complete") else ""
    return line(" · ".join(filter(None, [sent, ended])))


def _section(messages: Iterable[Message], captions: Mapping[str, str], title: str) -> str:
    shown = "".join(_message_html(message, captions.get(message.id, "")) for message in messages)
    return f'<section class="ck-conversation {AS_IT_IS}" aria-label="{escape(title, quote=True)}">{shown}</section>'


def _message_html(message: Message, caption: str) -> str:
    head = escape(" · ".join(filter(None, [message.role, state_of(message)])))
    body = render(message.text) if message.role == "assistant" else plain(message.text)
    foot = f'<footer class="ck-caption">{escape(caption)}</footer>' if caption else ""
    dim = "" if message.enabled else " ck-off"
    return (
        f'<article class="ck-message ck-{message.role}{dim}"><header class="ck-role">{head}'
        f'</header><div class="ck-text" dir="auto">{body}</div>{foot}</article>'
    )
