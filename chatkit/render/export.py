"""Rendering, a conversation as a file: Markdown, HTML or JSON, by the name's ending.

In: messages with their captions, and the conversation's own JSON. Out: the file's text.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from chatkit.conversation import Message
from chatkit.exceptions import InputError
from chatkit.render.document import to_markdown
from chatkit.render.static import page

ENDINGS = {".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".json": "json"}


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
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        given = f"ends in {ending!r}" if ending else "has no ending"
        raise InputError(f"{name!r} {given}; an export ends in {', '.join(ENDINGS)}.")
    if ENDINGS[ending] == "json":
        return document
    form = to_markdown if ENDINGS[ending] == "markdown" else page
    return form(messages, captions=captions, title=title, branches=branches)
