"""Values: the branches of a conversation for any thread, and those who are told when they change.

In: lines of messages, and what shall become of them. Out: `Branch`es; a word to the listeners after each change.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec

from chatkit.conversation import branches as lines
from chatkit.conversation.branches import FIRST, Branch, Branches, Messages, Variants
from chatkit.conversation.changes import Change, Changes
from chatkit.conversation.message import Message
from chatkit.exceptions import InputError

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class Listeners(list[Callable[P, object]]):
    """Callables that are told what happens; `fault` is what the log says of one that raises.

    >>> told, listeners = [], Listeners("A listener failed.")
    >>> stop = listeners.add(told.append)
    >>> listeners.tell("one")
    >>> stop()
    >>> listeners.tell("two")
    >>> told
    ['one']
    """

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def add(self, listener: Callable[P, object]) -> Callable[[], None]:
        """Tell this one too; returns the way to stop, which may be called twice."""
        self.append(listener)
        return lambda: self.remove(listener) if listener in self else None

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call each of them, those who come or go meanwhile left aside; what one raises is logged."""
        for listener in list(self):
            try:
                listener(*args, **kwargs)
            except Exception:
                logger.exception(self.fault)


class Branched:
    """Lines of messages, one of which goes on; what is said of a message (`which`) is its index or its id."""

    def __init__(self, messages: Iterable[Message | Mapping[str, Any]] = ()) -> None:
        self._lock = threading.RLock()
        self._branches = Branches({FIRST: lines.checked(messages)}, FIRST)
        self._changes = Changes()
        self._listeners: Listeners[[]] = Listeners(
            "A listener of a conversation failed; the conversation has changed all the same."
        )

    @property
    def messages(self) -> Messages:
        """The messages of the current branch, those switched off included."""
        with self._lock:
            return self._branches.line

    def index(self, which: int | str) -> int:
        """The place of a message, counted from 0."""
        return lines.index(self.messages, which)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All branches, the oldest first."""
        with self._lock:
            return tuple(self._branches)

    @property
    def current_branch(self) -> Branch:
        """The current branch."""
        with self._lock:
            return Branch(self._branches.current, self._branches.line, True)

    @property
    def current(self) -> str:
        """The name of the current branch."""
        with self._lock:
            return self._branches.current

    def branch(
        self,
        name: str | None = None,
        messages: Iterable[Message | Mapping[str, Any]] | None = None,
        *,
        checkout: bool = True,
    ) -> Branch:
        """Keep the current line under its name and go on on a new branch, with the same messages or others.

        Without a name the branch is called after the current one: main, main-2, main-3. With
        `checkout=False` the new branch is only laid beside the current one.
        """
        line = None if messages is None else lines.checked(messages)
        with self._changing():
            return self._branches.grow(name, self.messages if line is None else line, checkout)

    def checkout(self, name: str) -> Branch:
        """Go on on another branch."""
        if name == self.current:
            return Branch(name, self.messages, True)
        with self._changing():
            return self._branches.checkout(name)

    def tell(self) -> None:
        """Have the listeners look again: something that is shown beside the messages has changed."""
        with self._changing():
            pass

    def rename_branch(self, old: str, new: str) -> None:
        """Give a branch another name; its place among the others stays."""
        with self._changing():
            self._branches.rename(old, new)
            self._changes.renamed(old, new.strip())

    def remove_branch(self, name: str) -> Branch:
        """Drop a branch and what only it holds; not the current one. `undo` brings it back."""
        with self._changing():
            dropped = self._branches.remove(name)
            self._changes.note(Change(f"Branch {name!r} removed.", name, dropped.messages, None))
            return dropped

    def undo(self) -> str:
        """Take the last change back that was made by hand; gives back what it was, in words, empty if there is none.

        Messages edited, moved, removed, replaced or given another role, and branches removed, come back one after the
        other. If the talk has gone on since, what it is now is kept as a branch.
        """
        with self._changing():
            return self._changes.undo(self._branches)

    def redo(self) -> str:
        """Make the change again that `undo` took back last; gives back what it was, empty if there is none."""
        with self._changing():
            return self._changes.redo(self._branches)

    @property
    def changed_last(self) -> tuple[str, str]:
        """What was changed by hand last, and what was taken back last; empty where the talk has gone on since."""
        with self._lock:
            return self._changes.in_sight(self._branches)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change for `undo` to take back."""
        with self._lock:
            return bool(self._changes.made)

    def go_on_with(self, messages: Iterable[Message | Mapping[str, Any]]) -> Branch:
        """Go on with these messages instead of the current line; that one is kept as a branch if it would be lost.

        It would not be if the new line, or another branch, begins with all of it: then the current branch changes.
        """
        line = lines.checked(messages)
        with self._changing():
            return self._branches.turn_to(self._branches.current, line)

    def extend(
        self,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        on: str | None = None,
        instead_of: str | None = None,
        others: Iterable[Message] = (),
    ) -> Branch:
        """Put messages at the end of a branch (`on`, or the current one), as one change.

        `instead_of` is the id of a message that they replace with all that follows; the old line is kept as a branch
        if it would be lost. Each of `others` becomes a variant of the last message, on a branch of its own. A branch
        that is not the current one does not become it.
        """
        more = lines.checked(messages)
        with self._changing():
            name = self._branches.current if on is None else on
            line = self._branches.find(name)
            start = line[: None if instead_of is None else lines.index(line, instead_of)]
            made = self._branches.turn_to(name, lines.unique(start + more))
            for other in others:
                self._branches.grow(None, (*made.messages[:-1], other), False, after=made.name)
            return made

    def show(self, message_id: str) -> Branch:
        """Go to the branch that holds the message; to the one used last, if there are several."""
        with self._lock:
            name = self._branches.holder(message_id)
        return self.checkout(name)

    @property
    def forks(self) -> Mapping[int, Variants]:
        """Where other branches go on with another message: the place in the current branch, and its variants."""
        with self._lock:
            return dict(self._branches.forks)

    def variants(self, which: int | str) -> Variants:
        """What all branches have at this message's place after the same messages, and which of it is shown."""
        with self._lock:
            return self._branches.variants(self.index(which))

    def choose(self, which: int | str, variant: int) -> Message:
        """Show another variant of a message, on the branch that was used last of those that hold it."""
        with self._lock:
            place, found = self.index(which), self.variants(which)
            if not 0 <= variant < len(found):
                raise InputError(f"There is no variant {variant}; this message has {len(found)}, counted from 0.")
            branch = self._branches.last_used(found.branches[variant])
        return self.checkout(branch).messages[place]

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Have `listener` called after each change, on the thread that made it; returns the way to stop."""
        return self._listeners.add(listener)

    # --- how a change is made

    def _change(self, make: Callable[[Messages], Messages], what: str = "") -> None:
        """Change the current line; `what` says what is lost by it, and can be taken back."""
        with self._changing():
            before = self._branches.line
            self._branches.line = after = lines.unique(make(before))
            if what and after != before:
                self._changes.note(Change(what, self._branches.current, before, after))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
            self._branches.changed()
        # not under the lock: a listener may wait for one that a reader of this conversation holds
        self._listeners.tell()
