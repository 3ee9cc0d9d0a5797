"""Rendering, a conversation as a file or for a saved notebook: Markdown, HTML, JSON, a transcript.

In: messages with their captions, and the conversation's own JSON. Out: the file's text.

An answer is
Markdown already and is quoted line by line, its HTML as text and its images as links; all other text shows as it is:
plain prose is quoted too, the rest is fenced.

A site that
shows notebooks takes styles and classes out of the HTML: it is readable without them. A widget that cannot be drawn
shows a line of its own; the style hides that, and hides the transcript where the widget lives.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from chatkit.conversation.conversation import Message
from chatkit.conversation.message import heading, parts, said
from chatkit.display import displayed
from chatkit.exceptions import InputError
from chatkit.render.blocks import blocks
from chatkit.render.html import message_html, page
from chatkit.render.text import line, marked, tame

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$&:@])")


def to_markdown(
    messages: Iterable[Message],
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "Conversation",
    branches: Mapping[str, Iterable[Message]] | None = None,
) -> str:
    """A conversation as Markdown; other `branches` follow, each under its name.

    >>> print(to_markdown([Message("user", "Where?"), Message("assistant", "In *Brazil*.")], title="A talk"))
    # A talk
    <BLANKLINE>
    **user**
    <BLANKLINE>
    > Where?
    <BLANKLINE>
    **assistant**
    <BLANKLINE>
    > In *Brazil*.
    <BLANKLINE>
    """
    blocks = [f"# {literal(title)}", *_messages(messages, captions or {})]
    for name, others in (branches or {}).items():
        blocks += [f"## Branch {literal(name)}", *_messages(others, captions or {})]
    return "\n\n".join(blocks) + "\n"


def literal(text: str) -> str:
    """One line of text in which nothing is Markdown; as code where a reader would find a formula in it.

    >>> literal("<b> *x* [y](z)"), literal("Lesson at $5 and $6")
    ('\\\\<b\\\\> \\\\*x\\\\* \\\\[y\\\\]\\\\(z\\\\)', '`Lesson at $5 and $6`')
    """
    told = line(text)
    return _as_code(told) if "$" in told or "\\" in told else _SPECIAL.sub(r"\\\1", told)


def _as_code(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{space}{text}{space}{mark}"


def _messages(messages: Iterable[Message], captions: Mapping[str, str]) -> list[str]:
    return [block for message in messages for block in _blocks(message, captions.get(message.id, ""))]


def _blocks(message: Message, caption: str) -> Iterator[str]:
    from chatkit.render.quotation import quoted, typed

    head = heading(message)
    yield f"**{head.role}**" + (f" · {literal(head.aside)}" if head.aside else "")
    for part in parts(message):
        is_answer = part.kind == "text" and message.role == "assistant"
        yield (quoted if is_answer else typed)(part.words)
    if caption:
        yield f"*{literal(caption)}*"


@dataclass(frozen=True)
class ExportFormat:
    """One form of file: what it is called, its type, its endings (the first one is offered), and who writes it.

    `write` gets the messages, or the conversation's JSON where the form `is_document`.
    """

    label: str
    mime: str
    endings: tuple[str, ...]
    write: Callable[..., str]
    is_document: bool = False


FORMATS: tuple[ExportFormat, ...] = (
    ExportFormat("Markdown", "text/markdown", (".md", ".markdown"), to_markdown),
    ExportFormat("HTML", "text/html", (".html", ".htm"), page),
    ExportFormat("JSON", "application/json", (".json",), str, is_document=True),
)
_BY_ENDING = {ending: form for form in FORMATS for ending in form.endings}


def format_of(name: str) -> ExportFormat:
    """The form that a file of this name has; raises InputError where there is none."""
    ending = Path(name).suffix.lower()
    if ending not in _BY_ENDING:
        given = f"ends in {ending!r}" if ending else "has no ending"
        raise InputError(f"{name!r} {given}; an export ends in {', '.join(_BY_ENDING)}.")
    return _BY_ENDING[ending]


def exported(name: str, messages: Iterable[Message], document: str, **look: Any) -> str:
    """A conversation as the text of a file of that name; `document` is its JSON.

    `look` is what the forms for people take: `captions` by a message's id, a `title`, other `branches` by name.
    Raises InputError for another ending.
    """
    form = format_of(name)
    return form.write(document) if form.is_document else form.write(messages, **look)


def offered() -> list[Mapping[str, str]]:
    """The forms as a page offers them: the ending and what it is called."""
    return [{"format": form.endings[0].removeprefix("."), "label": form.label} for form in FORMATS]


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
