"""Faces: what a chat, its running turn and its next request look like at a moment.

In: a `Chat` and the turn that runs. Out: a `Scene`, made of plain values that can be sent. Messages that
did not change are not laid out again, and while an answer streams only the answer is looked at.

Nothing is laid out on the loop's thread, and nothing is sent.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chatkit.api.models import HOSTED_DEFAULT
from chatkit.captions import (
    estimate_caption,
    outcome_caption,
    priced_as_caption,
    reply_caption,
    sentences,
    session_caption,
    wait_caption,
    window_caption,
)
from chatkit.chats.chat import Chat
from chatkit.chats.request import NOTHING_YET, Preview
from chatkit.chats.request import messages as answers_of
from chatkit.client import connect
from chatkit.client.model_list import Models
from chatkit.client.reply import Delta, Reply, Wait
from chatkit.client.run import Run
from chatkit.client.turn import RunItem
from chatkit.conversation.conversation import Message
from chatkit.conversation.message import heading
from chatkit.ledger.estimate import estimate_body, priced_as
from chatkit.ledger.pricing import own_at_hand
from chatkit.ledger.record import Usage
from chatkit.render.blocks import GrowingText, render
from chatkit.render.html import message_html
from chatkit.render.text import line, plain
from chatkit.ui import settings_form
from chatkit.ui.feed import Live, Scene

HEARTBEAT = 0.5
"""Seconds after which a turn that is silent is looked at again: a cell may wait for it by now."""
SHARE = 0.1
"""The part of the time that laying out a growing block may take; a long block is shown less often."""


class RunningTurn:
    """A run, its question, and the answer as far as it has come; `begun` is the text from which it goes on."""

    def __init__(
        self,
        run: Run,
        question: str | None,
        kept: frozenset[str],
        changed: Callable[[bool], None],
        begun: str = "",
    ) -> None:
        self.run = run
        self.question = question
        self.kept = kept
        self.notice = ""
        self.reply: Reply | None = None
        self.ended = False
        self.thinking = False
        self._answers: list[GrowingText] = []
        self._came: deque[tuple[int, str]] = deque([(0, begun)] if begun else ())
        self._heard = False
        self._rest_until = 0.0
        self._changed = changed
        self._question_html = plain(question) if question else ""
        self._unlisten = run.listen(self._hear)

    def advance(self, now: float) -> float:
        """Lay out what has come; the seconds after which to come again."""
        ended = self.reply is not None
        if not ended and now < self._rest_until:
            return self._rest_until - now
        began = time.perf_counter()  # the other clock goes in steps of 16 ms on some systems
        came: dict[int, list[str]] = {}
        for _ in range(len(self._came)):
            index, text = self._came.popleft()
            came.setdefault(index, []).append(text)
        for index, texts in came.items():
            while len(self._answers) <= index:
                self._answers.append(GrowingText())
            self._answers[index].feed("".join(texts))
        if ended:
            for answer in self._answers:
                answer.finish()
            self.ended = True
        self._rest_until = time.monotonic() + (time.perf_counter() - began) / SHARE
        return HEARTBEAT

    @property
    def laid_out(self) -> Mapping[str, str]:
        """Each answer's text as laid out so far, and its HTML."""
        return {answer.text: "".join(answer.html) for answer in self._answers}

    @property
    def live(self) -> Live:
        """What is shown of it."""
        return Live(self.run.id, self._question_html, [answer.html for answer in self._answers])

    @property
    def status(self) -> Mapping[str, Any]:
        """The state of the controls while it runs."""
        phase = (
            "streaming"
            if self._heard and any(answer.html for answer in self._answers)
            else "thinking"
            if self.thinking
            else "waiting"
        )
        return {"phase": phase, "notice": self.notice, "blocking": self.run.blocking}

    def close(self) -> None:
        """Listen no more."""
        self._unlisten()

    def _hear(self, item: RunItem) -> None:
        if isinstance(item, Delta):
            self._hear_delta(item)
        elif isinstance(item, Wait):
            self.notice = wait_caption(item)
            self._changed(True)
        elif isinstance(item, Reply):
            self.reply = item
            self._changed(True)

    def _hear_delta(self, delta: Delta) -> None:
        if delta.kind in ("text", "refusal"):
            self._came.append((delta.index, delta.text))
            self._heard = True
        self.thinking = delta.kind == "reasoning"
        self.notice = ""
        self._changed(False)


def outlook(chat: Chat, preview: Preview) -> dict[str, Any] | None:
    """The caption for the next request and the window's fill; None before there is anything to send."""
    problems = [problem for problem in preview.problems if problem != NOTHING_YET]
    if not preview.messages or (len(problems) < len(preview.problems) and not problems):
        return None
    endpoint = chat.foreseen
    local = endpoint is None or endpoint.free
    rules = endpoint.rules if endpoint else "local"
    url = endpoint.base_url if endpoint else ""
    estimate = estimate_body(preview.body, url, local=local, window=preview.window, rules=rules, own=own_at_hand())
    likely = estimate.prompt.likely
    return {
        "caption": " · ".join([estimate_caption(estimate, local=local), *problems]),
        "warn": bool(problems),
        "fill": likely / preview.window if preview.window else None,
        "window": window_caption(likely, preview.window),
    }


def left_out_caption(preview: Preview) -> str:
    """What is left out by the rule for long talks, in words; empty if nothing is."""
    return f"{preview.trimmed}: kept here, not sent." if preview.trimmed else ""


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
            return self._chat.told.get(message.id, "")
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
            "controls": settings_form.controls(chat, self.models, self.priced_as),
            "branches": [
                {"name": branch.name, "count": len(branch.messages), "current": branch.current}
                for branch in chat.branches
            ],
            "endpoint": self._serving(),
            "session": self._also_priced(session_caption(chat.usage, local=self.is_local), chat.usage),
            "outlook": outlook(chat, preview),
            "changed": self._changed(),
            "left": left_out_caption(preview),
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
