"""Waiting for others in turn: what fails because somebody else is at it is tried again until patience ends.

In: what is to be done. Out: what it gives, or the last of what it raised. SQLite's file and a server's connections are
waited for so.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_turn(do: Callable[[], T], patience: float, passes: Callable[[Exception], bool], pause: float) -> T:
    """What `do` gives, tried for so many seconds while `passes` says of what it raises that it will pass.

    By chance those that have waited long are as soon as newcomers; `pause` is how long one sleeps at most.

    >>> in_turn(lambda: 1 / 0, 5.0, lambda error: isinstance(error, OSError), 0.02)
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return do()
        except Exception as error:
            if not passes(error) or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.0, pause))
