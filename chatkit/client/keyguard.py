"""Finds API keys in files before others do: in source, in a notebook's cells, outputs and metadata.

In: paths. Out: a `Leak` for each line that holds a key: the file and the place, never a part of the key.
Folders are searched, hidden ones and virtual environments left out.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from chatkit.client.keys import find_keys
from chatkit.exceptions import InputError

ALLOWED = "pragma: allowlist secret"
"""A line with these words is passed over, as other tools do."""
LARGEST = 64 * 1024 * 1024

_LEFT_OUT = {"node_modules", "__pycache__", "venv", "env", "build", "dist", "site-packages"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Leak(NamedTuple):
    """Where a key lies: `lesson.ipynb`, "cell 3, line 2"."""

    path: Path
    place: str

    def __str__(self) -> str:
        return f"{self.path}: {self.place} holds an API key"


def find_leaks(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Leak]:
    """Search files and folders; raises InputError for a path that is not there."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from (leak for file in _files(path) for leak in _in_file(file))
        elif path.is_file():
            yield from _in_file(path)
        else:
            raise InputError(f"There is no file or folder {str(path)!r}.")


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        yield from (Path(where, name) for name in sorted(names))


def _in_file(path: Path) -> Iterator[Leak]:
    if not path.is_file() or path.stat().st_size > LARGEST:
        return
    raw = path.read_bytes()
    if b"\0" in raw[:8192]:
        return
    text = raw.decode("utf-8", "replace")
    notebook = _notebook(text) if path.suffix == ".ipynb" else None
    places = _in_notebook(notebook) if notebook is not None else _in_lines(text)
    yield from (Leak(path, place) for place in dict.fromkeys(places))


def _notebook(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("cells"), list) else None


def _in_notebook(notebook: dict[str, Any]) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"], 1):
        if isinstance(cell, dict):
            yield from (f"cell {number}, {line}" for line in _in_lines(_text(cell.get("source"))))
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else ():
                yield from (f"cell {number}, output" for text in _texts(output) if any(_in_lines(text)))
            rest = {name: value for name, value in cell.items() if name not in ("source", "outputs")}
            yield from (f"cell {number}, metadata" for text in _texts(rest) if any(_in_lines(text)))
    yield from ("metadata" for text in _texts(notebook.get("metadata")) if any(_in_lines(text)))


def _text(source: Any) -> str:
    """The text of a source or an output, which a notebook keeps as one string or as its lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _texts(value: Any) -> Iterator[str]:
    """All texts inside, lists of lines joined."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list) and all(isinstance(line, str) for line in value):
            yield "".join(value)
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += [*value, *value.values()]


def _in_lines(text: str) -> Iterator[str]:
    plain = _COLOURS.sub("", text)
    for number, line in enumerate(plain.splitlines(), 1):
        if ALLOWED not in line and any(find_keys(line)):
            yield f"line {number}"
