"""The wire's answers as values: a `Delta` of one, an `Answer` as it is, and one that is `GrowingAnswer`.

In: what reading.py and the dialects add. Out: to the engine, which yields deltas, and to the chat, which keeps answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chatkit.api import finish
from chatkit.api.finish import Outcome
from chatkit.api.tool_calls import ToolCalls

DeltaKind = Literal["text", "reasoning", "refusal", "tool_call"]

SPOKEN = "the answer was spoken; these are its words"
UNHEARD = "sound came with the answer; chatkit does not play it"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer as it came: more `text` for the answer number `index`; iterate over a `Run` to get them.

    >>> "".join(piece.text for piece in [Delta("Bra"), Delta("zil")] if piece.kind == "text")
    'Brazil'
    """

    text: str
    index: int = 0
    kind: DeltaKind = "text"


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of a reply: `n=2` gives two. `note` says what came beside the text and is not shown.

    >>> Answer(text="Brazil", finish_reason="stop").outcome
    'complete'
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = None
    note: str = ""
    how: Outcome | None = field(default=None, compare=False, repr=False)
    """How it ended, where its reason alone does not tell."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it gave no reason."""
        return self.how or (finish.outcome_of(self.finish_reason) if self.finish_reason else None)

    @property
    def came(self) -> bool:
        """Whether there is anything to keep: words, a call, or what the note names.

        >>> Answer(note="1 picture came with the answer; chatkit does not show it").came, Answer(reasoning="Hm.").came
        (True, False)
        """
        return bool(self.text or self.refusal or self.tool_calls or self.note)


class GrowingAnswer:
    """One answer while it grows."""

    __slots__ = ("calls", "finish_reason", "half", "how", "media", "parts")

    def __init__(self) -> None:
        self.parts: dict[DeltaKind, list[str]] = {"text": [], "reasoning": [], "refusal": []}
        self.calls = ToolCalls()
        self.finish_reason: str | None = None
        self.how: Outcome | None = None
        self.half: dict[DeltaKind, str] = {}
        self.media: dict[str, int] = {}

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it gave no reason yet."""
        return self.how or (finish.outcome_of(self.finish_reason) if self.finish_reason else None)

    def frozen(self, index: int) -> Answer:
        """The answer as it is now."""
        text, reasoning, refusal = ("".join(self.parts[k]) for k in ("text", "reasoning", "refusal"))
        calls, note = self.calls.frozen(), _beside(self.media)
        return Answer(index, text, reasoning, refusal, calls, self.finish_reason, note, self.how)


def _beside(media: Mapping[str, int]) -> str:
    """What came beside the text, in words."""
    notes = []
    if pictures := media.get("picture"):
        many = pictures > 1
        came = f"{pictures} pictures" if many else "1 picture"
        notes.append(f"{came} came with the answer; chatkit does not show {'them' if many else 'it'}")
    if media.get("spoken") or media.get("sound"):
        notes.append(SPOKEN if media.get("spoken") else UNHEARD)
    return "; ".join(notes)
