"""Floor 2: what usage, outcomes and waits are called in words.

In: values of the ledger and endpoint doors. Out: short sentences that a panel, a repr or an export shows as they are.
"""

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from chatkit.display import displayed, shown
from chatkit.endpoint.reply import Reply, Wait
from chatkit.ledger.estimates import Estimate
from chatkit.ledger.record import Usage

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


def sentences(notes: Iterable[str]) -> list[str]:
    """Notes, each as a sentence.

    >>> sentences(["the answer has no text", "Is it whole?"])
    ['The answer has no text.', 'Is it whole?']
    """
    said = (f"{note[:1].upper()}{note[1:]}" for note in notes if note)
    return [note if note.endswith((".", "!", "?")) else f"{note}." for note in said]


def reply_caption(reply: Reply, *, local: bool = False) -> str:
    """What one turn took: the model that answered, tokens in and out, cost, seconds, tries."""
    took = reply.usage if reply.records else Usage()
    tries = f"{len(reply.records)} tries" if len(reply.records) > 1 else ""
    parts = [reply.model or "", tokens_caption(took), cost_caption(took, local=local), f"{reply.latency:.1f} s", tries]
    return " · ".join(part for part in parts if part)


def session_caption(usage: Usage, *, local: bool = False) -> str:
    """What all calls together took.

    >>> session_caption(Usage(10, 5, cost=Decimal(0), known="measured"), local=True)
    '1 call · 10 tokens in, 5 out · cost 0 (local)'
    """
    if not usage.calls:
        return ""
    parts = [calls_caption(usage.calls), tokens_caption(usage), cost_caption(usage, local=local)]
    if usage.audio_seconds:
        parts.insert(2, f"{minutes(usage.audio_seconds)} min of audio")
    if usage.audio_seconds and usage.total_tokens is None:
        del parts[1]
    return " · ".join(parts)


@shown.register
def usage_html(usage: Usage) -> str:
    """What was used, as a notebook shows it.

    >>> usage_html(Usage(10, 5, cost=Decimal("0.00012"), known="measured")).partition(">")[2]
    '1 call · 10 tokens in, 5 out · cost 0.00012 USD</div>'
    """
    return displayed(escape(session_caption(usage) or "no calls yet"))


def tokens_caption(usage: Usage) -> str:
    """Prompt and completion tokens; ≈ where estimated, and what the sum leaves out.

    >>> tokens_caption(Usage(10, 5, known="estimated")), tokens_caption(Usage())
    ('≈ 10 tokens in, 5 out', 'tokens unknown')
    """
    if usage.total_tokens is None:
        return "tokens unknown"
    about = "≈ " if usage.estimated_calls else ""
    sent, came = (f"{n:,}" if n is not None else "?" for n in (usage.prompt_tokens, usage.completion_tokens))
    left_out = f" and {usage.unknown_calls:,} unknown" if usage.unknown_calls and usage.calls > 1 else ""
    return f"{about}{sent} tokens in, {came} out{left_out}"


def cost_caption(usage: Usage, *, local: bool = False) -> str:
    """The cost in US dollars; a part that is unknown is never taken for 0.

    >>> cost_caption(Usage(cost=Decimal("0.000120"), known="measured")), cost_caption(Usage(known="measured"))
    ('cost 0.00012 USD', 'cost unknown')
    """
    if usage.cost is None or (usage.cost == 0 and usage.unpriced_calls):
        return "cost unknown"
    if usage.cost == 0:
        return "cost 0 (local)" if local else "cost 0"
    about = "≈ " if usage.estimated_calls else ""
    left_out = f" and {usage.unpriced_calls:,} unknown" if usage.unpriced_calls else ""
    return f"cost {about}{dollars(usage.cost)} USD{left_out}"


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
    most = "no bound known" if estimate.cost.high is None else f"at most {dollars(estimate.cost.high)}"
    return f"≈ {dollars(estimate.cost.likely)} USD ({most}){left_out}"


def priced_as_caption(cost: Decimal | None, model: str) -> str:
    """What the same tokens would have cost on another model.

    >>> priced_as_caption(Decimal("0.0000332"), "gpt-6-luna"), priced_as_caption(None, "my-own")
    ('as gpt-6-luna: 0.0000332 USD', 'as my-own: cost unknown')
    """
    return f"as {model}: {'cost unknown' if cost is None else f'{dollars(cost)} USD'}"


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


def dollars(cost: Decimal) -> str:
    """An amount to three significant digits, written out.

    >>> dollars(Decimal("0.0001234")), dollars(Decimal(1200)), dollars(Decimal(0))
    ('0.000123', '1,200', '0')
    """
    if not cost:
        return "0"
    digits = min(cost.adjusted() - 2, 0)
    return f"{cost.quantize(Decimal(10) ** digits).normalize():,f}"


def minutes(seconds: float) -> str:
    """Minutes of audio.

    >>> minutes(90), minutes(6)
    ('1.5', '0.1')
    """
    return f"{seconds / 60:,.1f}" if seconds >= 3 else f"{seconds / 60:.2g}"


def calls_caption(count: int) -> str:
    """How many calls.

    >>> calls_caption(1), calls_caption(1200)
    ('1 call', '1,200 calls')
    """
    return "1 call" if count == 1 else f"{count:,} calls"
