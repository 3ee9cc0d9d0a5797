"""Annexe: what the engine yields, and its tokens and log probabilities in the forms the endpoints have for them."""

from collections.abc import Iterable, Sequence
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


LEAST = -9999.0
"""What the API writes for a token too unlikely to have a finite log probability."""


def total(tokens: Sequence[Tokens], prompts: int = 1) -> Tokens:
    """The tokens of one request: each prompt counts once, however many answers it got."""
    each = len(tokens) // prompts
    firsts = tokens[::each] if each else tokens
    return Tokens(sum(t.prompt for t in firsts), sum(t.completion for t in tokens), sum(t.cached for t in firsts))


def chat_usage(tokens: Tokens) -> dict[str, Any]:
    """`usage` of Chat Completions and Completions."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def response_usage(tokens: Tokens) -> dict[str, Any]:
    """`usage` of Responses."""
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.prompt + tokens.completion,
    }


def logprob(entry: dict[str, Any], top: int) -> dict[str, Any]:
    """One token's entry, with its `top` likeliest rivals, without what only llama.cpp sends."""
    return _token(entry) | {"top_logprobs": [_token(t) for t in entry.get("top_logprobs", [])[:top]]}


def logprobs(entries: Iterable[dict[str, Any]], top: int) -> list[dict[str, Any]]:
    """The entries of several tokens."""
    return [logprob(entry, top) for entry in entries]


def legacy_logprobs(entries: Iterable[dict[str, Any]], top: int, offset: int) -> dict[str, Any]:
    """`logprobs` of Completions; `offset` is where the first token stands in the text."""
    out: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for entry in logprobs(entries, top):
        out["tokens"].append(entry["token"])
        out["token_logprobs"].append(entry["logprob"])
        out["top_logprobs"].append({t["token"]: t["logprob"] for t in entry["top_logprobs"]})
        out["text_offset"].append(offset)
        offset += len(entry["token"])
    return out


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    value = entry.get("logprob")
    return {
        "token": entry["token"],
        "logprob": LEAST if value is None else value,
        "bytes": entry.get("bytes") or list(entry["token"].encode("utf-8")),
    }
