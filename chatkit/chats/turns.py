"""How a chat takes a turn: asked, followed, and what came back kept in the conversation.

In: a question, or the place of a message that is answered anew. Out: a `Run` to follow, and a conversation that has
grown. A turn in which nothing came back leaves the conversation as it was.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Literal, overload

from chatkit.chats import request
from chatkit.chats import settings as context
from chatkit.chats.request import Preview, Request
from chatkit.chats.settings import ChatSettings, Selection
from chatkit.client import connect, run
from chatkit.client.engine import Engine
from chatkit.client.reply import Delta, Reply, Wait
from chatkit.client.run import Run
from chatkit.conversation.branched import Listeners
from chatkit.conversation.branches import Messages
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.message import Message
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import NOTHING, Usage
from chatkit.signs import printable

CONTINUE = "Continue."
CUT_OFF = ("length", "incomplete", "cancelled")
"""Outcomes of an answer that could go on."""


class ChatTurns(ChatSettings):
    """A conversation and the turns that are taken in it, one at a time."""

    def __init__(self, conversation: Conversation, **settings: Any) -> None:
        super().__init__(**settings)
        self.conversation = conversation
        self.run: Run | None = None
        self.pending: str | None = None
        self.usage: Usage = NOTHING
        self.announce: Callable[[str], object] | None = print
        self._replies: dict[str, Reply] = {}
        self._sent: dict[str, Messages] = {}
        self._answers: tuple[str, ...] = ()
        self._choices: tuple[str, ...] = ()
        self._asked: Request | None = None
        self._failed: Request | None = None
        self._selection = Selection((), MappingProxyType({}), 0)
        self._counts = context.TokenCounts()
        self._listeners: Listeners[[Run]] = Listeners("A listener of a chat failed; the turn goes on.")
        self._on_reply: Listeners[[Reply]] = Listeners("A callback of on_reply failed; the chat goes on.")
        self._lock = threading.Lock()

    # --- turns

    @overload
    def send(self, text: str, *, wait: Literal[True] = True) -> Reply: ...
    @overload
    def send(self, text: str, *, wait: Literal[False]) -> Run: ...
    @overload
    def send(self, text: str, *, wait: bool) -> Reply | Run: ...
    def send(self, text: str, *, wait: bool = True) -> Reply | Run:
        """Ask, wait, and give back the reply; a reply that broke off says so in its `outcome`.

        With `wait=False` a handle is given back at once: iterate it (`for`, `async for`), `await` it, `cancel()` it.
        Raises InputError before anything is sent, EndpointError when nothing came back. An interrupt cancels the turn
        and keeps what has come.
        """
        return _awaited(self._start(_question(text)), wait)

    def stream(self, text: str) -> Run:
        """Ask, and give back a handle at once: `send(text, wait=False)`."""
        return self.send(text, wait=False)

    @overload
    def retry(self, *, wait: Literal[True] = True) -> Reply: ...
    @overload
    def retry(self, *, wait: Literal[False]) -> Run: ...
    @overload
    def retry(self, *, wait: bool) -> Reply | Run: ...
    def retry(self, *, wait: bool = True) -> Reply | Run:
        """Ask for the last answer again; the old one is kept as a variant, on its branch. `wait` as for `send`."""
        return _awaited(self._ask_again(), wait)

    def _ask_again(self) -> Run:
        messages = self.conversation.messages
        if self._failed is not None:
            return self._start(self._failed.question, self._failed.cut, self._failed.begun)
        end = len(messages)
        while end and messages[end - 1].role == "assistant":
            end -= 1
        if not _asks(messages[:end]):
            raise InputError("There is no question to ask again.", "Send one first.")
        return self._start(None, messages[end].id if messages[end:] else None)

    @overload
    def rerun(self, which: int | str, text: str | None = None, *, wait: Literal[True] = True) -> Reply: ...
    @overload
    def rerun(self, which: int | str, text: str | None = None, *, wait: Literal[False]) -> Run: ...
    @overload
    def rerun(self, which: int | str, text: str | None = None, *, wait: bool) -> Reply | Run: ...
    def rerun(self, which: int | str, text: str | None = None, *, wait: bool = True) -> Reply | Run:
        """Ask an earlier question again, with other words if `text` is given, and go on from there.

        `which` is a message of the user's, or an answer that shall be given again (then without `text`),
        by index or id. The old line is kept as a branch. `wait` as for `send`.
        """
        return _awaited(self._ask_from(which, text), wait)

    def _ask_from(self, which: int | str, text: str | None) -> Run:
        messages = self.conversation.messages
        place = self.conversation.index(which)
        message = messages[place]
        if text is not None:
            if message.role != "user":
                raise InputError(
                    f"Message {place} is of role {message.role}; only a user's message can be asked with other words.",
                    "Change it with conversation.edit(), then ask again.",
                )
            return self._start(_question(text), message.id)
        place += message.role != "assistant"
        if not _asks(messages[:place]):
            raise InputError(f"There is no question up to message {which!r}.", "Name a message of the user's.")
        return self._start(None, messages[place].id if messages[place:] else None)

    @overload
    def resume(self, *, wait: Literal[True] = True) -> Reply: ...
    @overload
    def resume(self, *, wait: Literal[False]) -> Run: ...
    @overload
    def resume(self, *, wait: bool) -> Reply | Run: ...
    def resume(self, *, wait: bool = True) -> Reply | Run:
        """Let an answer that was cut off (by its limit, or broken, or stopped) go on.

        On a local server it goes on in its own text; what was before stays as a variant of it. Elsewhere it is asked
        for: "Continue.", as a question. `wait` as for `send`.
        """
        last = next(reversed(self.conversation.messages), None)
        if last is None or last.role != "assistant" or last.outcome not in CUT_OFF:
            raise InputError("The last message is not an answer that was cut off.", "Send a message instead.")
        if self.goes_on(last):
            return _awaited(self._start(None, last.id, last), wait)
        return self.send(CONTINUE, wait=wait)

    # --- what there is

    @property
    def choices(self) -> tuple[str, ...]:
        """The ids of the last reply's answers while there are several and none was kept."""
        return self._choices

    @property
    def answers(self) -> tuple[str, ...]:
        """The ids of the last reply's answers, kept or not."""
        return self._answers

    @property
    def replies(self) -> Mapping[str, Reply]:
        """What each answer of this chat took, by its message's id; the answers of one reply have it in common."""
        return MappingProxyType(self._replies)

    @property
    def outdated(self) -> Mapping[str, str]:
        """Which answers were given to other messages than stand before them now, by id, and what has changed."""
        now = {message.id: message for message in self.conversation.messages}
        found = ((name, context.changed(self._sent.get(name, ()), now)) for name in now)
        return {name: changed for name, changed in found if changed}

    @property
    def basis(self) -> Messages:
        """The messages that the last turn goes on from; while it runs, its answer takes the place of any others."""
        return self._asked.basis if self._asked else ()

    @property
    def begun(self) -> str:
        """The text from which the last turn goes on, where it lets an answer go on; else empty."""
        return self._asked.begun.text if self._asked and self._asked.begun else ""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Which messages the last turn did not send, by id, and why."""
        return self._selection.left_out

    @property
    def trimmed(self) -> str:
        """What the rule `trim` left out of the last turn, in a sentence; empty if nothing."""
        return self._selection.trimmed

    def preview(self, text: str | None = None) -> Preview:
        """What would be sent now, with `text` as the next question: the request, an estimate, what is wrong with it."""
        # always of one id, so that the estimates of a question that is being typed do not pile up
        draft = Message("user", text, id="draft") if text and text.strip() else None
        return self._request(draft, None).preview(self.foreseen, self._counts)

    def listen(self, listener: Callable[[Run], object]) -> Callable[[], None]:
        """Have `listener` called when a run starts, on the thread that started it; returns the way to stop."""
        return self._listeners.add(listener)

    def on_reply(self, callback: Callable[[Reply], object]) -> Callable[[], None]:
        """Have `callback` called with the Reply after each turn, failed ones included; returns the way to stop.

        It is called on the engine's own thread ("chatkit-loop"), once the conversation has the answer and before
        `send` returns; it must not wait there (`send(text, wait=False)` may be called, `send(text)` not). Its errors
        are logged.
        """
        return self._on_reply.add(callback)

    # --- how a turn is taken

    def _check_idle(self) -> None:
        if self.run is not None and not self.run.done:
            raise InputError("An answer is still coming.", "Wait for it, or stop it: chat.run.cancel().")

    def _request(self, question: Message | None, cut: str | None, begun: Message | None = None) -> Request:
        here = self.conversation.current_branch
        basis = tuple(takewhile(lambda message: message.id != cut, here.messages))
        cut = cut if len(basis) < len(here.messages) else None
        return Request(basis, here.name, question, cut, self._settings(), begun)

    def _start(self, question: Message | None, cut: str | None = None, begun: Message | None = None) -> Run:
        with self._lock:
            self._check_idle()
            asked = self._request(question, cut, begun)
            asked.check()
            self._announce()
            self._asked = self._failed = asked
            self.pending = question.text if question else None
            self.run = started = run.start(lambda: self._turn(asked), self._on_reply.tell)
        self._listeners.tell(started)
        return started

    def _announce(self) -> None:
        """Say where the first request goes if a `.env` says so: it may be of a folder that somebody else made."""
        if self.endpoint is None and self.announce and (said := connect.announcement(self.model)):
            self.announce(printable(said))

    async def _turn(self, asked: Request) -> AsyncIterator[Delta | Wait | Reply]:
        try:
            async for item in self._ask(asked):
                if isinstance(item, Reply):
                    self._keep(item, asked)
                yield item
        except ChatkitError as error:
            yield Reply((), "error", error=error)

    async def _ask(self, asked: Request) -> AsyncIterator[Delta | Wait | Reply]:
        if self.endpoint is None or self.endpoint.local:
            async for word in self._find_endpoint():
                yield word
        assert self.endpoint is not None
        asked.check_model(self.endpoint)
        self._selection = chosen = asked.select(self.endpoint, self._counts)
        body = asked.body(self.endpoint, chosen)
        client = await asyncio.to_thread(connect.shared_client, self.endpoint)
        async for item in Engine().stream(client, body, api=asked.settings.api):
            if isinstance(item, Reply) and chosen.trimmed:
                item = replace(item, notes=(*item.notes, chosen.trimmed))
            yield item

    async def _find_endpoint(self) -> AsyncIterator[Wait]:
        async for found in connect.find(self.endpoint):
            if isinstance(found, Wait):
                yield found
            else:
                self.endpoint = found

    def _keep(self, reply: Reply, asked: Request) -> None:
        self.usage += reply.usage
        if not reply.came_back:
            return
        self._failed = self.pending = None
        messages = request.messages(reply)
        if asked.begun:
            messages = [request.joined(asked.begun, message) for message in messages]
        self._answers = tuple(message.id for message in messages)
        self._choices = self._answers if len(messages) > 1 else ()
        self._replies |= dict.fromkeys(self._answers, reply)
        begun = asked.begun.id if asked.begun else None
        sent = tuple(message for message in self._selection.messages if message.id != begun)
        self._sent |= dict.fromkeys(self._answers, sent)
        said = (*([asked.question] if asked.question else []), messages[0])
        try:
            self.conversation.extend(said, on=asked.branch, instead_of=asked.cut, others=messages[1:])
        except InputError:  # the branch, or the message that is answered anew, was removed while the answer came
            before = (*asked.basis, *said[:-1])
            if self.conversation.current == asked.branch:
                self.conversation.go_on_with((*before, messages.pop(0)))
            for message in messages:
                self.conversation.branch(messages=(*before, message), checkout=False)


def _awaited(run: Run, wait: bool) -> Reply | Run:
    return run.wait() if wait else run


def _asks(line: Messages) -> bool:
    return any(message.role == "user" and message.enabled for message in line)


def _question(text: str) -> Message:
    question = Message("user", text)
    if not question.text.strip():
        raise InputError("The message is empty.", "Write something first.")
    return question
