"""What a request will use and cost, before it is sent; what a call would have cost on another model.

In: a request's JSON body and where it goes, or a `Usage`. Out: an `Estimate` with a range and how it was
reckoned; US dollars, or None where they are not known. Nothing is sent and nothing fetched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from chatkit.api.hosts import HostRules, rules_at
from chatkit.api.models import find
from chatkit.api.parameters import COMPLETIONS_LIMIT, answer_limit
from chatkit.ledger import limits, prices, tokens
from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.prices import Count, Price
from chatkit.ledger.pricing import own_now, price_of, tier_asked
from chatkit.ledger.record import Usage
from chatkit.ledger.tokens import Range as Range

TYPICAL = 300
"""Tokens of an answer where nothing is known of it: some 220 English words."""


class CostRange(NamedTuple):
    """US dollars: at least, most likely, at most (None where there is no bound).

    >>> CostRange(Decimal(0), Decimal("0.002"), None).likely
    Decimal('0.002')
    """

    low: Decimal
    likely: Decimal
    high: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and US dollars of requests that were not sent yet; estimates add, and multiply by how often.

    `prompt` and `completion` are tokens, `cost` is None where no part of the price is known. `how` says
    how they were reckoned. In a sum, `unpriced_calls` are those that the cost leaves out.

    >>> once = estimate_body({"model": "gpt-4o-mini", "input": "Hi", "max_output_tokens": 20}, limits.OPENAI)
    >>> (once * 30).completion
    Range(low=0, likely=600, high=600)
    """

    prompt: Range
    completion: Range
    cost: CostRange | None
    how: str
    audio_seconds: float = 0
    calls: int = 1
    unpriced_calls: int = 0

    def __add__(self, other: "Estimate") -> "Estimate":
        if not isinstance(other, Estimate):
            return NotImplemented
        return Estimate(
            _sum(self.prompt, other.prompt),
            _sum(self.completion, other.completion),
            _costs(self.cost, other.cost),
            self.how if self.how == other.how else f"{self.how} {other.how}",
            self.audio_seconds + other.audio_seconds,
            self.calls + other.calls,
            self.unpriced_calls + other.unpriced_calls,
        )

    def __radd__(self, other: object) -> "Estimate":
        return self if other == 0 else NotImplemented

    def __mul__(self, times: int) -> "Estimate":
        if not isinstance(times, int) or times < 1:
            return NotImplemented
        return Estimate(
            Range(*(_times(n, times) for n in self.prompt)),  # type: ignore[arg-type]  # None comes of None only
            Range(*(_times(n, times) for n in self.completion)),  # type: ignore[arg-type]
            CostRange(*(_times(n, times) for n in self.cost)) if self.cost else None,  # type: ignore[arg-type]
            self.how,
            self.audio_seconds * times,
            self.calls * times,
            self.unpriced_calls * times,
        )

    __rmul__ = __mul__


def estimate_body(
    body: Mapping[str, Any],
    url: str,
    *,
    local: bool = False,
    window: int | None = None,
    typical: int | None = None,
    more: int = 0,
    at: datetime | None = None,
    rules: HostRules | None = None,
    own: Sequence[OwnPrice] | None = None,
) -> Estimate:
    """What a request for Chat Completions, Responses or Completions will use, sent to `url` (base or full).

    `local` says that the endpoint costs nothing, `window` how many tokens it takes where that is known;
    `typical` is the answer's likely length (the mean of past answers, say), `rules` whose rules hold there
    (None: by the URL and `local`). The upper bound is the limit
    that the request sets, else the model's longest answer, and never more than the window leaves.
    `more` tokens of the prompt are likely that are not in the body yet; then it has no upper bound.
    `own` are the user's own prices, if not those that are set now.
    """
    counted = tokens.count_prompt(body)
    prompt = counted.tokens
    if more:
        prompt = Range(prompt.low, prompt.likely + more, None)
    model = str(body.get("model") or "")
    room = window or limits.window(model, url)
    longest = find(model, rules or rules_at(url, local=local)).longest_answer
    completion = _completion(body, counted.tokens, longest, room, typical or TYPICAL)
    price = partial(
        price_of, models=model, url=url, at=at, tier=tier_asked(body), own=own_now() if own is None else own
    )
    cost = _free() if local else _cost(prompt, completion, price)
    return Estimate(prompt, completion, cost, _how(counted, completion, body), unpriced_calls=int(cost is None))


def estimate_audio(
    seconds: float, model: str, url: str, *, local: bool = False, at: datetime | None = None
) -> Estimate:
    """What it will cost to turn `seconds` of sound into text, where the model is paid by the minute."""
    nothing = Range(0, 0, 0)
    found = None if local else price_of({"audio_seconds": seconds}, model, url, at)
    cost = _free() if local else CostRange(found.cost, found.cost, found.cost) if found else None
    return Estimate(nothing, nothing, cost, "By the length of the sound.", seconds, unpriced_calls=int(cost is None))


def priced_as(
    usage: Usage,
    model: str,
    url: str = limits.OPENAI,
    at: datetime | None = None,
    *,
    own: Sequence[OwnPrice] | None = None,
) -> Decimal | None:
    """US dollars that the calls in `usage` would have cost on another model; None where that is not known.

    What was cached or reasoned is charged as such. A sum is priced as calls of equal size, which matters
    for models that are dearer from some length on; calls in it whose usage is not known are left out.

    >>> at = datetime.fromisoformat("2026-11-23T00:00Z")
    >>> priced_as(Usage(1000, 100, cost=Decimal(0), known="measured"), "gpt-4o-mini", at=at)
    Decimal('0.00021')
    >>> priced_as(Usage(), "gpt-4o-mini") is None
    True
    """
    used = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "audio_seconds": usage.audio_seconds,
    }
    counts: dict[str, Count] = {key: count for key, count in used.items() if count is not None}
    calls = usage.calls - usage.unknown_calls
    if not counts or calls < 1:
        return None
    each: dict[str, Count] = counts if calls == 1 else {key: Decimal(str(n)) / calls for key, n in counts.items()}
    found = price_of(each, model, url, at, own=own)
    if found is None or calls == 1:
        return found.cost if found else None
    return (found.cost * calls).quantize(prices.SMALLEST).normalize()


def _completion(body: Mapping[str, Any], prompt: Range, longest: int | None, window: int | None, typical: int) -> Range:
    unasked = COMPLETIONS_LIMIT if "prompt" in body and "input" not in body else longest
    room = window and max(0, window - prompt.low)
    bounds = [bound for bound in (answer_limit(body) or unasked, room) if bound is not None]
    high = min(bounds, default=None)
    answers = body["n"] if _is_count(body.get("n")) else 1
    likely = typical if high is None else min(typical, high)
    return Range(0, likely * answers, None if high is None else high * answers)


def _cost(prompt: Range, completion: Range, price: Callable[[dict[str, Count]], Price | None]) -> CostRange | None:
    def of(sent: int, came: int) -> Decimal | None:
        found = price({"input_tokens": sent, "output_tokens": came})
        return found.cost if found else None

    low, likely = of(prompt.low, completion.low), of(prompt.likely, completion.likely)
    if low is None or likely is None:
        return None
    bounded = prompt.high is not None and completion.high is not None
    return CostRange(low, likely, of(prompt.high, completion.high) if bounded else None)  # type: ignore[arg-type]


def _how(counted: tokens.Counted, completion: Range, body: Mapping[str, Any]) -> str:
    left_out = f", without {' and '.join(counted.unseen)}" if counted.unseen else ""
    answers = f"{body['n']} answers" if _is_count(body.get("n")) and body["n"] > 1 else "an answer"
    most = "of unknown length" if completion.high is None else f"of at most {completion.high:,} tokens"
    return f"Prompt by {counted.how}{left_out}; {answers} {most}, {completion.likely:,} assumed."


def _free() -> CostRange:
    return CostRange(Decimal(0), Decimal(0), Decimal(0))


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _sum(a: Range, b: Range) -> Range:
    high = None if a.high is None or b.high is None else a.high + b.high
    return Range(a.low + b.low, a.likely + b.likely, high)


def _costs(a: CostRange | None, b: CostRange | None) -> CostRange | None:
    if a is None or b is None:
        return b if a is None else a
    high = None if a.high is None or b.high is None else a.high + b.high
    return CostRange(a.low + b.low, a.likely + b.likely, high)


def _times(value: int | Decimal | None, times: int) -> int | Decimal | None:
    return None if value is None else value * times
