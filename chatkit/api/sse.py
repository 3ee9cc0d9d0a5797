"""Server-sent events, split from bytes: one reader for the meter and the engine.

In: the bytes of a `text/event-stream` body, cut anywhere. Out: `Event`s, each with its own bytes.
Rules: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from typing import NamedTuple

BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r(?!\Z))")
BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its `event:` name, its `data:` lines joined, and the bytes it came as."""

    name: str
    data: bytes
    raw: bytes


class Splitter:
    """Collects bytes and gives back whole events.

    >>> s = Splitter()
    >>> s.feed(b"data: a\\n")
    []
    >>> s.feed(b"\\ndata: b\\r\\n\\r\\n")
    [Event(name='', data=b'a', raw=b'data: a\\n\\n'), Event(name='', data=b'b', raw=b'data: b\\r\\n\\r\\n')]
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._first = True

    @property
    def pending(self) -> int:
        """How many bytes wait for the end of their event."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes, cut anywhere; give back the events that they complete."""
        buffer = self._buffer
        one_line = data.find(b"\n") == len(data) - 2 and data[:6] == b"data: " and data[-1:] == b"\n"
        if one_line and not buffer and not self._first and b"\r" not in data:
            return [Event("", data[6:-2], data)]  # nearly always
        if not buffer and data[-2:] == b"\n\n" and data[-3:] != b"\n\n\n" and b"\r" not in data:
            return [self._event(raw + b"\n\n") for raw in data[:-2].split(b"\n\n")]  # whole events
        buffer += data
        events, start = [], 0
        while match := BLANK_LINE.search(buffer, max(start, self._scanned)):
            events.append(self._event(bytes(buffer[start : match.end()])))
            start = self._scanned = match.end()
        del buffer[:start]
        self._scanned = max(0, len(buffer) - 3)
        return events

    def close(self) -> list[Event]:
        """Give back what is left at the end of the stream as one last event, if anything is."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return [self._event(rest)] if rest else []

    def _event(self, raw: bytes) -> Event:
        text = raw
        if self._first:
            self._first = False
            text = raw.removeprefix(BOM)
        if text[:6] == b"data: " and text.find(b"\n") == len(text) - 2 and text[-1:] == b"\n" and b"\r" not in text:
            return Event("", text[6:-2], raw)
        return _read_fields(text, raw)


def _read_fields(text: bytes, raw: bytes) -> Event:
    name, data = "", []
    for line in text.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(data), raw)
