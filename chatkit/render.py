"""Floor 1, a door: markdown becomes HTML that is safe to show, block by block.

In: text that nobody here wrote (a model's answer, an error's body). Out: HTML that holds no script, form,
style, image or id, whose links open by a click only and show their host. Used by panel, repr and export.
A text that would take long to lay out comes back as plain text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from chatkit.conversation import Message

STYLE = (Path(__file__).parent / "render.css").read_text(encoding="utf-8")


def _words(text: str) -> set[str]:
    return set(text.split())


BLOCK_LIMIT = 10_000
"""Characters without a blank line (outside of code) that are laid out; more is shown as plain text."""
TEXT_LIMIT = 100_000
"""Characters of one text that are laid out; the rest is shown as plain text."""
BLANK_LIMIT = 2_000
MATH_LIMIT = 1_000
CODE_LIMIT = 20_000
"""Characters of code that are coloured."""
BRACKET_LIMIT = 500

FENCES = ("```", "~~~")
SCHEMES = {"http", "https", "mailto"}
# A model names the language of its code: only grammars known to be quick are let near it.
LANGUAGES = _words("""
    bash c cpp csharp css diff docker go haskell html http ini java javascript js json jsx julia kotlin lua make
    markdown matlab md perl php powershell py py3 python python3 pycon r rb ruby rust scala sh shell console sql
    swift tex latex toml ts tsx typescript xml yaml yml""")
TEXT_TAGS = _words("""
    a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong sub sup table tbody td th
    thead tr ul""")
MATH_TAGS = _words("""
    math mrow mi mn mo ms mtext mspace msup msub msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd
    mstyle mpadded mphantom menclose mmultiscripts mprescripts none""")
MATH_ATTRIBUTES = _words("""
    display displaystyle scriptlevel mathvariant mathcolor stretchy fence form separator accent accentunder lspace
    rspace minsize maxsize largeop movablelimits symmetric linethickness width height depth columnalign rowspacing
    columnspacing columnlines rowlines notation""")
CODE_CLASSES = {name for name in STANDARD_TYPES.values() if name}

_CLEANER = nh3.Cleaner(
    tags=TEXT_TAGS | MATH_TAGS,
    attributes={"a": {"href"}, "ol": {"start"}} | dict.fromkeys(MATH_TAGS, MATH_ATTRIBUTES),
    allowed_classes={
        "span": CODE_CLASSES | {"ck-host", "ck-mark"},
        "pre": {"ck-code", "ck-plain"},
        "div": {"ck-math", "ck-scroll"},
        "td": {"ck-center", "ck-right"},
        "th": {"ck-center", "ck-right"},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    url_schemes=SCHEMES,
    url_relative="deny",
)

# Terminal escapes: OSC (links, titles), CSI (colours), and what is left of the control characters.
_TERMINAL = re.compile(r"\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b\[[0-?]{0,64}[ -/]{0,64}[@-~]|\x1b")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_HIDDEN = re.compile("[\u061c\u180e\u200b-\u200f\u2060-\u2064\U000e0000-\U000e007f]")


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


def blocks(text: str) -> list[Block]:
    """The text's top-level blocks in order; their sources joined are the text."""
    return list(_blocks(text, {}))


class Growing:
    """A text that is still being written: `feed` lays out again only what can still change.

    >>> answer = Growing()
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


def plain(text: str) -> str:
    """The text as it is, line by line, with nothing in it that acts.

    >>> plain("1 < 2")
    '<pre class="ck-plain">1 &lt; 2</pre>'
    """
    return f'<pre class="ck-plain">{_marked(escape(tame(text)))}</pre>'


def tame(text: str) -> str:
    """The text without terminal escapes and control characters."""
    return _CONTROL.sub("", _TERMINAL.sub("", text))


def _marked(escaped: str, hidden: bool = False) -> str:
    shown = _TURNING.sub(_mark, escaped)
    return _HIDDEN.sub(_mark, shown) if hidden else shown


def _mark(match: re.Match[str]) -> str:
    return f'<span class="ck-mark">U+{ord(match[0]):04X}</span>'


def _blocks(text: str, notes: MutableMapping[str, Any]) -> Iterator[Block]:
    source = tame(text.replace("\r\n", "\n").replace("\r", "\n"))
    cut = _cut(source)
    head, rest = source[:cut], source[cut:]
    for quick, piece in _pieces(head):
        yield from _laid_out(piece, notes) if quick else [Block(piece, plain(piece))]
    if rest:
        yield Block(rest, plain(rest))


def _cut(source: str) -> int:
    """Where a text gets too long to be laid out: by its characters, or by its blank lines."""
    if source.count("\n\n") <= BLANK_LIMIT:
        return TEXT_LIMIT
    places = (match.end() for match in re.finditer("\n\n", source))
    return min(TEXT_LIMIT, next(islice(places, BLANK_LIMIT, None), TEXT_LIMIT))


def _pieces(source: str) -> Iterator[tuple[bool, str]]:
    """The source cut into what can be laid out quickly (True) and runs of lines that cannot (False)."""
    if len(source) <= BLOCK_LIMIT:
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
        groups = list(_top_level(_MARKDOWN.parse(source, notes)))
    except RecursionError:
        groups = []
    if not groups:
        yield Block(source, plain(source) if source.strip() and not notes.get("references") else "")
        return
    lines = _lines(source)
    starts = [0, *(group[0].map[0] for group in groups[1:] if group[0].map), len(lines)]
    for group, start, end in zip(groups, starts, starts[1:], strict=False):
        yield Block("".join(lines[start:end]), _clean(group, notes))


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []


def _clean(tokens: list[Token], notes: MutableMapping[str, Any]) -> str:
    return _CLEANER.clean(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, notes))


# What markdown-it writes differently here: code, math, links, images, the side a table's column keeps to.


def _code(tokens: list[Token], index: int, *_: object) -> str:
    token = tokens[index]
    language = token.info.strip().split(maxsplit=1)[:1]
    return f'<pre class="ck-code"><code>{_coloured(token.content, *language)}</code></pre>\n'


def _inline_code(tokens: list[Token], index: int, *_: object) -> str:
    return f"<code>{_marked(escape(tokens[index].content), hidden=True)}</code>"


@lru_cache(maxsize=64)
def _coloured(code: str, language: str = "") -> str:
    lexer = _lexer(language.lower()) if len(code) <= CODE_LIMIT else None
    html = highlight(code, lexer, HtmlFormatter(nowrap=True)) if lexer else escape(code)
    return _marked(html, hidden=True)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    if language not in LANGUAGES:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


def _text(tokens: list[Token], index: int, *_: object) -> str:
    return _marked(escape(tokens[index].content))


@lru_cache(maxsize=256)
def _math(source: str, display: str) -> str:
    if len(source) > MATH_LIMIT:
        return f"<code>{escape(source)}</code>"
    try:
        return str(convert(source, display=display))
    except Exception:  # noqa: BLE001  # it raises anything on what it does not know; then the source is shown
        return f"<code>{escape(source)}</code>"


def _math_inline(tokens: list[Token], index: int, *_: object) -> str:
    return _math(tokens[index].content, "inline")


def _math_double(tokens: list[Token], index: int, *_: object) -> str:
    return _math(tokens[index].content, "block")


def _math_block(tokens: list[Token], index: int, *_: object) -> str:
    return f'<div class="ck-math">{_math(tokens[index].content.strip(), "block")}</div>\n'


def _image(tokens: list[Token], index: int, *_: object) -> str:
    token = tokens[index]
    words = f"image: {token.content}" if token.content else "image"
    address = str(token.attrs.get("src", ""))
    host = _host(address)
    return _anchor(address) + escape(words) + _anchor_end(host) if host else escape(f"[{words}]")


def _link_open(tokens: list[Token], index: int, *_: object) -> str:
    address = str(tokens[index].attrs.get("href", ""))
    return _anchor(address) if _host(address) else ""


def _link_close(tokens: list[Token], index: int, *_: object) -> str:
    start = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open")
    address = str(tokens[start].attrs.get("href", ""))
    host = _host(address)
    words = "".join(token.content for token in tokens[start:index])
    return (_anchor_end("" if words in (address, host) else host)) if host else ""


def _anchor(address: str) -> str:
    return f'<a href="{escape(address)}">'


def _anchor_end(host: str) -> str:
    return f'</a> <span class="ck-host">({escape(host)})</span>' if host else "</a>"


def _host(address: str) -> str:
    """Where a link leads, in words; empty if it is not one to click on."""
    try:
        parts = urlsplit(address)
        named = parts.path if parts.scheme == "mailto" else parts.hostname
    except ValueError:
        return ""
    return (named or "") if parts.scheme in SCHEMES else ""


def _cell(tokens: list[Token], index: int, *_: object) -> str:
    side = str(tokens[index].attrs.get("style", "")).removeprefix("text-align:")
    kept = f' class="ck-{side}"' if side in ("center", "right") else ""
    return f"<{tokens[index].tag}{kept}>"


def _bracket_math(state: StateInline, silent: bool) -> bool:
    r"""Read `\(…\)` and `\[…\]`, which models write as often as dollars."""
    opening = state.src[state.pos : state.pos + 2]
    closing = {"\\(": "\\)", "\\[": "\\]"}.get(opening)
    end = state.src.find(closing, state.pos + 2, state.pos + 2 + MATH_LIMIT) if closing else -1
    if end < 0 or not state.src[state.pos + 2 : end].strip():
        return False
    if not silent:
        token = state.push("math_inline" if opening == "\\(" else "math_inline_double", "math", 0)
        token.content = state.src[state.pos + 2 : end].strip()
    state.pos = end + 2
    return True


def _grammar() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    markdown.inline.ruler.before("escape", "bracket_math", _bracket_math)
    markdown.renderer.rules |= {  # type: ignore[attr-defined]
        "code_block": _code,
        "fence": _code,
        "code_inline": _inline_code,
        "text": _text,
        "image": _image,
        "link_open": _link_open,
        "link_close": _link_close,
        "th_open": _cell,
        "td_open": _cell,
        "math_inline": _math_inline,
        "math_inline_double": _math_double,
        "math_block": _math_block,
        "table_open": lambda *_: '<div class="ck-scroll"><table>\n',
        "table_close": lambda *_: "</table></div>\n",
    }
    # the address is judged when it is written out; the parser would leave the raw markdown standing
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    return markdown


_MARKDOWN = _grammar()
