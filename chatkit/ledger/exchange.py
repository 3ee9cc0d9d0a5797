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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import httpx2

from chatkit.api import answer
from chatkit.api.answer import Counts, Outcome
from chatkit.api.errors import Refusal
from chatkit.api.reading import MOST_KEPT, Body
from chatkit.api.request import reading_of
from chatkit.api.text import scrub, without_parts
from chatkit.ledger import budget, estimate, record
from chatkit.ledger.pricing import is_nearby, price_of
from chatkit.ledger.record import Known, UsageRecord
from chatkit.ledger.request import MeteredRequest
from chatkit.ledger.rules import OwnPrice

NEVER_SENT = (
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)  # fmt: skip
"""Errors that come before the endpoint has seen the request."""

READABLE = ("chat", "text", "responses")
"""Calls whose answer is read whatever its content type says."""


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
    that counts, by setting `close_as` before; it counts as cancelled otherwise. Who wants to read the answer
    takes `body` and follows it: what passes here is split and parsed once.
    """

    def __init__(
        self, asked: MeteredRequest, keep: Callable[[UsageRecord], object], ticket: Ticket, *, edits: bool
    ) -> None:
        self.record: UsageRecord | None = None
        self.close_as: Outcome = "cancelled"
        self.finalizer: weakref.finalize[..., object] | None = None
        self.coding = ""
        self.body: Body | None = None
        self._asked = asked
        self._keep = keep
        self._edits = edits
        self._ticket = ticket
        self._free = ticket.free
        self._booking, self._user = record.booking(), record.current_user()
        self._at = datetime.now(UTC)
        self._start = time.perf_counter()
        self._first_token: float | None = None
        self._status: int | None = None
        self._packed = bytearray()
        self._reading = reading_of(asked.kind, asked.choices)
        self._once = threading.Lock()

    def __repr__(self) -> str:
        return f"Exchange({self._asked!r}, {'ended' if self.record else 'open'})"

    def answered(self, response: httpx2.Response) -> None:
        """The head of the answer came."""
        self._status = response.status_code
        self._free = self._free or (self._asked.local_key and is_nearby(response))
        self.coding = response.headers.get("content-encoding", "").replace("identity", "")
        kind = response.headers.get("content-type", "")
        streamed = self._asked.streamed
        self.body = Body(self._reading, kind, status=self._status, streamed=streamed, edits=self._edits, most=MOST_KEPT)
        if self._asked.kind == "audio" and self._status < 300:
            self._take_audio_head(response)
        if self._status < 300 and self._asked.kind not in READABLE and not _is_text(kind):
            self.body.blind()

    @property
    def unpacks(self) -> bool:
        """Whether a packed answer is unpacked as it passes: for who reads it here, or for a chunk to be taken out."""
        return bool(self.coding) and (self._reading.follows or (self._edits and (self._status or 0) < 300))

    def take(self, data: bytes) -> bytes:
        """Watch bytes pass; give back what may go on to the caller now."""
        body = self.body
        if body is None:
            return data
        if self.coding and not self.unpacks:
            self._packed += data
            if len(self._packed) > body.most:
                self._packed.clear()
                body.blind()
            return data
        passed = body.take(data)
        if self._first_token is None and self._reading.pieces:
            self._first_token = time.perf_counter() - self._start
        return passed

    def rest(self, *, whole: bool = True) -> bytes:
        """At the end of the body, or where it broke: the bytes still held back."""
        return self.body.rest(whole=whole) if self.body and not self._packed else b""

    def end(self, cause: BaseException | Literal["end", "close"]) -> None:
        """The attempt is over: make the record and store it. Only the first end counts."""
        if not self._once.acquire(blocking=False):
            return
        latency = time.perf_counter() - self._start
        if self.finalizer:
            self.finalizer.detach()
        if self._packed:
            self._unpack()
        try:
            self.record = self._make_record(self._outcome(cause), cause, latency)
        except ImportError:
            self._once.release()  # it can be ended again
            raise
        self._keep(self.record)

    @property
    def refusal(self) -> Refusal | None:
        """What the endpoint said instead of an answer, or inside of it."""
        return self._reading.refusal

    def _unpack(self) -> None:
        """Read at the end what passed as it was packed."""
        data = _decoded(bytes(self._packed), self.coding)
        self._packed.clear()
        if self.body and data is not None:
            self.body.take(data)
            self.body.rest()

    def _take_audio_head(self, response: httpx2.Response) -> None:
        """Read what the head of an answer to audio says; chatkit's own server names model and seconds there."""
        self._reading.model = response.headers.get("openai-model")
        with suppress(ValueError):
            self._reading.counts = answer.read({"seconds": float(response.headers.get("x-audio-seconds", ""))})

    def _outcome(self, cause: BaseException | str) -> Outcome:
        form = self.body.form if self.body else None
        if (self._status or 0) >= 300:
            return "error"
        if cause == "end" and not self._reading.failed and (form == "blind" or self._asked.kind == "other"):
            return "complete"
        if isinstance(cause, Exception):
            return self._reading.outcome("incomplete" if form == "events" else "error")
        return self._reading.outcome("incomplete" if cause == "end" else self.close_as)

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
            answered_model=without_parts(reading.model, asked.keys) if reading.model else None,
            streamed=asked.streamed,
            outcome=outcome,
            status=self._status,
            error_code=self._error_code(cause),
            attempt=asked.attempt,
            latency=latency,
            first_token=self._first_token,
            usage=record.to_usage(used, known, cost),
            price_table=table,
            price_date=day,
            details=record.details(used, reading.tier),
            at_most=None if measured or self._free else self._most(used, cost),
            user=self._user,
            lesson=self._booking.lesson,
            exercise=self._booking.exercise,
        )

    def _error_code(self, cause: BaseException | str) -> str | None:
        code = self._reading.error_code
        if code is None:
            return type(cause).__name__ if isinstance(cause, Exception) else None
        return scrub(code, self._asked.keys)[:100]

    def _used(self, cause: BaseException | str) -> tuple[Counts | None, Known]:
        reading, status, seconds = self._reading, self._status, self._asked.audio_seconds
        if reading.counts and (reading.doubt == "measured" or seconds is None):
            return self._without_zeros(reading.counts, reading.doubt)
        if isinstance(cause, NEVER_SENT) or (status and 300 <= status < 500 and status != 408):
            return record.NO_COUNTS, "measured"
        given_up = status is None and not isinstance(cause, Exception)
        if seconds is not None and not reading.failed and (status == 200 or given_up):
            return {"audio_seconds": seconds}, "estimated"
        if status is None or status >= 300 or self._asked.body is None:
            return None, "unknown"
        if self._asked.kind == "moderations":
            return record.NO_COUNTS, "measured"
        if (self.body and self.body.form == "events") or reading.pieces or reading.size is not None:
            return self._estimate(), "estimated"
        return None, "unknown"

    def _estimate(self) -> dict[str, int | float]:
        reading = self._reading
        output = reading.pieces if reading.size is None else estimate.of_bytes(reading.size)
        return {"input_tokens": estimate.of_prompt(self._asked.body or {}), "output_tokens": output}

    def _without_zeros(self, found: Counts, doubt: Known) -> tuple[Counts, Known]:
        """The counts, where one is 0 that cannot be: of a prompt that was sent, of a text that came."""
        zeros = 0 in (found.get("input_tokens"), found.get("output_tokens"))
        if not zeros or self._asked.kind not in READABLE or self._asked.body is None:
            return found, doubt
        guess = self._estimate()
        wrong = {key: guess[key] for key in guess if found.get(key) == 0 and guess[key]}
        return ({**found, **wrong}, "estimated") if wrong else (found, doubt)

    def _cost(self, used: Counts | None) -> tuple[Decimal | None, str | None, str | None]:
        if self._free or (used is not None and not any(used.values())):
            return Decimal(0), None, None
        asked, reading = self._asked, self._reading
        models = (reading.model, asked.model)
        price = price_of(used, models, asked.url, self._at, tier=reading.tier, own=self._ticket.own) if used else None
        return price or (None, None, None)

    def _most(self, used: Counts | None, cost: Decimal | None) -> Decimal | None:
        """What a call cannot have cost more than, where that is not measured."""
        seen = int(used.get("output_tokens", 0)) if used else 0
        most = budget.most(self._asked, self._ticket.own, self._at, seen)
        return cost if most is None else max(most, cost or Decimal(0))


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.endswith("json") or kind.startswith("text/")


def _decoded(body: bytes, encoding: str) -> bytes | None:
    if not encoding:
        return body
    try:
        return httpx2.Response(200, headers={"content-encoding": encoding}, content=body).content
    except httpx2.DecodingError:
        return None


class MeteredStream(httpx2.SyncByteStream):
    """The body of a metered answer."""

    def __init__(self, inner: httpx2.SyncByteStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for data in _unpacked(self._inner, exchange) if exchange.unpacks else self._inner:
                if passed := exchange.take(data):
                    yield passed
        except BaseException as error:
            if rest := _rest_of_the_broken(exchange, error):
                yield rest
            raise
        if rest := _rest_of_the_whole(exchange):
            yield rest

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.end("close")


class AsyncMeteredStream(httpx2.AsyncByteStream):
    """The body of a metered answer, for an async client."""

    def __init__(self, inner: httpx2.AsyncByteStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        try:
            async for data in _unpacked_later(self._inner, exchange) if exchange.unpacks else self._inner:
                if passed := exchange.take(data):
                    yield passed
        except BaseException as error:
            if rest := _rest_of_the_broken(exchange, error):
                yield rest
            raise
        if rest := _rest_of_the_whole(exchange):
            yield rest

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end("close")


def _rest_of_the_whole(exchange: Exchange) -> bytes:
    rest = exchange.rest()
    exchange.end("end")
    return rest


def _rest_of_the_broken(exchange: Exchange, error: BaseException) -> bytes:
    rest = exchange.rest(whole=False) if isinstance(error, Exception) else b""  # after a cancel, nobody reads on
    exchange.end(error)
    return rest if isinstance(error, httpx2.HTTPError) else b""


def _unpacked(stream: httpx2.SyncByteStream, exchange: Exchange) -> Iterator[bytes]:
    return httpx2.Response(200, headers={"content-encoding": exchange.coding}, stream=stream).iter_bytes()


def _unpacked_later(stream: httpx2.AsyncByteStream, exchange: Exchange) -> AsyncIterator[bytes]:
    return httpx2.Response(200, headers={"content-encoding": exchange.coding}, stream=stream).aiter_bytes()
