"""Nothing is told to others: the main jobs, in a home that nobody has used, seen from outside the process.

The guard of the other tests hears Python's sockets; a library of C++ opens its own. So the system's calls are read
(strace), of every child, and the files are looked at that lie there afterwards.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_server import AUDIO, clip, form, needs_weights

from chatkit.local import parent, weights, whisper

posix = pytest.mark.skipif(os.name != "posix", reason="a home is set otherwise there")
KEY = "chatkit-local-a-key-of-this-test"
JOBS = """
import http.client, json, os, re, subprocess, sys
import chatkit

clip, form, kind, whisper, key = sys.argv[1:]
chat = chatkit.Chat("Answer in one sentence.", temperature=0, max_tokens=12)
assert chat.send("Name a city in Brazil.").text
panel = chatkit.ChatPanel(chat)
panel.simulate({"type": "hello", "view": "v"})
panel.simulate({"type": "ask", "id": "1", "view": "v", "text": "And another?"})
assert chat.run.wait().text
assert chatkit.transcribe(clip, progress=False).text
assert chatkit.AudioUploader() and chatkit.UsageMeter()
for ending in ("md", "html", "json"):
    chat.export("talk." + ending)
chatkit.usage().plot().savefig("usage.png")
chatkit.usage().to_csv("usage.csv")

def ask(host, path, body, kind):
    line = http.client.HTTPConnection(host)
    line.request("POST", "/v1/" + path, body, {"authorization": "Bearer " + key, "content-type": kind})
    answer = line.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())

serve = subprocess.Popen(
    [sys.executable, "-m", "chatkit", "serve", "--port", "0", "--slots", "1", "--window", "512"],
    stdout=subprocess.PIPE, text=True, env=os.environ | {"CHATKIT_LOCAL_KEY": key},
)
host = next(found[1] for line in serve.stdout if (found := re.search("http://([0-9.]+:[0-9]+)/v1", line)))
question = json.dumps({"model": "any", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]})
ask(host, "chat/completions", question, "application/json")
with open(form, "rb") as file:
    assert ask(host, "audio/transcriptions", file.read(), kind)["text"]
serve.terminate()
serve.wait(20)

by_hand = subprocess.Popen(
    [sys.executable, "-m", "chatkit.local.recogniser", whisper, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
assert b"ready" in by_hand.stdout.readline()
by_hand.stdin.close()
by_hand.wait(20)
print("all jobs done")
"""
OURS = (".local/share/chatkit/", ".cache/chatkit/", ".config/chatkit/", ".local/state/chatkit/", "jobs/")
"""chatkit's own folders, and the folder in which the jobs ran."""
OTHERS = {
    ".cache/matplotlib/": "the list of fonts, which matplotlib makes once",
    ".config/matplotlib/": "the folder for its settings, which it makes empty",
}
VARIABLES = ("OPENAI_", "AZURE_", "CHATKIT_", "XDG_", "ORT_", "HF_", "MPL", "IPYTHON", "JUPYTER_", "PYTHON")
SILENCERS = (*parent.VARIABLES, "CI", "GITHUB_ACTIONS", "TF_BUILD", "DO_NOT_TRACK", "TMPDIR")
"""Where one of these is set, onnxruntime and others keep silent by themselves."""
NAMES = 53
"""The port at which names are looked up; a resolver may listen on loopback itself."""
RESOLVERS = ("/run/systemd/resolve/", "nscd/socket")


@dataclass(frozen=True)
class Seen:
    """What was there afterwards, and the system's calls where they could be read."""

    home: Path
    temp: Path
    calls: list[str] | None

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    needs_weights()
    folder = tmp_path_factory.mktemp("fresh")
    home, temp, log = folder / "home", folder / "temp", folder / "calls"
    (home / "jobs").mkdir(parents=True)
    temp.mkdir()
    body, kind = form({"model": "whisper-1"}, clip("english.flac"))
    (folder / "form").write_bytes(body)
    found, hearing = weights.locate(), whisper.locate()
    assert found
    environment = {k: v for k, v in os.environ.items() if not k.startswith(VARIABLES) and k not in SILENCERS}
    environment |= {"HOME": str(home), "TMPDIR": str(temp), "CHATKIT_MODELS": str(found.parent)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    traced = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "64", "-o", str(log), "-e",
              "trace=connect,sendto,sendmsg,sendmmsg,openat,open,creat"] if can_trace() else []  # fmt: skip
    given = [str(AUDIO / "english.flac"), str(folder / "form"), kind, str(hearing), KEY]
    command = [*traced, sys.executable, "-c", JOBS, *given]
    ran = subprocess.run(
        command, cwd=home / "jobs", env=environment, capture_output=True, text=True, timeout=540, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["all jobs done"]), ran.stderr[-3000:]
    return Seen(home, temp, log.read_text(errors="replace").splitlines() if traced else None)


def can_trace() -> bool:
    """Whether the system's calls can be read here."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], check=False).returncode == 0


@posix
def test_a_new_home_holds_chatkits_own_files_afterwards_and_what_is_known_of_others(seen: Seen):
    assert [name for name in seen.files if not name.startswith((*OURS, *OTHERS))] == []
    assert "jobs/usage.png" in seen.files
    assert any(name.endswith("usage.sqlite") for name in seen.files)
    assert [path.name for path in seen.temp.iterdir()] == []


@posix
def test_no_socket_leads_beyond_this_machine_and_no_name_is_looked_up(seen: Seen):
    if seen.calls is None:
        pytest.skip("the system's calls cannot be read here: strace is missing, or not allowed")
    assert sum("sin_addr=inet_addr" in line for line in seen.calls) > 0  # the jobs' own calls were read
    assert [line for line in seen.calls if leads_away(line)] == []


@posix
def test_no_file_is_written_but_in_this_home_and_in_the_folder_for_what_passes(seen: Seen):
    if seen.calls is None:
        pytest.skip("the system's calls cannot be read here: strace is missing, or not allowed")
    written = {path for line in seen.calls for path in opened_to_write(line)}
    assert written
    allowed = (str(seen.home), str(seen.temp), "/dev/", "/proc/self/")
    assert {path for path in written if path.startswith("/") and not path.startswith(allowed)} == set()


def leads_away(call: str) -> bool:
    """Whether a call of the system's reaches for another machine, or for a name."""
    if not re.match(r"(\d+ +)?(connect|sendto|sendmsg|sendmmsg)\(", call):
        return False
    if any(place in call for place in RESOLVERS):
        return True
    if "sa_family=AF_INET" not in call:
        return False
    hosts = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', call)
    ports = re.findall(r"htons\((\d+)\)", call)
    local = all((v4 or v6).startswith(("127.", "::ffff:127.")) or v6 == "::1" for v4, v6 in hosts)
    return not hosts or not local or str(NAMES) in ports


def opened_to_write(call: str) -> list[str]:
    """The file that a call opens to write into."""
    found = re.match(r'(?:\d+ +)?(?:openat\([^,]+, |open\(|creat\()"([^"]+)"', call)
    return [found[1]] if found and re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(", call) and "= -1" not in call else []


@pytest.mark.parametrize(
    ("call", "away"),
    [
        ('7 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("1.2.3.4")}, 16) = 0', True),
        ('7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0', True),
        ('connect(3, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}', True),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0', True),
        ('7 sendto(3, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("8.8.8.8")}, 16) = 1', True),
        ('7 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0', False),
        ('7 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr)}', False),
        ('7 connect(3, {sa_family=AF_UNIX, sun_path="/tmp/chatkit-1/engine.sock"}, 110) = 0', False),
        ('7 sendto(3, "GET 8.8.8.8", 9, 0, NULL, 0) = 9', False),
    ],
)
def test_a_call_that_leads_away_is_known(call: str, away: bool):
    assert leads_away(call) == away
