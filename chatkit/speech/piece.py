"""Speech, one piece of the audio: the file that is sent for it, and what came back.

In: its times, and a client. Out: a `Reply`, and on the way what the listener is to hear of.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatkit.api.speech_models import SpeechModel, Task
from chatkit.endpoint.attachment import Attachment
from chatkit.endpoint.deadlines import Deadlines
from chatkit.endpoint.engine import Engine
from chatkit.endpoint.reply import Delta, Reply, Wait
from chatkit.speech import joining
from chatkit.speech.joining import Heard
from chatkit.speech.timed import Missing

if TYPE_CHECKING:
    import openai

PATIENCE = 120.0
"""Seconds in which an answer must come, beside those for each second of audio."""
HOSTED, LOCAL = 1.0, 10.0
"""Seconds for each second of audio: a busy machine of one's own is slow, and its server has a clock itself."""
SLOWEST = 50_000
"""Bytes a second at which a file may be sent."""
RAW = 16 * 1024 * 1024
"""Bytes of an answer: the times of each word of ten minutes are 200 kB."""


@dataclass(eq=False)
class Piece:
    """The audio from `start` to `end` seconds, between the cuts `after` and `before`.

    `path` is None until the file is there; `silent` says that nobody speaks in it, so it is not sent;
    `untold` is text that has come and waits for that of the pieces before it.
    """

    start: float
    end: float
    after: float
    before: float
    path: Path | None = None
    name: str = ""
    mime: str = ""
    silent: bool = False
    sent: int = 0
    untold: str = ""
    reply: Reply | None = None

    @property
    def size(self) -> int:
        """Bytes to send."""
        return self.path.stat().st_size if self.path and not self.silent else 0

    @property
    def done(self) -> bool:
        """Whether it is known what was said in it."""
        return self.silent or (self.reply is not None and self.reply.outcome in ("complete", "length", "filtered"))

    @property
    def gap(self) -> Missing | None:
        """What is missing, if it is not known."""
        if self.done:
            return None
        error = self.reply.error if self.reply else None
        return Missing(round(self.after, 3), round(self.before, 3), error.cause if error else "cancelled")

    def heard(self) -> Heard:
        """What came back, its times moved to those of the whole."""
        reply = self.reply
        payload = {"text": reply.text, **reply.payload} if reply else {}
        return joining.read(payload, self.start, self.end, self.after, self.before)

    async def ask(
        self,
        client: "openai.AsyncOpenAI",
        task: Task,
        model: SpeechModel,
        form: dict[str, Any],
        tell: Callable[[Delta | Wait | None], object],
    ) -> None:
        """Send it and keep the Reply; `tell` hears of deltas and waits, and None of bytes that went out."""

        def count(sent: int) -> None:
            self.sent = max(self.sent, sent)  # a further attempt begins at 0 again
            tell(None)

        assert self.path
        attachment, length = Attachment(self.path, self.name, self.mime, count), self.end - self.start
        patience = PATIENCE + length * (LOCAL if model.local else HOSTED)
        deadlines = Deadlines(
            first_content=patience, idle=PATIENCE, turn=2 * patience + self.size / SLOWEST, raw=RAW
        )  # fmt: skip
        items = Engine().stream(client, form, api=task, deadlines=deadlines, attachment=attachment)
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Reply):
                    self.reply = item
                else:
                    tell(item)
