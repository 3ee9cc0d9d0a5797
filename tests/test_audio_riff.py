"""The head of a WAV says how long it is, or does not; what is taken for a chunk stands where chunks stand."""

import io
import struct

import pytest
from sounds import RATE, encode, tone

from chatkit.audio import headers
from chatkit.audio.decode import Allowed, Decoded, blocks
from chatkit.audio.sniff import kind_of

PCM = tone(3).tobytes()
LONG = len(PCM)
FORMAT = struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
BEXT = b"bext" + struct.pack("<I", 602) + b"the data of today" + bytes(585)
LIST = b"LIST" + struct.pack("<I", 20) + b"INFOICMT" + struct.pack("<I", 8) + b"data\0\1\0\0"


def wav(told: int = LONG, before: bytes = b"", behind: bytes = b"", pcm: bytes = PCM) -> bytes:
    head = b"RIFF" + struct.pack("<I", min(told + 36, 0xFFFFFFFF)) + b"WAVE" + before + b"fmt " + FORMAT
    return head + b"data" + struct.pack("<I", told) + pcm + behind


def rf64(told: int = LONG, name: bytes = b"RF64", pcm: bytes = PCM) -> bytes:
    sizes = b"ds64" + struct.pack("<IQQQI", 28, told + 72, told, 0, 0)
    return name + b"\xff\xff\xff\xffWAVE" + sizes + b"fmt " + FORMAT + b"data\xff\xff\xff\xff" + pcm


def rifx() -> bytes:
    head = struct.pack(">4sI4s4sIHHIIHH4sI", b"RIFX", LONG + 36, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16,
                       b"data", LONG)  # fmt: skip
    return head + tone(3).byteswap().tobytes()


def decoded(data: bytes) -> Decoded:
    file, seen = io.BytesIO(data), Decoded()
    kind = kind_of(file)
    assert kind is not None
    assert sum(map(len, blocks(file, seen, Allowed(kind.demuxer)))) == seen.samples
    return seen


def head_of(data: bytes) -> headers.Wav:
    head = headers.read(io.BytesIO(data))
    assert head is not None
    return head


WHOLE = {
    "as it should be": wav(),
    "chunks behind": wav(behind=LIST),
    "data in bext": wav(before=BEXT),
    "data in LIST": wav(before=LIST),
    "an odd chunk": wav(before=b"junk\x03\0\0\0abc\0"),
    "junk of 70 kB": wav(before=b"JUNK" + struct.pack("<I", 70_000) + b"data" * 17_500),
    "a tag behind": wav(behind=b"TAG" + bytes(125)),
    "RF64": rf64(),
    "BW64": rf64(name=b"BW64"),
    "RIFX": rifx(),
    "Wave64": encode(tone(3), "w64"),
}


@pytest.mark.parametrize("which", WHOLE)
def test_a_whole_wav_of_any_kind_is_heard_whole_and_is_not_called_damaged(which):
    seen, head = decoded(WHOLE[which]), head_of(WHOLE[which])
    assert (seen.seconds, seen.damaged_at, seen.holds_more) == (3, None, False)
    assert head.promised == pytest.approx(3, abs=0.001)
    assert head.seconds == pytest.approx(3, abs=0.001)


@pytest.mark.parametrize(
    "told",
    [0, 0x7FFFF000, 0x7FFFF000 - 4, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000, 0x80000000 - 44, 0xFFFFFFFF, 0xFFFFFFFE,
     0xFFFFFFFF - 36, 0xFFFFFFFF - 44],
)  # fmt: skip
def test_a_length_that_a_program_wrote_into_a_pipe_says_nothing(told):
    seen, head = decoded(wav(told)), head_of(wav(told))
    assert (seen.seconds, seen.damaged_at, seen.holds_more) == (3, None, False)
    assert (head.promised, head.seconds) == (None, 3)


def test_both_lengths_the_same_near_the_greatest_say_nothing_either():
    data = bytearray(wav(0xFFFFFFF0))
    assert head_of(bytes(data)).promised > 100_000
    data[4:8] = (0xFFFFFFF0).to_bytes(4, "little")
    assert (head_of(bytes(data)).promised, head_of(bytes(data)).seconds) == (None, 3)


@pytest.mark.parametrize("data", [rf64(0), wav(0, before=BEXT)])
def test_nor_does_one_that_was_never_filled_in_behind_other_chunks(data):
    assert (decoded(data).seconds, decoded(data).damaged_at, head_of(data).seconds) == (3, None, 3)


CUT = {
    "by half": wav(pcm=PCM[: LONG // 2]),
    "with data in bext": wav(before=BEXT, pcm=PCM[: LONG // 2]),
    "RF64": rf64(pcm=PCM[: LONG // 2]),
    "of 3 GB": wav(3 * 10**9, pcm=PCM[: LONG // 2]),
}


@pytest.mark.parametrize("which", CUT)
def test_a_wav_that_is_cut_off_is_still_called_so(which):
    seen = decoded(CUT[which])
    assert (seen.seconds, seen.damaged_at, head_of(CUT[which]).seconds) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("data", [wav(LONG // 3), rf64(LONG // 3), wav(LONG // 3, before=BEXT)])
def test_sound_behind_what_the_head_says_is_heard_and_told(data):
    seen, head = decoded(data), head_of(data)
    assert (seen.seconds, seen.damaged_at, seen.holds_more) == (3, None, True)
    assert (head.promised, head.seconds) == (1, 3)


@pytest.mark.parametrize("behind", [LIST, b"\0" * 100, b"TAG" + bytes(125), BEXT + LIST])
def test_what_stands_behind_the_sound_is_none(behind):
    assert head_of(wav(behind=behind)).holds_more is False


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", wav()[:40], b"RIFF1234WAVEdata" + bytes(99), wav().replace(FORMAT, bytes(20))]
)
def test_what_has_no_head_of_a_wav_has_none(data):
    assert headers.read(io.BytesIO(data)) is None
