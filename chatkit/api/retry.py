"""The wire's retry rules, for the engine and for clients alike: whether a refused attempt is made again, and when.

In: a status, headers and a refusal. Out: seconds to wait, or None. Nothing here waits.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from chatkit.api.errors import Refusal, is_hopeless, is_too_long

AGAIN = frozenset({408, 409, 429})
NEVER = frozenset({501, 505})
FIRST, LONGEST = 0.5, 8.0  # seconds: the own backoff begins and ends here


def may_retry(status: int, refusal: Refusal, headers: Mapping[str, str]) -> bool:
    """Say whether an answer with this status is worth another attempt; `x-should-retry` overrides."""
    if is_hopeless(status, refusal) or is_too_long(status, refusal):
        return False
    told = headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return status in AGAIN or (500 <= status <= 599 and status not in NEVER)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read how many seconds the endpoint asks to wait; None where it does not say, or says nonsense.

    >>> now = datetime(2026, 11, 1, tzinfo=UTC)
    >>> asked_wait({"retry-after": "Sun, 01 Nov 2026 00:00:20 GMT"}, now), asked_wait({"retry-after": "-5"}, now)
    (20.0, None)
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        seconds = _number(value)
        if seconds is None and name == "retry-after":
            seconds = _until(value, now)
        if seconds is not None and math.isfinite(seconds) and seconds >= 0:
            return seconds * unit
    return None


def own_wait(attempt: int, chance: float) -> float:
    """Seconds before the attempt after number `attempt`: doubled each time, up to a quarter off by `chance`.

    >>> own_wait(1, 0.0), own_wait(2, 1.0), own_wait(9, 0.0)
    (0.5, 0.75, 8.0)
    """
    return min(FIRST * 2.0 ** (attempt - 1), LONGEST) * (1 - 0.25 * chance)


def retry_time(seconds: float, now: datetime) -> datetime | None:
    """When that wait is over; None beyond what a calendar holds."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _until(value: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()
