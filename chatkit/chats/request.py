"""One turn: from what a chat is at the moment to the body that is sent, and from the reply to messages.

In: the messages a turn goes on from, a question, a model, parameters, an endpoint. Out: a body for the API, or its
`Preview`. Values and checks only; turns.py sends it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from chatkit.api import response_formats
from chatkit.api.answer import Answer, Outcome
from chatkit.api.parameters import answer_limit
from chatkit.api.request import Api, build
from chatkit.captions import reply_caption
from chatkit.chats import settings as context
from chatkit.chats.settings import Selection, Settings, TokenCounts
from chatkit.client.address import Endpoint
from chatkit.client.reply import Reply
from chatkit.conversation.branches import Messages
from chatkit.conversation.message import HEADS, Message
from chatkit.display import displayed, shown
from chatkit.exceptions import InputError
from chatkit.ledger import estimate
from chatkit.signs import fit_to_print

NOTHING_YET = "There is no message to answer yet."
MUCH = 100_000
"""Tokens of a prompt from which on a person is asked to think twice."""
_BESIDE = ("tools", "response_format")
"""Parameters whose text the model reads."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a request would be, before it is sent.

    `messages` is what would be sent, in the API's chat form; `left_out` the reason for each message that would not, by
    id; `trimmed` that in a sentence, if a rule left it out. `tokens` is an estimate of the prompt, `window` what the
    model takes (None: unknown). `body` is the whole request for `api`. `problems` are sentences: what is wrong with it.

    >>> import chatkit
    >>> preview = chatkit.Chat("Be brief.", max_completion_tokens=20).preview("Where is the Louvre?")
    >>> [message["role"] for message in preview.messages], preview.body["max_completion_tokens"], preview.problems
    (['system', 'user'], 20, ())
    """

    messages: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, str]
    trimmed: str
    tokens: int
    window: int | None
    api: Api
    body: Mapping[str, Any]
    problems: tuple[str, ...] = ()

    @fit_to_print
    def __repr__(self) -> str:
        window = f" of {self.window:,}" if self.window else ""
        head = f"Preview({len(self.messages)} messages, about {self.tokens:,} tokens{window}, api={self.api!r})"
        return "\n  ".join([head, *filter(None, [self.trimmed]), *self.problems])


@dataclass(frozen=True, slots=True)
class Request:
    """A turn to take: the messages it goes on from, on which branch, its question if it is new, and what it asks with.

    `cut` is the id of the first message that its answer replaces. `begun` is an answer that was cut off and goes on.
    """

    basis: Messages
    branch: str
    question: Message | None
    cut: str | None
    settings: Settings
    begun: Message | None = None

    @property
    def line(self) -> Messages:
        """The messages that the answer follows."""
        return (*self.basis, *(message for message in (self.question, self.begun) if message))

    def check(self) -> None:
        """Raise an InputError for what cannot be sent to any endpoint."""
        if faults := self.settings.faults():
            raise InputError(" ".join(faults), "Nothing was sent.")
        self._build(None, [message for message in self.line if message.enabled])

    def check_model(self, endpoint: Endpoint) -> None:
        """Raise an InputError where the model is gone, or refuses a parameter; a local one takes every name."""
        if refusals := self.settings.refusals(endpoint):
            raise InputError(" ".join(refusals), "Nothing was sent.")

    def select(self, endpoint: Endpoint | None, counts: TokenCounts) -> Selection:
        """The messages that are sent."""
        asked = self.settings
        beside = {k: v for k, v in asked.parameters.items() if k in _BESIDE and not isinstance(v, str)}
        return context.select(
            self.line,
            asked.trim,
            counts=counts,
            model=asked.name(endpoint),
            window=asked.window(endpoint),
            answer=answer_limit(asked.parameters),
            around=estimate.of_prompt(beside) if beside else 0,
        )

    def body(self, endpoint: Endpoint | None, chosen: Selection) -> Mapping[str, Any]:
        """The body that asks for it; raises InputError for what the API does not have."""
        return self._build(endpoint, chosen.messages)

    def preview(self, endpoint: Endpoint | None, counts: TokenCounts) -> Preview:
        """What would be sent, and what is wrong with it."""
        asked, chosen = self.settings, self.select(endpoint, counts)
        window, problems = asked.window(endpoint), asked.faults()
        messages = tuple(message.to_api() for message in chosen.messages)
        body: Mapping[str, Any] = {"model": asked.name(endpoint), "messages": list(messages), **asked.parameters}
        if not problems:
            try:
                body = self.body(endpoint, chosen)
            except InputError as error:
                problems = [str(error)]
        problems += [*asked.refusals(endpoint), *self._doubts(chosen, window)]
        return Preview(
            messages, chosen.left_out, chosen.trimmed, chosen.tokens, window, asked.api, body, tuple(problems)
        )

    def _build(self, endpoint: Endpoint | None, sent: Sequence[Message]) -> Mapping[str, Any]:
        asked = self.settings
        return build(asked.api, asked.name(endpoint), [m.to_api() for m in sent], asked.parameters)

    def _doubts(self, chosen: Selection, window: int | None) -> list[str]:
        """What an endpoint may find wrong with a request that can be sent."""
        found: list[str] = []
        if all(message.role in HEADS for message in chosen.messages):
            found.append(NOTHING_YET)
        parameters = self.settings.parameters
        word = response_formats.form_of(parameters.get("response_format")).must_say
        if word and not any(word.lower() in message.text.lower() for message in chosen.messages):
            found.append(f"response_format is {word} and no message says the word {word}; OpenAI refuses that.")
        if window is None and chosen.tokens > MUCH:
            found.append(f"About {chosen.tokens:,} tokens are to be sent; how many the model takes is not known.")
        room = context.room(window, answer_limit(parameters))
        if window is not None and room is not None and chosen.tokens > room:
            found.append(
                f"About {chosen.tokens:,} tokens are to be sent and the model takes {window:,}, answer included."
            )
        return found


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
    from chatkit.render.html import conversation_html

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
