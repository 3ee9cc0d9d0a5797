"""Server-sent events: the same events and the same bytes however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.api.sse import BOM, Splitter

PIECES = [b"data: a", b"data:b", b"data", b"event: x", b": note", b"id: 1", b"retry: 3", "data: né日🙂".encode(), b""]
ENDS = [b"\n", b"\r\n", b"\r"]
STREAMS = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS))).map(
    lambda lines: b"".join(piece + end for piece, end in lines)
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def events_of(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    splitter = Splitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.close()
    assert b"".join(event.raw for event in events) == b"".join(pieces)
    return [(event.name, event.data) for event in events if event.data or event.name]


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=8))
def test_the_events_are_the_same_for_every_split(data: bytes, cuts: list[int]) -> None:
    assert events_of(split(data, cuts)) == events_of([bytes([byte]) for byte in data])


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b": keep-alive\n\ndata: a\n\n", [("", b"a")]),
        (b"event: error\ndata: {}\n\n", [("error", b"{}")]),
        (b"id: 1\nretry: 5\n\ndata: a\n\n", [("", b"a")]),
        (BOM + b"data: a\n\n", [("", b"a")]),
        (b"data: " + BOM + b"a\n\n", [("", BOM + b"a")]),
        (b"data: a\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: left over", [("", b"left over")]),
    ],
)
def test_the_rules_of_event_streams(data: bytes, events: list[tuple[str, bytes]]) -> None:
    assert events_of([data]) == events
    assert events_of([bytes([byte]) for byte in data]) == events


def test_an_event_comes_out_with_its_last_byte() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n") == []
    assert splitter.pending == 8
    assert [event.data for event in splitter.feed(b"\n")] == [b"a"]
    assert splitter.pending == 0
