"""What others are at is tried again until patience ends, for SQLite's file and a server's connections alike."""

from types import SimpleNamespace

import pytest

from chatkit import patience
from chatkit.patience import in_turn


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
