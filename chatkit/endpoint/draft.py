"""The endpoint door's draft of a Reply: what a turn has gathered so far, attempt by attempt.

In: responses, bytes, exchanges, how it ended. Out: one `Reply`, in which no key is.
"""

import time
from collections.abc import Mapping
from typing import Any

from chatkit.endpoint.deadlines import Deadlines
from chatkit.endpoint.reading import Reading
from chatkit.endpoint.reading_chat import ChatReading
from chatkit.endpoint.reading_responses import ResponsesReading
from chatkit.endpoint.reading_transcript import TranscriptReading
from chatkit.endpoint.redact import scrub, scrub_bytes
from chatkit.endpoint.refusals import Asked
from chatkit.endpoint.reply import Reply
from chatkit.exceptions import ChatkitError, EndpointError
from chatkit.ledger.record import Outcome, UsageRecord

RAW_CUT = "the raw body is kept only in part"


class Draft:
    """A Reply in the making."""

    def __init__(self, api: str, body: Mapping[str, Any], asked: Asked, deadlines: Deadlines) -> None:
        self.notes: list[str] = []
        self.exchanges: list[Any] = []
        self.status: int | None = None
        self.request_id: str | None = None
        self.error: ChatkitError | None = None
        self.outcome: Outcome = "error"
        self.settled = False
        self.first_token: float | None = None
        self.sent: Mapping[str, Any] = body
        self.reading = _reading(api, body, deadlines)
        self.url = asked.url
        self._keys = asked.keys
        self._began = time.perf_counter()
        self._raw = bytearray()
        self._raw_cap = deadlines.raw

    def begin(self, sent: Mapping[str, Any]) -> None:
        """Start an attempt: what an earlier one brought is no part of the answer."""
        self.sent = sent
        self._raw.clear()
        self.status = self.request_id = self.error = None

    def keep(self, data: bytes | bytearray) -> None:
        """Keep bytes of the body as they came, as many as fit."""
        room = self._raw_cap - len(self._raw)
        self._raw += data if len(data) <= room else data[:room]
        if len(data) > room and RAW_CUT not in self.notes:
            self.notes.append(RAW_CUT)

    def content(self) -> None:
        """Note the time of the first content."""
        self.first_token = time.perf_counter() - self._began

    def end(self, outcome: Outcome, error: ChatkitError | None = None) -> None:
        """Note how the turn ended."""
        self.outcome, self.error, self.settled = outcome, error, True
        self._tell_meter(outcome)

    def interrupt(self) -> None:
        """A deadline has passed: the meter, which sees only the cancellation, shall know what it was."""
        self._tell_meter("incomplete")

    def _tell_meter(self, outcome: Outcome) -> None:
        if self.exchanges and self.exchanges[-1] is not None:
            self.exchanges[-1].close_as = outcome

    def fail(self, error: ChatkitError, *, partial: Outcome = "incomplete") -> None:
        """End by an error: what came is kept as `partial`; where nothing came the turn is an error."""
        self.end(partial if self.reading.has_content else "error", error)

    def reply(self) -> Reply:
        """The Reply."""
        records = (getattr(exchange, "record", None) for exchange in self.exchanges)
        error = self.error
        if isinstance(error, EndpointError):
            error.request_id, error.status = error.request_id or self.request_id, error.status or self.status
        return Reply(
            answers=self.reading.answers(),
            outcome=self.outcome,
            model=self.reading.model,
            request={"method": "POST", "url": self.url, "body": self.sent},
            raw=self._kept_raw(),
            status=self.status,
            request_id=self.request_id,
            latency=time.perf_counter() - self._began,
            first_token=self.first_token,
            records=tuple(record for record in records if isinstance(record, UsageRecord)),
            notes=(*self.notes, *self.reading.notes),
            error=error,
            payload=getattr(self.reading, "payload", {}),
        )

    def _kept_raw(self) -> bytes:
        raw = scrub_bytes(bytes(self._raw), self._keys)
        if self.status is not None and self.status >= 400:
            return scrub(raw[:65536].decode("utf-8", "replace"), self._keys).encode()
        return raw


def _reading(api: str, body: Mapping[str, Any], deadlines: Deadlines) -> Reading:
    expected = body.get("n")
    kind = {"chat": ChatReading, "responses": ResponsesReading}.get(api, TranscriptReading)
    return kind(deadlines.text, expected if isinstance(expected, int) and expected > 0 else 1)
