"""Faces: functions of the user's that want to know when something has happened.

In: functions, by the name of what they listen for; then values. Out: calls, one after the other in the order of the
values, on a thread that is neither the kernel's nor the loop's, so that a slow function holds nobody up.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Callbacks:
    """Calls functions; `failed` hears, in a sentence, of one that raised."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._functions: list[tuple[str, Callable[..., object]]] = []
        self._due: deque[tuple[list[Callable[..., object]], object]] = deque()
        self._calling = threading.Lock()

    def listen(self, kind: str, function: Callable[..., object]) -> Callable[[], None]:
        """Call `function` with each value of that kind; return how to end it."""
        entry = (kind, function)
        self._functions.append(entry)
        return lambda: self._functions.remove(entry) if entry in self._functions else None

    def call(self, kind: str, value: object) -> None:
        """Have all that listen for that kind called, and return at once."""
        functions = [function for listened, function in self._functions if listened == kind]
        if functions:
            self._due.append((functions, value))
            threading.Thread(target=self._call_next, name="chatkit-told", daemon=True).start()

    def _call_next(self) -> None:
        with self._calling:
            functions, value = self._due.popleft()
            for function in functions:
                try:
                    function(value)
                except Exception as error:  # noqa: BLE001  # the user's own: it must not take the widget along
                    _log.exception("A function that listened to a widget failed.")
                    self._failed(f"Your function failed: {type(error).__name__}: {error}")
