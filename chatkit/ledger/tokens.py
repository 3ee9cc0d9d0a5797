"""Tokens of a text before it is sent, or of a call whose usage never came.

In: a request's JSON body, or a text. Out: a number of tokens, or a `Range` with how it was reckoned.
Two ways: `bpe-openai` where that package is installed (its vocabularies o200k and cl100k, nothing is
fetched), else four bytes of UTF-8 a token and four tokens around each message: right to within a fifth or
so for English, low for code and other scripts. A token is never less than one byte: that bounds both, with
room for what a model's template adds. Pictures, sound, files and what the endpoint keeps are not reckoned;
`unseen` names them.

The meter's rule (`of_prompt`, `of_text`) is the one of four bytes, always: it must not wait for a vocabulary.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

BYTES = 4
AROUND = 4
OPENING = 3
"""Tokens that begin the answer and count as the prompt's."""
MOST_AROUND, MOST_OPENING = 8, 64
"""At most around a message, and before the first: some models' templates put a system message of their own there."""

PIECE = 40_000
"""Characters counted at once: the package takes at most 200,000 tokens, and a character may be four."""

_SPOKEN = ("messages", "input", "prompt", "instructions", "tools", "functions", "text", "response_format")
_RENDERED = ("tools", "functions", "text", "response_format")
_NOT_TEXT = frozenset(("image_url", "input_audio", "file", "file_data", "file_url", "audio", "id", "role", "type"))
_UNSEEN = {"image_url": "pictures", "input_audio": "sound", "audio": "sound", "file": "files",
           "file_data": "files", "file_url": "files", "file_id": "files"}  # fmt: skip
_KEPT = ("previous_response_id", "conversation")
_CL100K = re.compile(r"gpt-(3\.5|35|4(?![.o]))|text-embedding-")
_O200K = re.compile(r"gpt-(4o|4\.|[5-9]|oss)|o[1-9]\b|chatgpt-")


class Range(NamedTuple):
    """At least, most likely, at most; `high` is None where there is no bound.

    >>> Range(10, 12, None).likely
    12
    """

    low: int
    likely: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of a prompt, how they were reckoned, and what of the prompt was not (a word each)."""

    tokens: Range
    how: str
    unseen: tuple[str, ...] = ()


def count_prompt(body: Mapping[str, Any]) -> Counted:
    """How many prompt tokens a request has, by the best way there is for its model.

    >>> count_prompt({"model": "my-own", "messages": [{"role": "user", "content": "Where was it held?"}]}).tokens.high
    90
    """
    model = str(body.get("model") or "")
    unseen = _not_seen(body)
    parts = {key: body[key] for key in _SPOKEN if key in body}
    texts = [text for part in parts.values() for text in _texts(part)]
    around = sum(len(part) for part in parts.values() if isinstance(part, list)) or 1
    name = vocabulary_of(model)
    count, how = (_counter(name), f"bpe-openai {name}") if name else (of_text, f"{BYTES} bytes a token")
    found = sum(map(count, texts))
    high: int | None = None
    if not unseen:
        bound = count if name else _size
        rendered = sum(bound(json.dumps(parts[key], ensure_ascii=False)) for key in _RENDERED if key in parts)
        said = sum(bound(text) for key in parts if key not in _RENDERED for text in _texts(parts[key]))
        high = said + rendered + MOST_AROUND * around + (OPENING if name else MOST_OPENING)
    low = found if name else found * 2 // 3
    return Counted(Range(low, found + AROUND * around + OPENING, high), how, unseen)


def vocabulary_of(model: str) -> str | None:
    """The vocabulary by which a model's tokens can be counted here; None where none is known or installed."""
    known = "cl100k_base" if _CL100K.match(model) else "o200k_base" if _O200K.match(model) else None
    return known if known and find_spec("bpe_openai") else None


def load() -> None:
    """Read the newest vocabulary now (half a second, 145 MB), so that the first count need not wait for it."""
    if find_spec("bpe_openai"):
        _counter("o200k_base")


def of_prompt(body: dict[str, Any]) -> int:
    """About how many prompt tokens a request has.

    >>> of_prompt({"model": "m", "messages": [{"role": "user", "content": "Where was it held?"}]})
    9
    """
    parts = [body[key] for key in _SPOKEN if key in body]
    messages = sum(len(part) for part in parts if isinstance(part, list))
    return of_bytes(sum(_size(text) for part in parts for text in _texts(part))) + AROUND * messages


def of_bytes(count: int) -> int:
    """About how many tokens a text of `count` bytes has; a text that is not empty has one at least."""
    return -(-count // BYTES)


def of_text(text: str) -> int:
    """About how many tokens the text has."""
    return of_bytes(_size(text))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if not value.startswith("data:"):
                yield value
        elif isinstance(value, list | tuple):
            left += value
        elif isinstance(value, Mapping):
            left += [inner for key, inner in value.items() if key not in _NOT_TEXT]


def _not_seen(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a prompt is not text that is here: pictures, sound, files, what the endpoint has kept."""
    found: dict[str, None] = {}
    left: list[Any] = [body.get("messages"), body.get("input")]
    while left:
        value = left.pop()
        if isinstance(value, list | tuple):
            left += value
        elif isinstance(value, Mapping):
            found |= {_UNSEEN[key]: None for key in value if key in _UNSEEN and value[key]}
            left += value.values()
    if any(body.get(key) for key in _KEPT) or isinstance(body.get("prompt"), Mapping):
        found["what the endpoint keeps"] = None
    return tuple(sorted(found))


@cache
def _counter(name: str) -> Callable[[str], int]:
    import bpe_openai

    encoding = bpe_openai.get_encoding(name)
    return lambda text: sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces, cut before a space where there is one, since no token ends in a space before a word."""
    start = 0
    while len(text) - start > PIECE:
        space = text.rfind(" ", start + PIECE // 2, start + PIECE)
        end = space if space > 0 else start + PIECE
        yield text[start:end]
        start = end
    yield text[start:]
