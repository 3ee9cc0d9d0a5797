"""Speech on the books: both verbs, every format, streams and cancelled calls; the length of what was sent."""

import io
import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from test_ledger_meter import Bench, says, streams

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


def headed(size: int, seconds: int) -> bytes:
    """A WAV whose head tells of `size` bytes, and so many seconds of sound."""
    return WAV[:40] + struct.pack("<I", size) + bytes(32_000 * seconds)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 32_000])
def test_a_recording_whose_head_knows_no_length_costs_what_its_bytes_last(store: UsageStore, size: int) -> None:
    bench = Bench(store, says(text="hi"))
    files = {"file": ("a.wav", headed(size, 60))}
    bench.client.post(TRANSCRIPTIONS, data={"model": "whisper-1", "response_format": "text"}, files=files)
    assert (bench.row.usage.audio_seconds, bench.row.usage.cost) == (60, Decimal("0.006"))


@pytest.mark.parametrize("data", [headed(0, 0), b"", b"\x1a\x45\xdf\xa3" + bytes(5000), b"no sound" * 99])
def test_a_length_that_is_not_known_has_no_cost_and_is_never_free(store: UsageStore, data: bytes) -> None:
    bench = Bench(store, says(text="hi"))
    files = {"file": ("a.webm", data)}
    bench.client.post(TRANSCRIPTIONS, data={"model": "whisper-1", "response_format": "text"}, files=files)
    assert (bench.row.usage.audio_seconds, bench.row.usage.cost, bench.row.usage.known) == (None, None, "unknown")


def test_a_buffer_at_its_end_is_booked_as_the_whole_that_is_sent(store: UsageStore) -> None:
    sent = []
    bench = Bench(store, lambda request: (sent.append(request.read()), httpx2.Response(200, text="hi"))[1])
    buffer = io.BytesIO()
    buffer.write(WAV)
    bench.client.post(TRANSCRIPTIONS, data={"model": "whisper-1"}, files={"file": ("a.wav", buffer)})
    assert WAV in sent[0]
    assert bench.row.usage.audio_seconds == 6
