"""The wire's text: what others wrote becomes values that can be kept and shown, without any part of a key.

In: what an endpoint sent. Out: values whose texts can be encoded, stored and shown: half characters (a lone
surrogate, from an escape that was cut) and NUL are U+FFFD. In a stream the texts that grow may hold a half whose
other half comes with the next event: those are left for `api.answer`, which joins them.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from html import unescape
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chatkit.api.hosts import LOCAL_PREFIX

BYTE_ORDER_MARK = "\ufffd"
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
    return text.replace("\0", BYTE_ORDER_MARK) if "\0" in text else text


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


SHOWN = 300  # characters of an endpoint's words that a sentence quotes
MARK = "[key]"
SECRET = 8  # characters from which on a key is one

_ENDS = (4, 6)  # an endpoint quotes a key by its ends

# each run of letters is tried once, from its start: the time is in proportion to the text
_KEY_LIKE = re.compile(
    r"""(?<![\w\-])[\w\-]*+\*{3,}[\w\-*]*              # abcd****wxyz
      | (?<![\w\-])[\w\-]{3,}+(?:…|\.{3})[\w\-]{2,}    # abcd...wxyz
      | \b(?:sk|pk|rk|gsk|xai|hf|ghp)[-_][\w\-]{4,}     # the prefixes that vendors give their keys
      | \bBearer\s+[\w\-.~+/]+=*
      | \b(?=\w*\d)(?=\w*[A-Za-z])[\w\-]{32,}          # long and mixed: nothing that a person reads
    """,
    re.VERBOSE,
)
_RUN = re.compile(r"[\w\-*]+")
_HIDDEN = re.compile(r"<(script|style|head|noscript|svg|template)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.S | re.I)
_TAG = re.compile(r"<[^<>]*>?")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SECRET_QUERY = re.compile(r"((?:^|&)(?:key|api[-_]?key|token|access_token|sig|signature|code)=)[^&]*", re.I)


def scrub(text: str, keys: Iterable[str] = ()) -> str:
    """Take every key out, whole, in part, or what only looks like one.

    >>> scrub("Incorrect API key provided: sk-ab***yz.")
    'Incorrect API key provided: [key].'
    >>> scrub("The key that ends in wxyz is wrong", ["secret-abcd-wxyz"])
    'The key that ends in [key] is wrong'
    """
    for key in keys:
        if len(key) >= SECRET:  # shorter ones are placeholders ("none", "local") and often plain words
            text = _without(text, key)
    return _KEY_LIKE.sub(MARK, text)


def scrub_bytes(raw: bytes, keys: Iterable[str]) -> bytes:
    """Take keys out of a body, and any long part of one.

    >>> scrub_bytes(b"your key sk-abcdefghijklmnopqrstuvwxyz", ["sk-abcdefghijklmnopqrstuvwxyz"])
    b'your key [key]'
    """
    for key in keys:
        if len(key) >= SECRET and any(key[i : i + SECRET].encode() in raw for i in range(0, len(key) - 7, SECRET)):
            raw = _without(raw.decode("utf-8", "surrogateescape"), key).encode("utf-8", "surrogateescape")
    return raw


@lru_cache(maxsize=512)
def without_parts(text: str, keys: tuple[str, ...]) -> str:
    """A name (of a model, a call, a reason) without the keys or eight of their letters in a row; the rest as it is.

    >>> without_parts("gpt-4o for sk-abcdefghijklmnop", ("sk-abcdefghijklmnop",))
    'gpt-4o for [key]'
    """
    for key in keys:
        if len(key) >= SECRET and any(part in text for part in _parts(key)):
            text = _without(text, key, ends=False)
    return text


def _without(text: str, key: str, *, ends: bool = True) -> str:
    """The text without the key, and without each word that holds an end of it or eight of its letters in a row."""
    secret = key.removeprefix(LOCAL_PREFIX)
    told_by = {secret[:n] for n in _ENDS} | {secret[-n:] for n in _ENDS} if ends else set()
    parts = _parts(key)

    def hidden(run: re.Match[str]) -> str:
        word = run[0]
        told = any(end in word for end in told_by) or any(
            word[i : i + SECRET] in parts for i in range(len(word) - SECRET + 1)
        )
        return MARK if told else word

    return _RUN.sub(hidden, text.replace(key, MARK))


def _parts(key: str) -> set[str]:
    """Each eight of a key's letters in a row; what all keys of local servers begin with is no secret, but their name."""
    secret = key.removeprefix(LOCAL_PREFIX)
    return {secret[i : i + SECRET] for i in range(len(secret) - SECRET + 1)}


def plain(text: str, keys: Iterable[str] = (), shown: int = SHOWN) -> str:
    """Make one line of what may be HTML, scrubbed and shortened.

    >>> plain("<html><head><title>x</title></head><h1>502 Bad&nbsp;Gateway</h1><script>alert(1)</script>")
    '502 Bad Gateway'
    """
    if re.search(r"<\s*(?:!doctype|html|head|body|script|[a-z][a-z0-9]*[\s>/])", text[:4096], re.I):
        text = unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text[:65536])))
    text = " ".join(_UNSEEN.sub(" ", scrub(mend(text[: shown * 8]), keys)).split())
    return text if len(text) <= shown else text[: shown - 1].rstrip() + "…"


def clean_url(url: str) -> str:
    """Take passwords and keys out of an address.

    >>> clean_url("https://me:secret@host:1/v1?key=abc&x=1")
    'https://host:1/v1?key=[key]&x=1'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, _SECRET_QUERY.sub(rf"\1{MARK}", parts.query), ""))
