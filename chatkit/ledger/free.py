"""Which answers cost nothing although the client does not know it: those of a `chatkit serve` nearby.

In: a request's key, an answer's head, and the address it came from. Out: whether the call was free. All
three must agree: the key is one that only chatkit's own servers use, the answer names such a server, and
the connection leads to this machine or its private network. A host elsewhere can say what it likes.
"""

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chatkit.api.hosts import LOCAL_PREFIX, SERVER

if TYPE_CHECKING:
    import httpx2


def has_local_key(headers: Mapping[str, str]) -> bool:
    """Whether the request carries a local server's key, on which nobody is billed."""
    return headers.get("authorization", "").startswith(f"Bearer {LOCAL_PREFIX}")


def is_nearby(response: "httpx2.Response") -> bool:
    """Whether a chatkit server answered, on this machine or in its private network."""
    if response.headers.get("server") != SERVER:
        return False
    stream: Any = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0]) if peer else None
    except ValueError:
        return False
    return address is not None and (address.is_loopback or address.is_private)
