"""Changes that a person made to a conversation by hand, to be taken back and made again.

In: a branch's line before and after a change, and what the change was, in words. Out: those lines, put back; what has
grown since then stays, as a branch. Nothing here is guarded against other threads: branched.py orders the changes.
"""

from collections import deque
from dataclasses import dataclass, replace

from chatkit.conversation.branches import Branches, Messages, free_name

KEPT = 100
"""Changes that can be taken back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what it was, in words, of which branch, and its line before and after; None where there was none."""

    what: str
    branch: str
    before: Messages | None
    after: Messages | None

    def is_last(self, branches: Branches) -> bool:
        """Whether the branch is still as the change left it, and is the one that is shown."""
        line = branches.lines.get(self.branch)
        return line == self.after and (self.after is None or branches.current == self.branch)


class Changes:
    """The changes of one conversation, the last one at the end; those that were taken back, likewise."""

    def __init__(self) -> None:
        self.made: deque[Change] = deque(maxlen=KEPT)
        self.taken_back: deque[Change] = deque(maxlen=KEPT)

    def note(self, change: Change) -> None:
        """A person has made a change; what was taken back before cannot be made again over it."""
        self.made.append(change)
        self.taken_back.clear()

    def renamed(self, old: str, new: str) -> None:
        """A branch has another name."""
        for changes in (self.made, self.taken_back):
            named = [replace(c, branch=new) if c.branch == old else c for c in changes]
            changes.clear()
            changes.extend(named)

    def undo(self, branches: Branches) -> str:
        """Take the last change back; what it was, empty where there is none."""
        return _step(self.made, self.taken_back, branches)

    def redo(self, branches: Branches) -> str:
        """Make the change again that was taken back last; what it was, empty where there is none."""
        return _step(self.taken_back, self.made, branches)

    def in_sight(self, branches: Branches) -> tuple[str, str]:
        """What was changed last, and what was taken back last; empty where the talk has gone on since."""
        made, back = (changes[-1] if changes else None for changes in (self.made, self.taken_back))
        return (
            made.what if made and made.is_last(branches) else "",
            back.what if back and back.is_last(branches) else "",
        )


def _step(source: deque[Change], target: deque[Change], branches: Branches) -> str:
    if not source:
        return ""
    change = source[-1]
    was = branches.lines.get(change.branch)
    there = _put_back(change, branches)
    source.pop()
    target.append(Change(change.what, there, was, change.before))
    return change.what


def _put_back(change: Change, branches: Branches) -> str:
    """Put the line from before the change in its place, on the branch whose name is given back.

    If the branch has gone on since, that line is kept beside it, unless another branch has all of it.
    """
    name, line, now = change.branch, change.before, branches.lines.get(change.branch)
    if line is None:
        branches.remove(name)
        return name
    if now is None:
        return branches.grow(free_name(branches.lines, name), line, checkout=change.after is not None).name
    if now == change.after:
        branches.lines[name] = line
    else:
        same = next((other for other, has in branches.lines.items() if has == line), None)
        name = same or branches.turn_to(name, line).name
    branches.checkout(name)
    return name
