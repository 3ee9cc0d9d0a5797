"""Readings: times as people say them, and the days and hours of their own clock.

In: "today", a date, a time, a span; quarters of an hour in UTC. Out: instants; local days and hours, right
through every change of the clock.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from chatkit.exceptions import InputError

When = datetime | date | timedelta | str | None


def instant(when: When, name: str) -> datetime | None:
    """The instant that is meant: a time (without a zone: local), the midnight before a date, so long ago.

    >>> instant("2026-11-23T09:30:00+00:00", "since")
    datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.timezone.utc)
    """
    if when is None:
        return None
    if isinstance(when, timedelta):
        return datetime.now(UTC) - when
    if isinstance(when, str):
        when = _said(when, name)
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return when.astimezone(UTC)


def _said(words: str, name: str) -> datetime | date:
    said = words.strip().lower()
    if said in ("today", "yesterday"):
        return date.today() - timedelta(days=said == "yesterday")
    try:
        return date.fromisoformat(words) if len(words) == 10 else datetime.fromisoformat(words)
    except ValueError:
        raise InputError(
            f"{name} is {words!r}; it must be a time.", 'Try "today", "2026-11-23" or "2026-11-23 09:30".'
        ) from None


def local_names(quarters: Iterable[str], by: Literal["day", "hour"]) -> dict[str, str]:
    """For each quarter of an hour, as the store writes it, the local day or hour that it lies in.

    An hour that comes twice, when the clock goes back, says its distance from UTC too.
    """
    local = {quarter: datetime.fromisoformat(quarter + "+00:00").astimezone() for quarter in quarters}
    if by == "day":
        return {quarter: f"{at:%Y-%m-%d}" for quarter, at in local.items()}
    hours = {quarter: (f"{at:%Y-%m-%d %H}:00", at.isoformat()[-6:]) for quarter, at in local.items()}
    twice = Counter(hour for hour, _ in set(hours.values()))
    return {quarter: f"{hour} ({zone})" if twice[hour] > 1 else hour for quarter, (hour, zone) in hours.items()}
