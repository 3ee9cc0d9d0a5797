"""The endpoint door's way from the loop's thread to whoever waits: a `Box` of items, a `Bell` for a coroutine.

In: items, one by one, on the loop's thread. Out: all that are there, at once, where they are waited for.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from chatkit.endpoint.turn import RunItem

TICK = 0.05  # an interrupt is only seen when a waiting thread or loop wakes up


class Box:
    """Takes items on one thread, gives all of them on another; `notify` is called when it was empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[RunItem] = []
        self.notify: Callable[[], object] = bool

    def put(self, item: RunItem) -> None:
        with self._lock:
            self._items.append(item)
            first = len(self._items) == 1
        if first:
            self.notify()

    def take(self) -> list[RunItem]:
        with self._lock:
            items, self._items = self._items, []
        return items


class Bell:
    """Wakes a coroutine on its own loop; heard at once or at the next ring."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring_from_afar(self) -> None:
        with suppress(RuntimeError):  # the loop of whoever waited is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._rung = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def heard(self) -> None:
        while not self._rung:
            self._waiter = self._loop.create_future()
            tick = self._loop.call_later(TICK, self._wake)
            try:
                await self._waiter
            finally:
                tick.cancel()
        self._rung = False
