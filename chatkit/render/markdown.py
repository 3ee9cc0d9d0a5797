"""Rendering, the grammar: markdown to tokens, tokens to HTML that holds no script, form, style, image or id.

In: markdown. Out: HTML cleaned by nh3, whose links open by a click only and show their host.
"""

from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

import nh3
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

from chatkit.render.text import marked


def _words(text: str) -> set[str]:
    return set(text.split())


MATH_LIMIT = 1_000
CODE_LIMIT = 20_000
"""Characters of code that are coloured."""

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


def parse(source: str, notes: MutableMapping[str, Any]) -> list[Token]:
    """The text's tokens; `notes` carries link addresses from one part of a text to the next."""
    return _MARKDOWN.parse(source, notes)


def lax(source: str) -> list[Token] | None:
    """The tokens of a reader that lets HTML pass; None where the text is nested too deep for one."""
    try:
        return _LAX.parse(source)
    except RecursionError:
        return None


def clean(tokens: list[Token], notes: MutableMapping[str, Any]) -> str:
    """The tokens' HTML, clean."""
    return _CLEANER.clean(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, notes))


# What markdown-it writes differently here: code, math, links, images, the side a table's column keeps to.


def _code(tokens: list[Token], index: int, *_: object) -> str:
    token = tokens[index]
    language = token.info.strip().split(maxsplit=1)[:1]
    return code_html(token.content, *language) + "\n"


def code_html(code: str, language: str = "") -> str:
    """Code as HTML, escaped, and coloured where the language is one of `LANGUAGES`."""
    return f'<pre class="ck-code"><code>{_coloured(code, language)}</code></pre>'


def _inline_code(tokens: list[Token], index: int, *_: object) -> str:
    return f"<code>{marked(escape(tokens[index].content), hidden=True)}</code>"


@lru_cache(maxsize=64)
def _coloured(code: str, language: str = "") -> str:
    lexer = _lexer(language.lower()) if len(code) <= CODE_LIMIT else None
    html = highlight(code, lexer, HtmlFormatter(nowrap=True)) if lexer else escape(code)
    return marked(html, hidden=True)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    if language not in LANGUAGES:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


def _text(tokens: list[Token], index: int, *_: object) -> str:
    return marked(escape(tokens[index].content))


@lru_cache(maxsize=256)
def _math(source: str, display: str) -> str:
    if len(source) > MATH_LIMIT:
        return f"<code>{escape(source)}</code>"
    from latex2mathml.converter import convert

    try:
        return str(convert(source, display=display))
    except Exception:  # noqa: BLE001  # it raises anything on what it does not know; then the source is shown
        return f"<code>{escape(source)}</code>"


def _math_rule(display: str, block: bool = False) -> Callable[..., str]:
    def write(tokens: list[Token], index: int, _: object, notes: Mapping[str, Any]) -> str:
        source = tokens[index].content.strip()
        html = f"<code>{escape(source)}</code>" if notes.get("math") == "source" else _math(source, display)
        return f'<div class="ck-math">{html}</div>\n' if block else html

    return write


def _image(tokens: list[Token], index: int, *_: object) -> str:
    token = tokens[index]
    words = f"image: {token.content}" if token.content else "image"
    address = str(token.attrs.get("src", ""))
    host = host_of(address)
    return _anchor(address) + escape(words) + _anchor_end(host) if host else escape(f"[{words}]")


def _link_open(tokens: list[Token], index: int, *_: object) -> str:
    address = str(tokens[index].attrs.get("href", ""))
    return _anchor(address) if host_of(address) else ""


def _link_close(tokens: list[Token], index: int, *_: object) -> str:
    start = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open")
    address = str(tokens[start].attrs.get("href", ""))
    host = host_of(address)
    words = "".join(token.content for token in tokens[start:index])
    return (_anchor_end("" if words in (address, host) else host)) if host else ""


def _anchor(address: str) -> str:
    return f'<a href="{escape(address)}">'


def _anchor_end(host: str) -> str:
    return f'</a> <span class="ck-host">({escape(host)})</span>' if host else "</a>"


def host_of(address: str) -> str:
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
        "math_inline": _math_rule("inline"),
        "math_inline_double": _math_rule("block"),
        "math_block": _math_rule("block", block=True),
        "table_open": lambda *_: '<div class="ck-scroll"><table>\n',
        "table_close": lambda *_: "</table></div>\n",
    }
    # the address is judged when it is written out; the parser would leave the raw markdown standing
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    return markdown


_MARKDOWN = _grammar()
_LAX = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
