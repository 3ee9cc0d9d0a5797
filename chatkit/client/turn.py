"""The client's turn: one stream of an answer, read to its end on the thread of the one event loop.

In: a function that makes the stream (`Delta`, `Wait`, one `Reply`). Out: what came, told to listeners in
order, and one Reply, whatever happens. run.py is the handle that other threads hold.

It is
made again in a forked child, and it ends with the interpreter: open turns are cancelled first.
"""

import asyncio
import atexit
import contextvars
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from itertools import groupby
from typing import Any

from chatkit.client.reply import Answer, Delta, Progress, Reply, Wait
from chatkit.exceptions import ChatkitError, EndpointError
from chatkit.patience import held, result_of
from chatkit.system.processes import new_loop

NAME = "chatkit-loop"
LAST_WORDS = 2.0  # seconds that open turns get to close their connections at the interpreter's end

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_serving: "_Serving | None" = None


class _Serving:
    """A loop and the thread that makes and runs it."""

    def __init__(self) -> None:
        made: Future[asyncio.AbstractEventLoop] = Future()
        self.thread = threading.Thread(target=_serve, args=(made,), name=NAME, daemon=True)
        self.thread.start()
        self.loop = result_of(made)

    def end(self) -> None:
        """Cancel what runs, let it close, stop the loop; called from another thread."""
        if self.thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._wind_up(), self.loop)
            self.thread.join(LAST_WORDS + 1)

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS)
        await self.loop.shutdown_asyncgens()
        self.loop.call_soon(self.loop.stop)


def _serve(made: "Future[asyncio.AbstractEventLoop]") -> None:
    try:
        loop = new_loop()
    except BaseException as fault:  # noqa: BLE001  # whoever waits for the loop raises it
        made.set_exception(fault)
        return
    loop.set_exception_handler(_note)
    asyncio.set_event_loop(loop)
    try:
        if made.set_running_or_notify_cancel():
            made.set_result(loop)
            loop.run_forever()
    finally:
        loop.close()


def get_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop; the first call starts it."""
    global _serving
    with held(_lock):
        if _serving is None or not _serving.thread.is_alive():
            _serving = _Serving()
        return _serving.loop


def on_loop_thread() -> bool:
    """Say whether the caller is on the loop's thread, where waiting for a turn would never end."""
    return _serving is not None and threading.current_thread() is _serving.thread


def _note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own handler would print on this thread, and ipykernel shows that in whatever cell runs
    _log.error("%s", context.get("message"), exc_info=context.get("exception"))


def _end() -> None:
    global _serving
    with _lock:
        serving, _serving = _serving, None
    if serving:
        serving.end()


def _forget() -> None:
    global _lock, _serving
    _lock, _serving = threading.Lock(), None


# without a handler of its own, logging's last resort prints to stderr
logging.getLogger("chatkit").addHandler(logging.NullHandler())
atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


RunItem = Delta | Wait | Progress | Reply
Listener = Callable[[RunItem], object]

FOLD_AT = 4096  # pieces kept one by one for those who listen late; more are joined

logger = logging.getLogger(__name__)
_live: "set[Turn]" = set()  # asyncio holds its tasks weakly only


class Turn:
    """What runs on the loop's thread: all its state is written there, and only there."""

    def __init__(
        self, make: Callable[[], AsyncIterator[RunItem]], then: Callable[[Reply], object] | None = None
    ) -> None:
        self.reply: Reply | None = None
        self.ended = threading.Event()
        self._make: Callable[[], AsyncIterator[RunItem]] | None = make
        self._then = then
        self._loop = get_loop()
        self._items: list[RunItem] = []
        self._fold_at = FOLD_AT
        self._pieces: list[str] = []
        self._listeners: dict[object, Listener] = {}
        self._task: asyncio.Task[Reply | None] | None = None
        self._stopped = self._driving = self._orphaned = False
        self._at_end: list[Callable[[], object]] = []

    def begin(self) -> None:
        """Start it on the loop's thread."""
        _live.add(self)
        self._loop.call_soon_threadsafe(self._begin, contextvars.copy_context())

    @property
    def text(self) -> str:
        """What has come so far of the first answer."""
        return "".join(self._pieces)

    def call(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` on the loop's thread; from any thread."""
        if self._orphaned or self._loop.is_closed():
            fn(*args)  # no other thread writes here any more
        else:
            self._loop.call_soon_threadsafe(fn, *args)

    # from here on: on the loop's thread

    def stop(self) -> None:
        """Cancel the task, once; one that has not begun cancels itself when it does."""
        if not self._stopped and self.reply is None:
            self._stopped = True
            if self._driving and self._task:
                self._task.cancel()

    def abandon(self) -> None:
        """Stop when nobody holds the handle and nobody listens."""
        if not self._listeners:
            self.stop()

    def listen(self, key: object, listener: Listener) -> None:
        """Replay what has come, then tell of what comes."""
        for item in fold(self._items):
            _tell(listener, item)
        if self.reply is None:
            self._listeners[key] = listener

    def unlisten(self, key: object) -> None:
        """Tell this listener no more."""
        self._listeners.pop(key, None)

    def when_ended(self, tell: Callable[[], object]) -> None:
        """Call `tell` when the listeners have heard the Reply."""
        if self.ended.is_set():
            tell()
        else:
            self._at_end.append(tell)

    def _begin(self, context: contextvars.Context) -> None:
        self._task = self._loop.create_task(self._drive(), name="chatkit-turn", context=context)
        self._task.add_done_callback(self._finish)

    async def _drive(self) -> Reply | None:
        self._driving = True
        if self._stopped and self._task:
            self._task.cancel()  # seen at the stream's first wait, so that it too learns of it
        make, self._make = self._make, None  # it holds whoever asked, who holds the handle on this
        assert make is not None
        stream = make()
        try:
            async for item in stream:
                if isinstance(item, Reply):
                    return item
                self._take(item)
            return None
        finally:
            close = getattr(stream, "aclose", None)
            if close:
                await close()

    def _take(self, item: RunItem) -> None:
        self._items.append(item)
        if type(item) is Delta and item.index == 0 and item.kind == "text":
            self._pieces.append(item.text)
        if len(self._items) >= self._fold_at:
            self._items, self._pieces = fold(self._items), [self.text]
            self._fold_at = len(self._items) + FOLD_AT
        for listener in tuple(self._listeners.values()):
            _tell(listener, item)

    def _finish(self, task: "asyncio.Task[Reply | None]") -> None:
        fault = None if task.cancelled() else task.exception()
        reply = None if task.cancelled() or fault else task.result()
        self.settle(reply or self._own_reply(fault))

    def _own_reply(self, fault: BaseException | None) -> Reply:
        """The reply of a stream that gave none: it was cancelled early, or has a fault of its own."""
        answers = (Answer(text=self.text),) if self._pieces else ()
        if self._stopped and not fault:
            return Reply(answers, "cancelled")
        return Reply(answers, "error", error=fault if isinstance(fault, ChatkitError) else _own_fault(fault))

    def settle(self, reply: Reply | None = None) -> None:
        """End the turn: the listeners hear of it before whoever waits goes on."""
        self.reply = reply or self._own_reply(None)
        self._take(self.reply)
        if self._then:
            _tell(self._then, self.reply)
        self._make = self._then = self._task = None
        self._listeners.clear()
        _live.discard(self)
        self.ended.set()
        for tell in self._at_end:
            tell()
        self._at_end.clear()

    def orphan(self) -> None:
        """End in a forked child, which has no thread that would ever end what it inherited."""
        self.ended, self._stopped, self._orphaned = threading.Event(), True, True
        self._then = None
        self.settle()


def _tell(listener: Callable[[Any], object], item: RunItem) -> None:
    try:
        listener(item)
    except Exception:
        logger.exception("A listener of a run failed; the run goes on.")


def fold(items: list[RunItem]) -> list[RunItem]:
    """Join neighbours of the same answer and kind.

    >>> fold([Delta("a"), Delta("b"), Delta("c", 1)])
    [Delta(text='ab', index=0, kind='text'), Delta(text='c', index=1, kind='text')]
    """
    folded: list[RunItem] = []
    for key, group in groupby(items, lambda item: (item.index, item.kind) if isinstance(item, Delta) else id(item)):
        if isinstance(key, tuple):
            folded.append(Delta("".join(item.text for item in group if isinstance(item, Delta)), *key))
        else:
            folded.extend(group)
    return folded


def _own_fault(fault: BaseException | None) -> EndpointError:
    what = f"{type(fault).__name__}: {fault}" if fault else "its stream ended without a reply"
    error = EndpointError(f"The turn ended by a fault that is not the endpoint's: {what}.", kind="stream")
    error.__cause__ = fault
    return error


def _after_fork() -> None:
    for turn in tuple(_live):
        turn.orphan()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
