"""What a person passes becomes a file that can be read, or one clear error; nothing is left behind."""

import io
import os
import re
import struct
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sounds import CLIPS, RATE, encoded, samples, wav

from chatkit.exceptions import InputError
from chatkit.speech import costs, source


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.wav", "b")
    return file.getvalue()


NO_AUDIO = {
    "it is empty": b"",
    "it is text": b"Hello, this is text, not speech.\n" * 50,
    "its first bytes are those of no format that is known": bytes(range(128, 256)) * 100,
    "it is a zip archive": archive(),
}


@pytest.mark.parametrize("why", NO_AUDIO)
def test_what_holds_no_audio_is_one_typed_error(why):
    with pytest.raises(InputError, match=f"There is no audio in this file: {why}"):
        costs.measure(NO_AUDIO[why])


@pytest.mark.parametrize("data", [wav(samples())[:20], wav(samples()[:0]), encoded("flac")[:30], encoded("mp4")[:3000]])
def test_a_header_without_sound_is_one_typed_error_too(data):
    with pytest.raises(InputError, match="There is no audio in this file"):
        costs.measure(data)


def test_the_length_is_counted_in_what_can_be_heard():
    seconds = len(samples()) / RATE
    assert costs.measure(CLIPS / "english.flac") == costs.measure(str(CLIPS / "english.flac")) == seconds
    assert costs.measure(io.BytesIO(encoded("webm"))) == pytest.approx(seconds, abs=0.05)


def test_the_cost_is_that_of_the_seconds_and_nothing_is_sent():
    client = type("Client", (), {"base_url": "https://api.openai.com/v1/", "api_key": "sk-none"})()
    cost = costs.estimate_transcription(wav(np.concatenate([samples()] * 3)), model="whisper-1", client=client)
    assert cost == costs.price(3 * len(samples()) / RATE, "whisper-1", "https://api.openai.com/v1")
    assert costs.estimate_transcription(encoded("mp3"), model="nobody-knows-it", client=client) is None
    assert str(costs.price(60, "gpt-transcribe", "https://api.openai.com/v1")) == "0.0045"


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        ("https://example.org/a.mp3", "is an address, not a file"),
        ("/nowhere/a.mp3", "There is no file '/nowhere/a.mp3'"),
        ("\0", "There is no file"),
        (os.curdir, "is no file"),
        (42, "The audio is int"),
        (None, "The audio is NoneType"),
    ],
)
def test_what_cannot_be_audio_is_said_at_once(audio, says):
    with pytest.raises(InputError, match=says):
        source.check(audio)


def test_a_file_opened_as_text_is_said():
    with pytest.raises(InputError, match="gives text, not bytes"), source.opened(io.StringIO("words")):
        pass


@pytest.mark.parametrize(
    ("array", "rate", "says"),
    [
        (np.zeros(10), None, "needs its rate"),
        (np.zeros(10), 16_000.5, "whole number"),
        (np.zeros(10), "16000", "whole number"),
        (np.zeros(10), True, "whole number"),
        (np.zeros(10), float("nan"), "whole number"),
        (np.zeros(10), float("inf"), "whole number"),
        (np.zeros(10), 10**9, "whole number"),
        (np.zeros(10), np.array([16_000, 16_000]), "whole number"),
        (np.zeros((2, 2, 2)), RATE, "shape"),
        (np.zeros(0), RATE, "shape"),
        (np.array(["a"]), RATE, "type"),
        (np.zeros(10, complex), RATE, "type"),
    ],
)
def test_an_array_that_is_no_sound_is_said(array, rate, says):
    with pytest.raises(InputError, match=says):
        source.check(array, rate)


def test_samples_that_are_no_numbers_are_said():
    with pytest.raises(InputError, match="NaN"), source.opened(np.array([0.0, np.nan]), RATE):
        pass


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 16384, -32768], np.int16),
        np.array([0.0, 0.5, -1.0], np.float32),
        np.array([0, 1 << 30, -(1 << 31)], np.int32),
        np.array([128, 192, 0], np.uint8),
        np.array([[0.0, 0.5, -1.0]] * 2, np.float64),
    ],
)
def test_arrays_of_all_types_become_the_same_samples(array):
    with source.opened(array, RATE) as given:
        data = given.path.read_bytes()[44:]
    channels = 2 if array.ndim == 2 else 1
    assert np.frombuffer(data, "<i2")[::channels] == pytest.approx([0, 16384, -32768], abs=1)


@pytest.mark.parametrize(
    "rate",
    [16_000, 16_000.0, np.int64(16_000), np.int16(16_000), np.float32(16_000), np.float64(16_000), Fraction(16_000)],
)
def test_a_rate_is_a_whole_number_of_any_kind(rate):
    source.check(np.zeros(10), rate)
    with source.opened(np.zeros(RATE), rate) as given:
        assert struct.unpack("<I", given.path.read_bytes()[24:28]) == (16_000,)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("peak", [-32_768, 8_000, 255, 2.5])
def test_floats_far_beyond_one_are_refused_with_the_rule(kind, peak):
    said = f"The array's floats go up to {abs(peak):,.6g}; samples as floats are from -1 to 1. Divide them"
    with pytest.raises(InputError, match=re.escape(said)), source.opened(np.array([0, peak, 0.5], kind), RATE):
        pass


def test_floats_a_little_beyond_one_are_made_softer_and_keep_their_shape():
    with source.opened(np.array([0.75, -1.5, 0.375]), RATE) as given:
        heard = np.frombuffer(given.path.read_bytes()[44:], "<i2")
    assert heard == pytest.approx([16384, -32767, 8192], abs=1)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_integers_that_were_made_wide_keep_their_loudness(kind):
    with source.opened(np.array([0, 16384, -32768], np.int16).astype(kind), RATE) as given:
        heard = np.frombuffer(given.path.read_bytes()[44:], "<i2")
    assert heard == pytest.approx([0, 16384, -32768], abs=1)


class Once(io.RawIOBase):
    """A stream that cannot go back."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(size)


def test_a_buffer_left_at_its_end_by_what_wrote_it_is_read_whole(tmp_path):
    data = wav(samples())
    buffer = io.BytesIO()
    buffer.write(data)
    with (tmp_path / "a.wav").open("w+b") as file:
        file.write(data)
        for each in (buffer, file, Once(data)):
            with source.opened(each) as given:
                assert given.path.read_bytes() == data
    with source.opened(buffer) as again:
        assert again.size == len(data)


def test_a_buffer_in_its_middle_is_read_from_there():
    buffer = io.BytesIO(b"a head of one's own" + wav(samples()))
    buffer.seek(19)
    with source.opened(buffer) as given:
        assert given.path.read_bytes() == wav(samples())


@pytest.mark.parametrize("empty", [io.BytesIO(), Once(b"")])
def test_one_that_holds_nothing_is_empty(empty):
    said = "There is no audio in this file: it is empty. Record it again, or give another file."
    with pytest.raises(InputError, match=re.escape(said)), source.opened(empty):
        pass


def test_a_file_that_is_closed_or_only_written_is_said(tmp_path):
    shut = io.BytesIO(wav(samples()))
    shut.close()
    with (tmp_path / "a.wav").open("wb") as written:
        for each in (shut, written):
            with pytest.raises(InputError, match=r"cannot be read: .* Open it in binary mode"), source.opened(each):
                pass


@pytest.mark.parametrize(
    ("data", "way"),
    [
        (archive(), "Unpack it, and give the file with the sound."),
        (b"Hello, this is text.\n" * 50, "Give a file with sound in it."),
        (b"%PDF-1.7" + bytes(99), "Give a file with sound in it."),
        (bytes(range(128, 256)) * 100, "Convert it with another program (ffmpeg -i a.ts a.flac), or record it again."),
        (encoded("m4a")[: encoded("m4a").rindex(b"moov") - 4], "Record it again, or restore it"),
    ],
)
def test_the_way_out_is_that_of_the_reason(data, way):
    with pytest.raises(InputError, match=re.escape(way)):
        costs.measure(data)


def test_nothing_is_left_behind():
    with source.opened(encoded("mp3"), name="../../x.mp3") as given:
        folder = given.folder
        assert given.path.parent == folder
        assert (given.name, given.kind.what, given.size) == ("../../x.mp3", "MP3", len(encoded("mp3")))
    assert not folder.exists()
    assert not Path("../../x.mp3").exists()
