"""The conversation: immutable messages that can be edited in every way, on branches (branched.py).

In: what a person, a model or a file says. Out: the API's list of messages (`to_api`), JSON, a diff. Any thread may
read and change it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatkit.conversation import branches as lines
from chatkit.conversation import file
from chatkit.conversation.branched import Branched
from chatkit.conversation.branches import Branches, Messages
from chatkit.conversation.file import FileContent
from chatkit.conversation.message import ROLES as ROLES
from chatkit.conversation.message import Content as Content
from chatkit.conversation.message import Message as Message
from chatkit.conversation.message import Role as Role
from chatkit.conversation.message import repair as repair
from chatkit.signs import fit_to_print

if TYPE_CHECKING:
    from chatkit.conversation.diff import Diff


class Conversation(Branched):
    """Messages in order, on one branch of several. Every change makes a new message in the old one's place.

    What is said of a message (`which`) is its index or its id.

    >>> talk = Conversation([{"role": "system", "content": "Be brief."}])
    >>> question = talk.add("user", "Where was the 2014 World Cup?")
    >>> talk.to_api()[-1]
    {'role': 'user', 'content': 'Where was the 2014 World Cup?'}
    >>> talk.branch("formal")
    Branch('formal', 2 messages, current)
    >>> talk.edit(0, "Be formal.").text, talk.checkout("main").messages[0].text
    ('Be formal.', 'Be brief.')
    """

    # --- messages

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __getitem__(self, which: int | str) -> Message:
        line = self.messages
        return line[lines.index(line, which)]

    def add(self, role: Role, content: Content | None, **more: Any) -> Message:
        """Put a message at the end; the API's other fields are given by their names (`tool_calls=[…]`)."""
        message = Message.of(role, content, **more)
        self._change(lambda line: (*line, message))
        return message

    def insert(self, before: int | str, role: Role, content: Content | None, **more: Any) -> Message:
        """Put a message before another one; `before=len(conversation)` is the end."""
        return self._put_in(before, Message.of(role, content, **more))

    def insert_after(self, which: int | str, role: Role, content: Content | None, **more: Any) -> Message:
        """Put a message after another one."""
        return self._put_in(which, Message.of(role, content, **more), after=True)

    def move(self, which: int | str, before: int | str) -> Message:
        """Put a message elsewhere: before another one, or at the end (`before=len(conversation)`)."""
        message = self[which]
        self._change(lambda line: lines.moved(line, message.id, before), "Message moved.")
        return message

    def edit(self, which: int | str, content: Content) -> Message:
        """Change what a message says; its id stays. `undo` takes it back, as it does each change that loses something."""
        return self._put(which, "Message edited.", content=content, outcome=None, note=None)

    def change_role(self, which: int | str, role: Role) -> Message:
        """Change who speaks."""
        return self._put(which, "Role changed.", role=role)

    def switch(self, which: int | str, enabled: bool) -> Message:
        """Switch a message off (kept, not sent) or on again."""
        return self._put(which, "", enabled=enabled)

    def switch_all(self, ids: Iterable[str], enabled: bool) -> Messages:
        """Switch all messages of these ids off or on, as one change; ids of other branches are let go."""
        named = set(ids)
        self._change(lambda line: tuple(replace(m, enabled=enabled) if m.id in named else m for m in line))
        return tuple(message for message in self.messages if message.id in named)

    def remove(self, which: int | str) -> Message:
        """Take a message out."""
        taken: list[Message] = []

        def without(line: Messages) -> Messages:
            index = lines.index(line, which)
            taken.append(line[index])
            return line[:index] + line[index + 1 :]

        self._change(without, "Message removed.")
        return taken[0]

    def replace_all(self, messages: Iterable[Message | Mapping[str, Any]]) -> None:
        """Put other messages in the place of all of them, as one change."""
        line = lines.checked(messages)
        self._change(lambda _: line, "Messages replaced.")

    def diff(self, a: "str | Conversation", b: "str | Conversation") -> "Diff":
        """Two branches, by name, or two conversations, side by side; what differs word by word."""
        (left, left_name), (right, right_name) = self._side(a), self._side(b)
        from chatkit.conversation.diff import diff

        return diff(left, right, left_name, right_name)

    # --- out and in

    def to_api(self) -> list[dict[str, Any]]:
        """The list of messages as the API takes it, without those switched off."""
        return [message.to_api() for message in self.messages if message.enabled]

    def to_json(self, settings: Mapping[str, Any] | None = None) -> str:
        """The whole conversation as JSON: all branches, messages switched off, outcomes, and a chat's settings."""
        with self._lock:
            kept = FileContent(dict(self._branches.lines), self._branches.current, settings or {})
        return file.dump(kept)

    @classmethod
    def from_json(cls, text: str) -> "Conversation":
        """A conversation from `to_json`'s text, or from a JSON list in the API's form."""
        return cls.from_kept(file.parse(text))

    @classmethod
    def from_kept(cls, kept: FileContent) -> "Conversation":
        """A conversation from what a file holds."""
        talk = cls()
        talk._branches = Branches(kept.lines, kept.current)
        return talk

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the conversation to a file, whole or not at all."""
        return file.write(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Conversation":
        """Read a conversation from a file that `save` wrote; raises InputError for any other file."""
        return cls.from_kept(file.read(path))

    @fit_to_print
    def __repr__(self) -> str:
        with self._lock:
            count = len(self._branches.lines)
            branches = f", {count} branches" if count > 1 else ""
            return f"Conversation({len(self)} messages{branches})"

    # --- how a change is made

    def _side(self, given: "str | Conversation") -> tuple[Messages, str]:
        if isinstance(given, Conversation):
            return given.messages, given.current
        with self._lock:
            return self._branches.find(given), given

    def _put(self, which: int | str, what: str, **changes: Any) -> Message:
        made: list[Message] = []

        def changed(line: Messages) -> Messages:
            index = lines.index(line, which)
            made.append(replace(line[index], **changes))
            return (*line[:index], made[0], *line[index + 1 :])

        self._change(changed, what)
        return made[0]

    def _put_in(self, which: int | str, message: Message, *, after: bool = False) -> Message:
        def longer(line: Messages) -> Messages:
            index = lines.index(line, which) + 1 if after else lines.gap(line, which)
            return (*line[:index], message, *line[index:])

        self._change(longer)
        return message
