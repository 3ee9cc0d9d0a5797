"""Faces: what usage, outcomes and waits are called in words.

In: values of the ledger and endpoint doors. Out: short sentences that a panel shows as they are.
"""

from chatkit.endpoint.reply import Reply, Wait
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


def wait_caption(wait: Wait) -> str:
    """Why the engine waits, and for how long.

    >>> wait_caption(Wait(1.0, 2, 3, "The endpoint is busy."))
    'The endpoint is busy. Waiting 1 s, try 2 of 3.'
    """
    if not wait.seconds:
        return wait.why
    why = wait.why if wait.why.endswith((".", "!", "?", ":")) else f"{wait.why}."
    return f"{why} Waiting {max(1, round(wait.seconds))} s, try {wait.attempt} of {wait.limit}."
