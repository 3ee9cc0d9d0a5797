"""Annexe: fetches a file from the Hugging Face hub. In: repository and file. Out: the file, with progress told.

No token is sent: a model behind a login is downloaded by its user and given by its path. Proxies and certificates are
those of all other calls.
"""

import os
import re
import ssl
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatkit.exceptions import SetupError
from chatkit.system import certificates, network

if TYPE_CHECKING:
    import httpx2

SECONDS = 20
CHUNK = 1 << 20
MOST_REDIRECTS = 10
SHA256 = re.compile(r'"?([0-9a-f]{64})"?\Z')
HEADERS = {"User-Agent": "chatkit", "Accept-Encoding": "identity"}


def fetch(
    repo: str, file: str, target: Path, tell: Callable[[str], None], *, revision: str = "main", most: int | None = None
) -> str | None:
    """Write the file to `target`; the sha256 the hub gives for it, if it does. OSError says why it failed."""
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{base}/{repo}/resolve/{revision}/{urllib.parse.quote(file)}"
    with _told_in_words(), ExitStack() as opened:
        answer, given = _opened(url, opened)
        if answer.is_error:
            raise OSError(f"the hub answered {answer.status_code} for {repo}")
        _copy(answer, target, most or int(answer.headers.get("Content-Length") or 0), tell, file)
    match = SHA256.match(given)
    return match[1] if match else None


@contextmanager
def _told_in_words() -> Iterator[None]:
    import httpx2

    try:
        yield
    except SetupError as error:  # a proxy or certificates that cannot be used
        raise OSError(f"the hub cannot be asked: {error}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OSError(f"the hub cannot be reached ({_cause(error)})") from None


def _cause(error: BaseException) -> str:
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {below.verify_message}. {certificates.own_authority()}"
        below = below.__cause__ or below.__context__
    return str(error) or type(error).__name__


def _opened(url: str, opened: ExitStack) -> tuple["httpx2.Response", str]:
    """The answer with the file, and its digest, which only the hub's first answer carries; https is never left for http."""
    digest = ""
    for _ in range(MOST_REDIRECTS):
        answer = _asked(url, opened)
        digest = digest or answer.headers.get("X-Linked-Etag", "")
        if not answer.has_redirect_location:
            return answer, digest
        leads = str(answer.url.join(answer.headers["Location"]))
        if url.startswith("https:") and not leads.startswith("https:"):
            raise OSError("the hub cannot be reached (it led away from https)")
        url = leads
    raise OSError("the hub cannot be reached (it led on and on)")


def _asked(url: str, opened: ExitStack) -> "httpx2.Response":
    """One answer, its body unread; each address has its own way."""
    import httpx2

    try:
        found = network.proxy(url)
    except ValueError:  # one bracket without the other
        raise OSError("the hub's address is none; see HF_ENDPOINT") from None
    way: dict[str, Any] = {
        "proxy": httpx2.Proxy(found.url, auth=found.auth) if found else None,
        "verify": certificates.trust(url, httpx2.create_ssl_context),
    }
    client = opened.enter_context(httpx2.Client(**way, timeout=SECONDS, headers=HEADERS, trust_env=False))
    return opened.enter_context(client.stream("GET", url))


def _copy(answer: "httpx2.Response", target: Path, size: int, tell: Callable[[str], None], name: str) -> None:
    done, told = 0, -1
    with target.open("wb") as out:
        for chunk in answer.iter_raw(CHUNK):
            out.write(chunk)
            done += len(chunk)
            if size and done > size:
                raise OSError("the hub sent more than the file holds")
            if size and (percent := done * 100 // size) // 5 > told // 5:
                told = percent
                tell(f"Fetching {name} from the hub: {percent} % of {size / 1e6:.0f} MB")
    if size and done < size:
        raise OSError(f"the hub sent {done} of {size} bytes")
