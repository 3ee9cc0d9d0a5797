"""What is in the chat history: list it, search it, open a conversation again, delete it for good.

In: the archive's entries. Out: a `History` of `Kept` conversations, and `Chat`s that go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from chatkit.chats import history_file, history_writer
from chatkit.chats.chat import Chat
from chatkit.chats.history_file import Archive, Broken, Entry
from chatkit.chats.history_writer import Keeper
from chatkit.conversation.conversation import Conversation, Message
from chatkit.conversation.file import parse
from chatkit.exceptions import InputError
from chatkit.render.table import Table
from chatkit.render.text import line
from chatkit.signs import fit_to_print

COLUMNS = ("when", "title", "messages", "model", "branches")


@dataclass(frozen=True, slots=True)
class Kept:
    """One conversation in the history: what it is called, when it changed last, and the way back to it.

    >>> import chatkit
    >>> [kept.title for kept in chatkit.history(search="a word that nobody has used")]
    []
    """

    entry: Entry
    archive: Archive

    @property
    def id(self) -> str:
        """Its name in the history."""
        return self.entry.id

    @property
    def title(self) -> str:
        """The first words of its first question."""
        return self.entry.title

    @property
    def model(self) -> str | None:
        """The model that answered last."""
        return self.entry.model

    @property
    def branches(self) -> int:
        """How many branches it has."""
        return self.entry.branches

    @property
    def when(self) -> datetime:
        """When it changed last, in this machine's time zone."""
        return self.entry.changed.astimezone()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Its messages, read from the history now."""
        return Conversation.from_json(self._document()[0]).messages

    def __len__(self) -> int:
        return self.entry.messages

    def open(self) -> Chat:
        """A chat that goes on from here, and goes on being kept in the same place."""
        document, version = self._document()
        chat = Chat.from_kept(parse(document), history=False, trust=True)
        chat.keeper = Keeper(chat, self.id, version)
        return chat

    def delete(self) -> None:
        """Delete it for good: from the file's bytes too. A chat that is open goes on, and is kept no more."""
        history_writer.writer.flush()
        self.archive.delete(self.id)

    def _document(self) -> tuple[str, int]:
        history_writer.writer.flush()
        return self.archive.document(self.id)

    @fit_to_print
    def __repr__(self) -> str:
        return f"Kept({self.title!r}, {_counted(len(self), 'message')})"


class History(Sequence[Kept]):
    """Conversations that were kept, those changed last first.

    >>> import chatkit
    >>> len(chatkit.history(search="a word that nobody has used"))
    0
    """

    def __init__(
        self, entries: Sequence[Kept], file: Path | None, search: str = "", broken: Sequence[Broken] = ()
    ) -> None:
        self._entries = tuple(entries)
        self._broken = tuple(broken)
        self._file = file
        self._search = search

    @overload
    def __getitem__(self, index: int) -> Kept: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Kept, ...]: ...
    def __getitem__(self, index: int | slice) -> Kept | tuple[Kept, ...]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, which: int | str = 0) -> Chat:
        """The chat of one of them, by its number in this list or by its id."""
        for number, kept in enumerate(self._entries):
            if which in (number, kept.id):
                return kept.open()
        raise InputError(f"There is no conversation {which!r} here; there are {len(self)}, counted from 0.")

    def delete_all(self) -> int:
        """Delete for good all that the search finds, whatever the limit (without a search: all); how many there were."""
        history_writer.writer.flush()
        return Archive(self._file).delete_all(self._search) if self._file else 0

    @fit_to_print
    def __repr__(self) -> str:
        lines = [self._sentence(), *(f"  {n}  {'  '.join(_row(kept))}" for n, kept in enumerate(self._entries))]
        return "\n".join([*lines, *self._marks()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self._sentence() if cycle else repr(self))

    def _repr_html_(self) -> str:
        rows = [_table_row(number, kept) for number, kept in enumerate(self._entries)]
        return Table(self._sentence(), ("", *COLUMNS), rows, (), self._marks(), words=(0, 1, 2, 4)).html()

    def _marks(self) -> list[str]:
        """A line for each row of the file that could not be read."""
        return [line(f"could not be read: {str(one.id)[:40]} ({one.why})") for one in self._broken]

    def _sentence(self) -> str:
        if self._file is None:
            return "The history is off (CHATKIT_HISTORY)."
        found = f" with {self._search!r}" if self._search else ""
        return f"{_counted(len(self), 'conversation')}{found} in the history."


def history(search: str | None = None, limit: int | None = 20) -> History:
    """The conversations that were kept on this machine, those changed last first.

    `search` finds those in which each of its words stands, anywhere in any message; `limit` is how many at most.
    `CHATKIT_HISTORY=off` keeps nothing, `CHATKIT_HISTORY=/path` keeps it there.

    >>> len(history("words that nobody has said"))
    0
    """
    file = history_file.place()
    if file is None:
        return History((), None)
    history_writer.writer.flush()
    kept_in = Archive(file)
    found = kept_in.entries(search or "", limit)
    kept = [Kept(entry, kept_in) for entry in found if isinstance(entry, Entry)]
    return History(kept, file, search or "", [one for one in found if isinstance(one, Broken)])


def _row(kept: Kept) -> tuple[str, ...]:
    when = f"{kept.when:%Y-%m-%d %H:%M}"
    named = line(kept.title), _counted(len(kept), "message"), line(kept.model or "")
    return when, *named, _counted(kept.branches, "branch")


def _table_row(number: int, kept: Kept) -> tuple[str, ...]:
    return str(number), *_row(kept)[:2], str(len(kept)), line(kept.model or ""), str(kept.branches)


def _counted(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"
