"""The client's values that say where calls go, and what an address must look like.

In: what `connect` decided; addresses as people write them. Out: to the builder of clients, and to the chat, which
shows the sentence; an address that can be used, or an InputError that says what is wrong with it.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from chatkit.api.hosts import HostRules, rules_at
from chatkit.api.text import clean_url, scrub
from chatkit.client.given import NOTHING, Given
from chatkit.client.keys import Key
from chatkit.exceptions import InputError
from chatkit.system.network import is_loopback as is_loopback

_CALL = re.compile(r"/(chat/completions|completions|responses|audio/(transcriptions|translations|speech))\Z")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """Where calls go: base URL, key (never shown), the model asked for by default, and who said so.

    `query` goes along with every call. `organization` and `project` are of the source that the key is of; `ambient`
    says that this is the environment, so that its OPENAI_CUSTOM_HEADERS and its admin key may go along too. `file` is
    the `.env` that names this endpoint; `given` is what else a person gave the client that leads there.

    >>> Endpoint("https://api.openai.com/v1", "sk-…", "gpt-6-luna", "key from OPENAI_API_KEY").sentence
    'gpt-6-luna answers at api.openai.com (key from OPENAI_API_KEY).'
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    source: str
    local: bool = False
    window: int | None = None
    azure: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    organization: str | None = field(default=None, repr=False)
    project: str | None = field(default=None, repr=False)
    ambient: bool = False
    file: str | None = None
    given: Given = NOTHING

    @property
    def rules(self) -> HostRules:
        """Whose rules hold there: OpenAI's, those of a local server of chatkit's (this process's or another), its own."""
        return rules_at(self.base_url, self.api_key, local=self.local)

    @property
    def free(self) -> bool:
        """Whether nobody is billed there: on this process's local server, and on another's by the key that it printed."""
        return self.rules == "local"

    @property
    def sentence(self) -> str:
        """Which endpoint and model serve, in one sentence without the key."""
        if self.local:
            return f"{self.model} answers on this machine: no key, no network, no cost."
        where = urlsplit(self.base_url).netloc or self.base_url
        return f"{self.model} answers at {where} ({self.source})."

    @property
    def url(self) -> str:
        """The base URL with its query, as it can be given again."""
        return f"{self.base_url}?{urlencode(self.query)}" if self.query else self.base_url


def checked_url(text: str, source: str) -> str:
    """The address without the spaces, quotes and slashes around it; `source` names it in the errors.

    >>> checked_url(" https://llm.example.org/v1/ ", "base_url")
    'https://llm.example.org/v1'
    """
    url: str = Key(str(text).strip().strip("\"'").strip())
    if fault := _fault(url):
        raise InputError(f"{source} {fault[0]}", fault[1])
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")


def _fault(url: str) -> tuple[str, str] | None:
    """What is wrong, and the way out. Nothing is raised from here, where a password would stand open."""
    shown, parts = _shown(url), _parts(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname or url.split() != [url]:
        return f"is {shown}; it must start with http:// or https:// and name a host.", (
            "For a server on this machine: http://127.0.0.1:8080/v1"
        )
    if "@" in parts.netloc:
        return "holds a user name or password.", "Give the key as api_key instead."
    if not _has_port(parts):
        port = parts.netloc.rpartition(":")[2]
        told = f"the port {port!r}" if len(port) <= 6 else "a port that is none"
        return f"has {told}; a port is a number from 1 to 65535.", "Correct it."
    if not url.isprintable():
        return f"is {shown}; it holds a character that cannot be seen.", "Type it anew."
    if "#" in url:
        return f"is {shown}; what follows # is never sent.", "Leave it out."
    path = parts.path.rstrip("/")
    if call := _CALL.search(path):
        base = f"{parts.scheme}://{parts.netloc}{path.removesuffix(call[0])}"
        return f"is the address of one call ({call[0]}).", f"Give what is before it: {base}"
    return None


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # a bracket without its other one
        return None


def _has_port(parts: SplitResult) -> bool:
    """Whether its port is one, or is left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _shown(url: str) -> str:
    """The address as an error quotes it: without what stands before an @, and without keys."""
    place = url.rpartition("@")[2]
    return repr(scrub(clean_url(place)) if _parts(place) else "…")


def without_query(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The base URL, and the query that goes along with every call.

    >>> without_query("http://127.0.0.1:8080/v1/?api-version=1")
    ('http://127.0.0.1:8080/v1', (('api-version', '1'),))
    """
    base, _, query = url.partition("?")
    return base.rstrip("/"), tuple(parse_qsl(query, keep_blank_values=True))


def same_address(one: str, other: str) -> bool:
    """Whether two base URLs lead to the same place; another path is another place: gateways have many tenants.

    >>> same_address("https://API.openai.com:443/v1/", "https://api.openai.com/v1")
    True
    """
    return _normal(one) == _normal(other)


def _normal(url: str) -> tuple[object, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/"), parts.query
