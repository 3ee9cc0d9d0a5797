"""Floor 0: the conversation: branches of immutable messages that can be edited in every way.

In: what a person, a model or a file says. Out: the API's list of messages (`to_api`), JSON, a diff. Any thread may
read and change it: a reader gets a snapshot, and one lock orders the changes.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chatkit import conversation_file, lines, worddiff
from chatkit.branches import FIRST, Branch, Variants, begins, check_name, forks, free_name
from chatkit.conversation_file import Kept
from chatkit.exceptions import InputError
from chatkit.lines import Line
from chatkit.message import ROLES as ROLES
from chatkit.message import Content as Content
from chatkit.message import Message as Message
from chatkit.message import Role as Role
from chatkit.message import repair as repair
from chatkit.signs import fit_to_print
from chatkit.worddiff import Diff

logger = logging.getLogger(__name__)


class Conversation:
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

    def __init__(self, messages: Iterable[Message | Mapping[str, Any]] = ()) -> None:
        self._lock = threading.RLock()
        self._lines: dict[str, Line] = {FIRST: lines.checked(messages)}
        self._current = FIRST
        self._recent: list[str] = [FIRST]  # by use, the current one last
        self._forks: dict[int, Variants] | None = None
        self._listeners: list[Callable[[], None]] = []

    # --- messages

    @property
    def messages(self) -> Line:
        """The messages of the current branch, those switched off included."""
        with self._lock:
            return self._lines[self._current]

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __getitem__(self, which: int | str) -> Message:
        line = self.messages
        return line[lines.index(line, which)]

    def index(self, which: int | str) -> int:
        """The place of a message, counted from 0."""
        return lines.index(self.messages, which)

    def add(self, role: Role, content: Content, **more: Any) -> Message:
        """Put a message at the end."""
        message = Message(role, content, **more)
        self._change(lambda line: (*line, message))
        return message

    def insert(self, before: int | str, role: Role, content: Content, **more: Any) -> Message:
        """Put a message before another one; `before=len(conversation)` is the end."""
        return self._put_in(before, Message(role, content, **more))

    def insert_after(self, which: int | str, role: Role, content: Content, **more: Any) -> Message:
        """Put a message after another one."""
        return self._put_in(which, Message(role, content, **more), after=True)

    def move(self, which: int | str, before: int | str) -> Message:
        """Put a message elsewhere: before another one, or at the end (`before=len(conversation)`)."""
        message = self[which]
        self._change(lambda line: lines.moved(line, message.id, before))
        return message

    def edit(self, which: int | str, content: Content) -> Message:
        """Change what a message says; its id stays."""
        return self._put(which, content=content, outcome=None, note=None)

    def change_role(self, which: int | str, role: Role) -> Message:
        """Change who speaks."""
        return self._put(which, role=role)

    def switch(self, which: int | str, enabled: bool) -> Message:
        """Switch a message off (kept, not sent) or on again."""
        return self._put(which, enabled=enabled)

    def switch_all(self, ids: Iterable[str], enabled: bool) -> Line:
        """Switch all messages of these ids off or on, as one change; ids of other branches are let go."""
        named = set(ids)
        self._change(lambda line: tuple(replace(m, enabled=enabled) if m.id in named else m for m in line))
        return tuple(message for message in self.messages if message.id in named)

    def remove(self, which: int | str) -> Message:
        """Take a message out."""
        taken: list[Message] = []

        def without(line: Line) -> Line:
            index = lines.index(line, which)
            taken.append(line[index])
            return line[:index] + line[index + 1 :]

        self._change(without)
        return taken[0]

    def replace_all(self, messages: Iterable[Message | Mapping[str, Any]]) -> None:
        """Put other messages in the place of all of them, as one change."""
        line = lines.checked(messages)
        self._change(lambda _: line)

    # --- branches

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All branches, the oldest first."""
        with self._lock:
            return tuple(Branch(name, line, name == self._current) for name, line in self._lines.items())

    @property
    def current_branch(self) -> Branch:
        """The current branch."""
        with self._lock:
            return Branch(self._current, self._lines[self._current], True)

    @property
    def current(self) -> str:
        """The name of the current branch."""
        with self._lock:
            return self._current

    def branch(
        self,
        name: str | None = None,
        messages: Iterable[Message | Mapping[str, Any]] | None = None,
        *,
        checkout: bool = True,
    ) -> Branch:
        """Keep the current line under its name and go on on a new branch, with the same messages or others.

        Without a name the branch is called after the current one: main, main-2, main-3. With
        `checkout=False` the new branch is only laid beside the current one.
        """
        line = None if messages is None else lines.checked(messages)
        with self._changing():
            return self._grow(name, self.messages if line is None else line, checkout)

    def checkout(self, name: str) -> Branch:
        """Go on on another branch."""
        if name == self.current:
            return Branch(name, self.messages, True)
        with self._changing():
            branch = Branch(name, self._line(name), True)
            self._current = name
            self._recent.remove(name)
            self._recent.append(name)
        return branch

    def tell(self) -> None:
        """Have the listeners look again: something that is shown beside the messages has changed."""
        with self._changing():
            pass

    def rename_branch(self, old: str, new: str) -> None:
        """Give a branch another name; its place among the others stays."""
        with self._changing():
            self._line(old)
            new = check_name(new, self._lines.keys() - {old})
            self._lines = {new if name == old else name: line for name, line in self._lines.items()}
            self._recent = [new if name == old else name for name in self._recent]
            self._current = new if self._current == old else self._current

    def remove_branch(self, name: str) -> Branch:
        """Drop a branch and what only it holds; not the current one."""
        with self._changing():
            line = self._line(name)
            if name == self._current:
                raise InputError(f"{name!r} is the current branch.", "Go to another one first: checkout(name).")
            del self._lines[name]
            self._recent.remove(name)
        return Branch(name, line)

    def go_on_with(self, messages: Iterable[Message | Mapping[str, Any]]) -> Branch:
        """Go on with these messages instead of the current line; that one is kept as a branch if it would be lost.

        It would not be if the new line, or another branch, begins with all of it: then the current branch changes.
        """
        line = lines.checked(messages)
        with self._changing():
            return self._turn_to(self._current, line)

    def extend(
        self,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        on: str | None = None,
        instead_of: str | None = None,
        others: Iterable[Message] = (),
    ) -> Branch:
        """Put messages at the end of a branch (`on`, or the current one), as one change.

        `instead_of` is the id of a message that they replace with all that follows; the old line is kept as a branch
        if it would be lost. Each of `others` becomes a variant of the last message, on a branch of its own. A branch
        that is not the current one does not become it.
        """
        more = lines.checked(messages)
        with self._changing():
            name = self._current if on is None else on
            line = self._line(name)
            start = line[: None if instead_of is None else lines.index(line, instead_of)]
            made = self._turn_to(name, lines.unique(start + more))
            for other in others:
                self._grow(None, (*made.messages[:-1], other), False, after=made.name)
            return made

    def show(self, message_id: str) -> Branch:
        """Go to the branch that holds the message; to the one used last, if there are several."""
        with self._lock:
            held = (n for n in reversed(self._recent) if any(m.id == message_id for m in self._lines[n]))
            name = next(held, None)
        if name is None:
            raise InputError(f"No branch has a message with the id {message_id!r}.")
        return self.checkout(name)

    @property
    def forks(self) -> Mapping[int, Variants]:
        """Where other branches go on with another message: the place in the current branch, and its variants."""
        with self._lock:
            if self._forks is None:
                self._forks = forks(self._lines, self._current)
            return dict(self._forks)

    def variants(self, which: int | str) -> Variants:
        """What all branches have at this message's place after the same messages, and which of it is shown."""
        with self._lock:
            place = self.index(which)
            alone = Variants((self.messages[place],), 0, ((self._current,),))
            return self.forks.get(place, alone)

    def choose(self, which: int | str, variant: int) -> Message:
        """Show another variant of a message, on the branch that was used last of those that hold it."""
        with self._lock:
            place, found = self.index(which), self.variants(which)
            if not 0 <= variant < len(found):
                raise InputError(f"There is no variant {variant}; this message has {len(found)}, counted from 0.")
            branch = max(found.branches[variant], key=self._recent.index)
        return self.checkout(branch).messages[place]

    def diff(self, a: "str | Conversation", b: "str | Conversation") -> Diff:
        """Two branches, by name, or two conversations, side by side; what differs word by word."""
        (left, left_name), (right, right_name) = self._side(a), self._side(b)
        return worddiff.diff(left, right, left_name, right_name)

    # --- out and in

    def to_api(self) -> list[dict[str, Any]]:
        """The list of messages as the API takes it, without those switched off."""
        return [message.to_api() for message in self.messages if message.enabled]

    def to_json(self, settings: Mapping[str, Any] | None = None) -> str:
        """The whole conversation as JSON: all branches, messages switched off, outcomes, and a chat's settings."""
        with self._lock:
            kept = Kept(dict(self._lines), self._current, settings or {})
        return conversation_file.dump(kept)

    @classmethod
    def from_json(cls, text: str) -> "Conversation":
        """A conversation from `to_json`'s text, or from a JSON list in the API's form."""
        return cls.from_kept(conversation_file.parse(text))

    @classmethod
    def from_kept(cls, kept: Kept) -> "Conversation":
        """A conversation from what a file holds."""
        talk = cls()
        talk._lines, talk._current = dict(kept.lines), kept.current
        talk._recent = [*(name for name in talk._lines if name != kept.current), kept.current]
        return talk

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the conversation to a file, whole or not at all."""
        return conversation_file.write(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Conversation":
        """Read a conversation from a file that `save` wrote; raises InputError for any other file."""
        return cls.from_kept(conversation_file.read(path))

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after each change, on the thread that made it; returns the way to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    @fit_to_print
    def __repr__(self) -> str:
        with self._lock:
            branches = f", {len(self._lines)} branches" if len(self._lines) > 1 else ""
            return f"Conversation({len(self)} messages{branches})"

    # --- how a change is made

    def _line(self, name: str) -> Line:
        if not isinstance(name, str) or name not in self._lines:
            names = ", ".join(map(repr, list(self._lines)[:20]))
            raise InputError(f"There is no branch {name!r}.", f"There is {names}.")
        return self._lines[name]

    def _side(self, given: "str | Conversation") -> tuple[Line, str]:
        if isinstance(given, Conversation):
            return given.messages, given.current
        with self._lock:
            return self._line(given), given

    def _put(self, which: int | str, **changes: Any) -> Message:
        made: list[Message] = []

        def changed(line: Line) -> Line:
            index = lines.index(line, which)
            made.append(replace(line[index], **changes))
            return (*line[:index], made[0], *line[index + 1 :])

        self._change(changed)
        return made[0]

    def _put_in(self, which: int | str, message: Message, *, after: bool = False) -> Message:
        def longer(line: Line) -> Line:
            index = lines.index(line, which) + 1 if after else lines.gap(line, which)
            return (*line[:index], message, *line[index:])

        self._change(longer)
        return message

    def _turn_to(self, name: str, line: Line) -> Branch:
        """Let a branch go on with a line: in its place, unless what it has would be lost."""
        old, current = self._lines[name], name == self._current
        others = [other for other_name, other in self._lines.items() if other_name != name]
        if not any(begins(old, other) for other in [line, *others]):
            return self._grow(None, line, current, after=name)
        self._lines[name] = line
        return Branch(name, line, current)

    def _grow(self, name: str | None, line: Line, checkout: bool, after: str | None = None) -> Branch:
        name = free_name(self._lines, after or self._current) if name is None else check_name(name, self._lines)
        self._lines[name] = line
        self._recent.insert(len(self._recent) if checkout else 0, name)
        self._current = name if checkout else self._current
        return Branch(name, line, checkout)

    def _change(self, make: Callable[[Line], Line]) -> None:
        with self._changing():
            self._lines[self._current] = lines.unique(make(self._lines[self._current]))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
            self._forks = None
        # not under the lock: a listener may wait for one that a reader of this conversation holds
        for listener in list(self._listeners):
            try:
                listener()
            except Exception:
                logger.exception("A listener of a conversation failed; the conversation has changed all the same.")
