"""Faces: what usage, outcomes and waits are called in words.

In: values of the ledger and endpoint doors. Out: short sentences that a panel shows as they are.
"""

from decimal import Decimal

from chatkit.endpoint.reply import Reply, Wait
from chatkit.ledger.estimates import Estimate
from chatkit.ledger.record import Usage
from chatkit.readings.captions import cost_caption, tokens_caption

OUTCOMES = {
    "length": "cut off at the token limit",
    "filtered": "stopped by the content filter",
    "incomplete": "broke off",
    "cancelled": "stopped",
    "error": "broke off",
}


def outcome_caption(outcome: str | None) -> str:
    """How an answer ended, if not well.

    >>> outcome_caption("cancelled"), outcome_caption("complete")
    ('stopped', '')
    """
    return OUTCOMES.get(outcome or "", "" if outcome in (None, "complete") else str(outcome))


def reply_caption(reply: Reply, *, local: bool = False) -> str:
    """What one turn took: the model that answered, tokens in and out, cost, seconds, tries."""
    took = reply.usage if reply.records else Usage()
    tries = f"{len(reply.records)} tries" if len(reply.records) > 1 else ""
    parts = [reply.model or "", tokens_caption(took), cost_caption(took, local=local), f"{reply.latency:.1f} s", tries]
    return " · ".join(part for part in parts if part)


def estimate_caption(estimate: Estimate, *, local: bool = False) -> str:
    """What the next request will use: likely, and at most; what has no bound says so.

    >>> from chatkit.ledger.estimates import CostRange, Range
    >>> cost = CostRange(Decimal("0.00001"), Decimal("0.0002"), Decimal("0.0098"))
    >>> estimate_caption(Estimate(Range(9, 16, 20), Range(0, 300, 16_384), cost, "Reckoned."))
    'next: ≈ 16 tokens in, 300 out (at most 16,384) · ≈ 0.0002 USD (at most 0.0098)'
    >>> estimate_caption(Estimate(Range(9, 16, None), Range(0, 300, None), None, "Reckoned."))
    'next: ≈ 16 tokens in, 300 out (no limit known) · cost unknown'
    """
    most = "no limit known" if estimate.completion.high is None else f"at most {estimate.completion.high:,}"
    out = f"{estimate.completion.likely:,} out ({most})"
    return f"next: ≈ {estimate.prompt.likely:,} tokens in, {out} · {_estimated_cost(estimate, local)}"


def _estimated_cost(estimate: Estimate, local: bool) -> str:
    if estimate.cost is None:
        return "cost unknown"
    if estimate.cost.high == 0:
        return "cost 0 (local)" if local else "cost 0"
    left_out = f" and {estimate.unpriced_calls} unknown" if estimate.unpriced_calls else ""
    most = "no bound known" if estimate.cost.high is None else f"at most {_amount(estimate.cost.high)}"
    return f"≈ {_amount(estimate.cost.likely)} USD ({most}){left_out}"


def priced_as_caption(cost: Decimal | None, model: str) -> str:
    """What the same tokens would have cost on another model.

    >>> priced_as_caption(Decimal("0.0000332"), "gpt-6-luna"), priced_as_caption(None, "my-own")
    ('as gpt-6-luna: 0.0000332 USD', 'as my-own: cost unknown')
    """
    return f"as {model}: {'cost unknown' if cost is None else f'{_amount(cost)} USD'}"


def window_caption(tokens: int | None, window: int | None) -> str:
    """How much of the context window is filled.

    >>> window_caption(512, 2_048), window_caption(512, None), window_caption(None, 2_048), window_caption(3, 2_048)
    ('512 of 2,048 tokens (25 %)', '512 tokens, window unknown', 'window 2,048 tokens', '3 of 2,048 tokens (under 1 %)')
    """
    if window is None:
        return "window unknown" if tokens is None else f"{tokens:,} tokens, window unknown"
    if tokens is None:
        return f"window {window:,} tokens"
    part = round(100 * tokens / window)
    return f"{tokens:,} of {window:,} tokens ({part if part or not tokens else 'under 1'} %)"


def wait_caption(wait: Wait) -> str:
    """Why the engine waits, and for how long.

    >>> wait_caption(Wait(1.0, 2, 3, "The endpoint is busy."))
    'The endpoint is busy. Waiting 1 s, try 2 of 3.'
    """
    if not wait.seconds:
        return wait.why
    why = wait.why if wait.why.endswith((".", "!", "?", ":")) else f"{wait.why}."
    return f"{why} Waiting {max(1, round(wait.seconds))} s, try {wait.attempt} of {wait.limit}."


def _amount(cost: Decimal) -> str:
    if cost == 0:
        return "0"
    return f"{cost.quantize(Decimal(10) ** (cost.adjusted() - 2)).normalize():f}"
