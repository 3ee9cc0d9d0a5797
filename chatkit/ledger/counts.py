"""The API's `usage` objects in one vocabulary, that of the price table.

In: `usage` as Chat Completions, Responses, embeddings, audio or images send it. Out: counts such as
`{"input_tokens": 9, "output_tokens": 3}`, and a `Usage` made of them. What is no number is left out.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from chatkit.ledger.record import Known, Usage, UsageRecord

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
_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}

_COLUMNS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
            "cache_read_tokens": "cached_tokens", "output_reasoning_tokens": "reasoning_tokens",
            "audio_seconds": "audio_seconds"}  # fmt: skip

NOTHING: Counts = {"input_tokens": 0, "output_tokens": 0}
"""What a request used that was refused."""


def read(usage: Any) -> Counts | None:
    """The counts in a `usage` object; None if there are none.

    >>> read({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}})
    {'input_tokens': 9, 'output_tokens': 3, 'cache_read_tokens': 4}
    >>> read({"type": "duration", "seconds": 2.5})
    {'audio_seconds': 2.5}
    """
    if not isinstance(usage, dict):
        return None
    counts = {new: usage[old] for old, new in _TOP.items() if _is_count(usage.get(old))}
    for name, fields in _DETAILS.items():
        details = usage.get(name)
        if isinstance(details, dict):
            counts |= {new: details[old] for old, new in fields.items() if _is_count(details.get(old))}
    return counts or None


def with_tools(counts: Counts, items: Sequence[object]) -> Counts:
    """The counts and, from the types of a response's items, the searches that are charged beside its tokens."""
    called = {key: items.count(kind) for kind, key in _TOOLS.items() if kind in items}
    return {**counts, **called} if called else counts


def to_usage(counts: Counts | None, known: Known, cost: Decimal | None) -> Usage:
    """A `Usage` of one call."""
    if not counts:
        return Usage(cost=cost, known=known)
    return Usage(
        _whole(counts.get("input_tokens")),
        _whole(counts.get("output_tokens")),
        _whole(counts.get("cache_read_tokens")),
        _whole(counts.get("output_reasoning_tokens")),
        counts.get("audio_seconds"),
        cost,
        known,
    )


def details(counts: Counts | None, tier: str | None) -> str | None:
    """What pricing the call again needs beyond its columns, as JSON; None if that is nothing.

    >>> details({"input_tokens": 9, "input_audio_tokens": 4}, "flex")
    '{"input_audio_tokens": 4, "service_tier": "flex"}'
    """
    more: dict[str, Any] = {key: count for key, count in (counts or {}).items() if count and key not in _COLUMNS}
    if tier and tier != "default":
        more["service_tier"] = tier
    return json.dumps(more) if more else None


def of_record(record: UsageRecord) -> tuple[Counts, str | None]:
    """The counts that a record keeps, and its service tier; ValueError where its details cannot be read."""
    columns = {key: getattr(record.usage, name) for key, name in _COLUMNS.items()}
    more = _read_details(record.details) if record.details else {}
    counted = {key: count for key, count in {**columns, **more}.items() if _is_count(count)}
    return counted, more.get("service_tier")


def _read_details(details: str) -> dict[str, Any]:
    try:
        more = json.loads(details)
    except RecursionError:
        more = None
    if not isinstance(more, dict) or not isinstance(more.get("service_tier", ""), str):
        raise ValueError("these are no counts")
    return more


def _is_count(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 2**53


def _whole(count: int | float | None) -> int | None:
    return None if count is None else int(count)
