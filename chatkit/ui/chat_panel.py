"""Faces: `ChatPanel`, a chat that lives under a notebook cell. The panel and its `Chat` are two views of one talk.

In: what a person types and clicks, and what code does to the chat. Out: numbered patches to every view (feed.py),
sent in their turn (flush.py). No text of the talk and no key is in a synced trait, so none is saved with a notebook.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import anywidget
from traitlets import Unicode

from chatkit.chat import Chat
from chatkit.endpoint.reply import Reply
from chatkit.endpoint.run import Run
from chatkit.exceptions import BudgetError, ChatkitError, InputError
from chatkit.render.static import STYLE
from chatkit.ui import cells, control, flush
from chatkit.ui.feed import Feed
from chatkit.ui.stage import Stage
from chatkit.ui.turn import RunningTurn

HERE = Path(__file__).parent
FALLBACK = "ChatPanel: run this cell to talk to the model here."
REQUESTS_KEPT = 500
WATCHED = ("ask", "retry")
"""Requests whose receipt a view waits for, to say so where a running cell holds them up."""


class ChatPanel(anywidget.AnyWidget):
    """A chat in a notebook cell: text box, streaming answer, Stop, settings, tokens and cost.

    `chat` is the Chat to show; without it one is made from `chat_arguments` (`system=`, `model=`,
    `temperature=` and the like).

    >>> panel = ChatPanel(system="Answer in one sentence.")
    >>> panel.chat.system
    'Answer in one sentence.'
    >>> panel
    ChatPanel(1 message)
    """

    # text, not a path: anywidget keeps every widget alive that reads a path, to reload it
    _esm = (HERE / "chat_panel.js").read_text(encoding="utf-8")
    _css = STYLE + (HERE / "chat_panel.css").read_text(encoding="utf-8")
    name = Unicode(help="What the panel is called on the control comm.").tag(sync=True)

    def __init__(self, chat: Chat | None = None, **chat_arguments: Any) -> None:
        if chat is not None and chat_arguments:
            raise InputError(
                f"ChatPanel got a chat and also {', '.join(sorted(chat_arguments))}.", "Set them on the chat instead."
            )
        self.chat = Chat(**chat_arguments) if chat is None else chat
        self._lock = threading.RLock()
        self._feed = Feed()
        self._stage = Stage(self.chat)
        self._turn: RunningTurn | None = None
        self._own_runs: set[str] = set()
        self._asked: tuple[object, Run] | None = None
        self._stops: set[str] = set()
        self._requests: OrderedDict[str, None] = OrderedDict()
        self._error: Mapping[str, Any] | None = None
        self._draft: Mapping[str, Any] | None = None
        self._closed = False
        self._unlisten: list[Callable[[], None]] = []
        super().__init__(name=uuid4().hex)
        self.on_msg(lambda _, content, __: self.receive(content))
        self._unlisten = [self.chat.conversation.listen(self._touch), self.chat.listen(self._follow)]
        control.admit(self.name, self)
        cells.settle(self)
        if self.chat.run is not None and not self.chat.run.done:
            self._follow(self.chat.run)

    def simulate(self, content: Mapping[str, Any]) -> None:
        """Act as if a view had sent `content`, as a test without a browser does.

        >>> panel = ChatPanel()
        >>> panel.simulate({"type": "set", "id": "1", "field": "system", "value": "Be brief."})
        >>> panel.chat.system
        'Be brief.'
        """
        self._handle_msg({"content": {"data": {"method": "custom", "content": dict(content)}}, "buffers": []})

    def receive(self, content: Mapping[str, Any]) -> None:
        """Take a view's message, on any thread, once for each request id; submit and return."""
        act = self._ACTS.get(str(content.get("type")))
        if act is None or self._closed or not self._is_new(content.get("id")):
            return
        if content["type"] in WATCHED:
            self.send({"type": "seen", "id": content.get("id")})
        try:
            act(self, content)
        except ChatkitError as error:
            self._complain(error)

    def draft(self, text: str) -> None:
        """Put `text` into the box of every view, to be read, changed and sent by a person; nothing is sent."""
        self._put_back(text)
        self._touch(urgent=True)

    def close(self) -> None:
        """Take the panel away; a turn that it started is stopped."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        if self._turn is not None:
            self._turn.close()
            if self._turn.run.id in self._own_runs:
                self._turn.run.cancel()
        for unlisten in self._unlisten:
            unlisten()
        control.dismiss(self.name)
        flush.flusher.forget(self)
        self.layout.close()
        super().close()

    def flush(self) -> float | None:
        """Send the views what is new; called by the flusher."""
        with self._lock:
            if self._closed:
                return None
            now = time.monotonic()
            pause = self._turn.advance(now) if self._turn else None
            self._send_patch()
            told, again = self._feed.retell(now)
            if told:
                self.send(told)
            return min((p for p in (pause, again) if p is not None), default=None)

    def __repr__(self) -> str:
        count = len(self.chat.conversation)
        return f"ChatPanel({count} message{'' if count == 1 else 's'})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = FALLBACK
        return bundle

    # --- what views ask for

    def _is_new(self, request: object) -> bool:
        if not isinstance(request, str):
            return True
        with self._lock:
            if request in self._requests:
                return False
            self._requests[request] = None
            if len(self._requests) > REQUESTS_KEPT:
                self._requests.popitem(last=False)
        return True

    def _hello(self, content: Mapping[str, Any]) -> None:
        with self._lock:
            self._send_patch()
            self.send(self._feed.snapshot(str(content.get("view"))) | {"kernel": cells.kernel_id()})
        self._touch()

    def _ack(self, content: Mapping[str, Any]) -> None:
        seq = content.get("seq")
        if isinstance(seq, int):
            self._feed.seen(str(content.get("view")), seq)

    def _bye(self, content: Mapping[str, Any]) -> None:
        self._feed.left(str(content.get("view")))

    def _ask(self, content: Mapping[str, Any]) -> None:
        text = str(content.get("text", ""))
        self._begin(content, lambda: self.chat.stream(text), text)

    def _retry(self, content: Mapping[str, Any]) -> None:
        self._begin(content, self.chat.restart, None)

    def _begin(self, content: Mapping[str, Any], start: Callable[[], Run], text: str | None) -> None:
        self._error = self._draft = None
        try:
            run = start()
        except ChatkitError:
            self._put_back(text)
            raise
        self._own_runs.add(run.id)
        self._asked = (content.get("id"), run)
        if content.get("id") in self._stops:
            run.cancel()

    def _stop(self, content: Mapping[str, Any]) -> None:
        turn, ask = self._turn, content.get("ask")
        if turn is not None and content.get("run") == turn.run.id:
            turn.run.cancel()
        elif isinstance(ask, str):
            # the click came before the view knew the run it is meant for, perhaps before there was one
            self._stops.add(ask)
            if self._asked and self._asked[0] == ask:
                self._asked[1].cancel()

    def _set(self, content: Mapping[str, Any]) -> None:
        value = str(content.get("value", "")).strip()
        if content.get("field") == "model":
            self.chat.model = value or None
        elif content.get("field") == "system":
            self.chat.system = value or None
        elif content.get("field") == "temperature":
            self._set_temperature(value)
        self._touch(urgent=True)

    def _set_temperature(self, value: str) -> None:
        if not value:
            self.chat.parameters.pop("temperature", None)
            return
        try:
            self.chat.parameters["temperature"] = float(value.replace(",", "."))
        except ValueError:
            raise InputError(f"temperature is {value!r}; it must be a number from 0 to 2.", "Try 0.7.") from None

    _ACTS: ClassVar[Mapping[str, Callable[["ChatPanel", Mapping[str, Any]], None]]] = {
        "hello": _hello,
        "ack": _ack,
        "bye": _bye,
        "ask": _ask,
        "retry": _retry,
        "stop": _stop,
        "set": _set,
    }

    # --- what the chat tells

    def _touch(self, urgent: bool = False) -> None:
        if not self._closed:
            flush.flusher.touch(self, urgent=urgent)

    def _follow(self, run: Run) -> None:
        with self._lock:
            if self._turn is not None:
                self._turn.close()
                self._own_runs.discard(self._turn.run.id)
            self._error = self._draft = None
            self._turn = RunningTurn(run, self.chat.pending, self._kept(), self._touch)
        self._touch(urgent=True)

    def _kept(self) -> frozenset[str]:
        """The messages that stay in sight while a run goes on: not an answer that is asked for again."""
        messages = list(self.chat.conversation.messages)
        while self.chat.pending is None and messages and messages[-1].role == "assistant":
            messages.pop()
        return frozenset(message.id for message in messages)

    def _complain(self, error: ChatkitError) -> None:
        self._error = {"text": str(error), "retry": False}
        self._touch(urgent=True)

    def _put_back(self, text: str | None) -> None:
        self._draft = {"text": text, "id": uuid4().hex} if text else None

    def _end_turn(self, turn: RunningTurn) -> None:
        reply = turn.reply
        assert reply is not None
        turn.close()
        self._turn = None
        self._own_runs.discard(turn.run.id)
        self._stage.laid_out = (turn.text, "".join(turn.live.blocks))
        if not reply.came_back:
            self._put_back(turn.question)
        if (words := _trouble(reply)) is not None:
            kind = {"kind": reply.error.kind} if isinstance(reply.error, BudgetError) else {}
            self._error = {"text": words, "retry": True, **kind}

    def _send_patch(self) -> None:
        self._send_step()
        if self._turn is not None and self._turn.ended:
            # the views have the whole answer now; one more patch makes it a message among the others
            self._end_turn(self._turn)
            self._send_step()

    def _send_step(self) -> None:
        patch = self._feed.advance(self._stage.scene(self._turn, self._error, self._draft))
        if patch:
            self.send(patch)


def _trouble(reply: Reply) -> str | None:
    """What went wrong in a turn, in a sentence; None if nothing did."""
    if reply.outcome == "cancelled":
        return None if reply.came_back else "Stopped before anything came."
    if reply.error is not None:
        return str(reply.error)
    return "The answer broke off; what came is kept." if reply.outcome in ("incomplete", "error") else None
