"""The system's room: what a disk cannot call a file, said before anything is written.

In: a path. Out: nothing, or words. NTFS takes a colon for a hidden stream and leaves a file of 0 bytes, Windows cuts a
dot or a space off the end and sends CON to the screen; every disk has a longest name.
"""

import ctypes
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from chatkit.exceptions import InputError

FORBIDDEN = '<>:"/\\|?*'
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
"""Names that Windows keeps for devices, with any ending."""
LONGEST_NAME = 255
LONGEST_PATH = 259
"""Characters of a path on Windows, unless it was told to take longer ones."""
LONGEST_LONG_PATH = 32_000


class UnwritableError(InputError, OSError):
    """A file that was named cannot be written; who listens for an OSError hears it too."""


def check(path: Path) -> None:
    """Raise `UnwritableError` for a path that this system's disks do not take."""
    if said := fault(path):
        raise UnwritableError(*said)


def fault(path: Path) -> tuple[str, str] | None:
    """What is wrong with a path, and the way out; None where nothing is."""
    whole = Path(os.path.abspath(path))
    names = [name for name in path.parts if name != path.anchor and name not in (".", "..")]
    if sys.platform != "win32":
        return _too_long(whole, _most(whole.parent, "PC_NAME_MAX"), _most(whole.parent, "PC_PATH_MAX") - 1, _bytes)
    longest = LONGEST_LONG_PATH if takes_long_paths() else LONGEST_PATH
    refused = (_refused(name) for name in names)
    return next(filter(None, refused), None) or _too_long(whole, LONGEST_NAME, longest, _units)


def allowed(name: str) -> str:
    """The name as near as can be to one that every disk takes.

    >>> allowed("Lecture 10:30.srt"), allowed("aux.json"), allowed("what? ")
    ('Lecture 10-30.srt', 'aux-.json', 'what-')
    """
    clean = "".join("-" if c in FORBIDDEN or c < " " else c for c in name).rstrip(" .") or "file"
    if RESERVED.fullmatch(clean):
        stem, dot, ending = clean.partition(".")
        return f"{stem.rstrip()}-{dot}{ending}"
    return clean


def _refused(name: str) -> tuple[str, str] | None:
    wrong = next((c for c in name if c in FORBIDDEN or c < " "), None)
    if wrong is not None:
        why = f"has {wrong!r} in it, which Windows takes in no file's name"
    elif RESERVED.fullmatch(name):
        why = "is a name that Windows keeps for a device"
    elif name.endswith((" ", ".")):
        why = f"ends in {name[-1]!r}, which Windows cuts off"
    else:
        return None
    return f"{name!r} {why}.", f"Call it {allowed(name)!r}."


def _too_long(path: Path, name: int, whole: int, measure: Callable[[str], int]) -> tuple[str, str] | None:
    if (size := measure(path.name)) > name:
        return f"The name {path.name[:40]!r}… is {size} long; this disk takes {name}.", "Give it a shorter one."
    if (size := measure(str(path))) > whole:
        way = "Give a shorter name, or a folder nearer to the top."
        return f"The path to {path.name[:40]!r} is {size} long; this system takes {whole}.", way
    return None


def _units(text: str) -> int:
    """Characters as Windows counts them."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def takes_long_paths() -> bool:
    """Whether this Windows was told to take paths of more than 260 characters, and this Python asks for it."""
    library = getattr(ctypes, "WinDLL", None)
    try:
        return bool(library and library("ntdll").RtlAreLongPathsEnabled() & 0xFF)
    except (AttributeError, OSError):  # before Windows 10
        return False


def _bytes(text: str) -> int:
    return len(os.fsencode(text))


def _most(folder: Path, limit: str) -> int:
    """What the disk of a folder says of its limit, the zero at the end of a path included."""
    try:
        return os.pathconf(folder, limit)
    except (OSError, ValueError, AttributeError):  # a folder that is not there yet
        usual = 1024 if sys.platform == "darwin" else 4096
        return LONGEST_NAME if limit == "PC_NAME_MAX" else usual
