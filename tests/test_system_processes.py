"""A process that decodes limits itself; the loop starts processes and takes no signal; children are ended whole."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from local_server import needs_weights

from chatkit.client import turn
from chatkit.local import whisper
from chatkit.system import processes

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


# --- a loop, and children


class StartsNothing(asyncio.selector_events.BaseSelectorEventLoop):
    """What a policy for another library gives: Windows' selector loop can start no process."""


class TakesTheWakeUp(asyncio.SelectorEventLoop):
    """Windows' own loop, which takes the wake-up of signals where it is made on the main thread."""

    def __init__(self) -> None:
        super().__init__()
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._csock.fileno())


@pytest.fixture
def policy(monkeypatch):
    """Sets what `asyncio.new_event_loop()` gives; chatkit's loop is begun anew."""
    before = asyncio.get_event_loop_policy()
    monkeypatch.setattr(turn, "_serving", None)

    def give(loop: type[asyncio.AbstractEventLoop]) -> None:
        new = asyncio.DefaultEventLoopPolicy()
        new._loop_factory = loop
        asyncio.set_event_loop_policy(new)

    yield give
    asyncio.set_event_loop_policy(before)
    if turn._serving:
        turn._serving.end()


async def started() -> bytes:
    child = await processes.spawn([sys.executable, "-c", "print('here')"], stdout=asyncio.subprocess.PIPE)
    return (await child.communicate())[0].strip()


def test_the_loop_starts_processes_though_a_policy_gives_one_that_does_not(policy):
    policy(StartsNothing)
    with contextlib.closing(asyncio.new_event_loop()) as loop, pytest.raises(NotImplementedError):
        loop.run_until_complete(started())
    assert asyncio.run_coroutine_threadsafe(started(), turn.get_loop()).result(30) == b"here"


def test_on_windows_the_loop_is_its_own_which_has_more_than_512_sockets(policy, monkeypatch):
    policy(StartsNothing)
    monkeypatch.setattr(processes.sys, "platform", "win32")
    monkeypatch.setattr(asyncio, "ProactorEventLoop", TakesTheWakeUp, raising=False)
    assert type(turn.get_loop()) is TakesTheWakeUp


def test_a_policys_loop_that_starts_processes_is_taken(policy):
    policy(TakesTheWakeUp)
    assert type(turn.get_loop()) is TakesTheWakeUp


def test_signals_wake_whom_they_woke_before_the_loop_was_made(policy):
    policy(TakesTheWakeUp)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        before = signal.set_wakeup_fd(ours.fileno())
        try:
            turn.get_loop()
            assert signal.set_wakeup_fd(before) == ours.fileno()
        finally:
            signal.set_wakeup_fd(before)


def test_a_loop_that_cannot_be_made_is_told_to_who_asked_for_it(policy, monkeypatch):
    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(turn, "new_loop", fail)
    with pytest.raises(OSError, match="Too many open files"):
        turn.get_loop()


def test_a_child_is_ended_when_its_own_child_is_gone_too(tmp_path):
    """As the python.exe of Windows' virtual environments: what was started is a launcher of what has files open."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    launcher = """
import os, sys
gone, launcher = os.pipe()
if os.fork():
    os.close(gone)
    print("both are here", flush=True)
    os.wait()
else:
    os.close(launcher)
    os.read(gone, 1)  # until the launcher has ended
    open(sys.argv[1], "w").close()
"""

    async def run() -> None:
        last = tmp_path / "last act"
        child = await processes.spawn([sys.executable, "-c", launcher, str(last)], stdout=asyncio.subprocess.PIPE)
        await child.stdout.readline()
        assert not last.exists()
        await processes.end(child)
        assert last.exists()

    asyncio.run(run())


def test_no_child_opens_a_window_and_each_can_be_told_otherwise(monkeypatch):
    assert processes._unseen() == {} or sys.platform == "win32"
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    assert processes._unseen() == {"creationflags": 0x08000000}


def test_a_childs_environment_is_without_what_it_needs_not(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert "OPENAI_API_KEY" not in processes.environment({}, without=("OPENAI_",))
    given = processes.environment({"KMP_DUPLICATE_LIB_OK": "TRUE"})
    assert (given["KMP_DUPLICATE_LIB_OK"], given["OPENAI_API_KEY"]) == ("TRUE", "sk-x")
    assert "KMP_DUPLICATE_LIB_OK" not in os.environ


# --- what is loaded before a thread reads stdin

LOADED = """
import importlib.machinery, json, os, sys, threading

def native():
    ends = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    known = {str(getattr(m, "__file__", None) or "") for m in list(sys.modules.values())}
    with open("/proc/self/maps") as maps:
        return {f for f in known if f.endswith(ends)} | {l.split()[-1] for l in maps if ".so" in l.split()[-1]}
"""
HEARS = (
    LOADED
    + """
from chatkit.local import recogniser
start, seen = threading.Thread.start, []
def noting(self):
    if self._target is recogniser._read:
        seen.append(native())
    start(self)
threading.Thread.start = noting
write = recogniser._write
def ready(out, line):
    write(out, {"late": sorted(native() - seen[0])})
    os._exit(0)
recogniser._write = ready
recogniser.main(sys.argv[1], 1)
"""
)
ANSWERS = (
    LOADED
    + """
from chatkit.local import __main__ as command, parent
seen, watch, line = [], parent.watch, command._line
def watching(end):
    seen.append(native())
    watch(end)
parent.watch = watching
def ready(out, said):
    if "base_url" in said:
        line(out, {"late": sorted(native() - seen[0])})
        os._exit(0)
command._line = ready
sys.exit(command.main(["--with-parent", "--slots", "1", "--window", "512"]))
"""
)


@linux
@pytest.mark.parametrize("code", [HEARS, ANSWERS], ids=["the one that hears", "the one that answers"])
def test_no_native_library_is_loaded_after_a_thread_reads_stdin(code):
    needs_weights()
    command = [sys.executable, "-c", code, *([str(whisper.locate())] if code is HEARS else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:
        child.stdin.write("chatkit-local-k\n")
        child.stdin.flush()
        said = json.loads(child.stdout.readline())
        child.stdin.close()
        assert child.wait(60) == 0
    assert said == {"late": []}
