"""The wire's requests: the body in the words of either API, and the facts that are read off one.

In: a path, a body. Out: a `CallKind`, the reader of its answer, and the same body with usage asked for.

A pure function: nothing is sent. What one API does not have is an InputError that names it.
Form of Responses: https://platform.openai.com/docs/api-reference/responses/create
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, Literal

from chatkit.api import parameters as table
from chatkit.api.chat import ChatReading
from chatkit.api.other import EmbeddingsReading, OtherReading, TranscriptReading
from chatkit.api.reading import Reading
from chatkit.api.response_formats import on_the_wire
from chatkit.api.responses import ResponsesReading
from chatkit.exceptions import InputError

CallKind = Literal["chat", "text", "responses", "embeddings", "audio", "moderations", "other"]

KINDS: tuple[tuple[str, CallKind], ...] = (
    ("/chat/completions", "chat"),
    ("/completions", "text"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/audio/transcriptions", "audio"),
    ("/audio/translations", "audio"),
    ("/moderations", "moderations"),
)
BOOKKEEPING = re.compile(
    r"/(files|uploads|batches|vector_stores|conversations|fine_tuning|containers|evals|skills|voices)(/|$)"
    r"|/(cancel|input_tokens|client_secrets)$"
)
READINGS: dict[CallKind, type[Reading]] = {
    "chat": ChatReading,
    "text": ChatReading,
    "responses": ResponsesReading,
    "audio": TranscriptReading,
    "embeddings": EmbeddingsReading,
    "moderations": OtherReading,
    "other": OtherReading,
}
ASK = b'"stream_options":{"include_usage":true}'


@lru_cache(maxsize=1024)
def kind_of(path: str) -> CallKind | None:
    """What the call of a path is; None for the POSTs that keep house."""
    if BOOKKEEPING.search(path):
        return None
    return next((kind for end, kind in KINDS if path.endswith(end)), "other")


def reading_of(kind: CallKind, choices: int = 1) -> Reading:
    """The reader of its answer, of which so many are asked for."""
    reader = READINGS[kind]
    return reader(choices) if reader is ChatReading else reader()


def tells_usage(kind: CallKind, body: dict[str, Any]) -> bool:
    """Whether a stream of this body tells its usage: some do only if they are asked."""
    options = body.get("stream_options")
    return kind not in ("chat", "text") or (isinstance(options, dict) and options.get("include_usage") is True)


def with_usage(content: bytes, body: dict[str, Any]) -> bytes:
    """The same request's bytes, asking for usage.

    >>> with_usage(b'{"model":"m"}', {"model": "m"})
    b'{"stream_options":{"include_usage":true},"model":"m"}'
    """
    if "stream_options" in body:
        options = body["stream_options"] if isinstance(body["stream_options"], dict) else {}
        return json.dumps(body | {"stream_options": options | {"include_usage": True}}).encode()
    start = content.index(b"{") + 1
    return b"".join((content[:start], ASK, b"," if body else b"", content[start:]))


Api = Literal["chat", "responses", "transcribe", "translate"]
"""What is asked for: a dialect of a talk, or what becomes of sound."""
APIS: tuple[Api, ...] = ("chat", "responses")

_INPUT_PARTS = {"text": "input_text", "image_url": "input_image", "file": "input_file"}

MessageObject = dict[str, Any]


def build(api: Api, model: str, messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> MessageObject:
    """The body that asks `model` to go on after `messages`; parameters that are None are left out.

    >>> build("responses", "m", [{"role": "user", "content": "Hi"}], {"max_completion_tokens": 5})
    {'model': 'm', 'input': [{'role': 'user', 'content': 'Hi'}], 'max_output_tokens': 5, 'store': False}
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if api == "chat":
        return {"model": model, "messages": list(messages), **_chat_parameters(given)}
    return {"model": model, **_input(messages), **_responses_parameters(given)}


def _chat_parameters(given: MessageObject) -> MessageObject:
    named = {"max_completion_tokens" if name == "max_output_tokens" else name: value for name, value in given.items()}
    if "response_format" in named:
        form = on_the_wire(named.pop("response_format"))
        named |= {"response_format": form} if form else {}
    return named


def _responses_parameters(given: MessageObject) -> MessageObject:
    rows = map(table.find, given)
    lacking = [row.name for row in rows if row.responses is None and given[row.name] != row.nothing]
    if lacking:
        raise InputError(
            f"The Responses API has no {', '.join(lacking)}; nothing was sent.", "Leave it out, or use api='chat'."
        )
    body: MessageObject = {}
    for name, value in given.items():
        place = table.find(name).responses
        if name in _PUT:
            _PUT[name](body, value)
        elif place is not None:
            _put(body, name if place == table.SAME else place, value)
    return {**body, "store": given.get("store", False)}


def _put(body: MessageObject, place: str, value: Any) -> None:
    """Put a value where it stands in Responses: under a name, or in the object of that name ("text.verbosity")."""
    outer, _, inner = place.partition(".")
    body[outer] = {**body.get(outer, {}), inner: value} if inner else value


def _put_reasoning(body: MessageObject, reasoning: Any) -> None:
    body["reasoning"] = {**body.get("reasoning", {}), **reasoning}


def _put_format(body: MessageObject, value: Any) -> None:
    if form := on_the_wire(value):
        flat = {"type": form["type"], **form.get("json_schema", {})}
        _put(body, "text.format", flat)


def _put_logprobs(body: MessageObject, value: Any) -> None:
    if value:
        body["include"] = [*body.get("include", []), "message.output_text.logprobs"]


def _put_tools(body: MessageObject, tools: Any) -> None:
    body["tools"] = [_flat_function(tool) for tool in tools]


def _put_choice(body: MessageObject, choice: Any) -> None:
    body["tool_choice"] = _flat_function(choice)


def _flat_function(tool: Any) -> Any:
    kinds = [
        kind for kind in ("function", "custom") if isinstance(tool, Mapping) and isinstance(tool.get(kind), Mapping)
    ]
    return {"type": kinds[0], **tool[kinds[0]]} if kinds else tool


# what goes there in another form
_PUT: Mapping[str, Callable[[MessageObject, Any], None]] = {
    "reasoning": _put_reasoning,
    "response_format": _put_format,
    "logprobs": _put_logprobs,
    "tools": _put_tools,
    "tool_choice": _put_choice,
}


def _input(messages: Sequence[Mapping[str, Any]]) -> MessageObject:
    """A first system message as `instructions`, the rest as input items."""
    first = messages[0] if messages else {}
    instructs = first.get("role") in ("system", "developer") and isinstance(first.get("content"), str)
    custom = {call.get("id") for message in messages for call in message.get("tool_calls") or () if _is_custom(call)}
    items = [item for i, message in enumerate(messages) if i or not instructs for item in _items(message, i, custom)]
    return {"instructions": first["content"], "input": items} if instructs else {"input": items}


def _items(message: Mapping[str, Any], number: int, custom: Set[Any]) -> list[MessageObject]:
    """The items of a message; `custom` are the ids of the calls of custom tools."""
    role, content, calls = message["role"], message.get("content"), message.get("tool_calls") or ()
    unknown = set(message) - {"role", "content", "tool_calls", "tool_call_id", "refusal"}
    if unknown:
        names = ", ".join(f"messages[{number}].{name}" for name in sorted(unknown))
        raise InputError(f"The Responses API has no {names}; nothing was sent.", "Take it out, or use api='chat'.")
    if role == "tool":
        id = message.get("tool_call_id")
        kind = "custom_tool_call_output" if id in custom else "function_call_output"
        return [{"type": kind, "call_id": id, "output": _text(content)}]
    if role == "assistant":
        text = _text(content) or str(message.get("refusal") or "")
        said = [{"role": "assistant", "content": text}] if text or not calls else []
        return [*said, *map(_call, calls)]
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    return [{"role": role, "content": [_part(part, number) for part in content or ()]}]


def _is_custom(call: Any) -> bool:
    return isinstance(call, Mapping) and isinstance(call.get("custom"), Mapping)


def _call(call: Mapping[str, Any]) -> MessageObject:
    if _is_custom(call):
        tool = call["custom"]
        return {
            "type": "custom_tool_call",
            "call_id": call.get("id"),
            "name": tool.get("name"),
            "input": tool.get("input"),
        }
    function = call.get("function") or {}
    return {
        "type": "function_call",
        "call_id": call.get("id"),
        "name": function.get("name"),
        "arguments": function.get("arguments"),
    }


def _part(part: Mapping[str, Any], number: int) -> MessageObject:
    kind = part.get("type")
    if isinstance(kind, str) and kind.startswith("input_") and kind != "input_audio":
        return dict(part)
    if kind not in _INPUT_PARTS:
        raise InputError(
            f"messages[{number}] has a part of type {kind!r}, which the Responses API does not have; nothing was sent.",
            "Use api='chat' for it.",
        )
    inner = part.get(kind)
    rest = dict(inner) if isinstance(inner, Mapping) else {kind: inner}
    if kind == "image_url":
        rest = {("image_url" if name == "url" else name): value for name, value in rest.items()}
    return {"type": _INPUT_PARTS[kind], **rest}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content or ())
