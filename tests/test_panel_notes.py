"""What came beside an answer's words is in sight: notes of a turn, and answers without words."""

from collections.abc import Iterator
from typing import Any

import pytest
from test_chat_panel import ScriptedChat, View, Wire, ask

from chatkit.api.answer import SPOKEN, UNHEARD, Answer
from chatkit.endpoint.asking import BILLED_TWICE
from chatkit.endpoint.reply import Reply
from chatkit.exceptions import EndpointError
from chatkit.ui.chat_panel import ChatPanel

PICTURE = "1 picture came with the answer; chatkit does not show it"
CALL = {"id": "1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(ChatPanel, "send", lambda _, content, buffers=None: wire.send(content))
    return wire


@pytest.fixture
def panel(wire: Wire) -> Iterator[ChatPanel]:
    panel = ChatPanel(ScriptedChat())
    yield panel
    panel.close()


@pytest.fixture
def view(panel: ChatPanel, wire: Wire) -> View:
    view = View(panel)
    wire.views.append(view)
    view.hello()
    return view


def answered(panel: ChatPanel, view: View, wire: Wire, reply: Reply) -> dict[str, Any]:
    ask(panel, "Where?")
    panel.chat.say(reply)
    wire.until(lambda: len(view.entries) == 2 and view.status.get("phase") == "idle")
    return view.entries[1]


def test_the_notes_of_a_turn_stand_below_its_answer(panel: ChatPanel, view: View, wire: Wire):
    reply = Reply((Answer(text="Brazil.", finish_reason="stop"),), "complete", notes=(BILLED_TWICE, "Two turns are out."))
    entry = answered(panel, view, wire, reply)
    assert entry["notes"] == (
        "An attempt that brought no answer was made again; it may be billed twice. Two turns are out."
    )


def test_an_answer_that_is_as_it_should_be_has_no_notes(panel: ChatPanel, view: View, wire: Wire):
    entry = answered(panel, view, wire, Reply((Answer(text="Brazil.", finish_reason="stop"),), "complete"))
    assert "notes" not in entry


def test_a_note_that_stands_in_the_heading_is_not_said_twice(panel: ChatPanel, view: View, wire: Wire):
    reply = Reply((Answer(text="Brazil.", note=SPOKEN),), "complete", notes=("ended without reason", SPOKEN))
    entry = answered(panel, view, wire, reply)
    assert (entry["state"], entry["notes"]) == (SPOKEN, "Ended without reason.")


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
    assert note in entry["state"]


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
