"""How long the local server takes to hear speech, beside faster-whisper called bare on the same file.

Both sides load the same weights with the same settings, each in a process of its own, and hear the same files in
turn: one of a minute, and one so long that the server hears it in windows. Their times are compared in pairs, for a
busy machine slows both; the processor time they took is compared too, which a busy machine changes little. Beside
them stands the most memory each side's processes had. Goal: 1.05.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil

from chatkit.local import whisper

THREADS = int(os.environ.get("THREADS", os.cpu_count() or 1))
RUNS = ((60, 5), (600, 2))
"""Seconds of speech, and how many pairs of times are taken."""
KEY = "chatkit-local-bench"


def speech(seconds: int) -> bytes:
    """The clips of the tests in turn, as FLAC; the pauses differ, as in life, so that no rhythm favours a side."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import sounds  # here, for the child that is bare holds nothing of it

    chance, parts = random.Random(1), []
    while sum(map(len, parts)) < seconds * sounds.RATE:
        clip = ("english", "library")[len(parts) // 2 % 2]
        parts += [sounds.samples(clip), sounds.silence(chance.uniform(0.3, 3))]
    return sounds.encode(np.concatenate(parts)[: seconds * sounds.RATE], "flac")


def bare_side() -> None:
    """A child: for each path on stdin, the seconds that the bare library takes."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(whisper.find()), device="cpu", compute_type="int8", cpu_threads=THREADS)
    for line in sys.stdin:
        begin = time.perf_counter()
        segments, _ = model.transcribe(line.strip(), vad_filter=True)
        text = "".join(segment.text for segment in segments)
        print(json.dumps([time.perf_counter() - begin, text]), flush=True)


def server_side(base_url: str, audio: bytes) -> tuple[float, str]:
    begin = time.perf_counter()
    head = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = b"".join([
        head.format("model", "").encode(), b"whisper-1\r\n",
        head.format("file", '; filename="a.flac"').encode(), audio, b"\r\n--x--\r\n",
    ])  # fmt: skip
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{base_url}/audio/transcriptions", body, headers)
    with urllib.request.urlopen(request) as answer:
        text = json.load(answer)["text"]
    return time.perf_counter() - begin, text


class Peak:
    """The most memory that a process and its children have, while it is watched."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._process, self._done = psutil.Process(pid), threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> "Peak":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            family = [self._process, *self._process.children()]
            self.most = max(self.most, sum(process.memory_info().rss for process in family))


def child(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: "subprocess.Popen[str]", line: str) -> str:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline()


def main() -> None:
    bare = child(__file__, "bare")
    server = child("-m", "chatkit.local", "--with-parent", "--slots", "1", "--window", "512", "--threads", str(THREADS))
    base_url = json.loads(ask(server, KEY))["base_url"]
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder, "warm.flac")
        warm.write_bytes(speech(5))
        ask(bare, str(warm))
        server_side(base_url, warm.read_bytes())
        idle = sum(process.memory_info().rss for process in _family(server.pid))
        for seconds, rounds in RUNS:
            path = Path(folder, f"{seconds}.flac")
            path.write_bytes(speech(seconds))
            before = spent(bare.pid), spent(server.pid)
            with Peak(bare.pid) as one, Peak(server.pid) as two:
                pairs = [
                    (json.loads(ask(bare, str(path))), server_side(base_url, path.read_bytes())) for _ in range(rounds)
                ]
            alone, front = (statistics.median(side[0] for side in sides) for sides in zip(*pairs, strict=True))
            ratio = statistics.median(with_server[0] / without[0] for without, with_server in pairs)
            work = (spent(server.pid) - before[1]) / (spent(bare.pid) - before[0])
            print(
                f"{seconds} s of speech: faster-whisper {alone:.2f} s, {alone / seconds:.3f} of its length; "
                f"server {front:.2f} s, {front / seconds:.3f}; ratio {ratio:.3f} in time, {work:.3f} in processor time "
                f"(goal 1.05); most memory {one.most / 1e6:.0f} MB, server {two.most / 1e6:.0f} MB, "
                f"{(two.most - idle) / 1e6:.0f} MB above its idle; same text: {pairs[0][0][1].strip() == pairs[0][1][1]}",
                flush=True,
            )
    for process in (bare, server):
        process.stdin.close()
        process.wait()


def spent(pid: int) -> float:
    """Seconds of processor time of a process and its children so far."""
    times = [process.cpu_times() for process in _family(pid)]
    return sum(each.user + each.system for each in times)


def _family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children()]


if __name__ == "__main__":
    bare_side() if sys.argv[1:] == ["bare"] else main()
