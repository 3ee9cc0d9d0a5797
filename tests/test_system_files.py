"""What somebody has open is tried again, then told in words; a deletion is put off; nothing is lost."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
from test_patience import Clock
from windows import held, needs_proc

from chatkit import patience
from chatkit.exceptions import ChatkitError, InputError, SetupError, StoreError
from chatkit.system import files
from chatkit.system.names import UnwritableError

pytestmark = needs_proc
Holder = Callable[[Path], "Popen[str]"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def let_go_after(clock: Clock, seconds: float, process: "Popen[str]", monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who holds the file ends once so much time was waited."""

    def sleep(pause: float) -> None:
        clock.sleep(pause)
        if clock.now >= seconds:
            process.kill()
            process.wait()

    monkeypatch.setattr(patience.time, "sleep", sleep)


# --- renamed and replaced


@pytest.mark.usefixtures("open_files_keep_their_place")
@pytest.mark.parametrize("which", ["source", "target"])
@pytest.mark.parametrize(("patience", "released", "done"), [(2.0, 0.3, True), (2.0, 3.0, False), (10.0, 9.0, True)])
def test_what_is_held_is_tried_again_until_patience_ends(
    tmp_path: Path, clock: Clock, holder: Holder, monkeypatch, which: str, patience: float, released: float, done: bool
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")
    let_go_after(clock, released, holder(tmp_path / which), monkeypatch)
    if done:
        files.replace(source, target, patience)
        assert (target.read_text(), source.exists()) == ("new", False)
    else:
        with pytest.raises(PermissionError):
            files.replace(source, target, patience)
        assert (target.read_text(), source.read_text()) == ("old", "new")
    assert clock.now == pytest.approx(min(released, patience), abs=0.1)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EBUSY, errno.ETXTBSY])
def test_what_passes_is_tried_again_whatever_the_system_calls_it(tmp_path: Path, clock: Clock, monkeypatch, code: int):
    (tmp_path / "a").write_text("a")
    answers = iter([OSError(code, "held"), OSError(code, "held"), None])

    def once(*_: object) -> None:
        if answer := next(answers):
            raise answer

    monkeypatch.setattr(os, "rename", once)
    files.rename(tmp_path / "a", tmp_path / "b")
    assert len(clock.longest) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOENT, errno.EROFS, errno.EXDEV])
def test_what_does_not_pass_is_raised_at_once(tmp_path: Path, clock: Clock, monkeypatch, code: int):
    def never(*_: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(os, "replace", never)
    with pytest.raises(OSError, match="no"):
        files.replace(tmp_path / "a", tmp_path / "b")
    assert clock.longest == []


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        files.rename(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]


@pytest.mark.usefixtures("open_files_keep_their_place")
@pytest.mark.parametrize("which", [0, 1, 2])
def test_files_that_belong_together_are_renamed_all_or_none(tmp_path: Path, clock: Clock, holder: Holder, which: int):
    pairs = [(tmp_path / f"{n}.old", tmp_path / f"{n}.new") for n in range(3)]
    for old, _ in pairs:
        old.write_text(old.name)
    process = holder(pairs[which][0])
    with pytest.raises(PermissionError):
        files.rename_all(pairs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.old", "1.old", "2.old"]
    process.kill()
    process.wait()
    files.rename_all(pairs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.new", "1.new", "2.new"]


# --- written


@pytest.mark.usefixtures("open_files_keep_their_place")
def test_a_file_that_is_held_for_a_moment_is_written(tmp_path: Path, clock: Clock, holder: Holder, monkeypatch):
    target = tmp_path / "talk.json"
    target.write_text("old")
    let_go_after(clock, 0.3, holder(target), monkeypatch)
    assert files.save(target, "new\n") == target
    assert target.read_bytes() == b"new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["talk.json"]


@pytest.mark.usefixtures("open_files_keep_their_place")
def test_a_file_that_stays_held_is_told_of_in_words_and_is_whole(tmp_path: Path, clock: Clock, holder: Holder):
    target = tmp_path / "talk.json"
    target.write_text("old")
    holder(target)
    with pytest.raises(InputError, match=r"talk\.json cannot be written: another program has it open") as told:
        files.save(target, "new")
    assert told.value.way_out.startswith("Close it there")
    assert isinstance(told.value, OSError)
    assert told.value.errno == errno.EACCES
    assert (target.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["talk.json"])


@pytest.mark.usefixtures("open_files_keep_their_place")
def test_a_draft_that_a_scanner_holds_goes_later(tmp_path: Path, clock: Clock, holder: Holder, monkeypatch):
    target, processes = tmp_path / "talk.json", []
    real = files.replace

    def scanned(source: Path, target: Path, patience: float) -> None:
        processes.append(holder(source))
        real(source, target, patience)

    monkeypatch.setattr(files, "replace", scanned)
    with pytest.raises(InputError, match="another program has it open"):
        files.save(target, "new")
    assert len(list(tmp_path.iterdir())) == 1
    processes[0].kill()
    processes[0].wait()
    files.delete_again()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words", "way_out"),
    [
        (errno.ENOSPC, "No space left on device", "Make room"),
        (errno.EDQUOT, "Disk quota exceeded", "Make room"),
        (errno.EROFS, "Read-only file system", "Name another file"),
        (errno.EIO, "Input/output error", "Name another file"),
    ],
)
def test_any_other_reason_is_told_with_its_way_out(tmp_path: Path, monkeypatch, code: int, words: str, way_out: str):
    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(UnwritableError, match=f"talk.json cannot be written: {words}") as told:
        files.save(tmp_path / "talk.json", "new")
    assert way_out in told.value.way_out
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_and_one_that_is_no_file_are_named(tmp_path: Path):
    with pytest.raises(InputError, match="there is no folder .*gone"):
        files.save(tmp_path / "gone" / "talk.json", "x")
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        files.save(tmp_path, "x")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_file_keeps_its_mode_and_a_private_one_is_its_owners(tmp_path: Path):
    kept, new, private = (tmp_path / name for name in ("kept", "new", "private"))
    kept.write_text("old")
    kept.chmod(0o640)
    (tmp_path / "usual").write_text("")
    files.write(kept, b"new")
    files.write(new, b"new")
    files.write(private, b"new", private=True)
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, new, private)] == [0o640, usual, 0o600]


@pytest.mark.skipif(os.name == "nt", reason="links are rare there")
def test_a_link_stays_a_link_and_a_private_file_is_not_written_through_one(tmp_path: Path):
    (tmp_path / "real").write_text("old")
    for name in ("link", "private"):
        (tmp_path / name).symlink_to(tmp_path / "real")
    files.write(tmp_path / "link", b"new")
    files.write(tmp_path / "private", b"mine", private=True)
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real").read_text()) == (True, "new")
    assert ((tmp_path / "private").is_symlink(), (tmp_path / "private").read_text()) == (False, "mine")


def test_a_new_file_is_not_put_over_one_that_is_there(tmp_path: Path):
    files.create(tmp_path / "a", b"a\n")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "a", b"b")
    assert (tmp_path / "a").read_bytes() == b"a\n"


@pytest.mark.parametrize("kind", [InputError, SetupError, StoreError])
def test_an_error_is_of_the_callers_kind_and_one_in_words_is_left_as_it_is(kind: type[ChatkitError]):
    with (
        pytest.raises(kind, match="The box cannot be opened: locked. Knock."),
        files.explained(Path("box"), kind, "cannot be opened", "Knock.", name="The box"),
    ):
        raise OSError(errno.EIO, "locked")
    with pytest.raises(UnwritableError, match="in words"), files.explained(Path("box"), kind):
        raise UnwritableError("in words")


# --- deleted


@pytest.mark.usefixtures("open_files_keep_their_place")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_held_is_deleted_with_the_next(tmp_path: Path, holder: Holder, kind: str):
    path = tmp_path / "voice"
    inside = path / "deep" / "voice.wav" if kind == "folder" else path
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_text("voice")
    process = holder(inside)
    assert files.delete(path) is False
    assert inside.exists()
    process.kill()
    process.wait()
    (tmp_path / "other").write_text("")
    assert files.delete(tmp_path / "other") is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("open_files_keep_their_place")
def test_all_that_can_be_deleted_is_and_the_lock_goes_last(tmp_path: Path, holder: Holder):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "held", "z", "lock"):
        (folder / name).write_text(name)
    process = holder(folder / "held")
    assert files.delete(folder, last="lock") is False
    assert sorted(path.name for path in folder.iterdir()) == ["held", "lock"]
    process.kill()
    process.wait()
    files.delete_again()
    assert not folder.exists()


@pytest.mark.usefixtures("open_files_keep_their_place")
def test_another_file_of_that_name_is_not_deleted_later(tmp_path: Path, holder: Holder):
    path = tmp_path / "voice"
    path.write_text("mine")
    process = holder(path)
    assert files.delete(path) is False
    process.kill()
    process.wait()
    (tmp_path / "new").write_text("somebody else's")
    path.unlink()
    (tmp_path / "new").rename(path)
    files.delete_again()
    assert path.read_text() == "somebody else's"


def test_what_is_gone_is_deleted_and_a_link_goes_without_what_it_leads_to(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert files.delete(tmp_path / "nothing") is files.delete(tmp_path / "link") is True
    assert (tmp_path / "kept" / "file").exists()


def test_what_was_put_off_goes_at_the_processs_end(tmp_path: Path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom chatkit.system import files\n"
        "real = os.unlink\ndef held(*_, **__): raise PermissionError(13, 'held')\n"
        "os.unlink = held\nassert not files.delete(Path(sys.argv[1]))\nos.unlink = real"
    )
    (tmp_path / "voice").write_text("")
    with Popen([sys.executable, "-c", code, str(tmp_path / "voice")]) as process:
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("windows")
def test_two_who_are_patient_at_once_both_write(tmp_path: Path):
    target = tmp_path / "talk.json"
    target.write_text("old")
    with held(target, 0.3):
        files.save(target, "new")
    assert target.read_text() == "new"
