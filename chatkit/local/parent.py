"""Annexe: ends this process with the one that started it. In: the pipe on stdin. Out: one call when the parent is gone.

The pipe closes when the parent dies, kill -9 included; but a child the parent forked may hold it open, so
where the platform tells, a changed parent id counts as well.
"""

import os
import sys
import threading
from collections.abc import Callable

INTERVAL = 0.5
"""Seconds between looks at the parent's id."""
GRACE = 3.0
"""Seconds after which the process ends even if it hangs."""


def first_line() -> str:
    """The key, which the parent writes first."""
    return sys.stdin.buffer.readline(4096).decode("utf-8", "replace").strip()


def watch(end: Callable[[], None]) -> None:
    """Call `end` when the parent is gone; a moment later the process ends in any case."""
    gone = threading.Event()
    parent = os.getppid()
    threading.Thread(target=_read_to_the_end, args=(gone,), name="chatkit-parent-pipe", daemon=True).start()
    threading.Thread(target=_end_when, args=(gone, parent, end), name="chatkit-parent", daemon=True).start()


def _read_to_the_end(gone: threading.Event) -> None:
    # the bare descriptor: a thread inside sys.stdin would hold its lock when the interpreter ends
    while os.read(0, 4096):
        pass
    gone.set()


def _end_when(gone: threading.Event, parent: int, end: Callable[[], None]) -> None:
    while not gone.wait(INTERVAL):
        if os.getppid() != parent:
            break
    end()
    threading.Event().wait(GRACE)
    os._exit(0)
