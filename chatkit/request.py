"""Floor 2: one turn's request, from what a chat is at the moment to the body that is sent.

In: the messages a turn goes on from, a question, a model, parameters, an endpoint. Out: a body for the API, or its
`Preview`. Values and checks only; chat.py sends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chatkit import context
from chatkit.branches import Line
from chatkit.context import Counts, Selection, Trim
from chatkit.endpoint import bodies, catalog, parameters
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.engine import Api
from chatkit.exceptions import InputError
from chatkit.ledger import tokens
from chatkit.message import HEADS, Message

_EFFORT = ("reasoning", "reasoning_effort")
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
    """

    messages: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, str]
    trimmed: str
    tokens: int
    window: int | None
    api: Api
    body: Mapping[str, Any]
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        window = f" of {self.window:,}" if self.window else ""
        head = f"Preview({len(self.messages)} messages, about {self.tokens:,} tokens{window}, api={self.api!r})"
        return "\n  ".join([head, *filter(None, [self.trimmed]), *self.problems])


@dataclass(frozen=True, slots=True)
class Request:
    """A turn to take: the messages it goes on from, on which branch, its question if it is new, and all it asks with.

    `cut` is the id of the first message that its answer replaces; `model` None is the endpoint's.
    """

    basis: Line
    branch: str
    question: Message | None
    cut: str | None
    model: str | None
    api: Api
    trim: Trim
    settings: Mapping[str, Any]

    @property
    def line(self) -> Line:
        """The messages that the answer follows."""
        return self.basis if self.question is None else (*self.basis, self.question)

    def check(self) -> None:
        """Raise an InputError for what cannot be sent to any endpoint."""
        model = self.model or catalog.HOSTED_DEFAULT
        parameters.check(model, self.settings)
        bodies.build(self.api, model, [m.to_api() for m in self.line if m.enabled], self.settings)

    def check_model(self, endpoint: Endpoint) -> None:
        """Raise an InputError where the model is gone, or refuses a parameter; a local one takes every name."""
        if refusals := self._refusals(endpoint):
            raise InputError(" ".join(refusals), "Nothing was sent.")

    def name(self, endpoint: Endpoint | None) -> str:
        """The model's name that is sent."""
        return self.model or (endpoint.model if endpoint else catalog.HOSTED_DEFAULT)

    def window(self, endpoint: Endpoint | None) -> int | None:
        """The tokens that the model takes, answer included; None where that is unknown."""
        if endpoint is not None and endpoint.local:
            return endpoint.window
        return catalog.find(self.name(endpoint)).window if self.model or endpoint else None

    def select(self, endpoint: Endpoint | None, counts: Counts) -> Selection:
        """The messages that are sent."""
        beside = {k: v for k, v in self.settings.items() if k in _BESIDE and not isinstance(v, str)}
        return context.select(
            self.line,
            self.trim,
            counts=counts,
            model=self.name(endpoint),
            window=self.window(endpoint),
            answer=bodies.answer_limit(self.settings),
            around=tokens.of_prompt(beside) if beside else 0,
        )

    def body(self, endpoint: Endpoint | None, chosen: Selection) -> Mapping[str, Any]:
        """The body that asks for it; raises InputError for what the API does not have."""
        return bodies.build(self.api, self.name(endpoint), [m.to_api() for m in chosen.messages], self.settings)

    def preview(self, endpoint: Endpoint | None, counts: Counts) -> Preview:
        """What would be sent, and what is wrong with it."""
        chosen, model, window = self.select(endpoint, counts), self.name(endpoint), self.window(endpoint)
        messages = tuple(message.to_api() for message in chosen.messages)
        body: Mapping[str, Any] = {"model": model, "messages": list(messages), **self.settings}
        problems = parameters.faults(model, self.settings)
        if not problems:
            try:
                body = self.body(endpoint, chosen)
            except InputError as error:
                problems = [str(error)]
        problems += [*self._refusals(endpoint), *self._doubts(chosen, window)]
        return Preview(
            messages, chosen.left_out, chosen.trimmed, chosen.tokens, window, self.api, body, tuple(problems)
        )

    def rejected(self, endpoint: Endpoint | None) -> Mapping[str, str]:
        """Which parameters would be refused, whatever their value, and why; a local model takes them all."""
        found: dict[str, str] = {}
        if self.api == "responses":
            found |= {name: f"The Responses API has no {name}." for name in bodies.CHAT_ONLY}
        if endpoint is not None and not endpoint.local:
            known = catalog.find(self.name(endpoint))
            effort = {name: self.settings[name] for name in _EFFORT if name in self.settings}
            reasons = {name: known.refusals({**effort, name: 0.5}) for name in catalog.SAMPLING}
            found |= {name: " ".join(reason) for name, reason in reasons.items() if reason}
        return found

    def _refusals(self, endpoint: Endpoint | None) -> list[str]:
        if endpoint is None or endpoint.local:
            return []
        known = catalog.find(self.name(endpoint))
        gone = known.gone(datetime.now(UTC).date())
        return [gone] if gone else known.refusals(self.settings)

    def _doubts(self, chosen: Selection, window: int | None) -> list[str]:
        """What an endpoint may find wrong with a request that can be sent."""
        found: list[str] = []
        if all(message.role in HEADS for message in chosen.messages):
            found.append("There is no message to answer yet.")
        as_json = self.settings.get("response_format") in ("json", {"type": "json_object"})
        if as_json and not any("json" in message.text.lower() for message in chosen.messages):
            found.append("response_format is JSON and no message says the word JSON; OpenAI refuses that.")
        if window is None and chosen.tokens > MUCH:
            found.append(f"About {chosen.tokens:,} tokens are to be sent; how many the model takes is not known.")
        room = context.room(window, bodies.answer_limit(self.settings))
        if window is not None and room is not None and chosen.tokens > room:
            found.append(
                f"About {chosen.tokens:,} tokens are to be sent and the model takes {window:,}, answer included."
            )
        return found
