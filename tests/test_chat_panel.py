"""The chat panel without a browser: what it sends, and what it does with what views send."""

import gc
import threading
import time
import weakref
from decimal import Decimal
from typing import Any

import comm
import pytest
from panel_wire import PATIENCE, ScriptedChat, View, Wire, ask, complete

from chatkit.client.address import Endpoint
from chatkit.client.reply import Answer, Delta, Reply, Wait
from chatkit.exceptions import BudgetError, EndpointError, InputError
from chatkit.ui import widget
from chatkit.ui.chat_panel import FALLBACK, ChatPanel
from chatkit.ui.feed import RETELLS, Feed, Flusher, Live, Scene, digest


def test_patches_are_numbered_without_a_gap_and_add_up_to_the_answer(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    ask(panel, "Where?")
    chat.say(*(Delta(word) for word in ("In ", "**Bra", "zil**", ".\n\n", "😀 - ", "yes")))
    wire.until(lambda: view.live and "yes" in view.live[-1])
    chat.say(complete("In **Brazil**.\n\n😀 - yes"))
    wire.until(lambda: view.ends)
    numbers = [message["seq"] for message in wire.kinds("patch")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert view.gaps == 0
    assert [e["html"] for e in view.entries] == [
        '<pre class="ck-plain">Where?</pre>',
        "<p>In <strong>Brazil</strong>.</p>\n<p>😀 - yes</p>\n",
    ]
    assert view.status["phase"] == "idle"


def test_only_the_new_end_of_a_growing_block_is_sent(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Count")
    chat.say(Delta("one"))
    wire.until(lambda: view.live == ["<p>one</p>\n"])
    chat.say(Delta(" two"))
    wire.until(lambda: view.live == ["<p>one two</p>\n"])
    assert wire.kinds("patch")[-1]["live"]["blocks"] == [[0, 0, 6, " two</p>\n"]]


def test_a_view_that_missed_a_patch_gets_a_snapshot_when_it_asks(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    ask(panel, "Count")
    wire.drop = lambda message: message["type"] == "patch" and "<p>one" in str(message)
    chat.say(Delta("one "))
    wire.until(lambda: "<p>one" in str(wire.kinds("patch")[-1]))
    chat.say(Delta("two"))
    wire.until(lambda: view.gaps)
    view.hello()
    assert view.live == ["<p>one two</p>\n"]
    chat.say(complete("one two"))
    wire.until(lambda: view.ends)
    assert view.entries[-1]["html"] == "<p>one two</p>\n"


def test_the_end_is_told_again_until_the_view_has_seen_it(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Count")
    wire.drop = lambda message: message["type"] == "patch" and "end" in message
    chat.say(Delta("one"), complete("one"))
    wire.until(lambda: len(wire.kinds("tail")) >= 2)
    assert view.seq < wire.kinds("tail")[-1]["seq"]
    wire.drop = lambda _: False
    view.hello()
    assert view.seq == wire.kinds("tail")[-1]["seq"]
    assert view.entries[-1]["html"] == "<p>one</p>\n"
    wire.until(lambda: panel._feed._seen["view"] == view.seq)
    assert panel._feed.retell(time.monotonic() + 60) == (None, None)


def test_a_silent_view_is_given_up_after_a_while():
    feed = Feed()
    feed.advance(Scene(status={"phase": "idle"}))
    feed.snapshot("silent")
    now, told = 0.0, []
    while (answer := feed.retell(now))[1] is not None:
        told += [answer[0]] if answer[0] else []
        now += answer[1]
    assert told == [{"type": "tail", "seq": 1}] * RETELLS
    assert now == 0.25 + sum(0.25 * 2**n for n in range(1, RETELLS + 1))


def test_a_request_that_comes_twice_is_done_once(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Where?", "same")
    first = chat.run
    ask(panel, "Where?", "same")
    assert chat.run is first
    assert wire.kinds("seen") == [{"type": "seen", "id": "same"}]
    assert view.status["error"] is None
    chat.say(complete("Here."))
    wire.until(lambda: view.ends)
    assert len(chat.conversation) == 2


def test_a_late_stop_leaves_the_next_run_alone(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "first", "r1")
    old = chat.run
    chat.say(complete("one"))
    wire.until(lambda: view.ends)
    ask(panel, "second", "r2")
    panel.simulate({"type": "stop", "id": "s1", "run": old.id, "ask": "r1"})
    chat.say(complete("two"))
    wire.until(lambda: len(view.ends) == 2)
    assert [m.outcome for m in chat.conversation if m.role == "assistant"] == ["complete", "complete"]


def test_a_stop_that_overtakes_its_question_stops_it(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    panel.simulate({"type": "stop", "id": "s1", "run": "", "ask": "r1"})
    ask(panel, "first", "r1")
    wire.until(lambda: view.ends)
    assert chat.run.reply.outcome == "cancelled"
    assert len(chat.conversation) == 0
    assert view.status["draft"]["text"] == "first"
    assert view.status["error"] == {
        "text": "Stopped before anything came.",
        "acts": [["retry", "Retry"]],
        "kind": "stopped",
    }


def test_stop_keeps_what_has_come_and_marks_it(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Count")
    chat.say(Delta("one "))
    wire.until(lambda: view.live == ["<p>one</p>\n"])
    panel.simulate({"type": "stop", "id": "s1", "run": chat.run.id})
    wire.until(lambda: view.ends)
    assert (view.entries[-1]["html"], view.entries[-1]["state"]) == ("<p>one</p>\n", "stopped")
    assert view.status["error"] is None


def test_an_error_is_a_sentence_and_the_question_goes_back_into_the_box(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    ask(panel, "Where?")
    chat.say(Reply((), "error", error=EndpointError("The endpoint is down.", "Try later.", kind="server")))
    wire.until(lambda: view.ends)
    assert view.status["error"] == {
        "text": "The endpoint is down. Try later.",
        "acts": [["retry", "Retry"]],
        "kind": "server",
    }
    assert view.status["draft"]["text"] == "Where?"
    assert view.entries == []
    panel.simulate({"type": "retry", "id": "r2", "view": "view"})
    chat.say(complete("Here."))
    wire.until(lambda: len(view.ends) == 2)
    assert [m.text for m in chat.conversation] == ["Where?", "Here."]
    assert (view.status["error"], view.status["draft"]) == (None, None)


def test_a_spent_budget_is_a_notice_of_its_own_kind(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Where?")
    chat.say(Reply((), "error", error=BudgetError("The budget is spent.", "Raise it.")))
    wire.until(lambda: view.ends)
    assert view.status["error"] == {
        "text": "The budget is spent. Raise it.",
        "acts": [["retry", "Retry"]],
        "kind": "budget",
    }
    assert view.status["draft"]["text"] == "Where?"


def test_a_wait_is_said(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "Where?")
    chat.say(Wait(1.0, 2, 3, "The endpoint asks for patience."))
    wire.until(lambda: view.status.get("notice"))
    assert view.status["notice"] == "The endpoint asks for patience. Waiting 1 s, try 2 of 3."
    chat.say(Delta("Here"))
    wire.until(lambda: view.live)
    assert view.status["notice"] == ""


def test_an_empty_question_is_refused_in_words(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    ask(panel, "  ")
    wire.until(lambda: view.status["error"])
    assert view.status["error"] == {"text": "The message is empty. Write something first.", "acts": []}
    assert chat.run is None


def test_a_parameter_that_cannot_be_is_refused_and_the_text_stays(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    panel.simulate({"type": "set", "id": "p", "question": "p", "field": "temperature", "value": "9"})
    wire.until(lambda: wire.kinds("answer"))
    assert "temperature is 9.0" in wire.kinds("answer")[-1]["error"]
    assert chat.parameters == {}
    chat.parameters["temperature"] = 9
    ask(panel, "Where?")
    wire.until(lambda: view.status["error"])
    assert "temperature is 9" in view.status["error"]["text"]
    assert view.status["draft"]["text"] == "Where?"


def test_settings_set_and_unset_what_the_chat_sends(panel: ChatPanel, chat: ScriptedChat):
    for field, value in (("model", "other"), ("temperature", "0,5"), ("system", "Be brief.")):
        panel.simulate({"type": "set", "id": field, "field": field, "value": value})
    assert (chat.model, chat.parameters, chat.system) == ("other", {"temperature": 0.5}, "Be brief.")
    for field in ("model", "temperature", "system"):
        panel.simulate({"type": "set", "id": f"{field}-2", "field": field, "value": ""})
    assert (chat.model, chat.parameters, chat.system) == (None, {}, None)


def test_what_code_does_to_the_conversation_is_shown(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    chat.conversation.add("user", "Hello")
    answer = chat.conversation.add("assistant", "Hi")
    wire.until(lambda: len(view.entries) == 2)
    chat.conversation.edit(answer.id, "Hi *there*")
    wire.until(lambda: "there" in view.entries[1]["html"])
    chat.conversation.switch(answer.id, False)
    wire.until(lambda: view.entries[1]["off"])
    assert view.entries[1] == {
        "id": answer.id,
        "role": "assistant",
        "html": "<p>Hi <em>there</em></p>\n",
        "state": "not sent: switched off",
        "off": True,
        "caption": "",
        "answered": False,
    }


def test_an_answer_without_text_shows_its_tool_calls_or_refusal(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    call = {"id": "1", "type": "function", "function": {"name": "lookup", "arguments": '{"city": "<b>"'}}
    chat.conversation.add("assistant", "", extra={"tool_calls": [call]})
    chat.conversation.add("assistant", "", extra={"refusal": "No."}, outcome="filtered", enabled=False)
    wire.until(lambda: len(view.entries) == 2)
    assert [(e["html"], e["state"]) for e in view.entries] == [
        ('<pre class="ck-plain">calls lookup({&quot;city&quot;: &quot;&lt;b&gt;&quot;)</pre>', ""),
        ('<pre class="ck-plain">No.</pre>', "stopped by the content filter · not sent: switched off"),
    ]


def test_a_run_that_code_starts_is_shown_and_survives_the_panel(chat: ScriptedChat, wire: Wire):
    run = chat.stream("from code")
    panel = ChatPanel(chat)
    view = View(panel)
    wire.views.append(view)
    view.hello()
    chat.say(Delta("so far"))
    wire.until(lambda: view.live == ["<p>so far</p>\n"])
    panel.close()
    chat.say(complete("so far"))
    assert run.wait(PATIENCE).outcome == "complete"


def test_closing_a_panel_stops_the_run_that_it_started(panel: ChatPanel, chat: ScriptedChat, view: View):
    ask(panel, "Where?")
    run = chat.run
    panel.close()
    assert run.wait(PATIENCE).outcome == "cancelled"


def test_no_text_of_the_talk_and_no_key_is_in_a_trait(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    chat.system = "system xyzzy"
    ask(panel, "question xyzzy")
    chat.say(Delta("answer xyzzy"), complete("answer xyzzy"))
    wire.until(lambda: view.ends)
    state = panel.get_state()
    assert "xyzzy" not in str(state)
    assert set(state) - {"_esm", "_css"} == {
        "_anywidget_id",
        "_dom_classes",
        "_model_module",
        "_model_module_version",
        "_model_name",
        "_view_count",
        "_view_module",
        "_view_module_version",
        "_view_name",
        "layout",
        "name",
        "tabbable",
        "tooltip",
    }


def test_reprs_are_stable_and_the_plain_text_is_one_line(panel: ChatPanel, chat: ScriptedChat):
    assert repr(panel) == "ChatPanel(0 messages)"
    chat.conversation.add("user", "Hello")
    assert repr(panel) == "ChatPanel(1 message)"
    data = panel._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["text/plain"] == FALLBACK == "ChatPanel: run this cell to talk to the model here."


def test_a_chat_and_its_arguments_at_once_are_refused(chat: ScriptedChat):
    with pytest.raises(InputError, match=r"ChatPanel got a chat and also model\. Set them on the chat instead\."):
        ChatPanel(chat, model="x")


def test_a_cell_that_runs_again_closes_the_panels_of_its_earlier_run(monkeypatch: pytest.MonkeyPatch, wire: Wire):
    run = {"of": "1"}
    monkeypatch.setattr(widget, "_running", lambda: ("cell-a", run["of"]))
    first, second = ChatPanel(), ChatPanel()
    assert (first._closed, second._closed) == (False, False)
    run["of"] = "2"
    third = ChatPanel()
    assert (first._closed, second._closed, third._closed) == (True, True, False)
    third.close()


def test_panels_that_were_closed_leave_nothing_behind(chat: ScriptedChat, wire: Wire):
    from ipywidgets.widgets.widget import _instances

    ChatPanel(chat).close()
    before = (len(_instances), threading.active_count(), len(widget._receivers))
    listening = list(chat.conversation._listeners)
    gone = []
    for _ in range(100):
        panel = ChatPanel(chat)
        panel._touch()
        panel.close()
        gone.append(weakref.ref(panel))
    del panel
    assert (len(_instances), threading.active_count(), len(widget._receivers)) == before
    assert (chat._listeners, chat.conversation._listeners) == ([], listening)
    gc.collect()
    assert sum(ref() is not None for ref in gone) <= 1  # the flusher's thread may still hold the last one


class Way:
    """The kernel's end of a comm that a page has opened, which the kernel never sends on."""

    def __init__(self, comm_id: str) -> None:
        self.comm_id, self._closed, self.leave = comm_id, False, None

    def on_close(self, told: object) -> None:
        self.leave = told

    def send(self, *_: object) -> None:
        raise AssertionError("a comm that is sent on loses its subshell")


def opened_way(name: str, comm_id: str = "way") -> Any:
    way: Any = Way(comm_id)
    comm.get_comm_manager().comms[comm_id] = way
    widget._opened(way, {"content": {"data": {"panel": name}}})
    return way


def set_model(way: Any, name: str, model: str) -> None:
    content = {"type": "set", "id": f"set-{model}", "field": "model", "value": model}
    way.handle_msg({"content": {"data": {"panel": name, "content": content}}})


def test_the_control_comm_reaches_its_panel_without_iPythons_hooks_and_is_never_sent_on(
    panel: ChatPanel, chat: ScriptedChat
):
    way = opened_way(panel.name)
    set_model(way, panel.name, "by-control")
    assert chat.model == "by-control"


def test_a_ninth_way_to_a_panel_takes_the_place_of_the_oldest(panel: ChatPanel, chat: ScriptedChat):
    kept = comm.get_comm_manager().comms
    ways = [opened_way(panel.name, f"way-{n}") for n in range(8)]
    assert {way.comm_id for way in ways} <= kept.keys()
    ways += [opened_way(panel.name, f"way-{n}") for n in (8, 9)]
    for gone in ([way.comm_id for way in ways if way.comm_id not in kept], [w.comm_id for w in ways if w._closed]):
        assert gone == ["way-0", "way-1"]
    for way in (ways[2], ways[9]):
        set_model(way, panel.name, way.comm_id)
        assert chat.model == way.comm_id
    panel.close()
    assert not {way.comm_id for way in ways} & kept.keys()


def test_a_page_that_says_goodbye_makes_room_for_another(panel: ChatPanel):
    ways = [opened_way(panel.name, f"way-{n}") for n in range(8)]
    ways[3].leave(None)
    ways.append(opened_way(panel.name, "way-8"))
    assert [way.comm_id for way in ways if way._closed] == []


def test_many_panels_share_the_flushes_of_a_second_and_an_end_goes_first():
    class Sink:
        def __init__(self, name: str, log: list[str]) -> None:
            self.name, self.log = name, log

        def flush(self) -> float | None:
            self.log.append(self.name)
            done.set() if self.name == "urgent" else None
            return 0.0

    log: list[str] = []
    done = threading.Event()
    flusher = Flusher(rate=0.5)
    sinks = [Sink(f"panel {n}", log) for n in range(50)]
    for sink in sinks:
        flusher.touch(sink)
    urgent = Sink("urgent", log)
    flusher.touch(urgent, urgent=True)
    assert done.wait(PATIENCE)
    flusher.forget(urgent)
    assert log.index("urgent") <= 1
    assert len(log) <= 2


def test_a_live_answer_that_was_laid_out_otherwise_is_sent_whole():
    feed = Feed()
    feed.advance(Scene(live=Live("r", "", ["<p>a</p>"])))
    patch = feed.advance(Scene(entries=[{"id": "1", "html": "<p>b</p>"}]))
    assert patch["talk"] == [0, 0, [{"id": "1", "html": "<p>b</p>"}]]
    assert patch["end"] == {"run": "r", "digest": digest("<p>a</p>")}


def test_a_splice_names_only_what_changed():
    feed = Feed()
    entries = [{"id": str(n), "html": f"<p>{n}</p>"} for n in range(200)]
    feed.advance(Scene(entries=entries))
    changed = [*entries[:100], {"id": "100", "html": "<p>new</p>"}, *entries[101:]]
    assert feed.advance(Scene(entries=changed))["talk"] == [100, 1, [{"id": "100", "html": "<p>new</p>"}]]
    assert feed.advance(Scene(entries=changed)) is None


def test_captions_say_what_is_free_estimated_and_unknown():
    from chatkit.captions import cost_caption, session_caption
    from chatkit.ledger.record import Usage

    free = Usage(10, 5, cost=Decimal(0), known="measured")
    guess = Usage(10, 5, cost=Decimal("0.0012345"), known="estimated")
    assert cost_caption(guess) == "cost ≈ 0.00123 USD"
    assert [cost_caption(free), cost_caption(free, local=True), cost_caption(free + Usage())] == [
        "cost 0",
        "cost 0 (local)",
        "cost unknown",
    ]
    assert session_caption(free + guess + Usage()) == (
        "3 calls · ≈ 20 tokens in, 10 out and 1 unknown · cost ≈ 0.00123 USD and 1 unknown"
    )


def test_an_act_that_comes_again_is_done_once_and_answered_again(panel: ChatPanel, chat: ScriptedChat, wire: Wire):
    first = chat.conversation.add("user", "one")
    act = {"type": "insert", "id": "q1", "question": "q1", "message": first.id, "where": "after", "role": "user"}
    for _ in range(2):
        panel.simulate(act | {"text": "two"})
    assert [m.text for m in chat.conversation] == ["one", "two"]
    assert wire.kinds("answer") == [{"type": "answer", "question": "q1", "value": None}] * 2


def test_an_act_that_cannot_be_says_why_and_changes_nothing(panel: ChatPanel, chat: ScriptedChat, wire: Wire):
    message = chat.conversation.add("user", "one")
    panel.simulate({"type": "role", "id": "q1", "question": "q1", "message": message.id, "role": "pirate"})
    panel.simulate({"type": "remove", "id": "q2", "question": "q2", "message": "nobody"})
    errors = [answer["error"] for answer in wire.kinds("answer")]
    assert "role is 'pirate'" in errors[0]
    assert "'nobody'" in errors[1]
    assert [(m.role, m.text) for m in chat.conversation] == [("user", "one")]


def test_nothing_is_changed_while_an_answer_comes(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    chat.conversation.add("user", "one")
    ask(panel, "Where?")
    chat.say(Delta("Br"))
    wire.until(lambda: view.live)
    panel.simulate({"type": "edit", "id": "q", "question": "q", "message": chat.conversation[0].id, "text": "other"})
    assert wire.kinds("answer")[-1]["error"].startswith("An answer is still coming.")
    chat.say(Delta("azil."), complete("Brazil."))
    wire.until(lambda: view.ends)
    assert [m.text for m in chat.conversation] == ["one", "Where?", "Brazil."]


def test_several_answers_stream_side_by_side_and_can_be_chosen_from(panel: ChatPanel, chat: ScriptedChat, wire: Wire):
    panel.simulate({"type": "hello", "view": "v"})
    ask(panel, "Two, please")
    chat.say(Delta("one"), Delta("another", 1))
    wire.until(lambda: any(patch.get("live", {}).get("blocks") for patch in wire.kinds("patch")))
    chat.say(Reply((Answer(0, "one", finish_reason="stop"), Answer(1, "another", finish_reason="length")), "complete"))
    wire.until(lambda: any("choices" in e for patch in wire.kinds("patch") for e in patch.get("talk", [0, 0, []])[2]))
    answer = chat.conversation[-1]
    [entry] = [e for p in wire.kinds("patch") if p.get("talk") for e in p["talk"][2] if e["id"] == answer.id][-1:]
    assert entry["choices"] == [[0, "<p>one</p>\n", ""], [1, "<p>another</p>\n", "cut off at the token limit"]]
    assert entry["variants"] == [1, 2]
    panel.simulate({"type": "keep", "id": "k", "question": "k", "message": answer.id, "index": 1})
    assert chat.conversation[-1].text == "another"
    wire.until(lambda: [e for p in wire.kinds("patch") if p.get("talk") for e in p["talk"][2]][-1]["id"] != answer.id)
    assert "choices" not in [e for p in wire.kinds("patch") if p.get("talk") for e in p["talk"][2]][-1]


def test_another_chat_takes_the_place_of_the_one_shown(panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire):
    chat.conversation.add("user", "the old one")
    heard: list[str] = []
    panel.on_reply(lambda reply: heard.append(reply.text))
    panel.simulate({"type": "new", "id": "n", "question": "n"})
    assert panel.chat is not chat
    assert (panel.chat.model, len(panel.chat.conversation)) == ("scripted", 0)
    wire.until(lambda: view.entries == [])
    chat.conversation.add("user", "unseen")
    panel.chat.conversation.add("user", "seen")
    wire.until(lambda: view.entries)
    assert [entry["html"] for entry in view.entries] == ['<pre class="ck-plain">seen</pre>']


def test_a_draft_goes_into_the_box_of_every_view(panel: ChatPanel, view: View, wire: Wire):
    panel.draft("for the box")
    wire.until(lambda: view.status.get("draft"))
    assert (view.status["draft"]["text"], view.status["draft"]["over"]) == ("for the box", True)


def test_send_takes_a_text_for_the_model_and_a_mapping_for_the_views(chat: ScriptedChat):
    panel = ChatPanel(chat)
    chat.say(complete("Hello."))
    assert panel.send("Hi").text == "Hello."
    assert panel.send({"type": "tail", "seq": 0}) is None
    panel.close()


@pytest.mark.parametrize(
    ("act", "what"),
    [
        ({"type": "remove"}, "Message removed."),
        ({"type": "edit", "text": "When?"}, "Message edited."),
        ({"type": "role", "role": "system"}, "Role changed."),
        ({"type": "move", "by": 1}, "Message moved."),
    ],
)
def test_a_change_from_a_view_is_said_with_its_way_back(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire, act: dict, what: str
):
    chat.conversation.add("user", "Where?")
    chat.conversation.add("assistant", "Here.")
    before = [(m.role, m.text) for m in chat.conversation]
    panel.simulate({"id": "c", "message": chat.conversation[0].id, **act})
    wire.until(lambda: view.status["changed"] == {"made": what, "taken_back": "", "more": True})
    assert [(m.role, m.text) for m in chat.conversation] != before
    panel.simulate({"type": "undo_change", "id": "u"})
    wire.until(lambda: view.status["changed"] == {"made": "", "taken_back": what, "more": False})
    assert [(m.role, m.text) for m in chat.conversation] == before
    panel.simulate({"type": "redo_change", "id": "r"})
    wire.until(lambda: view.status["changed"]["made"] == what)
    panel.simulate({"type": "undo_change", "id": "u2"})
    panel.simulate({"type": "undo_change", "id": "u3"})
    wire.until(lambda: "no change to take back" in (view.status["error"] or {}).get("text", ""))


def test_answers_of_which_one_is_kept_stand_side_by_side_again_if_asked(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    ask(panel, "Two, please")
    chat.say(Reply((Answer(0, "one", finish_reason="length"), Answer(1, "two", finish_reason="stop")), "complete"))
    wire.until(lambda: view.entries and "choices" in view.entries[-1])
    assert (view.entries[-1]["cut"], "kept" in view.entries[-1]) == ([0], False)
    chat.keep(1)
    wire.until(lambda: view.entries[-1].get("several") is True and "choices" not in view.entries[-1])
    panel.simulate({"type": "beside", "id": "b", "message": chat.conversation[-1].id})
    wire.until(lambda: view.entries[-1].get("kept") == 1 and len(view.entries[-1]["choices"]) == 2)
    panel.simulate({"type": "keep", "id": "k", "message": chat.conversation[-1].id, "index": 0})
    wire.until(lambda: "one" in view.entries[-1]["html"] and "choices" not in view.entries[-1])


def test_continue_of_one_of_several_answers_goes_on_with_that_one(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    ask(panel, "Two, please")
    chat.say(Reply((Answer(0, "one", finish_reason="length"), Answer(1, "two", finish_reason="length")), "length"))
    wire.until(lambda: view.entries and "choices" in view.entries[-1])
    panel.simulate({"type": "continue", "id": "go", "message": chat.conversation[-1].id, "index": 1})
    wire.until(lambda: chat.run is not None and not chat.run.done)
    assert chat.basis[-1].text == "two"
    chat.say(complete("and on"))
    wire.until(lambda: chat.run.done)


def test_an_answer_that_goes_on_keeps_what_was_there_in_sight(
    panel: ChatPanel, chat: ScriptedChat, view: View, wire: Wire
):
    chat.endpoint = Endpoint("http://127.0.0.1:9/v1", "chatkit-local-x", "any", "test")
    ask(panel, "Where?")
    chat.say(Reply((Answer(text="In Bra", finish_reason="length"),), "length"))
    wire.until(lambda: view.entries and view.entries[-1].get("goes_on") is True)
    panel.simulate({"type": "continue", "id": "go", "message": chat.conversation[-1].id})
    wire.until(lambda: view.live == ["<p>In Bra</p>\n"])
    assert (view.status["phase"], len(view.entries)) == ("waiting", 1)
    chat.say(Delta("zil."))
    wire.until(lambda: view.live == ["<p>In Brazil.</p>\n"])
    chat.say(complete("zil."))
    wire.until(lambda: view.status["phase"] == "idle" and len(view.entries) == 2)
    assert view.entries[-1]["html"] == "<p>In Brazil.</p>\n"
    assert view.entries[-1]["variants"] == [2, 2]
