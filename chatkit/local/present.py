"""Annexe: which models' weights are on this machine. In: nothing. Out: each by its name, file, size, licence and place.

Looked at, not checked: a file counts as whole by its size, since a sha256 takes seconds. `chatkit models fetch` checks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chatkit.local import weights, whisper
from chatkit.local.shipped import DEFAULT, WHISPER


@dataclass(frozen=True)
class PresentModel:
    """A model whose weights are here: `size` in bytes, `wanted` of one whose size is known, `licence` if that is."""

    name: str
    path: Path
    size: int
    wanted: int | None = None
    licence: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it has the size that it must have; whatever has none is."""
        return self.wanted in (None, self.size)

    def __str__(self) -> str:
        whole = "" if self.is_whole else f" of {(self.wanted or 0) / 1e6:,.1f}: not whole"
        licence = f"licence {self.licence or 'unknown'}"
        return f"{self.name}: {self.path.name}, {self.size / 1e6:,.1f} MB{whole}, {licence}, in {self.path.parent}"


def present() -> list[PresentModel]:
    """All models that are here: the shipped ones first, then what came from the hub or was put into the folder."""
    return [*_shipped(), *_whispers(), *_others()]


def has_shipped() -> bool:
    """Whether the weights of the shipped models are all here and whole, so that nothing needs to be fetched."""
    whole = {model.name for model in present() if model.is_whole}
    return {DEFAULT.alias, WHISPER} <= whole


def _shipped() -> Iterator[PresentModel]:
    for place in weights.places():
        if place.is_file():
            yield PresentModel(DEFAULT.alias, place, place.stat().st_size, DEFAULT.size, DEFAULT.licence)
            return


def _whispers() -> Iterator[PresentModel]:
    for name, folder in whisper.fetched().items():
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        shipped = name == WHISPER
        yield PresentModel(name, folder, size, whisper.SIZE if shipped else None, whisper.LICENCE if shipped else None)


def _others() -> Iterator[PresentModel]:
    home = weights.folder()
    for path in sorted(home.rglob("*.gguf")):
        hidden = any(part.startswith(".") for part in path.relative_to(home).parts)
        if path.is_file() and path not in weights.places() and not hidden:
            yield PresentModel(_name(path, home), path, path.stat().st_size)


def _name(path: Path, home: Path) -> str:
    """By which `--model` takes it: the hub's name, or the path."""
    repo = path.parent.name
    from_hub = path.parent.parent == home and "--" in repo
    return f"{repo.replace('--', '/', 1)}:{path.name}" if from_hub else path.stem
