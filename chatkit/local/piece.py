"""Annexe: what the engine yields, whichever endpoint asked. Between language.py and the answers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens one generation took; `cached` of the prompt's needed no work."""

    prompt: int
    completion: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class GeneratedPiece:
    """A bit of one generation: new text, and at its end why it ended and what it took.

    `logprobs` are entries in the Chat Completions form: token, logprob, bytes, top_logprobs.
    """

    text: str = ""
    logprobs: tuple[dict[str, Any], ...] = ()
    finish: str | None = None
    tokens: Tokens | None = None


@dataclass(slots=True)
class Whole:
    """A generation put together from its pieces."""

    text: str
    logprobs: list[dict[str, Any]]
    finish: str
    tokens: Tokens

    @classmethod
    def start(cls) -> "Whole":
        """A generation of which nothing has come yet."""
        return cls("", [], "stop", Tokens(0, 0))

    def add(self, piece: GeneratedPiece) -> None:
        """Take in the next piece."""
        self.text += piece.text
        self.logprobs.extend(piece.logprobs)
        self.finish = piece.finish or self.finish
        self.tokens = piece.tokens or self.tokens
