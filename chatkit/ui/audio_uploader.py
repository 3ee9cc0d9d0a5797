"""Faces: `AudioUploader`, audio in and text out under a notebook cell: drop a file, choose one, or record.

In: slices of audio (inbox.py), and what a person types and clicks. Out: numbered patches to every view (feed.py),
sent in their turn (flush.py); audio and text in pieces when a view asks. No audio, no text and no key is in a synced
trait, so none is saved with a notebook.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import uuid4

import anywidget
import traitlets

from chatkit.api.speech_models import Task
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ledger.record import NOTHING
from chatkit.signs import fit_to_print
from chatkit.speech import jobs
from chatkit.speech.transcript import Transcript
from chatkit.ui import cells, control, flush, pages
from chatkit.ui.audio_captions import language_code
from chatkit.ui.audio_stage import AudioStage
from chatkit.ui.callbacks import Callbacks
from chatkit.ui.feed import Feed
from chatkit.ui.inbox import AudioFile, Inbox
from chatkit.ui.intake import INTAKE, Intake
from chatkit.ui.lines import edited
from chatkit.ui.recognition import Recognition
from chatkit.ui.requests import Requests, checked
from chatkit.ui.trouble import fault_of

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


class AudioUploader(anywidget.AnyWidget):
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

    # text, not a path: anywidget keeps every widget alive that reads a path, to reload it
    _esm = pages.module("audio_uploader", "dom", "front_end", "link", "follow", "slices", "recorder")
    _css = pages.style("audio_uploader")
    name = traitlets.Unicode(help="What the uploader is called on the control comm.").tag(sync=True)
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
        self._lock = threading.RLock()
        self._feed = Feed()
        self._inbox = Inbox()
        self._stage = AudioStage(self._inbox)
        self._callbacks = Callbacks(lambda words: self._say(error=words))
        self._intake = Intake(
            self._stage, self._inbox, self._lock, self._tell, self._say, self._touch, self._callbacks.call
        )
        self._requests = Requests(lambda message, buffers: self.send(message, buffers))
        self._stops: set[str] = set()
        self._closed = False
        super().__init__(name=uuid4().hex, verb=verb, model=model, language=language, prompt=prompt, panel=panel)
        self.on_msg(lambda _, content, buffers: self.receive(content, buffers))
        self.observe(lambda _: self._reprice(), [*SETTINGS, "panel"])
        control.admit(self.name, self)
        cells.settle(self)

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

    def simulate(self, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Act as if a view had sent `content` and `buffers`, as a test without a browser does.

        >>> uploader = AudioUploader()
        >>> uploader.simulate({"type": "set", "id": "1", "field": "language", "value": "es"})
        >>> uploader.language
        'es'
        """
        data = {"method": "custom", "content": dict(content)}
        self._handle_msg({"content": {"data": data}, "buffers": [memoryview(b) for b in buffers]})

    def close(self) -> None:
        """Take the uploader and its audio away; what runs is stopped."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        if self._stage.check is not None:
            self._stage.check.cancel()
        if self._stage.recognition is not None:
            self._stage.recognition.close()
        self._inbox.close()
        control.dismiss(self.name)
        flush.flusher.forget(self)
        self.layout.close()
        super().close()

    def flush(self) -> float | None:
        """Send the views what is new; called by the flusher."""
        with self._lock:
            if self._closed:
                return None
            self._send_patch()
            told, again = self._feed.retell(time.monotonic())
            if told:
                self.send(told)
            return again

    def fail(self, fault: Exception) -> None:
        """Say that the uploader could not be brought up to date."""
        with self._lock:
            if self._closed:
                return
            before = {"text": self._stage.error} if self._stage.error else None
            self._feed.tell(self._feed.still(error=fault_of(fault, before)), self.send)

    @fit_to_print
    def __repr__(self) -> str:
        return f"AudioUploader({self._stage.audio.name if self._stage.audio else 'no audio'})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = FALLBACK
        return bundle

    # --- what views ask for

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview] = ()) -> None:
        """Take a view's message, on any thread, once for each request id; submit and return."""
        asked: Mapping[str, Any] = {}
        try:
            asked = checked(content)
            kind = str(asked.get("type"))
            act = self._ACTS.get(kind)
            if self._closed or (act is None and kind not in INTAKE) or not self._requests.is_new(asked.get("id")):
                return
            with self._lock:
                value = act(self, asked) if act else INTAKE[kind](self._intake, asked, buffers)
        except ChatkitError as error:
            self._refuse(asked, error)
        except OSError as error:
            self._refuse(
                asked, InputError(f"The kernel's disk takes no more: {error.strerror or error}.", "Make room.")
            )
        else:
            self._answer(asked, value)

    def _answer(self, content: Mapping[str, Any], value: Any) -> None:
        """What is sound goes beside the message, not in it."""
        if isinstance(value, dict) and "data" in value:
            rest = {name: part for name, part in value.items() if name != "data"}
            self._requests.answer(content, {"value": rest}, [value["data"]])
        else:
            self._requests.answer(content, {"value": value})

    def _refuse(self, content: Mapping[str, Any], error: ChatkitError) -> None:
        if content.get("question") is not None:
            self._requests.answer(content, {"error": str(error)})
            return
        if "upload" in content:
            self._intake.refuse(str(content["upload"]))
        self._say(error=str(error))

    def _hello(self, content: Mapping[str, Any]) -> None:
        self._send_patch()
        self.send(self._feed.snapshot(str(content.get("view"))))
        self._reprice()
        self._touch()

    def _ack(self, content: Mapping[str, Any]) -> None:
        seq = content.get("seq")
        if isinstance(seq, int):
            self._feed.seen(str(content.get("view")), seq)

    def _bye(self, content: Mapping[str, Any]) -> None:
        self._feed.left(str(content.get("view")))

    # --- from audio to text

    def _set(self, content: Mapping[str, Any]) -> None:
        field, value = str(content.get("field")), str(content.get("value", "")).strip()
        if field in SETTINGS and (field != "verb" or value in ("transcribe", "translate")):
            self._stage.error = ""
            setattr(self, field, language_code(value) if field == "language" else value or None)
        self._say()

    def _start(self, content: Mapping[str, Any]) -> None:
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

    def _cancel(self, content: Mapping[str, Any]) -> None:
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

    def _edit(self, content: Mapping[str, Any]) -> None:
        if self._stage.transcript is None or content.get("transcript") != self._stage.number:
            raise InputError("The transcript that this edit was meant for is no longer here.")
        self._stage.transcript = edited(self._stage.transcript, str(content.get("line")), str(content.get("text", "")))
        self._stage.edited = True
        self._say()

    def _to_chat(self, _: Mapping[str, Any]) -> None:
        self.send_to()
        self._say(notice="The text is in the chat's box.")

    _ACTS: ClassVar[Mapping[str, Callable[["AudioUploader", Mapping[str, Any]], Any]]] = {
        "hello": _hello,
        "ack": _ack,
        "bye": _bye,
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
        self._stage.error, self._stage.notice = error, notice
        self._touch(urgent=True)

    def _touch(self, urgent: bool = False) -> None:
        if not self._closed:
            flush.flusher.touch(self, urgent=urgent)

    def _reprice(self) -> None:
        self._stage.foresee(self._task, self.model, self.client, lambda: self._touch(urgent=True))
        self._touch(urgent=True)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if not self._closed:
            self.send(message)

    def _send_patch(self) -> None:
        settings = {name: getattr(self, name) for name in SETTINGS}
        self._feed.tell(self._stage.scene(settings, chat=self.panel is not None), self.send)
