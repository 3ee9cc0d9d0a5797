"""A conversation as a file: JSON with each message once, and branches that name them by number.

In: lines of messages, or text that anybody may have written. Out: that text, or lines that have been checked; what
is wrong with a file is an InputError that names the field. Nothing of a file is ever executed.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from chatkit import typed
from chatkit.conversation.branches import FIRST, Messages, check_name
from chatkit.conversation.message import DEEPEST, Message, repair
from chatkit.exceptions import InputError
from chatkit.system import files

FORMAT = "chatkit.conversation.conversation/2"
OLD_FORMAT = "chatkit.conversation.conversation/1"
_FAMILY = "chatkit.conversation.conversation/"

LARGEST = 64 * 2**20
"""Bytes of a file that is read."""
MOST_BRANCHES = 10_000
LONGEST_ID = 100
_OWN = ("id", "enabled", "outcome", "note")


@dataclass(frozen=True)
class FileContent:
    """What a file holds: the lines of messages by branch, the branch that goes on, a chat's settings."""

    lines: Mapping[str, Messages]
    current: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def dump(kept: FileContent) -> str:
    """The text of the file."""
    numbers: dict[int, int] = {}
    messages: list[dict[str, Any]] = []
    branches = []
    for name, line in kept.lines.items():
        for message in line:
            if id(message) not in numbers:
                numbers[id(message)] = len(messages)
                messages.append(_dump(message))
        branches.append({"name": name, "messages": [numbers[id(message)] for message in line]})
    data = {"format": FORMAT, "current": kept.current, "branches": branches, "messages": messages}
    try:
        return json.dumps(data | {"settings": dict(kept.settings)}, ensure_ascii=False, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"The conversation cannot be written as JSON: {error}.") from None


def parse(text: str) -> FileContent:
    """What the text of a file holds; also of the first format, and of a bare list in the API's form."""
    data = _decode(text)
    if isinstance(data, list):
        return FileContent({FIRST: _line([_load(m, f"messages[{i}]") for i, m in enumerate(data)], "messages")}, FIRST)
    named = data.get("format") if isinstance(data, dict) else None
    if not isinstance(named, str) or not named.startswith(_FAMILY):
        raise InputError(f"This JSON is not a conversation; its format must be {FORMAT!r} or a list of messages.")
    if named not in (FORMAT, OLD_FORMAT):
        raise InputError(
            f"The format is {named[:60]!r}, which this version of chatkit does not know; it reads up to {FORMAT!r}.",
            "Update it: pip install -U notebook-chatkit",
        )
    messages = [_load(m, f"messages[{i}]") for i, m in enumerate(_a(list, data.get("messages"), "messages"))]
    if named == OLD_FORMAT:
        return FileContent({FIRST: _line(messages, "messages")}, FIRST)
    return _branches(data, messages)


def write(path: str | os.PathLike[str], text: str) -> Path:
    """Write a file, whole or not at all; InputError says why it cannot be, and the way out."""
    return files.save(typed.path(path), text)


def read(path: str | os.PathLike[str]) -> FileContent:
    """Read a file that `write` wrote, or that anybody wrote."""
    place = typed.path(path)
    if not place.is_file() and place.exists():  # a pipe would be waited for
        raise InputError(f"{place.name} is no file.", "Give a file that chatkit saved.")
    with place.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise InputError(f"{place.name} has more than {LARGEST // 2**20} MB; no conversation has.")
    try:
        return parse(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{place.name} is not a text file.", "Give a file that chatkit saved.") from None


def _decode(text: str) -> Any:
    if not isinstance(text, str):
        raise InputError(f"A conversation is read from text, not from {type(text).__name__}.")
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise InputError("This JSON is nested too deeply to be a conversation.") from None
    except ValueError as error:
        raise InputError(f"This is not JSON ({error}).", "Give the text that Conversation.to_json() wrote.") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _branches(data: Mapping[str, Any], messages: list[Message]) -> FileContent:
    lines: dict[str, Messages] = {}
    given = _a(list, data.get("branches"), "branches")
    if not 0 < len(given) <= MOST_BRANCHES:
        raise InputError(f"branches has {len(given)} items; it must have from 1 to {MOST_BRANCHES}.")
    for i, branch in enumerate(given):
        where = f"branches[{i}]"
        try:
            name = check_name(_a(dict, branch, where).get("name"), lines)
        except InputError as error:
            raise InputError(f"{where}.name: {error.cause}", error.way_out) from None
        numbers = _a(list, branch.get("messages"), f"{where}.messages")
        for place, number in enumerate(numbers):
            if type(number) is not int or not 0 <= number < len(messages):
                raise InputError(f"{where}.messages[{place}] is {_short(number)}; it must be a message's number.")
        lines[name] = _line([messages[number] for number in numbers], f"{where}.messages")
    if not isinstance(data.get("current"), str) or data["current"] not in lines:
        raise InputError(f"current is {_short(data.get('current'))}; it must be a branch's name.")
    settings = _a(dict, data.get("settings", {}), "settings")
    _check_depth(settings, "settings")
    return FileContent(lines, data["current"], settings)


def _line(messages: list[Message], where: str) -> Messages:
    seen: set[str] = set()
    for place, message in enumerate(messages):
        if message.id in seen:
            raise InputError(f"{where}[{place}]: the id {message.id!r} stands twice; ids are unique in a branch.")
        seen.add(message.id)
    return tuple(messages)


def _dump(message: Message) -> dict[str, Any]:
    own = {"id": message.id, "enabled": message.enabled, "outcome": message.outcome, "note": message.note}
    return message.to_api() | {"chatkit": own}


def _load(data: Any, where: str) -> Message:
    if not isinstance(data, dict):
        return Message.from_api(data, where)
    message = Message.from_api({k: v for k, v in data.items() if k != "chatkit"}, where)
    own = _a(dict, data.get("chatkit", {}), f"{where}.chatkit")
    known = {name: _own(name, own[name], f"{where}.chatkit.{name}") for name in _OWN if name in own}
    return replace(message, **known)


def _own(name: str, value: Any, where: str) -> Any:
    if name == "enabled":
        return _a(bool, value, where)
    if name == "id":
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
            raise InputError(f"{where} is {_short(value)}; it must be a short text.")
        return value
    return None if value is None else repair(_a(str, value, where))[0]


def _a(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
        raise InputError(f"{where} is {_short(value)}; it must be {names[kind]}.", "The file is damaged, or not one.")
    return value


def _check_depth(value: Any, where: str) -> None:
    level, layer = 0, [value]
    while layer:
        if level > DEEPEST:
            raise InputError(f"{where} is nested deeper than {DEEPEST} levels.")
        inner = [v.values() if isinstance(v, dict) else v for v in layer if isinstance(v, dict | list)]
        level, layer = level + 1, [item for items in inner for item in items]


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return "missing" if value is None else repr(value)[:60]
