"""The endpoint door's growing answers: what every dialect of the API adds to, event by event.

In: pieces of text, tool calls and reasons, from reading_chat.py and reading_responses.py. Out: `Delta`s
while it grows, `Answer`s at any time, the outcome in the end. It never holds more text than its cap.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from chatkit.endpoint.refusals import Refusal
from chatkit.endpoint.reply import Answer, Delta
from chatkit.ledger.record import Outcome
from chatkit.ledger.sse import Event

Kind = Literal["text", "reasoning", "refusal", "tool_call"]

MOST = 1024  # answers of a reply, tool calls of an answer
NAME = 1000  # characters of an id or a name
LENGTH = frozenset({"length", "max_output_tokens"})
FILTERED = frozenset({"content_filter"})
ENDED = frozenset({"stop", "tool_calls", "function_call", "completed"})

NO_REASON = "ended without reason"
NO_TEXT = "the answer has no text"
NOT_UTF8 = "bytes that are not UTF-8 were replaced by \ufffd"
LONE = "half characters were replaced by \ufffd"


class BadEvent(Exception):  # noqa: N818  # it says what is wrong with an event; the engine makes the error
    """An event or a body that is no part of an answer."""


class ErrorEvent(Exception):  # noqa: N818  # the endpoint's error, on its way to words
    """The endpoint says, inside of its answer, that it failed."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


class Growing:
    """One answer while it grows."""

    __slots__ = ("finish_reason", "half", "parts", "tool_calls")

    def __init__(self) -> None:
        self.parts: dict[Kind, list[str]] = {"text": [], "reasoning": [], "refusal": []}
        self.tool_calls: dict[int, dict[str, Any]] = {}
        self.finish_reason: str | None = None
        self.half: dict[Kind, str] = {}

    def frozen(self, index: int) -> Answer:
        """The answer as it is now."""
        calls = tuple(_joined(call) for _, call in sorted(self.tool_calls.items()))
        text, reasoning, refusal = ("".join(self.parts[k]) for k in ("text", "reasoning", "refusal"))
        return Answer(index, text, reasoning, refusal, calls, self.finish_reason)


class Reading(ABC):
    """Answers that grow; the dialects know what adds to them."""

    def __init__(self, cap: int, expected: int = 1) -> None:
        self.model: str | None = None
        self.over = False  # the stream has said that it is over
        self.full = False  # more came than the cap lets in
        self.notes: list[str] = []
        self._growing: dict[int, Growing] = {}
        self._room = cap
        self._expected = expected
        self._reasons = 0

    @abstractmethod
    def read(self, event: Event) -> list[Delta]:
        """Take one event of a stream; give back what it adds. Raises BadEvent or ErrorEvent."""

    @abstractmethod
    def whole(self, data: bytes) -> list[Delta]:
        """Take a body that is one JSON answer; give back what it adds. Raises BadEvent or ErrorEvent."""

    @property
    def finished(self) -> bool:
        """Whether each answer that was asked for has its finish reason."""
        return self._reasons >= self._expected

    @property
    def began(self) -> bool:
        """Whether any answer has begun."""
        return bool(self._growing)

    @property
    def has_content(self) -> bool:
        """Whether there is anything to keep of an answer."""
        return any(a.text or a.reasoning or a.refusal or a.tool_calls for a in self.answers())

    def answers(self) -> tuple[Answer, ...]:
        """What there is now."""
        return tuple(grown.frozen(index) for index, grown in sorted(self._growing.items()))

    def outcome(self) -> Outcome | None:
        """How the answers ended, by their reasons; None while the stream has not said so."""
        if not self.over and not self.finished:
            return None
        reasons = {grown.finish_reason for grown in self._growing.values()}
        if None in reasons or not reasons:
            self.note(NO_REASON)
        for reason in sorted(filter(None, reasons)):
            if reason not in LENGTH | FILTERED | ENDED:
                self.note(f"finish_reason is {reason[:80]!r}")
        if not any(a.text or a.refusal or a.tool_calls for a in self.answers()):
            self.note(NO_TEXT)
        return "filtered" if reasons & FILTERED else "length" if reasons & LENGTH else "complete"

    def note(self, words: str) -> None:
        """Keep a note, once."""
        if words not in self.notes:
            self.notes.append(words)

    def close(self) -> list[Delta]:
        """Let go of halves of characters whose other half never came."""
        deltas = []
        for index, grown in self._growing.items():
            for kind in tuple(grown.half):
                deltas += self._add(index, kind, "\ufffd") if grown.half.pop(kind) else []
                self.note(LONE)
        return deltas

    def _at(self, index: Any) -> Growing:
        key = index if isinstance(index, int) else 0
        grown = self._growing.get(key)
        if grown is None:
            if not 0 <= key < MOST:
                raise BadEvent(f"it names an answer number {str(index)[:20]}")
            grown = self._growing[key] = Growing()
        return grown

    def _add(self, index: int, kind: Kind, text: str) -> list[Delta]:
        grown = self._at(index)
        if not text.isascii() or grown.half:
            text = self._mended(grown, kind, text)
        text = self._fitted(text)
        if not text:
            return []
        grown.parts[kind].append(text)
        return [Delta(text, index, kind)]

    def _fitted(self, text: str) -> str:
        self._room -= len(text)
        if self._room < 0:
            self.full = True
            text, self._room = text[: self._room], 0
        return text

    def _mended(self, grown: Growing, kind: Kind, text: str) -> str:
        """Join halves of characters (JSON escapes of UTF-16, cut between events); replace those that stay alone."""
        text = grown.half.pop(kind, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            grown.half[kind], text = text[-1], text[:-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            if "\ufffd" in text:
                self.note(LONE)
        return text

    def _call(self, index: int, number: Any, call: Mapping[str, Any]) -> list[Delta]:
        """Add a tool call, or a piece of one: its words are set, its arguments grow."""
        calls = self._at(index).tool_calls
        key = number if isinstance(number, int) and 0 <= number < MOST else max(calls, default=0)
        kept = calls.setdefault(key, {"id": None, "type": "function", "function": {"name": "", "arguments": []}})
        kept.update({k: v[:NAME] for k, v in call.items() if k in ("id", "type") and isinstance(v, str) and v})
        function = call.get("function")
        if not isinstance(function, Mapping):
            return []
        if isinstance(name := function.get("name"), str) and name:
            kept["function"]["name"] = name[:NAME]
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        piece = self._fitted(arguments or "")
        if not piece:
            return []
        kept["function"]["arguments"].append(piece)
        return [Delta(piece, index, "tool_call")]

    def _reason(self, index: Any, reason: Any) -> None:
        grown = self._at(index)
        if grown.finish_reason is None:
            self._reasons += 1
        grown.finish_reason = reason if isinstance(reason, str) else str(reason)

    def _decode(self, data: bytes) -> Any:
        try:
            return json.loads(data.decode())
        except UnicodeDecodeError:
            self.note(NOT_UTF8)
        except (ValueError, RecursionError):
            raise BadEvent("it is not JSON") from None
        try:
            return json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise BadEvent("it is neither UTF-8 nor JSON") from None


def _joined(call: Mapping[str, Any]) -> dict[str, Any]:
    return {**call, "function": {**call["function"], "arguments": "".join(call["function"]["arguments"])}}
