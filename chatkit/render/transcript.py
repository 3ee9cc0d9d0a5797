"""Rendering, a conversation for a saved notebook: what a reader without a kernel sees in a widget's place.

In: messages, and for some a caption by their id. Out: one output's data (HTML, Markdown, plain text). A site that
shows notebooks takes styles and classes out of the HTML: it is readable without them. A widget that cannot be drawn
shows a line of its own; the style hides that, and hides the transcript where the widget lives.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from chatkit.conversation import Message
from chatkit.display import displayed
from chatkit.parts import heading, said
from chatkit.render.blocks import blocks
from chatkit.render.document import to_markdown
from chatkit.render.plain_text import line, marked, tame
from chatkit.render.static import message_html

CLASS = "ck-saved"
SWAP = f"""
.jp-OutputArea:has(.ck-panel:not(.ck-silent), .ck-uploader, .ck-meter) .jp-OutputArea-child:has(.{CLASS}) {{ display: none; }}
.jp-OutputArea:has(.{CLASS}) > .jp-OutputArea-child > .lm-Panel:not(:has(*)) {{ display: none; }}
"""
"""In JupyterLab and Notebook: no transcript beside a panel that has heard of its kernel, no sentence beside another widget, no line of a widget that is gone."""


def saved(sentence: str) -> dict[str, str]:
    """One line in a widget's place, as the data of an output.

    >>> saved("Run this cell.")["text/plain"]
    'Run this cell.'
    """
    html = displayed(escape(sentence), CLASS, tag="p", style=SWAP)
    return {"text/html": html, "text/plain": sentence}


def transcript(
    messages: Iterable[Message], *, captions: Mapping[str, str] | None = None, title: str = "Conversation"
) -> dict[str, str]:
    """A conversation that stays readable in a saved notebook, as the data of an output.

    >>> print(transcript([Message("user", "Where?")], title="A talk")["text/plain"])
    A talk
    user: Where?
    """
    told = tuple(messages)
    body = "<hr>".join(_message(message, (captions or {}).get(message.id, "")) for message in told)
    html = displayed(f"<p><strong>{escape(line(title))}</strong></p><hr>{body}", CLASS, style=SWAP)
    text = "\n".join([line(title), *(f"{_head(message)}: {tame(said(message))}" for message in told)])
    return {
        "text/html": html,
        "text/markdown": to_markdown(told, captions=captions, title=title),
        "text/plain": text,
    }


def _message(message: Message, caption: str) -> str:
    foot = f"<p><small>{escape(caption)}</small></p>" if caption else ""
    return f'<p><em>{escape(_head(message))}</em></p><div dir="auto">{message_html(message, answer=_laid_out, typed=_as_typed)}</div>{foot}'


def _head(message: Message) -> str:
    head = heading(message)
    return line(f"{head.role} ({head.aside})" if head.aside else head.role)


def _laid_out(answer: str) -> str:
    notes: dict[str, Any] = {"math": "source"}
    return "".join(block.html for block in blocks(answer, notes))


def _as_typed(text: str) -> str:
    """Text with its line breaks; where its spaces say something too, as it is."""
    shown = marked(escape(tame(text)))
    if "  " in text or "\t" in text or "```" in text:
        return f"<pre>{shown}</pre>"
    return "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in shown.split("\n\n") if part.strip())
