"""The house's own tests once more under Windows' rules (guard/windows_rules.py), in a home of a user called Jürgen Müller."""

import os
import re
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from windows import GUARD, HOME, needs_proc, rules

TESTS = Path(__file__).parent
MODELS = os.environ.get("CHATKIT_MODELS") or str(
    Path(platformdirs.user_cache_dir("chatkit", appauthor=False), "models")
)
FILES = (
    "conversation_file", "export", "keeping", "ledger_place", "ledger_spool", "ledger_store",
    "speech_source", "speech_transcript", "sqlite_file", "system_drives", "audio_uploader",
)  # fmt: skip
"""Whatever keeps, writes, renames and deletes files, and is quick."""
NOT_THERE = {
    "test_ledger_store.py::test_a_file_that_is_removed_while_open_is_made_anew": "nobody removes an open store there",
}
"""Tests of what is so on Linux and macOS alone."""
SLOW = ("test_keeping.py::test_what_came_before_the_end_of_the_interpreter_is_there",)

pytestmark = needs_proc


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That user's folders, in which the rules hold from the start of Python on."""
    home = tmp_path / HOME
    (home / "Temp").mkdir(parents=True)
    folders = {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(home / "Temp"), "CHATKIT_MODELS": MODELS}
    ours = {rules.VARIABLE: "1", "PYTHONPATH": str(GUARD), "XDG_CACHE_HOME": str(home / "cache")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "CHATKIT_"))}
    return kept | folders | ours


def ran(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *words]
    return subprocess.run(
        command, env=environment | {"PYTHONIOENCODING": "utf-8"}, cwd=TESTS.parent, capture_output=True, text=True,
        encoding="utf-8", errors="replace",
    )  # fmt: skip


def test_what_keeps_and_writes_files_passes_its_own_tests(environment: dict[str, str]):
    left_out = [word for test in (*NOT_THERE, *SLOW) for word in ("--deselect", f"tests/{test}")]
    files = [f"tests/test_{name}.py" for name in FILES]
    done = ran(
        environment, "-m", "pytest", "-q", "-n", "0", "-p", "no:nbval", "-p", "no:cacheprovider", *left_out, *files
    )
    assert re.search(r"\d{3} passed", done.stdout), done.stdout[-3000:] + done.stderr[-1000:]
    assert done.returncode == 0, done.stdout[-6000:]


def test_every_module_is_imported_where_there_is_no_fork_fcntl_or_resource(environment: dict[str, str]):
    names = [
        ".".join(path.relative_to(TESTS.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((TESTS.parent / "chatkit").rglob("*.py"))
        if path.stem != "__main__"
    ]
    assert "chatkit.system.locks" in names
    code = (
        f"import importlib, os, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print(sys.modules['fcntl'], sys.modules['resource'], hasattr(os, 'fork'))"
    )
    done = ran(environment, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None None False\n", "")


def test_the_rules_hold_in_a_child_and_are_windows(environment: dict[str, str], tmp_path: Path):
    code = """
import os, pathlib, sys
from chatkit.system import files, names
here = pathlib.Path(sys.argv[1])
(here / "a").write_text("ü\\n")
print((here / "a").read_bytes(), sys.modules["chatkit.system.names"].sys.platform, sys.platform)
for verb in ("unlink", "rename", "replace"):
    with open(here / "a"):
        try:
            getattr(os, verb)(here / "a", *([here / "b"] if verb != "unlink" else []))
        except PermissionError as error:
            print(error.winerror)
for name in ("a:b", "nul", "x" * 300):
    try:
        (here / name).write_text("")
    except OSError as error:
        print(type(error).__name__)
"""
    done = ran(environment, "-c", code, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "b'\\xfc\\r\\n' win32 linux", "32", "32", "32", "OSError", "OSError", "FileNotFoundError",
    ]  # fmt: skip
