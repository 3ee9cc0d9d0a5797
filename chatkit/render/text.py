"""Rendering, the text as it is: nothing in it acts, and what would hide is shown.

In: text that nobody here wrote. Out: the same without terminal escapes, or as escaped HTML, line by line.
"""

import re
from html import escape

# Terminal escapes: OSC (links, titles), CSI (colours), and what is left of the control characters.
_TERMINAL = re.compile(r"\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b\[[0-?]{0,64}[ -/]{0,64}[@-~]|\x1b")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_HIDDEN = re.compile("[\u061c\u180e\u200b-\u200f\u2060-\u2064\U000e0000-\U000e007f]")


def plain(text: str) -> str:
    """The text as it is, line by line, with nothing in it that acts.

    >>> plain("1 < 2")
    '<pre class="ck-plain">1 &lt; 2</pre>'
    """
    return f'<pre class="ck-plain">{marked(escape(tame(text)))}</pre>'


def tame(text: str) -> str:
    """The text without terminal escapes and control characters; its lines end in a line feed."""
    return _CONTROL.sub("", _TERMINAL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def line(text: str) -> str:
    r"""The text in one line, without anything that acts on a terminal or turns its direction.

    >>> line("a \x1b[31mred\x1b[0m\nword")
    'a red word'
    """
    return " ".join(_TURNING.sub("", tame(text)).split())


def marked(escaped: str, hidden: bool = False) -> str:
    """The escaped text with characters that turn its direction (and, if `hidden`, those without a shape) made visible."""
    shown = _TURNING.sub(_mark, escaped)
    return _HIDDEN.sub(_mark, shown) if hidden else shown


def _mark(match: re.Match[str]) -> str:
    return f'<span class="ck-mark">U+{ord(match[0]):04X}</span>'
