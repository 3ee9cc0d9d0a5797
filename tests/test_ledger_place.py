"""Where the store lies, who may read it, and on which file systems WAL must not be used."""

import os
import stat
from pathlib import Path

import pytest

from chatkit.exceptions import InputError
from chatkit.ledger.place import Place, make, on_network, place, set_aside

MOUNTS = [
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
    "30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2",
    "31 30 0:41 / /home/ada/local rw - tmpfs tmpfs rw",
    "32 22 0:42 / /mnt/my\\040share rw shared:3 master:1 - fuse.sshfs me@host: rw",
    "33 22 0:43 / /stacked rw - ext4 /dev/sdb1 rw",
    "34 33 0:44 / /stacked rw - lustre mgs:/fs rw",
    "nonsense",
]


@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("/var/lib/usage.sqlite", False),
        ("/home/ada/.local/share/usage.sqlite", True),
        ("/home/ada/local/usage.sqlite", False),
        ("/homestead/usage.sqlite", False),
        ("/mnt/my share/usage.sqlite", True),
        ("/stacked/usage.sqlite", True),
    ],
)
def test_the_nearest_mount_above_decides(file: str, network: bool) -> None:
    assert on_network(Path(file), MOUNTS) is network


def test_a_system_without_a_table_of_mounts_has_local_disks() -> None:
    assert on_network(Path("/x"), []) is False


def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHATKIT_DB", str(tmp_path / "environment.sqlite"))
    assert place().file == tmp_path / "environment.sqlite"
    assert place(tmp_path / "argument.sqlite").file == tmp_path / "argument.sqlite"


def test_without_a_word_it_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHATKIT_DB")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = place().file
    assert file is not None
    assert file.parts[-2:] == ("chatkit", "usage.sqlite")


def test_urls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert place(f"sqlite:///{tmp_path}/usage.db").file == tmp_path / "usage.db"
    assert place("postgresql+psycopg://ada:pw@db/x") == Place("postgresql+psycopg://ada:pw@db/x")
    monkeypatch.setenv("CHATKIT_DB", "postgresql://ada:pw@db:5432/x?sslmode=require")
    assert str(place()) == "db:5432/x"


@pytest.mark.parametrize("nowhere", ["sqlite://", ":memory:", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(nowhere: str) -> None:
    with pytest.raises(InputError, match="a file or a server"):
        place(nowhere)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "folder" / "usage.sqlite"
    make(file)
    make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_another_process_has_put_in_place_is_not_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "usage.sqlite"
    file.write_text("good")
    set_aside(file, file.stat().st_ino + 1, "is bad")
    assert file.read_text() == "good"
