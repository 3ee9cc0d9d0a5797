"""What a header claims of rates and lengths is not taken at its word; what is too long is said to be that."""

import io
import signal
import struct
import sys

import pytest
from sounds import RATE, encode, encoded, silence, tone

from chatkit.audio import child
from chatkit.audio import length as audio_length
from chatkit.audio.decode import Allowed, Decoded, blocks
from chatkit.exceptions import InputError
from chatkit.local.sound import Sound
from chatkit.local.validation import ApiError
from chatkit.speech import costs, source

DAY = 24 * 3600


def wav(
    rate: int, bytes_a_second: int | None = None, data: bytes = bytes(64_000), kind: int = 1, size: int | None = None
):
    told = rate * 2 if bytes_a_second is None else bytes_a_second
    head = struct.pack("<IHHIIHH", 16, kind, 1, rate, told & 0xFFFFFFFF, 2, 16)
    size = len(data) if size is None else size
    return (
        b"RIFF"
        + struct.pack("<I", min(size + 36, 0xFFFFFFFF))
        + b"WAVEfmt "
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def flac(seconds: float, size: int = 0) -> bytes:
    """A second of sound whose header tells of more, in a file of at least `size` bytes."""
    data = bytearray(encode(tone(1), "flac"))
    packed = int.from_bytes(data[18:26], "big")
    data[18:26] = (packed >> 36 << 36 | round(seconds * RATE)).to_bytes(8, "big")
    return bytes(data) + bytes(max(0, size - len(data)))


# --- rates


@pytest.mark.parametrize("rate", [1, 3, 50, 999, 768_001, 2_000_000, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_said_and_no_length_is_made_of_it(rate: int):
    data = wav(rate)
    assert audio_length.seconds(data) is None
    with pytest.raises(InputError, match=f"There is no audio in this file: its header says {rate:,} samples a second"):
        costs.measure(data)
    with pytest.raises(ApiError, match=f"header says {rate:,} samples a second, which no recording has"):
        Sound(data).length()


@pytest.mark.parametrize("rate", [0, 2**32 - 1])
def test_a_rate_that_no_program_reads_is_no_sound(rate: int):
    assert audio_length.seconds(wav(rate)) is None
    with pytest.raises(InputError):
        costs.measure(wav(rate))
    with pytest.raises(ApiError):
        Sound(wav(rate)).length()


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 44_100, 96_000, 192_000])
def test_rates_of_real_recordings_are_taken(rate: int):
    length = 32_000 / rate
    assert audio_length.seconds(wav(rate)) == pytest.approx(length)
    assert costs.measure(wav(rate)) == pytest.approx(length, abs=0.01)
    assert Sound(wav(rate)).length() == pytest.approx(length, abs=0.01)


@pytest.mark.parametrize("told", [0, 1, 6, 2_000, 64_000, 2**32 - 1])
@pytest.mark.parametrize("kind", [1, 0xFFFE])
def test_the_bytes_a_second_of_plain_samples_are_reckoned_not_believed(told: int, kind: int):
    assert audio_length.seconds(wav(16_000, told, kind=kind)) == 2


def test_a_false_count_of_bytes_a_second_is_no_damage():
    seen = Decoded()
    assert sum(len(block) for block in blocks(io.BytesIO(wav(16_000, 2_000)), seen, Allowed("wav"))) == 32_000
    assert (seen.promised, seen.damaged_at) == (2.0, None)


@pytest.mark.parametrize("rate", [1, 3, 999, 800_000])
def test_a_flac_and_an_ogg_of_such_a_rate_have_no_length(rate: int):
    data = bytearray(flac(1))
    packed = int.from_bytes(data[18:26], "big")
    data[18:26] = (rate << 44 | packed & (2**44 - 1)).to_bytes(8, "big")
    assert audio_length.seconds(bytes(data)) is None
    ogg = b"OggS" + bytes(22) + b"\x01\x1e" + b"\x01vorbis" + bytes(5) + struct.pack("<I", rate)
    assert audio_length.seconds(ogg + bytes(100) + b"OggS\0\0" + struct.pack("<q", 999) + bytes(20)) is None


# --- lengths


@pytest.mark.parametrize("seconds", [3600, DAY, 40 * 3600, 10**6])
def test_more_seconds_than_the_bytes_can_hold_say_nothing(seconds: float):
    assert audio_length.seconds(flac(seconds)) is None
    assert audio_length.seconds(flac(1)) == 1
    assert costs.measure(flac(seconds)) == pytest.approx(1, abs=0.01)


def test_an_hour_of_silence_in_a_small_file_is_believed():
    data = encode(silence(600), "flac")
    assert len(data) < 200_000
    assert audio_length.seconds(data) == 600


@pytest.mark.parametrize(("hours", "told"), [(40, "40:00:00"), (30, "30:00:00"), (25, "25:00:00")])
def test_a_file_that_is_too_long_by_its_header_is_refused_before_it_is_decoded(hours: int, told: str):
    data = flac(hours * 3600, hours * 3600 * 50)
    with pytest.raises(InputError, match="^24 hours of audio are the most") as refused:
        costs.measure(data)
    assert str(refused.value) == (
        f"24 hours of audio are the most that are taken, and this file lasts {told}, by its header. "
        "Cut it into parts, and give them one by one."
    )


def test_a_wav_whose_header_has_the_greatest_length_is_taken_by_its_bytes():
    data = wav(16_000, data=bytes(3_200_000), size=0xFFFFFFF0)
    assert (audio_length.seconds(data), costs.measure(data)) == (100, 100)


LITTLE = """
from chatkit.audio import child, decode
decode.LONGEST = 1
child.main()
"""


def test_a_file_without_a_length_that_does_not_end_is_told_too_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "COMMAND", (sys.executable, "-c", LITTLE))
    with pytest.raises(
        InputError, match="24 hours of audio are the most that are taken, and this file is longer than that"
    ):
        costs.measure(encoded("aac"))


@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="the limit is POSIX's")
def test_a_child_whose_processor_time_is_over_is_told_as_that(monkeypatch: pytest.MonkeyPatch):
    code = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 6))\nwhile True: pass"
    monkeypatch.setattr(source, "COMMAND", (sys.executable, "-c", code))
    with pytest.raises(InputError, match="took more than 30 minutes of processor time, and was given up. Cut it"):
        costs.measure(encoded("mp3"))
    assert source.OUT_OF_TIME == signal.SIGXCPU


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_the_childs_own_limit_ends_it_by_the_signal_that_tells(monkeypatch: pytest.MonkeyPatch):
    import resource

    said: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", said.__setitem__)
    child.limit()
    soft, hard = said[resource.RLIMIT_CPU]
    assert child.SECONDS <= soft < (2**63 if hard == resource.RLIM_INFINITY else hard)
