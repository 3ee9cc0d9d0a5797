"""Prints the Pythons of this machine that chatkit runs on, one of each version: on the PATH, or where pyenv or uv keep them.

python tests/other_pythons.py          the newest one that is not this one
python tests/other_pythons.py --all    all
"""

import shutil
import subprocess
import sys
from pathlib import Path

LOWEST, NEWEST = 11, 14
"""Of 3.x."""
ASK = "import ensurepip, ssl, sqlite3, sys, venv; print('%d.%d' % sys.version_info[:2])"


def candidates() -> list[str]:
    """Where one may be: names on the PATH first, then the folders of version managers."""
    named = [shutil.which(f"python3.{minor}") for minor in range(LOWEST, NEWEST + 1)]
    keepers = ((("pyenv", "root"), "versions/*/bin/python3"), (("uv", "python", "dir"), "*/bin/python3"))
    kept = [str(path) for ask, pattern in keepers if (root := _told(*ask)) for path in sorted(Path(root).glob(pattern))]
    return [sys.executable, *filter(None, named), *kept]


def found() -> dict[str, str]:
    """By version, the first that really runs: a shim of pyenv's may be there and lead nowhere."""
    runs: dict[str, str] = {}
    for python in candidates():
        version = _told(python, "-c", ASK)
        if version and version.startswith("3.") and LOWEST <= int(version[2:]) <= NEWEST:
            runs.setdefault(version, python)
    return dict(sorted(runs.items(), key=lambda each: int(each[0][2:])))


def _told(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    own = f"3.{sys.version_info.minor}"
    pythons = found()
    if "--all" in sys.argv:
        print(*pythons.values(), sep="\n")
    else:
        print(*[python for version, python in pythons.items() if version != own and int(version[2:]) >= 12][-1:])
