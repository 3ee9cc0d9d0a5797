"""Floor 2: `Chat`, a conversation that a model answers.

In: a person's text. Out: `Run`s (handles on a turn), `Reply`s, and a conversation that has grown. A turn in which
nothing came back leaves the conversation as it was; a turn that is taken again keeps the old one as a branch.
"""

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatkit import answers, context, conversation_file, offered, typed
from chatkit.api.redact import MARK, SECRET
from chatkit.branches import Branch
from chatkit.captions import reply_caption
from chatkit.context import Selection, Trim
from chatkit.conversation import Conversation
from chatkit.conversation_file import Kept
from chatkit.endpoint import connect, finding, run
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.engine import Api, Engine
from chatkit.endpoint.keys import veiled_all
from chatkit.endpoint.reply import Delta, Reply, Wait
from chatkit.endpoint.run import Run
from chatkit.exceptions import ChatkitError, InputError
from chatkit.inspection import Inspection
from chatkit.keeping import keeper
from chatkit.ledger.record import NOTHING, Usage
from chatkit.lines import Line
from chatkit.message import HEADS, Message
from chatkit.parts import heading, said
from chatkit.render.plain_text import line, tame
from chatkit.request import Preview, Request
from chatkit.settings import Settings
from chatkit.signs import fit_to_print, printable
from chatkit.worddiff import Diff

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)

CONTINUE = "Continue."
CUT_OFF = ("length", "incomplete", "cancelled")
"""Outcomes of an answer that could go on."""


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

    Where a `.env` names the endpoint, a line says so before the first request: `announce` is called with it, `print`
    unless it is set otherwise; None is for who shows it in another way.

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
        parameters = veiled_all(parameters)
        Settings(parameters=parameters)  # refuses a key, which must not be kept in any attribute
        self.conversation = conversation if isinstance(conversation, Conversation) else Conversation(conversation or ())
        self.model = model
        self.parameters = parameters
        self.api = api
        self.trim = trim
        self.run: Run | None = None
        self.pending: str | None = None
        self.usage: Usage = NOTHING
        self.endpoint = connect.endpoint_of(client) if client is not None else None
        self.announce: Callable[[str], object] | None = print
        self._set_aside: dict[str, Any] = {}
        self._replies: dict[str, Reply] = {}
        self._answers: tuple[str, ...] = ()
        self._choices: tuple[str, ...] = ()
        self._asked: Request | None = None
        self._failed: Request | None = None
        self._selection = Selection((), MappingProxyType({}), 0)
        self._counts = context.Counts()
        self._listeners: list[Callable[[Run], None]] = []
        self._on_reply: list[Callable[[Reply], object]] = []
        self._lock = threading.Lock()
        if system is not None:
            self.system = system
        self.keeper = keeper.Keeper(self) if history else None

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
        self._api: Api = Settings(api=api).api

    @property
    def trim(self) -> Trim:
        """The rule by which a long conversation is shortened for sending: "none", "oldest", or a number of tokens."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim) -> None:
        self._trim: Trim = context.check_trim(trim)

    # --- what there is

    @property
    def choices(self) -> tuple[str, ...]:
        """The ids of the last reply's answers while there are several and none was kept."""
        return self._choices

    @property
    def replies(self) -> Mapping[str, Reply]:
        """What each answer of this chat took, by its message's id; the answers of one reply have it in common."""
        return MappingProxyType(self._replies)

    @property
    def captions(self) -> Mapping[str, str]:
        """What each answer took, in words, by its message's id."""
        local = self.endpoint is not None and self.endpoint.free
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
    def rejected(self) -> Mapping[str, str]:
        """Which parameters the present API or model would refuse, and why, a sentence each."""
        return self._settings().rejected(self.foreseen)

    @property
    def foreseen(self) -> Endpoint | None:
        """Where the next turn goes: the endpoint there is, else the one that the environment names.

        None where it names none: the local server will be started, and answer.
        """
        return self.endpoint or connect.foreseen()

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

    def inspect(self, which: int | str = -1) -> Inspection:
        """What was sent for an answer and what came back: as Python, curl, JSON and chunks, with times and cost.

        `which` is the answer's message, by index or id. Raises InputError for one that was not asked for here.
        """
        reply = self._replies.get(self.conversation[which].id)
        if reply is None:
            raise InputError(
                f"Message {which!r} has no request to look at.", "Name an answer that this chat asked for."
            )
        return Inspection(reply, local=self.endpoint.local if self.endpoint else None)

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
        if not _asks(messages[:end]):
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
        if not _asks(messages[:place]):
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
        self._choices = ()
        self.conversation.show(chosen)
        self.conversation.tell()  # showing the one that is shown already changes nothing
        others = set(self._answers) - {chosen}
        for branch in self.branches if only else ():
            if not branch.current and any(m.id in others for m in branch.messages):
                self.conversation.remove_branch(branch.name)
        return self.conversation[chosen]

    def drop_oldest(self, turns: int | None = None) -> tuple[Message, ...]:
        """Switch off the oldest turns that would be sent; gives back what was switched off.

        Without a number: as many as do not fit the model's window; the older half where it is unknown, and one at
        least. They are kept and can be switched on again; `retry` then asks a question that was too long once more.
        """
        failed = self._failed
        request = self._request(failed.question, failed.cut) if failed else self._request(None, None)
        on = context.turns(m for m in request.line if m.enabled)[:-1]
        trimmed = len(request.select(self.endpoint, self._counts).trimmed_turns)
        if len(on) <= trimmed:
            raise InputError("There is no older turn to leave out.", "Shorten the message, or start a new chat.")
        count = self._too_many(request, len(on) - trimmed, trimmed) if turns is None else turns
        if not 0 < count <= len(on) - trimmed:
            raise InputError(f"turns is {count!r}; it must be from 1 to {len(on) - trimmed}.")
        # those that the rule leaves out go too, or they would come back into the room that is made
        gone = [message.id for turn in on[: trimmed + count] for message in turn]
        return self.conversation.switch_all(gone, False)

    def preview(self, text: str | None = None) -> Preview:
        """What would be sent now, with `text` as the next question: the request, an estimate, what is wrong with it."""
        return self._request(_draft(text), None).preview(self.foreseen, self._counts)

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
        """The conversation with its branches, the model, the parameters and rules as JSON; never a key."""
        text = self.conversation.to_json(self._settings().kept())
        for key in self._keys():
            text = text.replace(key, MARK)
        return text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_json` to a file, whole or not at all."""
        return conversation_file.write(path, self.to_json())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
        history: bool = True,
        trust: bool = False,
    ) -> "Chat":
        """A chat from a file that `save` wrote; raises InputError for any other file.

        Settings that only shape an answer (temperature, seed, a schema, …) come along. What costs more or reaches out
        (several answers, tools, a web search, a dearer model, what is not known) is named in a warning and set aside
        (`set_aside`), until `accept` takes it; `trust` takes all of it at once, of a file that you wrote yourself.
        """
        chat = cls.from_kept(conversation_file.read(path), client=client, history=history, trust=trust)
        if chat.set_aside:
            warnings.warn(f"{offered.sentence(chat.set_aside)} To take it: chat.accept().", stacklevel=2)
        return chat

    @classmethod
    def from_kept(
        cls,
        kept: Kept,
        *,
        client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
        history: bool = True,
        trust: bool = False,
    ) -> "Chat":
        """A chat from what a file, or a text (`conversation_file.parse`), holds; see `load`."""
        settings = Settings.from_kept(kept.settings)
        asked, aside = (settings, {}) if trust else offered.parted(settings)
        talk = Conversation.from_kept(kept)
        chat = cls(
            model=asked.model,
            client=client,
            conversation=talk,
            api=asked.api,
            trim=asked.trim,
            history=history,
            **asked.parameters,
        )
        chat._set_aside = aside
        return chat

    @property
    def set_aside(self) -> Mapping[str, Any]:
        """What the file that this chat was loaded from sets beside, and nobody has taken yet, by name."""
        return MappingProxyType(self._set_aside)

    def accept(self) -> Mapping[str, Any]:
        """Take what the file sets and `set_aside` names; gives back what was taken."""
        taken = self.decline()
        self.model = taken.get("model", self.model)
        self.parameters |= {name: value for name, value in taken.items() if name != "model"}
        return taken

    def decline(self) -> Mapping[str, Any]:
        """Leave out for good what `set_aside` names; gives back what was left out."""
        gone, self._set_aside = self._set_aside, {}
        return gone

    def export(self, path: str | os.PathLike[str], *, branches: bool = False) -> Path:
        """Write the conversation to a file for people: .md, .html (stands alone, fetches nothing) or .json.

        `branches` adds those that are not shown now; JSON has them always. Raises InputError for another ending.
        """
        return conversation_file.write(path, self.exported(typed.path(path).name, branches=branches))

    def exported(self, name: str, *, branches: bool = False) -> str:
        """The text that `export` writes to a file of that name."""
        from chatkit.render.export import exported

        others = {b.name: b.messages for b in self.branches if not b.current} if branches else {}
        title, shown = keeper.title(self.conversation), self.conversation.messages
        return exported(name, shown, self.to_json(), captions=self.captions, title=title, branches=others)

    # --- how a turn is taken

    def _head(self) -> Message | None:
        return next((m for m in self.conversation if m.role in HEADS), None)

    def _keys(self) -> list[str]:
        endpoint = self.endpoint
        azure = dict(endpoint.azure) if endpoint else {}
        held = (endpoint and endpoint.api_key, azure.get("api_key"), azure.get("azure_ad_token"))
        return [key for key in held if isinstance(key, str) and len(key) >= SECRET]

    def _settings(self) -> Settings:
        return Settings(self.model, dict(self.parameters), self.api, self.trim)

    def _check_idle(self) -> None:
        if self.run is not None and not self.run.done:
            raise InputError("An answer is still coming.", "Wait for it, or stop it: chat.run.cancel().")

    def _request(self, question: Message | None, cut: str | None) -> Request:
        here = self.conversation.current_branch
        basis = tuple(takewhile(lambda message: message.id != cut, here.messages))
        cut = cut if len(basis) < len(here.messages) else None
        return Request(basis, here.name, question, cut, self._settings())

    def _start(self, question: Message | None, cut: str | None = None) -> Run:
        with self._lock:
            self._check_idle()
            asked = self._request(question, cut)
            asked.check()
            self._announce()
            self._asked = self._failed = asked
            self.pending = question.text if question else None
            self.run = started = run.start(lambda: self._turn(asked), self._tell)
        for listener in list(self._listeners):
            try:
                listener(started)
            except Exception:
                logger.exception("A listener of a chat failed; the turn goes on.")
        return started

    def _announce(self) -> None:
        """Say where the first request goes if a `.env` says so: it may be of a folder that somebody else made."""
        if self.endpoint is None and self.announce and (said := connect.announcement(self.model)):
            self.announce(printable(said))

    def _tell(self, reply: Reply) -> None:
        for callback in list(self._on_reply):
            try:
                callback(reply)
            except Exception:
                logger.exception("A callback of on_reply failed; the chat goes on.")

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
        async for found in finding.find(self.endpoint):
            if isinstance(found, Wait):
                yield found
            else:
                self.endpoint = found

    def _keep(self, reply: Reply, asked: Request) -> None:
        self.usage += reply.usage
        if not reply.came_back:
            return
        self._failed = self.pending = None
        messages = answers.messages(reply)
        self._answers = tuple(message.id for message in messages)
        self._choices = self._answers if len(messages) > 1 else ()
        self._replies |= dict.fromkeys(self._answers, reply)
        said = (*asked.line[len(asked.basis) :], messages[0])
        try:
            self.conversation.extend(said, on=asked.branch, instead_of=asked.cut, others=messages[1:])
        except InputError:  # the branch, or the message that is answered anew, was removed while the answer came
            before = (*asked.basis, *said[:-1])
            if self.conversation.current == asked.branch:
                self.conversation.go_on_with((*before, messages.pop(0)))
            for message in messages:
                self.conversation.branch(messages=(*before, message), checkout=False)

    def _too_many(self, request: Request, most: int, trimmed: int) -> int:
        """How many turns are to be left out beside those that the rule leaves out."""
        if request.settings.window(self.endpoint) is None:
            return -(-most // 2)
        asked = replace(request.settings, trim="oldest")
        fitting = replace(request, settings=asked).select(self.endpoint, self._counts)
        return max(1, len(fitting.trimmed_turns) - trimmed)

    @fit_to_print
    def __repr__(self) -> str:
        return line(f"Chat({len(self.conversation)} messages, model={self.model or 'default'})")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(printable(repr(self) if cycle else "\n".join([repr(self), *map(_line, self.conversation)])))

    def _repr_html_(self) -> str:
        from chatkit.render.static import conversation_html

        return conversation_html(self.conversation.messages, captions=self.captions)


def _asks(line: Line) -> bool:
    return any(message.role == "user" and message.enabled for message in line)


def _question(text: str) -> Message:
    question = Message("user", text)
    if not question.text.strip():
        raise InputError("The message is empty.", "Write something first.")
    return question


def _draft(text: str | None) -> Message | None:
    """A question that is not asked yet; always of one id, so that its estimates do not pile up."""
    return Message("user", text, id="draft") if text and text.strip() else None


def _line(message: Message) -> str:
    head = heading(message)
    aside = f" ({line(head.aside)})" if head.aside else ""
    return tame(f"  {head.role}{aside}: {said(message)}")
