"""Speech, the handle on one job: start it, follow it, wait for it, stop it, from any thread.

In: audio and parameters. Out: a `Job`; its transcript at the end. It is a `Run` (endpoint/run.py) whose end
is a `Transcript`.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from chatkit import typed
from chatkit.api.speech_models import Task
from chatkit.endpoint import run
from chatkit.endpoint.keys import veiled_all
from chatkit.endpoint.reply import Reply
from chatkit.endpoint.turn import Listener
from chatkit.exceptions import InputError
from chatkit.ledger.record import Outcome
from chatkit.message import mended_all
from chatkit.speech import source
from chatkit.speech.asking import SpeechRequest
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
