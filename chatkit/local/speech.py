"""Annexe: the speech model's keeper. In: a job and a file. Out: what the recogniser says of it, line by line.

The recogniser is a process of its own: started when it is first asked, ended when it has had nothing to do for a
while, killed when it hangs, dies or the client leaves. The server and the language model go on in any case.
"""

import asyncio
import json
import re
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Protocol

from chatkit.exceptions import SetupError
from chatkit.local import machine, parent, transcriptions, whisper
from chatkit.local.validation import ApiError, cannot_load, speech_fault
from chatkit.system import libraries, processes

RecogniserLine = dict[str, Any]
CHUNK = 1 << 18
UNCAUGHT = 1
"""The exit code of an interpreter that ended by an exception: no decoder's crash, and no limit."""
GRACE = 5.0
"""Seconds in which a process that said its last word has ended."""
LONGEST_LINE = 1 << 22
NO_WHISPER = (
    "The engine of the local Whisper, faster-whisper, is not installed. Install it with: python -m pip install "
    '"notebook-chatkit[local]". On a Mac with Intel there is one for Python 3.11 to 3.13 only.'
)
PROGRAM = (sys.executable, "-m", "chatkit.local.recogniser")


class Upload(Protocol):
    """A file to be read in pieces."""

    size: int | None

    async def read(self, size: int = -1) -> bytes: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class RecogniserDeadlines:
    """Seconds: to load; without a word; for a job, and for each second of its audio; with nothing to do."""

    start: float = 120.0
    stall: float = 180.0
    job: float = 120.0
    per_second: float = 10.0
    idle: float = 600.0


class Speech:
    """Whisper, one job after the other. `model` is None for the embedded one, a path or a name on the hub."""

    def __init__(
        self,
        model: str | None = None,
        *,
        threads: int = 1,
        deadlines: RecogniserDeadlines = RecogniserDeadlines(),
        program: Sequence[str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        verbose: bool = False,
    ) -> None:
        self.model, self.threads, self.deadlines = model, threads, deadlines
        self._program, self._tell, self._verbose = program or PROGRAM, tell, verbose
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._loaded: str | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def alias(self) -> str:
        """What answers call the model that answers where no other is asked for."""
        return whisper.alias_of(self.model)

    @property
    def aliases(self) -> list[str]:
        """All models that can be asked for by name."""
        return list(dict.fromkeys([self.alias, *whisper.fetched()]))

    def named(self, model: str) -> str:
        """Which model answers a request that asks for `model`: that one if it is here, else the default."""
        return model if model in whisper.fetched() else self.alias

    async def lines(
        self, job: RecogniserLine, file: Upload, model: str
    ) -> AsyncIterator[list[tuple[int, RecogniserLine]]]:
        """The recogniser's lines for one job, each as it comes; closing it ends the recogniser's work."""
        settled = False
        async with self._turn:
            try:
                child = await self._ready(model)
                await child.send(job, file)
                async for line in child.lines(self.deadlines):
                    settled = "error" in line or "done" in line
                    if "error" in line:
                        raise transcriptions.refused(line)
                    yield [(0, line)]
            finally:
                await file.close()
                if not settled:
                    self._drop()  # a recogniser in the middle of something is not asked again
                self._idle = asyncio.get_running_loop().call_later(self.deadlines.idle, self._drop)

    async def _ready(self, model: str) -> "_Child":
        if self._idle:
            self._idle.cancel()
        if self._child and (self._loaded != model or not self._child.alive):
            old = self._child
            self._drop()
            await old.end()  # the next one is measured by what memory is free then
        if self._child is None:
            folder = await self._folder(model)
            command = [*self._program, str(folder), str(self.threads)]
            self._child, self._loaded = await _Child.start(command, self._verbose), model
            await self._child.load(self.deadlines.start)
        return self._child

    async def _folder(self, model: str) -> Path:
        wanted = self.model if model == self.alias else str(whisper.fetched()[model])
        if not find_spec("faster_whisper"):
            raise ApiError(
                503, NO_WHISPER, type="server_error", code="model_not_available", headers={"x-should-retry": "false"}
            )
        try:
            libraries.look("ctranslate2", "onnxruntime")
            folder = await asyncio.to_thread(whisper.find, wanted, self._tell)
            machine.check_room(model, (folder / "model.bin").stat().st_size)
        except SetupError as problem:
            raise cannot_load(problem) from None
        return folder

    def _drop(self) -> None:
        if self._child:
            self._child.kill()
        self._child = self._loaded = None


class _Child:
    """A running recogniser."""

    def __init__(self, process: Process, log: IO[bytes]) -> None:
        self.process, self._log = process, log

    @classmethod
    async def start(cls, command: Sequence[str], verbose: bool) -> "_Child":
        environment = processes.environment(parent.VARIABLES | parent.HEARING)
        log = tempfile.TemporaryFile()  # noqa: SIM115  # it is open as long as the process runs
        process = await processes.spawn(
            command, stdin=PIPE, stdout=PIPE, stderr=None if verbose else log, limit=LONGEST_LINE, env=environment
        )
        return cls(process, log)

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def kill(self) -> None:
        if self.alive:
            self.process.kill()

    async def end(self) -> None:
        """End it, and wait until its memory is free."""
        await processes.end(self.process)

    async def send(self, job: RecogniserLine, file: Upload) -> None:
        """Hand over a job and the file's bytes."""
        pipe = self.process.stdin
        assert pipe
        try:
            pipe.write(json.dumps({**job, "size": file.size}).encode() + b"\n")
            while piece := await file.read(CHUNK):
                pipe.write(piece)
                await pipe.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._died() from None

    async def load(self, patience: float) -> None:
        """Wait until its model is loaded; no file has been read, so none is to blame if it ends before."""
        try:
            said = await self.next(patience)
        except EOFError:
            raise await self._not_loaded() from None
        if "error" in said:
            raise transcriptions.refused(said)

    async def lines(self, deadlines: RecogniserDeadlines) -> AsyncIterator[RecogniserLine]:
        """What it says, up to its last word on this job; ApiError if it hangs or dies."""
        loop = asyncio.get_running_loop()
        end = loop.time() + deadlines.job
        while True:
            try:
                line = await self.next(min(deadlines.stall, end - loop.time()))
            except EOFError:
                raise await self._died() from None
            end += deadlines.per_second * line.get("length", 0)
            yield line
            if "done" in line or "error" in line:
                return

    async def next(self, patience: float) -> RecogniserLine:
        """Its next line, within `patience` seconds; EOFError if it has ended."""
        assert self.process.stdout
        try:
            raw = await asyncio.wait_for(self.process.stdout.readline(), max(patience, 0))
        except TimeoutError:
            raise _failed("did not get on with this file in time, and was ended") from None
        if not raw.endswith(b"\n"):
            raise EOFError
        line: RecogniserLine = json.loads(raw)
        return line

    async def _not_loaded(self) -> ApiError:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), GRACE)
        problem = libraries.ended(self.process.returncode, self._last_words(), "ctranslate2")
        return cannot_load(problem) if problem else speech_fault(self._last_words() or "it ended before it was ready")

    async def _died(self) -> ApiError:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), GRACE)
        if self.process.returncode == UNCAUGHT:
            return speech_fault(self._last_words().partition(":")[0] or "unknown")
        return _failed("broke down over this file: it is damaged, or needs more memory or time than it may have")

    def _last_words(self) -> str:
        """The last line on its stderr, without what looks like a path."""
        self._log.seek(0)
        lines = self._log.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return re.sub(r"\S*[/\\]\S*", "…", lines[-1])[:200] if lines else ""


def _failed(what: str) -> ApiError:
    return ApiError(
        500, f"The local Whisper {what}. Save it as FLAC or MP3 and send that, or send a shorter piece.",
        type="server_error", code="recognition_failed", headers={"x-should-retry": "false"},
    )  # fmt: skip
