"""The value of the endpoint door that says where calls go.

In: what `connect` decided. Out: to the builder of clients, and to the chat, which shows its sentence.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chatkit.api.hosts import Rules, rules_at


@dataclass(frozen=True)
class Endpoint:
    """Where calls go: base URL, key (never shown), the model asked for by default, and who said so.

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

    @property
    def rules(self) -> Rules:
        """Whose rules hold there: OpenAI's, those of a local server of chatkit's (this process's or another), its own."""
        return rules_at(self.base_url, self.api_key, local=self.local)

    @property
    def sentence(self) -> str:
        """Which endpoint and model serve, in one sentence without the key."""
        if self.local:
            return f"{self.model} answers on this machine: no key, no network, no cost."
        where = urlsplit(self.base_url).netloc or self.base_url
        return f"{self.model} answers at {where} ({self.source})."
