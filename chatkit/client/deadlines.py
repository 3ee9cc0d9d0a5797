"""The client's clock: how long a turn may take and how much may come, and who watches that it holds.

In: `Deadlines`. Out: `Expired` (or a cut) at the moment one is passed, raised where the turn waits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self

Phase = Literal["first content", "idle", "turn", "tail"]

DAY = 86_400.0  # seconds that are without end to a person
SLACK = 1.0  # seconds that the watch leaves to the transport's own timeouts, which say more


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits of one turn: seconds, and sizes.

    `connect` is for the connection, `first_content` for the first word of each attempt, `idle` between
    two pieces of content (keep-alive comments do not count), `tail` for what may follow the finish
    reason, `turn` for all attempts and waits together, `retry_after` for one wait that the endpoint
    asks for. `text` counts characters, `event` and `raw` bytes: of one event, and of the body that is
    kept for the reply.
    """

    connect: float = 5.0
    first_content: float = 60.0
    idle: float = 30.0
    turn: float = 300.0
    tail: float = 5.0
    retry_after: float = 60.0
    text: int = 2_000_000
    event: int = 16 * 1024 * 1024
    raw: int = 4 * 1024 * 1024

    def within(self, connect: float | None, read: float | None) -> "Deadlines":
        """The same where a client's own timeouts say how long is waited: `read` for each word; None is a day.

        >>> limits = Deadlines().within(2.0, 400.0)
        >>> limits.connect, limits.first_content, limits.idle, limits.turn
        (2.0, 400.0, 400.0, 400.0)
        """
        word, line = (DAY if seconds is None else seconds for seconds in (read, connect))
        return replace(self, connect=line, first_content=word, idle=word, turn=max(self.turn, word))


class Expired(Exception):  # noqa: N818  # an event in a turn's life, not yet an error
    """A deadline has passed: which one, and how many seconds it was."""

    def __init__(self, phase: Phase, seconds: float) -> None:
        self.phase, self.seconds = phase, seconds
        super().__init__(f"{phase} deadline of {seconds:g} s")


class Watch:
    """Interrupts the task that waits inside `with watch:` when the deadline of the moment passes.

    Moving a deadline later costs an assignment: the timer looks again when it fires, so a token costs
    no timer of its own. Time that the caller takes between two waits is not the endpoint's idleness: the
    deadline of the moment, the turn's own end aside, stands still until the next wait.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = deadlines
        self._end = self._loop.time() + deadlines.turn
        self.before: Callable[[], object] = bool  # called before the interruption, which others see first
        self._start = 0.0
        self._first = deadlines.first_content
        self._phase: Phase = "turn"
        self._seconds = deadlines.turn
        self._due = self._end
        self._still = self._loop.time()  # since when the caller has its own time
        self._task: asyncio.Task[object] | None = None
        self._passed: Phase | None = None
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(self._end, self._look)

    def left(self) -> float:
        """Seconds that the turn has left."""
        return self._end - self._loop.time()

    def begin(self, first_content: float | None = None) -> None:
        """Start an attempt; while it is sent, the transport's own timeouts come first."""
        self._start = self._loop.time()
        self._first = self._deadlines.first_content if first_content is None else first_content
        self._set("first content", self._first, late=self._deadlines.connect + SLACK)

    def answered(self) -> None:
        """The answer's head has come: the attempt's first content is due."""
        self._set("first content", self._first, late=self._start - self._loop.time())

    def pause(self) -> None:
        """Wait before the next attempt: only the turn's own end is due."""
        self._set("turn", self._deadlines.turn)

    def content(self) -> None:
        """Content has come: the next is due."""
        if self._phase == "idle":
            self._still = self._loop.time()
            self._due = self._still + self._seconds
        else:
            self._set("idle", self._deadlines.idle)

    def finished(self) -> None:
        """The finish reason has come: the rest is due soon."""
        self._set("tail", self._deadlines.tail)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer:
            self._timer.cancel()

    def __enter__(self) -> Self:
        now = self._loop.time()
        if now >= self._end:
            raise Expired("turn", self._deadlines.turn)
        self._due += now - self._still
        self._task = asyncio.current_task()
        if self._timer is None:
            self._timer = self._loop.call_at(min(self._due, self._end), self._look)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        task, self._task = self._task, None
        self._still = self._loop.time()
        if self._passed is None:
            return
        phase, self._passed = self._passed, None
        others = task.uncancel() if task else 0
        if not others and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise Expired(phase, self._deadlines.turn if phase == "turn" else self._seconds) from None

    def _set(self, phase: Phase, seconds: float, late: float = 0.0) -> None:
        self._phase, self._seconds = phase, seconds
        self._still = self._loop.time()
        self._due = self._still + seconds + late
        due = min(self._due, self._end)
        if self._timer is None or due < self._timer.when():
            self.stop()
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return  # the next wait sets the timer again
        due = min(self._due, self._end)
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._passed = "turn" if self._end <= self._due else self._phase
            self.before()
            self._task.cancel()
