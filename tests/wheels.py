"""Asks the package index whether pip would find a wheel of everything, for each system and each Python; needs uv.

python tests/wheels.py                    a table of what there is; 1 if it is not what GAPS says
python tests/wheels.py docs/install.md    the same, and the table in that file is made new

uv decides for another system than this one, markers included, which pip cannot do: pip reads them for itself alone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = ("", "local", "lab", "postgres", "tokens", "dataframes", "test-core")
"""What is asked for, each with the dependencies that are always installed; those alone by ""."""
SHOWN = (
    "xllamacpp", "ctranslate2", "onnxruntime", "av", "nh3", "tokenizers", "pydantic-core", "psycopg-binary", "bpe-openai",
)  # fmt: skip
"""The packages of compiled code that most often lack a wheel."""


@dataclass(frozen=True)
class System:
    """A system as people call it, as uv does, and the version of macOS."""

    name: str
    platform: str
    macos: str = ""


WINDOWS = System("Windows x64", "x86_64-pc-windows-msvc")
WINDOWS_ARM = System("Windows ARM (ARM Python)", "aarch64-pc-windows-msvc")
MACOS_14 = System("macOS 14+, Apple silicon", "aarch64-apple-darwin", "14.0")
MACOS_13 = System("macOS 13, Apple silicon", "aarch64-apple-darwin", "13.0")
MACOS_12 = System("macOS 12, Apple silicon", "aarch64-apple-darwin", "12.0")
MACOS_INTEL = System("macOS 13+, Intel", "x86_64-apple-darwin", "13.0")
LINUX = System("Linux x64", "x86_64-manylinux_2_28")
LINUX_ARM = System("Linux ARM", "aarch64-manylinux_2_28")
SYSTEMS = (WINDOWS, WINDOWS_ARM, MACOS_14, MACOS_13, MACOS_12, MACOS_INTEL, LINUX, LINUX_ARM)

GAPS: dict[tuple[System, str], tuple[str, ...]] = {
    (WINDOWS_ARM, "local"): PYTHONS,
    (WINDOWS_ARM, "lab"): ("3.11",),
    (WINDOWS_ARM, "test-core"): ("3.11",),
    (MACOS_13, "local"): ("3.14",),
} | {(MACOS_12, extra): PYTHONS for extra in EXTRAS}
"""What is known not to install, by system and extra: on these Pythons. README and docs/install.md say it in words."""

Versions = dict[str, str]
Resolver = Callable[[System, str, str], Versions | str]


@dataclass(frozen=True)
class Answer:
    """What the index has for one system, Python and extra: versions by package, or why there is no solution."""

    system: System
    python: str
    extra: str
    found: Versions | str

    @property
    def is_gap(self) -> bool:
        return isinstance(self.found, str)

    @property
    def is_known(self) -> bool:
        return self.python in GAPS.get((self.system, self.extra), ())

    def __str__(self) -> str:
        what = f"[{self.extra}]" if self.extra else "chatkit"
        where = f"{what} on {self.system.name}, Python {self.python}"
        return f"{where}: {self.found}" if self.is_gap else f"{where} installs now: take it out of GAPS, and say so."


def resolve(system: System, python: str, extra: str) -> Versions | str:
    """What uv would install there, of wheels alone."""
    command = ["uv", "pip", "compile", "--quiet", "--python-platform", system.platform, "--python-version", python]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--no-python-downloads"]
    command += ["--extra", extra] if extra else []
    environment = os.environ | ({"MACOSX_DEPLOYMENT_TARGET": system.macos} if system.macos else {})
    ran = subprocess.run(
        [*command, str(ROOT / "pyproject.toml")], capture_output=True, encoding="utf-8", env=environment, timeout=300
    )
    return versions(ran.stdout) if ran.returncode == 0 else reason(ran.stderr)


def versions(said: str) -> Versions:
    """What a list of requirements names."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", said, re.M))


def reason(said: str) -> str:
    """Why there is no solution, in one line: the first package that has no wheel, else all that was said."""
    words = re.sub(r"\{.*?\}", "", " ".join(said.split()))  # markers
    lacking = re.search(r"([\w.-]+)[^ ]* (?:has|have) no (?:usable )?wheels", words)
    return f"{lacking[1]} has no wheel" if lacking else words[-300:]


def ask(resolver: Resolver = resolve) -> Iterator[Answer]:
    """One answer after the other, for everything in the tables."""
    for system in SYSTEMS:
        for python in PYTHONS:
            for extra in EXTRAS:
                yield Answer(system, python, extra, resolver(system, python, extra))


def surprises(answers: list[Answer]) -> list[Answer]:
    """What is not as GAPS says: a wheel is gone, or one has come."""
    return [answer for answer in answers if answer.is_gap != answer.is_known]


def table(answers: list[Answer], day: str) -> str:
    """What there is, for people: a row for each system; where Pythons differ, each version with its own."""
    lines = [f"As of {day}, Python {PYTHONS[0]} to {PYTHONS[-1]}:", ""]
    lines += [f"| | {' | '.join(SHOWN)} |", f"|---|{'---|' * len(SHOWN)}"]
    for system in SYSTEMS:
        cells = [_cell(answers, system, package) for package in SHOWN]
        lines.append(f"| {system.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(answers: list[Answer], system: System, package: str) -> str:
    by_version: dict[str, list[str]] = {}
    for python in PYTHONS:
        found = [a.found for a in answers if (a.system, a.python) == (system, python) and not isinstance(a.found, str)]
        version = next((each[package] for each in found if package in each), "–")
        by_version.setdefault(version, []).append(python)
    if len(by_version) == 1:
        return next(iter(by_version))
    return ", ".join(f"{version} ({_span(pythons)})" for version, pythons in by_version.items())


def _span(pythons: list[str]) -> str:
    return pythons[0] if len(pythons) == 1 else f"{pythons[0]} to {pythons[-1]}"


def renew(text: str, made: str) -> str:
    """The text with the table between its two marks made new."""
    return re.sub(r"(?<=<!-- wheels -->\n).*?(?=\n<!-- /wheels -->)", lambda _: made, text, flags=re.S)


def main(words: list[str]) -> int:
    """Ask, and say what there is; 1 if it is not as it was known."""
    answers = list(ask())
    made = table(answers, datetime.now(UTC).strftime("%Y-%m-%d"))
    print(made)
    for name in words:
        path = Path(name)
        path.write_text(renew(path.read_text(encoding="utf-8"), made), encoding="utf-8", newline="\n")
    news = surprises(answers)
    print(*news, sep="\n", file=sys.stderr)
    return int(bool(news))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
