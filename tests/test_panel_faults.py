"""A panel never hangs: whatever fails on the way to the page, the end of a turn and a visible line come there."""

import math
import threading
from typing import Any

import pytest
from panel_wire import PATIENCE, ScriptedChat, View, Wire, ask, complete

from chatkit.client.reply import Delta, Reply
from chatkit.exceptions import EndpointError, InputError
from chatkit.speech.source import AudioSource
from chatkit.ui import audio_view, recognition
from chatkit.ui import feed as flush
from chatkit.ui.actions import ACTS
from chatkit.ui.audio_uploader import AudioUploader
from chatkit.ui.chat_panel import ChatPanel
from chatkit.ui.feed import Feed, Scene, checked
from chatkit.ui.inbox import Inbox
from chatkit.ui.intake import INTAKE
from chatkit.ui.questions import QUESTIONS
from chatkit.ui.usage_meter import UsageMeter
from chatkit.ui.view_model import RunningTurn, Stage
from chatkit.ui.widget import _deliver


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "AGAIN", (0.0, 0.0, 0.0, 0.05))


def failing(times: float, error: Exception, real: Any) -> Any:
    left = [times]

    def call(*args: Any, **more: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise error
        return real(*args, **more)

    return call


def run_a_turn(panel: ChatPanel, wire: Wire, end: Reply | None = None) -> None:
    ask(panel, "Where?")
    panel.chat.say(Delta("Brazil"), end or complete("Brazil"))
    wire.until(lambda: panel.chat.run and panel.chat.run.done)


def is_over(view: View) -> bool:
    return view.status.get("phase") == "idle" and view.live is None


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_end_whose_first_telling_failed_is_told(panel, wire, view, times: int, monkeypatch):
    real = wire.send
    broken = failing(times, RuntimeError("the line was cut"), real)

    def send(content: dict[str, Any]) -> None:
        (broken if panel.chat.run and panel.chat.run.done else real)(content)

    monkeypatch.setattr(wire, "send", send)
    run_a_turn(panel, wire)
    wire.until(lambda: is_over(view) or view.gaps)
    view.hello()
    wire.until(lambda: is_over(view) and [e["role"] for e in view.entries] == ["user", "assistant"])
    wire.until(lambda: view.status["error"] is None)


@pytest.mark.parametrize(
    ("where", "what"),
    [(Stage, "scene"), (Feed, "advance"), (RunningTurn, "advance"), (Stage, "_entries"), (Stage, "_state")],
)
def test_what_fails_for_a_while_is_said_and_comes_right_again(panel, wire, view, where, what, monkeypatch):
    real = getattr(where, what)
    monkeypatch.setattr(where, what, failing(1, ValueError("half \ud83d"), real))
    run_a_turn(panel, wire)
    wire.until(lambda: any("ValueError: half \ufffd" in str(message) for message in wire.sent))
    wire.until(lambda: is_over(view) and [e["role"] for e in view.entries] == ["user", "assistant"])
    wire.until(lambda: view.status["error"] is None)


def test_what_goes_on_failing_is_a_visible_line_and_the_panel_is_idle(panel, wire, view, monkeypatch):
    monkeypatch.setattr(Stage, "scene", failing(math.inf, ValueError("no scene"), None))
    run_a_turn(panel, wire)
    wire.until(lambda: is_over(view) and view.status["error"])
    assert view.status["error"]["text"] == "This could not be brought up to date here (ValueError: no scene)."
    assert panel.chat.conversation[-1].text == "Brazil"


def test_the_error_of_a_failed_request_is_said_even_where_the_scene_cannot_be_made(panel, wire, view, monkeypatch):
    monkeypatch.setattr(Stage, "scene", failing(math.inf, ValueError("no scene"), None))
    refused = EndpointError("The prompt \ud83d was refused.", "Say it otherwise.", kind="bad_request")
    ask(panel, "Where?")
    panel.chat.say(Reply((), "error", error=refused))
    wire.until(lambda: is_over(view) and "was refused" in str(view.status["error"]))
    assert view.status["error"]["text"] == (
        "The prompt \ufffd was refused. Say it otherwise. This could not be brought up to date here (ValueError: no scene)."
    )
    assert view.status["error"]["acts"] == [["retry", "Retry"]]


def test_a_listener_that_fails_loses_neither_the_end_nor_the_others(panel, wire, view):
    heard: list[Any] = []

    def fails(*_: Any) -> None:
        raise RuntimeError("mine")

    panel.chat.conversation._listeners.insert(0, fails)
    panel.chat._listeners.insert(0, fails)
    panel.chat._on_reply.insert(0, fails)
    panel.on_reply(fails)
    panel.on_reply(heard.append)
    run_a_turn(panel, wire)
    wire.until(lambda: is_over(view) and len(view.entries) == 2)
    assert [reply.text for reply in heard] == ["Brazil"]
    assert panel.chat.run.reply.outcome == "complete"


def test_one_panel_that_fails_holds_no_other_up(panel, wire, view, monkeypatch):
    other = ChatPanel(ScriptedChat())
    monkeypatch.setattr(other, "flush", failing(math.inf, ValueError("mine"), None))
    monkeypatch.setattr(other, "fail", failing(math.inf, ValueError("mine, too"), None))
    other._touch(urgent=True)
    run_a_turn(panel, wire)
    wire.until(lambda: is_over(view) and len(view.entries) == 2)
    other.close()


def test_a_patch_that_could_not_be_sent_leaves_a_gap_and_a_snapshot_of_what_was_before():
    feed, sent = Feed(), []
    feed.tell(Scene((), None, {"a": 1}), sent.append)
    with pytest.raises(ZeroDivisionError):
        feed.tell(Scene((), None, {"a": 2}), lambda _: 1 / 0)
    assert feed.snapshot("view")["status"] == {"a": 1}
    feed.tell(Scene((), None, {"a": 3}), sent.append)
    assert [(patch["seq"], patch["status"]) for patch in sent] == [(1, {"a": 1}), (3, {"a": 3})]


# --- the other widgets


def heard_by(monkeypatch: pytest.MonkeyPatch, kind: type) -> tuple[list[dict[str, Any]], threading.Condition]:
    sent: list[dict[str, Any]] = []
    came = threading.Condition()

    def send(_: Any, content: dict[str, Any], buffers: Any = None) -> None:
        with came:
            sent.append(content)
            came.notify_all()

    monkeypatch.setattr(kind, "send", send)
    return sent, came


def test_an_uploader_that_fails_says_so(monkeypatch):
    from chatkit.ui.audio_view import AudioStage

    sent, came = heard_by(monkeypatch, AudioUploader)
    uploader = AudioUploader()
    monkeypatch.setattr(AudioStage, "scene", failing(math.inf, ValueError("no scene"), None))
    uploader._say(notice="x")
    with came:
        assert came.wait_for(lambda: any("ValueError: no scene" in str(message) for message in sent), PATIENCE)
    uploader.close()


def test_a_meter_that_fails_says_so_and_looks_again(monkeypatch):
    sent, came = heard_by(monkeypatch, UsageMeter)
    monkeypatch.setattr(UsageMeter, "_version", failing(1, ValueError("no look"), UsageMeter._version))
    meter = UsageMeter()
    with came:
        assert came.wait_for(lambda: any("ValueError: no look" in str(message) for message in sent), PATIENCE)
    meter.simulate({"type": "hello", "view": "v"})
    with came:
        told = [{"error": "nothing yet"}]
        assert came.wait_for(
            lambda: (told + [m["status"] for m in sent if "error" in m.get("status", {})])[-1]["error"] is None,
            PATIENCE,
        )
    meter.close()


def test_a_look_through_a_file_that_fails_ends(monkeypatch, tmp_path):
    async def look(source: AudioSource, **plan: Any) -> Any:
        raise UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "mine")
        yield {}

    monkeypatch.setattr(recognition, "look", look)
    _, came = heard_by(monkeypatch, AudioUploader)
    uploader = AudioUploader()
    data = b"RIFF\x24\0\0\0WAVEfmt " + bytes(24)
    uploader.simulate({"type": "begin", "upload": "u", "name": "x.wav", "size": len(data)})
    uploader.simulate({"type": "slice", "upload": "u", "offset": 0}, [data])
    uploader.simulate({"type": "end", "upload": "u"})
    with came:
        assert came.wait_for(lambda: "could not be looked through" in str(uploader._error), PATIENCE)
    assert uploader._stage.check is None
    uploader.close()


@pytest.mark.parametrize("widget_class", [ChatPanel, AudioUploader, UsageMeter])
@pytest.mark.parametrize("fault", [NotImplementedError(), OSError("no room"), ValueError("half \ud83d")])
def test_a_fault_of_our_own_is_told_to_a_page_that_waits(monkeypatch, widget_class: Any, fault: Exception):
    def fail(*_: Any) -> None:
        raise fault

    sent, came = heard_by(monkeypatch, widget_class)
    widget: Any = widget_class(ScriptedChat()) if widget_class is ChatPanel else widget_class()
    monkeypatch.setattr(widget, "_act", lambda kind: fail)
    for content in ({"type": "odd", "question": "q"}, {"type": "odd", "id": "1"}):
        widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    name = type(fault).__name__
    with came:
        assert came.wait_for(lambda: any(name in str(message.get("error")) for message in sent), PATIENCE)
        assert came.wait_for(lambda: any(name in str(message.get("status")) for message in sent), PATIENCE)
    widget.close()


def test_a_price_that_cannot_be_found_is_told_whatever_the_fault(monkeypatch):
    def fail(*_: Any) -> None:
        raise NotImplementedError("no loop here")

    monkeypatch.setattr(audio_view, "foresee", fail)
    _, came = heard_by(monkeypatch, AudioUploader)
    uploader = AudioUploader()
    uploader.simulate({"type": "hello", "view": "v"})
    with came:
        assert came.wait_for(lambda: "no loop here" in str(uploader._stage.price), PATIENCE)
    uploader.close()


def test_a_look_is_over_though_the_file_cannot_be_taken_away(monkeypatch):
    async def look(source: AudioSource, **plan: Any) -> Any:
        raise InputError("There is no sound in it.")
        yield {}

    def forget(*_: Any) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(recognition, "look", look)
    monkeypatch.setattr(Inbox, "forget", forget)
    sent, came = heard_by(monkeypatch, AudioUploader)
    uploader = AudioUploader()
    data = b"RIFF\x24\0\0\0WAVEfmt " + bytes(24)
    uploader.simulate({"type": "hello", "view": "v"})
    uploader.simulate({"type": "begin", "upload": "u", "name": "x.wav", "size": len(data)})
    uploader.simulate({"type": "slice", "upload": "u", "offset": 0}, [data])
    uploader.simulate({"type": "end", "upload": "u"})
    with came:
        assert came.wait_for(lambda: any("no sound" in str(m.get("status")) for m in sent), PATIENCE)
    uploader.close()


# --- messages that no page of chatkit sends

ODD = [
    *({}, {"a": 1}, [], [1], ["x"], [[]]),
    *(math.nan, math.inf, -math.inf, 1e300, 2**53 + 1, -(2**63), 2**63, 10**400),
    *(-1, 1.5, True, False, None, "", "\ud83d", "\0", "x" * 10_000, "-1", "1e9", "NaN", b"x"),
]
FIELDS = (
    *("id", "question", "view", "seq", "upload", "offset", "size", "name", "modified", "head", "seconds", "recorded"),
    *("message", "text", "role", "where", "by", "variant", "index", "old", "field", "value", "kept", "run", "ask"),
    *("job", "start", "what", "audio", "length", "transcript", "line", "format", "search", "a", "b", "fresh", "round"),
)
OWN = ("hello", "ack", "bye", "stop", "everywhere", "set", "cancel", "edit", "to_chat", "start", "nothing", "")


@pytest.mark.parametrize("kind", sorted({*ACTS, *QUESTIONS, *INTAKE, *OWN}))
def test_a_forged_message_is_told_in_words_by_every_widget(kind: str, monkeypatch, tmp_path):
    monkeypatch.setenv("CHATKIT_HISTORY", str(tmp_path / "history.sqlite"))
    for widget_class in (ChatPanel, AudioUploader, UsageMeter):
        heard_by(monkeypatch, widget_class)
        widget: Any = widget_class(ScriptedChat()) if widget_class is ChatPanel else widget_class()
        for field in FIELDS:
            for value in ODD:
                for question in ({}, {"question": "q"}):
                    widget.receive({"type": kind, "text": "x", **question, field: value})
                if widget_class is ChatPanel and widget.chat.run:
                    widget.chat.run.cancel()
        widget.close()


@pytest.mark.parametrize(
    "value", ["[" * 100_000, '{"a":' * 60 + "1" + "}" * 60, "{", "[1]", "9" * 5000, "1e999", "nan"]
)
@pytest.mark.parametrize("field", ["schema", "budget", "temperature", "max_completion_tokens", "seed", "stop", "model"])
def test_an_odd_setting_is_refused_in_words_or_taken(panel: ChatPanel, field: str, value: str):
    panel.receive({"type": "set", "id": "1", "field": field, "value": value})
    panel.receive({"type": "outlook", "question": "q", "text": "x"})


@pytest.mark.parametrize("value", [{}, [1], math.nan, -math.inf, 2**63, b"x"])
def test_an_odd_field_is_refused_by_its_name(panel: ChatPanel, view: View, wire: Wire, value: Any):
    panel.simulate({"type": "ask", "id": "1", "text": "hi", "seq": value})
    wire.until(lambda: view.status.get("error"))
    assert view.status["error"]["text"].startswith("A message of this page was not understood: its 'seq' is ")
    assert panel.chat.run is None


@pytest.mark.parametrize("content", [None, 5, "ask", [], [{"type": "ask"}]])
def test_what_is_no_set_of_fields_is_refused_in_words(content: Any):
    with pytest.raises(InputError, match="was not understood: it is no object"):
        checked(content)
    for widget in (ChatPanel(ScriptedChat()), AudioUploader(), UsageMeter()):
        widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        widget.close()


@pytest.mark.parametrize("data", [None, 5, [], "x", {}, {"panel": {}}, {"panel": "p", "content": 5}])
def test_a_forged_word_on_the_second_way_is_let_go(data: Any):
    _deliver({"content": {"data": data}})
    _deliver({"content": {}})


def test_what_a_page_types_is_mended(panel: ChatPanel, view: View, wire: Wire):
    panel.simulate({"type": "set", "id": "1", "field": "system", "value": "Be \ud83d brief."})
    assert panel.chat.system == "Be \ufffd brief."
