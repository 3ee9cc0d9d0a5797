"""Faces: `AudioUploader`, audio in and text out under a notebook cell: drop a file, choose one, or record.

In: slices of audio (inbox.py), and what a person types and clicks. Out: numbered patches to every view (feed.py),
sent in their turn (feed.py); audio and text in pieces when a view asks. No audio, no text and no key is in a synced
trait, so none is saved with a notebook.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import traitlets

from chatkit.api.speech_models import Task
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import NOTHING
from chatkit.signs import fit_to_print
from chatkit.speech import job as jobs
from chatkit.speech.transcript import Transcript
from chatkit.system import files
from chatkit.ui import widget
from chatkit.ui.audio_captions import language_code
from chatkit.ui.audio_view import AudioStage, edited
from chatkit.ui.feed import Scene
from chatkit.ui.inbox import AudioFile, Inbox
from chatkit.ui.intake import INTAKE, Intake
from chatkit.ui.recognition import Recognition
from chatkit.ui.widget import Act, Callbacks, PageMessage, Widget

if TYPE_CHECKING:
    import openai

    Client = openai.OpenAI | openai.AsyncOpenAI

FALLBACK = "AudioUploader: run this cell to turn speech into text here."
SETTINGS = ("verb", "model", "language", "prompt")


class Draftable(Protocol):
    """What a text can be put into: a ChatPanel, or anything else that has `draft`.

    >>> class Box:
    ...     def draft(self, text):
    ...         print(text)
    >>> uploader = AudioUploader(panel=Box())
    """

    def draft(self, text: str) -> None:
        """Put the text into the box, to be read and sent by a person."""


class AudioUploader(Widget):
    """Speech to text in a notebook cell: drop, choose or record audio, transcribe or translate it, edit, save.

    `verb` is "transcribe" or "translate" (into English); `model`, `language` and `prompt` are those of
    `chatkit.transcribe`; `client` says where to send (as there, without one `connect()`'s rule decides); the
    transcript goes into the box of `panel`, a ChatPanel, when a person asks for it. All of these may be set later.

    >>> uploader = AudioUploader("translate")
    >>> uploader.audio is None, uploader.transcript is None
    (True, True)
    >>> uploader
    AudioUploader(no audio)
    """

    FALLBACK = FALLBACK
    _esm = widget.module(
        "audio_uploader",
        *(
            "dom",
            "front_end",
            "link",
            "follow",
            "amounts",
            "slices",
            "recorder",
            "audio_desk",
            "uploader_parts",
            "lines",
            "player",
            "drops",
        ),
    )
    _css = widget.style("audio_uploader")
    verb = traitlets.Enum(("transcribe", "translate"), "transcribe")
    model = traitlets.Unicode(None, allow_none=True)
    language = traitlets.Unicode(None, allow_none=True)
    prompt = traitlets.Unicode(None, allow_none=True)
    panel: Any = traitlets.Any(None)

    def __init__(
        self,
        verb: str = "transcribe",
        *,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        client: "Client | None" = None,
        panel: Draftable | None = None,
    ) -> None:
        if verb not in ("transcribe", "translate"):
            raise InputError(f"verb is {verb!r}.", "It is 'transcribe' or 'translate'.")
        self.client = client
        self._inbox = Inbox()
        self._stage = AudioStage(self._inbox)
        self._callbacks = Callbacks(lambda words: self._say(error=words))
        self._stops: set[str] = set()
        super().__init__(verb=verb, model=model, language=language, prompt=prompt, panel=panel)
        self._intake = Intake(
            self._stage, self._inbox, self._lock, self._tell, self._say, self._touch, self._callbacks.call
        )
        self.observe(lambda _: self._reprice(), [*SETTINGS, "panel"])

    @property
    def audio(self) -> AudioFile | None:
        """The audio that has arrived whole: `path`, `name`, `size`, `duration`, `bytes`; None before."""
        return self._stage.audio

    @property
    def transcript(self) -> Transcript | None:
        """The transcript of that audio, with what a person has edited in it; None before."""
        return self._stage.transcript

    def on_audio(self, function: Callable[[AudioFile], object]) -> Callable[[], None]:
        """Call `function` with each audio that arrives, on a thread of its own; return how to end it."""
        return self._callbacks.listen("audio", function)

    def on_transcript(self, function: Callable[[Transcript], object]) -> Callable[[], None]:
        """Call `function` with each transcript that is made, on a thread of its own; return how to end it."""
        return self._callbacks.listen("transcript", function)

    def send_to(self, panel: Draftable | None = None) -> None:
        """Put the transcript's text into the panel's box, from where a person sends it; the button goes there from now on.

        Raises InputError if there is no text or no panel.
        """
        if panel is not None:
            self.panel = panel
        if self.panel is None:
            raise InputError("There is no chat to send to.", "Give one: uploader.send_to(panel).")
        if self._stage.transcript is None or not self._stage.transcript.text:
            raise InputError("There is no text to send yet.", "Transcribe something first.")
        self.panel.draft(self._stage.transcript.text)

    def _end(self) -> None:
        if self._stage.check is not None:
            self._stage.check.cancel()
        if self._stage.recognition is not None:
            self._stage.recognition.close()
        self._inbox.close()

    @fit_to_print
    def __repr__(self) -> str:
        return f"AudioUploader({self._stage.audio.name if self._stage.audio else 'no audio'})"

    # --- what views ask for

    def _act(self, kind: str) -> Act | None:
        if kind in self._ACTS:
            return lambda content, _: self._perform(partial(self._ACTS[kind], self, content))
        if kind in INTAKE:
            return lambda content, buffers: self._perform(partial(INTAKE[kind], self._intake, content, buffers))
        return None

    def _perform(self, work: Callable[[], Any]) -> Any:
        try:
            with self._lock:
                return work()
        except OSError as error:
            if isinstance(error, ChatkitError):
                raise
            raise InputError(*_of_the_disk(error)) from None

    def _complain(self, content: PageMessage, error: ChatkitError) -> None:
        if "upload" in content:
            self._intake.refuse(str(content["upload"]))
        self._say(error=str(error))

    def _greeted(self) -> None:
        self._reprice()

    # --- from audio to text

    def _set(self, content: PageMessage) -> None:
        field, value = str(content.get("field")), str(content.get("value", "")).strip()
        if field in SETTINGS and (field != "verb" or value in ("transcribe", "translate")):
            self._error = None
            setattr(self, field, language_code(value) if field == "language" else value or None)
        self._say()

    def _start(self, content: PageMessage) -> None:
        if self._stage.recognition is not None:
            return
        if self._stage.audio is None or self._stage.check is not None:
            raise InputError("There is no audio yet.", "Choose a file or record something.")
        language = self.language if self._task == "transcribe" else None
        told: dict[str, Any] = {"model": self.model, "language": language, "prompt": self.prompt, "client": self.client}
        job = jobs.start(self._task, self._stage.audio.path, name=self._stage.audio.name, **told)
        self._stage.recognition = Recognition(job, self._touch, self._end_recognition)
        if content.get("id") in self._stops:
            job.cancel()
        self._say()

    def _cancel(self, content: PageMessage) -> None:
        running, start = self._stage.recognition, content.get("start")
        if running is not None and content.get("job") == running.job.id:
            running.job.cancel()
        elif not content.get("job") and isinstance(start, str) and start:
            # the click came before the view knew the job that it is meant for, perhaps before there was one
            self._stops.add(start)
            if running is not None and start in self._requests:
                running.job.cancel()

    def _end_recognition(self, ended: Recognition) -> None:
        with self._lock:
            if ended is not self._stage.recognition or self._closed:
                return
            self._stage.recognition = None
            self._touch(urgent=True)  # whatever comes of what follows: it is over
            said = ended.job.transcript
            self._stage.usage += sum((record.usage for record in ended.records), NOTHING)
            if said is None or (said.outcome == "cancelled" and not ended.job.text):
                error = ended.job.error
                self._say(error=str(error) if error else "", notice="" if error else "Cancelled.")
                return
            self._stage.show(said)
            self._say()
        self._callbacks.call("transcript", said)

    def _edit(self, content: PageMessage) -> None:
        if self._stage.transcript is None or content.get("transcript") != self._stage.number:
            raise InputError("The transcript that this edit was meant for is no longer here.")
        self._stage.transcript = edited(self._stage.transcript, str(content.get("line")), str(content.get("text", "")))
        self._stage.edited = True
        self._say()

    def _to_chat(self, _: PageMessage) -> None:
        self.send_to()
        self._say(notice="The text is in the chat's box.")

    _ACTS: ClassVar[Mapping[str, Callable[["AudioUploader", PageMessage], Any]]] = {
        "set": _set,
        "start": _start,
        "cancel": _cancel,
        "edit": _edit,
        "to_chat": _to_chat,
    }

    @property
    def _task(self) -> Task:
        return "translate" if self.verb == "translate" else "transcribe"

    # --- what views and listeners are told

    def _say(self, *, error: str = "", notice: str = "") -> None:
        """Show what is new, and a sentence beside it; what was said before is no longer."""
        self._error = {"text": error} if error else None
        self._stage.notice = notice
        self._touch(urgent=True)

    def _reprice(self) -> None:
        self._stage.foresee(self._task, self.model, self.client, lambda: self._touch(urgent=True))
        self._touch(urgent=True)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if not self._closed:
            self.send(message)

    def _scene(self) -> Scene:
        settings = {name: getattr(self, name) for name in SETTINGS}
        return self._stage.scene(settings, self._error, chat=self.panel is not None)


def _of_the_disk(error: OSError) -> tuple[str, str]:
    if files.is_full(error):
        return f"The kernel's disk takes no more: {error.strerror or error}.", "Make room."
    why, _ = files.reason(error)
    return f"The kernel's disk did not take the audio: {why}.", "Choose the file again."
