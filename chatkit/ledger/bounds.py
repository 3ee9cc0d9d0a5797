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
from chatkit.ledger import limits, own_price, prices, tokens
from chatkit.ledger.asking import Asked
from chatkit.ledger.counts import Counts
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.prices import Price

TYPICAL = 300
"""Tokens of an answer for which no limit was asked, most likely."""
LONGEST = 128_000
"""Tokens of an answer, or of a prompt that is not all text, where nothing is known of the model."""
PIECE = 4
"""Tokens that one event of a stream, or one token by the rule of four bytes, may be."""
SPEECH = 0.25
"""How much of the time that a file of its size could last, a recording most likely does."""

_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_id", "file_data", "file_url", "previous_response_id"))


def price(
    counts: Counts,
    asked: Asked,
    own: Sequence[OwnPrice],
    at: datetime,
    answered: str | None = None,
    tier: str | None = None,
) -> Price | None:
    """The price of what was used: the user's own where there is one, else the table's."""
    models = (answered, asked.model)
    if own and (found := own_price.price(own, counts, models, asked.server)):
        return found
    for model in models:
        if model and (listed := prices.price(counts, model, asked.url, at, tier)):
            return listed
    return None


def likely(asked: Asked, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    """What the request will cost, at the limit that it sets, or with an answer of the usual length."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound * SPEECH, asked, own, at)
    if asked.body is None:
        return None
    return _text(tokens.of_prompt(asked.body), _limit(asked) or TYPICAL * _answers(asked), asked, own, at)


def most(asked: Asked, own: Sequence[OwnPrice], at: datetime, seen: int = 0) -> Decimal | None:
    """What the request cannot exceed; `seen` tokens of an answer that broke off bound what was written of it."""
    if asked.kind == "audio":
        return _sound(asked.audio_seconds or asked.sound, asked, own, at)
    if asked.body is None:
        return None
    sent = _window(asked) if _is_mixed(asked.body) else tokens.of_prompt(asked.body) * tokens.BYTES
    longest = _limit(asked) or (limits.longest_answer(asked.model or "", asked.url) or LONGEST) * _answers(asked)
    return _text(sent, min(longest, seen * PIECE) if seen else longest, asked, own, at)


def _text(sent: int, came: int, asked: Asked, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    if asked.kind == "moderations":
        return Decimal(0)
    counts = {"input_tokens": sent} | ({} if asked.kind == "embeddings" else {"output_tokens": came})
    found = price(counts, asked, own, at)
    return found.cost if found else None


def _sound(seconds: float, asked: Asked, own: Sequence[OwnPrice], at: datetime) -> Decimal | None:
    heard = 10 * round(seconds)  # a model that is paid by the token hears ten a second, and few write as many
    by_token: Counts = {"input_tokens": heard, "input_audio_tokens": heard, "output_tokens": heard}
    found = price({"audio_seconds": seconds}, asked, own, at) or price(by_token, asked, own, at)
    return found.cost if found else None


def _limit(asked: Asked) -> int | None:
    limit = answer_limit(asked.body or {})
    return None if limit is None else limit * _answers(asked)


def _answers(asked: Asked) -> int:
    return max(1, asked.choices)


def _window(asked: Asked) -> int:
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
