"""The local server's process: what it says, what it keeps to itself, and that it ends with the one that started it."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from local_server import DEADLINE, KEY, LocalServer, chat, has_weights, needs_weights

from chatkit.local import __main__ as command
from chatkit.local import front, machine, options, weights

SMALL = ("--slots", "1", "--window", "512")
POSIX = os.name == "posix"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def server():
    needs_weights()
    server = LocalServer(*SMALL)
    yield server
    if server.process.poll() is None:
        server.close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatkit.local", *arguments],
        text=True,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


def ends(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(DEADLINE)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def is_closed(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_the_ready_line_says_where_what_and_how_much(server):
    assert server.ready == {
        "base_url": f"http://127.0.0.1:{server.port}/v1",
        "model": "SmolLM2-135M-Instruct",
        "window": 512,
    }


def test_stdout_holds_the_ready_line_and_nothing_else(server):
    server.ask("/v1/chat/completions", chat())
    server.ask(
        "/v1/chat/completions",
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "x"}}}),
    )
    server.process.stdin.close()
    out, err = server.process.stdout.read(), server.process.stderr.read()
    assert server.process.wait(10) == 0
    assert out == ""
    assert err == ""


@linux
def test_the_key_is_in_no_argument_no_environment_and_no_file_of_the_process(server):
    process = psutil.Process(server.process.pid)
    proc = Path(f"/proc/{process.pid}")
    assert KEY not in " ".join(process.cmdline())
    assert KEY.encode() not in (proc / "environ").read_bytes()
    assert process.children() == []
    for opened in process.open_files():
        if opened.path.startswith(("/tmp", str(Path.home()))) and Path(opened.path).stat().st_size < 10**6:
            assert KEY.encode() not in Path(opened.path).read_bytes()


def test_it_ends_when_the_pipe_closes_even_in_mid_stream(server):
    stream = server.open_stream()
    assert server.close() == 0
    assert is_closed(server.port)
    stream.close()


PARENT = """
import json, os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-m", "chatkit.local", "--with-parent", "--slots", "1", "--window", "512"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
child.stdin.write("chatkit-local-k\\n")
child.stdin.flush()
ready = json.loads(child.stdout.readline())
if sys.argv[1] == "fork" and (fork := os.fork()) == 0:
    import time
    time.sleep(600)  # a forked child of a kernel holds the pipe open
    os._exit(0)
print(json.dumps({"server": child.pid, "fork": sys.argv[1] == "fork" and fork, **ready}), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["plain", pytest.param("fork", marks=pytest.mark.skipif(not POSIX, reason="no fork"))])
def test_killing_the_parent_outright_ends_the_server_too(how):
    needs_weights()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PARENT, how], text=True, **pipes) as parent:
        said = json.loads(parent.stdout.readline())
        parent.kill()
        parent.wait(10)
        try:
            assert ends(said["server"])
            assert is_closed(int(said["base_url"].split(":")[2].split("/")[0]))
        finally:
            if said["fork"]:
                os.kill(said["fork"], signal.SIGKILL)


@pytest.mark.skipif(not POSIX, reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_mid_stream(server, number):
    stream = server.open_stream()
    server.process.send_signal(number)
    assert server.process.wait(10) in (0, -number)
    assert is_closed(server.port)
    stream.close()


def test_two_servers_stand_side_by_side_each_with_its_own_key(server):
    other = LocalServer(*SMALL, key="chatkit-local-another")
    assert other.port != server.port
    bearer = {"authorization": "Bearer chatkit-local-another"}
    assert (other.ask("/v1/models").status, server.ask("/v1/models", **bearer).status) == (200, 401)
    other.close()


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--host", "0.0.0.0"], "lets other machines reach this server"),
        (["--model", "/nowhere/x.gguf"], "no model file 'x.gguf'"),
        (["--model", __file__], "is not a whole GGUF file"),
        (["--slots", "0"], "--slots is 0"),
        (["--window", "7"], "--window is 7"),
        (["--host", "203.0.113.1", "--i-know"], "cannot listen on 203.0.113.1"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_sentence(arguments, cause):
    if "--i-know" in arguments:
        needs_weights()
    child = LocalServer(*arguments)
    assert child.process.wait(DEADLINE) == 1
    error = child.ready["error"]
    assert child.process.stderr.read() == ""
    child.close()
    assert set(error) == {"cause", "way_out"}
    assert cause in error["cause"]
    assert error["way_out"]
    person = run(*arguments)
    assert (person.returncode, cause in person.stderr, person.stdout) == (1, True, "")
    assert "Traceback" not in person.stderr


def test_a_taken_port_is_told_in_a_sentence():
    needs_weights()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("--port", str(port))
    assert told.returncode == 1
    assert f"Port {port} is taken" in told.stderr


def test_half_a_model_file_is_told_in_a_sentence(tmp_path):
    needs_weights()
    half = tmp_path / "half.gguf"
    with weights.locate().open("rb") as whole:
        half.write_bytes(whole.read(30_000_000))
    child = LocalServer("--model", str(half), *SMALL)
    assert "half.gguf" in child.ready["error"]["cause"]
    assert str(tmp_path) not in json.dumps(child.ready) + child.process.stderr.read()
    assert child.close() == 1


def test_a_long_folder_for_temporary_files_is_no_damaged_model(tmp_path, monkeypatch):
    """A socket's path has some hundred bytes; clusters and test runners have such folders."""
    needs_weights()
    folder = tmp_path / ("ä" * 60) / ("n" * 60)
    folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    server = LocalServer("--slots", "1", "--window", "256")
    assert "base_url" in server.ready, server.ready
    assert server.ask("/v1/chat/completions", chat(max_tokens=1)).status == 200
    server.close()


def test_too_little_memory_is_told_before_loading(monkeypatch, tmp_path):
    model = tmp_path / "big.gguf"
    model.write_bytes(b"x" * 1000)
    values = {
        "general.architecture": "a", "a.block_count": 30, "a.embedding_length": 576, "a.attention.head_count": 9,
        "a.attention.head_count_kv": 3,
    }  # fmt: skip
    assert machine.needed(model, values, 8192, 4) == 1000 + 30 * 192 * 4 * 8192 * 4 + machine.BESIDES
    monkeypatch.setattr(machine, "available", lambda: 500_000_000)
    with pytest.raises(Exception, match=r"big with 4 slots of 8192 tokens needs about 0\.9 GB .* 0\.5 GB are free"):
        machine.check(model, values, 8192, 4)
    machine.check(model, values, 2048, 1)


def test_a_container_share_of_processors_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert (machine.processors(), machine.threads(shared=True), machine.threads(shared=False)) == (1, 1, 1)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.processors() >= 1


def test_one_processor_is_left_to_the_notebook(monkeypatch):
    monkeypatch.setattr(machine, "processors", lambda: 4)
    assert (machine.threads(shared=True), machine.threads(shared=False)) == (3, 4)
    monkeypatch.setattr(machine, "processors", lambda: 64)
    assert machine.threads(shared=True) == 8


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    for name, text in (
        ("memory.max", "1000000\n"),
        ("memory.current", "700000\n"),
        ("memory.stat", "anon 5\ninactive_file 100000\n"),
    ):
        (tmp_path / name).write_text(text)
    assert machine.available() == 400_000


def test_a_person_gets_the_address_the_key_and_a_line_to_paste(monkeypatch):
    needs_weights()
    monkeypatch.setenv("CHATKIT_LOCAL_KEY", "chatkit-local-mine")
    with subprocess.Popen(
        [sys.executable, "-m", "chatkit.local", "--port", "0", *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = ""
        while "-d '" not in said:
            said += process.stdout.readline()
        assert "OPENAI_API_KEY=chatkit-local-mine" in said
        assert "curl http://127.0.0.1:" in said
        url = said.split("OPENAI_BASE_URL=")[1].split()[0]
        if POSIX:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) in (0, -signal.SIGINT)
            assert process.stderr.read() == ""
        else:
            process.terminate()
    assert url.endswith("/v1")


@pytest.mark.parametrize("given", ["monday", "sk-proj-abcdefgh", "chatkit-local-", "chatkit-local-ü"])
def test_a_key_that_nobody_would_know_for_a_local_servers_is_refused_without_being_shown(monkeypatch, given):
    monkeypatch.setenv("CHATKIT_LOCAL_KEY", given)
    ran = run(*SMALL)
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "CHATKIT_LOCAL_KEY is no key of a chatkit local server: those begin with chatkit-local-,"
    )
    assert given == "chatkit-local-" or given not in ran.stderr + ran.stdout


def test_the_help_says_how_many_may_wait_and_how_a_key_stays_the_same():
    said = " ".join(run("--help").stdout.split()) + " ".join(options.ABOUT_SERVE.split())
    assert "answers that may wait; default: 256" in said
    assert "CHATKIT_LOCAL_KEY in the environment names one that stays the same (chatkit-local-…)" in said


@pytest.mark.parametrize("each", [1, 6])
def test_a_class_of_forty_that_asks_at_the_same_moment_waits_and_is_not_sent_away(each):
    line = front.WaitingLine(command.SLOTS + options.QUEUE, "answers to write")
    with ExitStack() as class_room:
        for _ in range(40):
            class_room.enter_context(line.place(each))
        assert line.taken == 40 * each
    assert line.taken == 0


def test_fetch_says_that_the_weights_are_there(capsys):
    needs_weights()
    assert command.fetch() == 0
    assert "SmolLM2-135M-Instruct.Q4_1.gguf is there (98 MB), checked." in capsys.readouterr().out


def test_the_weights_are_there_where_nothing_may_be_skipped():
    if os.environ.get("CHATKIT_NO_SKIPS"):
        assert has_weights()
