"""What a person has given a client beside its address and key, so that whatever is asked on its behalf goes out alike.

In: an openai client, of `connect` or of one's own. Out: options for the client that a chat asks by, and its deadlines.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chatkit.client.keys import veiled

if TYPE_CHECKING:
    import openai

Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Given:
    """Headers and query parameters of every request, how long is waited, how often it is tried again.

    `timeout` is connect, read, write and pool in seconds (None: without end), or None where nothing was said; `retries`
    is None there too. The values may be secret: no repr shows them.
    """

    headers: Pairs = ()
    query: Pairs = ()
    timeout: tuple[float | None, ...] | None = None
    retries: int | None = None

    def __repr__(self) -> str:
        return "Given()"

    @property
    def options(self) -> dict[str, Any]:
        """As openai's clients take them."""
        import httpx2

        options: dict[str, Any] = {"default_headers": dict(self.headers), "default_query": dict(self.query)}
        if self.timeout is not None:
            connect, read, write, pool = self.timeout
            options["timeout"] = httpx2.Timeout(connect=connect, read=read, write=write, pool=pool)
        if self.retries is not None:
            options["max_retries"] = self.retries
        return {name: value for name, value in options.items() if value != {}}

    def beside(self, headers: Mapping[str, Any], query: Mapping[str, Any]) -> "Given":
        """The same without the headers and the query that the client has anyway: they are made anew with its key."""
        own = (pair for pair in self.headers if pair not in headers.items())
        return replace(self, headers=tuple(own), query=tuple(pair for pair in self.query if pair not in query.items()))


NOTHING = Given()


def given_to(client: "openai.OpenAI | openai.AsyncOpenAI") -> Given:
    """What was given to the client, as it stands now."""
    return Given(
        headers=_pairs(client._custom_headers),
        query=_pairs(client._custom_query),
        timeout=timeout_of(client),
        retries=_retries(client.max_retries),
    )


def _retries(said: int) -> int | None:
    import openai

    return None if said == openai.DEFAULT_MAX_RETRIES else said


def _pairs(said: Mapping[str, Any]) -> Pairs:
    return tuple((name, _kept(value)) for name, value in said.items())


def _kept(value: Any) -> Any:
    """The value such that it can be compared and kept; a secret of it stands in no traceback."""
    if isinstance(value, list):
        return tuple(map(_kept, value))
    return veiled(value) if isinstance(value, str) else value


def timeout_of(client: "openai.OpenAI | openai.AsyncOpenAI") -> tuple[float | None, ...] | None:
    """Its connect, read, write and pool in seconds; None where nobody has said any."""
    import httpx2
    import openai

    if client.timeout == openai.DEFAULT_TIMEOUT:
        return None
    limits = httpx2.Timeout(client.timeout)  # of a number, of nothing, or of another
    return limits.connect, limits.read, limits.write, limits.pool
