"""The endpoint door's ear for interrupts that hit a cell beside the wait for its run, as in the body of a `for`.

In: runs that a cell starts on the main thread. Out: `cancel()` of those, when the cell ends by an interrupt.
Outside IPython nothing is done: there an interrupt ends the program, and its open runs with it.
"""

import sys
import threading
from typing import Any, Protocol
from weakref import WeakSet


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
