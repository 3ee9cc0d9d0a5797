"""Estimates of tokens, for calls whose usage never came: a broken stream, a server that does not count.

In: a request's JSON body, or how much text there was. Out: a number of tokens, which the record marks as
estimated. The rule is four bytes of UTF-8 a token, and four tokens around each message: right to within
a fifth or so for English, low for code and other scripts. Pictures and sound are not estimated.
"""

from typing import Any

BYTES = 4
AROUND = 4

_SPOKEN = ("messages", "input", "prompt", "instructions", "tools", "functions", "text", "response_format")
_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_data", "file_url", "audio", "id", "role", "type"))


def of_prompt(body: dict[str, Any]) -> int:
    """About how many prompt tokens a request has.

    >>> of_prompt({"model": "m", "messages": [{"role": "user", "content": "Where was it held?"}]})
    9
    """
    parts = [body[key] for key in _SPOKEN if key in body]
    messages = sum(len(part) for part in parts if isinstance(part, list))
    return of_bytes(sum(map(_bytes, parts))) + AROUND * messages


def of_bytes(count: int) -> int:
    """About how many tokens a text of `count` bytes has; a text that is not empty has one at least."""
    return -(-count // BYTES)


def of_text(text: str) -> int:
    """About how many tokens the text has."""
    return of_bytes(len(text.encode("utf-8", "surrogatepass")))


def _bytes(value: Any) -> int:
    count, left = 0, [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            count += len(value.encode("utf-8", "surrogatepass")) if not value.startswith("data:") else 0
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += [inner for key, inner in value.items() if key not in _NOT_TEXT]
    return count
