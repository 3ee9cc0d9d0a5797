"""Free memory by each system's own words, and how many files a process may have open."""

import ctypes
import subprocess
import sys

import pytest

from chatkit.local import __main__ as command
from chatkit.local import listen
from chatkit.system import memory

posix = pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limit")
MEMINFO = """MemTotal:        8039964 kB
MemFree:          214120 kB
MemAvailable:    4012344 kB
Buffers:           99120 kB
"""
VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               13254.
Pages active:                            221903.
Pages inactive:                          219804.
Pages speculative:                         1371.
Pages throttled:                              0.
Pages wired down:                        102345.
Pages purgeable:                           3012.
"Translation faults":                 512345678.
"""


@pytest.fixture
def no_container(monkeypatch, tmp_path):
    return tmp_path


@pytest.mark.parametrize(
    ("text", "free"),
    [(MEMINFO, 4012344 * 1024), ("MemTotal: 8039964 kB\nMemFree: 214120 kB\n", None), ("", None)],
)
def test_linux_tells_what_it_has_to_give(text, free):
    assert memory.of_meminfo(text) == free


@pytest.mark.parametrize(
    ("text", "free"),
    [(VM_STAT, (13254 + 219804 + 1371) * 16384), (VM_STAT.replace("16384", "4096"), (13254 + 219804 + 1371) * 4096),
     ("vm_stat: unknown host", None), ("", None)],
)  # fmt: skip
def test_macos_tells_it_in_pages(text, free):
    assert memory.of_vm_stat(text) == free


def test_on_macos_its_own_program_is_asked(monkeypatch, no_container):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory, "_said_by", {"/usr/bin/vm_stat": VM_STAT}.__getitem__)
    assert memory.free(no_container) == 234429 * 16384


def test_a_program_that_is_not_there_or_hangs_tells_nothing(monkeypatch):
    assert memory._said_by("/nowhere/vm_stat") == ""

    def hang(*_: object, **how: float) -> None:
        raise subprocess.TimeoutExpired("vm_stat", how["timeout"])

    monkeypatch.setattr(memory.subprocess, "run", hang)
    assert memory._said_by("/usr/bin/vm_stat") == ""


@pytest.mark.parametrize(
    ("free", "to_commit", "told"),
    [(3 * 2**30, 9 * 2**30, 3 * 2**30), (3 * 2**30, 2**30, 2**30)],
)
def test_windows_fills_in_a_form(monkeypatch, no_container, free, to_commit, told):
    class Kernel32:
        @staticmethod
        def GlobalMemoryStatusEx(pointer) -> int:  # Windows' name
            status = pointer._obj
            assert status.length == 64
            status.free, status.free_to_commit = free, to_commit
            return 1

    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", type("Windll", (), {"kernel32": Kernel32}), raising=False)
    assert memory.free(no_container) == told


def test_a_windows_that_tells_nothing_is_unknown_and_not_full(monkeypatch, no_container):
    refusing = type("Kernel32", (), {"GlobalMemoryStatusEx": staticmethod(lambda pointer: 0)})
    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", type("Windll", (), {"kernel32": refusing}), raising=False)
    assert memory.free(no_container) is None


def test_a_containers_limit_counts_beside_the_machines(monkeypatch, tmp_path):
    for name, text in (
        ("memory.max", "1000000\n"), ("memory.current", "700000\n"), ("memory.stat", "anon 5\ninactive_file 100000\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_machine", lambda: 10**9)
    assert memory.free(tmp_path) == 400_000
    monkeypatch.setattr(memory, "_machine", lambda: 300_000)
    assert memory.free(tmp_path) == 300_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free(tmp_path) == 300_000


OPEN = """
import resource
from chatkit.system import memory
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(memory.open_files(512), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@posix
@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        (256, 1024, "512 512"),
        (256, 512, "512 512"),
        (256, 256, "256 256"),
        (128, 300, "300 300"),
        (900, 1024, "900 900"),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes_and_never_lowered(soft, hard, said):
    code = OPEN.format(soft=soft, hard=hard)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == said


@posix
def test_a_system_that_refuses_keeps_what_it_has(monkeypatch):
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(memory.resource, "getrlimit", lambda kind: (256, memory.resource.RLIM_INFINITY))
    monkeypatch.setattr(memory.resource, "setrlimit", refuse)
    assert memory.open_files(512) == 256


def test_where_there_is_no_limit_none_is_told(monkeypatch):
    monkeypatch.setattr(memory, "resource", None)
    assert memory.open_files(512) is None


def test_a_server_that_may_have_few_files_open_says_for_how_many_connections_they_do():
    said = command._few_files(256, listen.OPEN_FILES, listen.MOST_CONNECTIONS)
    assert (listen.OPEN_FILES, listen.MOST_CONNECTIONS) == (1152, 512)
    assert "have 256 files open at once, and 512 connections need 1152: beyond about 113 some" in said
    assert said.endswith("ulimit -n 1152.")
