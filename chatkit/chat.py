"""Floor 2: `Chat`, a conversation that a model answers.

In: a person's text. Out: `Run`s (handles on a turn), `Reply`s, and a conversation that has grown. A
turn in which nothing came back leaves the conversation as it was.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatkit.conversation import Conversation, Message
from chatkit.endpoint import catalog, connect, finding, parameters, run
from chatkit.endpoint.engine import Engine
from chatkit.endpoint.reply import Delta, Reply, Wait
from chatkit.endpoint.run import Run
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import NOTHING, Usage

if TYPE_CHECKING:
    import openai

HEADS = ("system", "developer")


class Chat:
    """A conversation with a model: send a text, get a reply; both are kept.

    `system` is the system message, `model` the model asked for (None: the endpoint's default), every
    other parameter (temperature, max_completion_tokens, seed, …) goes to the API as it is, after a
    check. `client` says where calls go (one that `connect` made, or any openai client); without it
    the same rule as for `connect()` decides at the first turn.

    >>> chat = Chat("Answer in one sentence.", temperature=0)
    >>> chat.conversation.to_api()
    [{'role': 'system', 'content': 'Answer in one sentence.'}]
    """

    def __init__(
        self,
        system: str | None = None,
        *,
        model: str | None = None,
        client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
        conversation: Conversation | Iterable[Message | Mapping[str, Any]] | None = None,
        **parameters: Any,
    ) -> None:
        self.conversation = conversation if isinstance(conversation, Conversation) else Conversation(conversation or ())
        self.model = model
        self.parameters = parameters
        self.run: Run | None = None
        self.pending: str | None = None
        self.usage: Usage = NOTHING
        self.endpoint = connect.endpoint_of(client) if client is not None else None
        self._replies: dict[str, Reply] = {}
        self._failed: Message | None = None
        self._listeners: list[Callable[[Run], None]] = []
        self._lock = threading.Lock()
        if system is not None:
            self.system = system

    @property
    def system(self) -> str | None:
        """The system message's text; setting it edits, adds or (None) removes that message."""
        head = self._head()
        return head.text if head else None

    @system.setter
    def system(self, text: str | None) -> None:
        head = self._head()
        if text is None:
            if head:
                self.conversation.remove(head.id)
        elif head:
            self.conversation.edit(head.id, text)
        else:
            self.conversation.insert(0, "system", text)

    @property
    def replies(self) -> Mapping[str, Reply]:
        """What each answer of this chat took, by its message's id."""
        return MappingProxyType(self._replies)

    def send(self, text: str) -> Reply:
        """Ask, wait, and give back the reply; a reply that broke off says so in its `outcome`.

        Raises InputError before anything is sent, EndpointError when nothing came back. An interrupt
        cancels the turn and keeps what has come.
        """
        return self.stream(text).wait()

    def stream(self, text: str) -> Run:
        """Ask, and give back a handle at once: iterate it (`for`, `async for`), `await` it, `cancel()` it."""
        question = Message("user", text)
        if not question.text.strip():
            raise InputError("The message is empty.", "Write something first.")
        return self._start(self.conversation.messages, question)

    def retry(self) -> Reply:
        """Ask for the last answer again, in the place of the one there is."""
        return self.restart().wait()

    def restart(self) -> Run:
        """`retry` as a handle."""
        messages = self.conversation.messages
        if self._failed is not None:
            return self._start(messages, self._failed)
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        if not any(m.role == "user" for m in messages):
            raise InputError("There is no question to ask again.", "Send one first.")
        return self._start(messages, None)

    def undo(self) -> tuple[Message, ...]:
        """Take the last question and all that followed it out again; gives back what was taken."""
        messages = self.conversation.messages
        asked = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
        self._check_idle()
        if messages[asked:]:
            self.conversation.replace_all(messages[:asked])
        return messages[asked:]

    def listen(self, listener: Callable[[Run], None]) -> Callable[[], None]:
        """Have `listener` called when a run starts, on the thread that started it; returns the way to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _head(self) -> Message | None:
        return next((m for m in self.conversation if m.role in HEADS), None)

    def _check_idle(self) -> None:
        if self.run is not None and not self.run.done:
            raise InputError("An answer is still coming.", "Wait for it, or stop it: chat.run.cancel().")

    def _start(self, before: tuple[Message, ...], question: Message | None) -> Run:
        with self._lock:
            self._check_idle()
            settings = {k: v for k, v in self.parameters.items() if v is not None}
            parameters.check(self.model or catalog.HOSTED_DEFAULT, settings)
            sent = [m.to_api() for m in (*before, *([question] if question else [])) if m.enabled]
            self._failed, self.pending = question, question.text if question else None
            self.run = started = run.start(lambda: self._turn(sent, settings, before, question))
        for listener in list(self._listeners):
            listener(started)
        return started

    async def _turn(
        self,
        sent: list[dict[str, Any]],
        settings: dict[str, Any],
        before: tuple[Message, ...],
        question: Message | None,
    ) -> AsyncIterator[Delta | Wait | Reply]:
        try:
            async for item in self._ask(sent, settings):
                if isinstance(item, Reply):
                    self._keep(item, before, question)
                yield item
        except ChatkitError as error:
            yield Reply((), "error", error=error)

    async def _ask(self, sent: list[dict[str, Any]], settings: dict[str, Any]) -> AsyncIterator[Delta | Wait | Reply]:
        if self.endpoint is None or self.endpoint.local:
            async for word in self._find_endpoint():
                yield word
        assert self.endpoint is not None
        model = self.model or self.endpoint.model
        if not self.endpoint.local:
            _check_model(model, settings)
        client = await asyncio.to_thread(connect.shared_client, self.endpoint)
        async for item in Engine().stream(client, {"model": model, "messages": sent, **settings}):
            yield item

    async def _find_endpoint(self) -> AsyncIterator[Wait]:
        async for found in finding.find(self.endpoint):
            if isinstance(found, Wait):
                yield found
            else:
                self.endpoint = found

    def _keep(self, reply: Reply, before: tuple[Message, ...], question: Message | None) -> None:
        self.usage += reply.usage
        if not reply.came_back:
            return
        self._failed = self.pending = None
        answer = _as_message(reply)
        self._replies[answer.id] = reply
        if question is None:
            self.conversation.replace_all((*before, answer))
        else:
            self.conversation.replace_all((*self.conversation.messages, question, answer))

    def __repr__(self) -> str:
        return f"Chat({len(self.conversation)} messages, model={self.model or 'default'})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else "\n".join([repr(self), *map(_line, self.conversation)]))

    def _repr_html_(self) -> str:
        from chatkit.render.static import conversation_html

        return conversation_html(self.conversation.messages)


def _check_model(model: str, settings: dict[str, Any]) -> None:
    known = catalog.find(model)
    if gone := known.gone(datetime.now(UTC).date()):
        raise InputError(gone, "Nothing was sent.")
    if refusals := known.refusals(settings):
        raise InputError(" ".join(refusals), "Nothing was sent.")


def _as_message(reply: Reply) -> Message:
    answer = reply.answers[0]
    extra: dict[str, Any] = {}
    if answer.tool_calls:
        extra["tool_calls"] = [dict(call) for call in answer.tool_calls]
    if answer.refusal:
        extra["refusal"] = answer.refusal
    message = Message("assistant", answer.text, outcome=reply.outcome, extra=extra)
    sendable = reply.outcome != "filtered" and bool(answer.text or extra)
    return replace(message, enabled=sendable)


def _line(message: Message) -> str:
    mark = f" ({message.outcome})" if message.outcome not in (None, "complete") else ""
    return f"  {message.role}{mark}: {message.text}"
