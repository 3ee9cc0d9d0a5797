"""Floor 0: the conversation, a list of immutable messages that can be edited in every way.

In: what a person, a model or a file says. Out: the API's list of messages (`to_api`), or JSON.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args
from uuid import uuid4

from chatkit.exceptions import InputError

Role = Literal["system", "developer", "user", "assistant", "tool"]
Content = str | tuple[Mapping[str, Any], ...]

ROLES: tuple[str, ...] = get_args(Role)
FORMAT = "chatkit.conversation/1"


def _new_id() -> str:
    return uuid4().hex[:12]


def repair(text: str) -> tuple[str, str | None]:
    """Replace what UTF-8 or JSON cannot carry (lone surrogates, NUL) and say so in a note.

    >>> repair("a\\x00b")
    ('a\\ufffdb', '1 character that cannot be sent was replaced by \\ufffd.')
    """
    mended = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
    changed = sum(a != b for a, b in zip(text, mended, strict=True))
    if not changed:
        return text, None
    noun = "character that cannot be sent was" if changed == 1 else "characters that cannot be sent were"
    return mended, f"{changed} {noun} replaced by \ufffd."


@dataclass(frozen=True, slots=True)
class Message:
    """One message: who speaks (`role`) and what (`content`: text, or the API's list of parts).

    `enabled` False keeps the message but does not send it. `outcome` says how an answer ended
    (complete, length, filtered, incomplete, cancelled), `note` what was done to the text. `extra`
    holds the API's other fields (name, tool_calls, tool_call_id, refusal).

    >>> Message("user", "Hello").to_api()
    {'role': 'user', 'content': 'Hello'}
    """

    role: Role
    content: Content | None
    id: str = field(default_factory=_new_id, compare=False)
    enabled: bool = True
    outcome: str | None = None
    note: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"role is {self.role!r}; it must be one of {', '.join(ROLES)}.")
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
        if isinstance(self.content, str):
            text, note = repair(self.content)
            object.__setattr__(self, "content", text)
            object.__setattr__(self, "note", note or self.note)
        else:
            object.__setattr__(self, "content", _parts(self.content, self.role, self.extra))

    @property
    def text(self) -> str:
        """The message's text; of a list of parts, those that are text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(part.get("text", "")) for part in self.content or ())

    def to_api(self) -> dict[str, Any]:
        """The message as the API takes it."""
        content = self.content if isinstance(self.content, str | None) else [dict(part) for part in self.content]
        return {"role": self.role, "content": content, **self.extra}

    @classmethod
    def from_api(cls, message: Mapping[str, Any], where: str = "message") -> "Message":
        """A message from the API's form; `where` names it in the errors."""
        if not isinstance(message, Mapping):
            raise InputError(f"{where} is {type(message).__name__}; it must be a dict with role and content.")
        rest = {k: v for k, v in message.items() if k not in ("role", "content")}
        try:
            return cls(message.get("role"), message.get("content"), extra=rest)  # type: ignore[arg-type]  # checked there
        except InputError as error:
            raise InputError(f"{where}: {error.cause}", error.way_out) from None


def _parts(content: object, role: str, extra: Mapping[str, Any]) -> Content | None:
    if content is None and role == "assistant" and extra:
        return None
    if isinstance(content, list | tuple) and content and all(isinstance(part, Mapping) for part in content):
        return tuple(MappingProxyType(dict(part)) for part in content)
    raise InputError(
        f"content is {type(content).__name__}; it must be text or a list of the API's parts.",
        "Bytes are made text by .decode().",
    )


class Conversation:
    """Messages in order. Every change makes a new message in the old one's place.

    >>> talk = Conversation([{"role": "system", "content": "Be brief."}])
    >>> question = talk.add("user", "Where was the 2014 World Cup?")
    >>> talk.to_api()[-1]
    {'role': 'user', 'content': 'Where was the 2014 World Cup?'}
    """

    def __init__(self, messages: Iterable[Message | Mapping[str, Any]] = ()) -> None:
        self._messages: list[Message] = [_as_message(m, f"messages[{i}]") for i, m in enumerate(messages)]
        self._listeners: list[Callable[[], None]] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages, those switched off included."""
        return tuple(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __getitem__(self, which: int | str) -> Message:
        return self._messages[self._index(which)]

    def add(self, role: Role, content: Content, **more: Any) -> Message:
        """Put a message at the end."""
        return self.insert(len(self), role, content, **more)

    def insert(self, before: int | str, role: Role, content: Content, **more: Any) -> Message:
        """Put a message before another one, named by index or id."""
        message = Message(role, content, **more)
        index = len(self) if before == len(self) else self._index(before)
        self._messages.insert(index, message)
        self._changed()
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

    def remove(self, which: int | str) -> Message:
        """Take a message out."""
        message = self._messages.pop(self._index(which))
        self._changed()
        return message

    def replace_all(self, messages: Iterable[Message]) -> None:
        """Put other messages in the place of all of them, as one change."""
        self._messages = list(messages)
        self._changed()

    def to_api(self) -> list[dict[str, Any]]:
        """The list of messages as the API takes it, without those switched off."""
        return [message.to_api() for message in self._messages if message.enabled]

    def to_json(self) -> str:
        """The whole conversation as JSON, messages switched off and outcomes included."""
        return json.dumps({"format": FORMAT, "messages": [_dump(m) for m in self]}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Conversation":
        """A conversation from `to_json`'s text, or from a JSON list in the API's form."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise InputError(
                f"This is not JSON ({error}).", "Give the text that Conversation.to_json() wrote."
            ) from None
        if isinstance(data, list):
            return cls(data)
        if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("messages"), list):
            raise InputError(f"This JSON is not a conversation; its format must be {FORMAT!r} or a list of messages.")
        return cls(_load(m, f"messages[{i}]") for i, m in enumerate(data["messages"]))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the conversation to a file, whole or not at all."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.{_new_id()}")
        draft.write_text(self.to_json(), encoding="utf-8")
        draft.replace(target)
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Conversation":
        """Read a conversation from a file that `save` wrote."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after each change, on the thread that made it; returns the way to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def __repr__(self) -> str:
        return f"Conversation({len(self)} messages)"

    def _index(self, which: int | str) -> int:
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise InputError(f"There is no message {which}; the conversation has {len(self)}, counted from 0.")
            return which % len(self)
        for index, message in enumerate(self._messages):
            if message.id == which:
                return index
        raise InputError(f"There is no message with the id {which!r}.", "conversation.messages lists them.")

    def _put(self, which: int | str, **changes: Any) -> Message:
        index = self._index(which)
        self._messages[index] = message = replace(self._messages[index], **changes)
        self._changed()
        return message

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()


def _as_message(message: Message | Mapping[str, Any], where: str) -> Message:
    return message if isinstance(message, Message) else Message.from_api(message, where)


def _dump(message: Message) -> dict[str, Any]:
    kept = {"id": message.id, "enabled": message.enabled, "outcome": message.outcome, "note": message.note}
    return message.to_api() | {"chatkit": kept}


def _load(data: Mapping[str, Any], where: str) -> Message:
    if not isinstance(data, Mapping):
        return Message.from_api(data, where)
    message = Message.from_api({k: v for k, v in data.items() if k != "chatkit"}, where)
    kept = data.get("chatkit")
    known = (
        {k: v for k, v in kept.items() if k in ("id", "enabled", "outcome", "note")}
        if isinstance(kept, Mapping)
        else {}
    )
    return replace(message, **known)
