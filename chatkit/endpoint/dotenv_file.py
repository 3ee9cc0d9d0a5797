"""The endpoint door's look at `.env` files: the nearest one, from the working folder upwards, and what it says.

In: nothing but the folder one works in. Out: the file's place and its settings; a SetupError that names the file where
it cannot be read. Nothing of it is put into the environment, so clients that chatkit did not make never hear of it.
"""

import codecs
import os
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from chatkit.exceptions import SetupError

MOST = 1_000_000
"""Bytes of the largest file that is read."""
WAY_OUT = "Save it as UTF-8 text, or do without it: connect(base_url=..., api_key=...), or connect(local=True)."

_MARKS = (  # the longer first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find() -> Path | None:
    """The nearest `.env`; folders, pipes and devices of that name are passed over."""
    try:
        here = Path.cwd()
    except OSError:  # the folder one works in is gone
        return None
    return next((path for path in (folder / ".env" for folder in (here, *here.parents)) if os.path.isfile(path)), None)


def place(path: Path) -> str:
    """Where the file lies, to be read by people: a folder's name may be anything, signs that move a cursor too."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


def read(path: Path) -> Mapping[str, str]:
    """What the file says. Raises SetupError where it cannot be read as text."""
    from dotenv import dotenv_values

    text = _text(path, _bytes(path))
    if "\0" in text:
        raise SetupError(f"{place(path)} is no text file: it holds NUL bytes.", WAY_OUT)
    said = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in said.items() if value is not None}


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
    except OSError as error:
        raise SetupError(f"{place(path)} cannot be read: {error.strerror}.", WAY_OUT) from None
    if len(raw) > MOST:
        raise SetupError(f"{place(path)} has more than {MOST:,} bytes: no file of settings.", WAY_OUT)
    return raw


def _text(path: Path, raw: bytes) -> str:
    for encoding in _encodings(raw):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SetupError(f"{place(path)} is no text file in an encoding that is known.", WAY_OUT)


def _encodings(raw: bytes) -> Iterator[str]:
    """Those that the file may be in; names and keys are ASCII, so that of a comment need only be near."""
    marked = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)
    if marked:
        yield marked
        return
    if 2 * raw[1::2].count(0) > len(raw[1::2]):  # UTF-16 without its mark: every other byte is 0
        yield "utf-16-le"
    if 2 * raw[::2].count(0) > len(raw[::2]):
        yield "utf-16-be"
    yield "utf-8"
    yield "cp1252"
    yield "latin-1"
