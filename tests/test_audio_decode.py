"""What is in a file is heard: all of it, of the track that has it, and its end is called damaged only where it is."""

import io
import struct

import av
import numpy as np
import pytest
from sounds import RATE, encode, encoded, samples, silence, tone
from test_audio_length import tag, with_picture

from chatkit.audio.decode import Allowed, Decoded, NoAudioError, blocks, counted, track_with_sound
from chatkit.audio.sniff import kind_of
from chatkit.local.sound import Sound
from chatkit.local.validation import ApiError

LASTS = len(samples()) / RATE


def decoded(data: bytes, track: int = 0) -> Decoded:
    file, seen = io.BytesIO(data), Decoded()
    kind = kind_of(file)
    assert kind is not None
    assert sum(map(len, blocks(file, seen, Allowed(kind.demuxer), track))) == seen.samples
    return seen


def tracks(form: str, *sounds: np.ndarray, codec: str = "aac") -> bytes:
    """A file with a sound track for each of these."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        rate = {"ac3": 48_000, "eac3": 48_000, "adpcm_g726": 8_000}.get(codec, RATE)
        streams = [container.add_stream(codec, rate=rate, layout="mono") for _ in sounds]
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = RATE
            resampler = av.AudioResampler(stream.format.name, "mono", rate)
            for each in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(each))
            container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "codec", "picture"),
    [
        ("webm", "libopus", "libvpx"), ("matroska", "aac", "mpeg4"), ("mp4", "aac", "mpeg4"), ("mov", "aac", "mpeg4"),
        ("avi", "mp2", "mpeg4"), ("asf", "wmav2", "msmpeg4v3"), ("mpegts", "mp2", "mpeg2video"),
    ],
)  # fmt: skip
def test_pictures_that_go_on_behind_the_sound_do_no_damage_to_it(form, codec, picture):
    seen = decoded(with_picture(form, codec, picture))
    assert (round(seen.seconds), seen.damaged_at) == (2, None)


@pytest.mark.parametrize(("form", "codec"), [("mpegts", "aac"), ("mpegts", "mp2"), ("mpegts", "ac3")])
def test_a_transport_stream_of_sound_alone_is_heard_whole_from_wherever_it_was_caught(form, codec):
    data = tracks(form, tone(3), codec=codec)
    for caught in (data, data[100:]):
        assert decoded(caught).seconds == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    "before", [tag(100_000), tag(1_000_000), tag(70_000) + tag(40), bytes(5_000), bytes(100_000), tag(40) + bytes(500)]
)
@pytest.mark.parametrize("ending", ["mp3", "flac", "aac", "wav", "ogg", "m4a", "webm"])
def test_what_stands_before_the_sound_keeps_none_of_it_from_being_heard(before, ending):
    seen = decoded(before + encoded(ending))
    assert (seen.damaged_at, seen.hidden) == (None, True)
    assert seen.seconds == pytest.approx(LASTS, abs=0.1)
    if ending != "aac":
        sound = Sound(before + encoded(ending))
        assert sound.length() == pytest.approx(LASTS, abs=0.1)
        assert sum(map(len, sound.pieces())) / RATE == pytest.approx(LASTS, abs=0.1)


@pytest.mark.parametrize(("form", "codec"), [("mp4", "aac"), ("matroska", "aac"), ("mpegts", "mp2"), ("avi", "mp2")])
def test_the_first_track_in_which_something_is_heard_is_found(form, codec):
    data = tracks(form, silence(3), silence(3), tone(2), codec=codec)
    kind = kind_of(io.BytesIO(data))
    assert kind is not None
    assert track_with_sound(io.BytesIO(data), Allowed(kind.demuxer)) == 2
    seen = decoded(data, 2)
    assert (seen.tracks, seen.damaged_at) == (3, None)
    assert seen.seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("sounds", [(silence(1), silence(1)), (tone(1), tone(1)), (tone(1),)])
def test_where_all_are_silent_or_the_first_is_not_it_is_the_first(sounds):
    assert track_with_sound(io.BytesIO(tracks("mp4", *sounds)), Allowed("mov")) == 0


def test_a_track_that_is_not_there_is_said():
    with pytest.raises(NoAudioError, match="sound track 3 was asked for, and it has 2"):
        decoded(tracks("mp4", tone(1), tone(1)), 2)


def test_the_local_server_hears_the_track_that_has_sound_too():
    sound = Sound(tracks("mp4", silence(3), tone(2)))
    assert sound.length() == pytest.approx(2, abs=0.2)
    assert max(float(np.abs(piece).max()) for piece in sound.pieces()) > 0.1


def gsm(seconds: float) -> bytes:
    """A WAV of GSM frames as sox writes them, its last block short: 65 bytes are 320 samples of 8,000 a second."""
    whole = int(seconds * 25)
    block = b"\x00" * 65
    data = block * whole + block[:33]
    form = struct.pack("<IHHIIHHHH", 20, 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    head = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def test_a_last_packet_that_is_too_short_for_its_codec_is_no_damage():
    seen = decoded(gsm(3))
    assert (round(seen.seconds, 1), seen.damaged_at) == (3.0, None)


def test_packets_that_are_missing_at_the_end_are():
    data = gsm(6)
    assert decoded(data[: len(data) // 2]).damaged_at == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("data", [encoded("m4a"), encoded("mp4"), encoded("mov"), encoded("3gp")])
def test_a_recording_that_was_not_closed_is_told_as_that(data):
    end = data.rindex(b"moov") - 4
    assert end > len(data) // 2
    for cut in (data[:end], data[: end // 2]):
        with pytest.raises(
            NoAudioError, match=r"^the recording was not closed, or its end is cut off: .*\(moov\) is missing"
        ):
            decoded(cut)


def test_what_is_no_recording_at_all_is_not_called_unclosed():
    with pytest.raises(NoAudioError, match="its header cannot be read"):
        decoded(encoded("m4a")[:16] + bytes(5000))


@pytest.mark.parametrize(("form", "what"), [("adts", "AAC"), ("mpegts", "MPEG transport stream"), ("aiff", "AIFF")])
def test_the_local_server_says_what_a_file_is_that_it_does_not_take(form, what):
    data = tracks(form, tone(2), codec="pcm_s16be" if form == "aiff" else "aac")
    with pytest.raises(ApiError, match=f"no audio file of a kind that is taken .*: it is {what}; convert it"):
        Sound(data).length()


def test_seconds_are_counted_without_decoding_too():
    for ending in ("wav", "flac", "mp3", "m4a", "webm"):
        kind = kind_of(io.BytesIO(encoded(ending)))
        assert kind is not None
        assert counted(io.BytesIO(encoded(ending)), Allowed(kind.demuxer)) == pytest.approx(LASTS, abs=0.1)
    assert counted(io.BytesIO(encode(tone(2), "flac")), Allowed("flac")) == 2
