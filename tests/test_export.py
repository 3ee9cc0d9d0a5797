"""A conversation as a file: Markdown, a page that stands alone, JSON; by the name's ending, whole or not at all."""

import pytest
from faultserver import DONE, FaultServer, say, stop, stream, usage

from chatkit.chats.chat import Chat
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.conversation.conversation import Conversation, Message
from chatkit.exceptions import InputError
from chatkit.render import export
from chatkit.render.export import literal, to_markdown, transcript
from chatkit.render.html import page
from chatkit.render.quotation import fenced, quoted, typed
from chatkit.ui import questions
from chatkit.ui.chat_panel import ChatPanel

MESSAGES = [
    Message("system", "Be <b>brief</b>."),
    Message("user", "Where?\n  And `when`?", id="u", enabled=False),
    Message("assistant", "In *Brazil*, $x^2$ <b>", id="a", outcome="cancelled"),
]


def test_markdown_shows_an_answer_laid_out_and_everything_else_as_it_is():
    assert to_markdown(
        MESSAGES, captions={"a": "7 tokens in, 2 out"}, title="A *talk*", branches={"b_1": MESSAGES[:1]}
    ) == (
        "# A \\*talk\\*\n\n"
        "**system**\n\n```text\nBe <b>brief</b>.\n```\n\n"
        "**user** · not sent\n\n```text\nWhere?\n  And `when`?\n```\n\n"
        "**assistant** · cancelled\n\n> In *Brazil*, $x^2$ &lt;b>\n\n*7 tokens in, 2 out*\n\n"
        "## Branch b\\_1\n\n"
        "**system**\n\n```text\nBe <b>brief</b>.\n```\n"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Where was it?", "> Where was it?"),
        ("Dear model,\n\nwho won in 2014 (and where)?\nIt's 5 % of 3/4.", "> Dear model,\n>\n> who won in 2014 (and where)?  \n> It's 5 % of 3/4."),
        ("¿Dónde está «Río»?", "> ¿Dónde está «Río»?"),
        ("日本の首都は？", "> 日本の首都は？"),
    ],
)  # fmt: skip
def test_plain_prose_that_a_person_typed_is_a_quotation_that_keeps_its_lines(text, wanted):
    assert typed(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "a\n", "a\n\n\nb", "a  b", " a", "a ", "1. a", "12) a", "- a", "* a", "+ a", "# a", "> a", "---", "a\n===", "a | b",
        "a *b*", "a_b_c", "`a`", "a ~b~", "$5", "\\(x\\)", "[a](b)", "![a](b)", "<b>", "a &amp; b", "me@a.example", "see https://a.example",
        "see www.a.example", ":smile:", "a\tb", "# a\n\nHello", "Hello\n    code", "a\u202eb", "```",
    ],
)  # fmt: skip
def test_what_is_more_than_plain_prose_is_fenced_as_it_is(text):
    assert typed(text) == fenced(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a <b> `<b>`", "> a &lt;b> `<b>`"),
        ("![x](https://a.example/b.png)", "> [image: x](https://a.example/b.png) (a.example)"),
        ("```html\n<b>![x](y)\n```\n<b>", "> ```html\n> <b>![x](y)\n> ```\n> &lt;b>"),
        ("~~~\n<b>", "> ~~~\n> <b>"),
        ("1 < 2 and 3<4", "> 1 < 2 and 3<4"),
        ("\\`<b>`", "> \\`&lt;b>`"),
        ("    <b>", ">     &lt;b>"),
        ("a\n\nb", "> a\n>\n> b"),
        ("`a\n\n<b> b`", "> `a\n>\n> &lt;b> b`"),
    ],
)
def test_html_and_images_of_an_answer_are_lamed_outside_of_code(text, wanted):
    assert quoted(text) == wanted


def test_an_answer_in_which_html_would_still_act_or_that_takes_long_is_fenced():
    listed = "- `a\n- <b>`"  # no code: the two marks stand in two items
    assert quoted(listed) == fenced(listed)
    assert quoted("[" * 11_000) == fenced("[" * 11_000)
    assert fenced("a\n`````\nb") == "``````text\na\n`````\nb\n``````"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('```"><img src=https://trip.example/x>\nx\n```', "> ```\n> x\n> ```"),
        ("~~~ <script>\nx\n~~~", "> ~~~\n> x\n> ~~~"),
        ("```mermaid\nx\n```", "> ```\n> x\n> ```"),
        ("```math\nx\n```", "> ```\n> x\n> ```"),
        ('``` Python title="a"\nx\n```', "> ```python\n> x\n> ```"),
        ("> ````c++ x\n> y\n> ````", "> > ````c++\n> > y\n> > ````"),
    ],
)
def test_a_fence_names_a_language_that_is_one_or_nothing(text, wanted):
    assert quoted(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It costs $5.", "> It costs $5."),
        ("$5 a month, or $10 a year", "> `$`5 a month, or `$`10 a year"),
        ("\\$5 or \\$10", "> `$`5 or `$`10"),
        ("$x^2$ and $$ y $$", "> $x^2$ and $$ y $$"),
        ("$$\nx\n$$", "> $$ x $$"),
        ("> $$\n> a &= b\n> $$", "> > $$ a &= b $$"),
        ("1. $5 a\n2. b=$c", "> 1. `$`5 a\n> 2. b=`$`c"),
        ("- $$\n- $$ x", "> - `$$`\n> - `$$` x"),
        ("|a|b|\n|-|-|\n|$a|$b|", "> |a|b|\n> |-|-|\n> |`$`a|`$`b|"),
        (r"\\\\$5 and \\\\$6", r"> `\\$`5 and `\\$`6"),
        ("$`a` and $", "> `$` `a` and `$`"),
        ("$|x|$ and $|y|$", "> $|x|$ and `$`|y|`$`"),
        ("$x$ for $5", "> $x$ for `$`5"),
        ("`$5` or `$6`", "> `$5` or `$6`"),
        (r"$\href{https://a.example}{the bank}$", r"> `$`\href{https://a.example}{the bank}`$`"),
        (r"$\style{background:url(https://a.example)}{x}$", r"> `$`\style{background:url(https://a.example)}{x}`$`"),
        (r"$\def\x{y}$", r"> `$`\def\x{y}`$`"),
        ("${a$ and }$", "> `$`{a`$` and }`$`"),
        (r"\begin{align}x\end{align}", r"> `\begin`{align}x`\end`{align}"),
        (r"\ref{a} \eqref{b} \beginning", r"> `\ref`{a} `\eqref`{b} \beginning"),
        (r"\\(a\\) and \\[b\\]", r"> `\`(a`\`) and `\`[b`\`]"),
    ],
)
def test_a_dollar_is_a_dollar_where_a_panel_finds_no_formula(text, wanted):
    assert quoted(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[the bank](https://a.example/x)", "> [the bank](https://a.example/x) (a.example)"),
        ("[A (b)](https://a.example/A_(b))", "> [A (b)](https://a.example/A_(b)) (a.example)"),
        ("so it is [[1]](https://a.example)", "> so it is [[1]](https://a.example) (a.example)"),
        ("[the bank][1]\n\n[1]: https://a.example", "> [the bank][1]\n>\n> \\[1]: https://a.example"),
        ("[a.example](https://a.example/x)", "> [a.example](https://a.example/x)"),
        ("<https://a.example/x>", "> &lt;https://a.example/x>"),
        ("[x](<https://a.example>)", "> \\[x](&lt;https://a.example>)"),
        (
            "[![i](https://a.example)](https://b.example)",
            "> [[image: i](https://a.example) (a.example)](https://b.example)",
        ),
        ("[x](javascript:1) [y](/lab?reset)", "> \\[x](javascript:1) \\[y](/lab?reset)"),
        ("[https://good.example](https://a.example)", "> [https://good.example](https://a.example) (a.example)"),
    ],
)
def test_a_link_says_where_it_leads(text, wanted):
    assert quoted(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "[the bank][1]\n\n- [1]: https://a.example",
        "[a [b [c]] d](https://a.example)",
        "- `$5\n- $6` $7",
        "- x ``` <b>\n  ```python title\n",
    ],
)
def test_what_cannot_be_made_to_say_so_is_fenced_as_it_is(text):
    assert quoted(text) == fenced(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Lesson at $5 and $6", "`Lesson at $5 and $6`"),
        (r"\(x\) `y`", r"`` \(x\) `y` ``"),
        (r"\begin{a}``", r"``` \begin{a}`` ```"),
        ("$", "`$`"),
        ("a_b [c](d)", r"a\_b \[c\]\(d\)"),
    ],
)
def test_a_name_with_a_dollar_or_a_backslash_is_code(text, wanted):
    assert literal(text) == wanted


def test_a_page_stands_alone_and_says_what_was_not_sent():
    html = page(MESSAGES, captions={"a": "7 tokens"}, title="A <talk>", branches={"<b>": MESSAGES[:1]})
    assert html.startswith("<!doctype html>\n")
    assert "<title>A &lt;talk&gt;</title>" in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "prefers-color-scheme: dark" in html
    assert '<header class="ck-role">user · not sent</header>' in html
    assert '<header class="ck-role">assistant · cancelled</header>' in html
    assert '<footer class="ck-caption">7 tokens</footer>' in html
    assert "<h2>Branch &lt;b&gt;</h2>" in html
    assert not any(word in html for word in ("http://", "https://", "<script", "@import", "url("))


def test_a_transcript_is_readable_without_any_style():
    data = transcript(MESSAGES, captions={"a": "7 tokens"}, title="A talk")
    assert list(data) == ["text/html", "text/markdown", "text/plain"]
    assert data["text/html"].partition("</style>")[2] == (
        '<div class="ck-saved mathjax_ignore tex2jax_ignore"><p><strong>A talk</strong></p><hr>'
        '<p><em>system</em></p><div dir="auto"><p>Be &lt;b&gt;brief&lt;/b&gt;.</p></div><hr>'
        '<p><em>user (not sent)</em></p><div dir="auto"><pre>Where?\n  And `when`?</pre></div><hr>'
        '<p><em>assistant (cancelled)</em></p><div dir="auto"><p>In <em>Brazil</em>, <code>x^2</code> &lt;b&gt;</p>\n'
        "</div><p><small>7 tokens</small></p></div>"
    )
    assert data["text/plain"] == (
        "A talk\nsystem: Be <b>brief</b>.\nuser (not sent): Where?\n  And `when`?\n"
        "assistant (cancelled): In *Brazil*, $x^2$ <b>"
    )
    assert data["text/markdown"] == to_markdown(MESSAGES, captions={"a": "7 tokens"}, title="A talk")


@pytest.fixture(scope="module")
def chat() -> Chat:
    with FaultServer(stream(say("In *Brazil*."), stop(), usage(5, 2), DONE)) as server:
        client = connect.client_for(Endpoint(server.url, "sk-test", "asked", "test"), asynchronous=True)
        chat = Chat("Be brief.", client=client)
        chat.send("Where was the World Cup?")
        chat.rerun(1, "Where will it be?")
    return chat


def test_a_chat_is_exported_by_the_names_ending_with_what_its_answers_took(chat, tmp_path):
    markdown = chat.export(tmp_path / "talk.md").read_text(encoding="utf-8")
    assert markdown.startswith("# Where will it be?\n\n**system**\n")
    assert "> In *Brazil*.\n\n*answered · 5 tokens in, 2 out · cost unknown" in markdown.replace("\\", "")
    assert "## Branch" not in markdown
    html = chat.export(str(tmp_path / "talk.HTML"), branches=True).read_text(encoding="utf-8")
    assert "<h2>Branch main</h2>" in html
    assert html.count("answered · 5 tokens in, 2 out") == 2
    kept = Conversation.load(chat.export(tmp_path / "talk.json"))
    assert [len(branch.messages) for branch in kept.branches] == [3, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.HTML", "talk.json", "talk.md"]


def test_the_repr_of_a_chat_says_what_its_answers_took(chat):
    assert '<footer class="ck-caption">answered · 5 tokens in, 2 out · cost unknown' in chat._repr_html_()


@pytest.mark.parametrize(("name", "words"), [("talk.docx", "ends in '.docx'"), ("talk", "has no ending")])
def test_another_ending_is_refused_with_those_that_there_are(chat, tmp_path, name, words):
    with pytest.raises(InputError, match=f"'{name}' {words}; an export ends in .md, .markdown, .html, .htm, .json."):
        chat.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_each_form_of_file_is_offered_by_its_first_ending_and_written_under_all_of_them(chat):
    assert export.offered() == [
        {"format": "md", "label": "Markdown"},
        {"format": "html", "label": "HTML"},
        {"format": "json", "label": "JSON"},
    ]
    for form in export.FORMATS:
        texts = [chat.exported(f"talk{ending}") for ending in form.endings]
        assert len(set(texts)) == 1 and texts[0]
        assert {export.format_of(f"talk{ending.upper()}") for ending in form.endings} == {form}


def test_a_form_that_is_added_is_offered_in_the_panel_and_written(chat, monkeypatch):
    def shout(messages, **look):
        return " ".join(message.text.upper() for message in messages)

    added = export.ExportFormat("Capitals", "text/plain", (".caps",), shout)
    monkeypatch.setattr(export, "FORMATS", (*export.FORMATS, added))
    monkeypatch.setitem(export._BY_ENDING, ".caps", added)
    panel = ChatPanel(chat)
    assert questions.QUESTIONS["code"](panel, {})["exports"][-1] == {"format": "caps", "label": "Capitals"}
    said = questions.QUESTIONS["export"](panel, {"format": "caps"})
    assert (said["name"], said["mime"]) == ("conversation.caps", "text/plain")
    assert said["text"] == shout(chat.conversation)
    with pytest.raises(InputError, match=r"ends in '.docx'; an export ends in .*\.caps"):
        questions.QUESTIONS["export"](panel, {"format": "docx"})
    panel.close()
