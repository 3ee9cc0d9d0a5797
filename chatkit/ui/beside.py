"""Faces: the output beside a panel, which a saved notebook shows where the panel cannot be drawn.

In: a chat, and whether its text shall be saved with the notebook. Out: an output of its own under the panel's cell, a
line or the whole talk, brought up to date in place: the panel's own output is never touched, so no view is drawn anew.
"""

from uuid import uuid4

from IPython.display import display, update_display

from chatkit.chats.chat import Chat
from chatkit.chats.history_writer import title
from chatkit.render.export import saved, transcript


class Beside:
    """What is saved beside a chat's panel: `sentence` alone, or the talk where the user asked for that.

    >>> Beside(Chat("Be brief."), "Run this cell.").data["text/plain"]
    'Run this cell.'
    >>> Beside(Chat("Be brief."), "Run this cell.", talk=True).data["text/plain"]
    'Be brief.\\nsystem: Be brief.'
    """

    def __init__(self, chat: Chat, sentence: str, *, talk: bool = False) -> None:
        self.chat = chat
        self._sentence = sentence
        self._talk = talk
        self._id = uuid4().hex
        self._shown: dict[str, str] | None = None

    @property
    def data(self) -> dict[str, str]:
        """The output as it is now."""
        conversation = self.chat.conversation
        if not self._talk or not len(conversation):
            return saved(self._sentence)
        return transcript(conversation.messages, captions=self.chat.captions, title=title(conversation))

    def show(self) -> None:
        """Put the output under the cell that runs; to be called right after the panel was displayed."""
        self._shown = self.data
        display(self._shown, raw=True, display_id=self._id)  # type: ignore[no-untyped-call]  # IPython's

    def update(self) -> None:
        """Bring the output up to date, if it is shown and has changed; on any thread."""
        if self._talk and self._shown is not None and (data := self.data) != self._shown:
            self._shown = data
            update_display(data, raw=True, display_id=self._id)  # type: ignore[no-untyped-call]  # IPython's
