"""What came back, as messages of a conversation.

In: a `Reply`. Out: a message for each of its answers that is worth keeping, with how that answer ended; and all of
them as a notebook shows them.
"""

from dataclasses import replace
from html import escape
from typing import Any

from chatkit.api.answer import Answer
from chatkit.api.finish import Outcome
from chatkit.captions import reply_caption
from chatkit.display import displayed, shown
from chatkit.endpoint.reply import Reply
from chatkit.message import Message

WENT_ON = "It went on from an answer that was cut off; what is counted here is the second part."


def messages(reply: Reply) -> list[Message]:
    """The answers as messages, the first one first; a reply that came back empty is one empty message.

    >>> reply = Reply((Answer(0, "Yes.", finish_reason="stop"), Answer(1, "N", finish_reason="length")), "length")
    >>> [(message.text, message.outcome) for message in messages(reply)]
    [('Yes.', 'complete'), ('N', 'length')]
    """
    said = [answer for answer in reply.answers if answer.came]
    return [_message(answer, reply) for answer in said or reply.answers[:1] or (Answer(),)]


def joined(begun: Message, more: Message) -> Message:
    """An answer that was cut off and its end, as one message.

    >>> joined(Message("assistant", "In Bra", outcome="length"), Message("assistant", "zil.", outcome="complete")).text
    'In Brazil.'
    """
    note = " ".join(filter(None, [more.note, WENT_ON]))
    return replace(more, content=f"{begun.text}{more.text}", note=note, enabled=begun.enabled)


@shown.register
def reply_html(reply: Reply) -> str:
    """The answers laid out, what they took, and what ended them if something did."""
    from chatkit.render.static import conversation_html

    said = messages(reply)
    thoughts = [answer.reasoning for answer in reply.answers if answer.came]
    told = [
        replace(message, extra={**message.extra, "reasoning": thought} if thought else message.extra)
        for message, thought in zip(said, thoughts or [""], strict=True)
    ]
    ended = f"<p>{escape(str(reply.error))}</p>" if reply.error else ""
    if not reply.came_back:
        return displayed(ended or f"<p>{escape(reply.outcome)}</p>")
    captions = {told[-1].id: reply_caption(reply)}
    return displayed(f"{conversation_html(told, captions=captions, title='Answer')}{ended}")


def _message(answer: Answer, reply: Reply) -> Message:
    extra: dict[str, Any] = {}
    if answer.tool_calls:
        extra["tool_calls"] = [dict(call) for call in answer.tool_calls]
    if answer.refusal:
        extra["refusal"] = answer.refusal
    outcome = _outcome(answer, reply)
    message = Message("assistant", answer.text, outcome=outcome, note=answer.note or None, extra=extra)
    return replace(message, enabled=outcome != "filtered" and bool(answer.text or extra))


def _outcome(answer: Answer, reply: Reply) -> Outcome:
    """How one answer ended: as the reply did; of several, by its own reason."""
    own = answer.outcome
    if len(reply.answers) < 2:
        return reply.outcome
    if own is None:
        return "complete" if reply.outcome in ("length", "filtered") else reply.outcome
    return own
