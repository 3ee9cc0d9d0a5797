"""Faces: an uploader's traffic of audio and texts with its pages: slices in, each acknowledged; pieces out, when asked.

In: the messages of `sendAudio` and `fetchPieces` (page/slices.js). Out: what a page goes by: `go` (from which byte),
`have` (so far without a gap), `refused` (send no more), `lost` (never heard of it); and audio on the stage, checked.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from chatkit.exceptions import InputError
from chatkit.speech.source import opened
from chatkit.ui.audio_view import AudioStage, written
from chatkit.ui.inbox import SLICE, AudioFile, Inbox, count
from chatkit.ui.recognition import Check
from chatkit.ui.widget import Buffers, PageMessage

SHOWN_EVERY = 0.5
"""Seconds after which views other than the one that sends are shown again how far it is."""


class Intake:
    """Takes one upload at a time; a new one takes the place of one that has not ended."""

    def __init__(
        self,
        stage: AudioStage,
        inbox: Inbox,
        lock: threading.RLock,
        tell: Callable[[Mapping[str, Any]], None],
        say: Callable[..., None],
        touch: Callable[[], None],
        arrived: Callable[[str, object], None],
    ) -> None:
        self._stage, self._inbox, self._lock = stage, inbox, lock
        self._tell, self._say, self._touch, self._arrived = tell, say, touch, arrived
        self._show_at = 0.0

    def begin(self, content: PageMessage, _: Buffers) -> None:
        """A page has a file, or begins to record."""
        if self._stage.recognition is not None:
            raise InputError("The audio here is being listened to.", "Wait for it or cancel it first.")
        before = self._inbox.incoming.id if self._inbox.incoming else None
        incoming = self._inbox.begin(content)
        if before is not None and before != incoming.id:
            self._tell({"type": "refused", "upload": before})
        self._show_at = 0.0
        self._tell({"type": "go", "upload": incoming.id, "offset": incoming.have, "sum": incoming.sum})
        self._say()

    def take(self, content: PageMessage, buffers: Buffers) -> None:
        """A slice; one that came before is acknowledged again."""
        incoming, offset = self._inbox.incoming, content.get("offset")
        if incoming is None or incoming.id != content.get("upload") or not isinstance(offset, int) or not buffers:
            return
        if buffers[0].nbytes > SLICE or offset < 0:
            raise InputError("A slice came that is longer than 1 MiB.", "Run the cell again and reload the page.")
        whole = incoming.put(offset, buffers[0])
        if incoming.recorded and isinstance(content.get("seconds"), int | float):
            incoming.seconds = max(incoming.seconds, float(content["seconds"]))
        self._tell_have(content, gap=not whole)
        if time.monotonic() >= self._show_at:
            self._show_at = time.monotonic() + SHOWN_EVERY
            self._touch()

    def where(self, content: PageMessage, _: Buffers) -> None:
        """A page has not heard for a while how far its slices are."""
        incoming = self._inbox.incoming
        if incoming is None or incoming.id != content.get("upload"):
            if content.get("upload") != self._stage.upload:
                self._tell({"type": "lost", "upload": content.get("upload")})
        elif threading.current_thread() is threading.main_thread():
            self._tell_have(content, gap=True)
        else:  # the question came beside a cell, by which slices may be held up
            self._tell({"type": "have", "upload": incoming.id, "offset": incoming.have, "aside": True})

    def end(self, content: PageMessage, _: Buffers) -> None:
        """All is sent, or what has come of a recording is to be used."""
        incoming = self._inbox.incoming
        if incoming is None or incoming.id != content.get("upload"):
            return
        audio = self._inbox.finish()
        try:
            with opened(audio.path, name=audio.name):  # what its first bytes are
                pass
        except InputError as error:
            self._inbox.forget(audio)
            raise InputError(f"{audio.name}: {error.cause}", error.way_out) from None
        if self._stage.check is not None:
            self._stage.check.cancel()
            self._inbox.forget(self._stage.check.audio)
        self._stage.upload = incoming.id
        self._stage.check = Check(audio, self._touch, self._checked)
        self._say()

    def drop(self, content: PageMessage, _: Buffers) -> None:
        """A person does not want it any more."""
        if self._inbox.incoming is not None and self._inbox.incoming.id == content.get("upload"):
            self.refuse(str(content["upload"]))
            self._say()

    def refuse(self, upload: str) -> None:
        """Take no more of an upload."""
        if self._inbox.incoming is not None and self._inbox.incoming.id == upload:
            self._inbox.drop()
        self._tell({"type": "refused", "upload": upload})

    def fetch(self, content: PageMessage, _: Buffers) -> dict[str, Any]:
        """A piece of the audio or of a text; `stamp` changes with what it is a piece of."""
        what = str(content.get("what"))
        offset, length = (count(content.get(name)) for name in ("offset", "length"))
        if what == "audio":
            audio = self._stage.check.audio if self._stage.check else self._stage.audio
            if audio is None or audio.path.stem != content.get("audio"):
                raise InputError("This audio is no longer here.")
            data = audio.piece(offset, min(length, SLICE))
            return {"name": audio.name, "mime": audio.mime, "total": audio.size, "stamp": audio.path.stem, "data": data}
        said, audio = self._stage.transcript, self._stage.audio
        if said is None or audio is None:
            raise InputError("There is no transcript.")
        whole, mime = written(said, what)
        name = f"{audio.stem}{'.en' if said.task == 'translate' else ''}.{what}"
        data = whole[offset:][: min(length, SLICE)]
        return {"name": name, "mime": mime, "total": len(whole), "stamp": f"{hash(whole):x}", "data": data}

    def _tell_have(self, content: PageMessage, *, gap: bool) -> None:
        incoming = self._inbox.incoming
        assert incoming is not None
        told = {"type": "have", "upload": incoming.id, "offset": incoming.have, "round": content.get("round")}
        self._tell(told | ({"gap": True} if gap else {}))

    def _checked(self, check: Check) -> None:
        with self._lock:
            if check is not self._stage.check:
                return
            self._stage.check = None
            if check.error is not None:
                self._forget(check.audio)
                self._say(error=f"{check.audio.name}: {check.error}")
                return
            if self._stage.audio is not None:
                self._forget(self._stage.audio)
            self._stage.audio = check.measured
            self._stage.show(None)
            self._say()
        self._arrived("audio", self._stage.audio)

    def _forget(self, audio: AudioFile) -> None:
        with suppress(OSError):  # another program has it open: it goes with its folder, and no page waits for that
            self._inbox.forget(audio)


INTAKE: Mapping[str, Callable[[Intake, PageMessage, Buffers], Any]] = {
    "begin": Intake.begin,
    "slice": Intake.take,
    "where": Intake.where,
    "end": Intake.end,
    "drop": Intake.drop,
    "fetch": Intake.fetch,
}
