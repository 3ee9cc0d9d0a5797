"""The handle on a turn: followed, awaited, interrupted and stopped, from threads, loops, forks and at the end."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest
from faultserver import GATE, FaultServer, cut, say

from chatkit.client.reply import Answer, Delta, Reply, Wait
from chatkit.client.run import Run, start
from chatkit.client.turn import FOLD_AT, NAME, RunItem, get_loop
from chatkit.exceptions import EndpointError, InputError
from chatkit.ledger.store import UsageStore

WHOLE = Reply((Answer(text="abc"),), "complete")
PATIENCE = 10


async def three() -> AsyncIterator[RunItem]:
    for letter in "abc":
        yield Delta(letter)
    yield WHOLE


class Held:
    """A stream that says `a` and then waits until it is let go, or stopped as the engine is."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.stopped = 0

    async def __call__(self) -> AsyncIterator[RunItem]:
        yield Delta("a")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            yield Reply((Answer(text="a"),), "cancelled")
            raise
        yield Reply((Answer(text="a"),), "complete")

    def release(self) -> None:
        get_loop().call_soon_threadsafe(self.gate.set)


def until_first(run: Run) -> None:
    """Return when the first delta has come."""
    came = threading.Event()
    end = run.listen(lambda _: came.set())
    assert came.wait(PATIENCE)
    end()


def on(thread: Callable[[], object]) -> threading.Thread:
    started = threading.Thread(target=thread)
    started.start()
    return started


# wait, iterate, await


def test_wait_gives_the_reply() -> None:
    run = start(three)
    assert run.wait() is WHOLE
    assert (run.done, run.reply, run.text) == (True, WHOLE, "abc")
    assert run.wait() is WHOLE


def test_a_run_is_iterated_delta_by_delta_and_again() -> None:
    run = start(three)
    assert "".join(delta.text for delta in run) == "abc"
    assert "".join(delta.text for delta in run) == "abc"


def test_text_and_done_tell_how_far_it_is() -> None:
    held = Held()
    run = start(held)
    until_first(run)
    assert (run.text, run.done, run.reply) == ("a", False, None)
    assert repr(run) == "<Run: running>"
    held.release()
    assert run.wait().outcome == "complete"
    assert repr(run) == "<Run: complete>"


def test_only_the_first_answers_text_is_the_text() -> None:
    async def mixed() -> AsyncIterator[RunItem]:
        yield Delta("x", 1)
        yield Delta("hm", 0, "reasoning")
        yield Wait(1.0, 2, 3, "busy")
        yield Delta("a")
        yield Reply((Answer(text="a"),), "complete")

    run = start(mixed)
    assert [delta.text for delta in run] == ["x", "hm", "a"]
    assert run.text == "a"


def test_a_run_is_awaited_and_iterated_in_a_loop_of_ones_own() -> None:
    async def main() -> tuple[str, Reply]:
        run = start(three)
        return "".join([delta.text async for delta in run]), await run

    assert asyncio.run(main()) == ("abc", WHOLE)


def test_a_run_can_be_awaited_where_runs_run() -> None:
    async def outer() -> AsyncIterator[RunItem]:
        yield await start(three)

    assert start(outer).wait() is WHOLE


def test_waiting_on_the_loops_own_thread_is_refused() -> None:
    async def outer() -> AsyncIterator[RunItem]:
        start(three).wait()
        yield WHOLE

    with pytest.raises(InputError, match="cannot be waited for on the thread that runs it"):
        start(outer).wait()


def test_wait_gives_up_after_its_time_and_the_run_goes_on() -> None:
    held = Held()
    run = start(held)
    with pytest.raises(TimeoutError, match=r"not there after 0.01 s"):
        run.wait(0.01)
    held.release()
    assert run.wait().outcome == "complete"


def test_runs_run_on_one_daemon_thread_with_the_starters_context() -> None:
    seen = []
    lesson: ContextVar[str] = ContextVar("lesson")

    async def look() -> AsyncIterator[RunItem]:
        seen.append((threading.current_thread().name, threading.current_thread().daemon, lesson.get()))
        yield WHOLE

    for name in ("one", "two"):
        lesson.set(name)
        start(look).wait()
    assert seen == [(NAME, True, "one"), (NAME, True, "two")]
    assert [thread.name for thread in threading.enumerate()].count(NAME) == 1


# listeners


def test_a_listener_hears_all_in_order_the_reply_last() -> None:
    heard, there = [], threading.Event()
    start(three).listen(lambda item: (heard.append(item), isinstance(item, Reply) and there.set()))
    assert there.wait(PATIENCE)
    assert "".join(item.text for item in heard[:-1]) == "abc"
    assert heard[-1] is WHOLE


def test_a_late_listener_hears_what_came_joined_and_then_the_reply() -> None:
    run = start(three)
    run.wait()
    heard, there = [], threading.Event()
    run.listen(lambda item: (heard.append(item), isinstance(item, Reply) and there.set()))
    assert there.wait(PATIENCE)
    assert heard == [Delta("abc"), WHOLE]


def test_a_listener_that_comes_in_between_misses_nothing() -> None:
    held = Held()
    run = start(held)
    until_first(run)
    heard: list[RunItem] = []
    run.listen(heard.append)
    held.release()
    run.wait()
    assert heard == [Delta("a"), Reply((Answer(text="a"),), "complete")]


def test_listeners_have_heard_the_reply_before_wait_returns() -> None:
    held, heard = Held(), []
    run = start(held)
    run.listen(lambda item: heard.append((type(item), run.done)))
    held.release()
    run.wait()
    assert heard[-1] == (Reply, True)


def test_an_error_in_a_listener_ends_neither_the_run_nor_other_listeners(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[RunItem] = []
    held = Held()
    run = start(held)
    run.listen(lambda _: 1 / 0)
    run.listen(heard.append)
    until_first(run)
    held.release()
    assert run.wait().outcome == "complete"
    assert len(heard) == 2
    assert "A listener of a run failed" in caplog.text


def test_a_listener_that_ended_hears_no_more() -> None:
    held = Held()
    run = start(held)
    heard: list[RunItem] = []
    end = run.listen(heard.append)
    until_first(run)
    end()
    held.release()
    run.wait()
    assert heard == [Delta("a")]


def test_a_long_answer_is_kept_joined() -> None:
    async def long() -> AsyncIterator[RunItem]:
        for number in range(FOLD_AT * 5):
            yield Delta(str(number % 10))
        yield WHOLE

    run = start(long)
    run.wait()
    assert len(run._turn._items) < FOLD_AT + 10
    assert len(run._turn._pieces) < FOLD_AT + 10
    assert run.text == "".join(str(number % 10) for number in range(FOLD_AT * 5))
    assert "".join(delta.text for delta in run) == run.text


# cancel


def test_cancel_keeps_the_partial() -> None:
    held = Held()
    run = start(held)
    until_first(run)
    run.cancel()
    assert (run.wait().outcome, run.wait().text) == ("cancelled", "a")


def test_cancel_from_many_threads_stops_once() -> None:
    held = Held()
    run = start(held)
    until_first(run)
    for thread in [on(run.cancel) for _ in range(20)]:
        thread.join()
    run.wait()
    run.cancel()
    assert held.stopped == 1
    assert run.wait().outcome == "cancelled"


def test_cancel_before_the_first_word_still_lets_the_stream_know() -> None:
    held = Held()
    run = start(held)
    run.cancel()
    assert run.wait().outcome == "cancelled"
    assert held.stopped == 1


def test_cancel_after_the_end_changes_nothing() -> None:
    run = start(three)
    run.wait()
    run.cancel()
    assert run.wait() is WHOLE


def test_a_stream_that_ends_by_the_cancellation_alone_is_cancelled_with_its_text() -> None:
    async def rude() -> AsyncIterator[RunItem]:
        yield Delta("a")
        await asyncio.Event().wait()

    run = start(rude)
    until_first(run)
    run.cancel()
    assert run.wait() == Reply((Answer(text="a"),), "cancelled")


def test_cancelling_who_awaits_cancels_the_run() -> None:
    held = Held()

    async def main(run: Run) -> None:
        task = asyncio.ensure_future(_await(run))
        async for _ in run:
            task.cancel()
            break
        with pytest.raises(asyncio.CancelledError):
            await task
        assert run.reply is not None
        assert run.reply.outcome == "cancelled"

    asyncio.run(main(start(held)))
    assert held.stopped == 1


async def _await(run: Run) -> Reply:
    return await run


def test_a_run_that_nobody_holds_is_cancelled() -> None:
    held, ended = Held(), threading.Event()

    async def watched() -> AsyncIterator[RunItem]:
        try:
            async for item in held():
                yield item
        finally:
            ended.set()

    start(watched)
    gc.collect()
    assert ended.wait(PATIENCE)


def test_a_run_that_somebody_listens_to_goes_on() -> None:
    held, heard, done = Held(), [], threading.Event()
    run = start(held)
    run.listen(lambda item: (heard.append(item), isinstance(item, Reply) and done.set()))
    until_first(run)
    del run
    gc.collect()
    held.release()
    assert done.wait(PATIENCE)
    assert heard[-1].outcome == "complete"


# interrupts


@pytest.fixture
def interrupting() -> Iterator[Callable[[Run], None]]:
    """Interrupt the main thread as the kernel does, once it waits for the run."""
    threads = []

    def later(run: Run) -> None:
        def strike() -> None:
            until_first(run)
            while not run.blocking:
                threading.Event().wait(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        threads.append(on(strike))

    yield later
    for thread in threads:
        thread.join(PATIENCE)


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself SIGINT there")
@pytest.mark.parametrize("way", [Run.wait, list, lambda run: asyncio.run(_blocking_await(run))])
def test_an_interrupt_cancels_keeps_the_partial_and_goes_on(
    way: Callable[[Run], object], interrupting: Callable[[Run], None]
) -> None:
    run = start(Held())
    interrupting(run)
    with pytest.raises(KeyboardInterrupt):
        way(run)
    assert (run.wait().outcome, run.text) == ("cancelled", "a")
    assert run.blocking is False


async def _blocking_await(run: Run) -> Reply:
    run.blocking = True
    try:
        return await run
    finally:
        run.blocking = False


def test_blocking_is_true_only_while_the_main_thread_waits() -> None:
    held, seen = Held(), []
    run = start(held)
    other = on(run.wait)
    until_first(run)
    seen.append(run.blocking)
    for _ in run:
        seen.append(run.blocking)
        held.release()
    other.join()
    assert [*seen, run.blocking] == [False, True, False]


# errors


def failing(text: str) -> Callable[[], AsyncIterator[RunItem]]:
    async def make() -> AsyncIterator[RunItem]:
        if text:
            yield Delta(text)
        answers = (Answer(text=text),) if text else ()
        yield Reply(answers, "error", error=EndpointError("It broke.", "Try again.", kind="server"))

    return make


def test_an_error_is_raised_only_where_nothing_came_back() -> None:
    with pytest.raises(EndpointError, match=r"It broke\. Try again\."):
        start(failing("")).wait()
    with pytest.raises(EndpointError, match=r"It broke\. Try again\."):
        list(start(failing("")))
    with pytest.raises(EndpointError, match=r"It broke\. Try again\."):
        asyncio.run(_await(start(failing(""))))
    assert start(failing("a")).wait().outcome == "error"
    assert list(start(failing("a"))) == [Delta("a")]


def test_an_error_raised_twice_does_not_grow() -> None:
    run = start(failing(""))
    lengths = set()
    for _ in range(3):
        with pytest.raises(EndpointError) as caught:
            run.wait()
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1


def test_a_fault_of_the_stream_itself_becomes_a_reply_that_keeps_the_text() -> None:
    async def faulty() -> AsyncIterator[RunItem]:
        yield Delta("a")
        raise ZeroDivisionError("oops")

    reply = start(faulty).wait()
    assert (reply.outcome, reply.text) == ("error", "a")
    assert "ZeroDivisionError: oops" in str(reply.error)


def test_a_stream_without_a_reply_is_an_error() -> None:
    async def empty() -> AsyncIterator[RunItem]:
        return
        yield

    with pytest.raises(EndpointError, match="its stream ended without a reply"):
        start(empty).wait()


def test_chatkits_own_errors_come_out_as_they_are() -> None:
    def make() -> AsyncIterator[RunItem]:
        raise InputError("Nothing to send.")

    with pytest.raises(InputError, match="Nothing to send"):
        start(make).wait()


# fork, exit


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own_and_waits_for_nothing_it_inherited() -> None:
    held = Held()
    run = start(held)
    until_first(run)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        said = f"{run.wait(PATIENCE).outcome} {run.text} {start(three).wait(PATIENCE).outcome}"
        os.write(writing, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"cancelled a complete"
    os.close(reading)
    os.close(writing)
    held.release()
    assert run.wait().outcome == "complete"


LEAVES = """
import sys, threading
from chatkit.client.engine import Engine
from chatkit.client.run import start
from turns import client

asking = client(sys.argv[1])
runs = [start(lambda: Engine().stream(asking, {"model": "m", "messages": []})) for _ in range(3)]
came = threading.Semaphore(0)
for run in runs:
    run.listen(lambda item: came.release())
for run in runs:
    came.acquire()
print(*(run.text for run in runs))
"""


def test_a_program_that_ends_with_open_streams_ends_quietly_closes_them_and_has_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "usage.sqlite"
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with FaultServer(cut(say("a"), GATE)) as server:
        done = subprocess.run(
            [sys.executable, "-W", "default::ResourceWarning", "-c", LEAVES, server.url],
            env={**os.environ, "CHATKIT_DB": str(file), "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=30,
        )
        server.wait_until(lambda s: s.open == 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a a a\n", "")
    assert [row.outcome for row in UsageStore(file).records()] == ["cancelled"] * 3
