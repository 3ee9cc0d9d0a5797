"""The system as an installation meets it: what would keep chatkit, its engines or JupyterLab from running here.

In: a `Machine`, what was found out about this one. Out: a `Finding` for each thing that is lacking: its name, the rule,
the way out. `chatkit doctor` prints them. docs/install.md says where the limits come from.
"""

import importlib.util
import os
import platform
import shutil
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path, PureWindowsPath

from chatkit.exceptions import SetupError
from chatkit.system.libraries import NEEDED, lacking, runtime
from chatkit.system.names import LONGEST_PATH, takes_long_paths

WEIGHTS = 250 * 10**6
"""Bytes of the local models' weights."""
WORKING = 2 * 10**9
"""Bytes that fetching, the usage store and JupyterLab need besides: an estimate."""
DEEPEST = 155
"""Characters of JupyterLab's deepest file below the environment."""
OLDEST_MACOS = 13
"""On Apple silicon: the first for which there is a PyAV."""


@dataclass(frozen=True)
class Machine:
    """What is to be known of a machine; the defaults are those of one on which nothing is lacking.

    `platform` is Python's own, which tells an x64 Python on ARM from an ARM one on Windows (win-amd64, win-arm64); on
    macOS it may be that of several processors (macosx-10.13-universal2), and `processor` tells. `free` is None where
    the disk does not tell.
    """

    platform: str
    python: tuple[int, int]
    processor: str = ""
    bits: int = 64
    macos: tuple[int, ...] = ()
    lacking_libraries: tuple[str, ...] = ()
    prefix: str = ""
    long_paths: bool = False
    free: int | None = None
    have_weights: bool = False
    packages: tuple[str, ...] = ()
    """The folders of packages called chatkit on the path, the one that is imported first."""
    executable: str = "python"
    scripts: str = ""
    scripts_on_path: bool = True

    @property
    def is_windows(self) -> bool:
        return self.platform.startswith("win")

    @property
    def is_mac(self) -> bool:
        return self.platform.startswith("macosx")

    @property
    def is_apple_silicon(self) -> bool:
        return self.is_mac and self.processor == "arm64"


@dataclass(frozen=True)
class Finding:
    """One thing that is lacking: its name, the rule, the way out. `fails` says that something would not run."""

    name: str
    rule: str
    way_out: str
    fails: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.rule} {self.way_out}"

    def error(self) -> SetupError:
        """The same, to be raised."""
        return SetupError(f"{self.name}: {self.rule}", self.way_out)


SystemCheck = Callable[[Machine], Iterator[Finding]]


def findings(machine: Machine) -> list[Finding]:
    """All that is lacking, what would fail first."""
    found = [finding for check in CHECKS for finding in check(machine)]
    return sorted(found, key=lambda finding: not finding.fails)


def _python(machine: Machine) -> Iterator[Finding]:
    if machine.bits != 64:
        yield Finding(
            "Python",
            f"this one is of {machine.bits} bits, and the packages that are needed are made for 64.",
            "Install the 64-bit Python from python.org, and chatkit into that.",
        )
    if machine.python < (3, 11):
        yield Finding(
            "Python", f"this one is {_dotted(machine.python)}; it must be 3.11 or newer.", "Install a newer one."
        )


def _wheels(machine: Machine) -> Iterator[Finding]:
    if machine.platform == "win-arm64":
        yield Finding(
            "Local models",
            "there are no engines for an ARM Python on Windows.",
            'Install the x64 Python from python.org ("64-bit", not "ARM64"), which Windows runs by emulation; or set '
            "OPENAI_API_KEY to use the hosted API.",
        )
    if machine.is_apple_silicon and machine.macos and machine.macos < (OLDEST_MACOS,):
        yield Finding(
            "macOS",
            f"this is {_dotted(machine.macos)}; PyAV, which opens audio, is there from {OLDEST_MACOS} on.",
            "Update macOS.",
        )
    elif machine.python >= (3, 14) and machine.is_mac and not _has_onnxruntime(machine):
        yield Finding(
            "Local Whisper",
            f"there is no onnxruntime for Python {_dotted(machine.python)} on this Mac.",
            "Use Python 3.11 to 3.13.",
        )


def _has_onnxruntime(machine: Machine) -> bool:
    """Whether there is one for Python 3.14."""
    return machine.is_apple_silicon and (not machine.macos or machine.macos >= (14,))


def _runtime(machine: Machine) -> Iterator[Finding]:
    if machine.lacking_libraries and machine.platform != "win-arm64":
        yield Finding(
            "Visual C++ runtime",
            f"the engines of the local models need {', '.join(machine.lacking_libraries)}, and this Windows does not find "
            "them.",
            runtime(machine.platform),
        )


def _room(machine: Machine) -> Iterator[Finding]:
    needed = WORKING + (0 if machine.have_weights else WEIGHTS)
    if machine.free is not None and machine.free < needed:
        yield Finding(
            "Room on the disk",
            f"{machine.free / 1e9:.1f} GB are free where the models' weights are kept; {needed / 1e9:.2f} GB are wanted.",
            "Make room, or name a folder on another disk in CHATKIT_MODELS.",
            fails=not machine.have_weights and machine.free < WEIGHTS,
        )


def _path(machine: Machine) -> Iterator[Finding]:
    length = len(machine.prefix)
    # the separator between the two counts, too
    if machine.is_windows and not machine.long_paths and length + 1 + DEEPEST > LONGEST_PATH:
        yield Finding(
            "Path",
            f"the environment's folder has {length} characters, and JupyterLab's files lie {DEEPEST} deeper: Windows takes "
            f"{LONGEST_PATH} in all, unless long paths are switched on.",
            f"Put the environment into a shorter folder, such as {PureWindowsPath('C:/chatkit-env')}.",
        )


def _packages(machine: Machine) -> Iterator[Finding]:
    if len(machine.packages) > 1:
        used, *others = machine.packages
        yield Finding(
            "chatkit",
            f"there is more than one package of this name on the path: {used} is imported, and hides {', '.join(others)}.",
            "Rename or remove the one that is not notebook-chatkit, or start Python in another folder.",
            fails=False,
        )


def _scripts(machine: Machine) -> Iterator[Finding]:
    if not machine.scripts_on_path:
        yield Finding(
            "PATH",
            f"it lacks the folder of this Python's commands, {machine.scripts}: chatkit and jupyter are not found by name.",
            f"Write {_quoted(machine.executable)} -m chatkit, and -m jupyter; or activate the environment.",
            fails=False,
        )


CHECKS: tuple[SystemCheck, ...] = (_python, _wheels, _runtime, _room, _path, _packages, _scripts)


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


# --- this machine


def this_machine(weights: Path, have_weights: bool) -> Machine:
    """What there is to know of the machine that this runs on; `weights` is the folder where they are kept."""
    scripts = sysconfig.get_path("scripts")
    return Machine(
        platform=sysconfig.get_platform(),
        python=sys.version_info[:2],
        processor=platform.machine(),
        bits=8 * struct.calcsize("P"),
        macos=tuple(int(part) for part in platform.mac_ver()[0].split(".") if part.isdecimal()),
        lacking_libraries=lacking(*NEEDED),
        prefix=sys.prefix,
        long_paths=takes_long_paths(),
        free=_free(weights),
        have_weights=have_weights,
        packages=tuple(packages_on(sys.path)),
        executable=sys.executable,
        scripts=scripts,
        scripts_on_path=is_on_path(scripts, os.environ.get("PATH", "")),
    )


def packages_on(path: Iterable[str]) -> Iterator[str]:
    """The folders of all packages called chatkit, in the order in which Python looks for them; an editable one first."""
    seen = []
    spec = importlib.util.find_spec("chatkit")
    specs = [spec, *(PathFinder.find_spec("chatkit", [folder or os.curdir]) for folder in path)]
    for place in (os.path.dirname(spec.origin) for spec in specs if spec and spec.origin):
        if (real := os.path.realpath(place)) not in seen:
            seen.append(real)
            yield real


def is_on_path(folder: str, path: str) -> bool:
    """Whether a folder is one of those in PATH, however it is written there."""
    wanted = os.path.normcase(os.path.realpath(folder))
    return any(os.path.normcase(os.path.realpath(part)) == wanted for part in path.split(os.pathsep) if part)


def _free(folder: Path) -> int | None:
    """Bytes free where a folder is, or will be."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    try:
        return shutil.disk_usage(there).free if there else None
    except OSError:
        return None
