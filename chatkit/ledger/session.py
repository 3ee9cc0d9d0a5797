"""Which session a call belongs to: the one a `with` names, else the one of this process.

In: `with session("Lesson 1"):`. Out: `current_session()`, read by the meter for each attempt.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from uuid import uuid4

_PROCESS = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {uuid4().hex[:6]}"
_current: ContextVar[str] = ContextVar("chatkit_session")


def current_session() -> str:
    """The name of the session that calls are booked on now."""
    return _current.get(_PROCESS)


@contextmanager
def session(name: str) -> Iterator[str]:
    """Book the calls made inside on the session `name`.

    >>> with session("Lesson 1"):
    ...     current_session()
    'Lesson 1'
    """
    token = _current.set(name)
    try:
        yield name
    finally:
        _current.reset(token)
