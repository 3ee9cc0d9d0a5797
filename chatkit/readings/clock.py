"""Readings: times as people say them, and the days and hours of their own clock.

In: "today", a date, a time, a span; quarters of an hour in UTC. Out: instants; local days and hours, right
through every change of the clock.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

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


def local_day(quarter: str) -> str:
    """The local day in which a quarter of an hour lies, as the store writes it (in UTC)."""
    return f"{_local(quarter):%Y-%m-%d}"


def local_hour(quarter: str) -> str:
    """The local hour in which it lies, with the distance from UTC: when the clock goes back, an hour comes twice."""
    local = _local(quarter).isoformat(" ")
    return f"{local[:14]}00{local[-6:]}"


def short_hours(hours: Sequence[str]) -> list[str]:
    """The hours without the distance from UTC, but where it tells two of them apart.

    >>> short_hours(["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00+01:00"])
    ['2026-10-25 02:00+02:00', '2026-10-25 02:00+01:00', '2026-10-25 03:00']
    """
    times = Counter(hour[:16] for hour in hours)
    return [hour if times[hour[:16]] > 1 else hour[:16] for hour in hours]


def _local(quarter: str) -> datetime:
    return datetime.fromisoformat(quarter + "+00:00").astimezone()
