"""API keys as people paste them: cleaned where that is safe, refused in words where it is not.

In: what stands in an argument, the environment or a `.env`. Out: a key fit for a header. No part of
a key is ever in an error.
"""

import re

from chatkit.exceptions import InputError

_PLACEHOLDER = re.compile(
    r"(your|my|the|insert|paste|replace)[-_ ].*key.*|<.*>|\.{3,}|sk-(\.{3}|…|x{3,}|\*{3,}).*|.*…", re.I
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_QUOTES = "\"'`“”‘’"


def clean_key(text: str, source: str) -> str:
    """The key without the spaces, quotes and `Bearer ` that came along; `source` names it in the errors.

    >>> clean_key(' "Bearer sk-abc" ', "api_key")
    'sk-abc'
    """
    if not isinstance(text, str):
        raise InputError(f"{source} is {type(text).__name__}; a key is text.")
    key = text.translate(_INVISIBLE).strip().strip(_QUOTES).strip()
    key = re.sub(r"\A(Authorization:\s*)?Bearer\s+", "", key, flags=re.I).strip().strip(_QUOTES).strip()
    if fault := _fault(key):
        raise InputError(f"{source} {fault}; nothing was sent.", "Copy the key again, alone and whole.")
    return key


def _fault(key: str) -> str | None:
    if not key:
        return "holds no key"
    if _PLACEHOLDER.fullmatch(key):
        return "holds a placeholder, not a key"
    if len(key.split()) > 1:
        return "has white space inside the key (two keys, or a key cut by a line break?)"
    if not key.isascii() or not key.isprintable():
        return "has a character that no key has"
    return None
