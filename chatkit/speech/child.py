"""Speech, the child process: it looks a file through, and cuts and converts it, so that no kernel has to.

In: one line of JSON on stdin. Out: lines of JSON on stdout: how far it is, what the audio is, each part as it
is ready, or why there is no audio, or which other fault ended it. It limits its own memory and time before it touches a byte, opens no
socket, and ends with its parent, since its pipe breaks.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY = 400 * 1024 * 1024
"""Bytes of data that the child may have beyond what its libraries took."""
SECONDS = 1800
"""Seconds of processor time."""
FILE = 1024**3
"""Bytes of one file that it may write."""
TELLING = 60.0
"""Seconds of audio between two words of progress."""
LONGEST = 400
"""Characters of a fault that are told."""
SMALL = 24_000
"""Bits a second of what is played beside a text."""


PREVIEW = "preview.mp3"
"""The name of that file."""


def main() -> None:
    """Do what the line on stdin says."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asked = json.loads(sys.stdin.readline())
    try:
        do(asked)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is ours, and the file must not be blamed for it
        say(fault=f"{type(error).__name__}: {error}"[:LONGEST])


def do(asked: dict[str, Any]) -> None:
    """Look the file through within the limits; say why there is no audio in it, if so."""
    from chatkit.speech.decoding import NoAudioError, TooLongError  # av and numpy are loaded before the limits are set

    limit()
    try:
        work(asked)
    except NoAudioError as error:
        say(no_audio=str(error))
    except TooLongError as error:
        say(too_long=error.seconds)
    except MemoryError:
        say(no_audio="it asks for more memory than any recording needs")


def limit() -> None:
    """Limit this process, where the system lets it."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the limit
        return
    # a second limit behind it, or the end would be told as one of many: SIGKILL
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (taken := _data_of_this_process()) is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (taken + MEMORY, taken + MEMORY))


def _data_of_this_process() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)


def say(**words: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def work(asked: dict[str, Any]) -> None:
    """Look the file through; cut it if it must be cut or converted; write what may be played."""
    from chatkit.speech.cutting import Loudness, silences
    from chatkit.speech.decoding import RATE, Decoded, NoAudioError

    seen, loudness = Decoded(), Loudness(RATE)
    for block in _samples(asked, seen, telling=True):
        loudness.take(block)
    if not seen.samples:
        raise NoAudioError("it has no sound in it" if seen.damaged_at is None else "what it holds cannot be decoded")
    seen.end()
    say(seconds=seen.seconds, silent=loudness.silent, damaged_at=seen.damaged_at)
    if "longest" in asked and not loudness.silent:
        decibels = loudness.decibels()
        say(quiet=[(round(start, 2), round(end, 2)) for start, end in silences(decibels)])
        cut_up(asked, decibels, seen)
    if seen.seconds <= asked.get("preview", 0.0):
        preview(asked)


def cut_up(asked: dict[str, Any], decibels: Any, seen: Any) -> None:
    """Write the parts, if the file cannot go out as it is; tell of each when it is whole."""
    from chatkit.speech.cutting import Part, parts
    from chatkit.speech.decoding import Decoded

    whole = seen.seconds <= asked["longest"]
    if whole and not asked["convert"] and seen.damaged_at is None:
        say(parts=[])
        return
    end = seen.seconds
    cut = [Part(0.0, end, 0.0, end)] if whole else parts(decibels, end, asked["piece"], asked["search"])
    say(parts=[[part.start, part.end, part.after, part.before] for part in cut])
    for number, silent in write(_samples(asked, Decoded()), cut, Path(asked["folder"])):
        say(part=number, silent=silent)


def write(blocks: Iterator[Any], cut: list[Any], folder: Path) -> Iterator[tuple[int, bool]]:
    """Write each part as FLAC; yield its number, and whether nobody speaks in it."""
    from chatkit.speech.cutting import Loudness
    from chatkit.speech.decoding import RATE, SoundFile

    at, to_come, growing = 0, dict(enumerate(cut)), {}
    for block in blocks:
        for number in [n for n, part in to_come.items() if part.start * RATE < at + len(block)]:
            growing[number] = (to_come.pop(number), SoundFile(folder / f"part-{number}.flac"), Loudness(RATE))
        for number, (part, file, loudness) in tuple(growing.items()):
            first, last = round(part.start * RATE) - at, round(part.end * RATE) - at
            piece = block[max(0, first) : max(0, last)]
            file.write(piece)
            loudness.take(piece)
            if last <= len(block):
                file.close()
                yield number, loudness.silent
                del growing[number]
        at += len(block)
    for number, (_, file, loudness) in growing.items():
        file.close()
        yield number, loudness.silent


def preview(asked: dict[str, Any]) -> None:
    """Write a small MP3, to be played beside its text."""
    from chatkit.speech.decoding import Decoded, SoundFile

    file = SoundFile(Path(asked["folder"]) / PREVIEW, "mp3", bit_rate=SMALL)
    for block in _samples(asked, Decoded()):
        file.write(block)
    file.close()
    say(preview=True)


def _samples(asked: dict[str, Any], seen: Any, *, telling: bool = False) -> Iterator[Any]:
    """The blocks of the file; the parent hears now and then how far it is."""
    from chatkit.speech.decoding import blocks

    due = TELLING
    for block in blocks(Path(asked["path"]), asked["demuxer"], seen):
        if telling and seen.seconds >= due:
            say(read=seen.seconds)
            due += TELLING
        yield block


if __name__ == "__main__":
    main()
