"""Starts the local server, a process of its own, and holds the pipe that ends it with this one.

In: nothing, or a model of one's own. Out: a `LocalServer`: where it listens and the key for it. One
for each process and model, started when first asked for, started again if it has died.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from secrets import token_urlsafe
from typing import IO, Any

from chatkit.api.hosts import LOCAL_PREFIX
from chatkit.exceptions import SetupError
from chatkit.patience import held, result_of
from chatkit.system import libraries, processes

ENGINES = ("xllamacpp", "starlette", "python_multipart", "uvicorn")
"""Without which no server starts. Whisper's is not among them: where there is none, the language model answers alone."""
NO_ENGINES = "There is no API key, and the engines of the local models are not installed."
INSTALL = 'Install them with: python -m pip install "notebook-chatkit[local]".'
KEY = "CHATKIT_KERNEL_KEY"
"""Where commands that a notebook runs (`!curl …`) find the key of this process's local servers; it is of no use after it."""
SILENCE = 300.0
"""Seconds without a word (ready, progress, error) after which a start is given up."""
GRACE = 2.0
"""Seconds in which a server that said its last word has ended."""

_servers: dict[tuple[int, str | None], "LocalServer"] = {}
_models: dict[str, str | None] = {}  # which model stood behind an address, that of a server that has died included
_lock = threading.Lock()


@dataclass(frozen=True)
class LocalServer:
    """A running local server; it ends when this process does."""

    base_url: str
    model: str
    window: int
    key: str = field(repr=False)
    process: "subprocess.Popen[str]" = field(repr=False)

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return self.process.poll() is None


def has_engines() -> bool:
    """Whether the `local` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ENGINES)


def local_server(model: str | None = None, tell: Callable[[str], None] | None = None) -> LocalServer:
    """The local server for `model` (None: the embedded one); `tell` hears of a download's progress."""
    with held(_lock):
        running = _servers.get((os.getpid(), model))
        if running is None or not running.alive:
            running = _servers[os.getpid(), model] = _start(model, tell or (lambda _: None))
            _models[running.base_url] = model
        return running


def successor(base_url: str, tell: Callable[[str], None] | None = None) -> LocalServer | None:
    """The server that answers for the one at `base_url`: itself, or a new one if it has died; None if it is not ours."""
    return local_server(_models[base_url], tell) if base_url in _models else None


def is_ours(base_url: str) -> bool:
    """Whether `base_url` is that of a local server this process started."""
    return any(s.base_url.rstrip("/") == base_url.rstrip("/") for s in list(_servers.values()))


def _start(model: str | None, tell: Callable[[str], None]) -> LocalServer:
    if not has_engines():
        raise SetupError(
            NO_ENGINES,
            f"{INSTALL} Or set OPENAI_API_KEY to use the hosted API.",
        )
    key = os.environ[KEY] = _key(os.getpid())
    with tempfile.TemporaryFile() as log:
        process = processes.popen(
            _command(model), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            env=processes.environment({}, without=("OPENAI_", "AZURE_OPENAI_", KEY)),
        )  # fmt: skip
        try:
            ready = _wait_until_ready(process, key, tell)
        except BaseException:  # an interrupt, too: nobody would end it
            process.kill()
            raise
        if "base_url" not in ready:
            raise _failure(ready, _end(process), log)
    return LocalServer(ready["base_url"], ready["model"], ready["window"], key, process)


def _end(process: "subprocess.Popen[str]") -> int | None:
    """Its exit code; None of one that did not end by itself."""
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


@cache
def _key(process: int) -> str:  # noqa: ARG001  # a fork has a key of its own
    return LOCAL_PREFIX + token_urlsafe(24)


def _command(model: str | None) -> list[str]:
    return [sys.executable, "-m", "chatkit.local", "--with-parent", *(["--model", model] if model else [])]


def _wait_until_ready(process: "subprocess.Popen[str]", key: str, tell: Callable[[str], None]) -> dict[str, Any]:
    assert process.stdin and process.stdout
    try:
        process.stdin.write(key + "\n")
        process.stdin.flush()
    except OSError:
        return {}
    while True:
        try:
            line = _next_line(process.stdout)
        except TimeoutError:
            cause = f"The local server ended before it was ready: it said nothing for {SILENCE:g} s, and was given up."
            return {
                "error": {
                    "cause": cause,
                    "way_out": f"Close what keeps this machine busy, and try again. {libraries.HOSTED}",
                }
            }
        if not line:
            return {}
        message: dict[str, Any] = json.loads(line)
        if "progress" not in message:
            return message
        tell(message["progress"])


def _next_line(pipe: IO[str]) -> str:
    """The next line, read on a thread of its own: whoever waits for it hears an interrupt."""
    came: Future[str] = Future()

    def read() -> None:
        try:
            line = pipe.readline()
        except (OSError, ValueError):  # the pipe was closed meanwhile
            line = ""
        with suppress(InvalidStateError):  # nobody waits any more
            came.set_result(line)

    threading.Thread(target=read, name="chatkit-local-start", daemon=True).start()
    return result_of(came, SILENCE)


def _failure(ready: dict[str, Any], code: int | None, log: IO[bytes]) -> SetupError:
    if error := ready.get("error"):
        return SetupError(error["cause"], error["way_out"])
    log.seek(0)
    said = log.read()[-2000:].decode("utf-8", "replace").strip()
    if known := libraries.ended(code, said, "xllamacpp"):
        return known
    last = f"Its last words: {said.splitlines()[-1]}" if said else f"It said nothing (exit code {code})."
    return SetupError(
        f"The local server ended before it was ready. {last}",
        f'Install it anew: "{sys.executable}" -m pip install --upgrade "notebook-chatkit[local]". {libraries.HOSTED}',
    )
