"""Where calls go, and that a key goes nowhere else."""

import asyncio
import json
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

import chatkit
from chatkit.client import connect, local_process
from chatkit.exceptions import InputError, SetupError

REAL = "sk-real-0123456789abcdef"
LOCAL = "chatkit-local-" + "0123456789abcdef"


class Endpoint(BaseHTTPRequestHandler):
    """Answers every POST with one chat completion, and keeps the headers it saw."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"status": "ok"})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        self.answer({"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})

    def answer(self, body):
        headers = {name.title(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers))
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def version_string(self):
        return self.server.called

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.seen, server.called = [], "somebody"
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_ORG_ID",
        "OPENAI_CUSTOM_HEADERS",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def local(monkeypatch, endpoint):
    server = local_process.LocalServer(endpoint.url, "tiny-model", 8192, LOCAL, process=None)
    endpoint.called = "chatkit-local"
    monkeypatch.setattr(local_process, "local_server", lambda model=None, tell=None: server)
    monkeypatch.setattr(local_process, "is_ours", lambda url: url == endpoint.url)
    return server


def ask(client):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])


def test_arguments_come_first(endpoint, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-of-mine")
    client = connect.connect(base_url=endpoint.url, api_key=f" {REAL}\n", model="mine")
    assert type(client) is openai.OpenAI
    assert ask(client).choices[0].message.content == "Hi"
    assert endpoint.seen[-1][2]["Authorization"] == f"Bearer {REAL}"
    assert capsys.readouterr().out == f"mine answers at 127.0.0.1:{endpoint.server_port} (arguments).\n"


def test_asynchronous_gives_an_async_client(endpoint):
    client = connect.connect(base_url=endpoint.url, api_key=REAL, asynchronous=True, quiet=True)
    assert type(client) is openai.AsyncOpenAI

    async def once():
        async with client:
            return await ask(client)

    assert asyncio.run(once()).choices[0].message.content == "Hi"


def test_a_key_in_the_environment_serves_the_hosted_api(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    client = connect.connect()
    assert (str(client.base_url), client.api_key) == ("https://api.openai.com/v1/", REAL)
    said = capsys.readouterr().out
    assert said == "gpt-6-luna answers at api.openai.com (key from OPENAI_API_KEY).\n"


def test_a_dotenv_file_counts_and_is_named_with_its_place(tmp_path, capsys):
    (tmp_path / ".env").write_text(f'OPENAI_API_KEY="{REAL}"\nOPENAI_BASE_URL=https://example.com/v1\n')
    found = connect.resolve()
    assert (found.base_url, found.api_key) == ("https://example.com/v1", REAL)
    connect.connect()
    said = capsys.readouterr().out
    assert said == f"gpt-6-luna answers at example.com (key from OPENAI_API_KEY in {tmp_path / '.env'}).\n"


def test_an_empty_key_in_the_environment_is_none(monkeypatch, local):
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert connect.resolve().local


def test_a_bad_key_in_the_environment_is_refused_before_any_request(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "YOUR_API_KEY")
    with pytest.raises(InputError, match="OPENAI_API_KEY holds a placeholder"):
        connect.connect()


def test_without_a_key_the_local_server_serves(local, capsys):
    client = connect.connect()
    assert ask(client).choices[0].message.content == "Hi"
    assert capsys.readouterr().out == "tiny-model answers on this machine: no key, no network, no cost.\n"


def test_without_a_key_and_without_the_engines_both_ways_out_are_said(monkeypatch):
    monkeypatch.setattr(local_process, "has_engines", lambda: False)
    with pytest.raises(SetupError, match=r'pip install "notebook-chatkit\[local\]".*OPENAI_API_KEY'):
        connect.connect()


def test_nothing_of_the_users_reaches_the_local_server(local, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", REAL)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {REAL}\nX-Team: mine")
    ask(connect.connect(local=True, quiet=True))
    headers = endpoint.seen[-1][2]
    assert headers["Authorization"] == f"Bearer {LOCAL}"
    assert "mine" not in str(headers)
    assert REAL not in str(headers)


def test_the_environments_key_is_not_sent_to_another_address(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    with pytest.raises(SetupError, match="a key in the environment belongs to https://api.openai.com/v1") as caught:
        connect.connect(base_url="https://elsewhere.example/v1")
    assert REAL not in str(caught.value)


def test_the_environments_key_goes_to_the_address_it_belongs_to(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    assert connect.resolve(base_url="https://api.openai.com/v1/").api_key == REAL


def test_a_server_on_this_machine_needs_no_key(endpoint, monkeypatch):
    assert connect.resolve(base_url=endpoint.url).api_key == connect.NO_KEY
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    assert (connect.resolve().base_url, connect.resolve().source) == (endpoint.url, "OPENAI_BASE_URL")


def test_a_real_key_is_not_sent_to_a_chatkit_server(endpoint, monkeypatch):
    endpoint.called = "chatkit-local"
    with pytest.raises(InputError, match="the key is not one of its; it was not sent"):
        connect.connect(base_url=endpoint.url, api_key=REAL)
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    with pytest.raises(InputError, match="it was not sent"):
        connect.connect()
    assert REAL not in str(endpoint.seen)


def test_a_local_key_is_sent_to_nobody_else(endpoint):
    for url in (endpoint.url, "https://api.openai.com/v1"):
        with pytest.raises(InputError, match="nothing was sent"):
            connect.connect(base_url=url, api_key=LOCAL)
    assert LOCAL not in str(endpoint.seen)


def test_a_local_key_serves_its_own_server(endpoint):
    endpoint.called = "chatkit-local"
    assert connect.resolve(base_url=endpoint.url, api_key=LOCAL).api_key == LOCAL


def test_local_with_an_address_or_key_is_refused():
    with pytest.raises(InputError, match="local=True was given with a base_url or an api_key"):
        connect.connect(local=True, api_key=REAL)


@pytest.mark.parametrize("url", ["127.0.0.1:8080/v1", "http://host:99999/v1", "https://me:secret@host/v1"])
def test_an_address_that_cannot_be_right_is_refused_wherever_it_stands(url, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="^base_url "):
        connect.connect(base_url=url, api_key=REAL)
    with pytest.raises(InputError, match="^azure_endpoint "):
        connect.connect(azure_endpoint=url, api_key=REAL, api_version="1")
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={url}\nOPENAI_API_KEY={REAL}\n")
    with pytest.raises(InputError, match=f"^OPENAI_BASE_URL in {tmp_path}/.env "):
        connect.connect()
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(InputError, match="^OPENAI_BASE_URL (is|has|holds) "):
        connect.connect()


@pytest.mark.parametrize("named", ["argument", "environment", "file"])
def test_no_traceback_shows_a_password_of_an_address(named, tmp_path, monkeypatch):
    url = "https://me:s3cretpw@host/v1"
    if named == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    elif named == "file":
        (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={url}\n")
    with pytest.raises(InputError, match="holds a user name or password") as caught:
        connect.connect(base_url=url if named == "argument" else None)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if "tests" not in frame.filename])
    assert "s3cretpw" not in "".join(told.format())


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/v1?api-version=2024-10-21", "?api-version=2024-10-21"),
        ("/v1/?api-version=1&x=%2F", "?api-version=1&x=%2F"),
        ("/v1/?flag", "?flag="),
        ("/v1//", ""),
    ],
)
def test_a_query_of_the_address_goes_along_with_every_call(endpoint, given, asked, capsys):
    url = endpoint.url.removesuffix("/v1") + given
    client = connect.connect(base_url=f" {url} ", api_key=REAL, model="m")
    assert "?" not in capsys.readouterr().out
    ask(client)
    ask(client.with_options(timeout=5))
    chatkit.Chat(client=client, model="m").send("Hi")
    chatkit.Chat(client=openai.OpenAI(base_url=url, api_key=REAL), model="m").send("Hi")
    posts = [path for method, path, _ in endpoint.seen if method == "POST"]
    assert posts == [f"/v1/chat/completions{asked}"] * 4


def test_azure_by_its_clients_own_arguments():
    client = connect.connect(
        azure_endpoint="https://mine.openai.azure.com",
        api_version="2026-01-01",
        api_key=REAL,
        azure_deployment="d",
        quiet=True,
    )
    assert type(client) is openai.AzureOpenAI
    assert connect.endpoint_of(client).model == "d"
    assert REAL not in repr(connect.endpoint_of(client))


def test_no_repr_shows_a_key(endpoint, local):
    client = connect.connect(base_url="https://example.com/v1", api_key=REAL, quiet=True)
    assert REAL not in repr(connect.endpoint_of(client)) + repr(client)
    assert LOCAL not in repr(local) + repr(connect.resolve(local=True))


def test_an_openai_client_of_ones_own_is_taken_as_it_is(endpoint):
    own = openai.OpenAI(base_url=endpoint.url, api_key=REAL)
    found = connect.endpoint_of(own)
    assert (found.base_url, found.api_key) == (endpoint.url, REAL)


def start(code, monkeypatch):
    monkeypatch.setattr(local_process, "_command", lambda _: [sys.executable, "-c", code])
    return local_process._start(None, print)


def test_a_local_server_that_says_why_it_cannot_start_is_quoted(monkeypatch):
    code = (
        """import sys; sys.stdin.readline(); print('{"error": {"cause": "No weights.", "way_out": "Fetch them."}}')"""
    )
    with pytest.raises(SetupError, match=r"No weights\. Fetch them\."):
        start(code, monkeypatch)


def test_a_local_server_that_dies_leaves_its_last_words(monkeypatch):
    with pytest.raises(SetupError, match=r"ended before it was ready\. Its last words: SystemExit: out of memory"):
        start("import sys; sys.stdin.readline(); print('SystemExit: out of memory', file=sys.stderr)", monkeypatch)


def test_the_key_reaches_the_local_server_by_its_pipe_alone(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    code = """import json, os, sys
key = sys.stdin.readline().strip()
print(json.dumps({"progress": "1 %"}), flush=True)
seen = key in str(os.environ) + str(sys.argv) or "OPENAI_API_KEY" in os.environ
print(json.dumps({"base_url": key, "model": str(seen), "window": 1}), flush=True)
sys.stdin.read()"""
    server = start(code, monkeypatch)
    assert (server.base_url, server.model) == (server.key, "False")
    assert capsys.readouterr().out == "1 %\n"
    server.process.stdin.close()
    assert server.process.wait(10) == 0


def test_a_start_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(local_process, "SILENCE", 0.2)
    with pytest.raises(SetupError, match="ended before it was ready"):
        start("import threading; threading.Event().wait()", monkeypatch)


def test_two_connections_share_one_local_server_and_a_dead_one_is_replaced(monkeypatch):
    code = """import json, sys; sys.stdin.readline()
print(json.dumps({"base_url": "u", "model": "m", "window": 1}), flush=True); sys.stdin.read()"""
    monkeypatch.setattr(local_process, "_command", lambda _: [sys.executable, "-c", code])
    monkeypatch.setattr(local_process, "_servers", {})
    first = local_process.local_server()
    assert local_process.local_server() is first
    first.process.kill()
    first.process.wait()
    second = local_process.local_server()
    assert second.process.pid != first.process.pid
    second.process.stdin.close()
    second.process.wait()


def test_the_popen_of_a_local_server_is_not_a_zombie_after_it_failed(monkeypatch):
    started = []
    real = subprocess.Popen

    def spy(*args, **kwargs):
        started.append(real(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", spy)
    with pytest.raises(SetupError):
        start("pass", monkeypatch)
    assert started[0].returncode is not None
