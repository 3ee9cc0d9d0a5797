"""Rendering, a conversation as a file: Markdown, HTML or JSON, by the name's ending.

In: messages with their captions, and the conversation's own JSON. Out: a file, whole or not at all.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from chatkit.conversation import Message
from chatkit.conversation_file import write
from chatkit.exceptions import InputError
from chatkit.render.document import to_markdown
from chatkit.render.static import page

ENDINGS = {".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".json": "json"}


def export(
    path: str | os.PathLike[str],
    messages: Iterable[Message],
    document: str,
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "Conversation",
    branches: Mapping[str, Iterable[Message]] | None = None,
) -> Path:
    """Write a conversation to a file; `document` is its JSON. Raises InputError for another ending."""
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        given = f"ends in {ending!r}" if ending else "has no ending"
        raise InputError(f"{Path(path).name!r} {given}; an export ends in {', '.join(ENDINGS)}.")
    if ENDINGS[ending] == "json":
        return write(path, document)
    form = to_markdown if ENDINGS[ending] == "markdown" else page
    return write(path, form(messages, captions=captions, title=title, branches=branches))
