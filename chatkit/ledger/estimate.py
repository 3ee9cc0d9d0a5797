"""What a request will use and cost before it is sent: tokens, limits and money.

In: a request's JSON body and where it goes, or a `Usage`. Out: an `Estimate` with a range and how it was
reckoned; US dollars, or None where they are not known. Nothing is sent and nothing fetched.

Windows are those of the price table; longest answers are not in it: they are OpenAI's (api/models.py), and nobody's whom OpenAI's name stands for.

Tokens are counted in one of two ways: `bpe-openai` where that package is installed (its vocabularies o200k and cl100k, nothing is
fetched), else four bytes of UTF-8 a token and four tokens around each message: right to within a fifth or
so for English, low for code and other scripts. A token is never less than one byte: that bounds both, with
room for what a model's template adds. Pictures, sound, files and what the endpoint keeps are not reckoned;
`unseen` names them.

The meter's rule (`of_prompt`, `of_text`) is the one of four bytes, always: it must not wait for a vocabulary.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from chatkit.api import models
from chatkit.api.hosts import OPENAI as OPENAI
from chatkit.api.hosts import HostRules, is_openai, rules_at
from chatkit.api.models import find
from chatkit.api.parameters import COMPLETIONS_LIMIT, answer_limit
from chatkit.ledger import price_table
from chatkit.ledger.price_table import Count, Price
from chatkit.ledger.pricing import own_now, price_of, tier_asked
from chatkit.ledger.record import Usage
from chatkit.ledger.rules import OwnPrice


def context_window(model: str, url: str = OPENAI) -> int | None:
    """The most tokens that a prompt and its answer may have together.

    >>> context_window("gpt-4o-mini"), context_window("no-such-model")
    (128000, None)
    """
    return price_table.window(model, OPENAI if is_openai(url) else url)  # the table knows no regions


def longest_answer(model: str, url: str = OPENAI) -> int | None:
    """The most tokens of one answer, what it reasons included.

    >>> longest_answer("gpt-4o-mini"), longest_answer("gpt-6-luna"), longest_answer("my-own")
    (16384, 128000, None)
    >>> longest_answer("gpt-4o-mini", "http://127.0.0.1:8080/v1") is None
    True
    """
    return models.find(model, rules_at(url)).longest_answer


BYTES = 4
AROUND = 4
OPENING = 3
"""Tokens that begin the answer and count as the prompt's."""
MOST_AROUND, MOST_OPENING = 8, 64
"""At most around a message, and before the first: some models' templates put a system message of their own there."""

PIECE = 40_000
"""Characters counted at once: the package takes at most 200,000 tokens, and a character may be four."""

_SPOKEN = ("messages", "input", "prompt", "instructions", "tools", "functions", "text", "response_format")
_RENDERED = ("tools", "functions", "text", "response_format")
_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_data", "file_url", "audio", "id", "role", "type"))
_UNSEEN = {"image_url": "pictures", "input_audio": "sound", "audio": "sound", "file": "files",
           "file_data": "files", "file_url": "files", "file_id": "files"}  # fmt: skip
_KEPT = ("previous_response_id", "conversation")
_CL100K = r"gpt-(3\.5|35|4(?![.o]))|text-embedding-"
_O200K = r"gpt-(4o|4\.|[5-9]|oss)|o[1-9]\b|chatgpt-"


class Range(NamedTuple):
    """At least, most likely, at most; `high` is None where there is no bound.

    >>> Range(10, 12, None).likely
    12
    """

    low: int
    likely: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of a prompt, how they were reckoned, and what of the prompt was not (a word each)."""

    tokens: Range
    how: str
    unseen: tuple[str, ...] = ()


def count_prompt(body: Mapping[str, Any]) -> Counted:
    """How many prompt tokens a request has, by the best way there is for its model.

    >>> count_prompt({"model": "my-own", "messages": [{"role": "user", "content": "Where was it held?"}]}).tokens.high
    90
    """
    model = str(body.get("model") or "")
    unseen = _not_seen(body)
    parts = {key: body[key] for key in _SPOKEN if key in body}
    texts = [text for part in parts.values() for text in _texts(part)]
    around = sum(len(part) for part in parts.values() if isinstance(part, list)) or 1
    name = vocabulary_of(model)
    count, how = (_counter(name), f"bpe-openai {name}") if name else (of_text, f"{BYTES} bytes a token")
    found = sum(map(count, texts))
    high: int | None = None
    if not unseen:
        bound = count if name else _size
        rendered = sum(bound(json.dumps(parts[key], ensure_ascii=False)) for key in _RENDERED if key in parts)
        said = sum(bound(text) for key in parts if key not in _RENDERED for text in _texts(parts[key]))
        high = said + rendered + MOST_AROUND * around + (OPENING if name else MOST_OPENING)
    low = found if name else found * 2 // 3
    return Counted(Range(low, found + AROUND * around + OPENING, high), how, unseen)


def vocabulary_of(model: str) -> str | None:
    """The vocabulary by which a model's tokens can be counted here; None where none is known or installed."""
    known = "cl100k_base" if re.match(_CL100K, model) else "o200k_base" if re.match(_O200K, model) else None
    return known if known and find_spec("bpe_openai") else None


def load() -> None:
    """Read the newest vocabulary now (half a second, 145 MB), so that the first count need not wait for it."""
    if find_spec("bpe_openai"):
        _counter("o200k_base")


def of_prompt(body: dict[str, Any]) -> int:
    """About how many prompt tokens a request has.

    >>> of_prompt({"model": "m", "messages": [{"role": "user", "content": "Where was it held?"}]})
    9
    """
    parts = [body[key] for key in _SPOKEN if key in body]
    messages = sum(len(part) for part in parts if isinstance(part, list))
    return of_bytes(sum(_size(text) for part in parts for text in _texts(part))) + AROUND * messages


def of_bytes(count: int) -> int:
    """About how many tokens a text of `count` bytes has; a text that is not empty has one at least."""
    return -(-count // BYTES)


def of_text(text: str) -> int:
    """About how many tokens the text has."""
    return of_bytes(_size(text))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if not value.startswith("data:"):
                yield value
        elif isinstance(value, list | tuple):
            left += value
        elif isinstance(value, Mapping):
            left += [inner for key, inner in value.items() if key not in _NOT_TEXT]


def _not_seen(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a prompt is not text that is here: pictures, sound, files, what the endpoint has kept."""
    found: dict[str, None] = {}
    left: list[Any] = [body.get("messages"), body.get("input")]
    while left:
        value = left.pop()
        if isinstance(value, list | tuple):
            left += value
        elif isinstance(value, Mapping):
            found |= {_UNSEEN[key]: None for key in value if key in _UNSEEN and value[key]}
            left += value.values()
    if any(body.get(key) for key in _KEPT) or isinstance(body.get("prompt"), Mapping):
        found["what the endpoint keeps"] = None
    return tuple(sorted(found))


@cache
def _counter(name: str) -> Callable[[str], int]:
    import bpe_openai

    encoding = bpe_openai.get_encoding(name)
    return lambda text: sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces, cut before a space where there is one, since no token ends in a space before a word."""
    start = 0
    while len(text) - start > PIECE:
        space = text.rfind(" ", start + PIECE // 2, start + PIECE)
        end = space if space > 0 else start + PIECE
        yield text[start:end]
        start = end
    yield text[start:]


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

    >>> once = estimate_body({"model": "gpt-4o-mini", "input": "Hi", "max_output_tokens": 20}, OPENAI)
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
    counted = count_prompt(body)
    prompt = counted.tokens
    if more:
        prompt = Range(prompt.low, prompt.likely + more, None)
    model = str(body.get("model") or "")
    room = window or context_window(model, url)
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
    url: str = OPENAI,
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
    return (found.cost * calls).quantize(price_table.SMALLEST).normalize()


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


def _how(counted: Counted, completion: Range, body: Mapping[str, Any]) -> str:
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
