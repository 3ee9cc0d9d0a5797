"""What came beside an answer's words is in sight: notes of a turn, and answers without words."""

from typing import Any

import pytest
from panel_wire import View, Wire, ask

from chatkit.api.answer import SPOKEN, UNHEARD, Answer
from chatkit.chats.chat import Chat
from chatkit.client import local_process
from chatkit.client.attempts import BILLED_TWICE
from chatkit.client.model_list import Models
from chatkit.client.reply import Reply
from chatkit.exceptions import EndpointError
from chatkit.ui.chat_panel import ChatPanel
from chatkit.ui.settings_form import controls
from chatkit.ui.view_model import Stage, outlook

PICTURE = "1 picture came with the answer; chatkit does not show it"
CALL = {"id": "1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}


def answered(panel: ChatPanel, view: View, wire: Wire, reply: Reply) -> dict[str, Any]:
    ask(panel, "Where?")
    panel.chat.say(reply)
    wire.until(lambda: len(view.entries) == 2 and view.status.get("phase") == "idle")
    return view.entries[1]


def test_the_notes_of_a_turn_stand_below_its_answer(panel: ChatPanel, view: View, wire: Wire):
    reply = Reply(
        (Answer(text="Brazil.", finish_reason="stop"),), "complete", notes=(BILLED_TWICE, "Two turns are out.")
    )
    entry = answered(panel, view, wire, reply)
    assert entry["notes"] == (
        "An attempt that brought no answer was made again; it may be billed twice. Two turns are out."
    )


def test_an_answer_that_is_as_it_should_be_has_no_notes(panel: ChatPanel, view: View, wire: Wire):
    entry = answered(panel, view, wire, Reply((Answer(text="Brazil.", finish_reason="stop"),), "complete"))
    assert "notes" not in entry


def test_a_note_of_the_message_and_of_the_turn_is_said_once(panel: ChatPanel, view: View, wire: Wire):
    reply = Reply((Answer(text="Brazil.", note=SPOKEN),), "complete", notes=("ended without reason", SPOKEN))
    entry = answered(panel, view, wire, reply)
    assert (entry["state"], entry["notes"]) == ("", "The answer was spoken; these are its words. Ended without reason.")


def test_what_was_mended_in_a_message_that_was_typed_is_a_note_too(panel: ChatPanel, view: View, wire: Wire):
    panel.chat.conversation.add("user", "half \ud83d of a sign")
    wire.until(lambda: view.entries)
    assert view.entries[0]["notes"] == panel.chat.conversation[0].note


def test_the_notes_of_a_turn_that_brought_nothing_are_in_its_error(panel: ChatPanel, view: View, wire: Wire):
    ask(panel, "Where?")
    error = EndpointError("The endpoint is gone.", kind="server")
    panel.chat.say(Reply((), "error", error=error, notes=(BILLED_TWICE,)))
    wire.until(lambda: view.status.get("error"))
    assert view.status["error"]["text"] == (
        "The endpoint is gone. An attempt that brought no answer was made again; it may be billed twice."
    )


@pytest.mark.parametrize("note", [PICTURE, UNHEARD])
@pytest.mark.parametrize("outcome", ["complete", "cancelled", "incomplete"])
def test_an_answer_of_pictures_or_sound_alone_is_kept_and_named(panel, view, wire, note: str, outcome: Any):
    entry = answered(panel, view, wire, Reply((Answer(note=note),), outcome))
    assert entry["notes"].startswith(note[0].upper() + note[1:])


def test_of_several_answers_each_shows_what_it_holds(panel: ChatPanel, view: View, wire: Wire):
    answers = (Answer(0, "Brazil.", finish_reason="stop"), Answer(1, tool_calls=(CALL,)), Answer(2, note=PICTURE))
    entry = answered(panel, view, wire, Reply(answers, "complete"))
    assert entry["choices"] == [
        [0, "<p>Brazil.</p>\n", ""],
        [1, '<pre class="ck-plain">calls lookup({})</pre>', ""],
        [2, '<pre class="ck-plain"></pre>', PICTURE],
    ]


def test_the_answer_that_is_chosen_is_the_one_that_is_kept_where_another_was_empty(panel, view, wire):
    answers = (Answer(0), Answer(1, "Brazil."), Answer(2, "Germany."))
    entry = answered(panel, view, wire, Reply(answers, "complete"))
    number = next(number for number, html, _ in entry["choices"] if "Germany" in html)
    panel.simulate({"type": "keep", "id": "k", "question": "k", "message": entry["id"], "index": number})
    assert panel.chat.conversation[-1].text == "Germany."


def test_one_answer_with_words_is_no_choice(panel, view, wire):
    entry = answered(panel, view, wire, Reply((Answer(0), Answer(1, "Brazil.")), "complete"))
    assert "choices" not in entry


def test_what_code_keeps_is_no_longer_asked_for(panel: ChatPanel, view: View, wire: Wire):
    answered(panel, view, wire, Reply((Answer(0, "Brazil."), Answer(1, "Germany.")), "complete"))
    assert len(panel.chat.choices) == 2
    panel.chat.keep(1)
    wire.until(lambda: "Germany" in view.entries[1]["html"] and "choices" not in view.entries[1])
    assert panel.chat.choices == ()


def test_keeping_the_one_that_is_shown_already_is_a_choice_too(panel: ChatPanel, view: View, wire: Wire):
    answered(panel, view, wire, Reply((Answer(0, "Brazil."), Answer(1, "Germany.")), "complete"))
    panel.chat.keep(0)
    wire.until(lambda: "choices" not in view.entries[1])


def test_what_no_control_shows_is_named_in_the_settings(panel: ChatPanel, view: View, wire: Wire):
    panel.chat.parameters |= {"temperature": 0.2, "max_tokens": 5, "tools": [{"type": "function"}], "user": "me"}
    panel.touch()
    wire.until(lambda: any(control["name"] == "also" for control in view.status.get("controls", ())))
    also = next(control for control in view.status["controls"] if control["name"] == "also")
    assert also["value"] == 'tools = [{"type": "function"}]; user = "me"'


@pytest.mark.parametrize("plain", [{}, {"temperature": 1}, {"reasoning": {"effort": "low"}}, {"max_output_tokens": 5}])
def test_what_the_controls_show_is_not_named_again(panel: ChatPanel, plain: dict[str, Any]):
    panel.chat.parameters |= plain
    assert [c["name"] for c in controls(panel.chat, Models(()), None) if c["name"] == "also"] == []


def test_an_empty_talk_has_no_outlook_and_nothing_to_be_warned_of():
    chat = Chat("Be brief.", history=False)
    assert outlook(chat, chat.preview()) is None
    assert outlook(chat, chat.preview("Hi"))["warn"] is False


def test_what_is_wrong_with_the_settings_of_an_empty_talk_is_said():
    chat = Chat("Be brief.", history=False, response_format={"type": "json_object"})
    found = outlook(chat, chat.preview())
    assert found["warn"] and "no message to answer" not in found["caption"]
    assert found["caption"].endswith(
        "· response_format is JSON and no message says the word JSON; OpenAI refuses that."
    )


def test_an_empty_panel_says_who_will_answer_and_nothing_of_a_hosted_model():
    chat = Chat("Be brief.", history=False)
    for _ in range(2):
        status = Stage(chat).scene(None, None, None).status
        assert status["endpoint"] == "A model on this machine will answer: no key, no network, no cost."
        assert status["outlook"] is None
        shown = {control["name"]: control for control in status["controls"]}
        assert (shown["model"]["hint"], shown["max_completion_tokens"]["hint"], shown["temperature"]["hint"]) == (
            "the local model", "512", "0.1",
        )  # fmt: skip
        assert outlook(chat, chat.preview("Hi"))["caption"].endswith("(at most 512) · cost 0 (local)")
        chat.conversation.add("user", "Hi")
        chat.undo()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"OPENAI_API_KEY": "sk-test"}, "gpt-6-luna answers at api.openai.com (key from OPENAI_API_KEY)."),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "gpt-6-luna answers at 127.0.0.1:9 (OPENAI_BASE_URL)."),
        ({"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "no address"}, ""),  # every call would be refused
    ],
)
def test_an_empty_panel_says_who_will_answer_by_the_environment(monkeypatch: pytest.MonkeyPatch, named, said: str):
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert Stage(Chat(history=False)).scene(None, None, None).status["endpoint"] == said


def test_an_empty_panel_promises_no_model_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_process, "has_engines", lambda: False)
    said = Stage(Chat(history=False)).scene(None, None, None).status["endpoint"]
    assert said == "There is no API key, and the engines of the local models are not installed."
