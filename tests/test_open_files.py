"""Files that somebody has open, room by room: who it may be, what is lost then (nothing), what a person is told."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from test_patience import Clock
from windows import HOME, held, needs_proc

import chatkit
from chatkit.chats import history_file
from chatkit.chats.history_file import Archive
from chatkit.conversation import file
from chatkit.exceptions import ChatkitError, InputError, SetupError, StoreError
from chatkit.ledger import export
from chatkit.ledger.outbox import Spool
from chatkit.ledger.place import place
from chatkit.ledger.rules import LastRules, MoneyRules
from chatkit.ledger.store import UsageStore
from chatkit.local import weights, whisper
from chatkit.private_folder import PrivateFolder
from chatkit.reports.rows import to_csv
from chatkit.speech import source
from chatkit.speech.transcript import Transcript
from chatkit.sqlite_file import SqliteFile, inode_of
from chatkit.ui.inbox import AudioFile, Inbox

pytestmark = [needs_proc, pytest.mark.usefixtures("windows")]
Holder = Callable[[Path], "subprocess.Popen[str]"]
DATA = b"RIFF" + bytes(5000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder as a user has it there."""
    folder = tmp_path / HOME / "AppData" / "Local" / "Temp"
    folder.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / HOME / "cache"))
    return folder


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def filled(inbox: Inbox, name: str = "talk.wav") -> None:
    incoming = inbox.begin({"upload": name, "name": name, "size": len(DATA)})
    incoming.put(0, memoryview(DATA))


def received(inbox: Inbox, name: str = "talk.wav") -> AudioFile:
    filled(inbox, name)
    return inbox.finish()


# --- the uploader: a virus scanner looks at what came, a player plays it


def test_a_file_arrives_and_nothing_of_it_is_left(temporary: Path):
    inbox = Inbox()
    audio = received(inbox)
    assert (audio.path.suffix, audio.bytes, audio.size) == (".wav", DATA, len(DATA))
    inbox.close()
    assert list(temporary.iterdir()) == []


def test_a_file_that_a_scanner_holds_for_a_moment_gets_its_name(temporary: Path):
    inbox = Inbox()
    filled(inbox)
    with held(inbox.incoming.path, 0.3):
        assert inbox.finish().path.suffix == ".wav"
    inbox.close()


def test_a_recording_that_stays_held_is_not_lost(temporary: Path, clock: Clock, holder: Holder):
    inbox = Inbox()
    filled(inbox)
    process = holder(inbox.incoming.path)
    audio = inbox.finish()
    assert (audio.bytes, audio.name) == (DATA, "talk.wav")
    end(process)
    inbox.close()
    assert list(temporary.iterdir()) == []


def test_what_a_player_has_open_goes_with_the_next(temporary: Path, holder: Holder):
    inbox = Inbox()
    first = received(inbox)
    process = holder(first.path)
    inbox.forget(first)
    assert first.path.exists()
    end(process)
    second = received(inbox, "other.wav")
    inbox.forget(second)
    assert not first.path.exists()
    assert not second.path.exists()
    inbox.close()


KERNEL = """
import sys, time
from chatkit.ui.inbox import Inbox
inbox = Inbox()
data = b"RIFF" + bytes(5000)
inbox.begin({"upload": "a", "name": "voice.wav", "size": len(data)}).put(0, memoryview(data))
print(inbox.finish().path, flush=True)
sys.stdin.read()
"""


def kernel() -> "tuple[subprocess.Popen[str], Path]":
    """A process, under all of Windows' rules, that has taken a recording."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", KERNEL], text=True, encoding="utf-8", **pipes,
                               env=os.environ | {"PYTHONIOENCODING": "utf-8"})  # fmt: skip
    return process, Path(process.stdout.readline().strip())


def test_the_recordings_of_a_killed_kernel_go_with_the_next_and_those_of_one_that_lives_stay(temporary: Path):
    (dead, left), (alive, kept) = kernel(), kernel()
    try:
        assert left.is_file()
        assert kept.is_file()
        end(dead)
        inbox = Inbox()
        received(inbox)
        assert (left.parent.exists(), kept.is_file()) == (False, True)
        inbox.close()
    finally:
        alive.communicate()
        dead.communicate()
    assert list(temporary.iterdir()) == []


def test_a_folder_in_which_something_is_held_is_known_by_its_lock_later(temporary: Path, holder: Holder, monkeypatch):
    folder = PrivateFolder("audio")
    (folder.path / "voice").write_bytes(DATA)
    process = holder(folder.path / "voice")
    folder.close()
    monkeypatch.setattr("chatkit.system.files._put_off", {})  # as if this process had ended
    PrivateFolder("audio").close()
    assert folder.path.exists()
    end(process)
    PrivateFolder("audio").close()
    assert list(temporary.iterdir()) == []


def test_audio_that_is_given_as_bytes_is_taken_away_though_a_scanner_looks(temporary: Path, holder: Holder):
    with source.opened(DATA.replace(bytes(4), b"WAVE", 2), name="x.wav") as given:
        process = holder(given.path)
    end(process)
    PrivateFolder("audio").close()
    assert list(temporary.iterdir()) == []


# --- what a person saves: a sync client, a preview, a spreadsheet


SAVED: dict[str, Callable[[Path], object]] = {
    "conversation": lambda path: file.write(path, "new"),
    "chat": lambda path: chatkit.Chat(history=False).save(path),
    "transcript": lambda path: Transcript("new").save(path.with_suffix(".txt")),
    "csv": lambda path: to_csv(["a"], [["new"]], path),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_file_that_stays_held_is_told_of_and_stays_as_it_is(tmp_path: Path, clock: Clock, holder: Holder, kind: str):
    path = tmp_path / ("talk.txt" if kind == "transcript" else "talk.json")
    path.write_text("old")
    process = holder(path)
    with pytest.raises(InputError, match=rf"{path.name} cannot be written: another program has it open"):
        SAVED[kind](path)
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)
    end(process)
    SAVED[kind](path)
    assert path.read_text() != "old"


@pytest.mark.parametrize("kind", SAVED)
def test_a_file_that_is_held_for_a_moment_is_saved(tmp_path: Path, kind: str):
    path = tmp_path / ("talk.txt" if kind == "transcript" else "talk.json")
    path.write_text("old")
    with held(path, 0.3):
        SAVED[kind](path)
    assert path.read_text() != "old"


def test_an_export_that_fails_leaves_no_half_of_itself(tmp_path: Path, monkeypatch):
    store = UsageStore(tmp_path / "usage.sqlite")

    def full(handle: int, _: bytes) -> None:
        os.close(handle)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("chatkit.system.files._put", full)
        with pytest.raises(InputError, match="mine.jsonl cannot be written: No space left") as told:
            export.export(store, tmp_path / "mine.jsonl")
    assert "Make room" in told.value.way_out
    assert not (tmp_path / "mine.jsonl").exists()
    assert export.export(store, tmp_path / "mine.jsonl") == 0
    assert b"\r" not in (tmp_path / "mine.jsonl").read_bytes()
    store.close()


# --- stores: another kernel has them open


def test_a_damaged_store_that_another_kernel_has_open_stays_whole(tmp_path: Path, clock: Clock, holder: Holder):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"my thesis" * 1000)
    kept = SqliteFile(path, "list", ("CREATE TABLE words (word)",), way_out="Name another.")
    damage = damage_of(kept)
    path.with_name("a.sqlite-journal").write_bytes(b"its journal")
    process = holder(path.with_name("a.sqlite-journal"))
    with pytest.raises(StoreError, match=r"a\.sqlite is no list .*cannot be set aside: another program has it open"):
        kept.renew(damage, inode_of(path))
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.sqlite", "a.sqlite-journal"]
    end(process)
    with pytest.warns(UserWarning, match="is begun"):
        assert kept.renew(damage, inode_of(path))
    assert len(list(tmp_path.glob("*.aside-*"))) == 2


def damage_of(kept: SqliteFile) -> Exception:
    with pytest.raises(Exception, match="not a database") as damaged:
        kept.connect(0.0)
    return damaged.value


STORES: dict[str, Callable[[Path], object]] = {
    "store": lambda path: UsageStore(path).open(),
    "history": lambda path: Archive(path).put(ENTRY, "{}", "words"),
}
ENTRY = history_file.Entry("id", "title", None, 1, 1, history_file.now(), history_file.now())


@pytest.mark.parametrize("kind", STORES)
def test_each_store_says_so_in_words(tmp_path: Path, clock: Clock, holder: Holder, kind: str):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"my thesis" * 1000)
    process = holder(path)
    with pytest.raises(StoreError, match="cannot be set aside: another program has it open"):
        STORES[kind](path)
    assert path.read_bytes() == b"my thesis" * 1000
    end(process)
    with pytest.warns(UserWarning, match="is begun"):
        STORES[kind](path)


def test_a_spool_that_another_kernel_holds_raises_what_its_owner_hears(tmp_path: Path, clock: Clock, holder: Holder):
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"my thesis" * 1000)
    holder(path)
    with closing(Spool(path)) as spool, pytest.raises(StoreError, match="cannot be set aside"):
        spool.count()


def test_rules_that_another_kernel_reads_for_a_moment_are_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / HOME))
    last = LastRules(place(tmp_path / "usage.sqlite"))
    last.keep(MoneyRules())
    with held(last.file, 0.3):
        last.keep(MoneyRules(lost="It is gone."))
    assert last.read().lost == "It is gone."
    assert len(list(last.file.parent.iterdir())) == 1


def test_rules_that_stay_held_break_nothing(tmp_path: Path, clock: Clock, holder: Holder, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / HOME))
    last = LastRules(place(tmp_path / "usage.sqlite"))
    last.keep(MoneyRules())
    holder(last.file)
    last.keep(MoneyRules(lost="It is gone."))
    assert last.read() == MoneyRules()
    assert len(list(last.file.parent.iterdir())) == 1


# --- weights: a virus scanner looks at what was just fetched, a server has the old ones open


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path / HOME / "models"))
    return tmp_path / HOME / "models"


def fetched(tmp_path: Path, name: str, data: bytes = DATA) -> Path:
    got = tmp_path / f"got-{name}"
    got.write_bytes(data)
    return got


NAMES = ["model.gguf", "model.bin", "config.json"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_a_scanner_holds_for_seconds_are_kept_in_the_end(
    tmp_path: Path, models: Path, clock: Clock, holder: Holder, monkeypatch, name: str
):
    got = fetched(tmp_path, name)
    process = holder(got)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now > 9:
            end(process)

    monkeypatch.setattr("chatkit.patience.time.sleep", sleep)
    assert weights.keep(got, models / "whisper-base" / name).read_bytes() == DATA


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", [None, b"half of it"])
def test_weights_that_could_not_be_put_in_place_are_not_said_to_be_there(
    tmp_path: Path, models: Path, clock: Clock, holder: Holder, name: str, there: bytes | None
):
    target = models / name
    if there:
        models.mkdir(parents=True)
        target.write_bytes(there)
    holder(got := fetched(tmp_path, name))
    with pytest.raises(SetupError, match=rf"{name} cannot be written: another program has it open"):
        weights.keep(got, target)
    assert (target.read_bytes() if target.exists() else None) == there
    assert clock.now == pytest.approx(10, abs=0.1)


def test_where_another_process_has_put_the_same_weights_there_all_is_well(
    tmp_path: Path, models: Path, clock: Clock, holder: Holder
):
    models.mkdir(parents=True)
    (models / "model.bin").write_bytes(DATA)
    holder(models / "model.bin")
    assert weights.keep(fetched(tmp_path, "model.bin"), models / "model.bin").read_bytes() == DATA


def test_a_whisper_of_which_one_file_is_held_is_not_there(
    tmp_path: Path, models: Path, clock: Clock, holder, monkeypatch
):
    (work := tmp_path / "work").mkdir()
    monkeypatch.setattr(whisper, "_is_whole", lambda _: True)
    for one in whisper.FILES:
        (work / one.name).write_bytes(DATA)
    holder(work / "model.bin")
    with pytest.raises(SetupError, match=r"model\.bin cannot be written"):
        whisper._kept(work)
    assert not whisper.is_model(models / "whisper-base")


def test_what_a_scanner_kept_of_a_workshop_goes_with_the_next(models: Path, holder: Holder, monkeypatch):
    with weights.workshop() as work:
        (work / "wheel").mkdir()
        (work / "wheel" / "big.whl").write_bytes(DATA)
        process = holder(work / "wheel" / "big.whl")
    assert (work / "wheel" / "big.whl").exists()
    end(process)
    monkeypatch.setattr("chatkit.system.files._put_off", {})  # as if that process had ended
    with weights.workshop() as next_one:
        assert list(models.iterdir()) == [next_one]
    assert list(models.iterdir()) == []


def test_a_disk_that_is_full_while_weights_are_joined_is_told_in_words(models: Path, monkeypatch):
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whisper, "_installed", dict)
    monkeypatch.setattr(whisper, "_joined", full)
    with pytest.raises(ChatkitError, match="The folder for models cannot be written: No space left on device"):
        whisper.locate()
    assert list(models.iterdir()) == []
