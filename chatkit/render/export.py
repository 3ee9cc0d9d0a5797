"""Rendering, a conversation as a file, by the name's ending: every form that there is stands in `FORMATS`.

In: messages with their captions, and the conversation's own JSON. Out: the file's text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatkit.conversation import Message
from chatkit.exceptions import InputError
from chatkit.render.document import to_markdown
from chatkit.render.static import page


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
