"""The endpoint door's one event loop, on a thread of its own.

In: the first turn that starts. Out: a running asyncio loop that every turn of the process shares. It is
made again in a forked child, and it ends with the interpreter: open turns are cancelled first.
"""

import asyncio
import atexit
import logging
import os
import threading
from typing import Any

NAME = "chatkit-loop"
LAST_WORDS = 2.0  # seconds that open turns get to close their connections at the interpreter's end

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_serving: "_Serving | None" = None


class _Serving:
    """A loop and the thread that runs it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_note)
        self.thread = threading.Thread(target=self._serve, name=NAME, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

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


def get_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop; the first call starts it."""
    global _serving
    with _lock:
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
