"""Annexe: /v1/completions, the legacy endpoint. In: the request's body, then pieces. Out: what the API answers."""

from collections.abc import Iterator
from typing import Any

from chatkit.api.parameters import COMPLETIONS_LIMIT, named
from chatkit.local.ask import MOST_ANSWERS, Generation, answers, limit, sampling, streaming
from chatkit.local.piece import GeneratedPiece, Tokens, Whole, chat_usage, legacy_logprobs, total
from chatkit.local.validation import Fields

KNOWN = named("completions", "takes")

Prompt = str | list[int]


def read(body: dict[str, Any]) -> Generation:
    """Check a request; raise a ApiError that names all its faults."""
    fields = Fields(
        body, known=KNOWN, ignored=named("completions", "ignores"), unsupported=named("completions", "refuses")
    )
    fields.text("model", needed=True)
    top = fields.integer("logprobs", 0, 5)
    prompts = _prompts(fields)
    echo = _echo(fields, prompts, top)
    asked = sampling(fields) | limit(fields, "max_tokens", low=0, otherwise=COMPLETIONS_LIMIT)
    if top is not None:
        asked |= {"logprobs": max(1, top)}
    each = answers(fields, asked)
    if fields.get("best_of") not in (None, 1, fields.get("n")):
        fields.unsupported("best_of", "it must equal n")
    if len(prompts) * len(each) > MOST_ANSWERS:
        fields.fault("prompt", f"{len(prompts)} prompts of {len(each)} answers; at most {MOST_ANSWERS} in all.")
    stream, usage = streaming(fields)
    fields.end()
    bodies = [body | {"prompt": prompt} for prompt in prompts for body in each]
    heads = [str(p) for p in prompts for _ in each] if echo else [""] * len(bodies)
    return Generation("text", "prompt", bodies, stream, usage, top, prompts=len(prompts), extra={"heads": heads})


def _prompts(fields: Fields) -> list[Prompt]:
    given = fields.get("prompt")
    if given is None:
        fields.fault("prompt", "'prompt' is missing.", "missing_required_parameter")
        return []
    prompts = given if isinstance(given, list) and not _is_tokens(given) else [given]
    if not prompts or not all(_is_tokens(p) or (isinstance(p, str) and p) for p in prompts):
        fields.expect("prompt", "a non-empty string, an array of them, or an array of token ids")
        return []
    return prompts


def _is_tokens(value: Any) -> bool:
    numbers = isinstance(value, list) and value
    return bool(numbers) and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**31 for v in value)


def _echo(fields: Fields, prompts: list[Prompt], top: int | None) -> bool:
    echo = fields.flag("echo")
    if echo and (top is not None or not all(isinstance(p, str) for p in prompts)):
        fields.unsupported("echo", "together with logprobs or token ids")
    return echo


def answer(ask: Generation, wholes: list[Whole], common: dict[str, Any]) -> dict[str, Any]:
    """The answer in one piece."""
    return {
        **_head(ask, common),
        "choices": [
            _choice(ask, i, head + whole.text, whole.logprobs, whole.finish)
            for i, (head, whole) in enumerate(zip(ask.extra["heads"], wholes, strict=True))
        ],
        "usage": chat_usage(total([w.tokens for w in wholes], ask.prompts)),
    }


def _head(ask: Generation, common: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"cmpl-{ask.token}", "object": "text_completion", "created": ask.created, **common}


def _choice(
    ask: Generation, index: int, text: str, entries: Any, finish: str | None, offset: int = 0
) -> dict[str, Any]:
    form = None if ask.top_logprobs is None else legacy_logprobs(entries, ask.top_logprobs, offset)
    return {"index": index, "text": text, "logprobs": form, "finish_reason": finish}


class CompletionStream:
    """The answer as chunks of the same form as the whole."""

    done = "[DONE]"

    def __init__(self, ask: Generation, common: dict[str, Any]) -> None:
        self.ask = ask
        self.head = _head(ask, common)
        self.tail = {"usage": None} if ask.include_usage else {}
        self.offsets = [0] * len(ask.bodies)
        self.tokens = [Tokens(0, 0)] * len(ask.bodies)

    def open(self) -> Iterator[dict[str, Any]]:
        """What comes before any text: the prompts, where an echo was asked for."""
        for index, head in enumerate(self.ask.extra["heads"]):
            if head:
                yield self._chunk(index, head)

    def feed(self, index: int, piece: GeneratedPiece) -> Iterator[dict[str, Any]]:
        """The chunks of one piece."""
        if piece.text or piece.logprobs or piece.finish:
            yield self._chunk(index, piece.text, piece.logprobs, piece.finish)
        if piece.tokens:
            self.tokens[index] = piece.tokens

    def close(self) -> Iterator[dict[str, Any]]:
        """What comes after all text."""
        if self.ask.include_usage:
            yield {**self.head, "choices": [], "usage": chat_usage(total(self.tokens, self.ask.prompts))}

    def fail(self, error: dict[str, Any]) -> dict[str, Any]:
        """What is sent when the engine fails in mid-stream."""
        return {"error": error}

    def _chunk(self, index: int, text: str, entries: Any = (), finish: str | None = None) -> dict[str, Any]:
        choice = _choice(self.ask, index, text, entries, finish, self.offsets[index])
        self.offsets[index] += len(text)
        return {**self.head, "choices": [choice], **self.tail}


events = CompletionStream
"""What the front streams an answer of this endpoint with."""
