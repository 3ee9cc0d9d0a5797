"""What was sent and what came back, one turn laid open.

In: a `Reply`. Out: an `Inspection`: the request as code, the answer's chunks, times, usage, cost, in values, in
text and as HTML. All of it is worked out when it is looked at; keys are taken out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from chatkit.api.sse import BOM, Splitter
from chatkit.api.text import decode, mend
from chatkit.client import code
from chatkit.client.keys import without_keys
from chatkit.client.reply import Reply
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.signs import fit_to_print
from chatkit.system import shell

SHOWN = 20
"""Chunks that a view shows of each end."""


class View(NamedTuple):
    """The first and the last chunks of an answer, how many are between them, and the bytes of all."""

    first: tuple[Any, ...]
    left_out: int
    last: tuple[Any, ...]
    size: int


@dataclass(frozen=True)
class Inspection:
    """One turn laid open: `python`, `curl` and `json` are its request, `chunks` what came back.

    `local` says that chatkit's own local server answered (None: found out by the address).

    >>> from chatkit.client.reply import Answer
    >>> request = {"url": "https://api.openai.com/v1/responses", "body": {"model": "m", "input": "Hi"}}
    >>> Inspection(Reply((Answer(text="Hello"),), "complete", request=request, raw=b'{"id": "r1"}', status=200))
    Inspection: POST https://api.openai.com/v1/responses
      status      200, complete
      latency     0.00 s
      usage       unknown
      cost        unknown
      came back   1 chunk, 12 bytes
    """

    reply: Reply
    local: bool | None = None

    @cached_property
    def request(self) -> Mapping[str, Any]:
        """What was sent: method, url, body."""
        found: dict[str, Any] = without_keys(dict(self.reply.request))
        return {"method": "POST", "url": "", "body": {}, **found}

    @cached_property
    def python(self) -> str:
        """The request as Python on openai's SDK."""
        return code.python(self.request, local=self.local)

    @cached_property
    def curl(self) -> str:
        """The request as a command for the shell of this system: sh, or PowerShell on Windows."""
        return self.curl_for(shell.own())

    def curl_for(self, system: shell.Shell) -> str:
        """The same for a shell that is named: "sh" or "powershell"."""
        return code.curl(self.request, local=self.local, shell=system)

    @cached_property
    def json(self) -> str:
        """The request's body."""
        return code.json(self.request)

    @cached_property
    def chunks(self) -> tuple[Any, ...]:
        """The events of the stream, or the one body, as JSON values; what is no JSON is text."""
        return tuple(without_keys(_value(data)) for data in _pieces(self.reply.raw))

    def view(self, each: int = SHOWN) -> View:
        """The chunks, `each` at most from either end."""
        chunks = self.chunks
        if len(chunks) <= 2 * each:
            return View(chunks, 0, (), len(self.reply.raw))
        return View(chunks[:each], len(chunks) - 2 * each, chunks[len(chunks) - each :], len(self.reply.raw))

    @property
    def status(self) -> int | None:
        """The HTTP status of the last attempt."""
        return self.reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers that tell something: limits, versions."""
        return self.reply.headers

    @property
    def request_id(self) -> str | None:
        """What to name when asking the endpoint's support."""
        return self.reply.request_id

    @property
    def latency(self) -> float:
        """Seconds from the first attempt to the end, waits included."""
        return self.reply.latency

    @property
    def first_token(self) -> float | None:
        """Seconds to the first word."""
        return self.reply.first_token

    @property
    def tokens_per_second(self) -> float | None:
        """How fast the visible answer was written, after its first word; None where that is not known."""
        last = self.records[-1] if self.records else None
        if last is None or last.first_token is None or last.usage.completion_tokens is None:
            return None
        written = last.usage.completion_tokens - (last.usage.reasoning_tokens or 0) - 1
        seconds = last.latency - last.first_token
        return written / seconds if written > 0 and seconds > 0 else None

    @property
    def records(self) -> tuple[UsageRecord, ...]:
        """One row for each attempt."""
        return self.reply.records

    @property
    def usage(self) -> Usage:
        """What all attempts used together."""
        return self.reply.usage if self.records else Usage()

    @property
    def cost(self) -> Decimal | None:
        """US dollars of all attempts; None where they are not known."""
        return None if self.usage.unpriced_calls else self.usage.cost

    @property
    def price_source(self) -> str | None:
        """The price table and the day it was asked about."""
        row = next((row for row in reversed(self.records) if row.price_table), None)
        return f"{row.price_table}, {row.price_date}" if row else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done or seen on the way."""
        return self.reply.notes

    @property
    def error(self) -> str | None:
        """What ended the turn, in words."""
        return str(self.reply.error) if self.reply.error else None

    @cached_property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What there is to say, name by name, in the order to show it."""
        speed, retried = self.tokens_per_second, len(self.records) > 1
        rows = [
            ("status", f"{self.status or 'no answer'}, {self.reply.outcome}"),
            ("model", self.reply.model),
            ("request id", self.request_id),
            ("latency", f"{self.latency:.2f} s"),
            ("first token", f"{self.first_token:.2f} s" if self.first_token is not None else None),
            ("speed", f"{speed:.1f} tokens a second" if speed else None),
            *((f"attempt {row.attempt}", _attempt(row)) for row in self.records if retried),
            ("usage", _tokens(self.usage)),
            ("cost", _cost(self.cost, self.price_source)),
            *(("note", note) for note in self.notes),
            ("error", self.error),
            *self.headers.items(),
            ("came back", _size(len(self.chunks), len(self.reply.raw))),
        ]
        return tuple((name, without_keys(value)) for name, value in rows if value)

    @fit_to_print
    def __repr__(self) -> str:
        width = max(len(name) for name, _ in self.facts)
        lines = (f"  {name:<{width}}   {' '.join(value.split())}" for name, value in self.facts)
        return "\n".join([f"Inspection: {self.request['method']} {self.request['url']}", *lines])

    def _repr_html_(self) -> str:
        from chatkit.render.html import sheet_html

        seen = self.view()
        between = [f"… {seen.left_out:,} more …"] if seen.left_out else []
        shown = [*map(_shown, seen.first), *between, *map(_shown, seen.last)]
        sources = [
            ("Python", "python", self.python),
            ("curl", "bash", self.curl_for("sh")),
            ("PowerShell", "powershell", self.curl_for("powershell")),
            ("JSON", "json", self.json),
            ("What came back", "", "\n".join(shown)),
        ]
        return sheet_html(f"{self.request['method']} {self.request['url']}", self.facts, sources)


def _pieces(raw: bytes) -> Iterator[bytes]:
    """The data of each event, or the body where it is no stream."""
    whole = raw.removeprefix(BOM).strip()
    splitter = Splitter()
    events = [] if whole[:1] in (b"{", b"[", b"<") else [*splitter.feed(raw), *splitter.close()]
    found = [event.data for event in events if event.data]
    yield from found or ([whole] if whole else [])


def _value(data: bytes) -> Any:
    text = data.decode("utf-8", "replace")
    try:
        return decode(text)
    except ValueError:
        return mend(text)


def _shown(chunk: Any) -> str:
    return chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)


def _attempt(row: UsageRecord) -> str:
    why = f", {row.error_code}" if row.error_code else ""
    return f"{row.status or 'no answer'}, {row.outcome}{why}, {row.latency:.2f} s; {_tokens(row.usage)}"


def _tokens(usage: Usage) -> str:
    if not usage.total_tokens:
        return "unknown" if usage.total_tokens is None else "nothing"
    parts = {
        "tokens in": usage.prompt_tokens,
        "of them cached": usage.cached_tokens,
        "out": usage.completion_tokens,
        "of them reasoned": usage.reasoning_tokens,
    }
    about = "≈ " if usage.estimated_calls else ""
    unknown = f", {usage.unknown_calls} attempt unknown" if usage.unknown_calls else ""
    return about + ", ".join(f"{count:,} {name}" for name, count in parts.items() if count or name == "out") + unknown


def _cost(cost: Decimal | None, source: str | None) -> str:
    if cost is None:
        return "unknown"
    return f"{cost:f} USD" + (f" ({source})" if source else "")


def _size(chunks: int, size: int) -> str:
    return f"{chunks:,} {'chunk' if chunks == 1 else 'chunks'}, {size:,} bytes"
