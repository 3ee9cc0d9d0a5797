"""What a person types as a name or names a file by: mended or refused once, where it comes in.

In: an argument. Out: text that can be stored, sent and shown, a path that the system takes; else an InputError.
"""

import os
from pathlib import Path
from typing import Any

from chatkit.exceptions import InputError, mended


def name(value: Any, what: str) -> str:
    """A name that a person gave, such as a session's; `what` is what it is called in the error.

    >>> name("Lesson 1", "session"), name("half " + chr(0xD83D), "session")
    ('Lesson 1', 'half \\ufffd')
    """
    if not isinstance(value, str):
        raise InputError(f"{what} is {value!r:.60}; it must be text.", f'Such as {what}="Lesson 1".')
    return mended(value)


def name_or_none(value: Any, what: str) -> str | None:
    """The same; None stays None."""
    return None if value is None else name(value, what)


def path(value: Any, what: str = "The path") -> Path:
    """A file's path, as a person gave it; raises InputError for what no file can be called.

    >>> path("talk.json").name
    'talk.json'
    """
    try:
        given = os.fspath(value)
        os.fsencode(given)
    except TypeError:
        raise InputError(f"{what} is {type(value).__name__}; it must be a path.", "Such as 'talk.json'.") from None
    except UnicodeEncodeError:
        raise InputError(f"{what} {given!r:.200} holds half a character.", "Give the file's name as it is.") from None
    text = os.fsdecode(given)
    if "\0" in text:
        raise InputError(f"{what} {text!r:.200} holds a NUL, which no file's name can.", "Leave it out.")
    return Path(text)
