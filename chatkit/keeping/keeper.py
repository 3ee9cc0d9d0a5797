"""Keeping, the link from a chat to the archive: from its first answer on, each state of it is written down.

In: a chat that changes, on any thread. Out: rows of the archive, by the writer's thread. A history that cannot be
written breaks no chat: one warning says so.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import uuid4

from chatkit.conversation import Conversation
from chatkit.exceptions import ChatkitError
from chatkit.keeping import archive, writer
from chatkit.keeping.archive import Archive, DeletedError, Entry, OvertakenError
from chatkit.parts import said
from chatkit.render.plain_text import line

TITLE = 60
"""Characters of the first question that make a title."""

_warned = False


class Talk(Protocol):
    """What can be kept: a chat."""

    conversation: Conversation
    model: str | None

    @property
    def replies(self) -> Mapping[str, Any]:
        """What each answer took."""

    def to_json(self) -> str:
        """All of it but keys."""


class Keeper:
    """Keeps one chat in the history under one id; it lives as long as the chat's conversation.

    `id` and `version` are those of an entry that the chat was opened from. Deleted for good, the chat is kept no
    more; changed elsewhere at the same time, it is kept as a conversation of its own.
    """

    def __init__(self, talk: Talk, id: str | None = None, version: int = 0) -> None:
        self.id = id or uuid4().hex[:12]
        self._talk = talk
        self._version = version
        self._began = archive.now()
        self._unlisten = talk.conversation.listen(self._hear)

    def write(self) -> None:
        """Write the chat as it is now; never raises."""
        file = archive.place()
        if file is None:
            return
        try:
            self._put(Archive(file), self._talk.to_json())
        except DeletedError:
            self._unlisten()
        except ChatkitError as error:
            _warn(error)

    def _hear(self) -> None:
        if (self._version or self._talk.replies) and archive.place():
            writer.writer.touch(self)

    def _put(self, file: Archive, document: str) -> None:
        # what is said of the document is read from it: it is one state of the chat, and no key is in it
        talk = Conversation.from_json(document)
        try:
            self._version = file.put(self._entry(talk), document, _words(talk), after=self._version)
        except OvertakenError:
            self.id, self._version, self._began = uuid4().hex[:12], 0, archive.now()
            self._version = file.put(self._entry(talk), document, _words(talk))

    def _entry(self, talk: Conversation) -> Entry:
        answered = [reply.model for reply in self._talk.replies.values() if reply.model]
        model = answered[-1] if answered else self._talk.model
        return Entry(self.id, title(talk), model, len(talk), len(talk.branches), self._began, archive.now())


def title(conversation: Conversation) -> str:
    """The first words of the first question that is sent.

    >>> title(Conversation([{"role": "user", "content": "Where was\\nthe World Cup?"}]))
    'Where was the World Cup?'
    """
    asked = sorted((m for m in conversation if m.role == "user"), key=lambda m: not m.enabled)
    first = next(iter(asked or conversation), None)
    words = line(first.text if first else "")
    if len(words) <= TITLE:
        return words or "(no words)"
    return words[:TITLE].rsplit(" ", 1)[0].rstrip() + "…"


def _words(conversation: Conversation) -> str:
    messages = {id(message): message for branch in conversation.branches for message in branch.messages}
    return "\n".join(map(said, messages.values()))


def _warn(error: ChatkitError) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"{error} The chat goes on and is not kept meanwhile.", stacklevel=2)
