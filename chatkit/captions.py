"""What usage, outcomes and waits are called in words.

In: values of the ledger and the client. Out: short sentences that a panel, a repr or an export shows as they are.
"""

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from chatkit.client.reply import Reply, Wait
from chatkit.display import displayed, shown
from chatkit.exceptions import mended
from chatkit.ledger.estimate import Estimate
from chatkit.ledger.record import Usage

LONGEST = 500
"""Characters of a caption that a file may hold."""
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


def captions_of(kept: object) -> dict[str, str]:
    """The captions that a conversation's file holds, by a message's id; what is none is let go.

    >>> captions_of({"a": "5 tokens in, 2 out", "b": 7})
    {'a': '5 tokens in, 2 out'}
    """
    found = kept.items() if isinstance(kept, dict) else ()
    return {name: mended(text) for name, text in found if isinstance(text, str) and len(text) <= LONGEST}


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
    cost = None if usage.cost == 0 and usage.unpriced_calls else usage.cost
    if not cost:
        return amount_caption(cost, local=local)
    about = "≈ " if usage.estimated_calls else ""
    left_out = f" and {usage.unpriced_calls:,} unknown" if usage.unpriced_calls else ""
    return f"cost {about}{dollars(cost)} USD{left_out}"


def amount_caption(cost: Decimal | None, *, local: bool = False) -> str:
    """One cost in US dollars: unknown, nothing, or so much.

    >>> amount_caption(None), amount_caption(Decimal(0), local=True), amount_caption(Decimal("0.009"))
    ('cost unknown', 'cost 0 (local)', 'cost 0.009 USD')
    """
    if cost is None:
        return "cost unknown"
    if cost == 0:
        return "cost 0 (local)" if local else "cost 0"
    return f"cost {dollars(cost)} USD"


def price_caption(per_minute: Decimal | None, seconds: float | None, *, local: bool) -> str:
    """What so much audio would cost, from the price of a minute in US dollars.

    >>> price_caption(Decimal("0.006"), 90, local=False), price_caption(None, 90, local=False)
    ('1.5 min × 0.006 USD = 0.009 USD', 'cost unknown')
    >>> price_caption(None, 90, local=True), price_caption(Decimal("0.0060"), None, local=False)
    ('cost 0 (local)', '0.006 USD a minute')
    """
    if local or not per_minute:
        return amount_caption(Decimal(0) if local else per_minute, local=local)
    if seconds is None:
        return f"{per_minute.normalize():f} USD a minute"
    length = Decimal(str(seconds)) / 60
    return f"{length:.1f} min × {per_minute.normalize():f} USD = {dollars(per_minute * length)} USD"


def estimate_caption(estimate: Estimate, *, local: bool = False) -> str:
    """What the next request will use: likely, and at most; what has no bound says so.

    >>> from chatkit.ledger.estimate import CostRange, Range
    >>> cost = CostRange(Decimal("0.00001"), Decimal("0.0002"), Decimal("0.0098"))
    >>> estimate_caption(Estimate(Range(9, 16, 20), Range(0, 300, 16_384), cost, "Reckoned."))
    'next: ≈ 16 tokens in, 300 out (at most 16,384) · ≈ 0.0002 USD (at most 0.0098)'
    >>> estimate_caption(Estimate(Range(9, 16, None), Range(0, 300, None), None, "Reckoned."))
    'next: ≈ 16 tokens in, 300 out (no limit known) · cost unknown'
    """
    most = "no limit known" if estimate.completion.high is None else f"at most {estimate.completion.high:,}"
    out = f"{estimate.completion.likely:,} out ({most})"
    return f"next: ≈ {estimate.prompt.likely:,} tokens in, {out} · {_estimated_cost(estimate, local=local)}"


def forecast_caption(estimate: Estimate) -> str:
    """What requests that were not sent yet will use and cost, as a sentence.

    >>> from chatkit.ledger.estimate import CostRange, Range
    >>> cost = CostRange(Decimal(0), Decimal("0.0002"), None)
    >>> forecast_caption(Estimate(Range(9, 16, 20), Range(0, 300, 500), cost, "", unpriced_calls=1))
    '≈ 16 tokens in, 300 out (at most 20 and 500), ≈ 0.0002 USD (no bound known) and 1 unknown.'
    """
    prompt, completion = estimate.prompt, estimate.completion
    parts = [f"≈ {prompt.likely:,} tokens in, {completion.likely:,} out"] if prompt.likely else []
    if completion.high is not None and prompt.high is not None and prompt.likely:
        parts[0] += f" (at most {prompt.high:,} and {completion.high:,})"
    if estimate.audio_seconds:
        parts.append(f"{minutes(estimate.audio_seconds)} min of audio")
    return ", ".join([*parts, _estimated_cost(estimate)]) + "."


def _estimated_cost(estimate: Estimate, *, local: bool = False) -> str:
    if estimate.cost is None or estimate.cost.high == 0:
        return amount_caption(estimate.cost and estimate.cost.likely, local=local)
    left_out = f" and {estimate.unpriced_calls} unknown" if estimate.unpriced_calls else ""
    most = "no bound known" if estimate.cost.high is None else f"at most {dollars(estimate.cost.high)}"
    return f"≈ {dollars(estimate.cost.likely)} USD ({most}){left_out}"


def priced_as_caption(cost: Decimal | None, model: str) -> str:
    """What the same tokens would have cost on another model.

    >>> priced_as_caption(Decimal("0.0000332"), "gpt-6-luna"), priced_as_caption(None, "my-own")
    ('as gpt-6-luna: 0.0000332 USD', 'as my-own: cost unknown')
    """
    return f"as {model}: {f'{dollars(cost)} USD' if cost is not None else amount_caption(cost)}"


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
