"""The endpoint door's receiving end: the bytes of an open response become deltas, and its end an outcome.

In: a response with its body unread. Out: lists of `Delta`, one for each piece of the network that brought
any; the draft knows the outcome afterwards. A first content that comes too late is raised as Expired.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import httpx2

from chatkit.endpoint import faults
from chatkit.endpoint.deadlines import Deadlines, Expired, Watch
from chatkit.endpoint.draft import Draft
from chatkit.endpoint.reading import BadEvent, ErrorEvent
from chatkit.endpoint.redact import clean_url, plain
from chatkit.endpoint.refusals import Asked, refused
from chatkit.endpoint.reply import Delta
from chatkit.endpoint.wire import request_id_of, telling_headers
from chatkit.exceptions import EndpointError
from chatkit.ledger.sse import BOM, Splitter

AFTER_DONE = 0.25  # seconds to read what follows [DONE], so that the connection can be used again
SAMPLE = 4096  # bytes of something that is no answer, for the sentence about it
FIELDS = (b"data", b"event", b"id", b"retry", b":")


class Receiving:
    """One response on its way into the draft."""

    def __init__(
        self, response: httpx2.Response, draft: Draft, watch: Watch, deadlines: Deadlines, asked: Asked
    ) -> None:
        self._response, self._draft, self._watch = response, draft, watch
        self._deadlines, self._asked = deadlines, asked
        self._reading = draft.reading
        self._splitter = Splitter()
        self._coded = "content-encoding" in response.headers
        self._chunks = response.aiter_bytes() if self._coded else response.aiter_raw()
        self._started = self._tailing = False
        draft.status = response.status_code
        draft.request_id = request_id_of(response)
        draft.headers = telling_headers(response.headers)
        draft.url = clean_url(str(response.request.url))

    async def batches(self) -> AsyncGenerator[list[Delta]]:
        """Yield what comes; end the draft. Raises Expired while nothing has come yet."""
        try:
            head = await self._head()
            form = self._form(head)
            stream = {"events": self._events, "json": self._json}.get(form, self._other)(head)
            async for deltas in stream:
                yield deltas
        except Expired as expired:
            if expired.phase == "first content":
                raise
            self._end(faults.too_late(expired))
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            self._rest()
            self._end(faults.broke_off(error))
        except BadEvent as bad:
            self._draft.fail(self._no_answer(f"an event cannot be read, {bad}"), partial="error")
        except ErrorEvent as said:
            self._draft.fail(self._refused(said), partial="error")

    async def _next(self) -> bytes | None:
        try:
            with self._watch:
                return await self._chunks.__anext__()
        except StopAsyncIteration:
            return None

    async def _head(self) -> bytes:
        """The first bytes, up to one that tells what they are."""
        head = bytearray()
        while not head.removeprefix(BOM).strip() and len(head) < SAMPLE:
            chunk = await self._next()
            if chunk is None:
                break
            head += chunk
        return bytes(head)

    def _form(self, head: bytes) -> str:
        start = head.removeprefix(BOM).lstrip()[:5]
        kind = self._response.headers.get("content-type", "")
        if start[:1] in (b"{", b"["):
            return "json"
        if start[:1] == b"<" or "html" in kind:
            return "other"
        known = "event-stream" in kind or any(start.startswith(f) or f.startswith(start) for f in FIELDS)
        return "events" if known and (start or "event-stream" in kind) else "other"

    async def _events(self, head: bytes) -> AsyncGenerator[list[Delta]]:
        reading, splitter, watch, draft = self._reading, self._splitter, self._watch, self._draft
        chunks, most = self._chunks, self._deadlines.event
        chunk = head
        while True:
            draft.keep(chunk)
            deltas: list[Delta] = []
            fault = None
            try:
                for event in splitter.feed(chunk):
                    deltas += reading.read(event)
                    if reading.over:
                        break
            except (BadEvent, ErrorEvent) as error:
                fault = error
            if deltas:
                self._content()
                yield deltas
            if fault:
                raise fault
            if reading.over or self._too_long(splitter.pending > most):
                break
            if reading.finished and not self._tailing:
                self._tailing = True
                watch.finished()
            try:
                with watch:
                    chunk = await chunks.__anext__()
            except StopAsyncIteration:
                break
        async for deltas in self._finish():
            yield deltas

    async def _finish(self) -> AsyncGenerator[list[Delta]]:
        if self._draft.settled:
            return
        for last in (self._rest(), self._reading.close()):
            if last:
                self._content()
                yield last
        self._end(faults.cut_off())
        if self._reading.over:
            await self._drain()

    async def _json(self, head: bytes) -> AsyncGenerator[list[Delta]]:
        body = bytearray(head)
        while (chunk := await self._next()) is not None:
            body += chunk
            if self._too_long(len(body) > self._deadlines.event):
                return
        self._draft.keep(body)
        deltas = self._reading.whole(bytes(body).removeprefix(BOM))
        deltas += self._reading.close()
        if deltas:
            self._content()
            yield deltas
        if not self._too_long(False):
            self._end(faults.cut_off())

    async def _other(self, head: bytes) -> AsyncGenerator[list[Delta]]:
        body = bytearray(head)
        while len(body) < SAMPLE and (chunk := await self._next()) is not None:
            body += chunk
        self._draft.keep(body)
        kind = self._response.headers.get("content-type", "no content type").partition(";")[0].strip()
        text = plain(body.decode("utf-8", "replace"), self._asked.keys, 120)
        said = f"{plain(kind, (), 60)}, “{text}”" if text else "the body is empty"
        self._draft.fail(self._no_answer(said))
        return
        yield  # an async generator like its siblings

    def _rest(self) -> list[Delta]:
        """Read an event that the stream's end completes; one that is cut is no event."""
        deltas: list[Delta] = []
        with suppress(BadEvent):
            for event in self._splitter.close():
                deltas += self._reading.read(event)
        return deltas

    def _content(self) -> None:
        if not self._started:
            self._started = True
            self._draft.content()
        self._watch.content()

    def _too_long(self, event: bool) -> bool:
        if event or self._reading.full:
            what = f"one event of more than {self._deadlines.event:,} bytes" if event else ""
            self._draft.fail(faults.too_long(what or f"more than {self._deadlines.text:,} characters"))
        return event or self._reading.full

    def _end(self, unfinished: EndpointError) -> None:
        """End with the outcome that the stream said, or, where it said none, by this error."""
        reading = self._reading
        if not reading.began and reading.over:
            self._draft.fail(self._no_answer("the stream has no answer in it"))
        elif outcome := reading.outcome():
            self._draft.end(outcome)
        else:
            self._draft.fail(unfinished)

    async def _drain(self) -> None:
        with suppress(TimeoutError, httpx2.HTTPError):
            async with asyncio.timeout(AFTER_DONE):
                taken = 0
                async for chunk in self._chunks:
                    self._draft.keep(chunk)
                    taken += len(chunk)
                    if taken > SAMPLE:
                        break

    def _no_answer(self, why: str) -> EndpointError:
        return faults.no_api_answer(why, self._response.status_code, self._draft.request_id)

    def _refused(self, said: ErrorEvent) -> EndpointError:
        return refused(self._response.status_code, said.refusal, self._asked, request_id=self._draft.request_id)
