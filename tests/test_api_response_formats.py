"""Forms of an answer: one table says what may be asked for, how it is sent and how a page calls it."""

import pytest

from chatkit.api import response_formats
from chatkit.api.response_formats import FORMATS, ResponseFormat, fault, form_of, on_the_wire, schema_of
from chatkit.chats.chat import Chat
from chatkit.client.model_list import Models
from chatkit.ui.settings_form import controls, set_control

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("value", "sent", "name", "schema"),
    [
        (None, None, "text", None),
        ("text", None, "text", None),
        ({"type": "text"}, None, "text", None),
        ("json", {"type": "json_object"}, "json", None),
        ({"type": "json_object"}, {"type": "json_object"}, "json", None),
        (SCHEMA, {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}, "schema", SCHEMA),
        (
            {"type": "json_schema", "name": "city", "schema": SCHEMA},
            {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}, "schema", SCHEMA,
        ),
        (
            {"type": ["object", "null"]},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": ["object", "null"]}}},
            "schema", {"type": ["object", "null"]},
        ),
    ],
)  # fmt: skip
def test_each_way_to_ask_for_a_form_is_sent_and_called_the_same(value, sent, name, schema):
    assert (on_the_wire(value), form_of(value).name, schema_of(value)) == (sent, name, schema)
    assert value is None or fault(value) is None


@pytest.mark.parametrize("value", ["xml", "schema", "", 5, [], {}, {"type": "json_schema", "json_schema": "x"}])
def test_what_is_no_form_is_refused_in_words_and_shown_as_it_is(value):
    assert fault(value) == "must be 'text', 'json', a JSON schema, or the API's own object"
    assert (form_of(value).name, schema_of(value)) == (str(value)[:40], None)
    chat = Chat(history=False, response_format=value)
    [shown] = [one for one in controls(chat, Models(()), None) if one["name"] == "response_format"]
    assert shown["value"] == str(value)[:40]
    assert (str(value)[:40],) * 2 in shown["options"]
    assert any("response_format" in problem for problem in chat.preview("Where?").problems)


def test_a_form_that_is_added_to_the_table_is_sent_and_offered(monkeypatch):
    added = ResponseFormat("yaml", "YAML", "yaml", must_say="YAML")
    monkeypatch.setattr(response_formats, "FORMATS", (*FORMATS, added))
    monkeypatch.setitem(response_formats._NAMED, "yaml", added)
    monkeypatch.setitem(response_formats._TYPED, "yaml", added)
    chat = Chat(history=False)
    set_control(chat, "response_format", "yaml")
    assert chat.preview("Where?").body["response_format"] == {"type": "yaml"}
    assert "response_format is YAML and no message says the word YAML; OpenAI refuses that." in (
        chat.preview("Where?").problems
    )
    [shown] = [one for one in controls(chat, Models(()), None) if one["name"] == "response_format"]
    assert (shown["value"], shown["options"][-1]) == ("yaml", ("yaml", "YAML"))
    set_control(chat, "response_format", "")
    assert chat.parameters == {}
