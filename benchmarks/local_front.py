"""Tokens a second through the local server's front, beside llama.cpp called in the same way without it.

Both sides load the same weights with the same settings, each in a process of its own, and answer 1, 4 and 8
requests at once. Rounds alternate and their ratios are taken in pairs, for a busy machine slows both. The
client sleeps until its answer is whole, so that it counts in neither. Goal: 0.97.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from chatkit.local import language, weights

TOKENS = 96
ROUNDS = 5
SLOTS = 4
THREADS = int(os.environ.get("THREADS", os.cpu_count() or 1))
PROMPT = "Write a long story about number {}."
KEY = "chatkit-local-bench"


def body(i: int) -> dict:
    return {
        "model": "local", "messages": [{"role": "user", "content": PROMPT.format(i)}], "stream": True,
        "max_tokens": TOKENS, "temperature": 0, "logit_bias": {"2": -100},
    }  # fmt: skip


def at_once(count: int, work: Callable[[int], None]) -> float:
    """Tokens a second of `count` threads that each run `work(i)`."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * TOKENS / (time.perf_counter() - begin)


def engine_side() -> None:
    """A child: for each count on stdin, tokens a second of the bare engine."""
    model = language.Language(weights.find(), "local", window=8192, slots=SLOTS, threads=THREADS)

    def work(i: int) -> None:
        request = body(i) | {"logit_bias": [[2, -100]]}
        model._server.handle_chat_completions(json.dumps(request).encode(), lambda _: False)

    for line in sys.stdin:
        print(at_once(int(line), work), flush=True)


def front_side(base_url: str, count: int) -> float:
    where = urlsplit(base_url)

    def work(i: int) -> None:
        text = json.dumps(body(i)).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((where.hostname, where.port)) as sock:
            sock.sendall(head.encode() + text)
            # one call for the whole answer: a client that woke for each token would take the engine's processor
            answer = sock.recv(2**20, socket.MSG_WAITALL)
        assert answer.count(b'"content":') > TOKENS * 0.9, answer[:500]

    return at_once(count, work)


def child(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: "subprocess.Popen[str]", line: str) -> str:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline()


def main() -> None:
    engine = child(__file__, "engine")
    front = child("-m", "chatkit.local", "--with-parent", "--slots", str(SLOTS), "--threads", str(THREADS))
    base_url = json.loads(ask(front, KEY))["base_url"]
    for count in (1, 1, 4, 8):
        pairs = [(float(ask(engine, str(count))), front_side(base_url, count)) for _ in range(ROUNDS)]
        one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(
            f"{count} at once: engine {one:6.1f} tokens/s, front {two:6.1f}; ratio {ratio:.3f} (goal 0.97)", flush=True
        )
    for process in (engine, front):
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    engine_side() if sys.argv[1:] == ["engine"] else main()
