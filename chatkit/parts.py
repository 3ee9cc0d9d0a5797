"""One walk over a message: what it holds, part by part, for all who show it.

In: a `Message`. Out: its `Heading` and its `MessagePart`s in order: reasoning, text, refusal, tool calls, what is attached.
No part is left out: one that nobody here knows is named by its type.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chatkit.message import Message

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
