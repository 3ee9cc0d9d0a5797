"""Faces: the one thread that sends what panels have to say, at most 20 times a second for all of them.

In: panels that have something new (`touch`). Out: calls of their `flush`, the longest waiting first. A
kernel that sends more is held back by Jupyter's server, which drops messages without a word.
"""

import logging
import math
import os
import threading
import time
from typing import Protocol
from weakref import WeakKeyDictionary

RATE = 20.0
"""Flushes a second, whatever the number of panels."""
AGAIN = (0.5, 2.0, 8.0, 60.0)
"""Seconds after which a panel that failed is tried again; the last as often as it goes on."""

_log = logging.getLogger(__name__)


class Flushable(Protocol):
    """What can be flushed."""

    def flush(self) -> float | None:
        """Send what is new; the seconds after which to come again, or None."""

    def fail(self, fault: Exception) -> None:
        """Say on the page that `flush` failed, and of what; it is tried again soon."""


class Flusher:
    """Flushes what was touched, on a thread of its own that starts with the first touch."""

    def __init__(self, rate: float = RATE, name: str = "chatkit-flush") -> None:
        self._name = name
        self._pause = 1 / rate
        self._due: dict[Flushable, float] = {}
        self._urgent: dict[Flushable, None] = {}
        self._next = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._faults: WeakKeyDictionary[Flushable, int] = WeakKeyDictionary()

    def touch(self, panel: Flushable, *, urgent: bool = False) -> None:
        """Have `panel` flushed in its turn, or at once if it is urgent (an end, an answer to a view)."""
        with self._changed:
            now = time.monotonic()
            if not urgent and self._due.get(panel, math.inf) <= now:
                return  # the thread knows, and waits for its turn
            if urgent:
                self._urgent[panel] = None
            self._due[panel] = min(now, self._due.get(panel, now))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, panel: Flushable) -> None:
        """Flush `panel` no more."""
        with self._changed:
            self._due.pop(panel, None)
            self._urgent.pop(panel, None)

    def _serve(self) -> None:
        while True:
            panel = self._next_panel()
            try:
                again = panel.flush()
            except Exception as fault:  # noqa: BLE001  # one panel's fault must not silence the others
                _log.exception("A panel could not be brought up to date.")
                again = self._failed(panel, fault)
            else:
                self._faults.pop(panel, None)
            if again is not None:
                self._come_again(panel, again)

    def _failed(self, panel: Flushable, fault: Exception) -> float:
        before = self._faults.get(panel, 0)
        self._faults[panel] = before + 1
        try:
            panel.fail(fault)
        except Exception:  # noqa: BLE001  # the page itself cannot be reached
            _log.exception("A panel could not say that it failed.")
        return AGAIN[min(before, len(AGAIN) - 1)]

    def _next_panel(self) -> Flushable:
        with self._changed:
            while True:
                now = time.monotonic()
                if self._urgent:
                    panel = next(iter(self._urgent))
                    del self._urgent[panel]
                    self._due.pop(panel, None)
                    return panel
                first = min(self._due, key=self._due.__getitem__, default=None)
                due = now + 3600 if first is None else max(self._due[first], self._next)
                if first is not None and due <= now:
                    del self._due[first]
                    self._next = now + self._pause
                    return first
                self._changed.wait(due - now)

    def _come_again(self, panel: Flushable, seconds: float) -> None:
        with self._changed:
            self._due.setdefault(panel, time.monotonic() + seconds)


flusher = Flusher()
reader = Flusher(RATE, "chatkit-read")
"""For what reads the store before it sends: a store that is slow, or held, must not hold up the panels."""


def _forget() -> None:
    global flusher, reader
    flusher, reader = Flusher(), Flusher(RATE, "chatkit-read")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
