"""Conversation: every edit, the API's form, files, and bad input."""

import json

import pytest

from chatkit.conversation.conversation import Conversation, Message, repair
from chatkit.exceptions import InputError


@pytest.fixture
def talk():
    return Conversation([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who won in 2020?"},
        {"role": "assistant", "content": "The Dodgers."},
    ])  # fmt: skip


def roles(talk):
    return [m.role for m in talk]


def test_a_message_is_immutable(talk):
    with pytest.raises(AttributeError):
        talk[0].content = "x"


def test_add_puts_a_message_at_the_end(talk):
    added = talk.add("user", "Where?")
    assert talk[-1] is added
    assert talk.to_api()[-1] == {"role": "user", "content": "Where?"}


def test_insert_puts_a_message_before_one_named_by_index_or_id(talk):
    talk.insert(1, "developer", "a")
    talk.insert(talk[3].id, "user", "b")
    assert roles(talk) == ["system", "developer", "user", "user", "assistant"]


def test_edit_keeps_id_and_place_and_forgets_the_outcome(talk):
    talk.replace_all([*talk.messages[:2], Message("assistant", "The Do", outcome="incomplete")])
    before = talk[2].id
    talk.edit(before, "The Dodgers did.")
    assert (talk[2].id, talk[2].text, talk[2].outcome) == (before, "The Dodgers did.", None)


def test_change_role_remove_and_switch(talk):
    talk.change_role(0, "developer")
    talk.switch(1, False)
    assert [m["role"] for m in talk.to_api()] == ["developer", "assistant"]
    talk.switch(1, True)
    removed = talk.remove(-1)
    assert (removed.text, roles(talk)) == ("The Dodgers.", ["developer", "user"])


def test_switch_all_is_one_change(talk):
    heard = []
    talk.listen(lambda: heard.append(1))
    assert [m.text for m in talk.switch_all([talk[2].id, talk[0].id, "zz"], False)] == ["Be brief.", "The Dodgers."]
    assert ([m.enabled for m in talk], heard) == ([False, True, False], [1])


def test_insert_after_and_move(talk):
    added = talk.insert_after(0, "user", "a")
    talk.insert_after(talk[-1].id, "user", "z")
    assert [m.text for m in talk] == ["Be brief.", "a", "Who won in 2020?", "The Dodgers.", "z"]
    assert talk.move(added.id, before=0) is added
    talk.move(talk[-1].id, before=talk[1].id)
    talk.move(0, before=len(talk))
    assert [m.text for m in talk] == ["z", "Be brief.", "Who won in 2020?", "The Dodgers.", "a"]
    talk.move(1, before=3)
    assert [m.text for m in talk] == ["z", "Who won in 2020?", "Be brief.", "The Dodgers.", "a"]
    talk.move(2, before=2)
    assert talk.index(added.id) == 4
    with pytest.raises(InputError, match="no message 9"):
        talk.move(0, before=9)
    with pytest.raises(InputError, match="no message with the id 'zz'"):
        talk.insert_after("zz", "user", "x")


def test_every_message_is_editable_whatever_its_role(talk):
    talk.add("tool", "4", extra={"tool_call_id": "c1"})
    talk.add("developer", "d")
    for number in range(5):
        talk.edit(number, f"new {number}")
    assert [m.text for m in talk] == [f"new {number}" for number in range(5)]
    assert talk[3].extra == {"tool_call_id": "c1"}


def test_listeners_hear_each_change_until_they_stop(talk):
    heard = []
    stop = talk.listen(lambda: heard.append(len(talk)))
    talk.add("user", "a")
    talk.remove(0)
    stop()
    stop()
    talk.add("user", "b")
    assert heard == [4, 3]


def test_a_file_gives_back_the_same_conversation(talk, tmp_path):
    talk.switch(1, False)
    talk.replace_all([*talk.messages, Message("assistant", "half", outcome="cancelled", note="n")])
    path = talk.save(tmp_path / "talk.json")
    loaded = Conversation.load(path)
    assert loaded.messages == talk.messages
    assert [m.id for m in loaded] == [m.id for m in talk]
    assert [p.name for p in tmp_path.iterdir()] == ["talk.json"]


def test_a_list_in_the_apis_form_is_read_too():
    talk = Conversation.from_json('[{"role": "user", "content": "Hi"}]')
    assert talk.to_api() == [{"role": "user", "content": "Hi"}]


def test_the_apis_other_fields_go_in_and_out():
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]}
    answer = {"role": "tool", "content": "4", "tool_call_id": "c1"}
    assert Conversation([calls, answer]).to_api() == [calls, answer]


def test_parts_are_kept_and_their_text_read():
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    talk = Conversation([{"role": "user", "content": parts}])
    assert talk[0].text == "What is this?"
    assert json.loads(json.dumps(talk.to_api()))[0]["content"] == parts


@pytest.mark.parametrize("content", [None, b"bytes", {"a"}, {"a": 1}, [], ["text"], 7])
def test_content_of_another_type_is_refused_with_its_index(content):
    with pytest.raises(InputError, match=r"messages\[1\]: content is "):
        Conversation([{"role": "user", "content": "ok"}, {"role": "user", "content": content}])


@pytest.mark.parametrize("message", [None, "text", ["user", "hi"]])
def test_a_message_that_is_no_dict_is_refused_with_its_index(message):
    with pytest.raises(InputError, match=r"messages\[0\] is .*; it must be a dict"):
        Conversation([message])


def test_an_unknown_role_is_refused_and_the_known_ones_named():
    with pytest.raises(InputError, match=r"role is 'bot'; it must be one of system, developer, user, assistant, tool"):
        Message("bot", "x")


def test_what_cannot_be_sent_is_replaced_with_a_note():
    message = Message("user", "a\ud800b\0c")
    assert (message.text, message.note) == (
        "a\ufffdb\ufffdc",
        "2 characters that cannot be sent were replaced by \ufffd.",
    )
    message.text.encode()
    assert repair("fine 😀") == ("fine 😀", None)


@pytest.mark.parametrize(
    "text", ["", "{", '{"format": "other"}', "3", '{"format": "chatkit.conversation.conversation/1", "messages": 3}']
)
def test_what_is_no_conversation_is_refused(text):
    with pytest.raises(InputError):
        Conversation.from_json(text)


def test_a_message_that_is_not_there_is_named(talk):
    with pytest.raises(InputError, match="no message 9; the conversation has 3"):
        talk.edit(9, "x")
    with pytest.raises(InputError, match="no message with the id 'zz'"):
        talk.edit("zz", "x")


CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}


def test_the_apis_other_fields_of_a_message_are_given_by_their_names():
    talk = Conversation()
    talk.add("user", "What is the weather in Paris?", name="ada")
    talk.add("assistant", None, tool_calls=[CALL])
    talk.insert_after(1, "tool", "18 °C", tool_call_id="call_1")
    talk.insert(0, "assistant", None, refusal="No.", extra={"own": 1}, enabled=False)
    assert talk.to_api() == [
        {"role": "user", "content": "What is the weather in Paris?", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "18 °C", "tool_call_id": "call_1"},
    ]
    assert talk[0].to_api() == {"role": "assistant", "content": None, "own": 1, "refusal": "No."}


def test_a_field_that_no_message_has_is_refused_by_its_name_with_the_way_out():
    talk = Conversation()
    with pytest.raises(InputError, match=r"A message has no enbaled; .*extra=\{'enbaled': …\}"):
        talk.add("user", "Hello", enbaled=False)
    with pytest.raises(InputError, match="content is NoneType"):
        talk.add("user", None)
    assert len(talk) == 0
