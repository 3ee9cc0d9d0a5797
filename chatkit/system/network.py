"""The system's network: which addresses are this machine, and through which proxy others are asked.

In: a base URL; the variables of the network (HTTP_PROXY and the like, NO_PROXY), else the settings of Windows and macOS.
Out: a `Proxy`, or a SetupError that names what is wrong. This machine is never asked through a proxy, and no name is
looked up to find out whether a host needs one.
"""

import importlib
import importlib.util
import ipaddress
import os
import re
import socket
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from chatkit.exceptions import SetupError

THIS_MACHINE = ("localhost", "127.0.0.0/8", "::1")
"""This machine as NO_PROXY names it for programs of others."""
_KINDS = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5h"}
_PORTS = {"socks5": 1080, "socks5h": 1080}
_SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


# --- this machine


def is_loopback(url: str) -> bool:
    """Whether an address leads to this machine, however it is written.

    >>> [is_loopback(f"http://{host}/v1") for host in ("LOCALHOST:1", "127.8.0.1", "[::1]:8080", "[::ffff:127.0.0.1]")]
    [True, True, True, True]
    >>> is_loopback("http://localhost.example.org/v1"), is_loopback("http://10.0.0.1/v1")
    (False, False)
    """
    host = urlsplit(url).hostname or ""
    if is_local_name(host):
        return True
    address = ip_address(host.rstrip("."))
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_local_name(host: str) -> bool:
    """Whether a host is this machine by its name, which systems look up as ::1 first or as 127.0.0.1 first.

    >>> is_local_name("LocalHost."), is_local_name("app.localhost"), is_local_name("127.0.0.1")
    (True, True, False)
    """
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def ip_address(host: str) -> Address | None:
    """The number of a host that is named by one, an IPv4 in an IPv6 as what it is; None for a name.

    >>> str(ip_address("::ffff:10.0.0.5")), str(ip_address("10.5")), ip_address("example.org")
    ('10.0.0.5', '10.0.0.5', None)
    """
    found = _numbered(host.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _numbered(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1 and the like, as the resolver takes them
    except (OSError, UnicodeEncodeError):
        return None


# --- proxies


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: where it is, and the name and password that it wants, which do not show themselves."""

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Setting:
    """What names the proxy, and its value; the value is never told, which may hold a password."""

    name: str
    value: str = field(repr=False)
    of_the_system: bool = False

    @property
    def scheme(self) -> str:
        return (self.value.rpartition("://")[0] or "http").lower()


def proxy(base_url: str) -> Proxy | None:
    """The proxy on the way to an address; None where there is none. Raises SetupError for one that cannot be used."""
    parts = urlsplit(base_url)
    if not parts.hostname or is_loopback(base_url):
        return None
    setting = _setting(parts.scheme)
    if setting is None or _is_excepted(parts, by_the_system=setting.of_the_system):
        return None
    way_out = f"Correct it, or add {parts.hostname} to NO_PROXY."
    kind = _KINDS.get(setting.scheme)
    if setting.scheme.startswith("socks4"):  # what Windows' own setting for SOCKS means
        way_out = f"If it speaks SOCKS 5 too, set ALL_PROXY to socks5://host:port. Else: {way_out}"
    if kind is None:
        raise SetupError(
            f"{setting.name} names a proxy of a kind that is not spoken here ({setting.scheme[:20]}).", way_out
        )
    if kind in _PORTS and importlib.util.find_spec("socksio") is None:
        raise SetupError(
            f"{setting.name} names a SOCKS proxy, and the package that speaks to such is not installed.",
            f"Install it with: pip install socksio. Or name an HTTP proxy, or add {parts.hostname} to NO_PROXY.",
        )
    found = _made(setting, kind)
    if found is None:
        raise SetupError(f"{setting.name} names no proxy: a host and a port are needed.", way_out)
    return found


def variables_for_others() -> dict[str, str]:
    """What a program of somebody else's is told, so that it does not ask this machine through a proxy either.

    Nothing where no variable names a proxy: NO_PROXY alone would keep such a program from the system's settings.
    """
    variables = urllib.request.getproxies_environment()
    if not variables.keys() - {"no"} or variables.get("no") == "*":
        return {}
    excepted = ",".join([*filter(None, [variables.get("no")]), *THIS_MACHINE])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), excepted)


def _setting(scheme: str) -> _Setting | None:
    """The proxy of a variable; where no variable names any, that of the system's settings."""
    variables = urllib.request.getproxies_environment()
    if any(variables.get(name) for name in ("http", "https", "all")):
        value = variables.get(scheme) or variables.get("all")
        return _Setting(_variable(scheme, value), value) if value else None
    settings = _settings_of_the_system(variables)
    value = settings.get(scheme) or settings.get("all")
    return _Setting("The proxy setting of this system", value, of_the_system=True) if value else None


def _settings_of_the_system(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Python's reading of the registry or of macOS' configuration, which a lone NO_PROXY would keep it from."""
    names = ("getproxies_registry", "getproxies_macosx_sysconf") if variables else ()
    read: Callable[[], dict[str, str]] = next(
        (getattr(urllib.request, name) for name in names if hasattr(urllib.request, name)), urllib.request.getproxies
    )
    return read()


def _variable(scheme: str, value: str) -> str:
    asked = (f"{scheme}_proxy", "all_proxy")
    names = sorted((name for name in os.environ if name.lower() in asked), key=str.islower, reverse=True)
    return next(name for name in names if os.environ[name] == value)


def _made(setting: _Setting, kind: str) -> Proxy | None:
    """None for what names no host. Nothing is raised from here, where the password stands open."""
    userinfo, _, place = setting.value.rpartition("://")[2].rpartition("@")
    try:
        parts = urlsplit(f"//{place.partition('/')[0]}")
        name, port = parts.hostname or "", parts.port or _PORTS.get(kind)
        name.encode("idna")
    except ValueError:
        return None
    if not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+(%\w+)?", name):
        return None
    shown = f"[{name}]" if ":" in name else name
    user, _, password = userinfo.partition(":")
    auth = (unquote(user), unquote(password)) if userinfo else None
    return Proxy(f"{kind}://{shown}" + (f":{port}" if port else ""), auth)


# --- hosts that are asked without one


def _is_excepted(parts: SplitResult, *, by_the_system: bool) -> bool:
    place = parts.netloc.rpartition("@")[2]
    host = parts.hostname or ""
    by_words = urllib.request.proxy_bypass_environment(place)  # type: ignore[attr-defined]  # no stub names it
    if by_words or _is_in_no_proxy(host):
        return True
    if not by_the_system:
        return False
    listed = _exceptions_of_the_system()
    # Python's own reading of them looks names up, so it is asked only where there are none to read
    return bool(urllib.request.proxy_bypass(place)) if listed is None else is_listed(host, listed)


def _is_in_no_proxy(host: str) -> bool:
    """Whether NO_PROXY names the number of a host, or a range that it is in (`10.0.0.0/8`), as curl and requests take it.

    Python's own reading, asked before, compares words. A name is not looked up for it: the proxy may know what it is.
    """
    words = re.split(r"[\s,]+", urllib.request.getproxies_environment().get("no", ""))
    return any(_is_in_range(host, word.strip("[]")) for word in words)


def is_listed(host: str, words: list[str]) -> bool:
    """Whether the exceptions of Windows or macOS name a host: `*.corp`, `10.*`, `169.254/16`, `<local>`.

    >>> is_listed("wiki", ["<local>"]), is_listed("llm.corp", ["*.CORP"]), is_listed("169.254.7.1", ["169.254/16"])
    (True, True, True)
    >>> is_listed("llm.corp.example", ["*.corp", "<local>", "10.*"])
    False
    """
    for said in words:
        word = said.strip().lower().rpartition("://")[2]
        if word == "<local>" and "." not in host and ip_address(host) is None:
            return True
        if fnmatch(host, word.strip("[]") or "-") or _is_in_range(host, _whole(word)):
            return True
    return False


def _is_in_range(host: str, word: str) -> bool:
    address = ip_address(host)
    with suppress(ValueError):  # a name
        return address is not None and address in ipaddress.ip_network(word, strict=False)
    return False


def _whole(word: str) -> str:
    """A range as macOS shortens it, in full: `169.254/16`, `10.1`."""
    start, _, bits = word.partition("/")
    if not re.fullmatch(r"\d+(\.\d+){0,3}", start):
        return word
    numbers = start.split(".")
    return ".".join([*numbers, *["0"] * (4 - len(numbers))]) + f"/{bits or 8 * len(numbers)}"


def _exceptions_of_the_system() -> list[str] | None:
    """The words of the registry or of macOS' configuration; None on a system that has neither."""
    if registry := _module("winreg"):
        with suppress(OSError), registry.OpenKey(registry.HKEY_CURRENT_USER, _SETTINGS) as settings:
            return str(registry.QueryValueEx(settings, "ProxyOverride")[0]).split(";")
        return []
    if configuration := _module("_scproxy"):
        said = configuration._get_proxy_settings()
        return [*filter(None, said.get("exceptions", ())), *["<local>"] * bool(said.get("exclude_simple"))]
    return None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
