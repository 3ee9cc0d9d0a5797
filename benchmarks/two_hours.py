"""A two-hour file made of the repo's clips, on the real local Whisper: word error rate, at the joins and elsewhere; times.

    python benchmarks/two_hours.py [minutes]

Prints, for the whole, what part of the words is wrong; the same within ten seconds of a cut, where parts were
joined, and elsewhere; and how far each clip's first word lies from where it was put. It takes minutes: the
local Whisper is about ten times faster than real time on two idle cores.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import wer
from sounds import RATE, encode, samples, silence, text_of

from chatkit.client.reply import Progress
from chatkit.client.turn import RunItem
from chatkit.speech.job import start

CLIPS = ("english", "library")
PAUSE = 1.0
NEAR = 10.0


def main(minutes: float) -> None:
    """Make the file, transcribe it, compare."""
    sound, placed = lecture(minutes * 60)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lecture.flac"
        path.write_bytes(encode(sound, "flac"))
        print(f"{len(sound) / RATE / 60:.1f} minutes of audio, {path.stat().st_size / 1e6:.1f} MB, {len(placed)} clips")
        began = time.perf_counter()
        job = start("transcribe", path, words=True)
        job.listen(tell)
        said = job.wait()
    took = time.perf_counter() - began
    print(f"{took:.0f} s: {len(sound) / RATE / took:.1f} times faster than real time; {len(said.records)} requests")
    print(f"missing: {said.missing or 'nothing'}; notes: {said.notes or 'none'}")
    compare(said, placed, cuts(said))


def tell(item: RunItem) -> None:
    """Say how far it is."""
    if isinstance(item, Progress) and item.phase == "listening":
        print(f"  {item.parts_done} of {item.parts} parts", flush=True)


def lecture(seconds: float) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Clips in a row until there is enough, and where each begins."""
    sounds, placed, at = [], [], 0.0
    while at < seconds:
        clip = CLIPS[len(placed) % len(CLIPS)]
        placed.append((at, clip))
        sounds += [samples(clip), silence(PAUSE)]
        at += (len(sounds[-2]) + len(sounds[-1])) / RATE
    return np.concatenate(sounds), placed


def cuts(said) -> list[float]:
    """Where the parts were joined, in seconds."""
    at, found = 0.0, []
    for record in said.records[:-1]:
        at += record.usage.audio_seconds
        found.append(at)
    return found


def compare(said, placed, joins: list[float]) -> None:
    """Print the error rates and the times, clip by clip."""
    near, far, late = [0, 0], [0, 0], []
    for at, clip in placed:
        end = at + len(samples(clip)) / RATE
        mine = [w for w in said.words if at - PAUSE / 2 <= (w.start + w.end) / 2 < end + PAUSE / 2]
        reference = wer.words(text_of(clip))
        wrong = wer.errors([word for w in mine for word in wer.words(w.text)], reference)
        sums = near if any(at - NEAR < join < end + NEAR for join in joins) else far
        sums[0], sums[1] = sums[0] + wrong, sums[1] + len(reference)
        if mine:
            late.append(abs(mine[0].start - at))
    total = near[0] + far[0], near[1] + far[1]
    for name, (wrong, words) in (("all", total), ("near a join", near), ("elsewhere", far)):
        print(f"word error rate, {name}: {wrong / max(words, 1):.2%} ({wrong} of {words} words)")
    print(f"first words off by: median {statistics.median(late):.3f} s, most {max(late):.3f} s, at {len(joins)} joins")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0)
