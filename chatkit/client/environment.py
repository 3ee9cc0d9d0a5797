"""What the environment and the nearest `.env` say of an endpoint: an address and a key of one source only.

In: what the arguments say; the environment and the nearest `.env` are looked at here. Out: a `Pair`: where calls go, the
key that goes along, and the one source of both; or a SetupError that names the two sources that do not agree.

A key belongs to the address that its own source names, OpenAI's where it names none, and goes nowhere else. Whatever
goes along with a key (organisation, project) is its source's as well. docs/endpoints.md has the table of all pairs.

Nothing of it is put into the environment, so clients that chatkit did not make never hear of it.
"""

import codecs
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from chatkit.api.hosts import OPENAI
from chatkit.api.text import clean_url
from chatkit.client.address import checked_url, is_loopback, same_address
from chatkit.client.keys import AZURE_KEY, KEY, Key, clean_key
from chatkit.exceptions import SetupError

MOST = 1_000_000
"""Bytes of the largest file that is read."""
FILE_WAY_OUT = "Save it as UTF-8 text, or do without it: connect(base_url=..., api_key=...), or connect(local=True)."

_MARKS = (  # the longer first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find() -> Path | None:
    """The nearest `.env`; folders, pipes and devices of that name are passed over."""
    try:
        here = Path.cwd()
    except OSError:  # the folder one works in is gone
        return None
    return next((path for path in (folder / ".env" for folder in (here, *here.parents)) if os.path.isfile(path)), None)


def place(path: Path) -> str:
    """Where the file lies, to be read by people: a folder's name may be anything, signs that move a cursor too."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


def read(path: Path) -> Mapping[str, str]:
    """What the file says. Raises SetupError where it cannot be read as text."""
    from dotenv import dotenv_values

    text = _text(path, _bytes(path))
    if "\0" in text:
        raise SetupError(f"{place(path)} is no text file: it holds NUL bytes.", FILE_WAY_OUT)
    said = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in said.items() if value is not None}


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
    except OSError as error:
        raise SetupError(f"{place(path)} cannot be read: {error.strerror}.", FILE_WAY_OUT) from None
    if len(raw) > MOST:
        raise SetupError(f"{place(path)} has more than {MOST:,} bytes: no file of settings.", FILE_WAY_OUT)
    return raw


def _text(path: Path, raw: bytes) -> str:
    for encoding in _encodings(raw):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SetupError(f"{place(path)} is no text file in an encoding that is known.", FILE_WAY_OUT)


def _encodings(raw: bytes) -> Iterator[str]:
    """Those that the file may be in; names and keys are ASCII, so that of a comment need only be near."""
    marked = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)
    if marked:
        yield marked
        return
    if 2 * raw[1::2].count(0) > len(raw[1::2]):  # UTF-16 without its mark: every other byte is 0
        yield "utf-16-le"
    if 2 * raw[::2].count(0) > len(raw[::2]):
        yield "utf-16-be"
    yield "utf-8"
    yield "cp1252"
    yield "latin-1"


WAY_OUT = "Say by arguments which are meant: connect(base_url=..., api_key=...)."


@dataclass(frozen=True)
class Names:
    """What the settings of one kind of endpoint are called; `default` is where a key belongs that comes alone."""

    url: str
    keys: tuple[str, ...]
    default: str | None = None


PLAIN = Names("OPENAI_BASE_URL", (KEY,), OPENAI)
AZURE = Names("AZURE_OPENAI_ENDPOINT", ("AZURE_OPENAI_AD_TOKEN", AZURE_KEY))
TOLD = (PLAIN.url, AZURE.url, *PLAIN.keys, *AZURE.keys, "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_VERSION")
"""The settings that are looked for."""


@dataclass(frozen=True)
class EndpointSource:
    """One place that may name an endpoint: the arguments, the environment, a `.env`; `file` is the last one's path."""

    kind: str
    values: Mapping[str, str] = field(repr=False)
    file: str | None = None

    def says(self, name: str) -> str | None:
        """The setting's value; None where it is not there, empty or blank."""
        return Key(self.values.get(name, "").strip()) or None

    def place_of(self, name: str) -> str:
        """The setting by its name and place: `OPENAI_API_KEY in /home/me/course/.env`."""
        return f"{name} in {self.file}" if self.file else name

    def first(self, names: tuple[str, ...]) -> str | None:
        """The first of these settings that is there."""
        return next((name for name in names if self.says(name)), None)


@dataclass(frozen=True)
class Pair:
    """An address, the key for it (None: there is none), the one source of both, and the setting that was read.

    `passed_over` tells of a key that stays where it is, since it belongs to another address.
    """

    url: str
    key: str | None = field(repr=False)
    source: EndpointSource
    named: str
    passed_over: str = ""


def arguments(url: str | None = None, key: str | None = None, names: Names = PLAIN) -> EndpointSource:
    """What a caller gave, as a source."""
    given = {names.url: url, names.keys[0]: key}
    return EndpointSource("arguments", {name: value for name, value in given.items() if value is not None})


def pair(given: EndpointSource, names: Names = PLAIN) -> Pair | None:
    """The endpoint that the sources name; None where none of them names one.

    Raises InputError for a key or an address that cannot be right, SetupError where address and key are of two
    sources that do not agree.
    """
    speaking = _speaking(given, names)
    namer = next((source for source in speaking if source.says(names.url)), None)
    if namer is None and names.default is None:
        return None
    url = _url(namer, names)
    holders = [source for source in speaking if source.first(names.keys)]
    # who gives an address asks for the key that belongs to it; keys of other addresses stay where they are
    fitting = [s for s in holders if s is namer or _belongs(s, url, names)] if namer is given else holders
    if not fitting:
        passed_over = f"a key in {_place(holders[0])} {_belonging(holders[0], names)}" if holders else ""
        return Pair(url, None, namer, names.url, passed_over) if namer else None
    holder = fitting[0]
    if namer and holder is not namer and not _belongs(holder, url, names):
        raise SetupError(
            f"{_told(holder, holder.first(names.keys) or '')} {_belonging(holder, names)}, "
            f"but {_told(namer, names.url)} names {clean_url(url)}: "
            "an address and a key of two sources. Nothing was sent.",
            WAY_OUT,
        )
    named = holder.first(names.keys)
    assert named is not None
    return Pair(url, clean_key(holder.says(named) or "", _called(holder, named)), holder, named)


def _speaking(given: EndpointSource, names: Names) -> list[EndpointSource]:
    """The sources in their order; a `.env` is only read where it can still say something."""
    environment = EndpointSource("environment", {name: os.environ[name] for name in TOLD if name in os.environ})
    here = [given, environment]
    first = given if given.values else environment
    if first.says(names.url) and first.first(names.keys):
        return here
    path = find()
    if path is None:
        return here
    try:
        return [*here, EndpointSource("file", read(path), place(path))]
    except SetupError:
        if any(source.first(names.keys) for source in here) or is_loopback(_first_url(here, names)):
            return here  # what is there already goes to its own address, whatever the file says
        raise


def _first_url(sources: list[EndpointSource], names: Names) -> str:
    return next((_url(source, names) for source in sources if source.says(names.url)), "")


def _url(source: EndpointSource | None, names: Names) -> str:
    said = source.says(names.url) if source else None
    if source is None or said is None:
        return names.default or ""
    return checked_url(said, _called(source, names.url))


def _belongs(holder: EndpointSource, url: str, names: Names) -> bool:
    own = _url(holder, names)
    return bool(own) and same_address(own, url)


def _called(source: EndpointSource, name: str) -> str:
    if source.kind != "arguments":
        return source.place_of(name)
    return {PLAIN.url: "base_url", AZURE.url: "azure_endpoint"}.get(name, "api_key")


def _belonging(holder: EndpointSource, names: Names) -> str:
    own = _url(holder, names)
    return f"belongs to {clean_url(own)}" if own else "came without an address"


def _told(source: EndpointSource, name: str) -> str:
    if source.kind == "arguments":
        return f"The argument {_called(source, name)}"
    return f"{name} in {_place(source)}"


def _place(source: EndpointSource) -> str:
    return source.file or f"the {source.kind}"
