"""The wire's one reader of answers while they grow, for the engine and the meter alike; the dialects add to it.

In: pieces of text, tool calls, reasons and usage, from chat.py, responses.py, transcript.py, other.py. Out: `Delta`s
while it grows, `Answer`s at any time, and the one outcome in the end. It raises nothing: what an endpoint gets wrong
is kept in `refusal` and `bad`. Texts are kept only where somebody follows, and never more than the cap.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from chatkit.api import finish, usage
from chatkit.api.answer import Answer, Delta, DeltaKind, GrowingAnswer
from chatkit.api.decode import MARK, decode, mend
from chatkit.api.errors import Refusal
from chatkit.api.finish import Outcome
from chatkit.api.sse import Event
from chatkit.api.usage import Counts

MOST = 1024  # answers of a reply
NAME = 300  # characters of a model's name

NO_REASON = "ended without reason"
NO_TEXT = "the answer has no text"
NOT_UTF8 = "bytes that are not UTF-8 were replaced by \ufffd"
LONE = "half characters were replaced by \ufffd"


class BadEvent(Exception):  # noqa: N818  # it says what is wrong with an event, on its way to `Reading.bad`
    """An event or a body that is no part of an answer."""


class Reading(ABC):
    """Answers that grow; the dialects know what adds to them. `counts` is the usage, as far as it came."""

    def __init__(self, choices: int = 1) -> None:
        self.model: str | None = None
        self.tier: str | None = None
        self.counts: Counts | None = None
        self.doubt: Literal["measured", "estimated"] = "measured"
        self.refusal: Refusal | None = None  # the endpoint's own error, inside of its answer
        self.bad: str | None = None  # why what came is no answer
        self.over = False  # the stream has said that it is over
        self.full = False  # more came than is let in
        self.extra = False  # the last event brought the usage and nothing else
        self.pieces = 0  # events that brought content: about one token each
        self.size: int | None = None  # bytes of the text of an answer that came whole
        self.notes: list[str] = []
        self.follows = False
        self._growing: dict[int, GrowingAnswer] = {}
        self._room = 0
        self._expected = max(choices, 1)
        self._reasons = 0

    def follow(self, cap: int) -> None:
        """Keep the texts, up to so many characters; somebody reads them, who takes no event that is none."""
        self.follows, self._room = True, cap

    def take(self, event: Event, *, last: bool = False) -> Sequence[Delta]:
        """Read one event of a stream; give back what it adds. The `last` may be cut, which is not its fault."""
        self.extra = False
        if self.over or (self.follows and (self.refusal or self.bad)):
            return ()
        try:
            return self._take(event)
        except BadEvent as bad:
            if self.follows and not last:
                self.bad = f"an event cannot be read, {bad}"
            return ()

    def whole(self, data: bytes) -> Sequence[Delta]:
        """Read a body that is one answer; give back what it adds."""
        try:
            deltas = self._whole(data)
        except BadEvent as bad:
            self.bad = str(bad)
            return ()
        return deltas

    @abstractmethod
    def _take(self, event: Event) -> Sequence[Delta]:
        """Read an event; raises BadEvent."""

    @abstractmethod
    def _whole(self, data: bytes) -> Sequence[Delta]:
        """Read a body; raises BadEvent."""

    # --- what is known

    @property
    def failed(self) -> bool:
        """Whether what came is an error, or no answer at all."""
        return self.refusal is not None or self.bad is not None or (self.over and not self._growing)

    @property
    def error_code(self) -> str | None:
        """What a usage row keeps of a failure."""
        return self.refusal.name if self.refusal else "bad_answer" if self.failed else None

    @property
    def finished(self) -> bool:
        """Whether each answer that was asked for has its finish reason."""
        return self._reasons >= self._expected

    @property
    def ended(self) -> bool:
        """Whether a stream has said that it is whole: `[DONE]`, a last event, or a reason for each answer."""
        return self.over or self.finished

    @property
    def began(self) -> bool:
        """Whether any answer has begun."""
        return bool(self._growing)

    @property
    def has_content(self) -> bool:
        """Whether there is anything to keep of an answer."""
        return any(grown.calls or grown.media or any(grown.parts.values()) for grown in self._growing.values())

    @property
    def gave_up(self) -> str | None:
        """The reason by which the endpoint itself says that it did not end its answer."""
        reasons = (grown.finish_reason for grown in self._growing.values() if grown.outcome == "incomplete")
        return next(filter(None, reasons), None)

    def answers(self) -> tuple[Answer, ...]:
        """What there is now."""
        return tuple(grown.frozen(index) for index, grown in sorted(self._growing.items()))

    def outcome(self, cut: Outcome) -> Outcome:
        """How it ended: the one outcome of reply, message and usage row.

        `cut` is what ended it where the answer has not said so itself: incomplete, cancelled or error. For who
        follows, an answer of which nothing came is an error.
        """
        if self.failed:
            return "error"
        end: Outcome = "incomplete" if self.full else cut
        if self.ended and not self.full:
            end = finish.worst(filter(None, (grown.outcome for grown in self._growing.values())))
        return "error" if end == "incomplete" and self.follows and not self.has_content else end

    def remark(self) -> None:
        """Note what a person may wonder about in an answer that has ended."""
        reasons = {grown.finish_reason for grown in self._growing.values()}
        if None in reasons or not reasons:
            self.note(NO_REASON)
        for reason in sorted(filter(None, reasons)):
            if not finish.is_known(reason):
                self.note(f"finish_reason is {reason[:80]!r}")
        answers = self.answers()
        if not any(a.text or a.refusal or a.tool_calls for a in answers):
            self.note(NO_TEXT)
        for answer in answers:
            if answer.note:
                self.note(answer.note)

    def note(self, words: str) -> None:
        """Keep a note, once."""
        if words not in self.notes:
            self.notes.append(words)

    def close(self) -> list[Delta]:
        """Let go of halves of characters whose other half never came."""
        deltas = []
        for index, grown in self._growing.items():
            for kind in tuple(grown.half):
                deltas += self._add(index, kind, MARK) if grown.half.pop(kind) else []
                self.note(LONE)
        return deltas

    # --- what the dialects add

    def _at(self, index: Any) -> GrowingAnswer:
        key = index if isinstance(index, int) else 0
        grown = self._growing.get(key)
        if grown is None:
            if not 0 <= key < MOST:
                raise BadEvent(f"it names an answer number {str(index)[:20]}")
            grown = self._growing[key] = GrowingAnswer()
        return grown

    def _add(self, index: int, kind: DeltaKind, text: str) -> list[Delta]:
        grown = self._at(index)
        if not text.isascii() or grown.half or "\0" in text:
            text = self._mended(grown, kind, text)
        if self.follows:
            text = self._fitted(text)
        if not text:
            return []
        if self.follows:
            grown.parts[kind].append(text)
        return [Delta(text, index, kind)]

    def _fitted(self, text: str) -> str:
        self._room -= len(text)
        if self._room < 0:
            self.full = True
            text, self._room = text[: self._room], 0
        return text

    def _mended(self, grown: GrowingAnswer, kind: DeltaKind, text: str) -> str:
        """Join halves of characters (JSON escapes of UTF-16, cut between events); replace those that stay alone."""
        text = grown.half.pop(kind, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            grown.half[kind], text = text[-1], text[:-1]
        mended = mend(text)
        if MARK in mended and MARK not in text:
            self.note(LONE)
        return mended

    def _call(self, index: int, place: Any, call: Mapping[str, Any], *, sure: bool = False) -> list[Delta]:
        """Add a tool call, or a piece of one: its words are set, its arguments grow; `sure` of its place or not."""
        grown = self._at(index)
        if not self.follows:
            return [Delta(str(call.get("function") or call.get("custom")), index, "tool_call")]
        piece = self._fitted(mend(grown.calls.add(place, call, sure=sure)))
        if not piece:
            return []
        grown.calls.append(piece)
        return [Delta(piece, index, "tool_call")]

    def _media(self, index: int, kind: str, count: int = 1) -> None:
        media = self._at(index).media
        media[kind] = media.get(kind, 0) + count

    def _reason(self, index: Any, reason: str, how: Outcome | None = None) -> None:
        grown = self._at(index)
        if grown.finish_reason is None:
            self._reasons += 1
        grown.finish_reason, grown.how = mend(reason), how

    def _head(self, answer: Mapping[str, Any]) -> None:
        """The model's name, the first that is one, and the service tier."""
        model, tier = answer.get("model"), answer.get("service_tier")
        if not self.model and isinstance(model, str) and model.strip():
            self.model = mend(model)[:NAME]
        if isinstance(tier, str) and tier:
            self.tier = mend(tier)[:40]

    def _used(self, answer: Mapping[str, Any]) -> None:
        """The usage; one of zeros does not unsay what came before."""
        self.counts = usage.find(answer) or self.counts

    def _weigh(self, deltas: Sequence[Delta]) -> None:
        self.size = sum(len(delta.text.encode("utf-8", "replace")) for delta in deltas)

    def _decode(self, data: bytes, *, streamed: bool = True) -> Any:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.note(NOT_UTF8)
            text = data.decode("utf-8", "replace")
        try:
            return decode(text, streamed=streamed)
        except ValueError:
            raise BadEvent("it is not JSON") from None
