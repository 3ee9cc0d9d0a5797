"""Windows' rules one by one, for tests of this process; all at once hold in a process of its own (guard/windows_rules.py).

`open_files_keep_their_place`, `windows` and `holder` are fixtures of every test.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

GUARD = Path(__file__).parent / "guard"
HOME = "Jürgen Müller (PC)"
"""What a user's folder may be called there."""
HOLD = "import sys, time; file = open(sys.argv[1], 'rb'); print('open', flush=True); time.sleep(float(sys.argv[2]))"

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="who has a file open is read in /proc")
"""For tests that are held to the rule about open files."""


def _rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("windows_rules", GUARD / "windows_rules.py")
    assert spec and spec.loader
    rules = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rules)
    return rules


rules = sys.modules.get("windows_rules") or _rules()


@pytest.fixture
def open_files_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """What any process has open is not renamed, replaced or deleted."""
    for name, rule in rules.PLACES.items():
        monkeypatch.setattr(os, name, rule)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)


@pytest.fixture
def windows(open_files_keep_their_place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """That, and the rules of chatkit's own for Windows: its names, its lengths, no flock; for new processes too."""
    from chatkit.system import drives, files, locks, names

    for module in (drives, files, names):
        monkeypatch.setattr(module, "sys", rules.SYS, raising=False)
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setenv(rules.VARIABLE, "1")


@contextmanager
def held(file: Path, seconds: float = 60.0) -> Iterator["subprocess.Popen[str]"]:
    """Another process has the file open for so long: a virus scanner, a preview, a player."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLD, str(file), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def holder() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Has another process open a file, until it is killed or the test ends."""
    with ExitStack() as stack:
        yield lambda file: stack.enter_context(held(file))
