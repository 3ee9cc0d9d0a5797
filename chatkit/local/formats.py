"""Annexe: what form an answer must have. In: `response_format` or `text.format`. Out: the engine's own, checked.

llama.cpp widens what it cannot express to "any string" and only logs so; here that is refused, for
an answer that looks checked and is not would be worse than none.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from chatkit.local.validation import Fields, shown

LARGEST = 32_000
"""Characters of a schema."""
MOST_VALUES = 500
"""Values of one enum: each token is held against all of them, and the others wait meanwhile."""
LONGEST_VALUES = 15_000
"""Characters of all values of one enum, as the API has it."""
MOST_REPEATS = 2_000
"""llama.cpp refuses a grammar with more."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
WORDS = {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
CHECKS = {
    "type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems",
    "minLength", "maxLength", "pattern", "format", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs",
    "definitions", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip
FORMATS = {"date", "time", "date-time", "uuid"}
COUNTS = ("minItems", "maxItems", "minLength", "maxLength")


def chat_format(fields: Fields) -> dict[str, Any]:
    """`response_format` of Chat Completions, for the engine."""
    return _format(fields, "response_format", fields.mapping("response_format"), nested=True)


def text_format(fields: Fields) -> dict[str, Any]:
    """`text.format` of Responses, for the engine."""
    form = fields.mapping("text").get("format") or {}
    if not isinstance(form, dict):
        fields.fault("text.format", "'text.format' must be an object.", "invalid_type")
        return {}
    return _format(fields, "text.format", form, nested=False)


def _format(fields: Fields, name: str, form: dict[str, Any], *, nested: bool) -> dict[str, Any]:
    kind = form.get("type", None if form else "text")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind != "json_schema":
        fields.fault(f"{name}.type", f"'{name}.type' is {shown(kind)}; it must be text, json_object or json_schema.")
        return {}
    described = form.get("json_schema") if nested else form
    path = f"{name}.json_schema" if nested else name
    if not isinstance(described, dict):
        fields.fault(path, f"'{path}' must be an object with a name and a schema.", "missing_required_parameter")
        return {}
    if not isinstance(described.get("name"), str) or not NAME.match(described["name"]):
        fields.fault(f"{path}.name", f"'{path}.name' must be 1 to 64 letters, digits, _ or -.")
    schema = described.get("schema", {})
    for sentence in faults_of(schema):
        fields.fault(name, f"Invalid schema in '{path}.schema': {sentence}", "invalid_json_schema")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def faults_of(schema: Any) -> list[str]:
    """What keeps a schema from being turned into a grammar without loss.

    >>> faults_of({"type": "string", "not": {"const": "no"}})
    ["'not' is not supported."]
    """
    if not isinstance(schema, dict):
        return ["it must be an object."]
    if len(json.dumps(schema)) > LARGEST:
        return [f"it is longer than {LARGEST:,} characters."]
    return list(dict.fromkeys(fault for part in _parts(schema) for fault in _faults(part, schema)))[:10]


def _parts(schema: dict[str, Any]) -> Iterator[Any]:
    yield schema
    for key in ("properties", "$defs", "definitions"):
        named = schema.get(key)
        for part in named.values() if isinstance(named, dict) else ():
            yield from _below(part)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        listed = schema.get(key)
        for part in listed if isinstance(listed, list) else ():
            yield from _below(part)
    for key in ("items", "additionalProperties"):
        if key in schema and not isinstance(schema[key], bool):
            yield from _below(schema[key])


def _below(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from _parts(part)
    else:
        yield part


def _faults(part: Any, root: dict[str, Any]) -> Iterator[str]:
    if not isinstance(part, dict):
        yield f"{shown(part)} stands where a schema must."
        return
    for key in sorted(set(part) - WORDS - CHECKS):
        yield f"{shown(key)} is not supported."
    for key, kind in (("properties", dict), ("$defs", dict), ("required", list), ("anyOf", list), ("oneOf", list),
                      ("allOf", list), ("prefixItems", list), ("enum", list)):  # fmt: skip
        if key in part and not (isinstance(part[key], kind) and (part[key] or key in ("properties", "required"))):
            yield f"'{key}' must be a non-empty {'object' if kind is dict else 'array'}."
    yield from _faults_of_values(part)
    if "$ref" in part and not _resolves(part["$ref"], root):
        yield f"$ref {shown(part['$ref'])} leads nowhere in this schema."


def _faults_of_values(part: dict[str, Any]) -> Iterator[str]:
    values = part.get("enum")
    if isinstance(values, list) and (len(values) > MOST_VALUES or len(json.dumps(values)) > LONGEST_VALUES):
        yield f"an enum holds more than {MOST_VALUES} values or {LONGEST_VALUES:,} characters."
    for key in COUNTS:
        count = part.get(key, 0)
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_REPEATS:
            yield f"'{key}' must be an integer from 0 to {MOST_REPEATS:,}."
    if "pattern" in part and not _is_plain(part["pattern"]):
        yield f"pattern {shown(part['pattern'])} must be a valid expression from ^ to $, without (?...) groups."
    if "format" in part and part["format"] not in FORMATS:
        yield f"format {shown(part['format'])} is not one of {', '.join(sorted(FORMATS))}."


def _is_plain(pattern: Any) -> bool:
    if not isinstance(pattern, str) or len(pattern) > 500 or "(?" in pattern:
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return pattern.startswith("^") and pattern.endswith("$")


def _resolves(reference: Any, root: dict[str, Any], steps: int = 20) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return False
    node: Any = root
    for step in reference[2:].split("/"):
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    # a $ref that leads only to further $refs never ends
    if isinstance(node, dict) and "$ref" in node:
        return steps > 0 and _resolves(node["$ref"], root, steps - 1)
    return isinstance(node, dict)
