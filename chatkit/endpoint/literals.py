"""Plain values as Python source, laid out as ruff and black lay it out.

In: what JSON can hold. Out: an expression that evaluates to it again, for any text whatever: what cannot
be seen (control, bidi and zero-width characters, lone surrogates) is written as an escape.
"""

import math
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import Any

WIDTH = 88
STEP = 4

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class SourceCode(str):
    """A piece of Python that stands as it is, such as `os.environ["OPENAI_API_KEY"]`."""

    __slots__ = ()


def literal(value: Any, indent: int = 0, used: int = 0) -> str:
    """The expression; its lines after the first are indented by `indent` at least, its first has `used` columns less.

    >>> print(literal({"role": "user", "content": 'Say "hi"'}))
    {"role": "user", "content": 'Say "hi"'}
    """
    flat = _flat(value)
    if "\n" not in flat and indent + used + len(flat) <= WIDTH:
        return flat
    if isinstance(value, Mapping) and value:
        return _exploded("{", ((f"{_flat(key)}: ", item) for key, item in value.items()), "}", indent)
    if isinstance(value, list | tuple) and value:
        return _exploded("[", (("", item) for item in value), "]", indent)
    return flat


def call(function: str, arguments: Mapping[str, Any], *positional: Any, indent: int = 0, used: int = 0) -> str:
    """A call, on one line if it fits, else with one argument a line.

    >>> print(call("OpenAI", {"base_url": "http://127.0.0.1:8080/v1"}))
    OpenAI(base_url="http://127.0.0.1:8080/v1")
    """
    named = {name: value for name, value in arguments.items() if is_name(name)}
    spread = {name: value for name, value in arguments.items() if name not in named}
    parts = [*(("", value) for value in positional), *((f"{name}=", value) for name, value in named.items())]
    parts += [("**", spread)] if spread else []
    flat = ", ".join(f"{before}{_flat(value)}" for before, value in parts)
    if "\n" not in flat and indent + used + len(function) + len(flat) + 2 <= WIDTH:
        return f"{function}({flat})"
    return function + _exploded("(", parts, ")", indent)


def is_name(name: str) -> bool:
    """Whether it can be a keyword argument's name."""
    return name.isascii() and name.isidentifier() and not iskeyword(name)


def text(value: str) -> str:
    r"""A string's literal: in double quotes if nothing speaks against it, over several lines if that is safe.

    >>> print(text('tab\t"quoted" \u202e'), text("it's"))
    'tab\t"quoted" \u202e' "it's"
    """
    if "\n" in value.strip("\n") and _stands_in_triple_quotes(value):
        return f'"""{value}"""'
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(f"\\{c}" if c == quote else _escaped(c) for c in value) + quote


def _stands_in_triple_quotes(value: str) -> bool:
    """Whether the text reads the same between triple quotes, and no tool that trims lines would change it."""
    lines = value.split("\n")
    return (
        all(line.isprintable() and line == line.rstrip() for line in lines)
        and "\\" not in value
        and '"""' not in value
        and not value.endswith('"')
    )


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else repr(character)[1:-1]


def _flat(value: Any) -> str:
    if isinstance(value, SourceCode):
        return str(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return repr(value)


def _exploded(opening: str, parts: Iterable[tuple[str, Any]], closing: str, indent: int) -> str:
    inner = indent + STEP
    lines = [f"{' ' * inner}{before}{literal(value, inner, len(before) + 1)},\n" for before, value in parts]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"
