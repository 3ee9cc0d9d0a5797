"""Rendering, a conversation as Markdown: what each message says stays within its own quotation.

In: messages, and for some a caption by their id. Out: Markdown for GitHub, a notebook or an editor. An answer is
Markdown already and is quoted line by line, its HTML as text and its images as links; all other text is fenced, so
that it shows as it is.
"""

import re
from collections.abc import Iterable, Mapping

from chatkit.conversation import Message
from chatkit.render.blocks import is_quick
from chatkit.render.markdown import acts
from chatkit.render.plain_text import line, tame
from chatkit.render.static import state_of

_CODE = re.compile(
    r"^[ >]*(```|~~~).*?(?:^[ >]*\1|\Z)|(?<![\\`])(`+)(?!`)(?:(?!\n[ >]*\n).)+?(?<!`)\2(?!`)", re.S | re.M
)
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
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
    ```text
    Where?
    ```
    <BLANKLINE>
    **assistant**
    <BLANKLINE>
    > In *Brazil*.
    <BLANKLINE>
    """
    parts = [f"# {literal(title)}", *_messages(messages, captions or {})]
    for name, others in (branches or {}).items():
        parts += [f"## Branch {literal(name)}", *_messages(others, captions or {})]
    return "\n\n".join(parts) + "\n"


def literal(text: str) -> str:
    """One line of text in which nothing is Markdown.

    >>> literal("<b> *x* [y](z)")
    '\\\\<b\\\\> \\\\*x\\\\* \\\\[y\\\\]\\\\(z\\\\)'
    """
    return _SPECIAL.sub(r"\\\1", line(text))


def quoted(text: str) -> str:
    """Markdown that stays within a quotation, whatever it opens; HTML in it is text, an image is a link.

    >>> print(quoted("a <b> `<b>` ![c](https://d.example)\\n\\n```\\n<b> x"))
    > a &lt;b> `<b>` [image: c](https://d.example)
    >
    > ```
    > <b> x

    Where a reader could still find HTML or an image in it, or would take long to see, the text is fenced.
    """
    lamed = _lamed("\n".join(_lines(text)))
    rows = "\n".join(f"> {row}".rstrip() for row in lamed.split("\n"))
    return fenced(text) if not is_quick(lamed) or acts(rows) else rows


def _lamed(text: str) -> str:
    """The text with what is outside of code made harmless."""
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_harmless(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _harmless(text[end:])])


def _harmless(text: str) -> str:
    return _TAG.sub("&lt;", text).replace("![", "[image: ")


def fenced(text: str) -> str:
    """Text as it is, behind a fence that is longer than any in it.

    >>> print(fenced("```"))
    ````text
    ```
    ````
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return "\n".join([f"{fence}text", *_lines(text), fence])


def _lines(text: str) -> list[str]:
    return tame(text).split("\n")


def _messages(messages: Iterable[Message], captions: Mapping[str, str]) -> list[str]:
    parts = []
    for message in messages:
        state = state_of(message)
        parts.append(f"**{message.role}**" + (f" · {literal(state)}" if state else ""))
        if message.text:
            parts.append((quoted if message.role == "assistant" else fenced)(message.text))
        if caption := captions.get(message.id, ""):
            parts.append(f"*{literal(caption)}*")
    return parts
