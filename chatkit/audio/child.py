"""Audio, the child process: it looks a file through, and cuts and converts it, so that no kernel has to.

In: one line of JSON on stdin. Out: lines of JSON on stdout: how far it is, what the audio is, each part as it is ready,
or why there is no audio, or which other fault ended it. It limits its own memory and time before it touches a byte,
opens no socket, and ends with its parent, since its pipe breaks.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chatkit.exceptions import SetupError
from chatkit.system import libraries, processes

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
CANCELLED = 0.02
"""Part of the samples in which channels may cancel each other before the file is not sent as it is."""
PREVIEW = "preview.mp3"
"""The name of the file that is played."""


def main() -> None:
    """Do what the line on stdin says."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asked = json.loads(sys.stdin.readline())
    try:
        do(asked)
    except SetupError as error:
        say(setup=[error.cause, error.way_out])
    except Exception as error:  # noqa: BLE001  # whatever it is, it is ours, and the file must not be blamed for it
        say(fault=f"{type(error).__name__}: {error}"[:LONGEST])


def do(asked: dict[str, Any]) -> None:
    """Look the file through within the limits; say why there is no audio in it, if so."""
    try:  # before the limits are set
        from chatkit.audio.decode import NoAudioError, TooLongError
    except ImportError as error:
        if libraries.is_known(error):
            raise libraries.unloadable(error, "av", "numpy") from error
        raise

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
    processes.lock(MEMORY, file=FILE)
    processes.allow(SECONDS)


def say(**words: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def work(asked: dict[str, Any]) -> None:
    """Look the file through; cut it if it must be cut or converted; write what may be played."""
    from chatkit.audio.decode import Decoded
    from chatkit.audio.samples import Loudness, silences

    track, seen, loudness = _track(asked), Decoded(), Loudness()
    for block in _samples(asked, seen, track, telling=True):
        loudness.take(block)
    whys = _whys(seen)
    say(seconds=seen.seconds, silent=loudness.silent, damaged_at=seen.damaged_at, codec=seen.codec, tracks=seen.tracks,
        track=track + 1, convert=whys)  # fmt: skip
    if "longest" in asked and not loudness.silent:
        decibels = loudness.decibels()
        say(quiet=[(round(start, 2), round(end, 2)) for start, end in silences(decibels)])
        cut_up(asked, track, decibels, seen, convert=asked["convert"] or bool(whys))
    if seen.seconds <= asked.get("preview", 0.0) and (whys or not asked["playable"]):
        preview(asked, track)


def _track(asked: dict[str, Any]) -> int:
    """The sound track that is asked for, counted from 1, as a number from 0; else the first in which something is heard."""
    from chatkit.audio.decode import Allowed, track_with_sound

    if asked.get("track") is not None:
        return int(asked["track"]) - 1
    with Path(asked["path"]).open("rb") as file:
        return track_with_sound(file, Allowed(asked["demuxer"]))


def _whys(seen: Any) -> list[str]:
    """Why what is sent would not be what was heard here, if the file went out as it is."""
    from chatkit.audio.decode import DECODERS

    whys = {
        "codec": seen.codec not in DECODERS,
        "tracks": seen.tracks > 1,
        "longer": seen.holds_more,
        "hidden": seen.hidden and not seen.codec.startswith("mp3"),  # whose readers look for the first frame
        "cancelled": seen.cancelled > CANCELLED * seen.samples,
    }
    return [why for why, so in whys.items() if so]


def cut_up(asked: dict[str, Any], track: int, decibels: Any, seen: Any, *, convert: bool) -> None:
    """Write the parts, if the file cannot go out as it is; tell of each when it is whole."""
    from chatkit.audio.decode import Decoded
    from chatkit.audio.split import AudioPart, parts, write

    whole = seen.seconds <= asked["longest"]
    if whole and not convert and seen.damaged_at is None:
        say(parts=[])
        return
    end = seen.seconds
    cut = [AudioPart(0.0, end, 0.0, end)] if whole else parts(decibels, end, asked["piece"], asked["search"])
    say(parts=[[part.start, part.end, part.after, part.before] for part in cut])
    for number, silent in write(_samples(asked, Decoded(), track), cut, Path(asked["folder"])):
        say(part=number, silent=silent)


def preview(asked: dict[str, Any], track: int) -> None:
    """Write a small MP3, to be played beside its text."""
    from chatkit.audio.decode import Decoded
    from chatkit.audio.split import SoundFile

    file = SoundFile(Path(asked["folder"]) / PREVIEW, "mp3", bit_rate=SMALL)
    for block in _samples(asked, Decoded(), track):
        file.write(block)
    file.close()
    say(preview=True)


def _samples(asked: dict[str, Any], seen: Any, track: int, *, telling: bool = False) -> Iterator[Any]:
    """The blocks of the file; the parent hears now and then how far it is."""
    from chatkit.audio.decode import Allowed, blocks

    due = TELLING
    with Path(asked["path"]).open("rb") as file:
        for block in blocks(file, seen, Allowed(asked["demuxer"]), track):
            if telling and seen.seconds >= due:
                say(read=seen.seconds)
                due += TELLING
            yield block


if __name__ == "__main__":
    main()
