"""The client's receiving end: the bytes of an open response become deltas, and its end an outcome.

In: a response with its body unread. Out: lists of `Delta`, one for each piece of the network that brought any; the
draft knows the outcome afterwards. The bytes are read once: by the meter's exchange as they pass it, or here where the
client has no meter. A first content that comes too late is raised as Expired.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import httpx2

from chatkit.api.answer import Delta
from chatkit.api.reading import SAMPLE, Body
from chatkit.api.sentences import RefusedCall, refused
from chatkit.api.text import clean_url, plain
from chatkit.client import faults
from chatkit.client.deadlines import Deadlines, Expired, Watch
from chatkit.client.reply import Draft
from chatkit.client.sending import request_id_of, telling_headers
from chatkit.exceptions import EndpointError
from chatkit.ledger.exchange import Exchange

AFTER_DONE = 0.25  # seconds to read what follows [DONE], so that the connection can be used again


class Receiving:
    """One response on its way into the draft."""

    def __init__(
        self, response: httpx2.Response, draft: Draft, watch: Watch, deadlines: Deadlines, asked: RefusedCall
    ) -> None:
        self._response, self._draft, self._watch = response, draft, watch
        self._deadlines, self._asked = deadlines, asked
        exchange = response.extensions.get("chatkit_exchange")
        passing = exchange.body if isinstance(exchange, Exchange) else None
        self._is_read = passing is not None
        self._body = passing or self._own_body()
        self._body.follow(deadlines.text, deadlines.event)
        self._reading = draft.reading = self._body.reading
        # an exchange unpacks for who follows it, and hands on what it has read
        self._chunks = response.aiter_raw() if self._is_read else response.aiter_bytes()
        self._started = self._tailing = False
        draft.status = response.status_code
        draft.request_id = request_id_of(response)
        draft.headers = telling_headers(response.headers, asked.keys)
        draft.url = clean_url(str(response.request.url))

    def _own_body(self) -> Body:
        kind = self._response.headers.get("content-type", "")
        return Body(self._draft.reading, kind, streamed=True)

    async def batches(self) -> AsyncGenerator[Sequence[Delta]]:
        """Yield what comes; end the draft. Raises Expired while nothing has come yet."""
        unfinished: EndpointError = faults.cut_off()
        try:
            async for deltas in self._read():
                yield deltas
        except Expired as expired:
            if expired.phase == "first content":
                raise
            unfinished = faults.too_late(expired)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            if not self._is_read:
                self._body.rest(whole=False)
            unfinished = faults.broke_off(error)
        self._body.settle()
        if last := self._taken():
            yield last
        self._end(unfinished)
        if self._reading.over and not self._reading.failed and self._body.form == "events":
            await self._drain()

    async def _read(self) -> AsyncGenerator[Sequence[Delta]]:
        reading, body, draft, watch, chunks = self._reading, self._body, self._draft, self._watch, self._chunks
        is_read = self._is_read
        while True:
            try:
                with watch:
                    chunk = await chunks.__anext__()
            except StopAsyncIteration:
                break
            draft.keep(chunk)
            if not is_read:
                body.take(chunk)
            if deltas := self._taken():
                yield deltas
            if reading.over or reading.full or reading.failed or body.is_hopeless:
                return
            if reading.finished and not self._tailing:
                self._tailing = True
                watch.finished()
        if not is_read:
            body.rest()

    def _taken(self) -> Sequence[Delta]:
        deltas = self._body.taken()
        if deltas:
            if not self._started:
                self._started = True
                self._draft.content()
            self._watch.content()
        return deltas

    def _end(self, unfinished: EndpointError) -> None:
        """End with the outcome that the answer said, or, where it said none, by this error."""
        reading, body, draft = self._reading, self._body, self._draft
        if body.form == "other" or (body.form is None and not reading.began):
            reading.bad = reading.bad or "it is something else"
            draft.fail(self._no_answer(self._sample()))
        elif reading.refusal is not None:
            draft.fail(refused(self._response.status_code, reading.refusal, self._asked, request_id=draft.request_id))
        elif reading.full:
            draft.fail(faults.too_long(self._too_much()))
        elif reading.bad is not None:
            draft.fail(self._no_answer(reading.bad))
        elif reading.failed:
            draft.fail(faults.no_words(self._response.status_code, draft.request_id))
        elif reason := reading.gave_up if reading.ended else None:
            draft.fail(faults.gave_up(plain(reason, self._asked.keys, 80), self._response.status_code))
        elif reading.ended:
            draft.end("complete")
        else:
            draft.fail(unfinished)

    def _too_much(self) -> str:
        if self._body.too_long:
            return f"one event of more than {self._deadlines.event:,} bytes"
        return f"more than {self._deadlines.text:,} characters"

    def _sample(self) -> str:
        kind = self._response.headers.get("content-type", "no content type").partition(";")[0].strip()
        text = plain(self._body.sample.decode("utf-8", "replace"), self._asked.keys, 120)
        return f"{plain(kind, (), 60)}, “{text}”" if text else "the body is empty"

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
