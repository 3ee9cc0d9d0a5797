"""The endpoint door's draft of a Reply: what a turn has gathered so far, attempt by attempt.

In: responses, bytes, exchanges, how it ended. Out: one `Reply`, in which no key is.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatkit.api.answer import Answer
from chatkit.api.finish import Outcome
from chatkit.api.reading import Reading
from chatkit.api.redact import scrub, scrub_bytes, without_parts
from chatkit.api.request import CallKind, reading_of
from chatkit.api.sentences import RefusedCall
from chatkit.endpoint.deadlines import Deadlines
from chatkit.endpoint.reply import Reply
from chatkit.exceptions import ChatkitError, EndpointError
from chatkit.ledger.record import UsageRecord

KINDS: Mapping[str, CallKind] = {"chat": "chat", "responses": "responses"}
RAW_CUT = "the raw body is kept only in part"


class Draft:
    """A Reply in the making."""

    def __init__(self, api: str, body: Mapping[str, Any], asked: RefusedCall, deadlines: Deadlines) -> None:
        self.notes: list[str] = []
        self.exchanges: list[Any] = []
        self.status: int | None = None
        self.request_id: str | None = None
        self.headers: Mapping[str, str] = {}
        self.error: ChatkitError | None = None
        self.outcome: Outcome = "error"
        self.settled = False
        self.first_token: float | None = None
        self.sent: Mapping[str, Any] = body
        self.reading = self.own_reading(api, body)
        self.url = asked.url
        self._keys = asked.keys
        self._began = time.perf_counter()
        self._raw = bytearray()
        self._raw_cap = deadlines.raw

    @staticmethod
    def own_reading(api: str, body: Mapping[str, Any]) -> Reading:
        """A reading for an answer that no meter reads."""
        expected = body.get("n")
        return reading_of(KINDS.get(api, "audio"), expected if isinstance(expected, int) else 1)

    def begin(self, sent: Mapping[str, Any]) -> None:
        """Start an attempt: what an earlier one brought is no part of the answer."""
        self.sent = sent
        self._raw.clear()
        self.status = self.request_id = self.error = None
        self.headers = {}

    def keep(self, data: bytes | bytearray) -> None:
        """Keep bytes of the body as they came, as many as fit."""
        room = self._raw_cap - len(self._raw)
        self._raw += data if len(data) <= room else data[:room]
        if len(data) > room and RAW_CUT not in self.notes:
            self.notes.append(RAW_CUT)

    def content(self) -> None:
        """Note the time of the first content."""
        self.first_token = time.perf_counter() - self._began

    def end(self, cut: Outcome, error: ChatkitError | None = None) -> None:
        """Note how the turn ended: as the answer says, else by `cut`; the meter, which sees only a close, says the same."""
        self.outcome, self.error, self.settled = self.reading.outcome(cut), error, True
        if self.reading.ended and not self.reading.failed:
            self.reading.remark()
        self._tell_meter(cut)

    def interrupt(self) -> None:
        """A deadline has passed: the meter, which sees only the cancellation, shall know what it was."""
        self._tell_meter("incomplete")

    def _tell_meter(self, outcome: Outcome) -> None:
        if self.exchanges and self.exchanges[-1] is not None:
            self.exchanges[-1].close_as = outcome

    def fail(self, error: ChatkitError) -> None:
        """End by an error: what came is kept as incomplete; where nothing came the turn is an error."""
        cut: Outcome = "incomplete" if self.reading.has_content else "error"
        self.end(cut, error)

    def reply(self) -> Reply:
        """The Reply."""
        records = (getattr(exchange, "record", None) for exchange in self.exchanges)
        error = self.error
        if isinstance(error, EndpointError):
            error.request_id = self._without_key(error.request_id or self.request_id)
            error.status = error.status or self.status
        return Reply(
            answers=tuple(map(self._without_keys, self.reading.answers())),
            outcome=self.outcome,
            model=self._without_key(self.reading.model),
            request={"method": "POST", "url": self.url, "body": self.sent},
            raw=self._kept_raw(),
            status=self.status,
            request_id=self._without_key(self.request_id),
            headers=self.headers,
            latency=time.perf_counter() - self._began,
            first_token=self.first_token,
            records=tuple(record for record in records if isinstance(record, UsageRecord)),
            notes=tuple(without_parts(note, self._keys) for note in (*self.notes, *self.reading.notes)),
            error=error,
            payload=getattr(self.reading, "payload", {}),
        )

    def _kept_raw(self) -> bytes:
        raw = scrub_bytes(bytes(self._raw), self._keys)
        if self.status is not None and self.status >= 400:
            return scrub(raw[:65536].decode("utf-8", "replace"), self._keys).encode()
        return raw

    def _without_key(self, name: str | None) -> str | None:
        return without_parts(name, self._keys) if name else name

    def _without_keys(self, answer: Answer) -> Answer:
        """The answer, in whose names no key is that the endpoint sent back."""
        reason, calls = self._without_key(answer.finish_reason), answer.tool_calls
        if not calls and reason == answer.finish_reason:
            return answer
        return replace(
            answer, finish_reason=reason, tool_calls=tuple(map(self._call_without_keys, calls)), how=answer.outcome
        )

    def _call_without_keys(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        kind = "custom" if "custom" in call else "function"
        named = {**call[kind], "name": self._without_key(call[kind]["name"])}
        return {**call, "id": self._without_key(call["id"]), kind: named}
