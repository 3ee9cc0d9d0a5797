"""Rendering, a whole conversation: clean, static HTML for a repr or an export.

In: messages. Out: HTML with its style beside it.
"""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from chatkit.conversation import Message
from chatkit.render.blocks import render
from chatkit.render.plain_text import plain

STYLE = (Path(__file__).parent / "render.css").read_text(encoding="utf-8")


def conversation_html(
    messages: Iterable[Message], *, captions: Mapping[str, str] | None = None, title: str = "Conversation"
) -> str:
    """A conversation as clean, static HTML; `captions` has a line under a message (by its id), such as its usage."""
    captions = captions or {}
    shown = "".join(_message_html(message, captions.get(message.id, "")) for message in messages)
    name = escape(title, quote=True)
    return f'<style>{STYLE}</style><section class="ck-conversation" aria-label="{name}">{shown}</section>'


def _message_html(message: Message, caption: str) -> str:
    state = "" if message.enabled else " · not sent"
    if message.outcome not in (None, "complete"):
        state += f" · {message.outcome}"
    body = render(message.text) if message.role == "assistant" else plain(message.text)
    foot = f'<footer class="ck-caption">{escape(caption)}</footer>' if caption else ""
    dim = "" if message.enabled else " ck-off"
    return (
        f'<article class="ck-message ck-{message.role}{dim}"><header class="ck-role">{message.role}{escape(state)}'
        f'</header><div class="ck-text" dir="auto">{body}</div>{foot}</article>'
    )
