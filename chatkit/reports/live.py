"""Reports: what a meter shows of some calls at this moment, small enough to be sent twice a second.

In: a store and a scope. Out: plain values, numbers in words where a person reads them, for a page to draw.
"""

from collections.abc import Sequence
from typing import Any, Literal

from chatkit.captions import dollars, minutes
from chatkit.ledger.budget import Budget
from chatkit.ledger.queries import Call, Moment
from chatkit.ledger.record import NOTHING, Usage
from chatkit.ledger.rulebook import rulebook_of
from chatkit.ledger.scope import Scope, UsageLine
from chatkit.ledger.store import UsageStore
from chatkit.reports.summary import Summary, cost_cell, tokens_cell

LATEST = 60
"""Calls in the sparkline, and at most so many turns of context."""
POINTS = 120
ROWS = 6
SPANS = {"session": "in this session", "day": "today"}


def state(store: UsageStore, scope: Scope) -> dict[str, Any]:
    """Counters, the latest calls, tokens and cost by model (or session), over time; what is doubtful in words."""
    by: Literal["model", "session"] = "model" if scope.get("session") is not None else "session"
    lines = store.lines(by, **scope)
    whole = sum((line.usage for line in lines), NOTHING)
    latest = store.latest(LATEST, **scope)
    return {
        "calls": whole.calls,
        "counters": _counters(whole),
        "notes": list(Summary(by, lines, "", store.unread(**scope)).table().notes),
        "budget": _budget(store, scope),
        "latest": [[call.prompt_tokens, call.cached_tokens, call.completion_tokens, call.known] for call in latest],
        "spoken": _spoken(latest),
        "by": by,
        "rows": [_row(line, by) for line in _largest(lines)],
        "more": max(0, len(lines) - ROWS),
        "time": _time(store.moments(**scope)),
    }


def _counters(usage: Usage) -> list[list[str]]:
    found = [
        ["calls", f"{usage.calls:,}"],
        ["tokens in", tokens_cell(usage, "prompt_tokens") if usage.calls else "0"],
        ["tokens out", tokens_cell(usage, "completion_tokens") if usage.calls else "0"],
        ["cost, USD", cost_cell(usage) if usage.calls else "0"],
    ]
    if usage.audio_seconds:
        found.append(["audio, minutes", minutes(usage.audio_seconds)])
    return found


def _budget(store: UsageStore, scope: Scope) -> dict[str, Any] | None:
    limit = Budget(store).limit
    session = scope.get("session")
    if limit is None or (limit.per == "session" and session is None):
        return None
    spent = rulebook_of(store).spending(limit, session or "").total
    return {
        "share": min(1.0, float(spent / limit.amount)) if limit.amount else 1.0,
        "words": f"{dollars(spent)} of {dollars(limit.amount)} USD spent {SPANS[limit.per]}",
        "full": spent >= limit.amount,
    }


def _spoken(latest: Sequence[Call]) -> str:
    if not latest:
        return "No calls yet"
    last = latest[-1]
    tokens = "unknown" if last.known == "unknown" else f"{last.prompt_tokens + last.completion_tokens:,}"
    return f"Tokens of the latest {len(latest)} calls; of the last one: {tokens}"


def _largest(lines: Sequence[UsageLine]) -> list[UsageLine]:
    return sorted(lines, key=lambda line: -(line.usage.total_tokens or 0))[:ROWS]


def _row(line: UsageLine, by: Any) -> dict[str, Any]:
    usage = line.usage
    cached, reasoning = usage.cached_tokens or 0, usage.reasoning_tokens or 0
    parts = [(usage.prompt_tokens or 0) - cached, cached, (usage.completion_tokens or 0) - reasoning, reasoning]
    total = usage.total_tokens
    return {
        "name": Summary(by, [], "").name(line)[:200],
        "parts": parts,
        "tokens": "unknown" if total is None and usage.unknown_calls else tokens_cell(usage, "total_tokens"),
        "cost": cost_cell(usage),
    }


def _time(moments: Sequence[Moment]) -> list[list[float]]:
    """Milliseconds, tokens and dollars added up, at no more than `POINTS` moments, the last one among them."""
    step = -(-len(moments) // POINTS) or 1
    tokens, cost, found = 0, 0.0, []
    for place, moment in enumerate(moments, 1):
        tokens, cost = tokens + moment.tokens, cost + float(moment.cost)
        if place % step == 0 or place == len(moments):
            found.append([round(moment.at.timestamp() * 1000), tokens, round(cost, 12)])
    return found
