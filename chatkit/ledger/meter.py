"""The httpx2 transports that every client of chatkit is built on: each exchange becomes one `UsageRecord`.

In: requests of any OpenAI client, and another transport to send them by. Out: its responses, byte for
byte as they come, and a row in the store by the time the caller sees the end, the close or the exception.

Rows are made of POSTs, the calls of a model. A GET (`/models`, a stored response) uses nothing, and so do
the POSTs that keep house (files, batches, vector stores): they make no row.
"""

import asyncio
import threading
import warnings
import weakref
from contextlib import suppress

import httpx2

from chatkit.api import errors
from chatkit.api.errors import Refusal
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import budget, price_table
from chatkit.ledger.exchange import AsyncMeteredStream, Exchange, MeteredStream, Ticket, new_call
from chatkit.ledger.record import UsageRecord
from chatkit.ledger.request import MeteredRequest, read_request, with_usage
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.store import PATIENCE, UsageStore, default_store

PATIENCE_ON_LOOP = 0.05
"""Seconds that an event loop may be held up by another program that holds the store; then a thread takes over."""

NAME = "chatkit_exchange"


_loading = threading.local()
"""In the thread that loads: the exchanges whose streams were collected there, in the middle of an import."""


class Meter:
    """What the transports of one client share: the store, whether calls are free, what an endpoint refuses.

    `store` None is the store of this process, opened when it is first needed; `free` is for a local model.
    """

    def __init__(self, store: UsageStore | None = None, *, free: bool = False) -> None:
        self.free = free
        self._store = store
        self._refusing: set[str] = set()
        self._ready = False

    def write(self, record: UsageRecord, patience: float = PATIENCE) -> None:
        """Put the record into the store; a `CHATKIT_DB` that names none is told of, and breaks no call either."""
        try:
            store = self._store or default_store()
        except InputError as fault:
            warnings.warn(f"{fault} Usage is not kept.", stacklevel=2)
            return
        store.add(record, patience=patience)

    def write_on_loop(self, record: UsageRecord) -> None:
        """The same, where nothing may wait."""
        self.write(record, PATIENCE_ON_LOOP)

    def admit(self, asked: MeteredRequest) -> Ticket:
        """What an attempt starts with; raises `BudgetError` where the budget does not allow it."""
        call = new_call()
        if self.free:
            return Ticket(call, free=True)
        try:
            rulebook = rulebook_of(self._store or default_store())
        except InputError:
            return Ticket(call)  # a CHATKIT_DB that names none is told of when the row is written
        rules = rulebook.rules()
        budget.admit(rulebook, rules, asked, call)
        return Ticket(call, own=rules.prices)

    async def admit_on_loop(self, asked: MeteredRequest) -> Ticket:
        """The same, where nothing may wait: a thread asks the store, unless nothing is to be asked."""
        try:
            known = self.free or rulebook_of(self._store or default_store()).known
        except InputError:
            known = True
        if known is True or (known and known.limit is None):
            return self.admit(asked)
        return await asyncio.to_thread(self.admit, asked)

    def asks(self, asked: MeteredRequest) -> bool:
        """Whether the meter is to ask for the usage that the caller did not ask for."""
        return asked.hides_usage and asked.endpoint not in self._refusing

    def rejects_option(self, asked: MeteredRequest, response: httpx2.Response, body: bytes, *, edits: bool) -> bool:
        """Whether to ask again without `stream_options`: the endpoint rejects it, which is remembered whoever asked."""
        if response.status_code not in REFUSALS or not (edits or asked.tells_usage):
            return False
        if not _names_the_option(response, body):
            return False
        self._refusing.add(asked.endpoint)
        return edits

    def warm_up(self) -> None:
        """Load the store and the price table beside the first request, so that its answer need not wait for them."""
        if not self._ready:
            self._ready = True
            with suppress(RuntimeError):  # the interpreter is ending and starts no thread any more
                threading.Thread(target=self._load, name="chatkit-meter").start()

    def _load(self) -> None:
        dropped: list[Exchange] = []
        _loading.dropped = dropped
        try:
            self._load_all()
        finally:
            _loading.dropped = None
            for exchange in dropped:
                exchange.end("close")

    def _load_all(self) -> None:
        try:
            (self._store or default_store()).open()
        except (StoreError, InputError):
            return  # the first row will say so
        if not self.free:
            price_table.load()


class MeteredTransport(httpx2.BaseTransport):
    """A transport whose exchanges are metered.

    >>> inner = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"data": []}))
    >>> client = httpx2.Client(transport=MeteredTransport(inner, Meter()))
    >>> client.get("http://127.0.0.1/v1/models").json()
    {'data': []}
    """

    def __init__(self, inner: httpx2.BaseTransport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = read_request(request)
        if asked is None:
            return self._inner.handle_request(request)
        self._meter.warm_up()
        edits = self._meter.asks(asked)
        response = self._send(with_usage(request, asked.body or {}) if edits else request, asked, edits=edits)
        if response.status_code < 400:
            return response
        body = b"".join(response.stream)  # type: ignore[arg-type]  # a sync transport's stream
        response.close()
        if self._meter.rejects_option(asked, response, body, edits=edits):
            return self._send(request, asked.again(), edits=False)
        return _refused(response, body)

    def _send(self, request: httpx2.Request, asked: MeteredRequest, *, edits: bool) -> httpx2.Response:
        exchange = Exchange(asked, self._meter.write, self._meter.admit(asked), edits=edits)
        try:
            response = self._inner.handle_request(request)
        except BaseException as error:
            _end_without_answer(exchange, error)
            raise
        return _watched(response, MeteredStream(response.stream, exchange), exchange)  # type: ignore[arg-type]

    def close(self) -> None:
        self._inner.close()


class AsyncMeteredTransport(httpx2.AsyncBaseTransport):
    """The same for an async client; a row is written on the loop unless another program holds the store."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = read_request(request)
        if asked is None:
            return await self._inner.handle_async_request(request)
        self._meter.warm_up()
        edits = self._meter.asks(asked)
        response = await self._send(with_usage(request, asked.body or {}) if edits else request, asked, edits=edits)
        if response.status_code < 400:
            return response
        body = b"".join([part async for part in response.stream])  # type: ignore[union-attr]  # an async one's
        await response.aclose()
        if self._meter.rejects_option(asked, response, body, edits=edits):
            return await self._send(request, asked.again(), edits=False)
        return _refused(response, body)

    async def _send(self, request: httpx2.Request, asked: MeteredRequest, *, edits: bool) -> httpx2.Response:
        ticket = await self._meter.admit_on_loop(asked)
        exchange = Exchange(asked, self._meter.write_on_loop, ticket, edits=edits)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            _end_without_answer(exchange, error)
            raise
        return _watched(response, AsyncMeteredStream(response.stream, exchange), exchange)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        await self._inner.aclose()


REFUSALS = (400, 422)


def _end_without_answer(exchange: Exchange, error: BaseException) -> None:
    exchange.end(error)
    setattr(error, NAME, exchange)


def _watched(
    response: httpx2.Response, stream: MeteredStream | AsyncMeteredStream, exchange: Exchange
) -> httpx2.Response:
    exchange.answered(response)
    exchange.finalizer = weakref.finalize(stream, _dropped, exchange)
    if response.is_stream_consumed:  # made from bytes, its body would pass us by
        response = _with_stream(response, stream)
    response.stream = stream
    if exchange.unpacks:  # a server that packs although it was asked not to: the caller gets it unpacked
        for name in ("content-encoding", "content-length"):
            response.headers.pop(name, None)
    response.extensions[NAME] = exchange
    return response


def _dropped(exchange: Exchange) -> None:
    """Book a stream that is dropped unread: not in the middle of an import of what the row needs, but after it."""
    waiting: list[Exchange] | None = getattr(_loading, "dropped", None)
    if waiting is not None:
        waiting.append(exchange)
        return
    try:
        exchange.end("close")
    except ImportError:
        with suppress(RuntimeError):  # the interpreter is ending and starts no thread any more
            threading.Thread(target=exchange.end, args=("close",), name="chatkit-meter").start()


def _refused(response: httpx2.Response, body: bytes) -> httpx2.Response:
    """A refusal, read; where another try cannot help, the SDK is told so by the header that it obeys."""
    exchange, status = response.extensions[NAME], response.status_code
    refusal = exchange.refusal or Refusal()
    if (status in errors.AGAIN or status >= 500) and not errors.may_retry(status, refusal, response.headers):
        response.headers["x-should-retry"] = "false"
    return _with_stream(response, httpx2.ByteStream(body))


def _names_the_option(response: httpx2.Response, body: bytes) -> bool:
    head = {"content-encoding": response.headers.get("content-encoding", "")}
    try:
        said = httpx2.Response(response.status_code, headers=head, content=body).content
    except httpx2.DecodingError:
        return False
    return b"stream_options" in said or b"include_usage" in said


def _with_stream(response: httpx2.Response, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> httpx2.Response:
    return httpx2.Response(
        response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
    )
