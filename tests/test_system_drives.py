"""Where a file lies: no disk that several machines share has a log of SQLite's on it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from chatkit.system import drives
from chatkit.system.drives import is_remote, on_network

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


@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("/Users/ada/usage.sqlite", False),
        ("/Volumes/Class of 26/usage.sqlite", True),
        ("/Volumes/Stick/usage.sqlite", False),
        ("/Volumes/a (b) on c/usage.sqlite", True),
        ("/Volumes/home/usage.sqlite", True),
        ("/Volumes/old/usage.sqlite", True),
    ],
)
def test_macos_names_its_file_systems_in_another_way(file: str, network: bool) -> None:
    mounts = [
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)",
        "//ada@school/Class on /Volumes/Class of 26 (smbfs, nodev, nosuid, mounted by ada)",
        "/dev/disk4s1 on /Volumes/Stick (exfat, local, nodev, nosuid, noowners)",
        "school:/x on /Volumes/a (b) on c (nfs)",
        "ada@host: on /Volumes/home (macfuse, nodev)",
        "afp_0 on /Volumes/old (afpfs, nodev)",
        "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)",
        "nonsense",
    ]
    assert on_network(Path(file), mounts) is network


def test_macos_is_asked_for_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run(command: object, **_: object) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(stdout="//s/Übung on /Volumes/Übung (smbfs)\n".encode())

    monkeypatch.setattr(drives, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(drives.subprocess, "run", run)
    assert on_network(Path("/Volumes/Übung/usage.sqlite"))
    assert not on_network(Path("/Users/ada/usage.sqlite"))
    assert asked[0] == ("/sbin/mount",)


def test_a_list_that_cannot_be_had_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drives, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(drives, "MOUNT", ("/nowhere/mount",))
    assert not on_network(Path("/Volumes/x/usage.sqlite"))


@pytest.mark.parametrize(
    ("path", "network"),
    [
        (r"C:\Users\ada\usage.sqlite", False),
        (r"H:\usage.sqlite", True),
        ("h:/usage.sqlite", True),
        (r"\\school\class\usage.sqlite", True),
        ("//school/class/usage.sqlite", True),
        (r"\\?\UNC\school\class\usage.sqlite", True),
        (r"\\?\H:\usage.sqlite", True),
        (r"\\?\C:\usage.sqlite", False),
        (r"\\wsl.localhost\Ubuntu\home\usage.sqlite", True),
        (r"E:\usage.sqlite", False),
    ],
)
def test_windows_tells_by_two_backslashes_or_by_the_drive(
    path: str, network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"C:\\": 3, "E:\\": 2, "H:\\": 4}
    monkeypatch.setattr(drives, "_drive_type", lambda root: kinds[root.upper()])
    assert is_remote(path) is network


def test_on_windows_the_drive_is_asked_and_no_list_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drives, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(drives, "is_remote", lambda path: path.startswith("/h"))
    assert on_network(Path("/h/usage.sqlite"))
    assert not on_network(Path("/c/usage.sqlite"))
