"""How long an upload lasts, by its heads: exact where they tell, None where they do not, and never zero."""

import io
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, encode, encoded, samples, silence, tone, wav
from test_local_speech import encoded as coded

from chatkit.audio import headers, length
from chatkit.audio.length import seconds

LASTS = len(samples()) / RATE


def sine(rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate * 3) / rate)


def tag(size: int) -> bytes:
    """An ID3 tag with a picture's weight of bytes."""
    return (
        b"ID3\x04\x00\x00" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + b"\xff\xfb\x90\x64" * (size // 4)
    )


def mp3(*sounds: tuple[int, int], count: bool = False) -> bytes:
    """Sounds of so many seconds one after the other at their bit rates, in one MP3 with or without a count of frames."""
    out = b""
    for number, (bit_rate, lasts) in enumerate(sounds):
        file = io.BytesIO()
        with av.open(
            file, "w", format="mp3", options={"write_xing": str(int(count)), "id3v2_version": "0"}
        ) as container:
            stream = container.add_stream("libmp3lame", rate=44_100, layout="mono")
            stream.bit_rate = bit_rate
            noise = np.random.default_rng(number).integers(-6000, 6000, (1, lasts * 44_100)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            frame.sample_rate = 44_100
            resampler = av.AudioResampler(stream.format.name, "mono", 44_100)
            for each in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(each))
            container.mux(stream.encode(None))
        out += file.getvalue()
    return out


@pytest.mark.parametrize(
    ("format", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 16_000), ("wav", "pcm_alaw", 8_000), ("wav", "adpcm_ms", 16_000), ("w64", "pcm_s16le", 16_000),
        ("flac", "flac", 44_100), ("mp3", "libmp3lame", 44_100), ("mp3", "libmp3lame", 16_000), ("mp2", "mp2", 44_100),
        ("mp4", "aac", 44_100), ("ipod", "aac", 44_100), ("ogg", "libopus", 48_000),
    ],
)  # fmt: skip
def test_a_files_head_tells_how_long_it_lasts(format: str, codec: str, rate: int) -> None:
    data = coded(format, codec, sine(rate), rate)
    assert seconds(data) == pytest.approx(3, abs=0.15)
    file = io.BytesIO(data)
    file.seek(6)
    assert seconds(file) == seconds(data)
    assert file.tell() == 6


@pytest.mark.parametrize("sounds", [((32_000, 3), (256_000, 3)), ((256_000, 3), (32_000, 3)), ((64_000, 6),)])
def test_an_mp3_without_a_count_is_counted_frame_by_frame_whatever_its_bit_rates(sounds) -> None:
    assert seconds(mp3(*sounds)) == pytest.approx(6, abs=0.2)
    assert seconds(tag(200_000) + mp3(*sounds)) == pytest.approx(6, abs=0.2)


def test_an_mp3_with_a_count_is_believed_and_is_as_long_as_its_frames() -> None:
    assert seconds(mp3((64_000, 6), count=True)) == pytest.approx(seconds(mp3((64_000, 6))), abs=0.03)


def test_a_tag_in_the_middle_of_an_mp3_and_one_behind_it_are_no_sound() -> None:
    one, two = mp3((64_000, 2)), mp3((64_000, 3))
    joined = one + tag(150_000).replace(b"\xff", b"\0") + two + b"TAG" + bytes(125)
    assert seconds(joined) == pytest.approx(5, abs=0.2)


def test_frames_beyond_those_that_are_counted_are_taken_to_be_as_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    data = mp3((64_000, 6))
    exact = seconds(data)
    monkeypatch.setattr(length, "MOST_FRAMES", 20)
    assert seconds(data) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("before", [tag(300), tag(100_000), tag(80_000) + tag(40), bytes(5000), tag(40) + bytes(5000)])
@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "m4a", "ogg"])
def test_what_stands_before_a_file_changes_nothing_of_its_length(before: bytes, ending: str) -> None:
    assert seconds(before + encoded(ending)) == seconds(encoded(ending)) == pytest.approx(LASTS, abs=0.1)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 2**31 - 4100, 2**31, 2**32 - 1, 2**32 - 37])
def test_a_wav_out_of_a_pipe_lasts_as_long_as_its_bytes(size: int) -> None:
    assert seconds(wav(tone(6), size)) == 6
    assert seconds(wav(tone(6))[: 44 + 96_000]) == 3


def test_a_wav_that_goes_on_behind_its_head_lasts_as_long_as_its_bytes() -> None:
    assert seconds(wav(tone(6), 32_000)) == 6


def with_picture(form: str, codec: str, picture: str) -> bytes:
    """Two seconds of sound beside eight of pictures."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        pictures = container.add_stream(picture, rate=5)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        for _ in range(40):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.random.default_rng(1).integers(-6000, 6000, (1, 96_000)).astype("<i2"), "s16", "mono"
        )
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.format.name, "mono", 48_000, frame_size=stream.frame_size or None)
        for each in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("form", ["mp4", "mov", "ipod"])
def test_a_film_lasts_as_long_as_its_sound(form: str) -> None:
    data = with_picture(form, "aac", "mpeg4")
    assert headers.seconds(io.BytesIO(data)) == pytest.approx(2, abs=0.1)
    assert seconds(data) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "data",
    [
        encoded("webm"), with_picture("matroska", "libopus", "mpeg4"), encode(silence(0.1), "flac")[:40], wav(tone(0)),
        encoded("ogg") + encoded("ogg"),  # two streams, one after the other
    ],
)  # fmt: skip
def test_where_no_head_tells_the_length_it_is_not_known(data: bytes) -> None:
    data = data if data[:4] != b"fLaC" else data[:21] + bytes(5) + data[26:]
    if data[:4] == b"OggS":
        data = data[: len(data) // 2] + data[len(data) // 2 :].replace(data[14:18], b"abcd")
    assert seconds(data) is None


@given(
    st.sampled_from([b"", b"RIFF1234WAVE", b"fLaC", b"OggS", b"1234ftyp", b"ID3", b"\xff\xfb", b"RF64----WAVE"]),
    st.binary(max_size=200),
)
def test_whatever_the_bytes_are_none_is_an_error(head: bytes, rest: bytes) -> None:
    length = seconds(head + rest)
    assert length is None or 0 < length < 1e7


def test_a_file_that_cannot_go_back_is_left_as_it_is() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation("tell")

    pipe = Pipe(wav(tone(1)))
    assert seconds(pipe) is None
    assert pipe.read() == wav(tone(1))


def test_the_first_fields_of_a_head_that_is_cut_off_are_no_length() -> None:
    assert [seconds(encoded(ending)[:18]) for ending in ("wav", "flac", "m4a", "ogg")] == [None] * 4
    assert seconds(struct.pack(">I4s", 8, b"moov") + b"ftyp") is None
