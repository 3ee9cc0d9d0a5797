"""Faces: what went wrong, in a sentence, and what a person can do about it with one click.

In: an error or a reply. Out: a plain dict for the page: the words, and the acts to offer, each with its label.
"""

from collections.abc import Mapping
from typing import Any

from chatkit.api.text import plain
from chatkit.captions import sentences
from chatkit.chats import offered
from chatkit.chats.chat import Chat
from chatkit.client.reply import Reply
from chatkit.exceptions import BudgetError, ChatkitError, EndpointError, mended

RETRY = ("retry", "Retry")
REMEDIES = {"context_length": (("drop_oldest", "Leave out the oldest turn"), ("new", "New chat"), RETRY)}
"""By the kind of an EndpointError; for the others asking again is all there is."""


def trouble(error: ChatkitError, *acts: tuple[str, str]) -> Mapping[str, Any]:
    """The error in words, with acts to offer."""
    return {"text": str(error), "acts": [list(act) for act in acts]}


def fault_of(error: Exception, reply: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What a widget's own failure is called, beside what went wrong in the turn before."""
    own = f"This could not be brought up to date here ({mended(plain(f'{type(error).__name__}: {error}'))})."
    said = {"acts": [], **(reply or {})}
    return {**said, "text": f"{reply['text']} {own}" if reply else own}


def own_fault(fault: Exception) -> ChatkitError:
    """A fault that is nobody's who uses the page, in words."""
    what = mended(plain(f"{type(fault).__name__}: {fault}"))
    return ChatkitError(
        f"This could not be done, by a fault of chatkit's or of what it stands on ({what}).", "Try again."
    )


def offer(chat: Chat) -> Mapping[str, Any] | None:
    """What the chat's file sets beside, to be taken or left; None where that is nothing."""
    if not chat.set_aside:
        return None
    acts = [["accept", "Take it"], ["decline", "Leave it out"]]
    return {"text": offered.sentence(chat.set_aside), "acts": acts, "kind": "offer"}


def trouble_of(reply: Reply) -> Mapping[str, Any] | None:
    """What went wrong in a turn; None if nothing did."""
    if reply.outcome == "cancelled":
        if reply.came_back:
            return None
        return {"text": "Stopped before anything came.", "acts": [list(RETRY)], "kind": "stopped"}
    if reply.error is not None:
        kind = reply.error.kind if isinstance(reply.error, EndpointError | BudgetError) else ""
        said = trouble(reply.error, *REMEDIES.get(kind, (RETRY,)))
        # what stays as a message has the notes below it
        notes = [] if reply.came_back else sentences(reply.notes)
        return {**said, "kind": kind, "text": " ".join([said["text"], *notes])}
    if reply.outcome in ("incomplete", "error"):
        return {"text": "The answer broke off; what came is kept.", "acts": [list(RETRY)]}
    return None
