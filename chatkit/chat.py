"""Floor 2: `Chat`, a conversation that a model answers.

In: a person's text. Out: `Run`s (handles on a turn), `Reply`s, and a conversation that has grown. A turn in which
nothing came back leaves the conversation as it was; a turn that is taken again keeps the old one as a branch.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatkit import context, conversation_file
from chatkit.branches import Branch, Line
from chatkit.captions import reply_caption
from chatkit.context import Preview, Selection, Trim
from chatkit.conversation import Conversation
from chatkit.conversation_file import Kept
from chatkit.endpoint import bodies, catalog, connect, parameters, run
from chatkit.endpoint.engine import Api, Engine
from chatkit.endpoint.reading import FILTERED, LENGTH
from chatkit.endpoint.redact import MARK, SECRET
from chatkit.endpoint.reply import Answer, Delta, Reply, Wait
from chatkit.endpoint.run import Run
from chatkit.exceptions import ChatkitError, InputError
from chatkit.keeping import keeper
from chatkit.ledger import tokens
from chatkit.ledger.record import NOTHING, Usage
from chatkit.message import HEADS, Message
from chatkit.render.plain_text import tame
from chatkit.worddiff import Diff

if TYPE_CHECKING:
    import openai

CONTINUE = "Continue."
CUT_OFF = ("length", "incomplete", "cancelled")
"""Outcomes of an answer that could go on."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A turn: the messages it goes on from, on which branch, its question if it is new, and all it is asked with.

    `cut` is the id of the first message that its answer replaces.
    """

    basis: Line
    branch: str
    question: Message | None
    cut: str | None
    model: str | None
    api: Api
    trim: Trim
    settings: Mapping[str, Any]

    @property
    def line(self) -> Line:
        """The messages that the answer follows."""
        return self.basis if self.question is None else (*self.basis, self.question)


class Chat:
    """A conversation with a model: send a text, get a reply; both are kept.

    `system` is the system message, `model` the model asked for (None: the endpoint's default), every
    other parameter (temperature, max_completion_tokens, seed, …) goes to the API as it is, after a
    check; `response_format` may be "json" or a JSON schema. `api` is "chat" (Chat Completions) or
    "responses"; the parameters keep their names for both. `trim` is the rule by which a long
    conversation is shortened for sending: "none", "oldest" turns until it fits the model's window, or
    a number of tokens. `client` says where calls go (one that `connect` made, or any openai client);
    without it the same rule as for `connect()` decides at the first turn. From its first answer on the chat
    is kept in `chatkit.history()`, unless `history` is False or `CHATKIT_HISTORY=off`.

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
        api: Api = "chat",
        trim: Trim = "none",
        history: bool = True,
        **parameters: Any,
    ) -> None:
        _refuse_connection(parameters)
        self.conversation = conversation if isinstance(conversation, Conversation) else Conversation(conversation or ())
        self.model = model
        self.parameters = parameters
        self.api = api
        self.trim = trim
        self.run: Run | None = None
        self.pending: str | None = None
        self.usage: Usage = NOTHING
        self.endpoint = connect.endpoint_of(client) if client is not None else None
        self._replies: dict[str, Reply] = {}
        self._answers: tuple[str, ...] = ()
        self._asked: _Asked | None = None
        self._failed: _Asked | None = None
        self._selection = Selection((), MappingProxyType({}), 0)
        self._counts = context.Counts()
        self._listeners: list[Callable[[Run], None]] = []
        self._on_reply: list[Callable[[Reply], object]] = []
        self._lock = threading.Lock()
        if system is not None:
            self.system = system
        if history:
            keeper.Keeper(self)

    # --- what it is asked with

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
    def api(self) -> Api:
        """The API that is asked: "chat" or "responses"."""
        return self._api

    @api.setter
    def api(self, api: Api) -> None:
        if api not in bodies.APIS:
            raise InputError(f"api is {api!r}; it must be 'chat' or 'responses'.")
        self._api: Api = api

    @property
    def trim(self) -> Trim:
        """The rule by which a long conversation is shortened for sending: "none", "oldest", or a number of tokens."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim) -> None:
        self._trim: Trim = context.check_trim(trim)

    # --- what there is

    @property
    def replies(self) -> Mapping[str, Reply]:
        """What each answer of this chat took, by its message's id; the answers of one reply have it in common."""
        return MappingProxyType(self._replies)

    @property
    def captions(self) -> Mapping[str, str]:
        """What each answer took, in words, by its message's id."""
        local = self.endpoint is not None and self.endpoint.local
        return {name: reply_caption(reply, local=local) for name, reply in self._replies.items()}

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The conversation's branches; `chat.conversation.checkout(name)` goes to one."""
        return self.conversation.branches

    @property
    def basis(self) -> Line:
        """The messages that the last turn goes on from; while it runs, its answer takes the place of any others."""
        return self._asked.basis if self._asked else ()

    @property
    def left_out(self) -> Mapping[str, str]:
        """Which messages the last turn did not send, by id, and why."""
        return self._selection.left_out

    @property
    def trimmed(self) -> str:
        """What the rule `trim` left out of the last turn, in a sentence; empty if nothing."""
        return self._selection.trimmed

    def diff(self, a: str | Conversation, b: str | Conversation) -> Diff:
        """Two branches side by side, with the words that differ."""
        return self.conversation.diff(a, b)

    # --- turns

    def send(self, text: str) -> Reply:
        """Ask, wait, and give back the reply; a reply that broke off says so in its `outcome`.

        Raises InputError before anything is sent, EndpointError when nothing came back. An interrupt
        cancels the turn and keeps what has come.
        """
        return self.stream(text).wait()

    def stream(self, text: str) -> Run:
        """Ask, and give back a handle at once: iterate it (`for`, `async for`), `await` it, `cancel()` it."""
        return self._start(_question(text))

    def retry(self) -> Reply:
        """Ask for the last answer again; the old one is kept as a variant, on its branch."""
        return self.restart().wait()

    def restart(self) -> Run:
        """`retry` as a handle."""
        messages = self.conversation.messages
        if self._failed is not None:
            return self._start(self._failed.question, self._failed.cut)
        end = len(messages)
        while end and messages[end - 1].role == "assistant":
            end -= 1
        if not any(m.role == "user" for m in messages[:end]):
            raise InputError("There is no question to ask again.", "Send one first.")
        return self._start(None, messages[end].id if messages[end:] else None)

    def rerun(self, which: int | str, text: str | None = None) -> Reply:
        """Ask an earlier question again, with other words if `text` is given, and go on from there.

        `which` is a message of the user's, or an answer that shall be given again (then without `text`),
        by index or id. The old line is kept as a branch.
        """
        return self.rerun_start(which, text).wait()

    def rerun_start(self, which: int | str, text: str | None = None) -> Run:
        """`rerun` as a handle."""
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
        if not any(m.role == "user" for m in messages[:place]):
            raise InputError(f"There is no question up to message {which!r}.", "Name a message of the user's.")
        return self._start(None, messages[place].id if messages[place:] else None)

    def resume(self) -> Reply:
        """Let an answer that was cut off (by its limit, or broken, or stopped) go on: asks "Continue."."""
        return self.resume_start().wait()

    def resume_start(self) -> Run:
        """`resume` as a handle."""
        last = next(reversed(self.conversation.messages), None)
        if last is None or last.role != "assistant" or last.outcome not in CUT_OFF:
            raise InputError("The last message is not an answer that was cut off.", "Send a message instead.")
        return self._start(_question(CONTINUE))

    def undo(self) -> tuple[Message, ...]:
        """Take the last question and all that followed it out again; gives back what was taken.

        The line with them is kept as a branch.
        """
        messages = self.conversation.messages
        asked = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
        self._check_idle()
        if messages[asked:]:
            self.conversation.go_on_with(messages[:asked])
        return messages[asked:]

    def keep(self, index: int, *, only: bool = False) -> Message:
        """Go on with the answer number `index` of the last reply (`n` > 1 gives several), counted from 0.

        The others stay variants of it; `only=True` drops their branches.
        """
        if not 0 <= index < len(self._answers):
            raise InputError(f"There is no answer {index}; the last reply has {len(self._answers)}, counted from 0.")
        chosen = self._answers[index]
        self._check_idle()
        self.conversation.show(chosen)
        others = set(self._answers) - {chosen}
        for branch in self.branches if only else ():
            if not branch.current and any(m.id in others for m in branch.messages):
                self.conversation.remove_branch(branch.name)
        return self.conversation[chosen]

    def drop_oldest(self, turns: int | None = None) -> tuple[Message, ...]:
        """Switch off the oldest turns, so that what is sent gets shorter; gives back what was switched off.

        Without a number: as many as do not fit the model's window; the older half where it is unknown, and one at
        least. They are kept and can be switched on again; `retry` then asks a question that was too long once more.
        """
        messages = self.conversation.messages
        on = context.turns(m for m in messages if m.enabled)
        droppable = on if self.pending else on[:-1]
        if not droppable:
            raise InputError("There is no older turn to leave out.", "Shorten the message, or start a new chat.")
        count = self._too_many(messages, droppable) if turns is None else turns
        if not 0 < count <= len(droppable):
            raise InputError(f"turns is {count!r}; it must be from 1 to {len(droppable)}.")
        gone = {message.id for turn in droppable[:count] for message in turn}
        self.conversation.replace_all(replace(m, enabled=False) if m.id in gone else m for m in messages)
        return tuple(message for message in self.conversation if message.id in gone)

    def preview(self, text: str | None = None) -> Preview:
        """What would be sent now, with `text` as the next question: the request, an estimate, what is wrong with it."""
        question = Message("user", text) if text and text.strip() else None
        asked, model = self._ask_for(question, None), self._model()
        selection = self._select(asked, model)
        messages = tuple(message.to_api() for message in selection.messages)
        faults = parameters.faults(model, asked.settings)
        body: Mapping[str, Any] = {"model": model, "messages": list(messages), **asked.settings}
        if not faults:
            try:
                body = bodies.build(asked.api, model, messages, asked.settings)
            except InputError as error:
                faults = [str(error)]
        window = self._window(model)
        faults += self._doubts(selection, asked, model, window)
        return Preview(
            messages, selection.left_out, selection.trimmed, selection.tokens, window, asked.api, body, tuple(faults)
        )

    def listen(self, listener: Callable[[Run], None]) -> Callable[[], None]:
        """Have `listener` called when a run starts, on the thread that started it; returns the way to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def on_reply(self, callback: Callable[[Reply], object]) -> Callable[[], None]:
        """Have `callback` called with the Reply after each turn, failed ones included; returns the way to stop.

        It is called on the engine's own thread ("chatkit-loop"), once the conversation has the answer and before
        `send` returns; it must not wait there (`stream` may be called, `send` not). Its errors are logged.
        """
        self._on_reply.append(callback)
        return lambda: self._on_reply.remove(callback) if callback in self._on_reply else None

    # --- keeping

    def to_json(self) -> str:
        """The conversation with its branches, the model, the parameters and rules, as JSON; never a key."""
        kept = {k: v for k, v in self.parameters.items() if k not in parameters.CONNECTION}
        settings = {"model": self.model, "parameters": kept, "api": self.api, "trim": self.trim}
        text = self.conversation.to_json(settings)
        for key in self._keys():
            text = text.replace(key, MARK)
        return text

    @classmethod
    def from_json(
        cls, text: str, *, client: "openai.OpenAI | openai.AsyncOpenAI | None" = None, history: bool = True
    ) -> "Chat":
        """A chat from what `to_json` gave; raises InputError for any other text."""
        return cls._from_kept(conversation_file.parse(text), client, history)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what `to_json` gives to a file, whole or not at all."""
        return conversation_file.write(path, self.to_json())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
        history: bool = True,
    ) -> "Chat":
        """A chat from a file that `save` wrote; raises InputError for any other file."""
        return cls._from_kept(conversation_file.read(path), client, history)

    def export(self, path: str | os.PathLike[str], *, branches: bool = False) -> Path:
        """Write the conversation to a file for people: .md, .html (stands alone, fetches nothing) or .json.

        `branches` adds those that are not shown now; JSON has them always. Raises InputError for another ending.
        """
        from chatkit.render.export import export

        others = {b.name: b.messages for b in self.branches if not b.current} if branches else {}
        title = keeper.title(self.conversation)
        shown = self.conversation.messages
        return export(path, shown, self.to_json(), captions=self.captions, title=title, branches=others)

    @classmethod
    def _from_kept(cls, kept: Kept, client: "openai.OpenAI | openai.AsyncOpenAI | None", history: bool) -> "Chat":
        settings = {k: v for k, v in kept.settings.items() if k in ("model", "parameters", "api", "trim")}
        model, given = settings.pop("model", None), settings.pop("parameters", {})
        if not isinstance(model, str | None):
            raise InputError(f"settings.model is {model!r:.60}; it must be text.")
        if not isinstance(given, dict):
            raise InputError("settings.parameters must be an object.")
        try:
            talk = Conversation.from_kept(kept)
            chat = cls(model=model, client=client, conversation=talk, history=history, **settings)
            _refuse_connection(given)
        except InputError as error:
            raise InputError(f"settings: {error.cause}", error.way_out) from None
        chat.parameters = given
        return chat

    # --- how a turn is taken

    def _head(self) -> Message | None:
        return next((m for m in self.conversation if m.role in HEADS), None)

    def _keys(self) -> list[str]:
        endpoint = self.endpoint
        held = [endpoint.api_key, *(str(value) for _, value in endpoint.azure)] if endpoint else []
        return [key for key in held if len(key) >= SECRET]

    def _model(self) -> str:
        return self.model or (self.endpoint.model if self.endpoint else catalog.HOSTED_DEFAULT)

    def _window(self, model: str) -> int | None:
        if self.endpoint is not None and self.endpoint.local:
            return self.endpoint.window
        return catalog.find(model).window if self.model or self.endpoint else None

    def _check_idle(self) -> None:
        if self.run is not None and not self.run.done:
            raise InputError("An answer is still coming.", "Wait for it, or stop it: chat.run.cancel().")

    def _ask_for(self, question: Message | None, cut: str | None) -> _Asked:
        settings = {k: v for k, v in self.parameters.items() if v is not None}
        present = next(branch for branch in self.branches if branch.current)
        line = present.messages
        if cut is not None:
            line = tuple(takewhile(lambda message: message.id != cut, line))
        return _Asked(line, present.name, question, cut, self.model, self.api, self.trim, settings)

    def _start(self, question: Message | None, cut: str | None = None) -> Run:
        with self._lock:
            self._check_idle()
            asked = self._ask_for(question, cut)
            model = self.model or catalog.HOSTED_DEFAULT
            parameters.check(model, asked.settings)
            bodies.build(asked.api, model, [m.to_api() for m in asked.line if m.enabled], asked.settings)
            self._asked = self._failed = asked
            self.pending = question.text if question else None
            self.run = started = run.start(lambda: self._turn(asked), self._tell)
        for listener in list(self._listeners):
            listener(started)
        return started

    def _tell(self, reply: Reply) -> None:
        for callback in list(self._on_reply):
            callback(reply)

    async def _turn(self, asked: _Asked) -> AsyncIterator[Delta | Wait | Reply]:
        try:
            async for item in self._ask(asked):
                if isinstance(item, Reply):
                    self._keep(item, asked)
                yield item
        except ChatkitError as error:
            yield Reply((), "error", error=error)

    async def _ask(self, asked: _Asked) -> AsyncIterator[Delta | Wait | Reply]:
        if self.endpoint is None or self.endpoint.local:
            async for word in self._find_endpoint():
                yield word
        assert self.endpoint is not None
        model = asked.model or self.endpoint.model
        if not self.endpoint.local:
            _check_model(model, asked.settings)
        self._selection = chosen = self._select(asked, model)
        body = bodies.build(asked.api, model, [m.to_api() for m in chosen.messages], asked.settings)
        client = await asyncio.to_thread(connect.shared_client, self.endpoint)
        async for item in Engine().stream(client, body, api=asked.api):
            if isinstance(item, Reply) and chosen.trimmed:
                item = replace(item, notes=(*item.notes, chosen.trimmed))
            yield item

    async def _find_endpoint(self) -> AsyncIterator[Wait]:
        loop, words = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def tell(word: str | None) -> None:
            loop.call_soon_threadsafe(words.put_nowait, word)

        find = connect.resolve if self.endpoint is None else partial(connect.refresh, self.endpoint)
        finding = asyncio.create_task(asyncio.to_thread(find, tell=tell))
        finding.add_done_callback(lambda _: words.put_nowait(None))
        while (word := await words.get()) is not None:
            yield Wait(0, 1, 1, word)
        self.endpoint = finding.result()

    def _keep(self, reply: Reply, asked: _Asked) -> None:
        self.usage += reply.usage
        if not reply.came_back:
            return
        self._failed = self.pending = None
        came = [answer for answer in reply.answers if _has_words(answer)] or reply.answers[:1] or (Answer(),)
        messages = [_as_message(answer, reply) for answer in came]
        self._answers = tuple(message.id for message in messages)
        self._replies |= dict.fromkeys(self._answers, reply)
        said = (*asked.line[len(asked.basis) :], messages[0])
        try:
            self.conversation.extend(said, on=asked.branch, instead_of=asked.cut, others=messages[1:])
        except InputError:  # the branch, or the message that is answered anew, was removed while the answer came
            present = self.conversation.current == asked.branch
            self.conversation.branch(messages=(*asked.basis, *said), checkout=present)

    # --- what is sent

    def _select(self, asked: _Asked, model: str) -> Selection:
        spoken = {k: v for k, v in asked.settings.items() if k in ("tools", "response_format") and v != "text"}
        return context.select(
            asked.line,
            asked.trim,
            counts=self._counts,
            model=model,
            window=self._window(model),
            answer=bodies.answer_limit(asked.settings),
            around=tokens.of_prompt(spoken) if spoken else 0,
        )

    def _too_many(self, messages: Line, droppable: list[Line]) -> int:
        window, model = self._window(self._model()), self._model()
        if window is None:
            return -(-len(droppable) // 2)
        pending = (Message("user", self.pending),) if self.pending else ()
        limit = bodies.answer_limit(self.parameters)
        fit = context.select(
            (*messages, *pending), "oldest", counts=self._counts, model=model, window=window, answer=limit
        )
        return max(1, sum(turn[0].id in fit.left_out for turn in droppable))

    def _doubts(self, selection: Selection, asked: _Asked, model: str, window: int | None) -> list[str]:
        """What an endpoint may find wrong with a request that can be sent."""
        found: list[str] = []
        if self.endpoint is not None and not self.endpoint.local:
            known = catalog.find(model)
            found += [*filter(None, [known.gone(datetime.now(UTC).date())]), *known.refusals(asked.settings)]
        if not any(message.role not in HEADS for message in selection.messages):
            found.append("There is no message to answer yet.")
        as_json = asked.settings.get("response_format") in ("json", {"type": "json_object"})
        if as_json and not any("json" in message.text.lower() for message in selection.messages):
            found.append("response_format is JSON and no message says the word JSON; OpenAI refuses that.")
        fits = context.room(window, bodies.answer_limit(asked.settings))
        if window is not None and fits is not None and selection.tokens > fits:
            found.append(
                f"About {selection.tokens:,} tokens are to be sent and the model takes {window:,}, answer included."
            )
        return found

    def __repr__(self) -> str:
        return f"Chat({len(self.conversation)} messages, model={self.model or 'default'})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else "\n".join([repr(self), *map(_line, self.conversation)]))

    def _repr_html_(self) -> str:
        from chatkit.render.static import conversation_html

        return conversation_html(self.conversation.messages, captions=self.captions)


def _question(text: str) -> Message:
    question = Message("user", text)
    if not question.text.strip():
        raise InputError("The message is empty.", "Write something first.")
    return question


def _refuse_connection(given: Mapping[str, Any]) -> None:
    for name in parameters.CONNECTION:
        if name in given:
            raise InputError(f"{name} is not a parameter of a chat.", "Chat(client=chatkit.connect(...)) says where.")


def _check_model(model: str, settings: Mapping[str, Any]) -> None:
    known = catalog.find(model)
    if gone := known.gone(datetime.now(UTC).date()):
        raise InputError(gone, "Nothing was sent.")
    if refusals := known.refusals(settings):
        raise InputError(" ".join(refusals), "Nothing was sent.")


def _has_words(answer: Answer) -> bool:
    return bool(answer.text or answer.refusal or answer.tool_calls)


def _as_message(answer: Answer, reply: Reply) -> Message:
    extra: dict[str, Any] = {}
    if answer.tool_calls:
        extra["tool_calls"] = [dict(call) for call in answer.tool_calls]
    if answer.refusal:
        extra["refusal"] = answer.refusal
    outcome = _outcome(answer, reply)
    message = Message("assistant", answer.text, outcome=outcome, extra=extra)
    return replace(message, enabled=outcome != "filtered" and bool(answer.text or extra))


def _outcome(answer: Answer, reply: Reply) -> str:
    """How one answer ended: by its own reason; one that has none ended as the whole reply did."""
    reason = answer.finish_reason
    if reason is None and reply.outcome not in ("length", "filtered"):
        return reply.outcome
    return "length" if reason in LENGTH else "filtered" if reason in FILTERED else "complete"


def _line(message: Message) -> str:
    mark = f" ({message.outcome})" if message.outcome not in (None, "complete") else ""
    return tame(f"  {message.role}{mark}: {message.text}")
