"""Speech, the parent of the child that looks a file through: it starts it, hears it, and ends it.

In: a `AudioSource`. Out: what the child says, line by line, as dicts; InputError where there is no audio, or
where the child died of the file or took too long; ChatkitError where the fault is not the file's.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from chatkit.audio.child import PREVIEW as PREVIEW
from chatkit.audio.child import SECONDS
from chatkit.audio.sniff import Container
from chatkit.exceptions import ChatkitError, InputError
from chatkit.speech.source import AudioSource, no_audio
from chatkit.speech.timed import clock

SILENCE = 120.0
"""Seconds without a word after which the child hangs."""
MOST_HOURS = 24
CUT = "Cut it into parts, and give them one by one."
OUT_OF_TIME = 24
"""The signal that ends a process whose processor time is over (SIGXCPU), on Linux and macOS."""
_LINE = 1 << 23
"""Bytes of a line: the silences of two days fit."""

NOTES = {
    "longer": "the file goes on behind the length that its header names: all of it was heard",
    "cancelled": "the channels of this file cancel each other in a mix: the loudest was heard by itself",
}
"""What is said of a file that is not what a reader of it may take it for, by why it is converted."""
_PYTHON_FAILED = (1, 2)
"""Exit codes of an interpreter that did not get to the file: an exception that nobody caught, a wrong command."""

COMMAND = (sys.executable, "-m", "chatkit.audio.child")


async def look(source: AudioSource, **plan: Any) -> AsyncGenerator[dict[str, Any]]:
    """What the child says of the file, and does with it; it ends with the iteration."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LINE,
    )
    assert child.stdin and child.stdout
    asked = {"path": str(source.path.absolute()), "demuxer": source.kind.demuxer, "folder": str(source.folder), **plan}
    try:
        with suppress(OSError):
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            await child.stdin.drain()
        while line := await _line(child.stdout):
            said = _read(line)
            if "no_audio" in said:
                raise no_audio(str(said["no_audio"]))
            if "too_long" in said:
                raise _too_long(said["too_long"])
            if "fault" in said:
                raise _our_fault(str(said["fault"]))
            yield said
        if code := await child.wait():
            raise _ended(code)
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
        await child.wait()


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(stream.readline(), SILENCE)
    except TimeoutError:
        raise InputError(
            f"Looking this file through got nowhere for {SILENCE:g} s, and was given up.", "Convert it, or cut it."
        ) from None


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise _our_fault(f"it said {line[:80]!r}")
    return said


def notes_of(said: dict[str, Any], kind: Container) -> list[str]:
    """What a person is to know of a file that was looked through: `said` is the child's word with its seconds."""
    notes = []
    if said["damaged_at"] is not None:
        notes.append(f"the file is damaged after {clock(said['damaged_at'])}: what is there was heard")
    if said["tracks"] > 1:
        heard = "all are silent" if said["silent"] else f"number {said['track']} was heard; track= chooses another"
        notes.append(f"the file has {said['tracks']} sound tracks: {heard}")
    notes += [NOTES[why] for why in said["convert"] if why in NOTES]
    if not said["silent"] and (kind.ending is None or "codec" in said["convert"]):
        what = kind.what if kind.ending is None else f"{said['codec']} in {kind.what}"
        notes.append(f"the API takes no {what}: it was sent as FLAC")
    return notes


def _too_long(seconds: float | None) -> InputError:
    told = f"lasts {clock(seconds)}, by its header" if seconds else "is longer than that"
    return InputError(f"{MOST_HOURS} hours of audio are the most that are taken, and this file {told}.", CUT)


def _ended(code: int) -> ChatkitError:
    """Why the child ended, by its exit code, or by its signal where that is below 0."""
    if code == -OUT_OF_TIME:
        return InputError(
            f"Looking this file through took more than {SECONDS // 60} minutes of processor time, and was given up.",
            CUT,
        )
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return _our_fault(how) if code in _PYTHON_FAILED else no_audio(f"the decoder broke on it ({how})")


def _our_fault(what: str) -> ChatkitError:
    return ChatkitError(
        f"The audio could not be looked through, by a fault that is not the file's: {what}.",
        "If these words do not help, run: pip install --upgrade notebook-chatkit av, or report it.",
    )
