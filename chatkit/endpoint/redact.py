"""The endpoint door's filter of what a person wrote: word for word, but without keys; api/redact.py has the rest.

In: messages, requests. Out: the same with `[key]` in the place of each key.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from chatkit.api.redact import MARK, SECRET
from chatkit.endpoint.keys import find_keys

KEY, AZURE_KEY = "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"


def without_keys(value: Any) -> Any:
    """What a person wrote, word for word, but `[key]` where a key is: one of today's forms, or the environment's.

    >>> without_keys({"content": ["my key: sk-proj-abcdefghij0123456789", 7]})  # pragma: allowlist secret
    {'content': ['my key: [key]', 7]}
    """
    held = [key for key in map(os.environ.get, (KEY, AZURE_KEY)) if key and len(key) >= SECRET]
    return _cleaned(value, held)


def _cleaned(value: Any, held: Iterable[str]) -> Any:
    if isinstance(value, str):
        if len(value) < SECRET:
            return value
        for key in held:
            value = value.replace(key, MARK)
        for start, end in reversed(list(find_keys(value))):
            value = value[:start] + MARK + value[end:]
        return value
    if isinstance(value, Mapping):
        return {_cleaned(str(key), held): _cleaned(item, held) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item, held) for item in value]
    return value
