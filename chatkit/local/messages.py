"""Annexe: a conversation as the API sends it. In: `messages` or `input`. Out: plain role and text for the template.

The model reads text only; an image or a sound is refused by name. A developer's message is a system
message to the template, which knows no developer.
"""

import json
from typing import Any

from chatkit.local.checks import Fields, shown

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
