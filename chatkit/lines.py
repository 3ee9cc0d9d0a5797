"""A line of messages as a value: find a message in it, move one, check what is put in.

In: messages, or the API's form of them. Out: tuples in which each message has an id of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from chatkit.exceptions import InputError
from chatkit.message import Message, new_id

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
