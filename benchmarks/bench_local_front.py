"""Tokens a second through the local server's front, beside llama.cpp called in the same process without it.

Both sides load the same weights with the same settings in a process of their own, one after the other, and
answer 1, 4 and 8 requests at once. Rounds alternate, so that a busy machine slows both. Goal: 0.97.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from chatkit.local import language, weights

TOKENS = 96
ROUNDS = 5
PROMPT = "Write a long story about number {}."


def body(i: int) -> dict:
    return {
        "model": "local", "messages": [{"role": "user", "content": PROMPT.format(i)}], "stream": True,
        "max_tokens": TOKENS, "temperature": 0, "logit_bias": {"2": -100},
    }  # fmt: skip


def at_once(count: int, work) -> float:
    """Tokens a second of `count` threads that each run `work(i)`."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * TOKENS / (time.perf_counter() - begin)


def direct_side() -> None:
    """A child that answers each count on stdin with tokens a second of the bare engine."""
    model = language.Language(weights.find(), "local", window=8192, slots=4)
    handle = model._server.handle_chat_completions

    def work(i: int) -> None:
        request = body(i) | {"logit_bias": [[2, -100]]}
        handle(json.dumps(request).encode(), lambda chunk: False)

    for line in sys.stdin:
        print(at_once(int(line), work), flush=True)


def front_side(base_url: str, key: str, count: int) -> float:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def work(i: int) -> None:
        request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body(i)).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            while answer.read1(65536):
                pass

    return at_once(count, work)


def main() -> None:
    path = weights.find()
    env = os.environ | {"CHATKIT_MODELS": str(Path(path).parent)}
    child = [sys.executable, "-m", "chatkit.local", "--with-parent", "--queue", "64"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    direct = subprocess.Popen([sys.executable, __file__, "direct"], **pipes)
    front = subprocess.Popen(child, **pipes)
    key = "chatkit-local-bench"
    front.stdin.write(key + "\n")
    front.stdin.flush()
    base_url = json.loads(front.stdout.readline())["base_url"]

    def bare(count: int) -> float:
        direct.stdin.write(f"{count}\n")
        direct.stdin.flush()
        return float(direct.stdout.readline())

    bare(1), front_side(base_url, key, 1)
    for count in (1, 4, 8):
        pairs = [(bare(count), front_side(base_url, key, count)) for _ in range(ROUNDS)]
        one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
        best = max(b for _, b in pairs) / max(a for a, _ in pairs)
        print(f"{count} at once: engine {one:6.1f} tokens/s, front {two:6.1f}; ratio {two / one:.3f}, of the best {best:.3f}")
    for process in (direct, front):
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    direct_side() if sys.argv[1:] == ["direct"] else main()
