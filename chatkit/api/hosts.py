"""The wire, whose rules hold at an address: OpenAI's, those of chatkit's local server, or somebody's own.

In: a base URL and a key. Out: one word. OpenAI's days of shut-down, refusals and efforts are true where OpenAI
answers. Whoever else answers (`chatkit serve`, a gateway, Azure, where a deployment's name is its owner's choice)
decides for itself under any name.
"""

from typing import Literal
from urllib.parse import urlsplit

HostRules = Literal["openai", "local", "own"]

OPENAI = "https://api.openai.com/v1"
"""Where calls go that name no other place."""
LOCAL_PREFIX = "chatkit-local-"
"""What the keys of chatkit's local servers begin with."""
SERVER = "chatkit-local"
"""What chatkit's local servers call themselves in the head of an answer."""

_HOST = "api.openai.com"


def rules_at(base_url: str, api_key: str = "", *, local: bool = False) -> HostRules:
    """Whose rules hold there; `local` says that it is the server that this process started.

    OpenAI's regions are hosts below its own (https://platform.openai.com/docs/guides/your-data).

    >>> rules_at("https://eu.api.openai.com/v1"), rules_at("https://api.openai.com.example.org/v1")
    ('openai', 'own')
    >>> rules_at("http://127.0.0.1:8321/v1", "chatkit-local-abc"), rules_at("https://me.openai.azure.com")
    ('local', 'own')
    """
    if local or api_key.startswith(LOCAL_PREFIX):
        return "local"
    return "openai" if is_openai(base_url) else "own"


def is_openai(url: str) -> bool:
    """Whether the host of `url` is OpenAI's own, or one of its regions."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == _HOST or host.endswith(f".{_HOST}")
