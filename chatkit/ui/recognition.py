"""Faces: the work on audio that an uploader shows while it runs: looking a file through, and a job.

In: a file, or a started `Job`. Out: words and a share from 0 to 1 for the views, and one call at the end. What
it hears, it hears on the loop's thread.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatkit.captions import wait_caption
from chatkit.client.reply import Delta, Progress, Reply, Wait
from chatkit.client.turn import RunItem, get_loop
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import UsageRecord
from chatkit.speech.job import Job
from chatkit.speech.source import look, opened
from chatkit.speech.timed import clock
from chatkit.ui.audio_captions import progress_caption
from chatkit.ui.inbox import AudioFile


class Check:
    """A look through a whole file, in a child process: whether there is sound in it, and how long it is."""

    def __init__(self, audio: AudioFile, changed: Callable[[], None], ended: Callable[["Check"], None]) -> None:
        self.audio = audio
        self.words = "Looking the file through…"
        self.seconds: float | None = None
        self.error: ChatkitError | None = None
        self._changed, self._ended = changed, ended
        self._task = asyncio.run_coroutine_threadsafe(self._look(), get_loop())

    @property
    def measured(self) -> AudioFile:
        """The file, with its length."""
        return replace(self.audio, duration=self.seconds)

    def cancel(self) -> None:
        """Look no further; nothing is told at the end."""
        self._task.cancel()

    async def _look(self) -> None:
        try:
            with opened(self.audio.path, name=self.audio.name) as source:
                async for said in look(source):
                    self._hear(said)
        except ChatkitError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  # a page that waits for the end must hear of it
            self.error = InputError(f"It could not be looked through ({type(error).__name__}: {error}).", "Try again.")
        self._ended(self)

    def _hear(self, said: dict[str, Any]) -> None:
        if said.get("read", 0) >= 60:
            self.words = f"Looking the file through… {clock(said['read'])}"
            self._changed()
        self.seconds = said.get("seconds", self.seconds)


class Recognition:
    """A job that runs."""

    def __init__(self, job: Job, changed: Callable[[], None], ended: Callable[["Recognition"], None]) -> None:
        self.job = job
        self.records: tuple[UsageRecord, ...] = ()
        self._words = "Starting…"
        self._share: float | None = None
        self._changed, self._ended = changed, ended
        self._unlisten = job.listen(self._hear)

    @property
    def shown(self) -> dict[str, Any]:
        """What a view draws of it."""
        return {"id": self.job.id, "words": self._words, "share": self._share}

    def close(self) -> None:
        """Listen no more, and stop the job."""
        self._unlisten()
        self.job.cancel()

    def _hear(self, item: RunItem) -> None:
        if isinstance(item, Progress):
            self._words, self._share = progress_caption(item)
        elif isinstance(item, Wait):
            self._words, self._share = wait_caption(item), None
        elif isinstance(item, Reply):
            self.records = item.records
            self._ended(self)
            return
        elif not isinstance(item, Delta):
            return
        self._changed()
