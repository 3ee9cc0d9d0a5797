"""Annexe: the speech in samples, heard stretch by stretch. In: a model, a job, samples. Out: `Segment`s, and what gave none.

A stretch ends where nobody speaks for two seconds. Each is heard by itself: heard as one, with the pauses taken
out, segments were laid over the pauses, and what came after a pause, in another voice or language, was often lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment
from faster_whisper.vad import VadOptions, get_speech_timestamps

from chatkit.local.sound import RATE, SHORTEST

PAD = 0.4
"""Seconds that a stretch has before its first and after its last sound."""
SPEECH = VadOptions(min_speech_duration_ms=250, speech_pad_ms=round(PAD * 1000))
WARMER = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
"""Temperatures tried one after the other, as the API does for 0, where what comes out repeats itself or is unsure."""
HOLE = 4.0
"""Seconds without text in a stretch, in which nobody was silent for two, that are heard again, and else told."""
WORTH_TELLING = 1.0
"""Seconds of a stretch without text that are told: what is shorter is as often a cough."""
FIRST = 30
"""Seconds of speech by which the first language is found."""
ENOUGH = 10
"""Seconds of a first stretch that tells its language itself: what is shorter is put together with what follows."""
FRAMES = 100
"""Columns of a spectrogram for each second."""
TO_SWITCH = 3.0
"""Seconds of speech that the model must have before it is believed that the language is another now."""
SURE, SURER = 0.5, 3.0
"""How sure the model must be of another language, and how many times surer than of the one that was spoken."""

Line = dict[str, Any]
Samples = np.ndarray


@dataclass(frozen=True, slots=True)
class Stretch:
    """Somebody speaks from `start` to `end`, in samples."""

    start: int
    end: int


def stretches(audio: Samples) -> list[Stretch]:
    """Where somebody speaks."""
    found = get_speech_timestamps(audio, SPEECH) if audio.any() else []
    return [Stretch(each["start"], each["end"]) for each in found]


class OtherLanguageError(Exception):
    """What follows is in another language: what was said before would lead the model astray."""


class LanguageFollower:
    """The model's engine, that knows which language is spoken: it listens again each half minute, and keeps to the
    language that it has where it is unsure.

    It stands where faster-whisper asks its engine for the language of what it is about to write.
    """

    def __init__(self, engine: Any, language: str | None) -> None:
        self._engine = engine
        self.language = language
        self.said = False
        self._seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def encode(self, features: Any, to_cpu: bool) -> Any:
        """As the engine's own; how much of the half minute is sound is noted: the rest is filled up with zeros."""
        self._seconds = float(np.asarray(features).any(axis=(0, 1)).sum()) / FRAMES
        return self._engine.encode(features, to_cpu=to_cpu)

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        """As the engine's own, but the first is the language that is to be written."""
        found = dict(self._engine.detect_language(encoded)[0])
        token = max(found, key=lambda each: found[each])
        now = f"<|{self.language}|>"
        surely = self._seconds >= TO_SWITCH and found[token] >= max(SURE, SURER * found.get(now, 0.0))
        if self.language is None or surely:
            changed, self.language, now = token != now, token[2:-2], token
            if changed and self.said:
                raise OtherLanguageError
        return [[(now, found.get(now, 0.0))]]


class Transcriber:
    """One job's hearing: which languages are spoken, and where speech gave no text."""

    def __init__(self, model: WhisperModel, job: Line) -> None:
        self._model, self._engine, self._job = model, model.model, job
        self._now: str | None = job["language"] or (None if self._engine.is_multilingual else "en")
        self._seconds: dict[str, float] = {}
        self.unheard: list[tuple[float, float]] = []

    @property
    def language(self) -> str | None:
        """What was spoken longest; where nothing was, what was asked for."""
        return next(iter(self.languages), self._job["language"])

    @property
    def languages(self) -> list[str]:
        """All that was spoken, the longest first."""
        return sorted(self._seconds, key=lambda code: -self._seconds[code])

    def hear(self, audio: Samples, offset: float) -> Iterator[Line]:
        """The segments in these samples, which begin `offset` seconds into the whole."""
        found = stretches(audio)
        if self._now is None and len(found) > 1 and found[0].end - found[0].start < ENOUGH * RATE:
            self._now = self._first_language(audio, found)
        for stretch in found:
            yield from self._stretch(audio, stretch, offset)

    def _stretch(self, audio: Samples, stretch: Stretch, offset: float) -> Iterator[Line]:
        """One stretch; a hole in it is heard again by itself: the words before it often led the model astray."""
        at, end = offset + stretch.start / RATE + PAD, offset + stretch.end / RATE - PAD
        least = WORTH_TELLING
        for line in self._lines(audio, stretch, offset):
            yield from self._hole(audio, at, line["start"], offset)
            at, least = line["end"], HOLE
            yield line
        if least == HOLE:
            yield from self._hole(audio, at, end, offset)
        elif end - at >= least:
            self._miss(at, end)

    def _hole(self, audio: Samples, first: float, last: float, offset: float) -> Iterator[Line]:
        if last - first < HOLE:
            return
        at, hole = first, Stretch(round((first - offset) * RATE), round((last - offset) * RATE))
        for line in self._lines(audio, hole, offset):
            if line["start"] - at >= HOLE:
                self._miss(at, line["start"])
            at = line["end"]
            yield line
        if last - at >= HOLE:
            self._miss(at, last)

    def _miss(self, first: float, last: float) -> None:
        self.unheard.append((round(first, 3), round(last, 3)))

    def _lines(self, audio: Samples, stretch: Stretch, offset: float) -> Iterator[Line]:
        start, end = offset + stretch.start / RATE, offset + stretch.end / RATE
        for segment, after in self._heard(audio[stretch.start : stretch.end]):
            line = _line(segment, start + after, end)
            self._seconds[str(self._now)] = self._seconds.get(str(self._now), 0.0) + line["end"] - line["start"]
            yield line

    def _first_language(self, audio: Samples, found: list[Stretch]) -> str:
        speech = np.concatenate([audio[each.start : each.end] for each in found])[: FIRST * RATE]
        return str(self._model.detect_language(speech)[0])

    def _heard(self, speech: Samples) -> Iterator[tuple[Segment, float]]:
        """What is said in one stretch, with the seconds after which its times begin: anew with each language."""
        after = 0.0
        while len(speech) - after * RATE > SHORTEST * RATE:
            last = after
            try:
                for segment in self._written(speech[round(after * RATE) :]):
                    last = after + segment.end
                    yield segment, after
                return
            except OtherLanguageError:
                after = last

    def _written(self, speech: Samples) -> Iterator[Segment]:
        """The model's own work; the language is followed where none was asked for."""
        job, model, before = self._job, self._model, self._model.model
        follow = job["language"] is None and self._engine.is_multilingual
        follower = LanguageFollower(self._engine, self._now)
        try:
            model.model = follower if follow else self._engine
            segments, _ = model.transcribe(
                speech, language=self._now or "en", task=job["task"], initial_prompt=job["prompt"], multilingual=follow,
                word_timestamps=job["words"], temperature=job["temperature"] or WARMER,
                hallucination_silence_threshold=2.0 if job["words"] else None,
            )  # fmt: skip
            for segment in segments:
                self._now, follower.said = follower.language, True
                yield segment
        finally:
            self._now, model.model = follower.language, before


def _line(segment: Segment, start: float, end: float) -> Line:
    """A segment of the stretch that begins at `start`, its times within it: Whisper's own go on past its end."""
    first, last = _within(segment.start, segment.end, start, end)
    words = [
        {"word": word.word} | dict(zip(("start", "end"), _within(word.start, word.end, start, end), strict=True))
        for word in segment.words or ()
    ]
    return {
        "seek": segment.seek + round(start * 100),
        "start": first,
        "end": last,
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
        "words": words,
    }


def _within(first: float, last: float, start: float, end: float) -> tuple[float, float]:
    """Times of a stretch as times of the whole, not after its end.

    >>> _within(0.2, 2.0, 10.0, 11.0), _within(1.4, 2.0, 10.0, 11.0)
    ((10.2, 11.0), (10.9, 11.0))
    """
    begin = max(start, min(start + first, end - SHORTEST))
    return begin, max(begin, min(start + last, end))
