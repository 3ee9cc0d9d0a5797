"""Annexe: one request for text, read and checked: its messages for the template, its body for the engine.

The model reads text only; an image or a sound is refused by name. A developer's message is a system
message to the template, which knows no developer.
"""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from chatkit.api import parameters as table
from chatkit.api.parameters import MOST_STOPS
from chatkit.local.validation import Fields, shown

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


ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
KEYS = {
    "role", "content", "name", "refusal", "annotations", "audio", "tool_calls", "function_call", "tool_call_id",
    "id", "type", "status", "phase",
}  # fmt: skip
TEXTS = {"text", "input_text", "output_text", "refusal"}
SKIPPED = {"reasoning", "item_reference"}

TemplateMessage = dict[str, str]


def read_messages(fields: Fields, name: str = "messages") -> list[TemplateMessage]:
    """The `messages` of Chat Completions."""
    given = fields.get(name)
    if given is None:
        fields.fault(name, f"'{name}' is missing.", "missing_required_parameter")
        return []
    if not isinstance(given, list):
        fields.expect(name, "an array of messages", "invalid_type")
        return []
    if not given:
        fields.fault(name, f"'{name}' is empty; it must hold at least one message.", "empty_array")
    return [line for i, message in enumerate(given) if (line := _line(fields, f"{name}[{i}]", message))]


def read_input(fields: Fields) -> list[TemplateMessage]:
    """The `instructions` and `input` of Responses."""
    instructions = fields.text("instructions")
    first = [{"role": "system", "content": instructions}] if instructions else []
    given = fields.get("input")
    if isinstance(given, str):
        if not given.strip():
            fields.fault("input", "'input' is empty; it must hold some text.")
        return [*first, {"role": "user", "content": given}]
    if isinstance(given, list):
        fields.body["input"] = [item for item in given if not _is_skipped(item)]
    return first + read_messages(fields, "input")


def going_on(messages: list[TemplateMessage]) -> dict[str, Any]:
    """The engine's words for an answer that goes on where a last message of the assistant's leaves off; else none.

    Hosted models begin a new answer after such a message; those who serve open models mostly let it go on.
    """
    roles = [message["role"] for message in messages[-2:]]
    if roles[-1:] != ["assistant"] or roles == ["assistant"] * 2 or not messages[-1]["content"]:
        return {}
    return {"continue_final_message": True, "add_generation_prompt": False}


def _is_skipped(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("type"), str) and item["type"] in SKIPPED


def _line(fields: Fields, path: str, message: Any) -> TemplateMessage | None:
    if not isinstance(message, dict):
        fields.fault(path, f"'{path}' is {shown(message)}; it must be an object.", "invalid_type")
        return None
    if message.get("type", "message") != "message":
        kind = shown(message["type"])
        fields.fault(f"{path}.type", f"'{path}.type' {kind} is not supported here: only messages are.")
        return None
    for key in sorted(set(message) - KEYS):
        fields.fault(f"{path}.{key}", f"Unknown parameter: '{path}.{shown(key)[1:-1]}'.", "unknown_parameter")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        fields.fault(f"{path}.role", f"'{path}.role' is {shown(role)}; it must be one of {', '.join(ROLES)}.")
        return None
    content = _content(fields, f"{path}.content", message)
    return None if content is None else {"role": ROLES[role], "content": content}


def _content(fields: Fields, path: str, message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None and message["role"] == "assistant":
        return _without_content(fields, path, message)
    if not isinstance(content, list):
        fields.fault(path, f"'{path}' is {shown(content)}; it must be a string or an array of parts.", "invalid_type")
        return None
    if not content:
        fields.fault(path, f"'{path}' is an empty array; it must hold at least one part.", "empty_array")
    return "".join(_part(fields, f"{path}[{i}]", part) for i, part in enumerate(content))


def _without_content(fields: Fields, path: str, message: dict[str, Any]) -> str | None:
    if isinstance(message.get("refusal"), str):
        return str(message["refusal"])
    calls = message.get("tool_calls") or message.get("function_call")
    if calls:
        return json.dumps(calls)
    fields.fault(path, f"'{path}' is null; it must be a string or an array of parts.", "invalid_type")
    return None


def _part(fields: Fields, path: str, part: Any) -> str:
    if not isinstance(part, dict):
        fields.fault(path, f"'{path}' is {shown(part)}; it must be an object with a type.", "invalid_type")
        return ""
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in TEXTS:
        fields.fault(f"{path}.type", f"'{path}.type' is {shown(kind)}; the local model reads text only.")
        return ""
    text = part.get("refusal" if kind == "refusal" else "text")
    if not isinstance(text, str):
        fields.fault(f"{path}.text", f"'{path}.text' is {shown(text)}; it must be a string.", "invalid_type")
        return ""
    return text
