"""Rendering, block by block: a text that is still being written is laid out again only where it changes.

In: markdown, whole or in pieces. Out: HTML, safe to show. A text that would take long to lay out comes
back as plain text.
"""

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from markdown_it.token import Token

from chatkit.render.markdown import clean, parse
from chatkit.render.text import plain, tame

BLOCK_LIMIT = 10_000
"""Characters without a blank line (outside of code) that are laid out; more is shown as plain text."""
TEXT_LIMIT = 100_000
"""Characters of one text that are laid out; the rest is shown as plain text."""
BLANK_LIMIT = 2_000
BRACKET_LIMIT = 500
PIPE_LIMIT = 4_000
"""Sides of table cells in one text that are laid out; a cell takes about 50 µs."""

FENCES = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level piece of a text (paragraph, list, table, code) and its HTML."""

    source: str
    html: str


def render(text: str) -> str:
    """The text's HTML.

    >>> render("**Brazil**, see [FIFA](https://www.fifa.com)")
    '<p><strong>Brazil</strong>, see <a href="https://www.fifa.com" target="_blank" rel="noopener noreferrer">FIFA</a> \
<span class="ck-host">(www.fifa.com)</span></p>\\n'
    """
    return "".join(block.html for block in blocks(text))


def blocks(text: str, notes: MutableMapping[str, Any] | None = None) -> list[Block]:
    """The text's top-level blocks in order; their sources joined are the text.

    `notes` may ask for math as its source: {"math": "source"}.
    """
    return list(_blocks(text, {} if notes is None else notes))


class GrowingText:
    """A text that is still being written: `feed` lays out again only what can still change.

    >>> answer = GrowingText()
    >>> answer.feed("# World Cup\\n\\nIn Bra")
    [(0, '<h1>World Cup</h1>\\n'), (1, '<p>In Bra</p>\\n')]
    >>> answer.feed("zil.")
    [(1, '<p>In Brazil.</p>\\n')]
    """

    def __init__(self) -> None:
        self.html: list[str] = []
        self._text: list[str] = []
        self._settled = 0
        self._tail = ""
        self._notes: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """All that has come so far."""
        return "".join(self._text)

    def feed(self, more: str) -> list[tuple[int, str]]:
        """Add to the text; the blocks that changed, each with its number."""
        self._text.append(more)
        self._tail += more
        found = list(_blocks(self._tail, self._notes))
        changes = self._show(self._settled, [block.html for block in found])
        if len(found) > 1:
            self._settled += len(found) - 1
            self._tail = found[-1].source
        return changes

    def finish(self) -> list[tuple[int, str]]:
        """The last changes: links whose address stood further down the text."""
        if not self._notes.get("references"):
            return []
        html = [block.html for block in blocks(self.text)]
        del self.html[len(html) :]
        return self._show(0, html)

    def _show(self, start: int, html: list[str]) -> list[tuple[int, str]]:
        had = self.html[start:]
        changes = [(start + i, new) for i, new in enumerate(html) if i >= len(had) or had[i] != new]
        self.html[start:] = html
        return changes


def _blocks(text: str, notes: MutableMapping[str, Any]) -> Iterator[Block]:
    source = tame(text)
    cut = _cut(source)
    head, rest = source[:cut], source[cut:]
    for quick, piece in _pieces(head):
        yield from _laid_out(piece, notes) if quick else [Block(piece, plain(piece))]
    if rest:
        yield Block(rest, plain(rest))


def is_quick(text: str) -> bool:
    """Whether a text can be parsed as a whole without taking long."""
    return len(text) <= _cut(text) and all(quick for quick, _ in _pieces(text))


def _cut(source: str) -> int:
    """Where a text gets too long to be laid out: by its characters, its blank lines, or its table cells."""
    return min(TEXT_LIMIT, _end_of("\n\n", source, BLANK_LIMIT), _end_of("|", source, PIPE_LIMIT))


def _end_of(mark: str, source: str, limit: int) -> int:
    """Where the mark stands for the last time that is allowed; TEXT_LIMIT if it is not that often there."""
    if source.count(mark) <= limit:
        return TEXT_LIMIT
    places = (match.end() for match in re.finditer(re.escape(mark), source))
    return next(islice(places, limit, None))


def _pieces(source: str) -> Iterator[tuple[bool, str]]:
    """The source cut into what can be laid out quickly (True) and runs of lines that cannot (False)."""
    if len(source) <= BLOCK_LIMIT and source.count("[") <= BRACKET_LIMIT:
        if source:
            yield True, source
        return
    for quick, group in groupby(_runs(source), key=_is_quick):
        yield quick, "".join(group)


def _is_quick(run: str) -> bool:
    return run.lstrip().startswith(FENCES) or (len(run) <= BLOCK_LIMIT and run.count("[") <= BRACKET_LIMIT)


def _runs(source: str) -> Iterator[str]:
    """The source cut after each blank line that is not inside a fence, and before each fence."""
    run: list[str] = []
    fenced = False
    for line in _lines(source):
        is_fence = line.lstrip().startswith(FENCES)
        if run and is_fence and not fenced:
            yield "".join(run)
            run = []
        fenced ^= is_fence
        run.append(line)
        if not fenced and (is_fence or not line.strip()):
            yield "".join(run)
            run = []
    yield "".join(run)


def _lines(source: str) -> list[str]:
    return [line for line in re.split(r"(?<=\n)", source) if line]


def _laid_out(source: str, notes: MutableMapping[str, Any]) -> Iterator[Block]:
    try:
        groups = list(_top_level(parse(source, notes)))
    except RecursionError:
        groups = []
    if not groups:
        yield Block(source, plain(source) if source.strip() and not notes.get("references") else "")
        return
    lines = _lines(source)
    starts = [0, *(group[0].map[0] for group in groups[1:] if group[0].map), len(lines)]
    for group, start, end in zip(groups, starts, starts[1:], strict=False):
        yield Block("".join(lines[start:end]), clean(group, notes))


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []
