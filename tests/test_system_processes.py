"""A process that decodes limits itself: what it may open, its memory, its processor time."""

import signal
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limits")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system has no such limits")


def run_limited(code: str, **options: object) -> subprocess.CompletedProcess:
    code = f"import os, socket\nfrom chatkit.system import processes\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@posix
def test_while_a_file_is_decoded_nothing_can_be_opened():
    ran = run_limited("""
for attempt in (lambda: open("/dev/null"), socket.socket, os.pipe):
    with processes.sealed():
        try:
            print(attempt())
        except OSError as error:
            print(error.errno)
    attempt()
""")
    assert (ran.stdout.split(), ran.stderr) == (["24", "24", "24"], "")


@linux
def test_memory_beyond_the_limit_is_not_given():
    ran = run_limited("""
MEMORY = 2**28
processes.lock(MEMORY)
small = bytearray(MEMORY // 2)
try:
    bytearray(MEMORY)
except MemoryError:
    print("refused")
""")
    assert (ran.stdout, ran.stderr) == ("refused\n", "")


@posix
def test_endless_work_is_ended_by_the_system():
    ran = run_limited("""
processes.allow(1.0)
while True: pass
""")
    assert ran.returncode == -signal.SIGXCPU


@posix
@pytest.mark.parametrize("kind", ["RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_DATA"])
def test_a_limit_that_is_there_already_is_kept_and_no_error(kind):
    ran = run_limited(f"""
import resource
resource.setrlimit(resource.{kind}, (0 if "CORE" in "{kind}" else 2**27,) * 2)
processes.lock(2**40, file=2**40)
processes.allow(10)
print(resource.getrlimit(resource.{kind})[1])
""")
    assert (ran.stdout.strip(), ran.stderr) == ("0" if "CORE" in kind else str(2**27), "")
