"""A folder says whether the process that made it still lives, with flock and without."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from windows import needs_proc

from chatkit.system import locks

pytestmark = needs_proc
OWNER = """
import sys
from pathlib import Path
from chatkit.system import locks
lock = locks.hold(Path(sys.argv[1]), "lock")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["flock", "an open file"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    if request.param == "an open file":
        request.getfixturevalue("windows")
    made = tmp_path / "folder"
    made.mkdir(mode=0o700)
    return made


def is_let_go(folder: Path) -> bool:
    with suppress(OSError):
        return locks.is_let_go(folder, "lock")
    return False


def test_a_lock_is_held_until_it_is_let_go(folder: Path):
    lock = locks.hold(folder, "lock")
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert not is_let_go(folder)
    locks.let_go(lock)
    assert is_let_go(folder)
    assert (folder / "lock").exists()  # until all else is gone


def test_a_lock_is_let_go_with_the_process_that_held_it(folder: Path):
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        assert not is_let_go(folder)
        owner.kill()
        owner.wait()
        assert is_let_go(folder)


def test_a_folder_without_a_lock_is_somebodys_who_is_about_to_make_it(folder: Path):
    assert not is_let_go(folder)
    (folder / "new").touch(mode=0o600)
    assert not is_let_go(folder)


def test_a_lock_is_let_go_once(folder: Path):
    lock = locks.hold(folder, "lock")
    os.close(lock)
    locks.let_go(lock)
