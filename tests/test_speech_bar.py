"""The bar of a job: it goes when the job has ended well, and stays as it is, in red, when it has not."""

from collections.abc import Callable
from typing import Any

import pytest
import tqdm.auto
from tqdm.notebook import tqdm as notebook_bar

from chatkit.client.reply import Progress
from chatkit.exceptions import InputError
from chatkit.speech import job


class Job:
    """A job that is waited for so often before it ends."""

    def __init__(self, waits: int, end: Any) -> None:
        self.left, self.end, self.done = waits, end, False

    def listen(self, listener: Callable[[Any], object]) -> None:
        listener(Progress("listening", sent=8, size=8, parts=1, seconds=0.0, duration=12.0))

    def wait(self, seconds: float | None = None) -> Any:
        if self.left:
            self.left -= 1
            raise TimeoutError
        if isinstance(self.end, Exception):
            raise self.end
        return self.end

    def cancel(self) -> None:
        self.done = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(notebook_bar(**options, display=False))
        return made[-1]

    monkeypatch.setattr(tqdm.auto, "tqdm", make)
    monkeypatch.setattr(job, "_is_seen", lambda: True)
    return made


@pytest.mark.parametrize("waits", [2, 3])
def test_a_notebooks_bar_is_gone_after_a_job_that_ended_well(bars: list[Any], waits: int):
    assert job.wait(Job(waits, "said"), True) == "said"
    assert bars[0].container.comm is None


def test_it_stays_in_red_after_one_that_failed(bars: list[Any]):
    with pytest.raises(InputError):
        job.wait(Job(2, InputError("There is no audio.")), True)
    assert bars[0].container.comm is not None
    assert bars[0].container.children[1].bar_style == "danger"


def test_what_ends_at_once_has_no_bar(bars: list[Any]):
    assert job.wait(Job(0, "said"), True) == "said"
    assert bars == []
