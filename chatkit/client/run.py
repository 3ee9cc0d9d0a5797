"""The client's handle on one turn: start it, follow it, wait for it, stop it, from any thread.

In: a function that makes the turn's stream (`Delta`, `Wait`, one `Reply`). Out: a `Run`. The stream is
read on the loop's thread (turn.py); whoever waits here ticks, so that an interrupt is seen.

Outside IPython nothing is done: there an interrupt ends the program, and its open runs with it.
"""

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol
from uuid import uuid4
from weakref import WeakSet

from chatkit.client.reply import Delta, Reply
from chatkit.client.turn import Listener, RunItem, Turn, on_loop_thread
from chatkit.exceptions import InputError
from chatkit.patience import TICK, until


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


class Cancellable(Protocol):
    """What an interrupt ends."""

    def cancel(self) -> None:
        """Stop it; one that has ended stays as it is."""


_started: WeakSet[Any] = WeakSet()
_shell: Any = None


def note(run: Cancellable) -> None:
    """Remember a run that was started now, if a cell may have started it."""
    if threading.current_thread() is threading.main_thread() and _listens():
        _started.add(run)


def _listens() -> bool:
    global _shell
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and shell is not _shell:
        shell.events.register("pre_run_cell", _before_cell)
        shell.events.register("post_run_cell", _after_cell)
        _shell = shell
    return shell is not None


def _before_cell(_: object) -> None:
    _started.clear()


def _after_cell(result: Any) -> None:
    runs = list(_started)
    _started.clear()
    if isinstance(result.error_in_exec, KeyboardInterrupt):
        for run in runs:
            run.cancel()


GRACE = 2.0  # how long a stopped turn may take to hand back what has come


class Run:
    """A turn that runs: listen to it, iterate over it, `wait()` or `await` it, `cancel()` it.

    `id` is unique. A run that nobody holds and nobody listens to is cancelled. `blocking` is True while
    the main thread waits for it.

    >>> from chatkit.client.reply import Answer
    >>> async def hello():
    ...     yield Delta("Hello")
    ...     yield Reply((Answer(text="Hello"),), "complete")
    >>> start(hello).wait().text
    'Hello'
    """

    def __init__(
        self, make: Callable[[], AsyncIterator[RunItem]], then: Callable[[Reply], object] | None = None
    ) -> None:
        self.id = uuid4().hex[:12]
        self.blocking = False
        self._turn = turn = Turn(make, then)
        weakref.finalize(self, turn.call, turn.abandon).atexit = False
        note(self)  # before it begins: an interrupt may come at any step from here on
        turn.begin()

    def __repr__(self) -> str:
        return f"<Run: {self.reply.outcome if self.reply else 'running'}>"

    @property
    def text(self) -> str:
        """What has come so far of the first answer."""
        return self._turn.text

    @property
    def done(self) -> bool:
        """Whether the reply is there."""
        return self._turn.reply is not None

    @property
    def reply(self) -> Reply | None:
        """The reply, when the run is done."""
        return self._turn.reply

    def cancel(self) -> None:
        """Stop the run; what has come is kept, the outcome is "cancelled". A run that is done stays as it is."""
        self._turn.call(self._turn.stop)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on the loop's thread with what has come and what comes, the Reply last; return how to end it.

        Pieces that came before may be joined. An error in the listener is logged and does not end the run.
        """
        turn, key, on = self._turn, object(), [True]

        def tell(item: RunItem) -> None:
            if on:
                listener(item)

        def end() -> None:
            on.clear()
            turn.call(turn.unlisten, key)

        turn.call(turn.listen, key, tell)
        return end

    def wait(self, timeout: float | None = None) -> Reply:
        """Wait for the reply and return it, whole or partial; raise its error if nothing came back.

        Raises TimeoutError after `timeout` seconds (the run goes on). An interrupt cancels the run, waits
        for what has come, and goes on as KeyboardInterrupt.
        """
        with self._held():
            if not until(self._turn.ended.wait, timeout):
                raise TimeoutError(f"The answer is not there after {timeout:g} s. The run goes on; wait again.")
        return self._outcome()

    def __iter__(self) -> Iterator[Delta]:
        box, came = Box(), threading.Event()
        box.notify = came.set
        end = self.listen(box.put)
        try:
            with self._held():
                while True:
                    until(came.wait)
                    came.clear()
                    for item in box.take():
                        if isinstance(item, Delta):
                            yield item
                        elif isinstance(item, Reply):
                            self._turn.ended.wait(GRACE)
                            self._outcome()
                            return
        finally:
            end()

    async def __aiter__(self) -> AsyncIterator[Delta]:
        note(self)
        box, bell = Box(), Bell()
        box.notify = bell.ring_from_afar
        end = self.listen(box.put)
        try:
            while True:
                await self._heard(bell)
                for item in box.take():
                    if isinstance(item, Delta):
                        yield item
                    elif isinstance(item, Reply):
                        await self._ended()
                        return
        finally:
            end()

    def __await__(self) -> Generator[Any, None, Reply]:
        return self._ended().__await__()

    async def _ended(self) -> Reply:
        bell = Bell()
        self._turn.call(self._turn.when_ended, bell.ring_from_afar)
        await self._heard(bell)
        return self._outcome()

    async def _heard(self, bell: "Bell") -> None:
        try:
            await bell.heard()
        except asyncio.CancelledError:
            self.cancel()
            await self._wait_in_grace()
            raise
        except KeyboardInterrupt:
            self.cancel()
            raise

    async def _wait_in_grace(self) -> None:
        end = time.monotonic() + GRACE
        while not self._turn.ended.is_set() and time.monotonic() < end:
            await asyncio.sleep(0.001)

    def _outcome(self) -> Reply:
        reply = self._turn.reply
        assert reply is not None
        if reply.outcome == "error" and not reply.text and reply.error:
            raise reply.error.with_traceback(None)
        return reply

    @contextmanager
    def _held(self) -> Iterator[None]:
        if on_loop_thread():
            raise InputError(
                "A run cannot be waited for on the thread that runs it.", "Use `await`, or wait on another thread."
            )
        note(self)
        main = threading.current_thread() is threading.main_thread()
        self.blocking = main or self.blocking
        try:
            yield
        except KeyboardInterrupt:
            self.cancel()
            self._turn.ended.wait(GRACE)
            raise
        finally:
            self.blocking = False if main else self.blocking


def start(make: Callable[[], AsyncIterator[RunItem]], then: Callable[[Reply], object] | None = None) -> Run:
    """Start the turn that `make` streams, on the loop's thread, with the caller's context variables.

    `then` is called there once with the Reply, when the run is done and before whoever waits for it goes on; unlike a
    listener it does not keep a run alive that nobody holds.
    """
    return Run(make, then)
