"""The history's writing: each state of a chat is soon on disk, by a thread of its own.

In: a chat that changes, on any thread. Out: rows of the archive, by the writer's thread. A history that cannot be
written breaks no chat: one warning says so.

A chat that changes while it waits is written once. The thread is no
daemon: the interpreter's end waits for it; what changes later still is written by whoever changes it.
"""

import atexit
import logging
import os
import threading
import warnings
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import uuid4

from chatkit.chats import history_file
from chatkit.chats.history_file import Archive, DeletedError, Entry, OvertakenError
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.message import said
from chatkit.exceptions import ChatkitError
from chatkit.patience import until
from chatkit.render.text import line

_log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a fork waits for what is being written: a child that inherits SQLite at work cannot use it."""


class Writing(Protocol):
    """What can be written."""

    def write(self) -> None:
        """Write what is there now."""


class Writer:
    """Writes what was touched, in the order of the first touches."""

    def __init__(self) -> None:
        self._due: dict[Writing, None] = {}
        self._state = threading.Condition()
        self._serving: threading.Thread | None = None
        self._ending = False
        self._writing = threading.Lock()

    def touch(self, keeper: Writing) -> None:
        """Have `keeper` write, soon and on another thread; at the interpreter's end at once and on this one."""
        with self._state:
            self._due[keeper] = None
            if self._serving is not None:
                return
            self._serving = threading.Thread(target=self._serve, name="chatkit-keeping", daemon=False)
            if self._started(self._serving):
                return
        self._serve()

    def flush(self) -> None:
        """Wait until all that was touched is written; for a thread that may wait."""
        with self._state:
            until(lambda seconds: self._state.wait_for(lambda: self._serving is None, seconds))

    def end(self) -> None:
        """Start no more threads: the interpreter ends."""
        with self._state:
            self._ending = True

    def pause(self) -> None:
        """Let what is being written be written, and begin nothing more until `resume`."""
        self._writing.acquire(timeout=PATIENCE)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._writing.locked():
            self._writing.release()

    def _started(self, thread: threading.Thread) -> bool:
        if self._ending:
            return False
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or the system has no thread left
            return False
        return True

    def _serve(self) -> None:
        while True:
            with self._state:
                keeper = next(iter(self._due), None)
                if keeper is None:
                    self._serving = None
                    self._state.notify_all()
                    return
                del self._due[keeper]
            try:
                with self._writing:
                    keeper.write()
            except Exception:  # noqa: BLE001  # one chat's fault must not keep the others from being written
                _log.exception("A chat could not be kept.")


writer = Writer()


def _end() -> None:
    writer.end()
    writer.flush()  # what other exit hooks have changed is written by a thread that nobody else waits for


def _forget() -> None:
    global writer
    writer = Writer()  # the parent's thread, which is not in the child, writes what waits there


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: writer.pause(), after_in_parent=lambda: writer.resume(), after_in_child=_forget)


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
        self._began = history_file.now()
        self._unlisten = talk.conversation.listen(self._hear)

    def write(self) -> None:
        """Write the chat as it is now; never raises."""
        file = history_file.place()
        if file is None:
            return
        try:
            self._put(Archive(file), self._talk.to_json())
        except DeletedError:
            self._unlisten()
        except ChatkitError as error:
            _warn(error)

    def _hear(self) -> None:
        if (self._version or self._talk.replies) and history_file.place():
            writer.touch(self)

    def _put(self, file: Archive, document: str) -> None:
        # what is said of the document is read from it: it is one state of the chat, and no key is in it
        talk = Conversation.from_json(document)
        try:
            self._version = file.put(self._entry(talk), document, _words(talk), after=self._version)
        except OvertakenError:
            self.id, self._version, self._began = uuid4().hex[:12], 0, history_file.now()
            self._version = file.put(self._entry(talk), document, _words(talk))

    def _entry(self, talk: Conversation) -> Entry:
        answered = [reply.model for reply in self._talk.replies.values() if reply.model]
        model = answered[-1] if answered else self._talk.model
        return Entry(self.id, title(talk), model, len(talk), len(talk.branches), self._began, history_file.now())


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
