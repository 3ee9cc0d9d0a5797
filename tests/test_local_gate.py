"""Who may come in: the right key, a Host of ours, no web page; and nothing beside the API answers."""

import contextlib
import socket

import psutil
import pytest
from local_server import KEY, LocalServer, chat, shared_server

from chatkit.local.gate import Hosts

COMPLETIONS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> LocalServer:
    return shared_server()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY}x",
        f"Bearer {KEY.upper()}",
        f"Bearer  {KEY}",
        f"Basic {KEY}",
        KEY,
        "Bearer sk-real-looking-key-of-someone",
        "Bearer \xff\xfe",
    ],
)
def test_without_the_exact_key_there_is_no_answer_and_no_word_of_a_key(server, authorization):
    for path, body in (("/v1/models", None), (COMPLETIONS, chat()), ("/v1/nothing", None)):
        answer = server.ask(path, body, authorization=authorization)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        assert "sk-" not in answer.error["message"]
        assert KEY[:16] not in answer.body.decode()


def test_the_scheme_may_be_written_in_any_case(server):
    assert server.ask("/v1/models", authorization=f"bearer {KEY}").status == 200


def test_health_is_open_and_says_nothing_more(server):
    answer = server.ask("/health", authorization=None)
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
    assert answer.headers["server"] == "chatkit-local"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1", "", "http://localhost:1"],
)
def test_a_web_page_is_refused_before_its_request_is_read(server, origin):
    for path, body in ((COMPLETIONS, b"not even JSON"), ("/health", None), ("/v1/models", None)):
        answer = server.ask(path, body, origin=origin)
        assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed")
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_preflight_gets_no_leave(server):
    answer = server.ask(COMPLETIONS, method="OPTIONS", origin="https://evil.example", authorization=None)
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_of_the_server_itself_may_ask_and_gets_no_cors_header(server):
    answer = server.ask("/v1/models", origin=f"http://127.0.0.1:{server.port}")
    assert answer.status == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_only_json_is_read(server, kind):
    answer = server.ask(COMPLETIONS, chat(), content_type=kind)
    assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")


def test_the_charset_of_json_is_no_fault(server):
    assert server.ask(COMPLETIONS, chat(max_tokens=1), content_type="application/json; charset=utf-8").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "evil@127.0.0.1:{port}",
        "",
    ],
)
def test_a_rebound_name_is_refused(server, host):
    answer = server.ask("/v1/models", host=host.format(port=server.port))
    assert (answer.status, answer.error["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_the_names_of_loopback_are_known(server, host):
    assert server.ask("/v1/models", host=host.format(port=server.port)).status == 200


def test_a_server_for_others_knows_addresses_and_its_own_name_but_no_strange_name():
    hosts = Hosts("0.0.0.0", 80)
    assert "192.0.2.7:80" in hosts
    assert "[2001:db8::1]:80" in hosts
    assert f"{socket.gethostname()}:80" in hosts
    assert "evil.example:80" not in hosts
    assert "lab.example:80" in Hosts("lab.example", 80)
    assert "192.0.2.7:80" not in Hosts("lab.example", 80)


@pytest.mark.parametrize(
    "path",
    ["/slots", "/props", "/metrics", "/lora-adapters", "/models/load", "/completion", "/tokenize", "/infill", "/v1/embeddings",
     "/v1/messages", "/docs", "/openapi.json", "/v1/../slots", "/v1//models", "/v1/models/", "/tools", "/cors-proxy"],
)  # fmt: skip
def test_nothing_of_the_engine_beside_the_api_answers(server, path):
    for method in ("GET", "POST"):
        answer = server.ask(path, {} if method == "POST" else None, method=method)
        assert answer.status in (404, 405), path


def test_it_listens_on_one_loopback_port_only(server):
    process = psutil.Process(server.process.pid)
    listening = [c.laddr for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", server.port) in listening
    assert {address.ip for address in listening} == {"127.0.0.1"}
    for port in {address.port for address in listening} - {server.port}:
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}")
            assert b" 401 " in sock.makefile("rb").readline()


def test_no_answer_holds_a_path_of_this_machine(server):
    asked = [
        server.ask("/v1/models"),
        server.ask(COMPLETIONS, chat()),
        server.ask("/v1/completions", {"model": "any", "prompt": "x"}),
        server.ask("/v1/responses", {"input": "x", "max_output_tokens": 1}),
        server.ask(COMPLETIONS, chat("word " * 1500)),
        server.ask("/v1/nothing"),
    ]
    for answer in asked:
        whole = answer.body.decode() + repr(answer.headers)
        assert ".gguf" not in whole
        assert "/home" not in whole
        assert "/tmp" not in whole


@pytest.mark.parametrize(
    "parameter",
    ["grammar", "id_slot", "lora", "slot_id", "n_probs", "cache_prompt", "json_schema", "samplers", "ignore_eos", "top_k",
     "chat_template_kwargs", "return_progress", "__verbose", "model_path"],
)  # fmt: skip
def test_parameters_of_the_engine_alone_are_unknown(server, parameter):
    answer = server.ask(COMPLETIONS, chat(**{parameter: 1}))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unknown_parameter", parameter)
