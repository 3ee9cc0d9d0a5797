"""Faces: what a chat looks like at a moment.

In: a `Chat` and the turn that runs. Out: a `Scene`, made of plain values that can be sent. Messages that
did not change are not laid out again, and while an answer streams only the answer is looked at.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatkit.answers import messages as answers_of
from chatkit.api.models import HOSTED_DEFAULT
from chatkit.captions import outcome_caption, priced_as_caption, reply_caption, sentences, session_caption
from chatkit.chat import Chat
from chatkit.conversation import Message
from chatkit.endpoint import connect
from chatkit.endpoint.listing import Models
from chatkit.endpoint.reply import Reply
from chatkit.ledger.estimates import priced_as
from chatkit.ledger.pricing import own_at_hand
from chatkit.ledger.record import Usage
from chatkit.parts import heading
from chatkit.render.blocks import render
from chatkit.render.plain_text import line, plain
from chatkit.render.static import message_html
from chatkit.ui import controls, outlook
from chatkit.ui.feed import Scene
from chatkit.ui.turn import RunningTurn

IDLE = {"phase": "idle", "notice": "", "blocking": False}
UNFINISHED = ("length", "incomplete", "cancelled")


class Stage:
    """Turns one chat into scenes.

    `laid_out` has the HTML of the answers that streamed last, by their text; `models` are those of the endpoint;
    `beside` has the ids of answers that stand side by side though one of them was kept;
    `priced_as` is the model that a run is also priced as (None: the hosted default, for what cost nothing).
    """

    def __init__(self, chat: Chat, priced_as: str | None = None) -> None:
        self._chat = chat
        self._html: dict[str, tuple[Message, str]] = {}
        self._version = 0
        self._shown: tuple[object, tuple[Mapping[str, Any], ...]] = (None, ())
        self._settled: tuple[int, Mapping[str, Any]] = (-1, {})
        self._outdated: Mapping[str, str] = {}
        self.laid_out: Mapping[str, str] = {}
        self.models = Models(())
        self.priced_as = priced_as
        self.beside: tuple[str, ...] = ()

    def changed(self) -> None:
        """Look at the whole chat again: something other than the running answer has changed."""
        self._version += 1

    def scene(
        self, turn: RunningTurn | None, error: Mapping[str, Any] | None, draft: Mapping[str, Any] | None
    ) -> Scene:
        """What is to be seen now; `error` and `draft` (a text that goes into the box) are the panel's own."""
        now = (self._version, turn.run.id if turn else None)
        if self._shown[0] != now:
            self._shown = (now, tuple(self._entries(turn)))
        if self._settled[0] != self._version:
            self._settled = (self._version, self._state())
        status = {**self._settled[1], **(turn.status if turn else IDLE), "error": error, "draft": draft}
        return Scene(self._shown[1], turn.live if turn else None, status)

    # --- messages

    def _entries(self, turn: RunningTurn | None) -> list[Mapping[str, Any]]:
        messages = self._chat.conversation.messages
        shown = [m for m in messages if turn is None or m.id in turn.kept]
        left_out = self._chat.preview().left_out
        self._outdated = self._chat.outdated
        variants = self._chat.conversation.forks
        last = messages[-1].id if messages and turn is None else None
        entries = [self._entry(m, left_out.get(m.id), variants.get(at), m.id == last) for at, m in enumerate(shown)]
        self._html = {m.id: self._html[m.id] for m in shown}
        return entries

    def _entry(self, message: Message, why_not: str | None, variants: Any, last: bool) -> Mapping[str, Any]:
        reply = self._chat.replies.get(message.id)
        state = filter(None, [outcome_caption(message.outcome), f"not sent: {why_not}" if why_not else ""])
        entry = {
            "id": message.id,
            "role": message.role,
            "html": self._html_of(message),
            "state": " · ".join(state),
            "off": bool(why_not),
            "caption": self._caption_of(message, reply) if message.outcome else "",
            "answered": reply is not None,
        }
        if notes := sentences(dict.fromkeys([message.note or "", *(reply.notes if reply and message.outcome else ())])):
            entry["notes"] = " ".join(notes)
        if of := line(heading(message).of):
            entry["of"] = of
        if variants is not None:
            entry["variants"] = [variants.shown + 1, len(variants)]
        if last and message.role == "assistant" and message.outcome in UNFINISHED:
            entry |= {"unfinished": True, "goes_on": self._chat.goes_on(message)}
        if last and reply is not None and message.id in self._chat.answers:
            entry |= self._beside(message, reply)
        return entry

    def _caption_of(self, message: Message, reply: Reply | None) -> str:
        if reply is None:
            return self._chat.captions.get(message.id, "")
        return " · ".join(filter(None, [self._caption(reply), self._outdated.get(message.id)]))

    def _beside(self, message: Message, reply: Reply) -> Mapping[str, Any]:
        """The answers of a turn that gave several: while none is kept, or if a person wants to see them again."""
        chat, said = self._chat, answers_of(reply)
        if len(chat.answers) < 2:
            return {}
        if not chat.choices and self.beside != chat.answers:
            return {"several": True}
        choices = [
            [number, self._laid_out(answer), " · ".join(filter(None, [outcome_caption(answer.outcome), answer.note]))]
            for number, answer in enumerate(said)
        ]
        cut = [number for number, answer in enumerate(said) if answer.outcome in UNFINISHED]
        kept = {} if chat.choices else {"kept": chat.answers.index(message.id)}
        return {"choices": choices, **({"cut": cut} if cut else {}), **kept}

    def _caption(self, reply: Reply) -> str:
        return self._also_priced(reply_caption(reply, local=self.is_local), reply.usage)

    def _also_priced(self, caption: str, usage: Usage) -> str:
        """The caption, and what the same tokens would have cost on another model."""
        model = self.priced_as or (HOSTED_DEFAULT if self.is_local else None)
        if not caption or model is None:
            return caption
        endpoint = self._chat.endpoint
        own = own_at_hand()
        here = priced_as(usage, model, endpoint.base_url, own=own) if endpoint and not endpoint.free else None
        cost = priced_as(usage, model, own=own) if here is None else here  # a model that is not served here is OpenAI's
        return f"{caption} · {priced_as_caption(cost, model)}"

    def _html_of(self, message: Message) -> str:
        had = self._html.get(message.id)
        if had is None or had[0] is not message:
            self._html[message.id] = had = (message, self._laid_out(message))
        return had[1]

    def _laid_out(self, message: Message) -> str:
        return message_html(message, answer=self._answer_html) or plain("")

    def _answer_html(self, text: str) -> str:
        return self.laid_out.get(text) or render(text)

    # --- controls and captions

    def _state(self) -> dict[str, Any]:
        chat = self._chat
        preview = chat.preview()
        return {
            "controls": controls.controls(chat, self.models, self.priced_as),
            "branches": [
                {"name": branch.name, "count": len(branch.messages), "current": branch.current}
                for branch in chat.branches
            ],
            "endpoint": self._serving(),
            "session": self._also_priced(session_caption(chat.usage, local=self.is_local), chat.usage),
            "outlook": outlook.outlook(chat, preview),
            "changed": self._changed(),
            "left": outlook.left_out_caption(preview),
            "chat": f"{id(chat)}-{len(chat.conversation)}",
        }

    def _changed(self) -> dict[str, Any]:
        """The last change by hand and the last that was taken back, while they are what was done last."""
        made, taken_back = self._chat.conversation.changed_last
        return {"made": made, "taken_back": taken_back, "more": self._chat.conversation.can_undo}

    @property
    def is_local(self) -> bool:
        """Whether calls go to a local server, where they cost nothing, as far as is known."""
        return self._chat.endpoint is not None and self._chat.endpoint.free

    def _serving(self) -> str:
        endpoint = self._chat.foreseen
        if endpoint is None:
            return connect.promise()
        # whatever name is asked for, the local server answers with its own model
        asked = endpoint if endpoint.local else replace(endpoint, model=self._chat.model or endpoint.model)
        return asked.sentence
