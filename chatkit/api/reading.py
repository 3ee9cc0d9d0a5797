"""The wire's one reader: the bytes of an answer are split and parsed once, for the engine and the meter alike.

In: pieces of text, tool calls, reasons and usage, from chat.py, responses.py, other.py, other.py. Out: `Delta`s
while it grows, `Answer`s at any time, and the one outcome in the end. It raises nothing: what an endpoint gets wrong
is kept in `refusal` and `bad`. Texts are kept only where somebody follows, and never more than the cap.

What form a body has is told by its first bytes,
since servers send streams as JSON and JSON as streams.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from chatkit.api.answer import Answer, Counts, Delta, DeltaKind, GrowingAnswer, Outcome, find, is_known, worst
from chatkit.api.errors import Refusal, read_refusal
from chatkit.api.sse import BOM, Event, Splitter
from chatkit.api.text import BYTE_ORDER_MARK, decode, mend

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
            end = worst(filter(None, (grown.outcome for grown in self._growing.values())))
        return "error" if end == "incomplete" and self.follows and not self.has_content else end

    def remark(self) -> None:
        """Note what a person may wonder about in an answer that has ended."""
        reasons = {grown.finish_reason for grown in self._growing.values()}
        if None in reasons or not reasons:
            self.note(NO_REASON)
        for reason in sorted(filter(None, reasons)):
            if not is_known(reason):
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
                deltas += self._add(index, kind, BYTE_ORDER_MARK) if grown.half.pop(kind) else []
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
        if BYTE_ORDER_MARK in mended and BYTE_ORDER_MARK not in text:
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
        self.counts = find(answer) or self.counts

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


BodyForm = Literal["events", "json", "other", "refusal", "blind"]

MOST_KEPT = 16 * 1024 * 1024
"""Bytes of a body, or of one event, that are kept for reading."""
FIELDS = (b"data", b"event", b"id", b"retry", b":", b"error")
"""What a stream of events begins with."""
SAMPLE = 4096
"""Bytes that tell what something is that is no answer."""


class Body:
    """The bytes of one answer on their way into its reading."""

    def __init__(
        self,
        reading: Reading,
        content_type: str,
        *,
        status: int = 200,
        streamed: bool,
        edits: bool = False,
        most: int = MOST_KEPT,
    ) -> None:
        self.reading = reading
        self.form: BodyForm | None = "refusal" if status >= 300 else None
        self.too_long = False
        self.most = most
        self._type = content_type.partition(";")[0].strip().lower()
        self._streamed = streamed or self._type == "text/event-stream"
        self._edits = edits
        self._kept = bytearray()
        self._splitter = Splitter()
        self._deltas: list[Delta] = []

    def follow(self, cap: int, most: int) -> None:
        """Keep what the reading gives, for `taken`: up to `cap` characters, from pieces of up to `most` bytes."""
        self.reading.follow(cap)
        self.most = most

    def blind(self) -> None:
        """Look no more: what comes is sound, a picture, or too much."""
        self.form = "blind"
        self._kept.clear()
        self._splitter = Splitter()

    @property
    def sample(self) -> bytes:
        """The first bytes of what is no answer."""
        return bytes(self._kept[:SAMPLE])

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing that may still come can be of use to who follows."""
        return self.too_long or (self.form == "other" and len(self._kept) >= SAMPLE)

    def settle(self) -> None:
        """Nothing more is read: let go of what waits for its other half."""
        self._deltas += self.reading.close()

    def taken(self) -> Sequence[Delta]:
        """What has been read since the last time."""
        deltas, self._deltas = self._deltas, []
        return deltas

    def take(self, data: bytes) -> bytes:
        """Read bytes; give back those that may go on to the caller now."""
        if self.form == "events":
            return self._events(data)
        if self.form is None:
            return self._begin(data)
        if self.form != "blind":
            self._keep(data)
        return data

    def rest(self, *, whole: bool = True) -> bytes:
        """At the end of the body, or where it broke: read what is left; give back the bytes still held back."""
        held = b""
        if self.form is None:
            self.form, held = (
                self._told(bytes(self._kept)),
                bytes(self._kept) if self._edits and self._streamed else b"",
            )
        if self.form == "events":
            return held + self._last_events()
        if self.form != "blind" and whole:
            self._read_whole()
        return held

    # --- what form it has

    def _begin(self, data: bytes) -> bytes:
        self._kept += data
        if not self._kept.removeprefix(BOM).strip() and len(self._kept) < SAMPLE:
            return b"" if self._edits and self._streamed else data
        first = bytes(self._kept)
        self.form = self._told(first)
        if self.form == "events":
            self._kept.clear()
            passed = self._events(first)
            return passed if self._edits else data
        self._keep(b"")
        return first if self._edits and self._streamed else data

    def _told(self, first: bytes) -> BodyForm:
        """The form that the first bytes and the content type tell."""
        start = first.removeprefix(BOM).lstrip()[:5]
        if start[:1] in (b"{", b"[") and not (self._is_events and start[:1] == b"["):
            return "json"
        if start[:1] == b"<" or "html" in self._type:
            return "other"
        if self._is_events and not start:
            return "events"
        like = any(start.startswith(field) or (start and field.startswith(start)) for field in FIELDS)
        return "events" if self._streamed and like else "other"

    @property
    def _is_events(self) -> bool:
        return self._type == "text/event-stream"

    # --- what is read

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > self.most:
            self._lose_sight()

    def _lose_sight(self) -> None:
        self.too_long = self.reading.full = True
        self.blind()

    def _events(self, data: bytes) -> bytes:
        splitter, edits = self._splitter, self._edits
        before = splitter.pending if edits else 0
        events = splitter.feed(data)
        passed = self._read(events)
        if splitter.pending > self.most:
            passed += splitter.close() if edits else []
            self._lose_sight()
        elif not edits or (not before and not splitter.pending and len(passed) == len(events)):
            return data
        return b"".join([event.raw for event in passed]) if edits else data

    def _read(self, events: list[Event], *, last: bool = False) -> list[Event]:
        """Read events; give back those that go on to the caller."""
        reading, extra = self.reading, set[int]()
        for event in events:
            deltas = reading.take(event, last=last)
            if deltas and reading.follows:
                self._deltas += deltas
            if reading.extra:
                extra.add(id(event))
        return [event for event in events if id(event) not in extra] if extra and self._edits else events

    def _last_events(self) -> bytes:
        passed = self._read(self._splitter.close(), last=True)
        self.settle()
        return b"".join(event.raw for event in passed) if self._edits else b""

    def _read_whole(self) -> None:
        data, reading = bytes(self._kept), self.reading
        if self.form == "refusal":
            reading.refusal = read_refusal(data)
        elif self.form == "other" and (reading.follows or self._type == "text/html"):
            reading.bad = "it is something else"
        else:
            self._deltas += reading.whole(data.removeprefix(BOM))
            self.settle()
        if self.form != "other":
            self._kept.clear()
