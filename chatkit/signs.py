"""The signs of plain text (≈ · … –), for outputs that have none of them.

In: what an object says of itself. Out: the same text as the standard output can take it. Notebooks and terminals are
UTF-8 and get it as it is; a pipe of Windows (cp1252, cp932) or an ASCII one would raise in `print`.
"""

import codecs
import sys
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")

PLAIN = {
    "≈": "~", "·": "-", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "→": "->", "“": '"', "”": '"', "‘": "'",
    "’": "'", "‹": "<", "›": ">", "█": "#", "░": ".", "⟦": "[", "⟧": "]", "✓": "+", "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip
"""What stands for a sign where there is none; all other characters become escapes."""


def printable(text: str) -> str:
    r"""The text as the standard output can take it.

    >>> printable("≈ 10 tokens · 5 out")
    '≈ 10 tokens · 5 out'
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, "chatkit.signs").decode(encoding)
    except LookupError:
        return text


def fit_to_print(say: Callable[[T], str]) -> Callable[[T], str]:
    """For a `__repr__` or `__str__` that people print."""

    @wraps(say)
    def said(self: T) -> str:
        return printable(say(self))

    return said


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode("ascii") for c in missing), error.end


codecs.register_error("chatkit.signs", _plain)
