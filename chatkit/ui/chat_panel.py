"""Faces: `ChatPanel`, a chat that lives under a notebook cell. The panel and its `Chat` are two views of one talk.

In: what a person types and clicks (actions.py, questions.py), and what code does to the chat. Out: numbered patches to
every view (feed.py), sent in their turn (feed.py). No text of the talk and no key is in a synced trait, so none is
saved with a notebook.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, overload
from uuid import uuid4

from chatkit.chats.chat import Chat
from chatkit.client import model_list
from chatkit.client.keys import veiled_all
from chatkit.client.reply import Reply
from chatkit.client.run import Run
from chatkit.conversation.branched import Listeners
from chatkit.exceptions import InputError
from chatkit.render.html import STYLE
from chatkit.ui import widget
from chatkit.ui.actions import ACTS
from chatkit.ui.beside import Beside
from chatkit.ui.feed import Scene
from chatkit.ui.trouble import fault_of, offer, trouble_of
from chatkit.ui.view_model import IDLE, RunningTurn, Stage
from chatkit.ui.widget import Act, Buffers, PageMessage, Widget

FALLBACK = "ChatPanel: run this cell to talk to the model here."
UNTRUSTED = (
    "If its kernel still runs, the talk is still there: trust the notebook (in the command palette: Trust Notebook)."
)
"""Why a front end may not draw what is there: another's outputs in the notebook take its trust away."""
WATCHED = ("ask", "retry", "rerun", "continue")
"""Requests whose receipt a view waits for, to say so where a running cell holds them up."""


class ChatPanel(Widget):
    """A chat in a notebook cell: edit, branch, compare, inspect; Stop, settings, tokens and cost.

    `chat` is the Chat to show; without it one is made from `chat_arguments` (`system=`, `model=`,
    `temperature=` and the like). What the panel shows is always `panel.chat`. Nothing of the talk is saved
    with the notebook, unless `save_transcript` asks for it: then a reader without a kernel sees the talk.

    >>> panel = ChatPanel(system="Answer in one sentence.")
    >>> panel.chat.system
    'Answer in one sentence.'
    >>> panel
    ChatPanel(1 message)
    """

    FALLBACK = FALLBACK
    _esm = widget.module(
        "chat_panel",
        *(
            "dom",
            "front_end",
            "link",
            "follow",
            "text",
            "editor",
            "variants",
            "talk_keys",
            "inspector",
            "talk",
            "settings_form",
            "drawers",
            "panel_parts",
        ),
    )
    _css = STYLE + widget.style("chat_panel")

    def __init__(self, chat: Chat | None = None, *, save_transcript: bool = False, **chat_arguments: Any) -> None:
        chat_arguments = veiled_all(chat_arguments)
        if chat is not None and chat_arguments:
            raise InputError(
                f"ChatPanel got a chat and also {', '.join(sorted(chat_arguments))}.", "Set them on the chat instead."
            )
        self.chat = Chat(**chat_arguments) if chat is None else chat
        self._stage = Stage(self.chat)
        self._turn: RunningTurn | None = None
        self._own_runs: set[str] = set()
        self._asked: tuple[object, Run] | None = None
        self._stops: set[str] = set()
        self._draft: Mapping[str, Any] | None = None
        self._beside = Beside(self.chat, f"{FALLBACK} {UNTRUSTED}", talk=save_transcript)
        self._on_reply: Listeners[[Reply]] = Listeners("A callback of a panel's on_reply failed; the panel goes on.")
        self._unlisten: list[Callable[[], object]] = []
        super().__init__()
        self._attend()

    # --- from code

    @overload
    def send(self, content: str) -> Reply: ...
    @overload
    def send(self, content: Mapping[str, Any], buffers: Any = None) -> None: ...
    def send(self, content: str | Mapping[str, Any], buffers: Any = None) -> Reply | None:
        """Ask `content`, wait, and give back the reply, as `panel.chat.send` does.

        A mapping goes to the views, as with every widget.
        """
        if isinstance(content, str):
            return self.chat.send(content)
        super().send(content, buffers)
        return None

    def draft(self, text: str) -> None:
        """Put a text into the box of every view; nothing is sent."""
        self._draft = {"text": text, "id": uuid4().hex, "over": True}
        self._touch(urgent=True)

    def code(self) -> str:
        """The Python that makes this conversation again."""
        from chatkit.ui.questions import conversation_code

        return conversation_code(self.chat)

    def on_reply(self, callback: Callable[[Reply], object]) -> Callable[[], None]:
        """Have `callback` called with each turn's reply; returns the way to stop. An error in it is logged."""
        return self._on_reply.add(callback)

    def __repr__(self) -> str:
        count = len(self.chat.conversation)
        return f"ChatPanel({count} message{'' if count == 1 else 's'})"

    def _show_beside(self) -> None:
        self._beside.show()

    def _end(self) -> None:
        """A turn that the panel started is stopped."""
        if self._turn is not None and self._turn.run.id in self._own_runs:
            self._turn.run.cancel()
        self._leave()

    # --- what views ask for

    def _act(self, kind: str) -> Act | None:
        if kind == "stop":
            return self._stop
        act = ACTS.get(kind) or _question(kind)
        return None if act is None else lambda content, _: self._perform(kind, act, content)

    def _perform(self, kind: str, act: Callable[["ChatPanel", PageMessage], Any], content: PageMessage) -> Any:
        if kind in WATCHED:
            self.send({"type": "seen", "id": content.get("id")})
        value = act(self, content)
        if kind in ACTS and kind not in WATCHED:
            self.touch()
        return value

    def _stop(self, content: PageMessage, _: Buffers) -> None:
        turn, ask = self._turn, content.get("ask")
        if turn is not None and content.get("run") == turn.run.id:
            turn.run.cancel()
        elif isinstance(ask, str):
            # the click came before the view knew the run it is meant for, perhaps before there was one
            self._stops.add(ask)
            if self._asked and self._asked[0] == ask:
                self._asked[1].cancel()

    # --- what acts are made of

    def begin(self, content: Mapping[str, Any], start: Callable[[], Run], text: str | None = None) -> None:
        """Start a turn; `text` goes back into the box if it cannot begin."""
        self._error = self._draft = None
        try:
            run = start()
        except Exception:
            self._put_back(text)
            raise
        self._own_runs.add(run.id)
        self._asked = (content.get("id"), run)
        if content.get("id") in self._stops:
            run.cancel()

    def show(self, chat: Chat) -> None:
        """Show another chat in the place of this one; a turn that runs in the old one goes on there."""
        with self._lock:
            self._leave()
            self.chat = self._beside.chat = chat
            self._stage = Stage(chat, self._stage.priced_as)
            self._error = self._draft = None
            self._attend()
        self._touch(urgent=True)

    def touch(self) -> None:
        """Show what an act changed; what went wrong before is no longer said."""
        self._error = None
        self._change()

    @property
    def stage(self) -> Stage:
        """How the chat is laid out."""
        return self._stage

    def ask_models(self) -> None:
        """Look up which models the endpoint has; they are shown when they are there."""
        if self.chat.endpoint is not None:
            model_list.ask_models(self.chat.endpoint).add_done_callback(self._take_models)

    def _take_models(self, found: Future[model_list.Models]) -> None:
        if found.cancelled():
            return
        fault = found.exception()
        self._stage.models = found.result() if fault is None else model_list.Models((), str(fault) or repr(fault))
        self._change()

    # --- what the chat tells

    def _attend(self) -> None:
        """Follow the chat; where it asks is said in the panel, not by a printed line."""
        announce, self.chat.announce = self.chat.announce, None
        self._unlisten = [
            partial(setattr, self.chat, "announce", announce),
            self.chat.conversation.listen(self._change),
            self.chat.listen(self._follow),
            self.chat.on_reply(self._on_reply.tell),
        ]
        if self.chat.run is not None and not self.chat.run.done:
            self._follow(self.chat.run)

    def _leave(self) -> None:
        if self._turn is not None:
            self._turn.close()
            self._turn = None
        for unlisten in self._unlisten:
            unlisten()

    def _change(self) -> None:
        self._stage.changed()
        self._touch(urgent=True)

    def _follow(self, run: Run) -> None:
        with self._lock:
            if self._turn is not None:
                self._turn.close()
                self._own_runs.discard(self._turn.run.id)
            self._error = self._draft = None
            self._turn = RunningTurn(run, self.chat.pending, self._kept(), self._touch, self.chat.begun)
        self._change()

    def _kept(self) -> frozenset[str]:
        """The messages that stay in sight while a run goes on: not an answer that is asked for again."""
        return frozenset(message.id for message in self.chat.basis)

    def _put_back(self, text: str | None) -> None:
        self._draft = {"text": text, "id": uuid4().hex} if text else None

    def flush(self) -> float | None:
        """Send the views what is new, and save it beside the panel; called by the flusher."""
        with self._lock:
            if self._closed:
                return None
            pause = self._turn.advance(time.monotonic()) if self._turn else None
            again = super().flush()
            if self._turn is None:
                self._beside.update()
            return min((wait for wait in (pause, again) if wait is not None), default=None)

    def _stopped(self, fault: Exception) -> Scene:
        """A turn that has ended is over on the page, too, whatever failed."""
        if self._turn is not None and self._turn.reply is not None:
            self._end_turn(self._turn, {})  # what was laid out may be the fault
        status = self._turn.status if self._turn else IDLE
        return self._feed.still(**status, error=fault_of(fault, self._error))

    def _end_turn(self, turn: RunningTurn, laid_out: Mapping[str, str]) -> None:
        reply = turn.reply
        assert reply is not None
        turn.close()
        self._turn = None
        self._own_runs.discard(turn.run.id)
        self._stage.laid_out = laid_out
        self._stage.changed()
        if not reply.came_back:
            self._put_back(turn.question)
        self._error = trouble_of(reply)

    def _send_patch(self) -> None:
        super()._send_patch()
        if self._turn is not None and self._turn.ended:
            # the views have the whole answer now; one more patch makes it a message among the others
            self._end_turn(self._turn, self._turn.laid_out)
            super()._send_patch()

    def _scene(self) -> Scene:
        return self._stage.scene(self._turn, self._error or offer(self.chat), self._draft)


def _question(kind: str) -> Callable[[ChatPanel, PageMessage], Any] | None:
    # read when a view first asks: the panel is there before that
    from chatkit.ui.questions import QUESTIONS

    return QUESTIONS.get(kind)
