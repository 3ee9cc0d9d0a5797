"""Installs a wheel as a user does, into an environment of its own, and asks it who it is.

python tests/installed_wheel.py dist        the one wheel in that folder, on this Python
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

CODE = "import chatkit; [getattr(chatkit, name) for name in chatkit.__all__]; print(chatkit.__file__)"
"""Every public name is loaded: so all modules are in the wheel, and what they import is installed."""


def check(wheel: Path, folder: Path) -> None:
    """Install the wheel below `folder`, and use it from there; raises if anything fails."""
    venv.create(folder / "env", with_pip=True)
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python, chatkit = scripts / "python", scripts / "chatkit"
    _run(folder, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    place = _run(folder, python, "-c", CODE)
    assert str(folder.resolve()) in str(Path(place.strip()).resolve()), f"another chatkit was imported: {place}"
    for command in ([chatkit], [python, "-m", "chatkit"]):
        assert "usage: chatkit" in _run(folder, *command, "--help")
    print(_run(folder, chatkit, "doctor"))


def _run(folder: Path, *command: Path | str) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if ran.returncode:
        raise SystemExit(f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


if __name__ == "__main__":
    [found] = Path(sys.argv[1]).resolve().glob("*.whl")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        check(found, Path(name))
