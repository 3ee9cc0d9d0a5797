"""Readings: what was used, in words.

In: values of the ledger. Out: short sentences, the same in a report, a meter and a panel.
"""

from decimal import Decimal

from chatkit.ledger.record import Usage


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


def calls_caption(count: int) -> str:
    """How many calls.

    >>> calls_caption(1), calls_caption(1200)
    ('1 call', '1,200 calls')
    """
    return "1 call" if count == 1 else f"{count:,} calls"


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
