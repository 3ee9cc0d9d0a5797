"""API keys as people paste them: cleaned or refused, found where they lie, and taken out of what is shown.

In: what stands in an argument, the environment or a `.env`; a text that should hold none. Out: a key fit for
a header; where keys are. No part of a key is ever in an error.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chatkit.api.text import MARK, SECRET
from chatkit.exceptions import InputError

_PLACEHOLDER = re.compile(
    r"(your|my|the|insert|paste|replace)[-_ ].*key.*|<.*>|\.{3,}|sk-(\.{3}|…|x{3,}|\*{3,}).*|.*…", re.I
)
SHORTEST = 20
"""Characters of the shortest key."""
_WORD = "(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]"  # a digit somewhere tells a key from a name with hyphens
FORMS = re.compile(
    rf"""(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))(?:        # a word's beginning, also after an escape such as \\n
        (?:sk|chatkit-local)-{_WORD}{{20,}}         # OpenAI's sk-, sk-proj-, sk-svcacct-, sk-admin-; Anthropic, OpenRouter
      | (?:gsk|hf|ghp|xai|pplx|r8)[-_]{_WORD}{{30,}}  # Groq, Hugging Face, GitHub, xAI, Perplexity, Replicate
      | github_pat_{_WORD}{{30,}}
      | AIza{_WORD}{{30,}}                           # Google
    )""",
    re.VERBOSE,
)
"""What the keys of today look like, whoever gave them."""
_TYPED = re.compile(  # bounded everywhere: a line of a million spaces must not take long
    rf"""(?:
        api[-_]?key["']?\]?\s{{0,9}}[=:,]\s{{0,9}}[fr]?["']         # api_key="…", "api-key": "…", environ["API_KEY"] = "…"
      | \bBearer[ ]
      | ^[ \t]{{0,80}}(?:%(?:set_)?env[ ]{{1,9}}|!?export[ ]{{1,9}})?  # %env …, export …, a .env
        [A-Z_]{{0,60}}API_KEY[ ]{{0,9}}[= ][ ]{{0,9}}["']?
    )(?P<key>{_WORD}{{20,}})(?=["'\s]|\Z)""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_SECRET = re.compile(
    r"api[-_]?key|secret|passw|credential|auth|bearer|headers?$|\Atoken\Z|(ad|access)[-_]token|_url\Z|\A(organization|project)\Z",
    re.I,
)
"""Names of arguments that hold a key, or may hold one."""
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_QUOTES = "\"'`“”‘’"


class Key(str):
    """A key that does not show itself where a traceback, a debugger or a logger shows variables.

    >>> Key("sk-abc"), f"Bearer {Key('sk-abc')}"
    ('[key]', 'Bearer sk-abc')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[key]'"


class KeyBytes(bytes):
    """A key that was given as bytes, which does not show itself either."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'[key]'"


def veiled(value: Any) -> Any:
    """What was given as a key, or holds one, so that it does not show itself; anything but text stays as it is."""
    return Key(value) if isinstance(value, str) else KeyBytes(value) if isinstance(value, bytes) else value


def veiled_all(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name, in which what is a key, or by its name may be one, does not show itself.

    Whoever takes arguments of any name does this first: a traceback with variables shows them all.

    >>> veiled_all({"api_key": "abc", "default_headers": {"x": "abc"}, "stop": "abc"})
    {'api_key': '[key]', 'default_headers': {'x': '[key]'}, 'stop': 'abc'}
    """
    return {name: _veiled_deep(value, bool(_SECRET.search(str(name)))) for name, value in given.items()}


def _veiled_deep(value: Any, secret: bool) -> Any:
    if isinstance(value, dict):
        return {k: _veiled_deep(v, secret or bool(_SECRET.search(str(k)))) for k, v in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_veiled_deep(item, secret) for item in value)
    if secret or (isinstance(value, str) and any(find_keys(value))):
        return veiled(value)
    return value


def clean_key(text: str, source: str) -> str:
    """The key without the spaces, quotes and `Bearer ` that came along; `source` names it in the errors.

    >>> str(clean_key(' "Bearer sk-abc" ', "api_key"))
    'sk-abc'
    """
    if not isinstance(text, str):
        kind = "bytes" if isinstance(text, bytes) else type(text).__name__
        raise InputError(f"{source} is {kind}; a key is text.")
    text = Key(text.translate(_INVISIBLE).strip().strip(_QUOTES).strip())
    key = Key(re.sub(r"\A(Authorization:\s*)?Bearer\s+", "", text, flags=re.I).strip().strip(_QUOTES).strip())
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


def find_keys(text: str) -> Iterator[tuple[int, int]]:
    """Where keys stand in a text: what looks like one, and whatever is given as an API key word for word.

    >>> list(find_keys('OpenAI(api_key="sk-proj-abcdefghij0123456789")'))  # pragma: allowlist secret
    [(16, 44)]
    >>> list(find_keys('OpenAI(api_key=os.environ["OPENAI_API_KEY"])'))
    []
    """
    if len(text) < SHORTEST:
        return
    found = {match.span() for match in FORMS.finditer(text)}
    found |= {match.span("key") for match in _TYPED.finditer(text) if not _PLACEHOLDER.fullmatch(match["key"])}
    end = 0
    for start, stop in sorted(found):
        if start >= end:
            yield start, stop
        end = max(end, stop)


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
