"""Faces: what the next request would be: how much is sent, what is left out, what it may cost.

In: a chat and a text that was not sent yet. Out: captions and a gauge's level. Nothing is sent.
"""

from typing import Any

from chatkit.captions import estimate_caption, window_caption
from chatkit.chat import Chat
from chatkit.ledger.estimates import estimate_body
from chatkit.ledger.pricing import own_at_hand
from chatkit.request import NOTHING_YET, Preview


def outlook(chat: Chat, preview: Preview) -> dict[str, Any] | None:
    """The caption for the next request and the window's fill; None before there is anything to send."""
    problems = [problem for problem in preview.problems if problem != NOTHING_YET]
    if not preview.messages or (len(problems) < len(preview.problems) and not problems):
        return None
    endpoint = chat.foreseen
    local = endpoint is None or endpoint.free
    rules = endpoint.rules if endpoint else "local"
    url = endpoint.base_url if endpoint else ""
    estimate = estimate_body(preview.body, url, local=local, window=preview.window, rules=rules, own=own_at_hand())
    likely = estimate.prompt.likely
    return {
        "caption": " · ".join([estimate_caption(estimate, local=local), *problems]),
        "warn": bool(problems),
        "fill": likely / preview.window if preview.window else None,
        "window": window_caption(likely, preview.window),
    }


def left_out_caption(preview: Preview) -> str:
    """What is left out by the rule for long talks, in words; empty if nothing is."""
    return f"{preview.trimmed}: kept here, not sent." if preview.trimmed else ""
