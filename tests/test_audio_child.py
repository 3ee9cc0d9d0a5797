"""The child that decodes: no file takes the kernel down, holds it up or eats its memory; it ends with its job."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading

import av
import psutil
import pytest
from faultserver import GATE
from sounds import CLIPS, RATE, Hearing, encoded, samples, silence, wav, whole

from chatkit.client.turn import get_loop
from chatkit.exceptions import ChatkitError, InputError
from chatkit.speech import costs, source
from chatkit.speech.job import start

PATIENCE = 20


def playing(monkeypatch, code):
    """Another program in the child's place."""
    monkeypatch.setattr(source, "COMMAND", (sys.executable, "-c", code))


def test_a_decoder_that_crashes_is_an_error_of_the_file_and_the_kernel_lives(monkeypatch):
    playing(monkeypatch, "import os; os.abort()")
    with pytest.raises(InputError, match=r"There is no audio in this file: the decoder broke on it \(signal 6\)"):
        costs.measure(encoded("mp3"))
    monkeypatch.undo()
    assert costs.measure(CLIPS / "english.flac") == len(samples()) / RATE


def test_a_decoder_that_never_ends_is_given_up(monkeypatch):
    playing(monkeypatch, "while True: pass")
    monkeypatch.setattr(source, "SILENCE", 0.2)
    before = children()
    with pytest.raises(InputError, match=r"got nowhere for 0.2 s, and was given up"):
        costs.measure(encoded("mp3"))
    assert children() <= before


def test_a_child_that_says_nonsense_is_no_crash(monkeypatch):
    playing(monkeypatch, "print('nonsense')")
    with pytest.raises(ChatkitError, match="by a fault that is not the file's: it said b'nonsense"):
        costs.measure(encoded("mp3"))


BROKEN = """
import sys
from chatkit.audio import child, decode, decode as opening
{fault}
child.main()
"""
OURS = {
    "TypeError: open() got an unexpected keyword argument": (
        "def broken(*a, **k): raise TypeError('open() got an unexpected keyword argument')\nopening.opened = broken"
    ),
    "ValueError: no format of that name": (
        "def broken(*a, **k): raise ValueError('no format of that name')\nopening.av.open = broken"
    ),
    "AttributeError: 'NoneType' object has no attribute 'heard'": (
        "def broken(self, frame): raise AttributeError(\"'NoneType' object has no attribute 'heard'\")\n"
        "decode.Mono.heard = broken"
    ),
    "ModuleNotFoundError: import of numpy halted; None in sys.modules": (
        "del sys.modules['chatkit.audio.decode'], sys.modules['chatkit.audio.samples']\nsys.modules['numpy'] = None"
    ),
    "exit code 1": "raise SystemExit('no word of it')",
}


@pytest.mark.parametrize("what", OURS)
def test_a_fault_of_our_own_is_told_as_such_and_never_as_a_damaged_file(monkeypatch, what):
    playing(monkeypatch, BROKEN.format(fault=OURS[what]))
    with pytest.raises(ChatkitError) as told:
        costs.measure(CLIPS / "english.flac")
    assert told.value.cause == f"The audio could not be looked through, by a fault that is not the file's: {what}."
    assert not isinstance(told.value, InputError)


def test_memory_and_time_of_the_child_are_limited_before_it_reads_the_file():
    if sys.platform != "linux":
        pytest.skip("these limits are Linux's")
    code = (
        "import resource, numpy, av\n"
        "from chatkit.audio import child\n"
        "child.limit()\n"
        "try:\n    numpy.ones(600 * 1024 * 1024, numpy.uint8)\n"
        "except MemoryError:\n    print('no memory')\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
    )

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode()

    told, limits = asyncio.run(run()).split("\n")[:2]
    seconds, core = map(int, limits.split())
    assert (told, core) == ("no memory", 0)
    assert 1800 <= seconds <= 1810


def test_the_kernel_imports_no_decoder():
    code = (
        "import sys, chatkit\n"
        "from chatkit.speech import costs\n"
        f"costs.measure({str(CLIPS / 'english.flac')!r})\n"
        "print([name for name in ('av', 'numpy', 'openai') if name in sys.modules])\n"
    )

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode()

    assert asyncio.run(run()).strip() == "[]"


def test_a_cancelled_job_ends_its_child_and_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    started, before = tmp_path / "started", children()
    playing(monkeypatch, f"import time, pathlib\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)")
    with Hearing(lambda form: whole()) as endpoint:
        job = start("transcribe", encoded("mp3"), model="whisper-1", client=endpoint.client)
        until(started.exists)
        job.cancel()
        said = job.wait(PATIENCE)
    assert (said.outcome, said.text, job.outcome) == ("cancelled", "[0:00–0:00 is missing]", "cancelled")
    until(lambda: children() <= before)
    assert [path.name for path in tmp_path.iterdir()] == ["started"]


def test_a_job_that_nobody_holds_is_cancelled():
    with Hearing(lambda form: [GATE]) as endpoint:
        job = start("transcribe", encoded("mp3"), model="whisper-1", client=endpoint.client)
        endpoint.wait_until(lambda server: len(server.log) == 1)
        del job
        endpoint.wait_until(lambda server: server.open == 0)


MEASURED = """
import json, resource, sys
import chatkit, openai, psutil
client = openai.OpenAI(api_key="sk-test", base_url=sys.argv[2])
before = psutil.Process().memory_info().rss
said = chatkit.transcribe(sys.argv[1], model="whisper-1", client=client, progress=False)
grown = psutil.Process().memory_info().rss - before
print(json.dumps([said.duration, said.text, grown, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def test_hours_in_a_small_file_are_looked_through_in_windows(tmp_path):
    """Two hours of silence, 1.4 MB of FLAC: neither the child nor the kernel holds their 230 MB of samples."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        for minute in range(120):
            frame = av.AudioFrame.from_ndarray(silence(60).reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, minute * 60 * RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path = tmp_path / "silence.flac"
    path.write_bytes(file.getvalue())
    with Hearing(lambda form: whole()) as endpoint:
        # in a process of its own, whose children are this one's only
        ran = subprocess.run([sys.executable, "-c", MEASURED, str(path), endpoint.url], capture_output=True, check=True)
    duration, text, grown, most = json.loads(ran.stdout)
    assert (duration, text, endpoint.forms) == (7200.0, "", [])
    assert grown < 64 * 1024**2
    assert most < 512 * 1024**2


FUZZ = """
import collections, random, sys, tempfile
from pathlib import Path
sys.path.insert(0, {tests!r})
from sounds import FORMS, encoded
from chatkit.audio import child
from chatkit.audio.decode import Decoded, blocks
from chatkit.audio.decode import Allowed, NoAudioError
from chatkit.audio.sniff import sniff

child.limit()
chance, ends, path = random.Random(4), collections.Counter(), Path(tempfile.mkdtemp()) / "x"
for ending in FORMS:
    for times in (1, 4, 40) * 4:
        data = bytearray(encoded(ending))
        for _ in range(times):
            data[chance.randrange(chance.choice([64, 600, len(data)]))] = chance.randrange(256)
        kind = sniff(bytes(data[:65536]))
        path.write_bytes(data)
        try:
            ends["heard" if kind and sum(map(len, blocks(path.open("rb"), Decoded(), Allowed(kind.demuxer)))) else "nothing"] += 1
        except NoAudioError:
            ends["no audio"] += 1
print(sum(ends.values()), *sorted(ends))
"""


def test_no_change_of_bytes_leads_to_any_other_end():
    """In a process of its own, since a decoder may crash it: some 200 files with changed bytes in all containers."""
    code = FUZZ.format(tests=str(CLIPS.parent))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout.split()) == (0, ["192", "heard", "no", "audio", "nothing"]), ran.stderr[-2000:]


def test_two_jobs_at_once_do_not_mix():
    with Hearing(lambda form: whole(form.name)) as endpoint:
        first = start("transcribe", wav(samples()), model="whisper-1", client=endpoint.client, name="one")
        second = start("transcribe", encoded("mp3"), model="whisper-1", client=endpoint.client, name="two")
        assert [job.wait().text for job in (first, second)] == ["one.wav", "two.mp3"]


def children() -> set[psutil.Process]:
    return {c for c in psutil.Process(os.getpid()).children() if c.status() != psutil.STATUS_ZOMBIE}


def until(true) -> None:
    """Return when it is so; a test that waits too long has failed."""
    came = threading.Event()

    def look() -> None:
        if true():
            came.set()
        else:
            get_loop().call_later(0.02, look)

    get_loop().call_soon_threadsafe(look)
    assert came.wait(PATIENCE)
