"""Sound for tests: the repo's clips as samples, any container made of them, and an endpoint that hears.

with Hearing(lambda form: whole("Hello.")) as endpoint:
    said = chatkit.transcribe(encoded("mp3"), client=endpoint.client)
assert endpoint.forms[0].name == "audio.mp3"
"""

import email
import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai
from faultserver import FaultServer, Script, Seen, reply

CLIPS = Path(__file__).parent / "audio"
RATE = 16_000
KEY = "sk-test-abcdefghijkl-wxyz"
FORMS = {  # container and codec of each ending
    "wav": ("wav", "pcm_s16le"), "flac": ("flac", "flac"), "ogg": ("ogg", "libopus"), "mp3": ("mp3", "libmp3lame"),
    "m4a": ("ipod", "aac"), "mp4": ("mp4", "aac"), "webm": ("webm", "libopus"), "mpga": ("mp2", "mp2"),
    "aiff": ("aiff", "pcm_s16be"), "aac": ("adts", "aac"), "caf": ("caf", "pcm_s16le"), "mkv": ("matroska", "pcm_s16le"),
    "mov": ("mov", "aac"), "3gp": ("3gp", "aac"), "w64": ("w64", "pcm_s16le"), "au": ("au", "pcm_s16be"),
}  # fmt: skip


@cache
def samples(clip: str = "english") -> Any:
    """A clip's samples, int16, 16,000 a second."""
    with av.open(str(CLIPS / f"{clip}.flac")) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [*container.decode(audio=0), None]
        return np.concatenate([out.to_ndarray().reshape(-1) for frame in frames for out in resampler.resample(frame)])


def text_of(clip: str) -> str:
    return (CLIPS / f"{clip}.txt").read_text(encoding="utf-8")


def silence(seconds: float) -> Any:
    return np.zeros(round(seconds * RATE), np.int16)


def tone(seconds: float, seed: int = 1) -> Any:
    """Noise as loud as speech, without a pause."""
    return np.random.default_rng(seed).integers(-6000, 6000, round(seconds * RATE)).astype(np.int16)


@cache
def encoded(ending: str, clip: str = "english") -> bytes:
    return encode(samples(clip), ending)


def encode(sound: Any, ending: str) -> bytes:
    """These samples in a container."""
    form, codec = FORMS[ending]
    file = io.BytesIO()
    rate = 48_000 if codec == "libopus" else RATE
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(stream.format.name, "mono", rate)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            out.pts = None
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))
    return file.getvalue()


def wav(sound: Any, size: int | None = None) -> bytes:
    """A WAV with the shortest header, whose length field says `size`."""
    data = sound.tobytes()
    named = len(data) if size is None else size
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", min(named + 36, 0xFFFFFFFF), b"WAVE", b"fmt ", 16, 1, 1, RATE,
                       RATE * 2, 2, 16, b"data", named)  # fmt: skip
    return head + data


@dataclass(frozen=True)
class Form:
    """One request as the endpoint saw it."""

    path: str
    fields: dict[str, list[str]]
    name: str
    mime: str
    data: bytes

    @property
    def part(self) -> int:
        """The number in the file's name, as chatkit gives it to parts."""
        return int(re.search(r"-(\d+)\.flac$", self.name)[1])

    @property
    def seconds(self) -> float:
        with av.open(io.BytesIO(self.data)) as container:
            return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def form_of(seen: Seen) -> Form:
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, list[str]] = {}
    name = mime = ""
    data = b""
    for part in email.message_from_bytes(head + seen.body).get_payload():
        key, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        if filename is None:
            fields.setdefault(str(key), []).append(part.get_payload(decode=True).decode())
        else:
            mime, data = part.get_content_type(), part.get_payload(decode=True)
            name = re.search(rb'filename="([^"]*)"', seen.body)[1].decode()
    return Form(seen.path, fields, name, mime, data)


class Hearing(FaultServer):
    """An endpoint for audio: `answer` makes the script for each form."""

    def __init__(self, answer: Callable[[Form], Script]) -> None:
        super().__init__()
        self._answer = answer
        self.forms: list[Form] = []

    def script(self) -> Script:
        self.forms.append(form_of(self.log[-1]))
        return self._answer(self.forms[-1])

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(api_key=KEY, base_url=self.url)


def whole(text: str = "Hello there.", *segments: tuple[float, float, str], **more: Any) -> Script:
    """A transcript with times."""
    segments = segments or (((0.5, 2.0, text),) if text else ())
    listed = [{"id": i, "start": a, "end": b, "text": f" {said}"} for i, (a, b, said) in enumerate(segments)]
    return reply(200, {"task": "transcribe", "text": text, "language": "english", "duration": 9.85, "segments": listed,
                       "usage": {"type": "duration", "seconds": 10}, **more})  # fmt: skip


def word(start: float, end: float, text: str) -> dict[str, Any]:
    return {"start": start, "end": end, "word": text}
