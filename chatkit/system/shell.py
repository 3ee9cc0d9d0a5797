"""The system's shell: how a command is written for the person who will paste it.

In: words, a text. Out: the same as sh takes it, or as PowerShell does (Windows PowerShell 5.1 and 7 alike); how chatkit itself
is called here. Extras stand in double quotes everywhere, which sh, cmd and PowerShell all understand. And what a command
prints goes through a pipe of any encoding.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import quote

Shell = Literal["sh", "powershell"]

BODY = "$env:TEMP\\chatkit-request.json"
"""Where a PowerShell command puts its body: the two PowerShells hand quotes on to programs each in its own way."""


def own() -> Shell:
    """The shell of the system that this process runs on."""
    return "powershell" if sys.platform == "win32" else "sh"


def chatkit(words: str) -> str:
    """The command `chatkit …` as it can be typed here: after a user's install it is often not on the PATH.

    >>> chatkit("models fetch").endswith("chatkit models fetch")
    True
    """
    if shutil.which("chatkit"):
        return f"chatkit {words}"
    launcher = "py" if sys.platform == "win32" and not os.environ.get("CONDA_PREFIX") else "python"
    return f"{launcher} -m chatkit {words}"


def quoted(text: str) -> str:
    """One word for sh, of any text.

    >>> print(quoted("m"), quoted("it's"))
    m 'it'\\''s'
    """
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def expandable(text: str) -> str:
    """A text as it stands between PowerShell's double quotes, or in its here-string of such.

    >>> print(expandable("$5 and `x`"))
    `$5 and ``x``
    """
    return text.replace("`", "``").replace("$", "`$")


def quoted_url(url: str) -> str:
    """An address as one word for PowerShell; a quote in it is written as what it means in an address."""
    return f'"{expandable(quote(url, safe=_URL))}"'


_URL = "".join(chr(c) for c in range(33, 127) if chr(c) != '"')


def body_of(text: str) -> str:
    """PowerShell's lines that write JSON into the file of `BODY`, in ASCII: what else it has stands as JSON's escapes.

    `Set-Content` alone of all ways gives the same bytes in both PowerShells, and is allowed where a school locks them.
    No line of the text may begin with the two characters that end a here-string; no line of indented JSON does.
    """
    plain = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return f'@"\n{expandable(plain)}\n"@ | Set-Content -Encoding ascii "{BODY}"'


@contextmanager
def any_character() -> Iterator[None]:
    """Let names and paths of any language be printed, into a pipe of Windows too: what it lacks is written as escapes."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "reconfigure")]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)
