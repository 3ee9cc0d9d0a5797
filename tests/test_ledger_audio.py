"""Speech on the books: both verbs, every format, streams and cancelled calls; the length of what was sent."""

import io
import itertools
import re
import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ledger_meter import Bench, says, streams
from test_local_speech import encoded

from chatkit.ledger.audio_length import seconds
from chatkit.ledger.store import UsageStore

WAV = b"RIFF\x24\xee\x02\x00WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16) + b"data\x00\xee\x02\x00"
WAV += bytes(192_000)
"""Six seconds."""
TRANSCRIPTIONS = "https://api.openai.com/v1/audio/transcriptions"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    yield store
    store.close()


def hears(bench: Bench, **data: str) -> httpx2.Response:
    return bench.client.post(TRANSCRIPTIONS, data={"model": "whisper-1", **data}, files={"file": ("a.wav", WAV)})


@pytest.mark.parametrize("text", ["hi\n", "", "1\n00:00:00,000 --> 00:00:02,500\nhi\n"])
def test_where_the_answer_does_not_say_the_uploaded_file_tells_its_length(store: UsageStore, text: str) -> None:
    bench = Bench(store, says(text=text))
    assert hears(bench, response_format="text").text == text
    assert (bench.row.usage.audio_seconds, bench.row.usage.known) == (6, "estimated")
    assert (bench.row.outcome, bench.row.usage.cost) == ("complete", Decimal("0.0006"))


def test_what_the_answer_says_counts_more_than_the_file(store: UsageStore) -> None:
    bench = Bench(store, says(json={"text": "hi", "usage": {"type": "duration", "seconds": 5}}))
    hears(bench)
    assert (bench.row.usage.audio_seconds, bench.row.usage.known) == (5, "measured")


@pytest.mark.parametrize("seconds", ["5.25", "nan", "-1", "soon", ""])
def test_the_head_of_an_answer_may_name_seconds_and_model(store: UsageStore, seconds: str) -> None:
    head = {"x-audio-seconds": seconds, "openai-model": "whisper-base"}
    bench = Bench(store, says(text="hi\n", headers=head), free=True)
    hears(bench, response_format="text")
    expected = (5.25, "measured") if seconds == "5.25" else (6, "estimated")
    assert (bench.row.usage.audio_seconds, bench.row.usage.known) == expected
    assert (bench.row.model, bench.row.answered_model, bench.row.usage.cost) == ("whisper-1", "whisper-base", 0)


DELTA = b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"hi"}\n\n'
HEARD = b'event: transcript.text.done\ndata: {"type":"transcript.text.done","text":"hi"%b}\n\n'


@pytest.mark.parametrize(
    ("body", "outcome", "seconds", "known"),
    [
        (DELTA + HEARD % b',"duration":5.5', "complete", 5.5, "measured"),
        (DELTA + HEARD % b"", "complete", 6, "estimated"),
        (DELTA, "incomplete", 6, "estimated"),
        (DELTA + b'event: error\ndata: {"type":"error","error":{"code":"x"}}\n\n', "error", None, "unknown"),
    ],
)
def test_a_streamed_transcription_is_a_row_however_it_ends(
    store: UsageStore, body: bytes, outcome: str, seconds: float | None, known: str
) -> None:
    bench = Bench(store, streams(body))
    assert hears(bench, stream="true").content == body
    row = bench.row
    assert (row.outcome, row.streamed, row.usage.audio_seconds, row.usage.known) == (outcome, True, seconds, known)


def test_a_transcription_that_is_given_up_counts_the_audio_that_was_sent(store: UsageStore) -> None:
    bench = Bench(store, streams(DELTA, DELTA))
    form = {"data": {"model": "whisper-1", "stream": "true"}, "files": {"file": ("a.wav", WAV)}}
    with bench.client.stream("POST", TRANSCRIPTIONS, **form) as response:
        next(response.iter_raw())
    assert (bench.row.outcome, bench.row.usage.audio_seconds, bench.row.usage.known) == ("cancelled", 6, "estimated")


@pytest.mark.parametrize(
    ("error", "outcome", "used"),
    [
        (KeyboardInterrupt(), "cancelled", (6, "estimated")),
        (httpx2.ReadTimeout("late"), "error", (None, "unknown")),
        (httpx2.ConnectError("nobody"), "error", (None, "measured")),
    ],
)
def test_a_transcription_that_ends_before_its_answer_is_a_row(
    store: UsageStore, error: BaseException, outcome: str, used: tuple[float | None, str]
) -> None:
    def fails(_: httpx2.Request) -> httpx2.Response:
        raise error

    bench = Bench(store, fails)
    with pytest.raises(type(error)):
        hears(bench)
    assert (bench.row.outcome, (bench.row.usage.audio_seconds, bench.row.usage.known)) == (outcome, used)


@pytest.mark.parametrize(("status", "known"), [(400, "measured"), (413, "measured"), (500, "unknown")])
def test_a_refused_transcription_used_nothing(store: UsageStore, status: int, known: str) -> None:
    bench = Bench(store, says(status, json={"error": {"code": "x"}}))
    hears(bench)
    assert (bench.row.outcome, bench.row.usage.audio_seconds, bench.row.usage.known) == ("error", None, known)


def tone(rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate * 3) / rate)


@pytest.mark.parametrize(
    ("format", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 16_000), ("flac", "flac", 44_100), ("mp3", "libmp3lame", 44_100),
        ("mp3", "libmp3lame", 16_000), ("mp4", "aac", 44_100), ("ipod", "aac", 44_100), ("ogg", "libopus", 48_000),
    ],
)  # fmt: skip
def test_a_files_head_tells_how_long_it_lasts(format: str, codec: str, rate: int) -> None:
    data = encoded(format, codec, tone(rate), rate)
    assert seconds(data) == pytest.approx(3, abs=0.15)
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    assert seconds(file) == seconds(data)
    assert file.tell() == 6


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_mp3_without_a_count_of_frames_is_reckoned_by_its_bitrate(rate: int) -> None:
    data = encoded("mp3", "libmp3lame", tone(rate), rate)
    sync = data[data.index(b"\xff") :][:2]
    _, second = (match.start() for match in itertools.islice(re.finditer(re.escape(sync), data), 2))
    assert seconds(data[second:]) == pytest.approx(3, abs=0.2)


def test_a_wav_of_unknown_length_lasts_as_long_as_its_bytes() -> None:
    assert seconds(WAV.replace(b"data\x00\xee\x02\x00", b"data\xf0\xff\xff\xff")) == 6
    assert seconds(WAV[:96_044]) == 3


@given(
    st.sampled_from([b"", b"RIFF1234WAVE", b"fLaC", b"OggS", b"1234ftyp", b"ID3", b"\xff\xfb"]), st.binary(max_size=200)
)
def test_whatever_the_bytes_are_none_is_an_error(head: bytes, rest: bytes) -> None:
    length = seconds(head + rest)
    assert length is None or 0 <= length < 1e7


def test_a_file_that_cannot_go_back_is_left_as_it_is() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation("tell")

    pipe = Pipe(WAV)
    assert seconds(pipe) is None
    assert pipe.read() == WAV
