"""This machine by its names and numbers; proxies of variables and of the system, without a look-up of names."""

import os
import socket
import sys
import types
import urllib.request
from contextlib import nullcontext

import pytest

from chatkit.exceptions import SetupError
from chatkit.system import network

HOSTED = "https://api.openai.com/v1"
PROXY = "http://proxy.corp:3128"


@pytest.fixture(autouse=True)
def no_variable_and_no_look_up(monkeypatch):
    def looks_up(*_, **__):
        raise AssertionError("a name was looked up")

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("gethostbyname", "gethostbyname_ex", "getfqdn", "getaddrinfo"):
        monkeypatch.setattr(socket, name, looks_up)


def windows(monkeypatch, override, **proxies):
    """The registry of Windows, and Python's reading of it, which looks names up."""

    def value(_, name):
        if name != "ProxyOverride" or override is None:
            raise FileNotFoundError(2, "no such value")
        return override, 1

    registry = types.SimpleNamespace(HKEY_CURRENT_USER=1, OpenKey=lambda *_: nullcontext(1), QueryValueEx=value)
    monkeypatch.setitem(sys.modules, "winreg", registry)
    by_python(monkeypatch, "getproxies_registry", proxies or {"http": PROXY, "https": PROXY})


def macos(monkeypatch, exceptions, simple=False):
    settings = {"exceptions": exceptions, "exclude_simple": simple}
    configuration = types.SimpleNamespace(_get_proxy_settings=lambda: settings)
    monkeypatch.setitem(sys.modules, "winreg", None)
    monkeypatch.setitem(sys.modules, "_scproxy", configuration)
    by_python(monkeypatch, "getproxies_macosx_sysconf", {"http": PROXY, "https": PROXY})


def by_python(monkeypatch, reader, found):
    monkeypatch.setattr(urllib.request, reader, lambda: found, raising=False)
    monkeypatch.setattr(urllib.request, "getproxies", lambda: urllib.request.getproxies_environment() or found)
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: socket.gethostbyname(host))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST.", "app.localhost", "127.9.9.9", "[::1]", "0.0.0.0"]
)
@pytest.mark.parametrize("kind", ["http", "socks4", "nonsense"])
def test_this_machine_is_asked_through_no_proxy_of_the_system_whatever_that_is(host, kind, monkeypatch):
    windows(monkeypatch, "<local>", http=f"{kind}://proxy:1", https=f"{kind}://proxy:1")
    assert network.proxy(f"http://{host}:8080/v1") is None
    assert network.proxy(f"https://{host}") is None


OVERRIDE = "<local>;*.corp.example;10.*;192.168.0.0/16;https://direct.example ;[fd00::5];;"


@pytest.mark.parametrize(
    ("host", "excepted"),
    [
        ("wiki", True), ("llm.corp.example", True), ("LLM.CORP.example", True), ("10.1.2.3", True), ("192.168.7.1", True),
        ("direct.example", True), ("[fd00::5]", True),
        ("api.openai.com", False), ("corp.example", False), ("110.1.2.3", False), ("192.169.0.1", False), ("[fd00::6]", False),
    ],
)  # fmt: skip
def test_the_exceptions_of_windows_are_read_without_a_look_up(host, excepted, monkeypatch):
    windows(monkeypatch, OVERRIDE)
    for address in (f"https://{host}/v1", f"http://{host}:8080/v1"):
        assert (network.proxy(address) is None) == excepted, address


@pytest.mark.parametrize("override", [None, "", ";"])
def test_windows_may_know_no_exceptions(override, monkeypatch):
    windows(monkeypatch, override)
    assert network.proxy(HOSTED) == network.Proxy(PROXY)


@pytest.mark.parametrize(
    ("host", "excepted"),
    [
        ("printer.local", True), ("169.254.7.1", True), ("10.1.7.1", True), ("wiki", True),
        ("printer.local.example", False), ("169.255.7.1", False), ("10.2.0.1", False),
    ],
)  # fmt: skip
def test_the_exceptions_of_macos_are_read_without_a_look_up(host, excepted, monkeypatch):
    macos(monkeypatch, ["*.local", "169.254/16", "10.1", None, "1.2.3.4.5", "10.0/99"], simple=True)
    assert (network.proxy(f"https://{host}/v1") is None) == excepted
    macos(monkeypatch, ())
    assert network.proxy(f"https://{host}/v1") == network.Proxy(PROXY)


def test_no_proxy_alone_does_not_switch_the_systems_settings_off(monkeypatch):
    windows(monkeypatch, "<local>")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.corp.example")
    assert network.proxy(HOSTED) == network.Proxy(PROXY)
    for host in ("10.7.7.7", "llm.corp.example", "wiki"):
        assert network.proxy(f"http://{host}/v1") is None


def test_a_variable_goes_before_the_systems_settings_and_their_exceptions(monkeypatch):
    windows(monkeypatch, "*.openai.com")
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    assert network.proxy(HOSTED) == network.Proxy("http://other:1")
    assert network.proxy("http://llm.example/v1") is None  # as Python, curl and others take it


@pytest.mark.parametrize("value", ["socks4://proxy:1080", "quic://proxy:1", "http://", "http://a b:1", "http://:3128"])
def test_a_setting_of_the_system_that_cannot_be_used_is_one_sentence(value, monkeypatch):
    windows(monkeypatch, "<local>", http=value, https=value)
    with pytest.raises(SetupError, match=r"^The proxy setting of this system names .*NO_PROXY\.$"):
        network.proxy(HOSTED)


def test_where_a_system_keeps_no_exceptions_pythons_word_counts(monkeypatch):
    for name in ("winreg", "_scproxy"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"https": PROXY})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: host == "api.openai.com")
    assert network.proxy(HOSTED) is None
    assert network.proxy("https://llm.example/v1") == network.Proxy(PROXY)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"HTTP_PROXY": PROXY}, "localhost,127.0.0.0/8,::1"),
        ({"https_proxy": PROXY, "NO_PROXY": ".corp"}, ".corp,localhost,127.0.0.0/8,::1"),
        ({"https_proxy": PROXY, "no_proxy": "*"}, None),
        ({"NO_PROXY": ".corp"}, None),
        ({}, None),
    ],
)
def test_programs_of_others_are_told_to_leave_this_machine_alone(variables, told, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert network.variables_for_others() == (dict.fromkeys(("NO_PROXY", "no_proxy"), told) if told else {})


def test_a_password_does_not_show_itself():
    assert "s3cret" not in repr(network.Proxy(PROXY, ("alice", "s3cret")))
