"""Floor 0: branches of a conversation as values: lines of messages that begin alike and part somewhere.

In: lines by name. Out: where the line that is shown has alternatives (`forks`), and readable names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatkit.exceptions import InputError
from chatkit.lines import Line
from chatkit.message import Message, repair
from chatkit.signs import fit_to_print

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
    messages: Line
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

    messages: Line
    shown: int
    branches: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.messages)


def shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages two lines have in common from their start, by id and content."""
    count = 0
    for mine, others in zip(one, other, strict=False):
        if not mine.is_same(others):
            break
        count += 1
    return count


def forks(lines: Mapping[str, Line], current: str) -> dict[int, Variants]:
    """The places of the current line at which other branches go on with another message.

    >>> from chatkit.message import Message
    >>> question, short, long = Message("user", "Why?"), Message("assistant", "Because."), Message("assistant", "As …")
    >>> forks({"main": (question, short), "main-2": (question, long)}, "main-2")[1].shown
    1
    """
    line = lines[current]
    common = {name: shared(line, other) for name, other in lines.items()}
    places = {count for name, count in common.items() if count < min(len(line), len(lines[name]))}
    return {place: _variants(lines, current, common, place) for place in sorted(places)}


def _variants(lines: Mapping[str, Line], current: str, common: Mapping[str, int], place: int) -> Variants:
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


def begins(line: Line, other: Line) -> bool:
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
