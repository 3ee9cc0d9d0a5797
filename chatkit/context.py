"""What of a conversation is sent: the messages that are switched on, and of those what fits by rule.

In: messages, a window, a rule (`trim`). Out: a `Selection` that says what was left out and why. Whole turns are left
out, the oldest first; no message is ever cut, and nothing is left out unsaid.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from chatkit.exceptions import InputError
from chatkit.ledger import tokens
from chatkit.message import HEADS, Message

Trim = Literal["none", "oldest"] | int

OFF = "switched off"
RESERVE = 8
"""The part of a window (one in so many) that is kept for an answer whose length has no limit."""
REMEMBERED = 20_000

TurnMessages = tuple[Message, ...]


def check_trim(trim: Any) -> Trim:
    """The rule itself; raises InputError for what is none."""
    if trim in ("none", "oldest") or (type(trim) is int and trim > 0):
        return trim  # type: ignore[no-any-return]  # just checked
    raise InputError(f"trim is {trim!r}; it must be 'none', 'oldest', or a number of tokens of at least 1.")


class TokenCounts:
    """Estimates of messages' tokens, each made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Message, int]] = {}

    def of(self, message: Message, model: str) -> int:
        """About how many prompt tokens the message takes."""
        key = (message.id, model)
        known = self._known.get(key)
        if known is None or not known[0].is_same(message):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = (message, tokens.of_prompt({"model": model, "messages": [message.to_api()]}))
        return known[1]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages are sent. `left_out` has the reason for each other one, by id; `tokens` is an estimate.

    `trimmed_turns` are those that the rule left out, the oldest first, and about `trimmed_tokens` of the prompt.
    """

    messages: tuple[Message, ...]
    left_out: Mapping[str, str]
    tokens: int
    trimmed_turns: tuple[TurnMessages, ...] = ()
    trimmed_tokens: int = 0

    @property
    def trimmed(self) -> str:
        """What the rule left out, in words; empty where it left out nothing.

        >>> turn = (Message("user", "Why?"),)
        >>> Selection((), {}, 0, (turn, turn, turn), 2100).trimmed
        '3 oldest turns left out (about 2,100 tokens)'
        """
        count = len(self.trimmed_turns)
        if not count:
            return ""
        return f"{count} oldest turn{'s' if count > 1 else ''} left out (about {self.trimmed_tokens:,} tokens)"


def select(
    messages: Sequence[Message],
    trim: Trim,
    *,
    counts: TokenCounts,
    model: str = "",
    window: int | None = None,
    answer: int | None = None,
    around: int = 0,
) -> Selection:
    """Choose what is sent. `around` is the estimate of the request's other text, `answer` the answer's limit.

    With "oldest" the estimate must fit the window less the answer; with a number, that number of tokens. System and
    developer messages and the last turn always stay.
    """
    on = [message for message in messages if message.enabled]
    left_out = {message.id: OFF for message in messages if not message.enabled}
    total = around + sum(counts.of(message, model) for message in on)
    limit, rule = _limit(trim, window, answer)
    dropped: list[TurnMessages] = []
    for turn in turns(on)[:-1]:
        if limit is None or total <= limit:
            break
        dropped.append(turn)
        total -= sum(counts.of(message, model) for message in turn)
    gone = {message.id for turn in dropped for message in turn}
    about = sum(counts.of(message, model) for turn in dropped for message in turn)
    left_out |= dict.fromkeys(gone, f"trimmed: the oldest turns do not fit {rule}")
    sent = tuple(message for message in on if message.id not in gone)
    return Selection(sent, MappingProxyType(left_out), total, tuple(dropped), about)


def turns(messages: Iterable[Message]) -> list[TurnMessages]:
    """The messages that can be left out, by turns: a user's message with all that follows, up to the next one.

    >>> said = [Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")]
    >>> [[m.content for m in turn] for turn in turns(said)]
    [['b', 'c'], ['d']]
    """
    said = [message for message in messages if message.role not in HEADS]
    starts = [i for i, message in enumerate(said) if i == 0 or message.role == "user"]
    return [tuple(said[start:end]) for start, end in pairwise([*starts, len(said)])]


def changed(sent: Iterable[Message], now: Mapping[str, Message]) -> str:
    """What has changed of the messages that were sent, in words; `now` are those that stand there, by id.

    >>> said = Message("user", "Why?")
    >>> changed([said], {said.id: said}), changed([said], {})
    ('', 'asked before a message was changed')
    """
    gone = [one for one in sent if (here := now.get(one.id)) is not one and not _stands(one, here)]
    if not gone:
        return ""
    return "asked under another system prompt" if gone[0].role in HEADS else "asked before a message was changed"


def _stands(sent: Message, here: Message | None) -> bool:
    return here is not None and here.enabled and here.is_same(sent)


def room(window: int | None, answer: int | None) -> int | None:
    """The tokens of a prompt that leave room for the answer; None where the window is unknown."""
    if window is None:
        return None
    return max(0, window - (window // RESERVE if answer is None else answer))


def _limit(trim: Trim, window: int | None, answer: int | None) -> tuple[int | None, str]:
    if trim == "oldest":
        return room(window, answer), f"the window of {window:,} tokens" if window else ""
    return (None, "") if trim == "none" else (trim, f"the budget of {trim:,} tokens")
