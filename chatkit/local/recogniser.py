"""Annexe: the process that decodes and recognises: `python -m chatkit.local.recogniser FOLDER THREADS`.

In, on stdin: one line of JSON for each job, then the file's bytes. Out, on stdout: lines of JSON: what became known
(ready, length, heard, segment, done, error). It is run apart from the server, so that no file can take that down;
from the first job on it may open no file and no socket more, and its memory and processor time are limited.
"""

import contextlib
import io
import itertools
import json
import os
import queue
import signal
import sys
import threading
import wave
from collections.abc import Iterator
from typing import IO, Any

from chatkit.exceptions import SetupError
from chatkit.local import parent
from chatkit.local.validation import ApiError, cannot_load, speech_fault
from chatkit.system import libraries, processes, shell

os.environ.update(parent.VARIABLES)
if __name__ == "__main__":
    os.environ.update(parent.HEARING)

ResultLine = dict[str, Any]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Within, this process loads what it hears by; what cannot be loaded is its last word, for whoever asked."""
    try:
        yield
    except SetupError as problem:
        if __name__ != "__main__":
            raise
        refused = cannot_load(problem)
        print(json.dumps({"error": {"status": refused.status, **refused.error}}), flush=True)
        os._exit(0)


with told(), libraries.loading("numpy", "onnxruntime", "ctranslate2", "faster_whisper", "av"):
    import numpy as np
    import onnxruntime
    from faster_whisper import WhisperModel
    from faster_whisper.vad import get_vad_model

    from chatkit.local.sound import RATE, SHORTEST, Sound
    from chatkit.local.stretches import Transcriber

    onnxruntime.disable_telemetry_events()  # its builds for Windows know no variable

WINDOW = 240
"""Seconds recognised at a time: an hour's spectrogram would take a gigabyte. A window is told nothing of the one before:
with its last words as a prompt, hearing took 4 to 7 % longer, and now and then the model said them again and again."""
LOOK_BACK = 10
"""Seconds at a window's end in which its quietest moment is sought, to cut there; with 30, hearing took 6 % longer."""
MEMORY = 768 * 2**20
"""Bytes that jobs may take beside what the loaded model has."""
LONGEST = 300
"""Characters that are told of why a model could not be loaded."""
CPU_SECONDS, CPU_PER_SECOND = 120, 20
"""Seconds of processor time for a job, and for each second of its audio: a small model takes 0.2 of them."""


def main(folder: str, threads: int) -> None:
    """Load the model, then do jobs until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the server
    out = _private_output()
    jobs: queue.SimpleQueue[tuple[ResultLine, bytes]] = queue.SimpleQueue()
    model = _loaded(out, folder, threads)
    _warm_up()
    # on Windows a library that looks at stdin while it is loaded waits for whoever reads there: all are loaded by now
    threading.Thread(target=_read, args=(os.fdopen(os.dup(0), "rb"), jobs), daemon=True).start()
    processes.lock(MEMORY)
    _write(out, {"ready": folder})
    while True:
        job, data = jobs.get()
        try:
            for line in recognise(model, job, Sound(data)):
                _write(out, line)
        except ApiError as problem:
            _write(out, {"error": {"status": problem.status, **problem.error}})
        except Exception as fault:  # noqa: BLE001  # whatever it is, the file must not be blamed for it
            _write(out, {"error": _failure(fault)})
        del data


def _loaded(out: IO[str], folder: str, threads: int) -> WhisperModel:
    """The model; where it cannot be loaded, that is the last word."""
    try:
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    except Exception as fault:  # noqa: BLE001  # whatever it is, no file that was sent is to blame
        said = " ".join(str(fault).replace(folder, "…").split())[:LONGEST]
        problem = SetupError(
            f"The local Whisper cannot load its model: {type(fault).__name__}: {said or 'no words'}.",
            f"Fetch it again ({shell.chatkit('models fetch')}), close other kernels if memory is short, or name a smaller one: "
            "CHATKIT_WHISPER=Systran/faster-whisper-tiny.",
        )
        refused = cannot_load(problem)
        _write(out, {"error": {"status": refused.status, **refused.error}})
        os._exit(0)


def recognise(model: WhisperModel, job: ResultLine, sound: Sound) -> Iterator[ResultLine]:
    """What is said in `sound`, line by line: its length, how far it was heard, each segment, and the end."""
    with processes.sealed():
        length = sound.length()
    processes.allow(CPU_SECONDS + CPU_PER_SECOND * length)
    yield {"length": length}
    language, transcriber, heard = job["language"], Transcriber(model, job), 0
    if language and language not in model.supported_languages:
        raise ApiError(
            400, f"The local Whisper model does not know the language {language!r}.", param="language",
            code="unsupported_language",
        )  # fmt: skip
    cuts = windows(sound.pieces())
    while True:
        with processes.sealed():
            audio = next(cuts, None)
        if audio is None:
            break
        if heard == 0 and len(audio) < SHORTEST * RATE:
            raise ApiError(400, f"The audio is shorter than {SHORTEST} seconds.", param="file", code="audio_too_short")
        for segment in transcriber.hear(audio, heard / RATE):
            yield {"segment": segment}
        heard += len(audio)
        yield {"heard": heard / RATE}
    yield {
        "done": {
            "language": transcriber.language, "languages": transcriber.languages, "unheard": transcriber.unheard,
            "duration": heard / RATE, "damaged_after": sound.damaged_after,
        }
    }  # fmt: skip


def windows(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The samples in windows of at most WINDOW seconds, each cut where it is quietest near its end."""
    kept: list[np.ndarray] = []
    size = 0
    for piece in itertools.chain.from_iterable(np.array_split(p, len(p) // (RATE * 10) + 1) for p in pieces):
        kept.append(piece)
        size += len(piece)
        if size >= WINDOW * RATE:
            audio = np.concatenate(kept)
            cut = quietest(audio)
            kept, size = [audio[cut:].copy()], len(audio) - cut
            yield audio[:cut]
    if size:
        yield np.concatenate(kept)


def quietest(audio: np.ndarray) -> int:
    """Where in the last LOOK_BACK seconds half a second is quietest: its middle, in samples."""
    step = RATE // 10
    tail = audio[len(audio) - LOOK_BACK * RATE :]
    loud = np.square(tail[: len(tail) // step * step].reshape(-1, step)).sum(axis=1)
    start = int(np.convolve(loud, np.ones(5), "valid").argmin())
    return len(audio) - len(tail) + start * step + step * 5 // 2


def _warm_up() -> None:
    """Decode once, so that what PyAV loads when it is first used is there before it may open nothing more."""
    silence = io.BytesIO()
    with wave.open(silence, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE))
    sound = Sound(silence.getvalue())
    sound.length()
    list(sound.pieces())
    get_vad_model()


def _failure(fault: Exception) -> ResultLine:
    """What is told of a fault: its kind, never its words, which could hold a prompt or a path."""
    if isinstance(fault, MemoryError) or (isinstance(fault, RuntimeError) and "alloc" in str(fault)):
        return _too_big()
    problem = speech_fault(type(fault).__name__)
    return {"status": problem.status, **problem.error}


def _too_big() -> ResultLine:
    return {
        "status": 400, "type": "invalid_request_error", "param": "file", "code": "too_much_memory",
        "message": "Decoding this file takes more memory than it may; save it as FLAC or MP3 and send that.",
    }  # fmt: skip


def _read(source: IO[bytes], jobs: "queue.SimpleQueue[tuple[ResultLine, bytes]]") -> None:
    while line := source.readline():
        job = json.loads(line)
        data = source.read(job["size"])
        if len(data) == job["size"]:
            jobs.put((job, data))
        del data
    os._exit(0)  # the server is gone


def _private_output() -> IO[str]:
    """stdout for our lines alone, whatever a library prints."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _write(out: IO[str], line: ResultLine) -> None:
    try:
        print(json.dumps(line), file=out, flush=True)
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
