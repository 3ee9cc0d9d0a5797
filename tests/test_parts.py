"""One walk over a message: each part has its words, and every form that shows a message has them all."""

import json
from html import escape

import pytest
from IPython.lib.pretty import pretty

from chatkit.chats.chat import Chat
from chatkit.client.code import conversation_code
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.message import ROLES, Heading, Message, heading, parts, said
from chatkit.render.export import to_markdown, transcript
from chatkit.render.html import conversation_html, page
from chatkit.ui.view_model import Stage

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "<Paris>"}'}}
TALK = [
    Message("system", "Be brief."),
    Message("user", [{"type": "text", "text": "Where is *this*?"}, PICTURE], extra={"name": "ada"}),
    Message("assistant", None, extra={"tool_calls": [CALL], "reasoning_content": "A <map> first."}),
    Message("tool", '{"temp_c": 18}', extra={"tool_call_id": "call_1"}),
    Message("assistant", "In *Paris*.", id="a", extra={"annotations": [{"type": "url_citation"}]}),
    Message("assistant", None, extra={"refusal": "I <cannot>."}, enabled=False),
    Message("user", [{"type": "hologram", "text": "a <cube>"}]),
]
WORDS = [
    "Where is *this*?",
    "[picture: image/png, 8 bytes]",
    "reasoning: A <map> first.",
    'calls get_weather({"city": "<Paris>"})',
    '{"temp_c": 18}',
    "[field annotations]",
    "I <cannot>.",
    "[part of the type hologram] a <cube>",
]
HEADS = ["ada", "result of call_1", "refusal · not sent"]


def of(*content: dict) -> list[tuple[str, str]]:
    return [(part.kind, part.words) for part in parts(Message("user", list(content)))]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"type": "input_text", "text": "hi"}, ("text", "hi")),
        ({"text": "no type"}, ("text", "no type")),
        ({"type": "text", "text": 7}, ("text", "7")),
        ({"type": "refusal", "refusal": "No."}, ("refusal", "No.")),
        ({"type": "thinking", "thinking": "hm"}, ("reasoning", "reasoning: hm")),
        ({"type": "image_url", "image_url": "https://a.example/b.png"}, ("attached", "[picture: https://a.example/b.png]")),
        ({"type": "input_image", "file_id": "file-7"}, ("attached", "[picture: file-7]")),
        ({"type": "input_image", "image_url": "data:image/gif;base64,R0lG"}, ("attached", "[picture: image/gif, 3 bytes]")),
        ({"type": "image_url"}, ("attached", "[picture]")),
        ({"type": "image_url", "image_url": 5}, ("attached", "[picture]")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ("attached", "[picture: image/png, 3 bytes]"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ("attached", "[audio: wav, 3 bytes]"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            ("attached", "[file: a.pdf, application/pdf, 3 bytes]"),
        ),
        ({"type": "video_url", "video_url": {"url": "https://a.example/v"}}, ("attached", "[video: https://a.example/v]")),
        ({"type": "hologram"}, ("unknown", "[part of the type hologram]")),
        ({"type": ["odd"]}, ("unknown", '[part of the type ["odd"]]')),
        ({"x": 1}, ("unknown", "[part without a type]")),
    ],
)  # fmt: skip
def test_each_part_is_named_by_what_it_is(part, wanted):
    assert of(part) == [wanted]


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ({"tool_calls": [CALL]}, ['calls get_weather({"city": "<Paris>"})']),
        ({"tool_calls": [CALL, {**CALL, "id": "call_2"}]}, [f'calls get_weather({{"city": "<Paris>"}}) · call_{n}' for n in (1, 2)]),
        ({"tool_calls": [{"type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}]}, ["calls sql(SELECT 1)"]),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, ['calls f({"a": 1})']),
        ({"tool_calls": [{"name": "f", "arguments": "{}"}]}, ["calls f({})"]),
        ({"tool_calls": [{}]}, ["calls a tool()"]),
        ({"tool_calls": ["odd"]}, ["calls odd()"]),
        ({"tool_calls": {"odd": 1}}, ["[field tool_calls]"]),
        ({"tool_calls": []}, []),
        ({"function_call": {"name": "f", "arguments": "{}"}}, ["calls f({})"]),
        ({"function_call": "auto"}, ["[field function_call]"]),
        ({"audio": {"id": "audio_1", "data": "AAAA", "transcript": "Hello."}}, ["[audio: 3 bytes]", "Hello."]),
        ({"reasoning": "hm", "reasoning_content": "hm"}, ["reasoning: hm"]),
        ({"reasoning": "ha", "reasoning_content": "hm"}, ["reasoning: hm", "reasoning: ha"]),
        ({"annotations": [], "audio": None, "refusal": None}, []),
        ({"vendor": {"x": 1}}, ["[field vendor]"]),
    ],
)  # fmt: skip
def test_each_field_of_an_answer_has_its_words(extra, wanted):
    assert [part.words for part in parts(Message("assistant", "", extra=extra))] == wanted


def test_a_heading_says_whose_it_is_and_what_became_of_it():
    assert [heading(message) for message in TALK[1:4]] == [
        Heading("user", "ada"),
        Heading("assistant"),
        Heading("tool", "result of call_1"),
    ]
    odd = Message("assistant", "a\0", outcome="length", enabled=False, extra={"tool_call_id": ["x"]})
    assert heading(odd).aside == (
        'result of ["x"] · not sent · length · 1 character that cannot be sent was replaced by \ufffd.'
    )


def panel_html() -> str:
    entries = Stage(Chat(conversation=TALK)).scene(None, None, None).entries
    return "".join(
        f"<header>{escape(entry.get('of', ''))} {entry['state']}</header>{entry['html']}" for entry in entries
    )


HTML = {
    "repr": lambda: conversation_html(TALK),
    "page": lambda: page(TALK),
    "saved transcript": lambda: transcript(TALK)["text/html"],
    "panel": panel_html,
}
TEXT = {
    "markdown": lambda: to_markdown(TALK),
    "plain text": lambda: transcript(TALK)["text/plain"],
    "console": lambda: pretty(Chat(conversation=TALK)),
}


@pytest.mark.parametrize("form", HTML)
def test_every_html_has_all_parts_and_escapes_them(form):
    html = HTML[form]()
    for words in WORDS:
        assert escape(words) in html, words
    assert not any(raw in html for raw in ("<Paris>", "<map>", "<cannot>", "<cube>"))
    assert "In <em>Paris</em>." in html
    assert all(head.partition(" · ")[0] in html for head in HEADS)


@pytest.mark.parametrize("form", TEXT)
def test_every_text_has_all_parts(form):
    text = TEXT[form]()
    for words in [*WORDS, "In *Paris*."]:
        assert words in text, words
    assert all(head in text.replace("\\", "") for head in HEADS)


def test_code_and_diff_have_all_parts():
    code = conversation_code(TALK)
    made: dict = {}
    exec(code, made)
    assert [m.to_api() for m in made["chat"].conversation] == [m.to_api() for m in TALK]
    changed = json.loads(json.dumps(CALL).replace("<Paris>", "<Rome>"))
    left, right = (Conversation([Message("assistant", None, extra={"tool_calls": [call]})]) for call in (CALL, changed))
    assert "[-Paris-]{+Rome+}" in repr(left.diff(left, right))


def test_every_role_has_a_class_of_its_own_that_nothing_else_has():
    html = conversation_html([Message(role, "x") for role in ROLES])
    for role in ROLES:
        assert f'class="ck-message ck-role-{role}"' in html


def test_a_message_of_text_alone_says_its_text():
    assert said(Message("user", "a\nb")) == "a\nb"
    assert said(Message("assistant", "")) == ""
