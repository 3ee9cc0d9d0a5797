"""Rendering, a conversation as a file: Markdown, HTML or JSON, by the name's ending.

In: messages with their captions, and the conversation's own JSON. Out: the file's text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chatkit.conversation import Message
from chatkit.exceptions import InputError
from chatkit.render.document import to_markdown
from chatkit.render.static import page


@dataclass(frozen=True, slots=True)
class Format:
    """What a conversation can be written as: its name for people, its media type, the endings of its files.

    `form` lays messages out; without one it is the conversation's own JSON.
    """

    name: str
    mime: str
    endings: tuple[str, ...]
    form: Callable[..., str] | None = None


FORMATS = (
    Format("Markdown", "text/markdown", (".md", ".markdown"), to_markdown),
    Format("HTML", "text/html", (".html", ".htm"), page),
    Format("JSON", "application/json", (".json",)),
)
"""All of them, in the order in which they are offered; nothing else knows of any."""
ENDINGS = {ending: format for format in FORMATS for ending in format.endings}


def exported(
    name: str,
    messages: Iterable[Message],
    document: str,
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "Conversation",
    branches: Mapping[str, Iterable[Message]] | None = None,
) -> str:
    """A conversation as the text of a file of that name; `document` is its JSON. Raises InputError for another ending."""
    form = format_of(name).form
    if form is None:
        return document
    return form(messages, captions=captions, title=title, branches=branches)


def format_of(name: str) -> Format:
    """The format of a file of that name; InputError for an ending that none has.

    >>> format_of("talk.HTM").mime
    'text/html'
    """
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        given = f"ends in {ending!r}" if ending else "has no ending"
        raise InputError(f"{name!r} {given}; an export ends in {', '.join(ENDINGS)}.")
    return ENDINGS[ending]
