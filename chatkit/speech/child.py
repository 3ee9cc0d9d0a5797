"""Speech, the child process: it looks a file through, and cuts and converts it, so that no kernel has to.

In: one line of JSON on stdin. Out: lines of JSON on stdout: how far it is, what the audio is, each part as it
is ready, or why there is no audio. It limits its own memory and time before it touches a byte, opens no
socket, and ends with its parent, since its pipe breaks.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

MEMORY = 400 * 1024 * 1024
"""Bytes of data that the child may have beyond what its libraries took."""
SECONDS = 1800
"""Seconds of processor time."""
FILE = 1024**3
"""Bytes of one file that it may write."""


def main() -> None:
    """Do what the line on stdin says."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asked = json.loads(sys.stdin.readline())
    from chatkit.speech.decoding import NoAudioError  # av and numpy are loaded before the limits are set

    limit()
    try:
        work(asked)
    except NoAudioError as error:
        say(no_audio=str(error))
    except MemoryError:
        say(no_audio="it asks for more memory than any recording needs")


def limit() -> None:
    """Limit this process, where the system lets it."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the limit
        return
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
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
    """Look the file through; cut it if it must be cut or converted."""
    from chatkit.speech.cutting import Loudness, Part, parts
    from chatkit.speech.decoding import RATE, Decoded, NoAudioError, blocks

    path, demuxer = Path(asked["path"]), asked["demuxer"]
    seen, loudness = Decoded(), Loudness(RATE)
    for block in told(blocks(path, demuxer, seen), seen):
        loudness.take(block)
    if not seen.samples:
        raise NoAudioError("it has no sound in it" if seen.damaged_at is None else "what it holds cannot be decoded")
    duration = seen.seconds
    say(seconds=duration, silent=loudness.silent, codec=seen.codec, promised=seen.promised, damaged_at=seen.damaged_at)
    longest = asked.get("longest")
    if longest is None or loudness.silent:
        return
    if duration <= longest and not asked["convert"] and seen.damaged_at is None:
        say(parts=[])
        return
    decibels = loudness.decibels()
    cut = (
        parts(decibels, duration, asked["piece"], asked["search"])
        if duration > longest
        else [Part(0, duration, 0, duration)]
    )
    say(parts=[[p.start, p.end, p.after, p.before] for p in cut])
    for number, silent in write(blocks(path, demuxer, Decoded()), cut, Path(asked["folder"])):
        say(part=number, silent=silent)


def told(stream: Any, seen: Any) -> Any:
    """The same blocks; the parent hears of each minute."""
    due = 0.0
    for block in stream:
        if seen.seconds >= due:
            say(read=seen.seconds)
            due = seen.seconds + 60
        yield block


def write(stream: Any, cut: list[Any], folder: Path) -> Any:
    """Write each part as FLAC; yield its number, and whether nobody speaks in it, when it is whole."""
    from chatkit.speech.cutting import Loudness
    from chatkit.speech.decoding import RATE, FlacFile

    at, waiting = 0, list(enumerate(cut))
    open_parts: list[tuple[int, Any, Any, Any]] = []
    for block in stream:
        while waiting and waiting[0][1].start * RATE < at + len(block):
            number, part = waiting.pop(0)
            open_parts.append((number, part, FlacFile(folder / f"part-{number}.flac"), Loudness(RATE)))
        for number, part, file, loudness in tuple(open_parts):
            first, last = round(part.start * RATE) - at, round(part.end * RATE) - at
            piece = block[max(0, first) : max(0, last)]
            file.write(piece)
            loudness.take(piece)
            if last <= len(block) and part is not cut[-1]:
                file.close()
                open_parts.remove((number, part, file, loudness))
                yield number, loudness.silent
        at += len(block)
    for number, _, file, loudness in open_parts:
        file.close()
        yield number, loudness.silent


if __name__ == "__main__":
    main()
