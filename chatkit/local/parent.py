"""Annexe: the process ends with the one that started it, and no library in it tells its maker anything.

The pipe to it closes when it dies, kill -9 included; but a child the parent forked may hold it open, so
where the platform tells, a changed parent id counts as well.

The variables that keep libraries quiet count when a library is loaded, so a child gets them in its environment, and a process that loads one of these
libraries sets them before it does, whoever started it. onnxruntime from 1.29 on, by which faster-whisper finds where
somebody speaks, would else write an id for good into the user's cache and look its maker's collector up at each start
(its Privacy.md, "Disabling Telemetry").
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


VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}

HEARING = {"KMP_DUPLICATE_LIB_OK": "TRUE", "MALLOC_ARENA_MAX": "2"}
"""For the process that hears, beside them: CTranslate2 brings an OpenMP runtime of its own, which ends the process where
it meets another (an Anaconda's with MKL); and two arenas, since more would take address space, which is limited."""
