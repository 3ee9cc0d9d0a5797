"""The wire's JSON: text becomes values, and what is no text in it is repaired here, once.

In: what an endpoint sent. Out: values whose texts can be encoded, stored and shown: half characters (a lone
surrogate, from an escape that was cut) and NUL are U+FFFD. In a stream the texts that grow may hold a half whose
other half comes with the next event: those are left for `api.answer`, which joins them.
"""

import json
from typing import Any

MARK = "\ufffd"
GROWING = frozenset(
    ("content", "text", "delta", "reasoning", "reasoning_content", "refusal", "arguments", "transcript")
)
"""Fields whose text goes on in the next event."""
_DECODER = json.JSONDecoder()


def decode(text: str, *, streamed: bool = False) -> Any:
    """The value of a JSON text; raises ValueError where it is none.

    >>> decode('{"model": "a\\\\ud83d", "code": "b\\\\u0000"}')
    {'model': 'a\ufffd', 'code': 'b\ufffd'}
    """
    try:
        value, end = _DECODER.raw_decode(text)
        if end != len(text):
            value = json.loads(text)  # white space behind it, or more than it
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except ValueError:
        value = _read_loosely(text)
        return _mended(value, GROWING if streamed else frozenset())
    if "\\u" in text:
        return _mended(value, GROWING if streamed else frozenset())
    return value


def mend(text: str) -> str:
    """The text with halves of characters joined, and U+FFFD for those that stay alone and for NUL.

    >>> mend("a\\ud83d\\ude00"), mend("b\\ude00"), mend("c\\0")
    ('a😀', 'b\ufffd', 'c\ufffd')
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", MARK) if "\0" in text else text


def mended(value: Any) -> Any:
    """The value with all its texts mended."""
    return _mended(value, frozenset())


def _read_loosely(text: str) -> Any:
    """Read what has white space before it, or raw control characters in its texts, which JSON forbids and some send."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _mended(value: Any, left: frozenset[str]) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, list):
        return [_mended(item, left) for item in value]
    if isinstance(value, dict):
        return {
            mend(key): item if key in left and isinstance(item, str) else _mended(item, left)
            for key, item in value.items()
        }
    return value
