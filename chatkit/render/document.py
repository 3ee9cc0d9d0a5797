"""Rendering, a conversation as Markdown: what each message says stays within its own quotation.

In: messages, and for some a caption by their id. Out: Markdown for GitHub, a notebook or an editor. An answer is
Markdown already and is quoted line by line, its HTML as text and its images as links; all other text shows as it is:
plain prose is quoted too, the rest is fenced.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from chatkit.conversation import Message
from chatkit.parts import heading, parts
from chatkit.render.plain_text import line
from chatkit.render.quotation import quoted, typed

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
    head = heading(message)
    yield f"**{head.role}**" + (f" · {literal(head.aside)}" if head.aside else "")
    for part in parts(message):
        is_answer = part.kind == "text" and message.role == "assistant"
        yield (quoted if is_answer else typed)(part.words)
    if caption:
        yield f"*{literal(caption)}*"
