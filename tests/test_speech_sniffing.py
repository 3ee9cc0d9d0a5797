"""What a file is, by its content; what it is called, by what is right."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import FORMS, encoded

from chatkit.speech.sniffing import clean_name, sniff

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
