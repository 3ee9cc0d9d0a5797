"""The client's file beside a request: read from disk in small pieces while it is sent, and counted.

In: a path that chatkit made or was given, and a name to send it by. Out: an open file for httpx2.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send: where it lies, the name and type that the endpoint is told, and who hears of each piece.

    `tell` is called on the loop's thread with the bytes sent so far, again from 0 in a further attempt.
    """

    path: Path
    name: str
    mime: str
    tell: Callable[[int], object] = field(default=bool, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return os.path.getsize(self.path)

    def open(self) -> "io.FileIO":
        """The file, from its beginning."""
        return _Counted(self.path, self.tell)


class _Counted(io.FileIO):
    def __init__(self, path: Path, tell: Callable[[int], object]) -> None:
        super().__init__(path, "rb")
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._tell(self.tell())
        return data or b""
