"""Annexe: one request, read and checked. Between the endpoints' readers and the engine."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from chatkit.api import parameters as table
from chatkit.api.parameters import MOST_STOPS
from chatkit.local.checks import Fields, shown

MOST_ANSWERS = table.find("n").local_high or 1
"""Answers of one request (n, or prompts times n); each takes a slot in its turn."""
LONGEST_STOP = 200

NUMBERS = tuple(row.name for row in table.TABLE if row.kind == "number" and row.local == "takes")
"""Parameters that go to the engine as they are, by the same name."""
IGNORED = table.named("chat", "ignores") | table.named("responses", "ignores")
"""Parameters of the API that change nothing on this machine and harm nothing."""


@dataclass(frozen=True)
class Generation:
    """What to generate (`bodies`, one for each answer, in the engine's words) and how to send it."""

    kind: Literal["chat", "text"]
    prompt: Literal["messages", "prompt", "input"]
    bodies: list[dict[str, Any]]
    stream: bool = False
    include_usage: bool = False
    top_logprobs: int | None = None
    prompts: int = 1
    extra: dict[str, Any] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    token: str = field(default_factory=lambda: secrets.token_hex(12))


def sampling(fields: Fields) -> dict[str, Any]:
    """Temperature, top_p, penalties, seed, stop and bias, as far as the endpoint has them."""
    body = {name: default for name in NUMBERS if (default := table.LOCAL_DEFAULTS.get(name))}
    read: dict[str, Any] = {name: fields.number(name, *_range(name)) for name in NUMBERS}
    read |= {"stop": _stop(fields), "logit_bias": _bias(fields)}
    return body | {name: value for name, value in read.items() if value is not None}


def _range(name: str) -> tuple[float, float]:
    low, high = table.find(name).range_at("local")
    assert low is not None and high is not None
    return low, high


def answers(fields: Fields, body: dict[str, Any]) -> list[dict[str, Any]]:
    """`body` for each of the n answers, with seeds that differ and are still the asked one's."""
    n = fields.integer("n", 1, MOST_ANSWERS) or 1
    seed = fields.integer("seed", -(2**63), 2**63)
    if seed is None:
        return [body] * n
    # the engine's seed has 32 bits, and its last value means "any"
    return [body | {"seed": (seed + i) % 0xFFFFFFFF} for i in range(n)]


def streaming(fields: Fields) -> tuple[bool, bool]:
    """Whether to stream, and whether to send the usage at the end of the stream."""
    stream = fields.flag("stream")
    options = fields.mapping("stream_options")
    if options and not stream:
        fields.fault("stream_options", "'stream_options' is only allowed when 'stream' is true.")
    inner = Fields(options, known={"include_usage", "include_obfuscation"})
    usage = inner.flag("include_usage")
    inner.flag("include_obfuscation")
    for name, code, sentence in inner.faults:
        fields.fault(f"stream_options.{name}", sentence, code)
    return stream, usage


def limit(fields: Fields, *names: str, low: int = 1, otherwise: int = table.LOCAL_LONGEST) -> dict[str, int]:
    """The most tokens to write, under whichever of `names` it was given."""
    given = [name for name in names if fields.has(name)]
    if len(given) > 1:
        fields.fault(given[0], f"{' and '.join(map(repr, given))} mean the same; give one of them.")
    limits = [fields.integer(name, low) for name in given]
    # the engine counts in 32 bits; its window is far smaller
    return {"max_tokens": otherwise if not limits or limits[0] is None else min(limits[0], 2**30)}


def _stop(fields: Fields) -> list[str] | None:
    given = fields.get("stop")
    if given is None:
        return None
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or not 1 <= len(stops) <= MOST_STOPS or not all(map(_is_stop, stops)):
        fields.expect("stop", f"a string or 1 to {MOST_STOPS} strings of 1 to {LONGEST_STOP} characters")
        return None
    return stops


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_STOP


def _bias(fields: Fields) -> list[list[float]] | None:
    given = fields.mapping("logit_bias")
    pairs = []
    for token, bias in given.items():
        number = isinstance(bias, int | float) and not isinstance(bias, bool) and -100 <= bias <= 100
        if not (token.isascii() and token.isdigit() and len(token) < 8 and number):
            fields.fault(
                "logit_bias", f"'logit_bias' maps {shown(token)}; it maps token ids to numbers from -100 to 100."
            )
            return None
        pairs.append([int(token), float(bias)])
    return pairs or None
