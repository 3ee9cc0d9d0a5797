"""The client's engine: one turn, asked by an openai client and read from the bytes that come back.

In: a client, a JSON body, deadlines. Out: `Delta`s as they come, a `Wait` before each further attempt,
and at the end exactly one `Reply`, whatever happened. It runs on any asyncio loop; run.py gives it one.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from chatkit.api.request import Api as Api
from chatkit.client.attachment import Attachment
from chatkit.client.deadlines import Deadlines
from chatkit.client.given import timeout_of
from chatkit.client.reply import Delta, Reply, Wait

if TYPE_CHECKING:
    import openai


class Engine:
    """Turns a request into a stream of deltas and one reply.

    `sleep` and `chance` are what waits between attempts are made of; tests give their own.
    """

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sleep = sleep
        self._chance = chance

    async def stream(
        self,
        client: "openai.AsyncOpenAI",
        body: Mapping[str, Any],
        *,
        api: Api = "chat",
        deadlines: Deadlines | None = None,
        attempts: int | None = None,
        attachment: Attachment | None = None,
    ) -> AsyncGenerator[Delta | Wait | Reply]:
        """Send `body` (without stream flags) and yield what comes; the last item is the Reply.

        With an `attachment`, `body` is the form beside the file and goes out as it is. The client's timeout counts where
        it has one of its own, and so do its `max_retries` where `attempts` are not given.

        Nothing is raised but CancelledError, after the Reply of a turn whose task was cancelled.
        """
        from chatkit.client.attempts import Asking  # brings openai, which must not slow the first import

        clock = deadlines or Deadlines()
        if (limits := timeout_of(client)) is not None:
            clock = clock.within(*limits[:2])
        if attempts is None:
            attempts = 1 + client.max_retries
        asking = Asking(client, body, api, clock, attempts, self._sleep, self._chance, attachment)
        cancelled = None
        try:
            async with aclosing(asking.batches()) as batches:
                async for batch in batches:
                    for item in batch:
                        yield item
        except asyncio.CancelledError as cancel:
            cancelled = cancel
            if not asking.draft.settled:
                asking.draft.end("cancelled")
        finally:
            asking.watch.stop()
        yield asking.draft.reply()
        if cancelled:
            raise cancelled
