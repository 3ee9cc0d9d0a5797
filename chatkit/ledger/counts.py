"""Counts of one call, as api/usage.py reads them, and a `Usage` made of them.

In: counts such as `{"input_tokens": 9, "output_tokens": 3}`. Out: a `Usage`; what a row keeps beside its columns.
"""

import json
from decimal import Decimal
from typing import Any

from chatkit.api.usage import Counts as Counts
from chatkit.api.usage import is_count
from chatkit.ledger.record import Known, Usage, UsageRecord

_COLUMNS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
            "cache_read_tokens": "cached_tokens", "output_reasoning_tokens": "reasoning_tokens",
            "audio_seconds": "audio_seconds"}  # fmt: skip

NOTHING: Counts = {"input_tokens": 0, "output_tokens": 0}
"""What a request used that was refused."""


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
    counted = {key: count for key, count in {**columns, **more}.items() if is_count(count)}
    return counted, more.get("service_tier")


def _read_details(details: str) -> dict[str, Any]:
    try:
        more = json.loads(details)
    except RecursionError:
        more = None
    if not isinstance(more, dict) or not isinstance(more.get("service_tier", ""), str):
        raise ValueError("these are no counts")
    return more


def _whole(count: int | float | None) -> int | None:
    return None if count is None else int(count)
