"""Values: one message of a conversation, immutable, and the one walk over what it holds, for all who show it.

In: what a person, a model or a file says. Out: the API's form of it (`Message.to_api`).

No part is left out: one that nobody here knows is named by its type.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args
from uuid import uuid4

from chatkit.exceptions import InputError, mended

Role = Literal["system", "developer", "user", "assistant", "tool"]
Content = str | tuple[Mapping[str, Any], ...]

ROLES: tuple[str, ...] = get_args(Role)
HEADS = ("system", "developer")
"""Roles that instruct the model; such a message is never trimmed."""
OF_THE_API = (
    "name",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "function_call",
    "audio",
    "reasoning_content",
    "reasoning",
)
"""The API's other fields of a message, which may be given by their names."""
DEEPEST = 50
"""Levels that parts and other fields may be nested; JSON writers give up at about 1,000."""


def new_id() -> str:
    """An id that no other message has."""
    return uuid4().hex[:12]


def repair(text: str) -> tuple[str, str | None]:
    """Replace what UTF-8 or JSON cannot carry (lone surrogates, NUL) and say so in a note.

    >>> repair("a\\x00b")
    ('a\\ufffdb', '1 character that cannot be sent was replaced by \\ufffd.')
    """
    clean = mended(text)
    if clean == text:
        return text, None
    changed = sum(a != b for a, b in zip(text, clean, strict=True))
    noun = "character that cannot be sent was" if changed == 1 else "characters that cannot be sent were"
    return clean, f"{changed} {noun} replaced by \ufffd."


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
    id: str = field(default_factory=new_id, compare=False)
    enabled: bool = True
    outcome: str | None = None
    note: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"role is {self.role!r}; it must be one of {', '.join(ROLES)}.")
        object.__setattr__(self, "extra", MappingProxyType(mended_all(dict(self.extra), "the message's other fields")))
        if isinstance(self.content, str):
            text, note = repair(self.content)
            object.__setattr__(self, "content", text)
            object.__setattr__(self, "note", note or self.note)
        else:
            object.__setattr__(self, "content", _content_of(self.content, self.role, self.extra))

    @classmethod
    def of(cls, role: Role, content: Content | None, **more: Any) -> "Message":
        """A message of which `more` may name the API's other fields, beside `enabled`, `note` and the like.

        >>> Message.of("tool", "18 °C", tool_call_id="call_1").to_api()
        {'role': 'tool', 'content': '18 °C', 'tool_call_id': 'call_1'}
        """
        known = (*OF_THE_API, *(own.name for own in fields(cls)[2:]))
        if unknown := [name for name in more if name not in known]:
            raise InputError(
                f"A message has no {', '.join(unknown)}; it may have {', '.join(known)}.",
                f"For a field that an endpoint of yours knows: extra={{{unknown[0]!r}: …}}.",
            )
        named = {name: more.pop(name) for name in OF_THE_API if name in more}
        return cls(role, content, extra={**more.pop("extra", {}), **named}, **more)

    @property
    def text(self) -> str:
        """The message's text; of a list of parts, those that are text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(part.get("text", "")) for part in self.content or ())

    def is_same(self, other: "Message") -> bool:
        """Whether it is the other message with the same words; switched off or not."""
        return self is other or (
            self.id == other.id
            and self.role == other.role
            and self.content == other.content
            and self.extra == other.extra
        )

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


def _content_of(content: object, role: str, extra: Mapping[str, Any]) -> Content | None:
    if content is None and role == "assistant" and extra:
        return None
    if isinstance(content, list | tuple) and content and all(isinstance(part, Mapping) for part in content):
        return tuple(MappingProxyType(mended_all(dict(part), "content")) for part in content)
    raise InputError(
        f"content is {type(content).__name__}; it must be text or a list of the API's parts.",
        "Bytes are made text by .decode().",
    )


def mended_all(value: Any, what: str, level: int = 0) -> Any:
    """A copy whose texts can be sent; `what` it is, in the error for what is nested too deeply."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, Mapping | list | tuple) and level > DEEPEST:
        raise InputError(f"{what} is nested deeper than {DEEPEST} levels.")
    if isinstance(value, Mapping):
        return {mended_all(k, what, level + 1): mended_all(v, what, level + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [mended_all(item, what, level + 1) for item in value]
    return value


PartKind = Literal["text", "reasoning", "refusal", "call", "attached", "unknown"]

_TEXTS = ("text", "input_text", "output_text")
_NOUNS = {
    **dict.fromkeys(("image_url", "input_image", "image", "image_file"), "picture"),
    **dict.fromkeys(("input_audio", "output_audio", "audio", "audio_url"), "audio"),
    **dict.fromkeys(("file", "input_file", "document"), "file"),
    **dict.fromkeys(("video_url", "input_video", "video"), "video"),
}
"""Types of parts that are not text, and what a person calls them."""
_THOUGHTS = ("reasoning_content", "reasoning")
_READ: Mapping[str, type] = {
    **dict.fromkeys((*_THOUGHTS, "refusal", "tool_call_id", "name"), object),
    "tool_calls": list,
    "function_call": Mapping,
    "audio": Mapping,
}
"""The fields that are read below, and as what."""
ADDRESS = 200
"""Letters of an address that are shown."""


@dataclass(frozen=True, slots=True)
class MessagePart:
    """One part of a message, in words: text as it was said, all else named by what it is."""

    kind: PartKind
    words: str


@dataclass(frozen=True, slots=True)
class Heading:
    """Who speaks (`role`), whose or which it is (`of`), and what is to be said beside it (`state`)."""

    role: str
    of: str = ""
    state: str = ""

    @property
    def aside(self) -> str:
        """All but the role."""
        return " · ".join(filter(None, [self.of, self.state]))


def heading(message: Message) -> Heading:
    """The heading: whose result it is, whether it was not sent, how an answer ended if not well, what was done to it.

    >>> heading(Message("assistant", "In Bra", outcome="cancelled", enabled=False))
    Heading(role='assistant', of='', state='not sent · cancelled')
    >>> heading(Message("tool", "18 °C", extra={"tool_call_id": "call_1"})).aside
    'result of call_1'
    """
    call, name = message.extra.get("tool_call_id"), message.extra.get("name")
    of = [_text(name), f"result of {_text(call)}" if call else "", "refusal" if message.extra.get("refusal") else ""]
    ended = message.outcome if message.outcome not in (None, "complete") else ""
    state = ["" if message.enabled else "not sent", ended, message.note]
    return Heading(message.role, " · ".join(filter(None, of)), " · ".join(filter(None, state)))


def parts(message: Message) -> list[MessagePart]:
    """The message's parts in the order in which they are read; none where it is empty.

    >>> [part.words for part in parts(Message("user", [{"type": "text", "text": "Look:"}, {"type": "hologram"}]))]
    ['Look:', '[part of the type hologram]']
    """
    return [part for part in _parts(message) if part.words]


def said(message: Message) -> str:
    """All that a message holds, as text.

    >>> call = {"function": {"name": "get_weather", "arguments": "{}"}}
    >>> said(Message("assistant", "A moment.", extra={"tool_calls": [call]}))
    'A moment.\\ncalls get_weather({})'
    """
    return "\n".join(part.words for part in parts(message))


def _parts(message: Message) -> Iterator[MessagePart]:
    extra = message.extra
    yield from _reasoning(dict.fromkeys(_text(extra.get(name)) for name in _THOUGHTS))
    if isinstance(message.content, str):
        yield MessagePart("text", message.content)
    else:
        for part in message.content or ():
            yield from _of_content(part)
    yield MessagePart("refusal", _text(extra.get("refusal")))
    yield from _calls(extra)
    yield from _spoken(extra.get("audio"))
    yield from (MessagePart("unknown", f"[field {name}]") for name, value in extra.items() if _is_other(name, value))


def _is_other(name: str, value: object) -> bool:
    read = _READ.get(name)
    return value not in (None, "", [], {}) and (read is None or not isinstance(value, read))


def _reasoning(thoughts: Iterable[str]) -> Iterator[MessagePart]:
    yield from (MessagePart("reasoning", f"reasoning: {thought}") for thought in thoughts if thought)


def _of_content(part: Mapping[str, Any]) -> Iterator[MessagePart]:
    kind = part.get("type")
    if kind in _TEXTS or (kind is None and isinstance(part.get("text"), str)):
        yield MessagePart("text", _text(part.get("text")))
    elif kind == "refusal":
        yield MessagePart("refusal", _text(part.get("refusal")))
    elif kind in ("thinking", "reasoning"):
        yield from _reasoning([_text(part.get(kind) or part.get("text"))])
    elif isinstance(kind, str) and kind in _NOUNS:
        yield _attached(_NOUNS[kind], part, part.get(kind), part.get("source"))
    else:
        named = f"[part of the type {_text(kind)}]" if kind else "[part without a type]"
        yield MessagePart("unknown", " ".join(filter(None, [named, _text(part.get("text"))])))


def _calls(extra: Mapping[str, Any]) -> Iterator[MessagePart]:
    calls = extra.get("tool_calls")
    found: list[Any] = list(calls) if isinstance(calls, list) else []
    if isinstance(extra.get("function_call"), Mapping):  # the field of 2023
        found.append({"function": extra["function_call"]})
    yield from (_call(call if isinstance(call, Mapping) else {"name": call}, alone=len(found) < 2) for call in found)


def _call(call: Mapping[str, Any], *, alone: bool) -> MessagePart:
    """A call as code would write it; where there are several each with the id by which its result is known."""
    told = call.get(_text(call.get("type")) or "function")
    inner = told if isinstance(told, Mapping) else call
    arguments = _text(inner.get("arguments", inner.get("input")))
    which = f" · {_text(call['id'])}" if call.get("id") and not alone else ""
    return MessagePart("call", f"calls {_text(inner.get('name')) or 'a tool'}({arguments}){which}")


def _spoken(audio: object) -> Iterator[MessagePart]:
    """What an answer said aloud."""
    if isinstance(audio, Mapping):
        yield _attached("audio", audio)
        yield MessagePart("text", _text(audio.get("transcript")))


def _attached(noun: str, *told: object) -> MessagePart:
    """What is known of something attached: its name, its type and size, or where it is."""
    fields: dict[str, Any] = {}
    for one in told:
        fields |= one if isinstance(one, Mapping) else {"url": one} if isinstance(one, str) else {}
    facts = {name: value for name, value in fields.items() if isinstance(value, str)}
    named = [facts.get(name, "") for name in ("filename", "name", "format", "media_type")]
    placed = [_source(facts.get(name, "")) for name in ("url", "image_url", "file_url", "file_id")]
    inside = [_source(facts.get(name, ""), bare=True) for name in ("data", "file_data")]
    known = ", ".join(dict.fromkeys(filter(None, [*named, *placed, *inside])))
    return MessagePart("attached", f"[{noun}: {known}]" if known else f"[{noun}]")


def _source(text: str, *, bare: bool = False) -> str:
    """An address, or of data in its place (`bare`: base64 without a word of its type) the type and size.

    >>> _source("data:image/png;base64,iVBORw0KGgo="), _source("https://a.example/b.png")
    ('image/png, 8 bytes', 'https://a.example/b.png')
    """
    if text.startswith("data:"):
        kind, _, body = text.removeprefix("data:").partition(",")
        return ", ".join(filter(None, [kind.partition(";")[0][:ADDRESS], _size(body)]))
    if bare and text:
        return _size(text)
    return text if len(text) <= ADDRESS else f"{text[:ADDRESS]}…"


def _size(base64: str) -> str:
    return f"{len(base64.rstrip('=')) * 3 // 4:,} bytes"


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, default=str)
