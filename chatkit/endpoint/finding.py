"""The endpoint door's finding of an endpoint on the loop: the local server may have to be fetched and started first.

In: the endpoint there is, if any. Out: a `Wait` for each word of progress, and the endpoint at the end.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from chatkit.endpoint import connect
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.reply import Wait

AT_ONCE = 0.3
"""Seconds in which an endpoint is found that need not be started."""
STARTING = "Starting the local model…"


async def find(known: Endpoint | None) -> AsyncIterator[Wait | Endpoint]:
    """The endpoint that `connect` would use; of a known one, itself, or the server started in its place."""
    loop, words = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def tell(word: str | None) -> None:
        loop.call_soon_threadsafe(words.put_nowait, word)

    how = connect.resolve if known is None else partial(connect.refresh, known)
    finding = asyncio.create_task(asyncio.to_thread(how, tell=tell))
    finding.add_done_callback(lambda _: words.put_nowait(None))
    done, _ = await asyncio.wait([finding], timeout=AT_ONCE)
    if not done and words.empty():
        yield Wait(0, 1, 1, STARTING)
    while (word := await words.get()) is not None:
        yield Wait(0, 1, 1, word)
    yield finding.result()
