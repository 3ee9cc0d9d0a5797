"""Files that are not what a reader takes them for: heard whole, sent so that they are heard so, and said."""

import numpy as np
import pytest
from sounds import RATE, Hearing, encoded, samples, silence, tone, wav, whole
from test_audio_decode import tracks
from test_audio_length import tag, with_picture

import chatkit
from chatkit.exceptions import InputError
from chatkit.speech import job

MODEL = "whisper-1"


def sent(data: object, **more: object):
    """The transcript, and the forms that went out for it."""
    with Hearing(lambda form: whole()) as endpoint:
        said = chatkit.transcribe(data, model=MODEL, client=endpoint.client, progress=False, **more)
    return said, endpoint.forms


def stereo(left: np.ndarray, right: np.ndarray) -> bytes:
    data = bytearray(wav(np.stack([left, right]).T.reshape(-1)))
    data[22:24], data[28:32], data[32:34] = b"\2\0", (RATE * 4).to_bytes(4, "little"), b"\4\0"
    return bytes(data)


@pytest.mark.parametrize("told", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_a_wav_out_of_a_pipe_goes_out_as_it_is_and_nothing_is_said_of_it(told):
    said, [form] = sent(wav(tone(2), told))
    assert (said.notes, said.duration, form.name, form.data) == ((), 2, "audio.wav", wav(tone(2), told))


def test_a_wav_that_goes_on_behind_its_head_is_sent_so_that_all_of_it_is_heard():
    said, [form] = sent(wav(tone(3), RATE * 2))
    assert said.notes == ("the file goes on behind the length that its header names: all of it was heard",)
    assert (said.duration, form.name) == (3, "audio.flac")
    assert form.seconds == pytest.approx(3)


@pytest.mark.parametrize(("form", "codec", "picture"), [("webm", "libopus", "libvpx"), ("mp4", "aac", "mpeg4")])
def test_a_screen_recording_goes_out_as_it_is(form, codec, picture):
    data = with_picture(form, codec, picture)
    said, [seen] = sent(data)
    assert (said.notes, seen.data) == ((), data)


def test_of_two_sound_tracks_the_one_with_sound_is_sent_and_said():
    said, [form] = sent(tracks("mp4", silence(3), tone(2)))
    assert said.notes == ("the file has 2 sound tracks: number 2 was heard; track= chooses another",)
    assert form.seconds == pytest.approx(2, abs=0.2)


def test_of_two_with_sound_it_is_the_first_and_still_said_and_another_can_be_chosen():
    data = tracks("mov", tone(3), tone(2))
    said, [form] = sent(data)
    assert said.notes[0] == "the file has 2 sound tracks: number 1 was heard; track= chooses another"
    assert form.seconds == pytest.approx(3, abs=0.2)
    said, [form] = sent(data, track=2)
    assert said.notes[0] == "the file has 2 sound tracks: number 2 was heard; track= chooses another"
    assert form.seconds == pytest.approx(2, abs=0.2)


def test_where_all_tracks_are_silent_that_is_said_and_nothing_is_sent():
    said, forms = sent(tracks("mp4", silence(2), silence(2)))
    assert (forms, said.notes) == ([], ("the file has 2 sound tracks: all are silent", "no speech found"))


@pytest.mark.parametrize("track", [0, -1, 1.0, "2", True])
def test_a_track_is_a_number_from_1(track):
    with pytest.raises(InputError, match="It is the number of a sound track in the file, from 1"):
        job.start("transcribe", encoded("mp3"), track=track)


def test_a_track_that_is_not_there_is_refused_before_anything_is_sent():
    with (
        Hearing(lambda form: whole()) as endpoint,
        pytest.raises(InputError, match="sound track 2 was asked for, and it has 1"),
    ):
        chatkit.transcribe(encoded("m4a"), model=MODEL, client=endpoint.client, progress=False, track=2)
    assert endpoint.forms == []


def test_stereo_of_which_one_cable_is_inverted_is_sent_as_it_was_heard():
    said, [form] = sent(stereo(samples(), -samples()))
    assert said.notes == ("the channels of this file cancel each other in a mix: the loudest was heard by itself",)
    assert (said.text, form.name) == ("Hello there.", "audio.flac")
    assert form.seconds == pytest.approx(len(samples()) / RATE, abs=0.01)


def test_stereo_as_it_should_be_goes_out_as_it_is():
    data = stereo(samples(), samples() // 2)
    said, [form] = sent(data)
    assert (said.notes, form.data) == ((), data)


@pytest.mark.parametrize(
    ("form", "codec", "note"),
    [
        ("mp4", "ac3", "the API takes no ac3 in MP4: it was sent as FLAC"),
        ("mp4", "eac3", "the API takes no eac3 in MP4: it was sent as FLAC"),
        ("wav", "adpcm_g726", "the API takes no g726 in WAV: it was sent as FLAC"),
        ("mpegts", "aac", "the API takes no MPEG transport stream: it was sent as FLAC"),
    ],
)  # fmt: skip
def test_what_the_api_does_not_take_is_sent_as_flac_whatever_its_container(form, codec, note):
    said, [seen] = sent(tracks(form, tone(2), codec=codec))
    assert said.notes == (note,)
    assert (seen.name, seen.mime) == ("audio.flac", "audio/flac")
    assert seen.seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("ending", ["flac", "wav", "ogg"])
def test_a_tag_of_another_format_before_a_file_is_left_out_of_what_is_sent(ending):
    said, [form] = sent(tag(100_000) + encoded(ending))
    assert (said.notes, form.data[:4]) == ((), b"fLaC")


def test_a_tag_before_an_mp3_belongs_to_it():
    data = tag(100_000) + encoded("mp3")[encoded("mp3").index(b"\xff\xf3") :]
    assert sent(data)[1][0].data == data
