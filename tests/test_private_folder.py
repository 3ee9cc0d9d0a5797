"""Folders of this user's alone: nothing of another user's is opened, followed, waited for or deleted."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_server import needs_weights

from chatkit import private_folder
from chatkit.conversation import file
from chatkit.exceptions import InputError
from chatkit.ledger import export
from chatkit.ledger.store import UsageStore
from chatkit.local import weights
from chatkit.private_folder import PrivateFolder
from chatkit.speech import source
from chatkit.ui.inbox import Inbox

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are POSIX's")
STRANGER = 54321
LEFT = ("uploads", "audio", "engine")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder that all users share, as /tmp is, and a home that is the user's."""
    folder = Path(tempfile.mkdtemp(prefix="chatkit-tests-shared-"))
    folder.chmod(0o1777)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def cache() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"], "chatkit", "tmp")


def killed(purpose: str, **environment: str) -> None:
    """A process that made a folder and was killed: its folder stays."""
    code = f"import os\nfrom chatkit.private_folder import PrivateFolder\nPrivateFolder({purpose!r})\nos._exit(0)"
    held = code.replace("PrivateFolder(", "kept = PrivateFolder(")
    subprocess.run([sys.executable, "-c", held], env=os.environ | environment, check=True)


def given_to_a_stranger(*paths: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in paths:
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


# --- where they lie


def test_a_folder_lies_in_the_users_cache_and_is_readable_by_nobody_else(shared: Path):
    one, other = PrivateFolder("audio"), PrivateFolder("audio")
    assert one.path.parent == other.path.parent == cache()
    assert one.path != other.path
    assert [stat.S_IMODE(path.stat().st_mode) for path in (one.path, cache())] == [0o700, 0o700]
    assert list(shared.iterdir()) == []


def test_a_temporary_folder_of_the_users_own_comes_first(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = tmp_path / "job"
    own.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(own))
    assert PrivateFolder("audio").path.parent == own


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_cache_that_others_may_write_in_is_passed_over(shared: Path, mode: int):
    cache().mkdir(parents=True)
    cache().chmod(mode)
    folder = PrivateFolder("uploads")
    assert folder.path.parent == shared
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_cache_below_a_folder_that_others_may_rename_is_passed_over(shared: Path, tmp_path: Path):
    cache().mkdir(parents=True)
    (tmp_path / "cache").chmod(0o777)
    assert PrivateFolder("uploads").path.parent == shared


def test_a_cache_of_somebody_elses_is_passed_over(shared: Path):
    cache().mkdir(parents=True)
    given_to_a_stranger(cache())
    assert PrivateFolder("uploads").path.parent == shared


def test_where_no_cache_can_be_made_the_shared_folder_has_to_do(shared: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = shared / "a file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert PrivateFolder("audio").path.parent == shared


# --- what is swept away


@pytest.mark.parametrize("purpose", LEFT)
def test_what_a_killed_process_left_is_swept_away_and_what_another_holds_is_not(shared: Path, purpose: str):
    held = PrivateFolder(purpose)
    killed(purpose, TMPDIR=str(shared))
    assert len(list(cache().iterdir())) == 2
    new = PrivateFolder(purpose)
    assert sorted(cache().iterdir()) == sorted([held.path, new.path])


def test_what_was_left_in_the_shared_folder_is_swept_too(shared: Path):
    killed("uploads", TMPDIR=str(shared), XDG_CACHE_HOME="/dev/null")
    assert len(list(shared.iterdir())) == 1
    PrivateFolder("uploads")
    assert list(shared.iterdir()) == []


def test_a_forked_child_takes_nothing_away(shared: Path):
    folder = PrivateFolder("audio")
    code = folder.path / "here"
    code.touch()
    pid = os.fork()
    if pid == 0:
        folder.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert code.exists()


def planted_link(folder: Path, prey: Path) -> None:
    (folder / "lock").symlink_to(prey)


def planted_hard_link(folder: Path, prey: Path) -> None:
    os.link(prey, folder / "lock")


def planted_pipe(folder: Path, prey: Path) -> None:
    os.mkfifo(folder / "lock")


def planted_folder(folder: Path, prey: Path) -> None:
    (folder / "lock").mkdir()


def planted_file(folder: Path, prey: Path) -> None:
    (folder / "lock").touch()


PLANTS = [planted_link, planted_hard_link, planted_pipe, planted_folder, planted_file]


@pytest.mark.parametrize("purpose", LEFT)
@pytest.mark.parametrize("plant", PLANTS)
def test_what_a_stranger_planted_is_left_alone(shared: Path, tmp_path: Path, plant: Callable, purpose: str):
    prey = tmp_path / "precious.txt"
    prey.write_text("twenty-eight precious bytes.")
    evil = shared / f"chatkit-{purpose}-evil0000"
    evil.mkdir()
    plant(evil, prey)
    given_to_a_stranger(evil)
    Inbox().begin({"upload": "u", "name": "x.wav", "size": 4})
    with source.opened(b"RIFF\0\0\0\0WAVE", name="x.wav"):
        pass
    private_folder.for_a_socket("engine.sock").close()
    assert prey.read_text() == "twenty-eight precious bytes."
    assert os.path.lexists(evil / "lock")


@pytest.mark.parametrize("plant", [planted_link, planted_hard_link, planted_pipe, planted_folder])
def test_a_lock_that_is_no_file_of_ours_is_left_alone_even_in_a_folder_of_ours(shared: Path, tmp_path: Path, plant):
    prey = tmp_path / "precious.txt"
    prey.write_text("twenty-eight precious bytes.")
    evil = shared / "chatkit-uploads-evil0000"
    evil.mkdir(mode=0o700)
    plant(evil, prey)
    PrivateFolder("uploads")
    assert prey.read_text() == "twenty-eight precious bytes."
    assert os.path.lexists(evil / "lock")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_a_folder_that_others_may_look_into_is_left_alone(shared: Path, mode: int):
    open_to_all = shared / "chatkit-uploads-open0000"
    open_to_all.mkdir()
    open_to_all.chmod(mode)
    (open_to_all / "lock").touch(mode=0o600)
    PrivateFolder("uploads")
    assert (open_to_all / "lock").exists()


def test_a_link_to_a_folder_of_ours_is_not_followed(shared: Path, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    (mine / "lock").touch(mode=0o600)
    (shared / "chatkit-uploads-evil0000").symlink_to(mine)
    PrivateFolder("uploads")
    assert (mine / "lock").exists()


def test_folders_of_a_like_name_with_a_file_called_lock_are_none_of_ours(shared: Path):
    for name in ("chatkit-notes-abcdefgh", "chatkit-uploads", "my-chatkit-uploads-abcdefgh"):
        (shared / name).mkdir(mode=0o700)
        (shared / name / "lock").touch(mode=0o600)
    PrivateFolder("uploads")
    assert len(list(shared.glob("*/lock"))) == 3


# --- a socket


def test_a_sockets_folder_is_in_the_users_runtime_folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    runtime = Path(tempfile.mkdtemp(prefix="run-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    folder = private_folder.for_a_socket("engine.sock")
    assert folder.path.parent == runtime
    folder.close()
    runtime.rmdir()


def test_a_runtime_folder_that_others_may_write_in_is_passed_over(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runtime = tmp_path / "run"
    runtime.mkdir()
    runtime.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert private_folder.for_a_socket("s").path.parent != runtime


@pytest.mark.parametrize("letters", [60, 90, 200, 250])
def test_a_socket_has_a_short_path_however_long_the_temporary_folder_is(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letters: int
):
    deep = tmp_path / ("x" * letters)
    deep.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    monkeypatch.setenv("XDG_CACHE_HOME", str(deep))
    folder = private_folder.for_a_socket("engine.sock")
    assert len(os.fsencode(folder.path / "engine.sock")) <= 103
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.close()


# --- files that a person names


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_conversation_is_not_waited_for(tmp_path: Path, kind: str):
    path = tmp_path / "talk.json"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    with pytest.raises(InputError, match="talk.json is no file"):
        file.read(path)


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_an_export_of_usage_is_not_waited_for(tmp_path: Path, kind: str):
    path = tmp_path / "ada.jsonl"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    with pytest.raises(InputError, match="ada.jsonl is no file"):
        export.merge(UsageStore(tmp_path / "usage.sqlite"), [path])


# --- the engine


def test_the_engine_loads_however_long_the_temporary_folder_is(tmp_path: Path):
    needs_weights()
    deep = tmp_path / ("x" * 120)
    deep.mkdir(mode=0o700)
    code = (
        "from chatkit.local import language, weights\n"
        "print(language.Language(weights.locate(), 'm', window=256, slots=1).alias, flush=True)\n"
        "import os\nos._exit(0)  # the engine has threads of its own"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(deep), "XDG_CACHE_HOME": str(deep), "CHATKIT_MODELS": str(weights.folder())},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("m\n", "")
    assert list(deep.glob("**/chatkit-*")) == []
