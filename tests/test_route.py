"""Through which proxy, and whom to trust: what the network's variables say is heard, or told in words."""

import asyncio
import io
import os
import ssl
import traceback
import urllib.request
import wave

import httpx2
import openai
import pytest
from recording import recording

import chatkit
from chatkit.client import connect, faults, local_process, proxies
from chatkit.client.deadlines import Deadlines
from chatkit.exceptions import SetupError
from chatkit.local import hub, index
from chatkit.system import certificates, network

KEY = "sk-test-0123456789abcdef"
HOSTED = "https://api.openai.com/v1"
PASSWORD = "s3cretpw"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxy():
    with recording() as server:
        yield server


@pytest.fixture
def here():
    with recording() as server:
        yield server


def verbose(error):
    """The traceback with the variables of all frames of the house, as `%xmode Verbose` shows it."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if "tests" not in frame.filename])
    assert len(told.stack) > 1
    return "".join(told.format())


def by_variables(value, monkeypatch):
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, value)


def by_the_system(value, monkeypatch):
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"http": value, "https": value})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: False)


@pytest.mark.parametrize("told", [by_variables, by_the_system])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_this_machine_is_never_asked_through_a_proxy(told, host, proxy, here, monkeypatch):
    told(proxy.url.removesuffix("/v1"), monkeypatch)
    given = {"base_url": here.url.replace("127.0.0.1", host), "api_key": KEY, "quiet": True}
    client = connect.connect(**given)
    message = [{"role": "user", "content": "Hi"}]
    assert client.chat.completions.create(model="m", messages=message).choices[0].message.content == "Hi"

    async def once():
        async with connect.connect(**given, asynchronous=True) as one:
            return await one.chat.completions.create(model="m", messages=message)

    assert asyncio.run(once()).model == "m"
    assert chatkit.Chat(client=client, model="m").send("Hi").text == "Hi"
    assert chatkit.transcribe(sound(), client=client, progress=False).text == "Hi"
    assert proxy.seen == []
    assert [path for method, path, _ in here.seen if method == "GET"] == ["/health"] * 2


EXCEPTED = {
    "10.0.0.0/8": ["10.1.2.3", "10.255.255.255", "[::ffff:10.1.2.3]"],
    "192.168.7.9/24": ["192.168.7.1"],
    "172.16.0.0/12": ["172.31.255.255"],
    "corp.example, 10.0.0.0/8 ,192.168.0.0/16": ["10.0.0.1", "192.168.44.1", "llm.corp.example"],
    "10.0.0.0/8 192.168.0.0/16": ["10.0.0.1", "192.168.44.1"],
    "fd00::/8": ["[fd12::1]"],
    "[fd00::5]": ["[fd00:0:0::5]"],
    "FD00::5": ["[fd00::5]"],
    "10.0.0.5": ["10.0.0.5"],
    "0.0.0.0/0": ["8.8.8.8"],
    "*": ["8.8.8.8", "[fd12::1]", "llm.example"],
}
NOT_EXCEPTED = {
    "10.0.0.0/8": ["11.0.0.1", "[fd12::1]", "10.0.0.1.example", "llm.example"],
    "172.16.0.0/12": ["172.32.0.0"],
    "192.168.7.9/32": ["192.168.7.8"],
    "10.0.0.0/33,10/8,10.0.0/8,/8,10.0.0.0/": ["10.0.0.1"],
    "fd00::/8": ["[fe80::1]", "10.0.0.1"],
    "0.0.0.0/0": ["llm.example", "[fd12::1]"],
    "": ["10.0.0.1"],
}


def pairs(table):
    return [(said, host) for said, hosts in table.items() for host in hosts]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("port", ["", ":8000"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_takes_names_numbers_and_ranges(name, port, scheme, monkeypatch):
    by_variables("http://proxy.corp:3128", monkeypatch)
    for table, excepted in ((EXCEPTED, True), (NOT_EXCEPTED, False)):
        for said, host in pairs(table):
            monkeypatch.setenv(name, said)
            assert (proxies.proxy(f"{scheme}://{host}{port}/v1") is None) == excepted, (said, host)


@pytest.mark.parametrize("no_proxy", [None, "localhost,.corp", "10.0.0.0/8"])
def test_the_local_model_is_not_asked_through_a_proxy(no_proxy, proxy, here, monkeypatch):
    here.called = "chatkit-local"
    local = local_process.LocalServer(here.url, "tiny", 8192, "chatkit-local-" + "0" * 16, process=None)
    monkeypatch.setattr(local_process, "local_server", lambda model=None, tell=None: local)
    by_variables(proxy.url.removesuffix("/v1"), monkeypatch)
    if no_proxy:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    assert chatkit.Chat().send("my private question").text == "Hi"
    assert (proxy.seen, len(here.seen)) == ([], 1)


def sound():
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 16000, 0, "NONE", ""))
        written.writeframes(b"\x10\x00" * 8000)
    return file.getvalue()


def test_others_are_asked_through_it(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", f"alice:{PASSWORD}@{proxy.host}")  # without a scheme
    client = connect.connect(base_url="http://llm.example.org/v1", api_key=KEY, quiet=True)
    client.models.list()
    asked = [path for _, path, headers in proxy.seen if headers["proxy-authorization"].startswith("Basic ")]
    assert asked == ["http://llm.example.org/health", "http://llm.example.org/v1/models"]
    assert ["authorization" in headers for _, _, headers in proxy.seen] == [False, True]


@pytest.mark.parametrize(
    ("value", "place", "auth"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("http://proxy.example:3128/", "http://proxy.example:3128", None),
        ("proxy.example:8080", "http://proxy.example:8080", None),
        ("proxy.example", "http://proxy.example", None),
        ("https://proxy.example:8443", "https://proxy.example:8443", None),
        ("HTTP://PROXY.example:3128", "http://proxy.example:3128", None),
        (f"alice:{PASSWORD}@proxy.example:8080", "http://proxy.example:8080", ("alice", PASSWORD)),
        ("http://alice:p%40ss@proxy.example:8080", "http://proxy.example:8080", ("alice", "p@ss")),
        ("http://alice:p@s/s#?@proxy.example:8080", "http://proxy.example:8080", ("alice", "p@s/s#?")),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128", None),
    ],
)
def test_a_proxy_is_understood_as_it_is_written(value, place, auth, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", value)
    found = proxies.proxy(HOSTED)
    assert (str(found.url), found.auth) == (place, auth)
    assert PASSWORD not in repr(found)
    connect.connect(base_url=HOSTED, api_key=KEY, quiet=True)


@pytest.mark.parametrize("named", ["api.openai.com", ".openai.com", "*", "10.0.0.0/8,[::1],api.openai.com"])
def test_a_host_that_needs_none_is_asked_directly(named, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", named)
    assert proxies.proxy(HOSTED) is None
    assert named == "*" or proxies.proxy("https://elsewhere.example") is not None


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("socks5://127.0.0.1:1080", "names a SOCKS proxy.*pip install socksio.*NO_PROXY"),
        ("socks5h://127.0.0.1:1080", "names a SOCKS proxy"),
        (f"socks://alice:{PASSWORD}@127.0.0.1:1080", "names a SOCKS proxy"),
        ("socks4://127.0.0.1:1080", r"names a proxy of a kind that is not spoken here \(socks4\)"),
        (f"ftp://alice:{PASSWORD}@proxy:21", r"names a proxy of a kind that is not spoken here \(ftp\)"),
        ("http://", "names no proxy: a host and a port are needed"),
        (f"http://alice:{PASSWORD}@", "names no proxy"),
        (f"alice:{PASSWORD}@proxy:port", "names no proxy"),
        (f"alice:{PASSWORD}@proxy:99999", "names no proxy"),
        ("http://[::1", "names no proxy"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(value, rule, asynchronous, here, monkeypatch):
    monkeypatch.setattr(network.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(SetupError, match=f"^ALL_PROXY {rule}") as caught:
        connect.connect(base_url=HOSTED, api_key=KEY, quiet=True, asynchronous=asynchronous)
    assert PASSWORD not in verbose(caught.value)
    connect.connect(base_url=here.url, api_key=KEY, quiet=True, asynchronous=asynchronous)


@pytest.mark.parametrize("value", ["socks4://proxy:1080", "http://"])
def test_a_proxy_of_the_systems_settings_is_told_as_theirs(value, here, monkeypatch):
    by_the_system(value, monkeypatch)
    with pytest.raises(SetupError, match="^The proxy setting of this system names"):
        connect.connect(base_url=HOSTED, api_key=KEY, quiet=True)
    connect.connect(base_url=here.url, api_key=KEY, quiet=True)


def test_socks_is_spoken_where_the_package_is_there(monkeypatch):
    monkeypatch.setattr(network.importlib.util, "find_spec", lambda name: object())
    for value, place in (("socks://h", "socks5://h:1080"), ("socks5h://h:9050", "socks5h://h:9050")):
        monkeypatch.setenv("ALL_PROXY", value)
        assert str(proxies.proxy(HOSTED).url) == place


def test_a_chat_says_it_too(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"socks4://alice:{PASSWORD}@proxy:1080")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(SetupError, match="^HTTPS_PROXY names a proxy of a kind") as caught:
        chatkit.Chat().send("Hi")
    assert PASSWORD not in verbose(caught.value)


# --- localhost, by its number first


class Host:
    """What is asked at which host: `there` are the hosts at which somebody listens."""

    def __init__(self, *there):
        self.there, self.seen = there, []

    def __call__(self, request):
        told = (request.url.host, request.headers["host"], request.extensions.get("sni_hostname"), request.read())
        self.seen.append(told[:3] if told[3] else told[:2])
        if request.url.host not in self.there:
            raise httpx2.ConnectError("Connection refused")
        said = {"message": {"role": "assistant", "content": "Hi"}, "index": 0, "finish_reason": "stop"}
        return httpx2.Response(200, json={"id": "1", "object": "chat.completion", "model": "m", "choices": [said]})


def transports(host, monkeypatch):
    for name in ("HTTPTransport", "AsyncHTTPTransport"):
        monkeypatch.setattr(proxies.httpx2, name, lambda **_: httpx2.MockTransport(host))


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "app.localhost"])
@pytest.mark.parametrize("there", ["127.0.0.1", "as it is written"])
def test_localhost_is_asked_by_its_number_first_and_stays_what_it_is_called(name, there, monkeypatch):
    shown = name.lower()
    host = Host(there if there == "127.0.0.1" else shown)
    transports(host, monkeypatch)
    given = {"base_url": f"http://{name}:8080/v1", "api_key": KEY, "quiet": True}
    client = connect.connect(**given)
    asks = [("127.0.0.1", f"{shown}:8080"), *[(shown, f"{shown}:8080")] * (there != "127.0.0.1")]
    assert host.seen == asks  # whether it is chatkit's own server, which gets no foreign key
    host.seen.clear()
    answer = client.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert [(told[0], told[1]) for told in host.seen] == asks
    assert host.seen[0][2] == shown  # a certificate is asked for by name
    assert answer.http_request.url.host == shown
    assert str(client.base_url) == f"http://{shown}:8080/v1/"

    async def once():
        async with connect.connect(**given, asynchronous=True) as one:
            return await one.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])

    assert asyncio.run(once()).model == "m"
    assert chatkit.Chat(client=client, model="m").endpoint.base_url == f"http://{name}:8080/v1"
    records = list(chatkit.UsageStore().records(session=chatkit.current_session()))
    assert [record.host.partition(":")[0] for record in records[-2:]] == [shown] * 2


def test_where_nobody_listens_at_localhost_the_error_names_it_as_it_is_written(monkeypatch):
    transports(Host(), monkeypatch)
    client = connect.connect(base_url="http://localhost:8080/v1", api_key=KEY, quiet=True, max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        client.models.list()
    with pytest.raises(chatkit.ChatkitError, match="localhost:8080"):
        chatkit.Chat(client=client, model="m").send("Hi")


def test_other_hosts_are_asked_as_they_are(monkeypatch):
    host = Host("llm.example")
    transports(host, monkeypatch)
    connect.connect(base_url="http://llm.example/v1", api_key=KEY, quiet=True)
    assert host.seen == [("llm.example", "llm.example")]


def test_a_copy_of_a_client_that_leads_to_this_machine_leaves_the_proxy_out(proxy, here, monkeypatch):
    by_variables(proxy.url.removesuffix("/v1"), monkeypatch)
    client = connect.connect(base_url="http://llm.example.org/v1", api_key=KEY, quiet=True)
    asked = len(proxy.seen)
    copy = client.with_options(base_url=here.url)
    copy.chat.completions.create(model="m", messages=[{"role": "user", "content": "a private question"}])
    assert (len(proxy.seen), len(here.seen)) == (asked, 1)


# --- weights


@pytest.mark.parametrize("told", [by_variables, by_the_system])
def test_the_hub_on_this_machine_is_asked_directly_and_another_by_the_proxy(told, proxy, here, monkeypatch, tmp_path):
    told(proxy.url.removesuffix("/v1"), monkeypatch)
    for base in (here.url, "http://hub.example"):
        monkeypatch.setenv("HF_ENDPOINT", base)
        hub.fetch("org/repo", "a b.gguf", tmp_path / "a.gguf", print)
    assert [path for _, path, _ in here.seen] == ["/v1/org/repo/resolve/main/a%20b.gguf"]
    assert [path for _, path, _ in proxy.seen] == ["http://hub.example/org/repo/resolve/main/a%20b.gguf"]


def test_the_hub_is_excepted_by_a_range_too(monkeypatch, tmp_path):
    ways = []

    def client(*, proxy, **_):
        ways.append(proxy)
        raise httpx2.ConnectError("no")

    monkeypatch.setattr(httpx2, "Client", client)
    by_variables("http://proxy.corp:3128", monkeypatch)
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    for host in ("10.1.2.3", "11.1.2.3"):
        monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
        with pytest.raises(OSError, match="hub cannot be reached"):
            hub.fetch("org/repo", "a.gguf", tmp_path / "a.gguf", print)
    assert [way and str(way.url) for way in ways] == [None, "http://proxy.corp:3128"]


@pytest.mark.parametrize("value", ["socks4://proxy:1080", "http://"])
def test_the_hub_says_which_proxy_cannot_be_used(value, monkeypatch, tmp_path):
    by_the_system(value, monkeypatch)
    with pytest.raises(OSError, match="^the hub cannot be asked: The proxy setting of this system names"):
        hub.fetch("org/repo", "a.gguf", tmp_path / "a.gguf", print)


@pytest.mark.parametrize("base", ["hub.example", "", "http://", "ftp://hub.example", "http://[::1"])
def test_an_address_of_the_hub_that_is_none_is_told_in_words(base, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", base)
    with pytest.raises(OSError, match="the hub"):
        hub.fetch("org/repo", "a.gguf", tmp_path / "a.gguf", print)


def test_the_package_index_on_this_machine_is_asked_directly(proxy, here, monkeypatch, tmp_path):
    by_variables(proxy.url.removesuffix("/v1"), monkeypatch)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", here.url)
    with pytest.raises(OSError, match="package index gave nothing"):
        index.fetch("no-such-thing", "1.0", ["x"], 1, tmp_path, print)
    assert proxy.seen == []
    assert here.seen[0][1].startswith("/v1/no-such-thing")


# --- certificates


def made(kind, folder):
    path = folder / "cacert.pem"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "no certificate")
    return str(path)


SAID = {
    "missing": "which is not there",
    "empty": "which is empty",
    "folder": "which is a folder",
    "other": "where no certificate is",
}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("kind", SAID)
def test_a_file_of_certificates_that_has_none_is_named(kind, asynchronous, here, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", made(kind, tmp_path))
    with pytest.raises(SetupError, match=rf"SSL_CERT_FILE names '{tmp_path}/cacert.pem', {SAID[kind]}.*remove it"):
        connect.connect(base_url=HOSTED, api_key=KEY, quiet=True, asynchronous=asynchronous)
    client = connect.connect(base_url=here.url, api_key=KEY, quiet=True)
    assert chatkit.Chat(client=client, model="m").send("Hi").text == "Hi"
    assert proxies.trust("http://llm.example.org/v1").get_ca_certs() == []


def test_a_device_for_a_file_of_certificates_is_named(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with pytest.raises(SetupError, match="SSL_CERT_FILE names '/dev/null', where no certificate is"):
        proxies.trust(HOSTED)


@pytest.mark.parametrize("kind", ["missing", "empty", "other"])
def test_a_folder_of_certificates_that_has_none_is_named(kind, here, monkeypatch, tmp_path):
    path = tmp_path / "certs"
    if kind == "empty":
        path.mkdir()
    elif kind == "other":
        path.write_text("")
    monkeypatch.setenv("SSL_CERT_DIR", str(path))
    with pytest.raises(SetupError, match="SSL_CERT_DIR names .*where no certificates are"):
        connect.connect(base_url=HOSTED, api_key=KEY, quiet=True)
    connect.connect(base_url=here.url, api_key=KEY, quiet=True)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.0").write_text("")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(path), str(tmp_path / "more")]))
    assert proxies.trust(HOSTED).verify_mode == ssl.CERT_REQUIRED


def test_a_log_of_keys_that_cannot_be_written_is_named(here, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys.log"))
    monkeypatch.setenv("SSL_CERT_FILE", ssl.get_default_verify_paths().cafile or "")
    with pytest.raises(SetupError, match="^SSLKEYLOGFILE names"):
        connect.connect(base_url=HOSTED, api_key=KEY, quiet=True)
    connect.connect(base_url=here.url, api_key=KEY, quiet=True)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_empty_variable_names_nothing(name, monkeypatch):
    monkeypatch.setenv(name, "")
    assert proxies.trust(HOSTED).verify_mode == ssl.CERT_REQUIRED


def test_nobody_is_trusted_where_no_certificates_could_be_read(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    context = proxies.trust("http://llm.example.org/v1")
    assert (context.verify_mode, context.check_hostname, context.get_ca_certs()) == (ssl.CERT_REQUIRED, True, [])


@pytest.mark.parametrize(
    ("system", "variable", "advice"),
    [
        ("linux", None, "name its file in the environment variable SSL_CERT_FILE; while that is set, nobody else"),
        ("win32", None, "add its certificate to those of the system."),
        ("darwin", None, "add its certificate to those of the system."),
        ("win32", "SSL_CERT_FILE", "it must stand where SSL_CERT_FILE points"),
        ("linux", "SSL_CERT_DIR", "it must stand where SSL_CERT_DIR points"),
    ],
)
def test_the_way_out_of_a_certificate_that_is_not_trusted_is_that_of_the_system(system, variable, advice, monkeypatch):
    monkeypatch.setattr(certificates.sys, "platform", system)
    if variable:
        monkeypatch.setenv(variable, "/etc/own")
    said, again = faults.no_answer(ssl.SSLCertVerificationError(1, "no"), HOSTED, Deadlines())
    assert (said.kind, again) == ("tls", False)
    assert advice in said.way_out


def test_the_hub_says_which_variables_its_certificates_come_from(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(OSError, match="the hub cannot be asked: SSL_CERT_FILE names .*not there.*remove it"):
        hub.fetch("org/repo", "a.gguf", tmp_path / "a.gguf", print)


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_a_hub_whose_certificate_is_not_trusted_says_what_to_do_on_this_system(system, monkeypatch, tmp_path):
    refused = httpx2.ConnectError("no")
    refused.__cause__ = ssl.SSLCertVerificationError(1, "no")
    refused.__cause__.verify_message = "self-signed certificate"

    def client(**_):
        raise refused

    monkeypatch.setattr(certificates.sys, "platform", system)
    monkeypatch.setattr(httpx2, "Client", client)
    with pytest.raises(OSError, match="not trusted: self-signed certificate.*those of the system") as caught:
        hub.fetch("org/repo", "a.gguf", tmp_path / "a.gguf", print)
    assert ("SSL_CERT_FILE" in str(caught.value)) == (system == "linux")


def test_a_plain_client_is_still_what_connect_gives(here):
    assert type(connect.connect(base_url=here.url, api_key=KEY, quiet=True)) is openai.OpenAI
