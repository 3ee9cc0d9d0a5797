"""`Chat`, a conversation that a model answers.

In: a person's text, or a file. Out: a conversation that has grown, what is to be known of each answer, files. How a
turn is taken stands in turns.py, what it is asked with in settings.py.
"""

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatkit import typed
from chatkit.api.text import MARK
from chatkit.captions import captions_of, reply_caption
from chatkit.chats import history_writer, offered
from chatkit.chats import settings as context
from chatkit.chats.request import Request
from chatkit.chats.settings import Settings, Trim
from chatkit.chats.turns import ChatTurns
from chatkit.client.engine import Api
from chatkit.client.keys import veiled_all
from chatkit.conversation import file
from chatkit.conversation.branches import Branch
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.file import FileContent
from chatkit.conversation.message import HEADS, Message, heading, said
from chatkit.exceptions import InputError
from chatkit.render.text import line, tame
from chatkit.signs import fit_to_print, printable

if TYPE_CHECKING:
    import openai

    from chatkit.chats.inspection import Inspection
    from chatkit.conversation.diff import Diff


class Chat(ChatTurns):
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
        talk = conversation if isinstance(conversation, Conversation) else Conversation(conversation or ())
        super().__init__(talk, model=model, client=client, api=api, trim=trim, parameters=parameters)
        if system is not None:
            self.system = system
        self._told: dict[str, str] = {}
        self.keeper = history_writer.Keeper(self) if history else None

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

    # --- what there is

    @property
    def captions(self) -> Mapping[str, str]:
        """What each answer took, in words, by its message's id; and what has changed since it was asked for."""
        outdated = self.outdated
        return {name: " · ".join([took, *filter(None, [outdated.get(name)])]) for name, took in self._took().items()}

    @property
    def told(self) -> Mapping[str, str]:
        """What a file tells of the answers that were asked for before, by its message's id."""
        return MappingProxyType(self._told)

    def _took(self) -> dict[str, str]:
        """What each answer took: those that were asked for here, and those that a file tells of."""
        local = self.endpoint is not None and self.endpoint.free
        return self._told | {name: reply_caption(reply, local=local) for name, reply in self._replies.items()}

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The conversation's branches; `chat.conversation.checkout(name)` goes to one."""
        return self.conversation.branches

    def diff(self, a: str | Conversation, b: str | Conversation) -> "Diff":
        """Two branches side by side, with the words that differ."""
        return self.conversation.diff(a, b)

    def inspect(self, which: int | str = -1) -> "Inspection":
        """What was sent for an answer and what came back: as Python, curl, JSON and chunks, with times and cost.

        `which` is the answer's message, by index or id. Raises InputError for one that was not asked for here.
        """
        reply = self._replies.get(self.conversation[which].id)
        if reply is None:
            raise InputError(
                f"Message {which!r} has no request to look at.", "Name an answer that this chat asked for."
            )
        from chatkit.chats.inspection import Inspection

        return Inspection(reply, local=self.endpoint.local if self.endpoint else None)

    # --- turns

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

    # --- keeping

    def to_json(self) -> str:
        """The conversation with its branches, the model, the parameters and rules as JSON; never a key."""
        took = {"captions": captions} if (captions := self._took()) else {}
        text = self.conversation.to_json(self._settings().kept() | took)
        for key in self._keys():
            text = text.replace(key, MARK)
        return text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_json` to a file, whole or not at all."""
        return file.write(path, self.to_json())

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
        chat = cls.from_kept(file.read(path), client=client, history=history, trust=trust)
        if chat.set_aside:
            warnings.warn(f"{offered.sentence(chat.set_aside)} To take it: chat.accept().", stacklevel=2)
        return chat

    @classmethod
    def from_kept(
        cls,
        kept: FileContent,
        *,
        client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
        history: bool = True,
        trust: bool = False,
    ) -> "Chat":
        """A chat from what a file, or a text (`file.parse`), holds; see `load`."""
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
        chat._told = captions_of(kept.settings.get("captions"))
        return chat

    def export(self, path: str | os.PathLike[str], *, branches: bool = False) -> Path:
        """Write the conversation to a file for people: .md, .html (stands alone, fetches nothing) or .json.

        `branches` adds those that are not shown now; JSON has them always. Raises InputError for another ending.
        """
        return file.write(path, self.exported(typed.path(path).name, branches=branches))

    def exported(self, name: str, *, branches: bool = False) -> str:
        """The text that `export` writes to a file of that name."""
        from chatkit.render.export import exported

        others = {b.name: b.messages for b in self.branches if not b.current} if branches else {}
        title, shown = history_writer.title(self.conversation), self.conversation.messages
        return exported(name, shown, self.to_json(), captions=self.captions, title=title, branches=others)

    # --- made of

    def _head(self) -> Message | None:
        return next((m for m in self.conversation if m.role in HEADS), None)

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
        from chatkit.render.html import conversation_html

        return conversation_html(self.conversation.messages, captions=self.captions)


def _line(message: Message) -> str:
    head = heading(message)
    aside = f" ({line(head.aside)})" if head.aside else ""
    return tame(f"  {head.role}{aside}: {said(message)}")
