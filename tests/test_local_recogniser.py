"""The recognising process: it is kept, freed and replaced as it should be, and may use no more than it may."""

import asyncio
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Coroutine
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from local_server import AUDIO, KEY, LocalServer, chat, needs_weights
from sounds import encode, samples
from test_local_speech import RATE, encoded, hostile, wav

from chatkit.local import form, parent, recogniser, whisper
from chatkit.local import sound as sound_module
from chatkit.local import speech as speech_module
from chatkit.local.sound import Sound
from chatkit.local.speech import RecogniserDeadlines, Speech
from chatkit.local.validation import ApiError

POSIX = os.name == "posix"
posix = pytest.mark.skipif(not POSIX, reason="the system has no such limits")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system has no such limits")

SCRIPTED = """
import json, os, signal, sys
def say(**line): print(json.dumps(line), flush=True)
if os.path.exists(sys.argv[1] + "/never"):
    signal.pause()
if os.path.exists(sys.argv[1] + "/broken"):
    raise ImportError("libgomp.so.1 is not in " + sys.argv[1])
say(ready=1)
for line in sys.stdin.buffer:
    job = json.loads(line)
    data = sys.stdin.buffer.read(job["size"])
    say(length=10)
    if data == b"die": os._exit(3)
    if data == b"raise": raise KeyError(sys.argv[1])
    if data == b"hang": sys.stdin.buffer.read()
    if data == b"refuse":
        say(error={"status": 400, "message": "No.", "type": "invalid_request_error", "param": "file", "code": "no"})
        continue
    say(segment={"text": f"{os.path.basename(sys.argv[1])}: {data.decode()}"})
    say(done={"language": "en", "duration": 10.0, "damaged_after": None})
"""
JOB = {"task": "transcribe", "language": None, "prompt": None, "temperature": 0, "words": False}


class File:
    def __init__(self, data: bytes) -> None:
        self.size, self._data, self.closed = len(data), io.BytesIO(data), False

    async def read(self, size: int = -1) -> bytes:
        return self._data.read(size)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a model; beside it, in the folder of models, another."""
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path))
    for folder in (tmp_path / "own", tmp_path / "org--other"):
        folder.mkdir()
        for name in whisper.NEEDED:
            (folder / name).write_text("x")
    return tmp_path / "own"


def play(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a scenario; every process it started has ended by the end."""
    started = []
    start = speech_module._Child.start

    async def noted(*arguments: object) -> speech_module._Child:
        child = await start(*arguments)
        started.append(child.process)
        return child

    async def to_the_end() -> None:
        try:
            await scenario()
        finally:
            for process in started:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech_module._Child, "start", noted)
        asyncio.run(to_the_end())


def keeper(model: Path, **deadlines: float) -> Speech:
    return Speech(str(model), deadlines=RecogniserDeadlines(**deadlines), program=[sys.executable, "-c", SCRIPTED])


async def hear(speech: Speech, data: bytes, model: str = "own") -> str:
    async with contextlib.aclosing(speech.lines(JOB, File(data), model)) as lines:
        return "".join([line["segment"]["text"] async for [(_, line)] in lines if "segment" in line])


def pid(speech: Speech) -> int:
    return speech._child.process.pid


def test_one_process_hears_one_file_after_the_other(model):
    async def run() -> None:
        speech = keeper(model)
        assert speech._child is None
        assert await hear(speech, b"one") == "own: one"
        first = pid(speech)
        assert sorted(await asyncio.gather(*(hear(speech, b"%d" % i) for i in range(5)))) == [
            f"own: {i}" for i in range(5)
        ]
        assert pid(speech) == first

    play(run)


def test_the_file_is_let_go_of_in_any_case(model):
    async def run() -> None:
        speech = keeper(model)
        for data in (b"one", b"refuse", b"die"):
            file = File(data)
            with contextlib.suppress(ApiError):
                async for _ in speech.lines(JOB, file, "own"):
                    pass
            assert file.closed

    play(run)


def test_a_refusal_is_passed_on_and_the_process_stays(model):
    async def run() -> None:
        speech = keeper(model)
        assert await hear(speech, b"one") == "own: one"
        first = pid(speech)
        with pytest.raises(ApiError, match=r"No\.") as refused:
            await hear(speech, b"refuse")
        assert (refused.value.status, refused.value.error["code"]) == (400, "no")
        assert await hear(speech, b"two") == "own: two"
        assert pid(speech) == first

    play(run)


@pytest.mark.parametrize(
    ("data", "deadlines", "cause"),
    [
        (b"die", {}, "broke down over this file"),
        (b"hang", {"stall": 0.2}, "did not get on with this file in time"),
        (b"hang", {"job": 0.1, "per_second": 0.01}, "did not get on with this file in time"),
    ],
)
def test_a_process_that_dies_or_hangs_is_replaced(model, data, deadlines, cause):
    async def run() -> None:
        speech = keeper(model, **deadlines)
        with pytest.raises(ApiError, match=cause) as failed:
            await hear(speech, data)
        assert (failed.value.status, failed.value.error["code"]) == (500, "recognition_failed")
        assert failed.value.headers == {"x-should-retry": "false"}
        assert speech._child is None
        speech.deadlines = RecogniserDeadlines()
        assert await hear(speech, b"next") == "own: next"

    play(run)


def test_an_exception_that_ends_the_process_is_not_the_files(model):
    async def run() -> None:
        speech = keeper(model)
        with pytest.raises(ApiError, match=r"by a fault that is not the file's \(KeyError\)") as failed:
            await hear(speech, b"raise")
        assert (failed.value.status, failed.value.error["code"]) == (500, "recognition_failed")
        assert failed.value.headers == {"x-should-retry": "false"}
        assert "damaged" not in str(failed.value)
        assert await hear(speech, b"next") == "own: next"

    play(run)


def test_a_process_that_ends_before_it_is_ready_says_why_and_blames_no_file(model):
    (model / "broken").touch()

    async def run() -> None:
        with pytest.raises(ApiError) as failed:
            await hear(keeper(model), b"one")
        said = "not the file's (ImportError: libgomp.so.1 is not in …)"
        assert said in str(failed.value)
        assert failed.value.headers == {"x-should-retry": "false"}

    play(run)


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        (TypeError("a secret of /home/ada"), 500, "by a fault that is not the file's (TypeError)"),
        (KeyError("x"), 500, "by a fault that is not the file's (KeyError)"),
        (RuntimeError("unknown"), 500, "by a fault that is not the file's (RuntimeError)"),
        (RuntimeError("mkl_malloc: failed to allocate memory"), 400, "takes more memory than it may"),
        (MemoryError(), 400, "takes more memory than it may"),
    ],
)
def test_what_a_job_raises_is_told_by_its_kind(fault, status, says):
    told = recogniser._failure(fault)
    assert (told["status"], says in told["message"], "damaged" in told["message"]) == (status, True, False)
    assert "/home" not in told["message"]


@posix
def test_a_model_that_does_not_load_in_time_is_given_up(model):
    (model / "never").touch()

    async def run() -> None:
        speech = keeper(model, start=0.2)
        with pytest.raises(ApiError, match="in time"):
            await hear(speech, b"one")
        assert speech._child is None

    play(run)


def test_a_client_that_leaves_ends_the_work(model):
    async def run() -> None:
        speech = keeper(model)
        lines = speech.lines(JOB, File(b"hang"), "own")
        assert await anext(lines) == [(0, {"length": 10})]
        child = speech._child.process
        await lines.aclose()
        await asyncio.wait_for(child.wait(), 10)
        assert await hear(speech, b"next") == "own: next"

    play(run)


def test_a_client_that_leaves_while_it_waits_leaves_the_others_alone(model):
    async def run() -> None:
        speech = keeper(model)
        lines = speech.lines(JOB, File(b"hang"), "own")
        await anext(lines)
        child = speech._child.process
        waiting = asyncio.ensure_future(hear(speech, b"two"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert child.returncode is None
        await lines.aclose()

    play(run)


def test_a_process_with_nothing_to_do_is_ended(model):
    async def run() -> None:
        speech = keeper(model, idle=0.05)
        assert await hear(speech, b"one") == "own: one"
        child = speech._child.process
        await asyncio.wait_for(child.wait(), 10)
        assert speech._child is None
        assert await hear(speech, b"two") == "own: two"

    play(run)


def test_another_model_that_is_here_answers_where_it_is_asked_for(model):
    async def run() -> None:
        speech = keeper(model)
        assert speech.aliases == ["own", "org/other"]
        assert [speech.named(name) for name in ("whisper-1", "own", "org/other")] == ["own", "own", "org/other"]
        assert await hear(speech, b"x", "org/other") == "org--other: x"
        assert await hear(speech, b"x", "own") == "own: x"

    play(run)


def test_where_the_engine_of_whisper_cannot_be_had_that_is_told_in_a_sentence(model, monkeypatch):
    monkeypatch.setattr(speech_module, "find_spec", lambda name: None)

    async def scenario():
        speech = keeper(model)
        with pytest.raises(ApiError) as raised:
            await hear(speech, b"a")
        assert raised.value.status == 503
        assert "faster-whisper, is not installed" in str(raised.value)
        assert "Python 3.11 to 3.13" in str(raised.value)

    play(scenario)


def test_a_model_that_is_nowhere_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path))

    async def run() -> None:
        with pytest.raises(ApiError, match="no Whisper model at the path given") as refused:
            await hear(Speech("/nowhere/whisper-x"), b"x", "whisper-x")
        assert (refused.value.status, refused.value.error["code"]) == (503, "model_not_available")

    play(run)


def test_too_little_memory_for_a_model_is_told_before_loading(model, monkeypatch):
    from chatkit.local import machine

    monkeypatch.setattr(machine, "available", lambda: 1000)

    async def run() -> None:
        with pytest.raises(ApiError, match=r"own needs about 0\.2 GB of memory; 0\.0 GB are free"):
            await hear(keeper(model), b"x")

    play(run)


def real(*jobs: bytes) -> subprocess.Popen:
    needs_weights()
    process = subprocess.Popen(
        [sys.executable, "-m", "chatkit.local.recogniser", str(whisper.locate()), "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert "ready" in json.loads(process.stdout.readline())
    for data in jobs:
        process.stdin.write(json.dumps({**JOB, "size": len(data)}).encode() + b"\n" + data)
    process.stdin.flush()
    return process


def test_it_ends_in_mid_work_when_the_server_is_gone():
    with real((AUDIO / "english.flac").read_bytes()) as process:
        assert json.loads(process.stdout.readline()) == {"length": 9.850125}
        process.stdin.close()
        assert process.wait(10) == 0


FORMATS: list[tuple[str, str, int]] = [
    ("wav", "pcm_s16le", 16_000), ("flac", "flac", 44_100), ("mp3", "libmp3lame", 44_100), ("mp4", "aac", 44_100),
    ("ipod", "aac", 44_100), ("ogg", "flac", 44_100), ("ogg", "libopus", 48_000), ("webm", "libopus", 48_000),
    ("mpeg", "mp2", 44_100), ("wav", "pcm_mulaw", 8_000),
]  # fmt: skip


@pytest.mark.parametrize(("format", "codec", "rate"), FORMATS)
def test_every_format_of_the_api_is_decoded_and_measured(format, codec, rate):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate * 3) / rate)
    sound = Sound(encoded(format, codec, tone, rate))
    assert sound.length() == pytest.approx(3, abs=0.2)
    heard = np.concatenate(list(sound.pieces()))
    assert len(heard) / RATE == pytest.approx(3, abs=0.1)
    peak = np.abs(np.fft.rfft(heard[RATE : 2 * RATE])).argmax()
    assert peak == 440
    assert sound.damaged_after is None


@pytest.mark.parametrize(("format", "codec", "rate"), [FORMATS[0], FORMATS[1], FORMATS[7]])
def test_a_cut_file_is_heard_up_to_the_cut_which_is_told(format, codec, rate):
    noise = np.random.default_rng(5).normal(0, 0.1, rate * 10)
    data = encoded(format, codec, noise, rate)
    sound = Sound(data[: len(data) // 2])
    sound.length()
    seconds = sum(map(len, sound.pieces())) / RATE
    assert seconds == pytest.approx(5, abs=1)
    assert sound.damaged_after == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("format", [("mp3", "libmp3lame", 44_100), ("ipod", "aac", 44_100)])
def test_a_hole_in_a_file_is_told_and_what_follows_is_heard(format):
    data = bytearray(encoded(*format[:2], np.random.default_rng(5).normal(0, 0.1, format[2] * 10), format[2]))
    begin = len(data) * 4 // 10
    data[begin : begin + 2000] = b"\x55" * 2000
    sound = Sound(bytes(data))
    assert 9 < sum(map(len, sound.pieces())) / RATE < 10.1
    assert sound.damaged_after == pytest.approx(4, abs=0.3)


def test_a_file_that_changes_its_kind_of_sound_in_the_middle_is_heard_whole():
    one, two = (encoded("mp3", "libmp3lame", np.zeros(rate * 3), rate) for rate in (44_100, 16_000))
    assert sum(map(len, Sound(one + two).pieces())) / RATE == pytest.approx(6, abs=0.3)


def test_more_samples_than_the_packets_said_end_at_the_limit(monkeypatch):
    monkeypatch.setattr(sound_module, "LONGEST", 2.0)
    with pytest.raises(ApiError, match="longer than"):
        list(Sound(encoded("flac", "flac", np.zeros(RATE * 3))).pieces())


def test_a_file_with_pictures_beside_the_sound_is_heard():
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            container.mux(picture.encode(frame))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE * 2), "<i2"), "s16", "mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    assert sum(map(len, Sound(out.getvalue()).pieces())) / RATE == pytest.approx(2, abs=0.2)


def test_a_file_with_pictures_and_no_sound_is_refused():
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(picture.encode(None))
    with pytest.raises(ApiError, match="no audio in this file"):
        Sound(out.getvalue()).length()


def test_without_the_seal_too_a_file_that_points_elsewhere_is_refused(tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(np.zeros(RATE)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name, text in hostile(f"http://127.0.0.1:{listener.getsockname()[1]}", secret).items():
            with pytest.raises(ApiError, match="no audio file of a kind"):
                Sound(text.encode()).length()
            assert name
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_long_audio_is_cut_where_it_is_quietest_and_no_sample_is_lost():
    rng = np.random.default_rng(9)
    first = recogniser.WINDOW - 9.0
    second = first + recogniser.WINDOW - 5.5
    audio = rng.normal(0, 0.1, int(second + 50) * RATE).astype(np.float32)
    for middle in (first, second):
        audio[int((middle - 0.5) * RATE) : int((middle + 0.5) * RATE)] = 0
    cuts = list(recogniser.windows(iter(np.array_split(audio, 4000))))
    assert np.array_equal(np.concatenate(cuts), audio)
    ends = np.cumsum([len(cut) for cut in cuts]) / RATE
    assert ends == pytest.approx([first, second, len(audio) / RATE], abs=0.35)


def test_every_window_hears_the_prompt_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(recogniser, "WINDOW", 20)
    monkeypatch.setattr(recogniser.processes, "sealed", contextlib.nullcontext)
    monkeypatch.setattr(recogniser.processes, "allow", lambda seconds: None)
    told = []

    class Model:
        supported_languages = ("en",)
        model = types.SimpleNamespace(is_multilingual=True)

        def transcribe(self, speech, *, initial_prompt, language, **_):
            told.append((initial_prompt, language))
            return iter(()), None

    sound = Sound(encode(np.tile(samples(), 5), "flac"))
    done = list(recogniser.recognise(Model(), JOB | {"prompt": "Ada"}, sound))[-1]["done"]
    assert len(told) >= 3
    assert set(told) == {("Ada", "en")}
    assert done["duration"] == pytest.approx(5 * len(samples()) / RATE, abs=0.1)


def test_short_audio_is_not_cut():
    audio = np.zeros(recogniser.WINDOW * RATE - 1, np.float32)
    assert [len(cut) for cut in recogniser.windows(iter([audio]))] == [len(audio)]
    assert list(recogniser.windows(iter([]))) == []


def test_the_limits_are_those_that_are_promised():
    assert form.LARGEST_FILE == 26_214_400
    assert form.PIECE_SECONDS <= 15
    assert recogniser.MEMORY <= 2**30


def test_uploads_take_their_places_in_the_line_before_they_have_come():
    needs_weights()
    server = LocalServer("--slots", "1", "--window", "512", "--queue", "1")
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {KEY}\r\n"
        "content-type: multipart/form-data; boundary=x\r\ncontent-length: 1000\r\n\r\n--x\r\n"
    )
    opened = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(2)]
    for sock in opened:
        sock.sendall(head.encode())
    while (refused := server.hear(b"RIFF")).status != 429:
        assert refused.status == 400
    assert int(refused.headers["retry-after"]) >= 1
    assert "2 files to hear" in refused.error["message"]
    for sock in opened:
        sock.close()
    while server.hear(b"RIFF").status == 429:
        pass
    server.close()


@linux
def test_the_recogniser_knows_no_key_and_ends_when_the_server_is_killed():
    needs_weights()
    server = LocalServer("--slots", "1", "--window", "512")
    assert server.hear(wav(np.zeros(RATE))).status == 200
    [child] = psutil.Process(server.process.pid).children()
    assert KEY not in " ".join([*child.cmdline(), *child.environ(), *child.environ().values()])
    assert child.environ().items() >= parent.VARIABLES.items()
    server.process.kill()
    child.wait(10)
    server.process.communicate()


def test_a_file_that_kills_the_process_takes_neither_the_server_nor_the_other_model_down():
    needs_weights()
    # the decoder of this server breaks down over one kind of file
    code = (
        "import sys, runpy; from chatkit.local import speech; "
        "speech.PROGRAM = (sys.executable, '-c', "
        + repr(SCRIPTED)
        + "); runpy.run_module('chatkit.local', run_name='__main__')"
    )
    server = LocalServer("--slots", "1", "--window", "512", program=["-c", code])
    answer = server.hear(b"die")
    assert (answer.status, answer.error["code"]) == (500, "recognition_failed")
    assert answer.headers["x-should-retry"] == "false"
    cut = server.hear(b"die", stream="true")
    assert [chunk["type"] for chunk in cut.chunks] == ["error"]
    assert server.ask("/v1/chat/completions", chat(max_tokens=1)).status == 200
    assert server.hear(b"fine").json["text"] == "whisper-base: fine"
    assert server.close() == 0
