"""The client's attempts: a turn is sent, and sent again where that may help, until it has ended.

In: a client, a JSON body, deadlines. Out: batches of `Delta` and `Wait`; the draft holds the rest.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from difflib import get_close_matches
from itertools import count
from typing import Any

import httpx2
import openai

from chatkit.api.errors import own_wait
from chatkit.api.sentences import RefusedCall
from chatkit.api.text import plain
from chatkit.client import faults, sending
from chatkit.client.attachment import Attachment
from chatkit.client.deadlines import Deadlines, Expired, Watch
from chatkit.client.reply import Delta, Draft, Wait
from chatkit.client.response import Receiving
from chatkit.client.sending import Failed
from chatkit.exceptions import EndpointError

BILLED_TWICE = "an attempt that brought no answer was made again; it may be billed twice"
LOOKED_UP = 3.0  # seconds that the model names in a 404's sentence may cost
SILENCES = 2  # attempts that may end without a word; a file is not sent twice into silence, it may be billed twice

UNSTREAMED = "the endpoint refuses to stream this model for this account: it was asked for the whole answer at once"

_no_options: set[str] = set()  # addresses that reject stream_options
_no_streams: set[tuple[str, str | None]] = set()  # addresses that refuse streams of a model


class Asking:
    """One turn, asked until it is answered or must not be asked again."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        body: Mapping[str, Any],
        api: str,
        deadlines: Deadlines,
        attempts: int,
        sleep: Callable[[float], Awaitable[object]],
        chance: Callable[[], float],
        attachment: Attachment | None = None,
    ) -> None:
        self._client, self._body, self._api = client, body, api
        self._attachment = self._watched(attachment) if attachment else None
        self._deadlines, self._most = deadlines, attempts
        self._sleep, self._chance = sleep, chance
        self._silences = 0
        model = body.get("model")
        self._asked = RefusedCall(
            model if isinstance(model, str) else None, sending.url_of(client, api), sending.keys_of(client)
        )
        self.draft = Draft(api, body, self._asked, deadlines)
        self.watch = Watch(deadlines)
        self.watch.before = self.draft.interrupt

    async def batches(self) -> AsyncGenerator[Sequence[Delta | Wait]]:
        """Yield what comes, attempt by attempt; the draft has ended afterwards."""
        try:
            for number in count(1):
                try:
                    async with aclosing(self._attempt(number)) as batches:
                        async for batch in batches:
                            yield batch
                    return
                except Failed as caught:
                    failed = caught
                    self._silences += failed.silent
                if self._drops_options(failed) or self._drops_stream(failed):
                    continue
                seconds = self._wait(failed, number)
                if seconds is None:
                    await self._give_up(failed)
                    return
                yield (Wait(seconds, number + 1, self._most, _why(failed)),)
                self.watch.pause()
                with self.watch:
                    await self._sleep(seconds)
        except Expired as expired:
            self.draft.fail(faults.too_late(expired))

    @property
    def _clock(self) -> Deadlines:
        """A whole answer takes as long as its last word: only the turn's own end is due."""
        limits = self._deadlines
        return replace(limits, first_content=limits.turn) if self._is_whole else limits

    async def _attempt(self, number: int) -> AsyncGenerator[Sequence[Delta]]:
        self.draft.begin(self._sent())
        self.watch.begin(self._clock.first_content)
        response = await self._send(number)
        self.watch.answered()
        try:
            receiving = Receiving(response, self.draft, self.watch, self._deadlines, self._asked)
            async with aclosing(receiving.batches()) as batches:
                async for deltas in batches:
                    yield deltas
        except Expired as expired:
            raise self._silent(expired) from None
        finally:
            await response.aclose()

    async def _send(self, number: int) -> httpx2.Response:
        exchange = None
        try:
            with self.watch:
                response = await sending.send(
                    self._client, self._api, self.draft.sent, number, self._clock, self._attachment
                )
            exchange = response.extensions.get("chatkit_exchange")
            return response
        except Failed as failed:
            exchange = failed.exchange
            raise
        except Expired as expired:
            exchange = sending.exchange_of(expired)
            raise self._silent(expired) from None
        except asyncio.CancelledError as cancel:
            exchange = sending.exchange_of(cancel)
            raise
        finally:
            self.draft.exchanges.append(exchange)

    def _watched(self, attachment: Attachment) -> Attachment:
        """The same file, each piece of which that goes out moves the deadline for the answer."""

        def tell(sent: int) -> None:
            self.watch.begin()
            attachment.tell(sent)

        return replace(attachment, tell=tell)

    def _sent(self) -> dict[str, Any]:
        if self._attachment:
            return dict(self._body)
        if self._is_whole:
            if self._body.get("stream") is not False:
                self._note(UNSTREAMED)
            return {key: value for key, value in self._body.items() if key not in ("stream", "stream_options")}
        body = {**self._body, "stream": True}
        if self._api == "chat":
            options = {} if self._asked.url in _no_options else {"include_usage": True}
            if options := {**options, **(body.pop("stream_options", None) or {})}:
                body["stream_options"] = options
        return body

    @property
    def _is_whole(self) -> bool:
        """Whether the answer is asked for at once: as the caller wishes, or since the endpoint refuses to stream it."""
        return self._body.get("stream") is False or (self._asked.url, self._asked.model) in _no_streams

    def _note(self, words: str) -> None:
        if words not in self.draft.notes:
            self.draft.notes.append(words)

    def _silent(self, expired: Expired) -> Failed | Expired:
        return (
            Failed(faults.too_late(expired), again=True, silent=True) if expired.phase == "first content" else expired
        )

    def _drops_options(self, failed: Failed) -> bool:
        """Say whether the endpoint rejects `stream_options`; it is asked without from now on."""
        status = getattr(failed.error, "status", None)
        said = status in (400, 422) and b"stream_options" in failed.raw and "stream_options" not in self._body
        if not said or self._asked.url in _no_options:
            return False
        _no_options.add(self._asked.url)
        return True

    def _drops_stream(self, failed: Failed) -> bool:
        """Say whether the endpoint refuses streams of this model; the whole answer is asked for from now on."""
        if not failed.no_stream or self._attachment or self._is_whole:
            return False
        _no_streams.add((self._asked.url, self._asked.model))
        return True

    def _wait(self, failed: Failed, number: int) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        silences = 1 if self._attachment else SILENCES
        if not failed.again or number >= self._most or self._silences >= silences:
            return None
        seconds = own_wait(number, self._chance()) if failed.wait is None else failed.wait
        if seconds > min(self._deadlines.retry_after, self.watch.left()):
            return None
        if failed.silent:
            self._note(BILLED_TWICE)
        return seconds

    async def _give_up(self, failed: Failed) -> None:
        error = failed.error
        if isinstance(error, EndpointError):
            self.draft.status, self.draft.request_id = error.status, error.request_id
            if failed.no_model and self._asked.model:
                error = await self._with_names(error, self._asked.model)
        self.draft.headers = failed.headers
        self.draft.keep(failed.raw)
        self.draft.fail(error)

    async def _with_names(self, error: EndpointError, model: str) -> EndpointError:
        """Add names that the endpoint lists and that look like the one asked for."""
        names: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKED_UP):
                names = await sending.list_models(self._client, self._deadlines)
        near = get_close_matches(model, names, n=3, cutoff=0.4) or names[:3]
        if not near:
            return error
        shown = ", ".join(plain(name, self._asked.keys, 80) for name in near)
        return EndpointError(
            error.cause,
            f"It has: {shown}." if near == names else f"Near names that it has: {shown}.",
            kind=error.kind,
            status=error.status,
            code=error.code,
            type=error.type,
            param=error.param,
            request_id=error.request_id,
        )


def _why(failed: Failed) -> str:
    return failed.error.cause.partition(" It says:")[0]
