"""Rendering, a model's Markdown inside of other Markdown: it stays in its place and shows what it shows in a panel.

In: an answer. Out: the same as a quotation in which nothing acts, for readers that know more than CommonMark: HTML is
text, an image is a link, a link says where it leads, a fence names a language that is one, and a formula is only
what is one in a panel as well. Where that cannot be had the answer is fenced, as it is.
"""

import re
from functools import lru_cache
from itertools import pairwise

from markdown_it.token import Token
from pygments.lexers import get_all_lexers

from chatkit.render.blocks import is_quick
from chatkit.render.markdown import MATH_LIMIT, host_of, lax
from chatkit.render.text import tame

_CODE = re.compile(
    r"^[ >]*(```|~~~).*?(?:^[ >]*\1|\Z)|(?<![\\`])(`+)(?!`)(?:(?!\n[ >]*\n).)+?(?<!`)\2(?!`)", re.S | re.M
)
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_INFO = re.compile(r"(?P<fence>[ >]*(?P<mark>[`~])(?P=mark){2,})(?P<info>[^\n]*)")
_LINK = re.compile(
    r"(?<![\\!])\[(?P<words>(?:[^\[\]\\]|\\.|\[[^\[\]\\]{0,100}\](?!\()){0,1000})\]"
    r"\((?P<address>(?:[^\s()]|\([^\s()]*\))*)(?=[\s)])[^()\n]*\)"
)
_DEFINITION = re.compile(r"^([ >]*)\[(?=[^\]\n]{1,1000}\]:)", re.M)
# No mark of Markdown's, no item of a list, no two spaces; no address, and no name of a picture between colons.
_PROSE = re.compile(
    r"(?!\d+[.)](?:\s|$))[\w(„“«¿¡'\"‘「](?:(?! {2})[\w ,.;:!?()'\"„“”«»‘’¿¡%/°€£–—…·×、。，！？：；「」-])*(?<! )"
)
_TOKEN = re.compile(r"_|www\.|//|:[\w+-]+:", re.I)
_PLAIN_HOST = re.compile(r"[A-Za-z0-9@][A-Za-z0-9.@-]*")
# What a panel takes for a formula: no space inside of single dollars, no digit beside them, in one line or in lines of its own.
_FORMULA = re.compile(
    r"^(?P<indent>[ >]*)\$\$(?P<lines>(?:[^$\\`\n]|\\[^\n`]|\n(?![ >]*\n))+)\$\$(?=[ \t]*$)"
    r"|(?<![\\$])\$\$(?P<block>(?:[^$\\`\n]|\\[^\n`])+)\$\$(?!\$)"
    r"|(?<![\\$\d])\$(?=[^\s$])(?P<inline>(?:[^$\\`\n]|\\[^\n`])+)(?<!\s)\$(?![$\d])",
    re.M,
)
_ACTING = re.compile(
    r"\\(?:href|url|require|autoload|class|cssId|style|data|html\w*|bbox|unicode|includegraphics|mmlToken|enclose|toggle"
    r"|mathtip|texttip|tooltip|action|[egx]?def|let|futurelet|(?:re)?new(?:command|environment)|Declare\w+|begingroup"
    r"|(?:eq)?ref|label|tag|input|include)(?![a-z])",
    re.I,
)
# What a reader with MathJax takes for the beginning of one; a dollar that is alone begins none.
_OPENS_ALONE = re.compile(r"(?:\\(?=(?:begin|end|(?:eq)?ref)\b)\w+|\\\\)+")
_OPENS = re.compile(r"(?:\\(?=(?:begin|end|(?:eq)?ref)\b)\w+|\\\\|\\?\$)+")
_BEYOND = re.compile(r"\\[(\[]|\\(?:begin|end|(?:eq)?ref)\b")


def quoted(text: str) -> str:
    """Markdown that stays within a quotation, whatever it opens; HTML in it is text, an image is a link.

    >>> print(quoted("a <b> `<b>` ![c](https://d.example)\\n\\n```\\n<b> x"))
    > a &lt;b> `<b>` [image: c](https://d.example) (d.example)
    >
    > ```
    > <b> x
    >>> print(quoted("It costs $5, the other $10, and $x^2$ is a formula."))
    > It costs `$`5, the other `$`10, and $x^2$ is a formula.
    """
    tamed = tame(text)
    lamed = _lamed(tamed)
    rows = "\n".join(f"> {row}".rstrip() for row in lamed.split("\n"))
    return fenced(text) if not is_quick(lamed) or acts(rows) else rows


def typed(text: str) -> str:
    """What a person typed, line for line: as a quotation where it is plain prose, else behind a fence.

    >>> print(typed("Where was it?"))
    > Where was it?
    >>> print(typed("1 < 2"))
    ```text
    1 < 2
    ```
    """
    rows = tame(text).split("\n")
    if "" in (rows[0], rows[-1]) or "\n\n\n" in text or not all(map(_is_prose, rows)):
        return fenced(text)
    ends = ["  " if row and after else "" for row, after in pairwise([*rows, ""])]
    return "\n".join(f"> {row}".rstrip() + end for row, end in zip(rows, ends, strict=True))


def _is_prose(row: str) -> bool:
    """Whether a line means nothing but its words, to whatever reader of Markdown."""
    return not row or (_PROSE.fullmatch(row) is not None and _TOKEN.search(row) is None)


def fenced(text: str) -> str:
    """Text as it is, behind a fence that is longer than any in it.

    >>> print(fenced("```"))
    ````text
    ```
    ````
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return "\n".join([f"{fence}text", *tame(text).split("\n"), fence])


def acts(source: str) -> bool:
    """Whether a reader would find HTML, an image, a diagram, a link to it knows not where, or a formula that is none.

    >>> [acts(found) for found in ("`<b>` ![x](y)", "```mermaid\\n```", "[x](https://a.example)", "$5 or $6", "$a$ `<b>`")]
    [True, True, True, True, False]
    """
    tokens = lax(source)
    return tokens is None or any(map(_acts, tokens))


def _acts(token: Token) -> bool:
    if token.type == "fence":
        return bool(token.info.strip()) and token.info.strip() not in languages()
    inner = [token, *(token.children or ())]
    if any(one.type in ("html_block", "html_inline", "image") for one in inner):
        return True
    return _leads_anywhere(inner) or _has_formula(inner)


def _leads_anywhere(inner: list[Token]) -> bool:
    """Whether a link does not say where it leads."""
    for at, token in enumerate(inner):
        if token.type == "link_open":
            end = next(n for n in range(at, len(inner)) if inner[n].type == "link_close")
            words = "".join(one.content for one in inner[at:end])
            after = inner[end + 1].content if end + 1 < len(inner) else ""
            host = host_of(address := str(token.attrs.get("href", "")))
            if not host or (words not in (address, host) and not after.startswith(f" ({host})")):
                return True
    return False


def _has_formula(inner: list[Token]) -> bool:
    """Whether MathJax would find a formula in this paragraph that a panel does not find there."""
    said = "".join("\n" if one.type == "softbreak" else one.content for one in inner[1:] if one.type != "code_inline")
    rest = _FORMULA.sub(lambda found: "" if _is_formula(found) else found[0], said)
    return rest.count("$") > 1 or bool(_BEYOND.search(rest))


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """The names of languages that Pygments knows."""
    aliases = (alias for _, names, _, _ in get_all_lexers(plugins=False) for alias in names)
    return frozenset(alias for alias in aliases if re.fullmatch(r"[\w+#.-]+", alias, re.A))


def _lamed(text: str) -> str:
    """The text with what is outside of code made harmless."""
    ends = [(0, 0), *(code.span() for code in _CODE.finditer(text)), (len(text), len(text))]
    outside = [text[end:start] for (_, end), (start, _) in pairwise(ends)]
    dollars = sum(piece.count("$") for piece in outside) > 1
    said, made = "", ""
    for piece, (start, end) in zip(outside, ends[1:], strict=True):
        for raw, shown in ((piece, _harmless(piece, dollars=dollars)), (text[start:end], _named(text[start:end]))):
            if made.endswith("`") and shown.startswith("`") and not (said.endswith("`") and raw.startswith("`")):
                made += " "  # two pieces of code stay two
            said, made = (raw or said), made + shown
    return made


def _named(code: str) -> str:
    """Code whose fence names a language or nothing."""
    head = _INFO.match(code)
    if not head:
        return code
    name = head["info"].split(maxsplit=1)[0].lower() if head["info"].strip() else ""
    return f"{head['fence']}{name if name in languages() else ''}{code[head.end() :]}"


def _harmless(text: str, *, dollars: bool) -> str:
    lamed = _DEFINITION.sub(r"\1\\[", _TAG.sub("&lt;", text).replace("![", "[image: "))
    lamed = _LINK.sub(_told, lamed)
    return _formulas(lamed, dollars=dollars)


def _told(link: re.Match[str]) -> str:
    """A link followed by where it leads, as in a panel; one that leads nowhere is no link."""
    host = host_of(link["address"])
    if not host or not _PLAIN_HOST.fullmatch(host):
        return f"\\{link[0]}"
    return link[0] if link["words"] in (link["address"], host) else f"{link[0]} ({host})"


def _formulas(text: str, *, dollars: bool) -> str:
    """The text with each formula in one line, and all else that MathJax would take for one as code."""
    parts, end = [], 0
    for found in filter(_is_formula, _FORMULA.finditer(text)):
        parts += [_no_formula(text[end : found.start()], dollars=dollars), _in_one_line(found)]
        end = found.end()
    return "".join([*parts, _no_formula(text[end:], dollars=dollars)])


def _in_one_line(found: re.Match[str]) -> str:
    """The formula without line breaks, after the marks of the quotation that it stands in."""
    indent = found["indent"] or ""
    return indent + " ".join(re.sub(r"\n[ >]*", " ", found[0].removeprefix(indent)).split())


def _is_formula(found: re.Match[str]) -> bool:
    source = found["lines"] or found["block"] or found["inline"]
    bare = re.sub(r"\\[{}\\|]", "", source)
    before = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
    return (
        len(source) <= MATH_LIMIT
        and bool(source.strip())
        and bare.count("{") == bare.count("}")
        and not (bare.count("|") % 2 or ("|" in bare and "|" in before))  # it would reach from one cell into the next
        and not _ACTING.search(source)
    )


def _no_formula(text: str, *, dollars: bool) -> str:
    return (_OPENS if dollars else _OPENS_ALONE).sub(_as_code, text)


def _as_code(run: re.Match[str]) -> str:
    """A run as it would be shown: with a pair of backslashes for one, and a dollar without the one before it."""
    shown = re.sub(r"\\([\\$])", r"\1", run[0])
    return f"`{shown}`"
