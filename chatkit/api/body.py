"""The wire's bodies: the bytes of one answer, split and parsed once, for whoever passes them on and whoever reads them.

In: bytes as they come, the content type. Out: the same bytes (less the chunk that only tells the usage, if `edits`),
the reading that they make, the deltas that wait for who follows. What form a body has is told by its first bytes,
since servers send streams as JSON and JSON as streams.
"""

from collections.abc import Sequence
from typing import Literal

from chatkit.api.answer import Delta
from chatkit.api.errors import read_refusal
from chatkit.api.reading import Reading
from chatkit.api.sse import BOM, Event, Splitter

BodyForm = Literal["events", "json", "other", "refusal", "blind"]

MOST = 16 * 1024 * 1024
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
        most: int = MOST,
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
