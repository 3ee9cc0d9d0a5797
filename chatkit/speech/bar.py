"""Speech, the progress of a job that somebody waits for: a bar, or a function that is told.

In: a `Job`. Out: its transcript; on the way a tqdm bar where there is anybody to see it, in a notebook's cell or
on a terminal. The bar is drawn by the thread that waits, never by the loop's: what that one prints would
land in another cell.
"""

import sys
from collections.abc import Callable
from typing import Any

from chatkit.endpoint.reply import Progress, Wait
from chatkit.endpoint.turn import RunItem
from chatkit.speech.jobs import Job
from chatkit.speech.timed import clock
from chatkit.speech.transcript import Transcript

LATE = 1.0
"""Seconds after which a job is worth a bar."""
TICK = 0.1
READ, SENT = 0.05, 0.15
"""The parts of the bar that looking through and sending take; listening takes the rest."""


def wait(job: Job, progress: bool | Callable[[Progress], object]) -> Transcript:
    """Wait for the job, showing how far it is."""
    if callable(progress):
        job.listen(lambda item: progress(item) if isinstance(item, Progress) else None)
    if progress is not True or not _is_seen():
        return job.wait()
    try:
        return _with_bar(job)
    except BaseException:
        job.cancel()  # an interrupt may come between two waits
        raise


def _with_bar(job: Job) -> Transcript:
    latest: list[RunItem] = []
    job.listen(lambda item: latest.append(item) if isinstance(item, Progress | Wait) else None)
    try:
        return job.wait(LATE)
    except TimeoutError:
        if job.done:
            raise
    from tqdm.auto import tqdm

    with tqdm(total=1.0, bar_format="{desc} {bar} {elapsed}", leave=False) as bar:
        while True:
            if latest:
                _show(bar, latest[-1])
            try:
                said = job.wait(TICK)
            except TimeoutError:
                if job.done:
                    raise
            else:
                bar.n = 1.0  # in a notebook one that is not full stays, red as after an error
                return said


def _show(bar: Any, item: RunItem) -> None:
    if isinstance(item, Progress):
        bar.n = max(bar.n, share(item))
    bar.set_description_str(words(item), refresh=False)
    bar.refresh()


def share(progress: Progress) -> float:
    """How much of the job is done, from 0 to 1.

    >>> share(Progress("listening", sent=8, size=8, parts_done=1, parts=2, seconds=30, duration=60))
    0.6
    """
    duration = progress.duration or 0.0
    if progress.phase == "reading":
        return READ * min(progress.seconds / duration, 1.0) if duration else 0.0
    sent = progress.sent / progress.size if progress.size else 0.0
    heard = progress.seconds / duration if duration else 0.0
    return round(READ + SENT * min(sent, 1.0) + (1 - READ - SENT) * min(heard, 1.0), 3)


def words(item: RunItem) -> str:
    """What happens now, in words.

    >>> words(Progress("listening", parts_done=3, parts=12, seconds=1800, duration=7200))
    'listening: 30:00 of 2:00:00'
    """
    if isinstance(item, Wait):
        return f"waiting {item.seconds:g} s, try {item.attempt} of {item.limit}" if item.seconds else item.why
    if not isinstance(item, Progress):
        return ""
    if item.phase == "reading":
        return f"reading: {clock(item.seconds)}"
    if item.sent < item.size and not item.parts_done:
        return f"sending: {item.sent / 1e6:.1f} of {item.size / 1e6:.1f} MB"
    return f"listening: {clock(item.seconds)} of {clock(item.duration or 0.0)}"


def _is_seen() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel") or sys.stderr.isatty()
