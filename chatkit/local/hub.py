"""Annexe: fetches a file from the Hugging Face hub. In: repository and file. Out: the file, with progress told.

No token is sent: a model behind a login is downloaded by its user and given by its path.
"""

import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

SECONDS = 20
CHUNK = 1 << 20
SHA256 = re.compile(r'"?([0-9a-f]{64})"?\Z')


def fetch(
    repo: str, file: str, target: Path, tell: Callable[[str], None], *, revision: str = "main", most: int | None = None
) -> str | None:
    """Write the file to `target`; the sha256 the hub gives for it, if it does. OSError says why it failed."""
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{base}/{repo}/resolve/{revision}/{urllib.parse.quote(file)}"
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects, urllib.request.HTTPSHandler(context=_trust()))
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "chatkit"}), timeout=SECONDS) as answer:
            size = most or int(answer.headers.get("Content-Length") or 0)
            _copy(answer, target, size, tell, file)
            given = redirects.etag or answer.headers.get("X-Linked-Etag", "")
    except urllib.error.HTTPError as error:
        raise OSError(f"the hub answered {error.code} for {repo}") from None
    except (urllib.error.URLError, HTTPException, TimeoutError) as error:
        raise OSError(f"the hub cannot be reached ({getattr(error, 'reason', error)})") from None
    match = SHA256.match(given)
    return match[1] if match else None


def _trust() -> ssl.SSLContext:
    """Those whom httpx2 trusts: the system's store too, which Python alone does not ask on every system."""
    import httpx2

    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        raise OSError(f"no certificates could be read ({error.strerror}); see SSL_CERT_FILE and SSL_CERT_DIR") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Remembers the file's digest, which only the hub's first answer carries, and never leaves https for http."""

    etag = ""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.etag = self.etag or headers.get("X-Linked-Etag", "")
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("it led away from https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _copy(answer: Any, target: Path, size: int, tell: Callable[[str], None], name: str) -> None:
    done, told = 0, -1
    with target.open("wb") as out:
        while chunk := answer.read(CHUNK):
            out.write(chunk)
            done += len(chunk)
            if size and done > size:
                raise OSError("the hub sent more than the file holds")
            if size and (percent := done * 100 // size) // 5 > told // 5:
                told = percent
                tell(f"Fetching {name} from the hub: {percent} % of {size / 1e6:.0f} MB")
    if size and done < size:
        raise OSError(f"the hub sent {done} of {size} bytes")
