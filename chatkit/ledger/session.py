"""What a call is booked on: a session, and who calls in which lesson and exercise.

In: `with session("Lesson 1"):`, `CHATKIT_USER`. Out: `current_session()`, and `booking()`, read by the meter
for each attempt.
"""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from chatkit import typed
from chatkit.exceptions import mended


@dataclass(eq=False, slots=True, weakref_slot=True)
class Booking:
    """The names that a call is booked on; renaming the session reaches every call that is still to come."""

    session: str
    user: str = ""
    lesson: str = ""
    exercise: str = ""


def new_name() -> str:
    """The name of a session that nobody has named: when it began, and six digits of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {uuid4().hex[:6]}"


_process = Booking(new_name())
_current: ContextVar[Booking] = ContextVar("chatkit_session")
_open: "weakref.WeakSet[Booking]" = weakref.WeakSet([_process])


def booking() -> Booking:
    """What calls are booked on now."""
    return _current.get(_process)


def current_session() -> str:
    """The name of the session that calls are booked on now."""
    return booking().session


def current_user() -> str:
    """Who calls: what `session(user=...)` says, else `CHATKIT_USER`, else nobody."""
    return booking().user or mended(os.environ.get("CHATKIT_USER", ""))


@contextmanager
def session(name: str, *, lesson: str = "", exercise: str = "", user: str = "") -> Iterator[str]:
    """Book the calls made inside on the session `name`, and on a lesson, an exercise and a user if they are given.

    >>> with session("Lesson 1", exercise="b"):
    ...     current_session()
    'Lesson 1'
    """
    outer = booking()
    name = typed.name(name, "session")
    inner = replace(
        outer,
        session=name,
        lesson=typed.name(lesson, "lesson") or outer.lesson,
        exercise=typed.name(exercise, "exercise") or outer.exercise,
        user=typed.name(user, "user") or outer.user,
    )
    _open.add(inner)
    token = _current.set(inner)
    try:
        yield name
    finally:
        _current.reset(token)


def rename(old: str, new: str) -> None:
    """Book on the session `new` what this process would go on to book on `old`."""
    for one in list(_open):
        if one.session == old:
            one.session = new
