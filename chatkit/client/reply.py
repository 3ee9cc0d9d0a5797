"""The client's values: what the engine yields on the way, and the `Reply` that it drafts and gives at the end.

In: nothing. Out: to the chat, which keeps them; to a panel, which shows them.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chatkit.api.answer import Answer as Answer
from chatkit.api.answer import Delta as Delta
from chatkit.api.answer import Outcome
from chatkit.api.reading import Reading
from chatkit.api.request import CallKind, reading_of
from chatkit.api.sentences import RefusedCall
from chatkit.api.text import scrub, scrub_bytes, without_parts
from chatkit.client.deadlines import Deadlines
from chatkit.display import shown
from chatkit.exceptions import ChatkitError, EndpointError
from chatkit.ledger.record import Usage, UsageRecord, total
from chatkit.signs import fit_to_print

SHOWN = 60
"""Letters of an answer in a reply's repr."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The engine waits `seconds` before attempt number `attempt` of at most `limit`, because of `why`.

    >>> Wait(2.0, 2, 3, "too many requests").attempt
    2
    """

    seconds: float
    attempt: int
    limit: int
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job with audio is.

    `phase` is reading (the file is looked through and cut), sending, or listening (the model works).
    `sent` of `size` bytes have gone out, `parts_done` of `parts` have been answered; they hold
    `seconds` of the audio's `duration`, None while that is not known.

    >>> def tell(progress):
    ...     print(f"{progress.phase}: part {progress.parts_done} of {progress.parts}")
    >>> tell(Progress("listening", parts_done=1, parts=3))  # chatkit.transcribe(..., progress=tell) calls it so
    listening: part 1 of 3
    """

    phase: Literal["reading", "sending", "listening"]
    sent: int = 0
    size: int = 0
    parts_done: int = 0
    parts: int = 0
    seconds: float = 0.0
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back of one turn, whole or in part, and what it took.

    `outcome` is complete, length, filtered, incomplete, cancelled or error; `error` says what ended a
    turn that is not complete. `request` is what was sent (method, url, body; never a key), `raw` the
    body that came back, byte for byte; `payload` is a transcript's whole object. `latency` and `first_token`
    are seconds. `records` has one row for each HTTP attempt; `usage` is their sum. `headers` are those of the answer that tell something.

    >>> Reply((Answer(text="In Brazil.", finish_reason="stop"),), "complete", "gpt-6-luna")
    Reply('In Brazil.', outcome='complete', model='gpt-6-luna', finish_reason='stop')
    """

    answers: tuple[Answer, ...]
    outcome: Outcome
    model: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = field(default=b"", repr=False)
    status: int | None = None
    request_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    latency: float = 0.0
    first_token: float | None = None
    records: tuple[UsageRecord, ...] = ()
    notes: tuple[str, ...] = ()
    error: ChatkitError | None = None
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The first answer's text."""
        return self.answers[0].text if self.answers else ""

    @property
    def finish_reason(self) -> str | None:
        """The first answer's finish reason, as sent."""
        return self.answers[0].finish_reason if self.answers else None

    @property
    def came_back(self) -> bool:
        """Whether there is anything to keep: an answer that ended, or any part of one."""
        if self.outcome in ("complete", "length", "filtered"):
            return True
        return any(answer.came for answer in self.answers)

    @property
    def usage(self) -> Usage:
        """What all attempts of the turn used together."""
        return total(self.records)

    @fit_to_print
    def __repr__(self) -> str:
        first = self.answers[0] if self.answers else Answer()
        said = repr(first.text if len(first.text) <= SHOWN else f"{first.text[: SHOWN - 1]}…")
        facts = {
            "outcome": self.outcome,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "refusal": first.refusal,
            "tool_calls": len(first.tool_calls),
            "answers": len(self.answers) if len(self.answers) > 1 else None,
            "error": str(self.error) if self.error else None,
            "usage": self.usage if self.records else None,
        }
        return f"Reply({', '.join([said, *(f'{name}={value!r}' for name, value in facts.items() if value)])})"

    def _repr_html_(self) -> str | None:
        return shown(self)


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
