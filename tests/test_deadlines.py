"""The clock of a turn: whose time counts as idleness. The loop's clock jumps to what is due, so nothing is waited for."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine

import pytest

from chatkit.client.deadlines import Deadlines, Expired, Watch


class Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Where a loop would wait, its time goes on by as much."""

    now = 1000.0

    def select(self, timeout: float | None = None):
        self.now += timeout or 0.0
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = Jumping()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def run(play: Callable[[Watch], Coroutine[object, object, object]], **limits: float) -> tuple[str, float] | None:
    """Which deadline ended the turn and when, in seconds from its beginning; None if none did."""

    async def watched() -> tuple[str, float] | None:
        watch, began = Watch(Deadlines(**limits)), asyncio.get_running_loop().time()  # type: ignore[arg-type]
        try:
            await play(watch)
        except Expired as expired:
            return expired.phase, round(asyncio.get_running_loop().time() - began, 2)
        finally:
            watch.stop()
        return None

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(watched())


def takes(*parts: float) -> Callable[[Watch], Coroutine[object, object, None]]:
    """A turn whose caller takes the first, third, … of these seconds, and whose endpoint the others, up to content."""

    async def turn(watch: Watch) -> None:
        watch.begin()
        watch.answered()
        watch.content()
        for number, seconds in enumerate(parts):
            if number % 2 == 0:
                await asyncio.sleep(seconds)
                continue
            with watch:
                await asyncio.sleep(seconds)
            watch.content()

    return turn


@pytest.mark.parametrize(
    ("parts", "ended"),
    [
        ((0, 0.9), None),
        ((0, 1.1), ("idle", 1.0)),
        ((0, 0.9, 0, 0.9, 0, 0.9), None),
        ((0, 0.9, 0, 1.1), ("idle", 1.9)),
    ],
)
def test_an_endpoint_is_idle_for_so_long_and_no_longer(parts: tuple[float, ...], ended: tuple[str, float] | None):
    assert run(takes(*parts), idle=1, turn=100) == ended


@pytest.mark.parametrize("own", [0.9, 1.1, 5.0, 50.0])
def test_time_that_the_caller_takes_is_not_the_endpoints(own: float):
    assert run(takes(own, 0.4), idle=1, turn=100) is None
    assert run(takes(own, 0.4, own / 50, 0.4), idle=1, turn=100) is None


@pytest.mark.parametrize("own", [0.0, 0.9, 5.0, 50.0])
def test_after_the_callers_time_an_endpoint_that_says_nothing_is_idle_again(own: float):
    assert run(takes(own, 50), idle=1, turn=100) == ("idle", own + 1)
    assert run(takes(own, 0.4, own, 50), idle=1, turn=200) == ("idle", round(2 * own + 1.4, 2))


def test_the_turns_own_end_counts_the_callers_time_too():
    assert run(takes(3, 50), idle=60, turn=10) == ("turn", 10.0)
    assert run(takes(11, 1), idle=60, turn=10) == ("turn", 11.0)
