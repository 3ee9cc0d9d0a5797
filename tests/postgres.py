"""A PostgreSQL of the tests' own: a cluster in a temporary folder, run by an ordinary user, on loopback only.

with cluster() as server:
    store = UsageStore(server.url())
    server.stop(); server.start()
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

PATIENCE = 60


def bin_folder() -> Path | None:
    """Where PostgreSQL's programs are: on the PATH, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


needed = pytest.mark.skipif(bin_folder() is None, reason="PostgreSQL is not installed (Debian: apt install postgresql)")


class Cluster:
    """A server that can be stopped, started and frozen."""

    def __init__(self, folder: Path, programs: Path, connections: int) -> None:
        self.folder = folder
        self._programs = programs
        self._as = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []  # root may not run a server
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._as:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-D", str(folder / "data"), "-U", "teacher", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = {
            "listen_addresses": "'127.0.0.1'", "port": self.port, "unix_socket_directories": f"'{folder}'",
            "max_connections": connections, "fsync": "off", "log_min_messages": "fatal",
        }  # fmt: skip
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with open(folder / "data" / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(text)
        self.start()

    def url(self, user: str = "teacher", database: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """At once, as by a pulled plug."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def sql(self, statement: str, user: str = "teacher", database: str = "postgres", **values: Any) -> list[Any]:
        where = {"host": "127.0.0.1", "port": self.port, "user": user, "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else []

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A new, empty database; gives its name."""
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), *arguments]
        with open(self.folder / "said", "w+", encoding="utf-8") as said:  # a pipe would be held open by the server
            done = subprocess.run(command, cwd=self.folder, stdout=said, stderr=said, timeout=PATIENCE, check=False)
            said.seek(0)
            assert done.returncode == 0, said.read()


@contextmanager
def cluster(connections: int = 40) -> Iterator[Cluster]:
    """A server while inside."""
    programs = bin_folder()
    assert programs is not None
    with tempfile.TemporaryDirectory(prefix="chatkit-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Cluster(Path(folder), programs, connections)
        try:
            yield server
        finally:
            server.stop()
