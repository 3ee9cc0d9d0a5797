"""Faces: what an uploader holds at a moment: audio, the work on it, the transcript's lines; and what that looks like.

In: audio that comes and has come, what runs on it, its transcript, what is said beside it. Out: a `Scene`, made of
plain values that can be sent.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatkit.api.speech_models import HOSTED_TRANSCRIBE, HOSTED_TRANSLATE, Task
from chatkit.captions import cost_caption, price_caption
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import NOTHING, Usage
from chatkit.speech.transcript import Transcript
from chatkit.ui.audio_captions import LANGUAGES, MinutePrice, foresee, transcript_caption, transcript_notes
from chatkit.ui.feed import Scene
from chatkit.ui.inbox import MOST, AudioFile, Inbox
from chatkit.ui.recognition import Check, Recognition
from chatkit.ui.trouble import own_fault

if TYPE_CHECKING:
    import openai


LONGEST = 200_000
"""Characters of one line at most."""
FORMS: Mapping[str, tuple[str, Callable[[Transcript], str]]] = {
    "txt": ("text/plain", Transcript.to_text),
    "srt": ("application/x-subrip", Transcript.to_srt),
    "vtt": ("text/vtt", Transcript.to_vtt),
    "json": ("application/json", Transcript.to_json),
}
"""By the file's ending: its type, and what makes it."""


def lines(said: Transcript) -> list[dict[str, Any]]:
    """One line for each segment; where there are none, one without a time for the whole text."""
    if not said.segments:
        return [{"id": "text", "start": None, "end": None, "text": said.text}] if said.text else []
    found: list[dict[str, Any]] = [
        {"id": str(n), "start": s.start, "end": s.end, "text": s.text.strip()} for n, s in enumerate(said.segments)
    ]
    for line, segment in zip(found, said.segments, strict=True):
        if segment.speaker:
            line["speaker"] = segment.speaker
    return found


def edited(said: Transcript, line: str, text: str) -> Transcript:
    """The transcript with another text in one line; the words' times of that line go, for they are no longer true.

    >>> from chatkit.speech.transcript import Segment
    >>> said = Transcript("One two. Three.", segments=(Segment(0, 1, "One two."), Segment(1, 2, "Three.")))
    >>> edited(said, "1", "Four.").text
    'One two. Four.'
    """
    clean = text[:LONGEST].replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if line == "text" and not said.segments:
        return replace(said, text=clean.strip(), words=())
    number = int(line) if line.isdecimal() else -1
    if not 0 <= number < len(said.segments):
        raise InputError(f"The transcript has no line {line[:20]!r}.")
    old = said.segments[number]
    new = replace(old, text=" ".join(clean.split()))
    segments = (*said.segments[:number], new, *said.segments[number + 1 :])
    start, end = _span(said, number)
    whole = f"{said.text[:start]}{new.text}{said.text[end:]}"
    words = tuple(word for word in said.words if not old.start <= (word.start + word.end) / 2 < old.end)
    return replace(
        said, text=whole if end else " ".join(s.text.strip() for s in segments), segments=segments, words=words
    )


def forms(said: Transcript) -> list[str]:
    """The forms that it can be saved in: subtitles need times."""
    timed = bool(said.segments) or not said.text
    return [form for form in FORMS if timed or form not in ("srt", "vtt")]


def written(said: Transcript, form: str) -> tuple[bytes, str]:
    """What a file of that form holds, and its type."""
    if form not in FORMS:
        raise InputError(f"There is no form {form[:20]!r}.", f"There are {', '.join(FORMS)}.")
    mime, make = FORMS[form]
    text = make(said)
    return (text if text.endswith("\n") else f"{text}\n").encode(), mime


def _span(said: Transcript, number: int) -> tuple[int, int]:
    """Where a segment stands in the text; (0, 0) where it does not stand there word for word."""
    start = end = 0
    for segment in said.segments[: number + 1]:
        text = segment.text.strip()
        start = said.text.find(text, end)
        if start < 0:
            return 0, 0
        end = start + len(text)
    return start, end


class AudioStage:
    """The state of one uploader, and its scenes.

    `upload` names the upload by which the audio came: the page that sent it knows the sound already. `number` names
    the transcript, so that an edit that was meant for another is told.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.audio: AudioFile | None = None
        self.check: Check | None = None
        self.recognition: Recognition | None = None
        self.transcript: Transcript | None = None
        self.edited = False
        self.number = 0
        self.upload = ""
        self.usage: Usage = NOTHING
        self.notice = ""
        self.price: MinutePrice | None = None
        self._priced: tuple[Any, ...] | None = None
        self._laid_out: tuple[Transcript | None, list[dict[str, Any]]] = (None, [])

    def show(self, transcript: Transcript | None) -> None:
        """Another transcript, or none, is there now."""
        self.transcript, self.edited = transcript, False
        self.number += 1

    def foresee(
        self,
        task: Task,
        model: str | None,
        client: "openai.OpenAI | openai.AsyncOpenAI | None",
        told: Callable[[], None],
    ) -> None:
        """Find out what a minute costs by now, on a thread of its own: the price table takes a while to load."""
        asked = self._priced = (task, model, client)

        def work() -> None:
            try:
                price = foresee(task, model, client)
            except ChatkitError as error:
                price = MinutePrice(str(error), None, False)
            except Exception as fault:  # noqa: BLE001  # a page that waits for the price must hear of it
                price = MinutePrice(str(own_fault(fault)), None, False)
            if asked == self._priced:
                self.price = price
                told()

        threading.Thread(target=work, name="chatkit-price", daemon=True).start()

    def scene(self, settings: Mapping[str, Any], error: Mapping[str, Any] | None, *, chat: bool) -> Scene:
        """What is to be seen now; `error` is said, and `chat` says whether there is one that the text can go to."""
        said = self.transcript
        if self._laid_out[0] is not said:
            self._laid_out = (said, lines(said) if said else [])
        status = {
            "phase": self._phase(),
            "most": MOST,
            "incoming": self._incoming(),
            "audio": self._file(),
            "job": self.recognition.shown if self.recognition else None,
            "transcript": self._result(said) if said else None,
            "error": error,
            "notice": self.check.words if self.check else self.notice,
            "chat": chat,
            **{name: value or "" for name, value in settings.items()},
            "models": [HOSTED_TRANSLATE] if settings["verb"] == "translate" else [HOSTED_TRANSCRIBE, HOSTED_TRANSLATE],
            "languages": [[code, name] for code, name in LANGUAGES.items()],
            **self._worth(),
        }
        return Scene(self._laid_out[1], None, status)

    def _phase(self) -> str:
        if self.recognition is not None:
            return "working"
        return "checking" if self.check is not None else "ready" if self.audio is not None else "empty"

    def _incoming(self) -> dict[str, Any] | None:
        coming = self._inbox.incoming
        if coming is None:
            return None
        return {
            "id": coming.id, "name": coming.name, "size": coming.size, "have": coming.have,
            "recorded": coming.recorded, "seconds": coming.seconds,
        }  # fmt: skip

    def _file(self) -> dict[str, Any] | None:
        audio = self.check.audio if self.check else self.audio
        if audio is None:
            return None
        return {
            "id": audio.path.stem, "upload": self.upload, "name": audio.name, "size": audio.size,
            "duration": audio.duration,
        }  # fmt: skip

    def _result(self, said: Transcript) -> dict[str, Any]:
        return {
            "id": self.number,
            "caption": transcript_caption(said, edited=self.edited, local=self._is_local()),
            "notes": transcript_notes(said),
            "edited": self.edited,
            "forms": forms(said),
            "empty": not said.text,
        }

    def _worth(self) -> dict[str, Any]:
        if self.price is None:
            return {"price": "", "endpoint": "", "session": ""}
        seconds = self.audio.duration if self.audio else None
        spent = f"so far: {cost_caption(self.usage, local=self._is_local())}" if self.usage.calls else ""
        price = price_caption(self.price.per_minute, seconds, local=self.price.local)
        return {"price": price, "endpoint": self.price.sentence, "session": spent}

    def _is_local(self) -> bool:
        return self.price is not None and self.price.local
