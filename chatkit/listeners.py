"""Those who want to be told, and the telling, which no fault of theirs stops.

In: callables. Out: calls of them, in order, and the way to stop each.
"""

import logging
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class Listeners(list[Callable[P, object]]):
    """Callables that are told what happens; `fault` is what the log says of one that raises.

    >>> told, listeners = [], Listeners("A listener failed.")
    >>> stop = listeners.add(told.append)
    >>> listeners.tell("one")
    >>> stop()
    >>> listeners.tell("two")
    >>> told
    ['one']
    """

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def add(self, listener: Callable[P, object]) -> Callable[[], None]:
        """Tell this one too; returns the way to stop, which may be called twice."""
        self.append(listener)
        return lambda: self.remove(listener) if listener in self else None

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call each of them, those who come or go meanwhile left aside; what one raises is logged."""
        for listener in list(self):
            try:
                listener(*args, **kwargs)
            except Exception:
                logger.exception(self.fault)
