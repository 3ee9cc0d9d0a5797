"""Speech, the handle on one job, from any thread, and the bar of one that somebody waits for.

In: audio and parameters. Out: a `Job`; its transcript at the end. It is a `Run` (client/run.py) whose end
is a `Transcript`.

The bar is drawn by the thread that waits, never by the loop's: what that one prints would
land in another cell.
"""

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from chatkit import typed
from chatkit.api.speech_models import Task
from chatkit.client import run
from chatkit.client.keys import veiled_all
from chatkit.client.reply import Progress, Reply, Wait
from chatkit.client.turn import Listener, RunItem
from chatkit.conversation.message import mended_all
from chatkit.exceptions import InputError
from chatkit.ledger.record import Outcome
from chatkit.speech import source
from chatkit.speech.request import SpeechRequest
from chatkit.speech.timed import clock
from chatkit.speech.transcript import Transcript
from chatkit.speech.work import Limits, Work

if TYPE_CHECKING:
    import openai


class Job:
    """A transcription or translation that runs: listen to it, `wait()` or `await` it, `cancel()` it.

    A job that nobody holds and nobody listens to is cancelled.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._run = run.start(work.stream)

    def __repr__(self) -> str:
        return f"<Job: {self.outcome or 'running'}>"

    @property
    def id(self) -> str:
        """Unique."""
        return self._run.id

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._run.done

    @property
    def blocking(self) -> bool:
        """Whether the main thread waits for it."""
        return self._run.blocking

    @property
    def text(self) -> str:
        """What has been heard so far, in order."""
        return self._run.text

    @property
    def outcome(self) -> Outcome | None:
        """How it ended: complete, incomplete (parts are missing), cancelled or error; None while it runs."""
        return self._run.reply.outcome if self._run.reply else None

    @property
    def transcript(self) -> Transcript | None:
        """The transcript, when the job is done; None of one that failed altogether."""
        return self._work.transcript if self.done else None

    @property
    def error(self) -> Exception | None:
        """What a job that failed altogether raises."""
        return self._run.reply.error if self._run.reply else None

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on the loop's thread with all that has come and comes; return how to end it.

        `Progress` says how far it is, `Delta` brings text in its order, `Wait` says what is waited for, a
        `Reply` is the last: the transcript is there then. An error in the listener does not end the job.
        """
        return self._run.listen(listener)

    def cancel(self) -> None:
        """Stop it; what has come is kept, the rest is missing. A job that is done stays as it is."""
        self._run.cancel()

    def wait(self, timeout: float | None = None) -> Transcript:
        """Wait for the transcript, whole or in part; raise its error if nothing came back.

        Raises TimeoutError after `timeout` seconds (the job goes on). An interrupt cancels the job, and
        goes on as KeyboardInterrupt.
        """
        return self._ended(self._run.wait(timeout))

    def __await__(self) -> Generator[Any, None, Transcript]:
        return self._ended((yield from self._run.__await__()))

    def _ended(self, reply: Reply) -> Transcript:
        if self._work.transcript is None:
            raise reply.error or InputError("The job was stopped before it began.")
        return self._work.transcript


def start(
    task: Task,
    audio: Any,
    *,
    model: str | None = None,
    client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
    words: bool = False,
    rate: int | None = None,
    name: str | None = None,
    limits: Limits | None = None,
    track: int | None = None,
    **parameters: Any,
) -> Job:
    """Start to "transcribe" or "translate", and give back a handle at once.

    The arguments are those of `chatkit.transcribe`. Raises InputError, before anything is sent, for what
    cannot be audio, for parameters that cannot be sent, and for what the model cannot do.
    """
    parameters = veiled_all(parameters)
    if task not in ("transcribe", "translate"):
        raise InputError(f"The task is {task!r}.", "It is 'transcribe' or 'translate'.")
    given = {k: v for k, v in parameters.items() if v is not None}
    ask = SpeechRequest.of(task, model, words, mended_all(given, "parameters"))
    name = typed.name_or_none(name, "name")
    ask.check()
    source.check(audio, rate)
    if track is not None and (type(track) is not int or track < 1):
        raise InputError(f"track is {track!r}.", "It is the number of a sound track in the file, from 1.")
    return Job(Work(audio, ask, client, rate, name, limits or Limits(), track))


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
