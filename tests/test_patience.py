"""What others are at is tried again until patience ends, for SQLite's file and a server's connections alike."""

import sys
import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from sounds import CLIPS

from chatkit import patience
from chatkit.chats import history_writer
from chatkit.client import local_process, model_list
from chatkit.client.address import Endpoint
from chatkit.client.turn import get_loop
from chatkit.ledger.store import UsageStore
from chatkit.patience import TICK, held, in_turn, result_of, until
from chatkit.speech import costs


class Clock:
    """A clock that goes only while one sleeps, and tells how long that was at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.longest: list[float] = []
        monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))
        monkeypatch.setattr(patience, "random", SimpleNamespace(uniform=self.choose))

    def choose(self, least: float, most: float) -> float:
        self.longest.append(most)
        return most

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def passing(error: Exception) -> bool:
    return str(error) == "busy"


def test_what_passes_is_tried_again_and_gives_what_it_gives(clock: Clock) -> None:
    answers = iter([RuntimeError("busy"), OSError("busy"), "done"])

    def do() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert in_turn(do, 5.0, passing, 0.02) == "done"
    assert clock.longest == [0.02, 0.02]


@pytest.mark.parametrize(("seconds", "tries"), [(0.0, 1), (1.0, 5), (1.1, 6)])
def test_when_patience_ends_the_last_error_is_raised(clock: Clock, seconds: float, tries: int) -> None:
    tried: list[float] = []

    def do() -> None:
        tried.append(clock.now)
        raise RuntimeError("busy")

    with pytest.raises(RuntimeError, match="busy"):
        in_turn(do, seconds, passing, 0.25)
    assert len(tried) == tries


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_what_does_not_pass_is_raised_at_once(clock: Clock, error: BaseException) -> None:
    def do() -> None:
        raise error

    with pytest.raises(type(error)):
        in_turn(do, 5.0, passing, 0.02)
    assert clock.longest == []


# --- waits of a person, who may interrupt


class Bell:
    """Waits as a thread does that hears an interrupt between two waits only, as on Windows."""

    def __init__(self, rings: int) -> None:
        self.waits: list[float] = []
        self._rings = rings

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == self._rings:
            raise KeyboardInterrupt
        return False


@pytest.mark.parametrize("patience", [None, 120.0])
def test_a_long_wait_is_one_of_short_ticks_between_which_an_interrupt_is_heard(patience):
    bell = Bell(rings=3)
    with pytest.raises(KeyboardInterrupt):
        until(bell.wait, patience)
    assert bell.waits == [TICK, TICK, TICK]


def test_a_wait_ends_in_time_and_tells_whether_it_came():
    assert until(lambda seconds: seconds == 0.0, 0.0)
    assert not until(lambda seconds: False, 0.0)
    assert until(lambda seconds: True)


def interrupted(monkeypatch) -> list[float]:
    """The third wait for a future is interrupted."""
    bell = Bell(rings=3)

    def wait(_: object, seconds: float) -> object:
        bell.wait(seconds)
        return SimpleNamespace(done=())

    monkeypatch.setattr(patience.concurrent.futures, "wait", wait)
    return bell.waits


def test_an_interrupt_cancels_what_was_waited_for(monkeypatch):
    waits, future = interrupted(monkeypatch), Future()
    with pytest.raises(KeyboardInterrupt):
        result_of(future)
    assert (waits, future.cancelled()) == ([TICK] * 3, True)


def test_a_future_is_waited_for_no_longer_than_was_said():
    with pytest.raises(TimeoutError):
        result_of(future := Future(), 0.0)
    assert future.cancelled()


def test_a_lock_is_let_go_of_whatever_happens_and_waited_for_in_ticks():
    lock = threading.Lock()
    with pytest.raises(ZeroDivisionError), held(lock):
        assert 1 / (not lock.locked())
    assert not lock.locked()


def test_looking_an_audio_file_through_hears_an_interrupt(monkeypatch):
    get_loop()  # it is made before the waits are counted
    waits = interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        costs.measure(CLIPS / "english.flac")
    assert waits == [TICK] * 3


def test_the_start_of_a_local_server_hears_an_interrupt_and_ends_it(monkeypatch):
    started, popen = [], local_process.processes.popen
    monkeypatch.setattr(local_process.processes, "popen", lambda *a, **k: started.append(popen(*a, **k)) or started[0])
    code = "import sys; sys.stdin.read()"
    monkeypatch.setattr(local_process, "_command", lambda _: [sys.executable, "-c", code])
    waits = interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        local_process._start(None, print)
    assert waits == [TICK] * 3
    assert started[0].wait(30) != 0


def test_the_list_of_models_hears_an_interrupt(monkeypatch):
    get_loop()  # it is made before the waits are counted
    waits = interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model_list.models_of(Endpoint("http://127.0.0.1:9/v1", "k", "m", "given"))
    assert waits == [TICK] * 3


def test_a_store_that_another_thread_writes_is_waited_for_in_ticks():
    bell = Bell(rings=3)
    busy = SimpleNamespace(_lock=SimpleNamespace(acquire=lambda timeout: bell.wait(timeout)))
    with pytest.raises(KeyboardInterrupt):
        UsageStore._comes_free(busy, 30.0)
    assert bell.waits == [TICK] * 3


def test_the_histories_writer_is_waited_for_in_ticks(monkeypatch):
    bell = Bell(rings=3)
    writer = history_writer.Writer()
    monkeypatch.setattr(writer, "_state", SimpleCondition(bell))
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    assert bell.waits == [TICK] * 3


class SimpleCondition:
    def __init__(self, bell: Bell) -> None:
        self._bell = bell

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def wait_for(self, _: object, seconds: float) -> bool:
        return self._bell.wait(seconds)
