"""What a request will likely cost and what it cannot exceed, reckoned in microseconds: for the budget.

In: the facts of a request, own prices, and what was seen of its answer. Out: US dollars, or None where no
price is known. `estimates.py` reckons the same for people, with a real count of the tokens.

A token has one byte at least, so a text bounds its tokens; an answer is bounded by the limit that the
request sets, else by the model's longest answer; sound by what the head of its file says, else by the file's size.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from chatkit.api.parameters import answer_limit
from chatkit.ledger import limits, tokens
from chatkit.ledger.asking import MeteredRequest
from chatkit.ledger.counts import Counts
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.pricing import price_of, tier_asked

TYPICAL = 300
"""Tokens of an answer for which no limit was asked, most likely."""
LONGEST = 128_000
"""Tokens of an answer, or of a prompt that is not all text, where nothing is known of the model."""
PIECE = 4
"""Tokens that one event of a stream, or one token by the rule of four bytes, may be."""
SPEECH = 0.25
"""How much of the time that a file of its size could last, a recording most likely does."""

_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_id", "file_data", "file_url", "previous_response_id"))


def likely(asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    """What the request will cost, at the limit that it sets, or with an answer of the usual length."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound * SPEECH, asked, own, at)
    if asked.body is None:
        return None
    return _text(tokens.of_prompt(asked.body), _limit(asked) or TYPICAL * _answers(asked), asked, own, at)


def most(asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime, seen: int = 0) -> Decimal | None:
    """What the request cannot exceed; `seen` tokens of an answer that broke off bound what was written of it."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound, asked, own, at)
    if asked.body is None:
        return None
    sent = _window(asked) if _is_mixed(asked.body) else tokens.of_prompt(asked.body) * tokens.BYTES
    longest = _limit(asked) or (limits.longest_answer(asked.model or "", asked.url) or LONGEST) * _answers(asked)
    return _text(sent, min(longest, seen * PIECE) if seen else longest, asked, own, at)


def _text(sent: int, came: int, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    if asked.kind == "moderations":
        return Decimal(0)
    counts = {"input_tokens": sent} | ({} if asked.kind == "embeddings" else {"output_tokens": came})
    return _cost(counts, asked, own, at)


def _cost(counts: Counts, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    found = price_of(counts, asked.model, asked.url, at, tier=tier_asked(asked.body), own=own)
    return found.cost if found else None


def _sound(seconds: float, asked: MeteredRequest, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    heard = 10 * round(seconds)  # a model that is paid by the token hears ten a second, and few write as many
    by_token: Counts = {"input_tokens": heard, "input_audio_tokens": heard, "output_tokens": heard}
    by_second = _cost({"audio_seconds": seconds}, asked, own, at)
    return _cost(by_token, asked, own, at) if by_second is None else by_second


def _limit(asked: MeteredRequest) -> int | None:
    limit = answer_limit(asked.body or {})
    return None if limit is None else limit * _answers(asked)


def _answers(asked: MeteredRequest) -> int:
    return max(1, asked.choices)


def _window(asked: MeteredRequest) -> int:
    return limits.window(asked.model or "", asked.url) or LONGEST


def _is_mixed(body: dict[str, Any]) -> bool:
    """Whether a prompt has more than text in it."""
    left: list[Any] = [body]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if not _NOT_TEXT.isdisjoint(value):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False
