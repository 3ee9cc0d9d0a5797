"""Keeping, the thread that writes: what has changed is on disk soon, and before the interpreter ends.

In: keepers whose chat has changed (`touch`). Out: calls of their `write`, one after the other, on a thread that
lives while there is something to write. A chat that changes while it waits is written once. The thread is no
daemon: the interpreter's end waits for it; what changes later still is written by whoever changes it.
"""

import atexit
import logging
import os
import threading
from typing import Protocol

_log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a fork waits for what is being written: a child that inherits SQLite at work cannot use it."""


class Writing(Protocol):
    """What can be written."""

    def write(self) -> None:
        """Write what is there now."""


class Writer:
    """Writes what was touched, in the order of the first touches."""

    def __init__(self) -> None:
        self._due: dict[Writing, None] = {}
        self._state = threading.Condition()
        self._serving: threading.Thread | None = None
        self._ending = False
        self._writing = threading.Lock()

    def touch(self, keeper: Writing) -> None:
        """Have `keeper` write, soon and on another thread; at the interpreter's end at once and on this one."""
        with self._state:
            self._due[keeper] = None
            if self._serving is not None:
                return
            self._serving = threading.Thread(target=self._serve, name="chatkit-keeping", daemon=False)
            if self._started(self._serving):
                return
        self._serve()

    def flush(self) -> None:
        """Wait until all that was touched is written; for a thread that may wait."""
        with self._state:
            self._state.wait_for(lambda: self._serving is None)

    def end(self) -> None:
        """Start no more threads: the interpreter ends."""
        with self._state:
            self._ending = True

    def pause(self) -> None:
        """Let what is being written be written, and begin nothing more until `resume`."""
        self._writing.acquire(timeout=PATIENCE)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._writing.locked():
            self._writing.release()

    def _started(self, thread: threading.Thread) -> bool:
        if self._ending:
            return False
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or the system has no thread left
            return False
        return True

    def _serve(self) -> None:
        while True:
            with self._state:
                keeper = next(iter(self._due), None)
                if keeper is None:
                    self._serving = None
                    self._state.notify_all()
                    return
                del self._due[keeper]
            try:
                with self._writing:
                    keeper.write()
            except Exception:  # noqa: BLE001  # one chat's fault must not keep the others from being written
                _log.exception("A chat could not be kept.")


writer = Writer()


def _end() -> None:
    writer.end()
    writer.flush()  # what other exit hooks have changed is written by a thread that nobody else waits for


def _forget() -> None:
    global writer
    writer = Writer()  # the parent's thread, which is not in the child, writes what waits there


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: writer.pause(), after_in_parent=lambda: writer.resume(), after_in_child=_forget)
