"""A record's way into a row of the store, and back; needs no database.

In: `UsageRecord`s. Out: values for the columns, such that any database takes them, and records again.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chatkit.ledger import readable
from chatkit.ledger.record import Usage, UsageRecord

NAMES = (
    "id", "at", "session", "path", "host", "model", "answered_model", "streamed", "outcome", "status", "error_code",
    "attempt", "latency", "first_token", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens",
    "audio_seconds", "cost_pico", "known", "price_table", "price_date", "caller", "lesson", "exercise", "details",
    "at_most_pico",
)  # fmt: skip

PICO = Decimal(10) ** 12
LARGEST = 2**63 - 1


def to_row(record: UsageRecord) -> tuple[Any, ...]:
    """The record's values in the order of `NAMES`, such that any database takes them and any reader reads them.

    A number that no call can have, whoever said so, is not known.
    """
    usage = record.usage
    return (
        text(record.id), moment(record.at), text(record.session), text(record.path), text(record.host),
        text(record.model), text(record.answered_model), int(record.streamed), record.outcome, record.status,
        text(record.error_code), record.attempt, record.latency, record.first_token, _believed(usage.prompt_tokens),
        _believed(usage.completion_tokens), _believed(usage.cached_tokens), _believed(usage.reasoning_tokens),
        _seconds(usage.audio_seconds), _call_pico(usage.cost), usage.known, text(record.price_table), record.price_date,
        text(record.user), text(record.lesson), text(record.exercise), text(record.details), _call_pico(record.at_most),
    )  # fmt: skip


def to_record(row: Any) -> UsageRecord:
    """The record that a row holds; the columns are its attributes."""
    usage = Usage(
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cached_tokens=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
        audio_seconds=row.audio_seconds,
        cost=dollars(row.cost_pico),
        known=row.known,
    )
    return UsageRecord(
        id=row.id,
        at=datetime.fromisoformat(row.at).astimezone(UTC),
        session=row.session,
        path=row.path,
        host=row.host,
        model=row.model,
        answered_model=row.answered_model,
        streamed=bool(row.streamed),
        outcome=row.outcome,
        status=row.status,
        error_code=row.error_code,
        attempt=row.attempt,
        latency=row.latency,
        first_token=row.first_token,
        usage=usage,
        price_table=row.price_table,
        price_date=row.price_date,
        user=row.caller,
        lesson=row.lesson,
        exercise=row.exercise,
        details=row.details,
        at_most=dollars(row.at_most_pico),
    )


def pico(cost: Decimal | None) -> int | None:
    """1e-12 US dollars, as the store counts them."""
    return None if cost is None else whole(int((cost * PICO).to_integral_value()))


def dollars(pico: int | Decimal | None) -> Decimal | None:
    """US dollars from `cost_pico`, or from a sum of it."""
    return None if pico is None else Decimal(int(pico)).scaleb(-12).normalize() + Decimal(0)


def _believed(tokens: int | None) -> int | None:
    """A count of tokens, if a call can have so many."""
    return None if tokens is None or not 0 <= tokens <= readable.TOKENS else tokens


def _call_pico(cost: Decimal | None) -> int | None:
    found = pico(cost)
    return None if found is None or not 0 <= found <= readable.PICO else found


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None or not 0 <= seconds <= readable.SECONDS else seconds


def moment(at: datetime) -> str:
    """A time as the store writes it; one without a zone is local time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def whole(number: int | None) -> int | None:
    """The number, no larger than a column holds."""
    return None if number is None else max(-LARGEST, min(number, LARGEST))


def text(words: str | None) -> str | None:
    """The text without what a database refuses: lone surrogates and NUL are written out."""
    if words is None or (words.isascii() and "\0" not in words):
        return words
    return words.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
