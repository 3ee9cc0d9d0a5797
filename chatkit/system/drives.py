"""The system's room: which files lie on a network drive, where processes cannot share memory and SQLite has no log.

In: a path. Out: whether other machines may write there too; False where the system does not say.
"""

import ctypes
import ntpath
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

NETWORK = frozenset(
    [
        "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "openafs", "afpfs", "lustre",
        "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs", "ocfs2", "9p", "drvfs", "davfs", "davfs2",
        "webdav", "ftp", "acfs", "macfuse", "osxfuse", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs",
        "fuse.rclone", "fuse.gcsfuse",
    ]
)  # fmt: skip
"""File systems on which several machines may write, by what Linux and macOS call them."""
MOUNTS = Path("/proc/self/mountinfo")
MOUNT = ("/sbin/mount",)
"""What lists them on macOS."""
REMOTE = 4
"""What Windows calls a network drive (DRIVE_REMOTE)."""
PATIENCE = 2.0


def on_network(file: Path, mounts: Iterable[str] | None = None) -> bool:
    """Whether the file lies on a network drive; `mounts` are lines of Linux' or macOS' list.

    >>> on_network(Path("/home/ada/u.db"), ["36 35 0:31 / / rw - ext4 /dev/sda1 rw", "40 36 0:50 / /home rw - nfs4 srv:/ rw"])
    True
    >>> on_network(Path("/Volumes/Class/u.db"), ["//ada@srv/Class on /Volumes/Class (smbfs, nodev, nosuid)"])
    True
    """
    file = Path(os.path.realpath(file))  # which no circle of links stops
    if sys.platform == "win32" and mounts is None:
        return is_remote(str(file))
    found = (_mount(line) for line in (mounts if mounts is not None else _mounts()))
    above = [mount for mount in found if mount and file.is_relative_to(mount[0])]
    return bool(above) and max(reversed(above), key=lambda mount: len(mount[0].parts))[1] in NETWORK


def is_remote(path: str) -> bool:
    """Whether a path of Windows leads to another machine: by its two backslashes, else by its drive's letter."""
    plain = path.replace("/", "\\")
    for prefix in ("\\\\?\\UNC\\", "\\\\.\\UNC\\"):
        if plain.upper().startswith(prefix):
            return True
    drive = ntpath.splitdrive(plain.removeprefix("\\\\?\\").removeprefix("\\\\.\\"))[0]
    return drive.startswith("\\\\") or (bool(drive) and _drive_type(f"{drive}\\") == REMOTE)


def _drive_type(root: str) -> int:
    libraries = getattr(ctypes, "windll", None)
    return int(libraries.kernel32.GetDriveTypeW(root)) if libraries else 0


def _mounts() -> Iterator[str]:
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            yield from (
                subprocess.run(MOUNT, capture_output=True, timeout=PATIENCE)
                .stdout.decode(errors="surrogateescape")
                .splitlines()
            )
        else:
            yield from MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _mount(line: str) -> tuple[Path, str] | None:
    """Where something is mounted, and the kind of its file system, of a line of either list."""
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if dash and len(fields) >= 5:
        point = fields[4]
        for written, meant in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
            point = point.replace(written, meant)
        return Path(point), after.split(" ")[0]
    where, bracket, options = line.rpartition(" (")
    _, on, point = where.partition(" on ")
    return (Path(point), options.rstrip(")").split(",")[0]) if bracket and on else None
