"""One HTTP attempt from its sending to its end: it watches the bytes pass and makes the `UsageRecord`.

In: the request's facts, the answer's bytes, how it ended. Out: the same bytes (less the usage chunk that
only the meter asked for) and one record. What it rests on when no usage came:

- nothing was sent (no connection), or the endpoint refused (3xx, 4xx but 408): nothing used, measured;
- a stream that broke or was stopped: estimated, from the request's text and one token for each piece seen;
- a whole answer without usage: estimated from both texts;
- audio that was heard, or that the caller gave up: estimated from what the head of the uploaded file says;
- anything else (a timeout, a 5xx, a body that was not the API's): unknown, for it may be billed.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import httpx2

from chatkit.ledger import bounds, counts, session, tokens
from chatkit.ledger.asking import Asked
from chatkit.ledger.counts import Counts
from chatkit.ledger.free import is_nearby
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.pricing import price_of
from chatkit.ledger.reading import Reading
from chatkit.ledger.record import Known, Outcome, UsageRecord
from chatkit.ledger.sse import Splitter

MOST = 16 * 1024 * 1024
"""Bytes of a body, or of one event, that are kept for reading; beyond them the usage is unknown."""

NEVER_SENT = (
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)  # fmt: skip
"""Errors that come before the endpoint has seen the request."""

Mode = Literal["stream", "body", "blind"]


class Ticket(NamedTuple):
    """What an attempt starts with: the id of its row, whether it is free, the user's own prices."""

    call: str
    free: bool = False
    own: Sequence[OwnPrice] = ()


def new_call() -> str:
    """The id of a row, made by its writer."""
    return f"{time.time_ns():016x}{os.urandom(8).hex()}"


class Exchange:
    """The state of one attempt; found as `response.extensions["chatkit_exchange"]`.

    `record` is None until the attempt has ended. Who closes a stream before its end may say as what
    that counts, by setting `close_as` before; it counts as cancelled otherwise.
    """

    def __init__(self, asked: Asked, keep: Callable[[UsageRecord], object], ticket: Ticket, *, edits: bool) -> None:
        self.record: UsageRecord | None = None
        self.close_as: Outcome = "cancelled"
        self.finalizer: weakref.finalize[..., object] | None = None
        self._asked = asked
        self._keep = keep
        self._edits = edits
        self._ticket = ticket
        self._free = ticket.free
        self._booking, self._user = session.booking(), session.current_user()
        self._at = datetime.now(UTC)
        self._start = time.perf_counter()
        self._first_token: float | None = None
        self._status: int | None = None
        self._encoding = ""
        self._mode: Mode = "blind"
        self._kept = bytearray()
        self._splitter = Splitter()
        self._reading = Reading(asked.kind, asked.choices)
        self._once = threading.Lock()

    def __repr__(self) -> str:
        return f"Exchange({self._asked!r}, {'ended' if self.record else 'open'})"

    def answered(self, response: httpx2.Response) -> None:
        """The head of the answer came."""
        self._status = response.status_code
        self._free = self._free or (self._asked.local_key and is_nearby(response))
        self._encoding = response.headers.get("content-encoding", "").replace("identity", "")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._status < 400 and (kind == "text/event-stream" or (self._asked.streamed and not kind)):
            self._mode = "body" if self._encoding else "stream"
        elif not kind or kind.endswith("json") or kind.startswith("text/") or self._status >= 400:
            self._mode = "body"
        if self._asked.kind == "audio" and self._status < 300:
            self._reading.take_audio_head(response.headers)
        if kind == "text/html" and self._status < 300:
            self._reading.fail("bad_answer")  # a sign-in page, a proxy's page

    def take(self, data: bytes) -> bytes:
        """Watch bytes pass; give back what may go on to the caller now."""
        if self._mode == "stream":
            return self._take_events(data)
        if self._mode == "body":
            self._kept += data
            if len(self._kept) > MOST:
                self._lose_sight()
        return data

    def _take_events(self, data: bytes) -> bytes:
        splitter, reading = self._splitter, self._reading
        before = splitter.pending
        events = splitter.feed(data)
        passed = [event.raw for event in events if not (reading.take(event) and self._edits)]
        if reading.pieces and self._first_token is None:
            self._first_token = time.perf_counter() - self._start
        if not self._edits:
            if splitter.pending > MOST:
                self._lose_sight()
            return data
        if splitter.pending > MOST:
            passed += [event.raw for event in splitter.close()]
            self._lose_sight()
        elif not before and not splitter.pending and len(passed) == len(events):
            return data
        return b"".join(passed)

    def _lose_sight(self) -> None:
        self._mode = "blind"
        self._kept.clear()
        self._splitter = Splitter()

    def rest(self) -> bytes:
        """At the end of the body: the bytes still held back."""
        events = self._splitter.close() if self._mode == "stream" else []
        passed = [event.raw for event in events if not (self._reading.take(event) and self._edits)]
        return b"".join(passed) if self._edits else b""

    def end(self, cause: BaseException | Literal["end", "close"]) -> None:
        """The attempt is over: make the record and store it. Only the first end counts."""
        if not self._once.acquire(blocking=False):
            return
        latency = time.perf_counter() - self._start
        if self.finalizer:
            self.finalizer.detach()
        if self._mode == "body" and (cause == "end" or (self._encoding and self._asked.streamed)):
            self._read_kept()
        self.record = self._make_record(self._outcome(cause), cause, latency)
        self._keep(self.record)

    def _read_kept(self) -> None:
        body = _decoded(bytes(self._kept), self._encoding)
        self._kept.clear()
        reading = self._reading
        if body is None or reading.outcome == "error":
            return
        if (self._status or 0) >= 300:
            reading.take_refusal(body)
        elif self._asked.streamed and body.lstrip()[:1] != b"{":
            splitter = Splitter()
            for event in splitter.feed(body) + splitter.close():
                reading.take(event)
        else:
            reading.take_body(body)

    def _outcome(self, cause: BaseException | str) -> Outcome:
        reading = self._reading
        if reading.outcome == "error" or (self._status or 0) >= 300:
            return "error"
        if reading.outcome and (reading.ended or (cause == "end" and self._mode == "body")):
            return reading.outcome
        if cause == "end" and (self._mode == "blind" or self._asked.kind == "other"):
            return "complete"
        if isinstance(cause, Exception):
            return "incomplete" if self._mode == "stream" else "error"
        return "incomplete" if cause == "end" else self.close_as

    def _make_record(self, outcome: Outcome, cause: BaseException | str, latency: float) -> UsageRecord:
        asked, reading = self._asked, self._reading
        used, known = self._used(cause)
        cost, table, day = self._cost(used)
        measured = known == "measured" and cost is not None
        return UsageRecord(
            id=self._ticket.call,
            at=self._at,
            session=self._booking.session,
            path=asked.path,
            host=asked.host if self._ticket.free else asked.server,  # our own local server's port is another each time
            model=asked.model,
            answered_model=reading.answered_model,
            streamed=asked.streamed,
            outcome=outcome,
            status=self._status,
            error_code=reading.error_code or (type(cause).__name__ if isinstance(cause, Exception) else None),
            attempt=asked.attempt,
            latency=latency,
            first_token=self._first_token,
            usage=counts.to_usage(used, known, cost),
            price_table=table,
            price_date=day,
            details=counts.details(used, reading.tier),
            at_most=None if measured or self._free else self._most(used, cost),
            user=self._user,
            lesson=self._booking.lesson,
            exercise=self._booking.exercise,
        )

    def _used(self, cause: BaseException | str) -> tuple[Counts | None, Known]:
        reading, status, seconds = self._reading, self._status, self._asked.audio_seconds
        if reading.counts and (reading.doubt == "measured" or seconds is None):
            return reading.counts, reading.doubt
        if isinstance(cause, NEVER_SENT) or (status and 300 <= status < 500 and status != 408):
            return counts.NOTHING, "measured"
        given_up = status is None and not isinstance(cause, Exception)
        if seconds is not None and reading.outcome != "error" and (status == 200 or given_up):
            return {"audio_seconds": seconds}, "estimated"
        if status is None or status >= 300 or self._asked.body is None:
            return None, "unknown"
        if self._asked.kind == "moderations":
            return counts.NOTHING, "measured"
        if self._mode == "stream" or reading.pieces or reading.text_tokens is not None:
            output = reading.text_tokens if reading.text_tokens is not None else reading.pieces
            return {"input_tokens": tokens.of_prompt(self._asked.body), "output_tokens": output}, "estimated"
        return None, "unknown"

    def _cost(self, used: Counts | None) -> tuple[Decimal | None, str | None, str | None]:
        if self._free or (used is not None and not any(used.values())):
            return Decimal(0), None, None
        asked, reading = self._asked, self._reading
        models = (reading.answered_model, asked.model)
        price = price_of(used, models, asked.url, self._at, tier=reading.tier, own=self._ticket.own) if used else None
        return price or (None, None, None)

    def _most(self, used: Counts | None, cost: Decimal | None) -> Decimal | None:
        """What a call cannot have cost more than, where that is not measured."""
        seen = int(used.get("output_tokens", 0)) if used else 0
        most = bounds.most(self._asked, self._ticket.own, self._at, seen)
        return cost if most is None else max(most, cost or Decimal(0))


def _decoded(body: bytes, encoding: str) -> bytes | None:
    if not encoding:
        return body
    try:
        return httpx2.Response(200, headers={"content-encoding": encoding}, content=body).content
    except httpx2.DecodingError:
        return None
