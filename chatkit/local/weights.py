"""Annexe: finds, fetches and checks a model's weights. In: nothing, a path or a hub name. Out: a file on this machine.

Looks in the user's cache, in installed packages, in the package index, on the hub. What was fetched is
checked by its sha256 before it gets its name, so a half file is never taken for a whole one.
"""

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatkit.exceptions import SetupError
from chatkit.local import hub, index
from chatkit.local.shipped import DEFAULT, Weights
from chatkit.private_folder import PrivateFolder
from chatkit.system import files, shell
from chatkit.system.names import UnwritableError

Tell = Callable[[str], None]

HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+):(?P<file>[\w./ -]+\.gguf)\Z", re.ASCII)


def folder() -> Path:
    """Where fetched weights are kept: `CHATKIT_MODELS`, else the user's cache."""
    import platformdirs

    given = os.environ.get("CHATKIT_MODELS")
    return (
        Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("chatkit", appauthor=False)) / "models"
    )


def find(model: str | None = None, tell: Tell = lambda _: None) -> Path:
    """The file of `model`: None for the default, a path, or `org/repo:file.gguf`; fetched if need be.

    Raises SetupError with the ways out if it is nowhere.
    """
    if model is None:
        return locate() or fetch(tell=tell)
    if (path := Path(model).expanduser()).is_file():
        return path
    if match := HUB_NAME.match(model):
        return _from_hub(match["repo"], match["file"], tell)
    raise SetupError(
        f"There is no model file {path.name!r} at the path given.",
        "Give the path of a GGUF file, or a name on the hub like org/repo:file.gguf.",
    )


def locate(weights: Weights = DEFAULT) -> Path | None:
    """The file, whole, if it is on this machine already."""
    return next((place for place in places(weights) if is_whole(place, weights)), None)


def places(weights: Weights = DEFAULT) -> list[Path]:
    """Where the file may be on this machine: where fetched ones are kept, and in an installed package."""
    return list(filter(None, (folder() / weights.file, _installed(weights))))


def is_whole(path: Path, weights: Weights) -> bool:
    """Whether `path` has the size and the sha256 it must have."""
    try:
        return path.stat().st_size == weights.size and sha256(path) == weights.sha256
    except OSError:
        return False


def sha256(path: Path) -> str:
    """The file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(weights: Weights = DEFAULT, tell: Tell = lambda _: None) -> Path:
    """Fetch the file from the package index, else from the hub; raise SetupError if neither gives it whole."""
    target, failures = folder() / weights.file, []
    with workshop() as work:
        for fetch_from in (_index, _hub):
            try:
                got = fetch_from(weights, work, tell)
            except OSError as error:
                failures.append(str(error))
                continue
            if is_whole(got, weights):
                return keep(got, target)
            failures.append("what came is not the file that was asked for (its sha256 differs)")
    raise SetupError(
        f"The weights of {weights.alias} ({weights.size / 1e6:.0f} MB) are not on this machine and could not be "
        f"fetched: {'; '.join(failures)}.",
        f"Connect to the network and run: {shell.chatkit('models fetch')} (or put the file into the folder that "
        "CHATKIT_MODELS names). Or set OPENAI_API_KEY to use the hosted API.",
    )


def _index(weights: Weights, work: Path, tell: Tell) -> Path:
    return index.fetch(weights.package, weights.version, [weights.member], weights.size, work, tell)[0]


def _hub(weights: Weights, work: Path, tell: Tell) -> Path:
    target = work / weights.file
    hub.fetch(weights.repo, weights.file, target, tell, revision=weights.revision, most=weights.size)
    return target


def _from_hub(repo: str, file: str, tell: Tell) -> Path:
    target = folder() / repo.replace("/", "--") / Path(file).name
    if ".." in file.split("/"):
        raise SetupError(f"{file!r} is not a file's name on the hub.", "Give a name like org/repo:file.gguf.")
    if target.is_file():
        return target
    with workshop() as work:
        got = work / target.name
        try:
            digest = hub.fetch(repo, file, got, tell)
        except OSError as error:
            raise SetupError(
                f"{repo}:{file} is not on this machine and could not be fetched: {error}.",
                "Check the name and the network, or give the path of a GGUF file.",
            ) from None
        if digest and sha256(got) != digest:
            raise SetupError(f"{repo}:{file} did not come whole: its sha256 differs.", "Try again.")
        return keep(got, target)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder of our own beside the target, so that the last step is a rename, which is all or nothing.

    What is left of it (a killed process, a virus scanner that had a file open) goes with the next that is made.
    """
    home = folder()
    with _told(home, "The folder for models"):
        home.mkdir(parents=True, exist_ok=True)
        work = PrivateFolder("fetch", within=home)
    try:
        with _told(home, "The folder for models"):
            yield work.path
    finally:
        work.close()


@contextmanager
def _told(path: Path, name: str = "") -> Iterator[None]:
    """Turn an OSError into a SetupError that says what cannot be written, and why."""
    way_out = "Try again, or name another folder in CHATKIT_MODELS."
    try:
        with files.explained(path, SetupError, way_out=way_out, name=name):
            yield
    except UnwritableError as error:
        raise SetupError(error.cause, way_out) from None


def keep(got: Path, target: Path) -> Path:
    """Give a fetched file its name, in one step; SetupError where that cannot be.

    A virus scanner may have the new file open, a server the old one. Where another process has put the same one there
    meanwhile, all is well.
    """
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            files.replace(got, target, files.NOBODY)
        except OSError:
            if not _is_same(got, target):
                raise
    return target


def _is_same(one: Path, other: Path) -> bool:
    try:
        return sha256(one) == sha256(other)
    except OSError:
        return False


def _installed(weights: Weights) -> Path | None:
    """The file inside an installed package, found without importing the package."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return Path(str(importlib.metadata.distribution(weights.package).locate_file(weights.member)))
    return None
