"""The local server's two audio verbs: what they hear, in the API's forms; what they refuse; what they never open."""

import io
import re
import shutil
import socket
import subprocess
import threading
import wave
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import av
import httpx2
import numpy as np
import openai
import psutil
import pytest
from local_server import AUDIO, KEY, LocalServer, clip, shared_server, spoken
from test_local_answers import only_known, validate

from chatkit.ledger.meter import Meter, MeteredTransport
from chatkit.ledger.record import Usage
from chatkit.ledger.store import UsageStore

RATE = 16_000
OWN = {"model", "task", "damaged_after"}
"""Fields that stand beside the API's own: `task` it sends without describing it."""


@pytest.fixture(scope="module")
def server() -> LocalServer:
    return shared_server()


@pytest.fixture(scope="module")
def short() -> bytes:
    """The first sentence of the English clip, as WAV."""
    with av.open(str(AUDIO / "english.flac")) as container:
        audio = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return wav(audio[: int(3.6 * RATE)] / 32768)


def wav(audio: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def encoded(format: str, codec: str, audio: np.ndarray, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for begin in range(0, len(audio), rate * 600):
            part = np.ascontiguousarray(audio[begin : begin + rate * 600])
            frame = av.AudioFrame.from_ndarray((part * 32767).astype("<i2").reshape(1, -1), "s16", "mono")
            frame.sample_rate, frame.pts = rate, begin
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def word_errors(heard: str, said: str) -> float:
    """Words to insert, delete or change, for each word said."""
    a, b = words(heard), words(said)
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row = row, [i]
        for j, right in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (left != right)))
    return row[-1] / len(b)


def test_word_errors_are_counted_as_they_should_be():
    assert word_errors("the river begins", "The river begins.") == 0
    assert word_errors("a river begins here", "the river begins") == 2 / 3


@pytest.mark.parametrize("name", ["english.flac", "library.flac"])
def test_fewer_than_one_english_word_in_ten_is_wrong(server, name):
    assert word_errors(server.hear(clip(name)).json["text"], spoken(name)) < 0.1


def test_the_verbose_answer_has_segments_and_words_with_their_times(server):
    answer = server.hear(
        clip("spanish.flac"), response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    body = answer.json
    validate(body, "CreateTranscriptionResponseVerboseJson")
    assert set(body) - OWN == {"language", "duration", "text", "words", "segments", "usage"}
    assert (body["task"], body["model"], body["language"]) == ("transcribe", "whisper-base", "spanish")
    assert body["duration"] == body["usage"]["seconds"] == 7.549
    assert word_errors(body["text"], spoken("spanish.flac")) < 0.1
    assert "".join(segment["text"] for segment in body["segments"]).strip() == body["text"]
    assert [segment["id"] for segment in body["segments"]] == list(range(len(body["segments"])))
    assert " ".join(word["word"] for word in body["words"]) == body["text"]
    times = [time for word in body["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 7.549


def test_spanish_is_translated_into_english(server):
    answer = server.hear(clip("spanish.flac"), "translations", response_format="verbose_json")
    validate(answer.json, "CreateTranslationResponseVerboseJson")
    assert answer.json["language"] == "english"
    heard = set(words(answer.json["text"]))
    assert {
        "good",
        "morning",
        "family",
        "hospital",
    } <= heard  # of "madre" and "padre", each processor's kernels make others
    assert not {"buenos", "familia", "mi", "madre", "padre", "trabaja"} & heard


def test_json_brings_the_text_and_what_it_took_and_nothing_else(server, short):
    answer = server.hear(short, language="en")
    validate(answer.json, "CreateTranscriptionResponseJson")
    only_known(answer.json, "CreateTranscriptionResponseJson")
    assert words(answer.json["text"]) == words("The river begins in the mountains, far away from the sea.")
    assert answer.json["usage"] == {"type": "duration", "seconds": 3.6}
    assert (answer.headers["openai-model"], answer.headers["x-audio-seconds"]) == ("whisper-base", "3.600")


@pytest.fixture(scope="module")
def curl() -> str:
    return shutil.which("curl") or pytest.skip("curl is not here")


SHAPES = {
    "json": r'\{"text": ".*mountains.*", "usage": .*\}',
    "verbose_json": r'\{"task": "transcribe".*"segments": .*mountains.*\}',
    "text": r".*mountains.*\n",
    "srt": r"1\n00:00:00,\d{3} --> 00:00:0\d,\d{3}\n.*mountains.*\n\n",
    "vtt": r"WEBVTT\n\n00:00:00\.\d{3} --> 00:00:0\d\.\d{3}\n.*mountains.*\n\n",
}


@pytest.mark.parametrize("format", SHAPES)
def test_curl_gets_every_format(server, short, curl, format):
    command = [
        curl, "-sS", f"{server.ready['base_url']}/audio/transcriptions", "-H", f"Authorization: Bearer {KEY}",
        "-F", "file=@-;filename=clip.wav", "-F", "model=whisper-1", "-F", "language=en",
        "-F", f"response_format={format}",
    ]  # fmt: skip
    ran = subprocess.run(command, input=short, capture_output=True, check=True)
    assert re.fullmatch(SHAPES[format], ran.stdout.decode(), re.S)


@pytest.fixture
def client(server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.ready["base_url"], api_key=KEY, max_retries=0) as client:
        yield client


def test_the_openai_client_reads_every_format(client, short):
    def heard(**parameters):
        return client.audio.transcriptions.create(
            model="whisper-1", file=("clip.wav", short), language="en", **parameters
        )

    plain = heard()
    assert plain.usage.seconds == 3.6
    verbose = heard(response_format="verbose_json", timestamp_granularities=["word"])
    assert (verbose.language, verbose.duration, verbose.words[1].word, verbose.segments) == (
        "english",
        3.6,
        "river",
        None,
    )
    for format in ("text", "srt", "vtt"):
        assert re.fullmatch(SHAPES[format], heard(response_format=format), re.S)
    events = list(heard(stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * (len(events) - 1) + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == plain.text


def test_a_stream_brings_each_segment_as_it_is_heard(server):
    answer = server.hear(clip("english.flac"), stream="true", language="en")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = answer.chunks
    assert len(deltas) >= 2
    for delta in deltas:
        validate(delta, "TranscriptTextDeltaEvent")
    validate(done, "TranscriptTextDoneEvent")
    assert "".join(delta["delta"] for delta in deltas) == done["text"]
    assert done["duration"] == 9.85


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the hosted translations end in 2027
def test_every_answer_is_on_the_books_with_its_seconds_at_no_cost(server, tmp_path):
    store = UsageStore(tmp_path / "usage.sqlite")
    metered = httpx2.Client(transport=MeteredTransport(httpx2.HTTPTransport(), Meter(store, free=True)))
    with openai.OpenAI(base_url=server.ready["base_url"], api_key=KEY, http_client=metered) as client:
        audio = client.audio
        for format in SHAPES:
            for verb in (audio.transcriptions, audio.translations):
                verb.create(model="whisper-1", file=("a.wav", wav(QUIET["silence"])), response_format=format)
        for _ in audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(QUIET["silence"])), stream=True):
            pass
    rows = store.records()
    assert len(rows) == 2 * len(SHAPES) + 1
    assert {(row.model, row.answered_model, row.outcome) for row in rows} == {("whisper-1", "whisper-base", "complete")}
    assert {row.usage for row in rows} == {Usage(audio_seconds=3.0, cost=Decimal(0), known="measured")}
    store.close()


FAULTS = [
    ({"response_format": "xml"}, "response_format", "invalid_value"),
    ({"response_format": "diarized_json"}, "response_format", "invalid_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"temperature": "1.5"}, "temperature", "invalid_value"),
    ({"temperature": "nan"}, "temperature", "invalid_value"),
    ({"language": "klingon"}, "language", "unsupported_language"),
    ({"timestamp_granularities": ["word"]}, "timestamp_granularities", "invalid_value"),
    ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, "timestamp_granularities", "invalid_value"),
    ({"stream": "true", "response_format": "srt"}, "stream", "invalid_value"),
    ({"stream": "maybe"}, "stream", "invalid_type"),
    ({"model": ""}, "model", "invalid_type"),
    ({"colour": "red"}, "colour", "unknown_parameter"),
    ({"keywords": ["chatkit"]}, "keywords", "unsupported_parameter"),
    ({"include": ["logprobs"]}, "include", "unsupported_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code"), FAULTS)
def test_a_wrong_field_is_refused_by_its_name(server, fields, param, code):
    answer = server.hear(b"RIFF", **fields)
    validate(answer.json, "ErrorResponse")
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


def test_translations_takes_no_language_and_no_stream(server):
    for name in ("language", "stream", "timestamp_granularities"):
        answer = server.hear(b"RIFF", "translations", **{name: "en"})
        assert (answer.status, answer.error["param"], answer.error["code"]) == (400, name, "unknown_parameter")


def test_a_form_without_a_file_or_that_is_none_is_refused(server):
    without = server.hear(b"", name='x"; x="')
    assert (without.status, without.error["code"]) == (400, "empty_file")
    assert server.ask("/v1/audio/transcriptions", {"file": "x"}).status == 415
    kind = "multipart/form-data; boundary=x"
    for body, status in ((b"", 400), (b"--x\r\n", 400), (b"nothing of the kind", 400), (b"--y--", 400)):
        answer = server.ask("/v1/audio/transcriptions", body, content_type=kind)
        validate(answer.json, "ErrorResponse")
        assert answer.status == status
    no_boundary = server.ask("/v1/audio/transcriptions", b"--x--", content_type="multipart/form-data")
    assert (no_boundary.status, no_boundary.error["type"]) == (400, "invalid_request_error")


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.wav", wav(np.zeros(RATE)))
    return out.getvalue()


BAD = {
    "empty": (b"", "empty_file"),
    "text named mp3": (b"These are words, not sounds.\n" * 500, "unsupported_format"),
    "random bytes": (np.random.default_rng(7).bytes(100_000), "unsupported_format"),
    "a head cut off": (wav(np.zeros(RATE))[:30], "unsupported_format"),
    "no frames": (wav(np.zeros(0)), "no_audio"),
    "a zip named wav": (zipped(), "unsupported_format"),
    "too short": (wav(np.zeros(RATE // 20)), "audio_too_short"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(1000), "unsupported_format"),
    "half an m4a": (Path(AUDIO.parent.parent / "notebooks" / "audio" / "english.m4a").read_bytes()[:9_000], "unsupported_format"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_audio_is_one_typed_refusal(server, case):
    data, code = BAD[case]
    answer = server.hear(data, name="x.wav" if "wav" in case else "x.mp3")
    validate(answer.json, "ErrorResponse")
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, "file", code)


def test_files_that_point_elsewhere_open_nothing(server, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(np.zeros(RATE)))
    came = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=lambda: _accepts(listener, came), daemon=True).start()
        for name, text in hostile(url, secret).items():
            answer = server.hear(text.encode(), name=name)
            assert (answer.status, answer.error["code"]) == (400, "unsupported_format"), name
        assert not came.is_set()
        socket.create_connection(listener.getsockname()).close()
        assert came.wait(10), "the listener would have noticed"


def _accepts(listener: socket.socket, came: threading.Event) -> None:
    try:
        listener.accept()
    except OSError:
        return
    came.set()


def hostile(url: str, file: Path) -> dict[str, str]:
    """Playlists, lists and descriptions that ffmpeg would follow, under names that hide it."""
    hls = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">'
        f'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}/a.mp4</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "a.mp3": hls.format(f"{url}/a.ts"),
        "b.m4a": hls.format(f"file://{file}"),
        "c.wav": hls.format(f"concat:{file}|{file}"),
        "d.mp3": f"ffconcat version 1.0\nfile '{file}'\n",
        "e.wav": f"ffconcat version 1.0\nfile '{url}/a.wav'\n",
        "f.m4a": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {url.rpartition(':')[2]} RTP/AVP 0\n",
        "g.mp4": dash,
        "h.mp3": f"[playlist]\nFile1={url}/a.mp3\nNumberOfEntries=1\n",
        "i.mp3": f"{url}/a.mp3\n",
    }


@pytest.mark.parametrize("name", ["../../x.wav", "x" * 3000 + ".wav", "<img src=x>.wav", "a%0d%0ab.wav", ""])
def test_a_strange_file_name_changes_nothing(server, name):
    assert server.hear(wav(np.zeros(RATE)), name=name or "x").json["text"] == ""


QUIET = {
    "silence": np.zeros(RATE * 3),
    "noise": np.random.default_rng(1).normal(0, 0.1, RATE * 12),
    "a tone": 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE * 12) / RATE),
    "a melody": np.concatenate([
        np.sin(2 * np.pi * note * np.arange(RATE // 2) / RATE) * np.exp(-np.arange(RATE // 2) / RATE * 4) * 0.5
        for note in (262, 330, 392, 523, 392, 330) * 4
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
def test_where_nobody_speaks_nothing_is_made_up(server, case):
    answer = server.hear(wav(QUIET[case]), response_format="verbose_json")
    validate(answer.json, "CreateTranscriptionResponseVerboseJson")
    assert (answer.json["text"], answer.json["segments"], answer.json["language"]) == ("", [], "unknown")
    assert answer.json["duration"] == len(QUIET[case]) / RATE


@pytest.mark.parametrize(
    ("format", "body"), [("json", None), ("text", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")]
)  # fmt: skip
def test_silence_has_a_form_in_every_format(server, format, body):
    answer = server.hear(wav(QUIET["silence"]), response_format=format)
    assert answer.status == 200
    if body is None:
        assert answer.json == {"text": "", "usage": {"type": "duration", "seconds": 3.0}}
    else:
        assert answer.body.decode() == body


def test_a_silent_stream_is_one_event(server):
    [event] = server.hear(wav(QUIET["silence"]), stream="true").chunks
    assert event == {"type": "transcript.text.done", "text": "", "duration": 3.0}


def test_a_wav_of_unknown_length_is_heard_whole_and_a_cut_one_up_to_the_cut(server, short):
    lying = (
        short[:4] + (0xFFFFFFF0).to_bytes(4, "little") + short[8:40] + (0xFFFFFFF0).to_bytes(4, "little") + short[44:]
    )
    cut = server.hear(short[:64_044], response_format="verbose_json", language="en")
    assert (cut.json["duration"], cut.json["damaged_after"]) == (2.0, 2.0)
    assert cut.headers["x-audio-damaged-after"] == "2.000"
    whole = server.hear(lying, response_format="verbose_json", language="en")
    assert whole.json["duration"] == 3.6
    assert "damaged_after" not in whole.json
    assert "mountains" in cut.json["text"] and "sea" in whole.json["text"]  # fmt: skip


def test_more_than_25_mb_is_refused_with_the_apis_status(server):
    answer = server.hear(bytes(26_214_401))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (413, "request_too_large", "file")
    assert "26,214,400" in answer.error["message"]


def test_a_day_of_silence_in_a_small_file_is_refused_by_its_length(server):
    minute = encoded("flac", "flac", np.zeros(8000 * 60, np.float32), 8000)
    answer = server.hear(repeated(minute, 1440))
    assert (answer.status, answer.error["code"]) == (400, "audio_too_long")
    assert "longer than 4 hours" in answer.error["message"]


def repeated(flac: bytes, times: int) -> bytes:
    """A FLAC file whose frames come again and again; decoders find their numbers odd and go on."""
    body = flac.index(b"\xff\xf8")
    return flac[:body] + flac[body:] * times


def test_memory_stays_bounded_for_the_largest_file(server):
    noise = np.random.default_rng(3).normal(0, 0.05, 26_000_000 // 2)
    data = wav(noise)[:26_214_400]
    assert server.hear(wav(QUIET["silence"])).status == 200
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    idle = sum(process.memory_info().rss for process in family)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, sum(process.memory_info().rss for process in family))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = server.hear(data)
    finally:
        done.set()
        watcher.join()
    assert (answer.status, answer.json["text"]) == (200, "")
    assert peak - idle < 512 * 2**20
