"""The wire, what form an answer shall have: every form that there is, and how a person, the API and a page call it.

In: `response_format` as a person gives it: a name, a JSON schema, the API's own object. Out: whether that can be sent,
and the API's form of it. Source: the API's description of Chat Completions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """One form: what a person calls it, its label on a page, the `type` that the API gives it.

    One that has details (a schema) is not asked for by its name alone; `must_say` is a word that OpenAI wants in a
    message.
    """

    name: str
    label: str
    type: str
    has_details: bool = False
    must_say: str = ""


TEXT = ResponseFormat("text", "text", "text")
SCHEMA = ResponseFormat("schema", "JSON schema", "json_schema", has_details=True)
FORMATS = (TEXT, ResponseFormat("json", "JSON", "json_object", must_say="JSON"), SCHEMA)
"""All forms; the first one is what comes where nothing is asked for."""

SCHEMA_WORDS = frozenset({"properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items", "$schema"})
"""Words of a JSON schema, by which one is known that does not say its type."""
_SCHEMA_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_NAMED = {form.name: form for form in FORMATS if not form.has_details}
_TYPED = {form.type: form for form in FORMATS}


def fault(value: Any) -> str | None:
    """Why the value cannot be sent, in words; None if it can."""
    return (
        None if _is_format(value) else f"must be {', '.join(map(repr, _NAMED))}, a JSON schema, or the API's own object"
    )


def on_the_wire(value: Any) -> dict[str, Any] | None:
    """The API's form of a name (None and "text": nothing to ask for), of a JSON schema, or of that form itself.

    >>> on_the_wire("json"), on_the_wire({"type": "object", "title": "City"})["json_schema"]["name"]
    ({'type': 'json_object'}, 'City')
    """
    if value in (None, TEXT.name) or value == {"type": TEXT.type}:
        return None
    if isinstance(value, str):
        return {"type": _NAMED[value].type}
    if value.get("type") == SCHEMA.type and "json_schema" not in value:
        return {"type": SCHEMA.type, "json_schema": {k: v for k, v in value.items() if k != "type"}}
    if _is_the_apis(value):
        return dict(value)
    title = value.get("title")
    name = title if isinstance(title, str) and _SCHEMA_NAME.match(title) else "answer"
    return {"type": SCHEMA.type, "json_schema": {"name": name, "schema": dict(value)}}


def form_of(value: Any) -> ResponseFormat:
    """Which form a value asks for; one that cannot be sent is called as it is.

    >>> form_of(None).name, form_of({"type": "object"}).name, form_of("json").must_say
    ('text', 'schema', 'JSON')
    """
    if value is not None and fault(value):
        name = str(value)[:40]
        return ResponseFormat(name, name, name)
    asked = on_the_wire(value)
    return _TYPED[asked["type"]] if asked else TEXT


def schema_of(value: Any) -> Mapping[str, Any] | None:
    """The JSON schema that the value asks for; None where it asks for none."""
    described = on_the_wire(value) if form_of(value) == SCHEMA else None
    described = described and described.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _is_the_apis(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind != TEXT.type and kind in _TYPED and not SCHEMA_WORDS & value.keys()


def _is_format(value: object) -> bool:
    if not isinstance(value, Mapping):
        return value in tuple(_NAMED)
    kind = value.get("type")
    if kind == SCHEMA.type and "json_schema" in value:
        return isinstance(value["json_schema"], Mapping)
    return isinstance(kind, str | list) or bool(SCHEMA_WORDS & value.keys())
