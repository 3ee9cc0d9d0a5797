"""The wire's `usage` objects in one vocabulary, that of the price table, wherever an endpoint puts them.

In: a chunk, a choice, a whole answer. Out: counts such as `{"input_tokens": 9, "output_tokens": 3}`. What is no
number is left out; a usage of zeros is none, since no call is made of nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Counts = Mapping[str, int | float]

_TOP = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
        "input_tokens": "input_tokens", "output_tokens": "output_tokens", "seconds": "audio_seconds"}  # fmt: skip
_INPUT = {"cached_tokens": "cache_read_tokens", "cache_write_tokens": "cache_write_tokens",
          "audio_tokens": "input_audio_tokens", "image_tokens": "input_image_tokens"}  # fmt: skip
_OUTPUT = {"reasoning_tokens": "output_reasoning_tokens", "audio_tokens": "output_audio_tokens",
           "image_tokens": "output_image_tokens"}  # fmt: skip
_DETAILS = {"prompt_tokens_details": _INPUT, "input_tokens_details": _INPUT, "input_token_details": _INPUT,
            "completion_tokens_details": _OUTPUT, "output_tokens_details": _OUTPUT,
            "output_token_details": _OUTPUT}  # fmt: skip
_BESIDE = {
    "cached_tokens": "cache_read_tokens",  # Moonshot: Bike4Mind/bike4mind#1089
    "prompt_cache_hit_tokens": "cache_read_tokens",  # DeepSeek
    "reasoning_tokens": "output_reasoning_tokens",  # Perplexity
}
"""Counts that some servers put beside the details instead of into them; the details count first."""
_PLACES = ("delta", "message")
_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}


def find(chunk: Mapping[str, Any]) -> Counts | None:
    """The counts of a chunk or an answer: in its `usage`, else in the places of Groq, Moonshot and others.

    >>> find({"choices": [{"finish_reason": "stop", "usage": {"prompt_tokens": 9, "completion_tokens": 3}}]})
    {'input_tokens': 9, 'output_tokens': 3}
    """
    return next(filter(None, map(read, _places(chunk))), None)


def _places(chunk: Mapping[str, Any]) -> Iterator[Any]:
    yield chunk.get("usage")
    groq = chunk.get("x_groq")
    if isinstance(groq, Mapping):  # Groq: vercel/ai#1651
        yield groq.get("usage")
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping):  # Moonshot: earendil-works/pi#2017
            yield choice.get("usage")
            yield from (inner.get("usage") for inner in map(choice.get, _PLACES) if isinstance(inner, Mapping))


def read(usage: Any) -> Counts | None:
    """The counts in a `usage` object; None if there are none, or only zeros.

    >>> read({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}})
    {'input_tokens': 9, 'output_tokens': 3, 'cache_read_tokens': 4}
    >>> read({"type": "duration", "seconds": 2.5})
    {'audio_seconds': 2.5}
    >>> read({"prompt_tokens": 0, "completion_tokens": 0})
    """
    if not isinstance(usage, dict):
        return None
    counts: dict[str, int | float] = {new: usage[old] for old, new in _TOP.items() if is_count(usage.get(old))}
    counts |= {new: usage[old] for old, new in _BESIDE.items() if is_count(usage.get(old))}
    for name, fields in _DETAILS.items():
        details = usage.get(name)
        if isinstance(details, dict):
            counts |= {new: details[old] for old, new in fields.items() if is_count(details.get(old))}
    if not any(counts.values()) and "audio_seconds" not in counts:
        return None
    return _with_hidden(counts, usage.get("total_tokens"))


def _with_hidden(counts: dict[str, int | float], total: Any) -> Counts:
    """Add what was reasoned and is only in the total: xAI (vercel/ai#12425), Gemini (langfuse/langfuse#16321)."""
    sent, came = counts.get("input_tokens"), counts.get("output_tokens")
    if sent is None or came is None or not is_count(total) or total <= sent + came:
        return counts
    hidden, reasoned = total - sent - came, counts.get("output_reasoning_tokens")
    if hidden == reasoned or (not reasoned and hidden != counts.get("cache_read_tokens")):
        counts["output_tokens"] = came + hidden
    return counts


def with_tools(counts: Counts, items: Sequence[object]) -> Counts:
    """The counts and, from the types of a response's items, the searches that are charged beside its tokens."""
    called = {key: items.count(kind) for kind, key in _TOOLS.items() if kind in items}
    return {**counts, **called} if called else counts


def is_count(value: Any) -> bool:
    """Whether it is a number that can count something."""
    return type(value) in (int, float) and 0 <= value < 2**53
