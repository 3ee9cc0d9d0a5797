"""A file is opened whatever its tags are written in, by each PyAV that is allowed; only a bad file is called bad."""

import io

import av
import numpy as np
import pytest
from sounds import CLIPS, FORMS, samples

from chatkit.audio import decode
from chatkit.local.sound import RATE, Sound
from chatkit.speech import costs

TITLE = b"Gruesse aus Koeln"
LATIN = "Grüße aus Köln, ñ".encode("latin-1")  # as long, and no UTF-8


def tagged(ending: str, title: bytes) -> bytes:
    """A file whose title is these bytes: put there after PyAV wrote it, since that writes UTF-8."""
    form, codec = FORMS[ending]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        container.metadata["title"] = TITLE.decode()
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(stream.format.name, "mono", RATE)
        frame = av.AudioFrame.from_ndarray(samples().reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))
    data = file.getvalue()
    assert data.count(TITLE) == 1
    return data.replace(TITLE, title)


@pytest.mark.parametrize("ending", ["wav", "flac", "m4a", "mp3"])
@pytest.mark.parametrize("title", [LATIN, b"\xff\xfe" * 8 + b"\xff", b"\xed\xa0\x80" * 5 + b"ab", b"\x80" * 17])
def test_tags_that_are_not_utf_8_keep_no_file_from_being_heard(ending, title):
    assert len(title) == len(TITLE)
    with pytest.raises(UnicodeDecodeError):
        title.decode()
    data = tagged(ending, title)
    seconds = len(samples()) / RATE
    assert costs.measure(data) == pytest.approx(seconds, abs=0.1)
    sound = Sound(data)
    assert len(np.concatenate([*sound.pieces()])) / RATE == pytest.approx(seconds, abs=0.1)
    assert sound.damaged_after is None


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x00" * 5000, (CLIPS / "english.flac").read_bytes()[:20]])
def test_a_bad_file_raises_one_of_the_faults_that_bad_files_raise(data):
    with pytest.raises(decode.FAULTS):
        decode.opened(io.BytesIO(data), {})


@pytest.mark.parametrize("ours", [TypeError("unexpected keyword"), ValueError("bad value"), AttributeError("gone")])
def test_a_fault_of_ours_is_none_of_those(monkeypatch, ours):
    def broken(*_: object, **__: object) -> None:
        raise ours

    monkeypatch.setattr(av, "open", broken)
    with pytest.raises(type(ours), match=str(ours)):
        Sound((CLIPS / "english.flac").read_bytes()).length()
