"""Values of the endpoint door: what the engine yields on the way (`Wait`; api/answer.py has `Delta`) and at the end (`Reply`).

In: nothing. Out: to the chat, which keeps them; to a panel, which shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chatkit.api.answer import Answer as Answer
from chatkit.api.answer import Delta as Delta
from chatkit.display import shown
from chatkit.exceptions import ChatkitError
from chatkit.ledger.record import Outcome, Usage, UsageRecord, total
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
