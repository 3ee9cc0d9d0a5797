"""Faces: where the audio that a page sends in slices comes to lie, on disk and never whole in memory.

In: numbered slices, each once or more often. Out: how far they go without a gap, and at the end an `AudioFile`. The
folder is the user's alone and goes with its owner; a file's own name is only ever shown, never used as a path.
"""

import os
import re
import shutil
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count as counted
from pathlib import Path
from typing import Any

from chatkit import private_folder
from chatkit.audio.sniff import kind_of
from chatkit.exceptions import InputError
from chatkit.private_folder import PrivateFolder
from chatkit.system import files
from chatkit.ui.audio_captions import size_caption

SLICE = 2**20
"""Bytes in one message at most: Jupyter closes the connection over one of 10 MiB."""
MOST = 1_000_000_000
"""Bytes of one file at most."""
NAME_KEPT = 120
ENDINGS = frozenset(
    [
        "flac",
        "mp3",
        "mp4",
        "mpeg",
        "mpga",
        "m4a",
        "ogg",
        "oga",
        "opus",
        "wav",
        "webm",
        "aac",
        "mov",
        "mkv",
        "ts",
        "m2ts",
    ]
)


@dataclass(frozen=True, slots=True)
class AudioFile:
    """Audio that has arrived: a file at `path`, called `name` where it came from; `size` in bytes, `duration` in seconds.

    It may be given wherever a path may. It lasts as long as its widget, or until other audio takes its place.

    >>> AudioFile(Path("/tmp/upload-1"), "speech.m4a", 12_345).stem
    'speech'
    """

    path: Path
    name: str
    size: int
    duration: float | None = None
    recorded: bool = False

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return self.name.rpartition(".")[0] or self.name

    def piece(self, offset: int, length: int) -> bytes:
        """A part of what the file holds."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @property
    def mime(self) -> str:
        """Its type, by what it holds."""
        with self.path.open("rb") as file:
            kind = kind_of(file)
        return kind.mime if kind else "application/octet-stream"

    # the last, for below it the word means this
    @property
    def bytes(self) -> bytes:
        """What the file holds."""
        return self.path.read_bytes()


class Incoming:
    """A file of which slices are still to come; `have` bytes have, `seconds` of them if it is being recorded.

    `sum` is the Adler-32 of what is here: a page compares it before it goes on with a file that looks the same.
    """

    def __init__(self, told: Mapping[str, Any], path: Path) -> None:
        self.id = str(told.get("upload"))
        self.name = clean_name(str(told.get("name", "")))
        self.recorded = bool(told.get("recorded"))
        self.size = None if self.recorded else count(told.get("size"))
        self.origin = (told.get("name"), self.size, told.get("modified"), told.get("head"))
        self.path = path
        self.seconds = 0.0
        self.have = 0
        self.sum = 1
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb", buffering=0)

    def put(self, offset: int, data: memoryview) -> bool:
        """Take a slice that begins at `offset`; False if one before it is missing."""
        if offset > self.have:
            return False
        fresh = data[self.have - offset :]
        if self.have + len(fresh) > (self.size if self.size is not None else MOST):
            raise InputError(f"{self.name} is longer than was said at first, or than {size_caption(MOST)}.")
        self._file.seek(self.have)
        while fresh:
            written = self._file.write(fresh)
            self.have += written
            self.sum = zlib.adler32(fresh[:written], self.sum)
            fresh = fresh[written:]
        return True

    def close(self) -> None:
        """Take no more."""
        self._file.close()


class Inbox:
    """Takes one file after the other; a new one takes the place of one that was not finished."""

    def __init__(self) -> None:
        self.incoming: Incoming | None = None
        self._folder: Path | None = None
        self._private: PrivateFolder | None = None
        self._numbers = counted(1)

    def begin(self, told: Mapping[str, Any]) -> Incoming:
        """Make ready for a file; one of which a part came before goes on, unless `fresh` is asked for."""
        known = self.incoming
        size = count(told.get("size"))
        fresh = bool(told.get("fresh"))
        if known is not None and known.id == told.get("upload") and not fresh:
            return known
        if not told.get("recorded"):
            _check_size(clean_name(str(told.get("name", ""))), size, self._room())
        origin = (told.get("name"), size, told.get("modified"), told.get("head"))
        if known is not None and not known.recorded and known.origin == origin and not fresh:
            known.id = str(told.get("upload"))
            return known
        self.drop()
        self.incoming = Incoming(told, self._place("part"))
        return self.incoming

    def finish(self) -> AudioFile:
        """The file that is whole now, under a name of its own with the ending that its name had."""
        incoming = self.incoming
        assert incoming is not None
        if not incoming.have:
            raise InputError(f"{incoming.name} is empty.", "Choose another file.")
        if incoming.size is not None and incoming.have != incoming.size:
            raise InputError(f"{incoming.name} is not all here yet.", "Choose it again to go on.")
        incoming.close()
        self.incoming = None
        path = self._named(incoming)
        seconds = incoming.seconds if incoming.recorded else None
        return AudioFile(path, incoming.name, incoming.have, seconds or None, incoming.recorded)

    def forget(self, audio: AudioFile) -> None:
        """Take a finished file away."""
        files.delete(audio.path)

    def drop(self) -> None:
        """Forget the file that is not finished."""
        if self.incoming is not None:
            self.incoming.close()
            files.delete(self.incoming.path)
            self.incoming = None

    def close(self) -> None:
        """Take everything away."""
        if self.incoming is not None:
            self.incoming.close()
            self.incoming = None
        if self._private is not None:
            self._private.close()
            self._private = self._folder = None

    def _named(self, incoming: Incoming) -> Path:
        """Where the file lies from now on; where somebody has it open for long, under the name that it has."""
        path = self._place(_ending(incoming))
        try:
            files.rename(incoming.path, path)
        except OSError:
            return incoming.path
        return path

    def _place(self, ending: str) -> Path:
        if self._folder is None:
            self._private = PrivateFolder("uploads")
            self._folder = self._private.path
        return self._folder / f"audio-{next(self._numbers)}.{ending}"

    def _room(self) -> int:
        return shutil.disk_usage(self._folder or private_folder.homes()[0]).free


def clean_name(name: str) -> str:
    """A file name as it is shown: one line, without folders and invisible characters, not too long.

    >>> clean_name("../../tmp/a\\nb\\u202e.wav"), clean_name(" / ")
    ('a b.wav', 'audio')
    """
    last = re.split(r"[/\\]", name.strip())[-1]
    visible = "".join(" " if c.isspace() else c for c in last if c.isspace() or _is_seen(c))
    shown = " ".join(visible.split()).strip(". ") if visible.strip(". ") else ""
    if len(shown) > NAME_KEPT:
        shown = f"{shown[: NAME_KEPT - 13]}…{shown[-12:]}"
    return shown or "audio"


def _is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and character != "\ufffd"


def _ending(incoming: Incoming) -> str:
    """By what the file holds; where that has none that the API takes, by its name, if that is one of audio."""
    with incoming.path.open("rb") as file:
        kind = kind_of(file)
    named = incoming.name.rpartition(".")[2].lower()
    return (kind.ending if kind else None) or (named if named in ENDINGS else "audio")


def count(value: object) -> int:
    """A whole number of at least 0; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _check_size(name: str, size: int, room: int) -> None:
    if not size:
        raise InputError(f"{name} is empty.", "Choose another file.")
    if size > MOST:
        raise InputError(f"{name} has {size_caption(size)}; {size_caption(MOST)} is the most.", "Cut it into parts.")
    if size > room:
        raise InputError(
            f"{name} has {size_caption(size)}, and only {size_caption(room)} are free on the kernel's disk.",
            "Make room, or choose a smaller file.",
        )
