"""One message of a conversation, immutable, checked and repaired when it is made.

In: what a person, a model or a file says. Out: the API's form of it (`Message.to_api`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
OWN = ("id", "enabled", "outcome", "note", "extra")
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
            object.__setattr__(self, "content", _parts(self.content, self.role, self.extra))

    @classmethod
    def of(cls, role: Role, content: Content | None, **more: Any) -> "Message":
        """A message of which `more` may name the API's other fields, beside `enabled`, `note` and the like.

        >>> Message.of("tool", "18 °C", tool_call_id="call_1").to_api()
        {'role': 'tool', 'content': '18 °C', 'tool_call_id': 'call_1'}
        """
        if unknown := [name for name in more if name not in (*OWN, *OF_THE_API)]:
            raise InputError(
                f"A message has no {', '.join(unknown)}; it may have {', '.join((*OF_THE_API, *OWN))}.",
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


def _parts(content: object, role: str, extra: Mapping[str, Any]) -> Content | None:
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
