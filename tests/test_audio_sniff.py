"""What a file is, by its content; what it is called, by what is right."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import FORMS, encoded

from chatkit.audio.sniff import begin, clean_name, kind_of, sniff

KINDS = {
    "wav": "WAV", "flac": "FLAC", "ogg": "Ogg", "mp3": "MP3", "m4a": "M4A", "mp4": "MP4", "webm": "WebM",
    "mpga": "MPEG audio", "aiff": "AIFF", "aac": "AAC", "caf": "CAF", "mkv": "Matroska", "mov": "QuickTime", "3gp": "3GP",
    "w64": "Wave64", "au": "AU",
}  # fmt: skip


@pytest.mark.parametrize("ending", FORMS)
def test_each_container_is_known_by_its_first_bytes(ending):
    kind = sniff(encoded(ending)[:65_536])
    assert kind is not None
    assert kind.what == KINDS[ending]
    assert kind.ending in (None, ending)


def test_an_mp3_is_known_behind_a_tag_and_behind_junk():
    bare = encoded("mp3")
    bare = bare[bare.index(b"\xff\xf3") :]
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    assert sniff(tag + bare[:5000]).ending == sniff(bytes(100) + bare[:5000]).ending == sniff(tag).ending == "mp3"


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_nothing(seed):
    assert sniff(random.Random(seed).randbytes(65_536)) is None


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04", b"%PDF-1.7", b"#EXTM3U\n", b"ffconcat version 1.0\nfile x", b"RIFF"]
)
def test_what_is_no_audio_or_names_other_files_is_nothing(head):
    assert sniff(head) is None


@given(st.binary(max_size=300))
def test_no_head_breaks_the_sniffing(head):
    sniff(head)


@given(st.text())
def test_a_clean_name_is_one_plain_word_of_a_path(name):
    clean = clean_name(name, "mp3")
    assert clean.endswith(".mp3")
    assert 5 <= len(clean) <= 64
    assert not set(clean) & set('/\\<>"\n\r\0:*?|')
    assert not clean.startswith(".")
    clean.encode()


def packets(step: int, count: int = 8) -> bytes:
    """A transport stream's packets, bare, with a time before or a sum behind each."""
    before = 4 if step == 192 else 0
    chance = random.Random(step)
    return b"".join(chance.randbytes(before) + b"\x47" + chance.randbytes(step - before - 1) for _ in range(count))


@pytest.mark.parametrize("step", [188, 192, 204])
@pytest.mark.parametrize("cut", [0, 1, 100, 187])
def test_a_transport_stream_is_known_by_its_packets_wherever_it_was_caught(step, cut):
    assert sniff(packets(step)[cut:]).what == "MPEG transport stream"
    assert sniff(packets(step)[cut:]).ending is None


@pytest.mark.parametrize("data", [b"G", b"GGGG" + bytes(2000), packets(188, 2), packets(150), b"Good morning. " * 100])
def test_what_has_an_0x47_here_and_there_is_none(data):
    assert sniff(data) is None


def tag(size: int, footer: bool = False) -> bytes:
    sizes = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return (
        b"ID3\x04\x00"
        + (b"\x10" if footer else b"\0")
        + sizes
        + b"\xff" * size
        + (b"3DI" + bytes(7) if footer else b"")
    )


BEFORE = {
    "a tag": tag(300), "a picture in it": tag(2_000_000), "two": tag(70_000) + tag(3), "one with a footer": tag(500, True),
    "zeros": bytes(5_000), "many zeros": bytes(1_500_000), "a tag and zeros": tag(200) + bytes(2_000),
}  # fmt: skip


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "aac", "ogg", "m4a", "webm", "mpga", "aiff"])
def test_a_file_is_what_stands_behind_its_tags_and_zeros(before, ending):
    file = io.BytesIO(BEFORE[before] + encoded(ending))
    skipped = encoded(ending).index(b"\xff\xf3") if encoded(ending).startswith(b"ID3") else 0
    assert begin(file) == len(BEFORE[before]) + skipped
    assert kind_of(file).what == KINDS[ending]


@pytest.mark.parametrize("data", [bytes(100), bytes(3_000_000), tag(50), b"ID3", bytes(15)])
def test_tags_and_zeros_alone_are_no_sound_of_another_kind(data):
    kind = kind_of(io.BytesIO(data))
    assert kind is None or kind.what == "MP3"
