"""Waiting for others in turn: what fails because somebody else is at it is tried again until patience ends.

In: what is to be done. Out: what it gives, or the last of what it raised. SQLite's file and a server's connections are
waited for so. And waiting as a person does, who may interrupt: in ticks, for an event, a lock or a future.
"""

import concurrent.futures
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
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


TICK = 0.05
"""Seconds between two looks: an interrupt is heard when a waiting thread wakes up, and on Windows not before."""


def until(came: Callable[[float], object], seconds: float | None = None) -> bool:
    """Wait in ticks; whether it came within `seconds` (None: however long). `came` waits for what it is given at most.

    >>> until(threading.Event().wait, 0.0), until(lambda seconds: True)
    (False, True)
    """
    end = None if seconds is None else time.monotonic() + seconds
    while not came(TICK if end is None else max(0.0, min(TICK, end - time.monotonic()))):
        if end is not None and time.monotonic() >= end:
            return False
    return True


@contextmanager
def held(lock: threading.Lock) -> Iterator[None]:
    """`with lock`, but that an interrupt is heard while somebody else has it."""
    until(lambda seconds: lock.acquire(timeout=seconds))
    try:
        yield
    finally:
        lock.release()


def result_of(future: Future[T], seconds: float | None = None) -> T:
    """What a future gives; an interrupt is heard meanwhile, and cancels it. TimeoutError after so many seconds.

    >>> import concurrent.futures
    >>> (future := concurrent.futures.Future()).set_result(3)
    >>> result_of(future)
    3
    """
    try:
        if not until(lambda tick: concurrent.futures.wait([future], tick).done, seconds):
            raise TimeoutError
    except BaseException:
        future.cancel()
        raise
    return future.result()
