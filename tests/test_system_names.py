"""What a disk cannot call a file is said before anything is written, and nothing is lost."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from windows import needs_proc

from chatkit.chats.chat import Chat
from chatkit.exceptions import ChatkitError, InputError, StoreError
from chatkit.ledger import export
from chatkit.ledger.store import UsageStore
from chatkit.reports.rows import to_csv
from chatkit.speech.transcript import Transcript
from chatkit.sqlite_file import make
from chatkit.system import files, names

REFUSED = {
    "Lecture 10:30": "has ':' in it",
    "what is light?": "has '?' in it",
    'the "best"': "has '\"' in it",
    "a<b": "has '<' in it",
    "a|b": "has '|' in it",
    "two\nlines": "has '\\n' in it",
}
DEVICES = ["aux", "NUL", "con", "Com1", "LPT9", "com²", "conin$", "aux "]


def chat_export(path: Path) -> object:
    chat = Chat(history=False)
    chat.conversation.add("user", "Hi")
    return chat.export(path)


WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "chat.export": (chat_export, ".html"),
    "chat.save": (lambda path: Chat(history=False).save(path), ".json"),
    "transcript.save": (lambda path: Transcript("Hello.").save(path), ".srt.txt"),
    "to_csv": (lambda path: to_csv(["a"], [[1]], path), ".csv"),
}


@pytest.mark.usefixtures("windows")
@needs_proc
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("stem", [*REFUSED, *DEVICES])
def test_a_name_that_windows_lacks_is_refused_before_anything_is_written(tmp_path: Path, writer: str, stem: str):
    write, ending = WRITERS[writer]
    with pytest.raises(
        InputError, match=re.escape(REFUSED.get(stem, "is a name that Windows keeps for a device"))
    ) as told:
        write(tmp_path / f"{stem}{ending}")
    assert told.value.way_out.startswith("Call it '")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("windows")
@needs_proc
def test_an_export_of_usage_and_a_store_are_refused_too(tmp_path: Path):
    with pytest.raises(InputError, match="has ':' in it"):
        export.export(UsageStore(tmp_path / "usage.sqlite"), tmp_path / "10:30.jsonl")
    for stem in ("10:30", "nul"):
        with pytest.raises(StoreError, match="Windows"):
            make(tmp_path / f"{stem}.sqlite")
        with pytest.raises(ChatkitError, match="Windows"):
            UsageStore(tmp_path / f"{stem}.sqlite").open()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("usage.sqlite")] == []


@pytest.mark.usefixtures("windows")
@needs_proc
@pytest.mark.parametrize("end", [".", " ", ". ."])
def test_what_windows_cuts_off_an_end_is_refused_and_a_folder_is_looked_at_too(tmp_path: Path, end: str):
    with pytest.raises(InputError, match="which Windows cuts off"):
        files.save(tmp_path / f"talk.json{end}", "x")
    with pytest.raises(InputError, match="Windows cuts off"):
        files.save(tmp_path / f"folder{end}" / "talk.json", "x")


@pytest.mark.usefixtures("windows")
@needs_proc
@pytest.mark.parametrize(
    "name", ["auxiliary.json", "console.json", "com10.json", "null.json", ".json", "a.b", "你好.json"]
)
def test_names_that_only_look_like_devices_are_taken(tmp_path: Path, name: str):
    files.save(tmp_path / name, "x")
    files.save(Path(os.path.relpath(tmp_path / name)), "y")
    assert (tmp_path / name).read_text() == "y"


@pytest.mark.usefixtures("windows")
@needs_proc
@pytest.mark.parametrize("name", ["talk.json", f"{'x' * 40}.json"])
def test_a_path_may_be_as_long_as_windows_takes_and_no_longer(tmp_path: Path, name: str):
    folder = tmp_path
    while len(str(folder)) < 200 - len(name):
        folder = folder / "folder"
    folder = folder / ("y" * (259 - len(str(folder)) - len(name) - 2))
    folder.mkdir(parents=True)
    assert len(str(folder / name)) == 259
    files.save(folder / name, "x")  # so the draft beside it is no longer
    with pytest.raises(InputError, match=r"is 260 long; this system takes 259"):
        files.save(folder / f"x{name}", "x")
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.usefixtures("windows")
@needs_proc
def test_where_windows_takes_long_paths_only_the_name_has_a_limit(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(names, "takes_long_paths", lambda: True)
    assert names.fault(tmp_path / ("folder/" * 60) / "talk.json") is None
    assert names.fault(tmp_path / ("😀" * 125 + ".json")) is None  # 255 as Windows counts
    cause, _ = names.fault(tmp_path / ("😀" * 126 + ".json"))
    assert "is 257 long; this disk takes 255" in cause


@pytest.mark.skipif(os.name == "nt", reason="Windows counts in another way")
def test_elsewhere_only_the_length_counts_and_a_disk_says_it(tmp_path: Path, monkeypatch):
    for stem in (*REFUSED, *DEVICES, "x" * 250):
        files.save(tmp_path / f"{stem}.json", "x")
    assert names.fault(tmp_path / ("ü" * 125 + ".json")) is None
    before = sorted(tmp_path.iterdir())
    for name in ("x" * 251 + ".json", "ü" * 126 + ".json"):
        with pytest.raises(InputError, match="this disk takes 255"):
            files.save(tmp_path / name, "x")
    monkeypatch.setattr(os, "pathconf", lambda _, limit: 143 if limit == "PC_NAME_MAX" else 4096)
    with pytest.raises(InputError, match="is 144 long; this disk takes 143"):
        files.save(tmp_path / ("x" * 144), "x")
    with pytest.raises(InputError, match="this system takes 4095"):
        files.save(tmp_path / ("folder/" * 700) / "x", "x")
    assert sorted(tmp_path.iterdir()) == before


def test_exports_have_the_same_bytes_on_each_system(tmp_path: Path, monkeypatch):
    chat = Chat(history=False)
    chat.conversation.add("user", "one\ntwo")
    monkeypatch.setattr(os, "linesep", "\r\n")
    for ending in ("md", "html", "json"):
        assert b"\r\n" not in chat.export(tmp_path / f"talk.{ending}").read_bytes()
    assert Transcript("one\ntwo").save(tmp_path / "a.txt").read_bytes() == b"one\ntwo\n"
    to_csv(["a"], [["one\ntwo"]], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b'\xef\xbb\xbfa\r\n"one\ntwo"\r\n'
