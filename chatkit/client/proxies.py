"""The client's way to an address: through which proxy, and whom to trust on it.

In: a base URL; the variables of the network (HTTP_PROXY and the like, SSL_CERT_FILE, SSL_CERT_DIR) and the system's
settings. Out: what httpx2's transports take, or a SetupError that names the variable. This machine is never asked
through a proxy, and needs nobody's certificate.
"""

import importlib.util
import ipaddress
import os
import re
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from chatkit.client.address import ip_address, is_loopback
from chatkit.client.keys import veiled
from chatkit.exceptions import SetupError

_KINDS = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5h"}
_PORTS = {"socks5": 1080, "socks5h": 1080}


def proxy(base_url: str) -> httpx2.Proxy | None:
    """The proxy on the way to an address; None where there is none. Raises SetupError for one that cannot be used."""
    parts = urlsplit(base_url)
    if not parts.hostname or is_loopback(base_url):
        return None
    said = _said(parts.scheme)
    if not said or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]) or _is_in_no_proxy(parts.hostname):
        return None
    setting, way_out = _setting(said, parts.scheme), f"Correct it, or add {parts.hostname} to NO_PROXY."
    scheme = (said.rpartition("://")[0] or "http").lower()
    kind = _KINDS.get(scheme)
    if kind is None:
        raise SetupError(f"{setting} names a proxy of a kind that is not spoken here ({scheme[:20]}).", way_out)
    if kind in _PORTS and importlib.util.find_spec("socksio") is None:
        raise SetupError(
            f"{setting} names a SOCKS proxy, and the package that speaks to such is not installed.",
            f"Install it with: pip install socksio. Or name an HTTP proxy, or add {parts.hostname} to NO_PROXY.",
        )
    found = _made(said, kind)
    if found is None:
        raise SetupError(f"{setting} names no proxy: a host and a port are needed.", way_out)
    return found


def _is_in_no_proxy(host: str) -> bool:
    """Whether NO_PROXY names the number of a host, or a range that it is in (`10.0.0.0/8`), as curl and requests take it.

    Python's own reading, asked before, compares words. A name is not looked up for it: the proxy may know what it is.
    """
    address = ip_address(host)
    words = re.split(r"[\s,]+", urllib.request.getproxies_environment().get("no", "")) if address else []
    for word in words:
        with suppress(ValueError):  # a name
            if address in ipaddress.ip_network(word.strip("[]"), strict=False):
                return True
    return False


def _said(scheme: str) -> str | None:
    """The proxy as the variables or the system name it, veiled: there may be a password in it."""
    proxies = urllib.request.getproxies()
    said: str | None = veiled(proxies.get(scheme) or proxies.get("all"))
    return said


def _made(said: str, kind: str) -> httpx2.Proxy | None:
    """None for what names no host. Nothing is raised from here, where the password stands open."""
    userinfo, _, place = said.rpartition("://")[2].rpartition("@")
    try:
        parts = urlsplit(f"//{place.partition('/')[0]}")
        name, port = parts.hostname, parts.port or _PORTS.get(kind)
        shown = f"[{name}]" if name and ":" in name else name
        user, _, password = userinfo.partition(":")
        auth = (unquote(user), unquote(password)) if userinfo else None
        return httpx2.Proxy(f"{kind}://{shown}" + (f":{port}" if port else ""), auth=auth) if name else None
    except (ValueError, httpx2.InvalidURL):
        return None


def _setting(said: str, scheme: str) -> str:
    """The variable that names the proxy; its value is never told, which may hold a password."""
    asked = (f"{scheme}_proxy", "all_proxy")
    names = sorted((name for name in os.environ if name.lower() in asked), key=str.islower, reverse=True)
    return next((name for name in names if os.environ[name] == said), "The proxy setting of this system")


def trust(base_url: str) -> ssl.SSLContext:
    """Whose certificates are believed on the way to an address. Raises SetupError where a variable names none.

    Plain http needs none: where they cannot be read, nobody is trusted if it leads on to https.
    """
    try:
        return _trust()
    except SetupError:
        if urlsplit(base_url).scheme == "https":
            raise
        return nobody_trusted()


def nobody_trusted() -> ssl.SSLContext:
    """A context for addresses that need no certificate; a secure connection by it always fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _trust() -> ssl.SSLContext:
    fault = next(_faults(), None)
    if fault is None:
        try:
            return httpx2.create_ssl_context()
        except OSError as error:  # SSLError is one
            fault = f"The certificates of this system cannot be read ({error.strerror or type(error).__name__})"
    raise SetupError(f"{fault}, so no secure connection can be made.", "Correct the variable, or remove it.")


def _faults() -> Iterator[str]:
    """What is wrong with the variables that the certificates come from, as httpx2 reads them."""
    file, folders, log = (os.environ.get(n, "") for n in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))
    if file and (why := _file_fault(Path(file))):
        yield f"SSL_CERT_FILE names {file!r}, {why}"
    elif folders and not file and not any(map(_has_files, folders.split(os.pathsep))):
        yield f"SSL_CERT_DIR names {folders!r}, where no certificates are"
    if log:
        try:
            nobody_trusted().keylog_filename = log
        except OSError as error:
            yield f"SSLKEYLOGFILE names {log!r}, which cannot be written ({error.strerror})"


def _file_fault(path: Path) -> str | None:
    try:
        nobody_trusted().load_verify_locations(cafile=path)
    except FileNotFoundError:
        return "which is not there"
    except ssl.SSLError:
        return "which is empty" if path.is_file() and not path.stat().st_size else "where no certificate is"
    except OSError as error:
        return "which is a folder" if path.is_dir() else f"which cannot be read ({error.strerror})"
    return None


def _has_files(folder: str) -> bool:
    try:
        return any(entry.is_file() for entry in os.scandir(folder))
    except OSError:
        return False
