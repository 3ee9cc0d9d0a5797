"""Values: lines of messages, and branches that begin alike and part somewhere.

In: lines by name. Out: which of them goes on, where it has alternatives (`forks`), and readable names. Nothing here
is guarded against other threads: conversation.py orders the changes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chatkit.conversation.message import Message, new_id, repair
from chatkit.exceptions import InputError
from chatkit.signs import fit_to_print

Messages = tuple[Message, ...]


def index(line: Messages, which: int | str) -> int:
    """The place of a message that is named by its index or its id; raises InputError where there is none."""
    if isinstance(which, int):
        if not -len(line) <= which < len(line):
            raise InputError(f"There is no message {which}; the conversation has {len(line)}, counted from 0.")
        return which % len(line)
    for place, message in enumerate(line):
        if message.id == which:
            return place
    raise InputError(f"There is no message with the id {which!r}.", "conversation.messages lists them.")


def gap(line: Messages, before: int | str) -> int:
    """The place before a message; the line's length is the place at its end."""
    return len(line) if before == len(line) else index(line, before)


def moved(line: Messages, which: int | str, before: int | str) -> Messages:
    """The line with one message put before another one.

    >>> said = tuple(Message("user", text) for text in "abc")
    >>> [message.text for message in moved(said, 0, before=2)]
    ['b', 'a', 'c']
    """
    start, target = index(line, which), gap(line, before)
    rest = line[:start] + line[start + 1 :]
    place = target - (start < target)
    return (*rest[:place], line[start], *rest[place:])


def checked(messages: Iterable[Message | Mapping[str, Any]]) -> Messages:
    """A line of messages, also from the API's form; what is wrong is named by its place."""
    return unique(
        tuple(m if isinstance(m, Message) else Message.from_api(m, f"messages[{i}]") for i, m in enumerate(messages))
    )


def unique(line: Messages) -> Messages:
    """The line, in which a message that stands twice gets an id of its own."""
    ids = [message.id for message in line]
    if len(set(ids)) == len(ids):
        return line
    return tuple(replace(m, id=new_id()) if m.id in ids[:place] else m for place, m in enumerate(line))


FIRST = "main"
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a conversation: its name, its messages, and whether it is the one that goes on.

    >>> import chatkit
    >>> chatkit.Conversation([{"role": "user", "content": "Hi"}]).branches
    (Branch('main', 1 messages, current),)
    """

    name: str
    messages: Messages
    current: bool = False

    @fit_to_print
    def __repr__(self) -> str:
        return f"Branch({self.name!r}, {len(self.messages)} messages{', current' if self.current else ''})"


@dataclass(frozen=True, slots=True)
class Variants:
    """What stands at one place after the same messages: the `messages`, oldest branch first, and which is `shown`.

    `branches` names for each the branches that hold it.

    >>> import chatkit
    >>> talk = chatkit.Conversation([{"role": "user", "content": "Hi"}])
    >>> _ = talk.branch(messages=[{"role": "user", "content": "Good day"}])
    >>> [message.text for message in talk.variants(0).messages]
    ['Hi', 'Good day']
    """

    messages: Messages
    shown: int
    branches: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.messages)


class Branches:
    """Several lines by name, one of which is current and goes on; the others wait."""

    def __init__(self, lines: Mapping[str, Messages], current: str) -> None:
        self.lines: dict[str, Messages] = dict(lines)
        self.current = current
        self._recent = [*(name for name in self.lines if name != current), current]  # by use, the current one last
        self._forks: dict[int, Variants] | None = None

    @property
    def line(self) -> Messages:
        """The messages of the current branch."""
        return self.lines[self.current]

    @line.setter
    def line(self, line: Messages) -> None:
        self.lines[self.current] = line

    def __iter__(self) -> Iterator[Branch]:
        return (Branch(name, line, name == self.current) for name, line in self.lines.items())

    def find(self, name: str) -> Messages:
        """The messages of a branch; raises InputError for a name that none has."""
        if not isinstance(name, str) or name not in self.lines:
            names = ", ".join(map(repr, list(self.lines)[:20]))
            raise InputError(f"There is no branch {name!r}.", f"There is {names}.")
        return self.lines[name]

    def changed(self) -> None:
        """Something has changed: where lines part is to be looked up anew."""
        self._forks = None

    @property
    def forks(self) -> dict[int, Variants]:
        """Where the current line has alternatives."""
        if self._forks is None:
            self._forks = forks(self.lines, self.current)
        return self._forks

    def variants(self, place: int) -> Variants:
        """What all branches have at that place of the current line after the same messages."""
        return self.forks.get(place) or Variants((self.line[place],), 0, ((self.current,),))

    def last_used(self, names: Iterable[str]) -> str:
        """That of these which was current last."""
        return max(names, key=self._recent.index)

    def holder(self, message_id: str) -> str:
        """The branch that holds the message, the one used last if there are several."""
        held = [name for name, line in self.lines.items() if any(message.id == message_id for message in line)]
        if not held:
            raise InputError(f"No branch has a message with the id {message_id!r}.")
        return self.last_used(held)

    def checkout(self, name: str) -> Branch:
        """Let another branch go on."""
        line = self.find(name)
        self.current = name
        self._recent.remove(name)
        self._recent.append(name)
        return Branch(name, line, True)

    def rename(self, old: str, new: str) -> None:
        """Give a branch another name; its place among the others stays."""
        self.find(old)
        new = check_name(new, self.lines.keys() - {old})
        self.lines = {new if name == old else name: line for name, line in self.lines.items()}
        self._recent = [new if name == old else name for name in self._recent]
        self.current = new if self.current == old else self.current

    def remove(self, name: str) -> Branch:
        """Drop a branch that is not the current one."""
        line = self.find(name)
        if name == self.current:
            raise InputError(f"{name!r} is the current branch.", "Go to another one first: checkout(name).")
        del self.lines[name]
        self._recent.remove(name)
        return Branch(name, line)

    def grow(self, name: str | None, line: Messages, checkout: bool, after: str | None = None) -> Branch:
        """One more branch; without a name it is called after another one, or after the current one."""
        name = free_name(self.lines, after or self.current) if name is None else check_name(name, self.lines)
        self.lines[name] = line
        self._recent.insert(len(self._recent) if checkout else 0, name)
        self.current = name if checkout else self.current
        return Branch(name, line, checkout)

    def turn_to(self, name: str, line: Messages) -> Branch:
        """Let a branch go on with a line: in its place, unless what it has would be lost."""
        old, current = self.lines[name], name == self.current
        others = [other for other_name, other in self.lines.items() if other_name != name]
        if not any(begins(old, other) for other in [line, *others]):
            return self.grow(None, line, current, after=name)
        self.lines[name] = line
        return Branch(name, line, current)


def shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages two lines have in common from their start, by id and content."""
    count = 0
    for mine, others in zip(one, other, strict=False):
        if not mine.is_same(others):
            break
        count += 1
    return count


def forks(lines: Mapping[str, Messages], current: str) -> dict[int, Variants]:
    """The places of the current line at which other branches go on with another message.

    >>> from chatkit.conversation.message import Message
    >>> question, short, long = Message("user", "Why?"), Message("assistant", "Because."), Message("assistant", "As …")
    >>> forks({"main": (question, short), "main-2": (question, long)}, "main-2")[1].shown
    1
    """
    line = lines[current]
    common = {name: shared(line, other) for name, other in lines.items()}
    places = {count for name, count in common.items() if count < min(len(line), len(lines[name]))}
    return {place: _variants(lines, current, common, place) for place in sorted(places)}


def _variants(lines: Mapping[str, Messages], current: str, common: Mapping[str, int], place: int) -> Variants:
    found: list[tuple[Message, list[str]]] = []
    for name, line in lines.items():
        if common[name] < place or len(line) <= place:
            continue
        message = line[place]
        same = next((names for other, names in found if message.is_same(other)), None)
        if same is None:
            found.append((message, [name]))
        else:
            same.append(name)
    shown = next(i for i, (_, names) in enumerate(found) if current in names)
    messages = tuple(lines[current][place] if i == shown else message for i, (message, _) in enumerate(found))
    return Variants(messages, shown, tuple(tuple(names) for _, names in found))


def begins(line: Messages, other: Messages) -> bool:
    """Whether `other` holds the whole line from its start, so that nothing is lost without it."""
    return len(line) <= len(other) and shared(line, other) == len(line)


def free_name(names: Iterable[str], after: str = FIRST) -> str:
    """A name that is not taken: the given one, numbered on.

    >>> free_name(["main", "main-2"], "main"), free_name(["main"], "formal")
    ('main-3', 'formal')
    """
    taken = set(names)
    if after not in taken:
        return after
    stem = re.sub(r"-\d+$", "", after)
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def check_name(name: Any, taken: Iterable[str] = ()) -> str:
    """The name without space around it; raises InputError for what cannot be a branch's name."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"A branch's name is {name!r}; it must be some text.", "For example: 'formal'.")
    clean, _ = repair(name.strip())
    if len(clean) > LONGEST_NAME or not clean.isprintable():
        raise InputError(f"A branch's name is {clean[:40]!r}…; it must be one line of at most {LONGEST_NAME} letters.")
    if clean in taken:
        raise InputError(f"There is a branch {clean!r} already.", "Take another name, or remove that one.")
    return clean
