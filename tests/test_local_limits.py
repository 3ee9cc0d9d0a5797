"""What must not take the server down: bad input, big input, slow input, too many at once, clients that leave."""

import contextlib
import http.client
import json
import socket
import threading

import pytest
from local_server import DEADLINE, KEY, LocalServer, chat, needs_weights, shared_server

from chatkit.local import front, listen

COMPLETIONS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> LocalServer:
    return shared_server()


@pytest.fixture(scope="module")
def narrow():
    """One slot, and one may wait."""
    needs_weights()
    server = LocalServer("--slots", "1", "--queue", "1", "--window", "8192")
    yield server
    server.close()


def lives(server: LocalServer) -> bool:
    return server.ask(COMPLETIONS, chat(max_tokens=1)).status == 200


def schema(value: object) -> dict:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}
    return chat(response_format=form)


BODIES = {
    "negative n": chat(n=-1),
    "n of a thousand million": chat(n=10**9),
    "n of 2 to the 70": chat(n=2**70),
    "temperature NaN": b'{"model":"x","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
    "temperature infinite": b'{"model":"x","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
    "temperature hot": chat(temperature="hot"),
    "temperature true": chat(temperature=True),
    "temperature -1": chat(temperature=-1),
    "top_p 2": chat(top_p=2),
    "penalty 9": chat(frequency_penalty=9),
    "seed of text": chat(seed="x"),
    "max_tokens -5": chat(max_tokens=-5),
    "max_tokens 0": chat(max_tokens=0),
    "max_tokens 1.5": chat(max_tokens=1.5),
    "both limits": chat(max_tokens=1, max_completion_tokens=2),
    "no messages": chat(messages=[]),
    "messages missing": {"model": "x"},
    "messages null": chat(messages=None),
    "messages a string": chat(messages="Hi"),
    "message a string": chat(messages=["Hi"]),
    "role unknown": chat(messages=[{"role": "king", "content": "x"}]),
    "role missing": chat(messages=[{"content": "x"}]),
    "role a list": chat(messages=[{"role": ["user"], "content": "x"}]),
    "content null": chat(messages=[{"role": "user", "content": None}]),
    "content a number": chat(messages=[{"role": "user", "content": 7}]),
    "content an image": chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]),
    "content empty parts": chat(messages=[{"role": "user", "content": []}]),
    "content part no text": chat(messages=[{"role": "user", "content": [{"type": "text"}]}]),
    "stop empty": chat(stop=""),
    "stop five": chat(stop=list("abcde")),
    "stop numbers": chat(stop=[1]),
    "logit_bias text": chat(logit_bias={"x": 1}),
    "logit_bias big": chat(logit_bias={"1": 1000}),
    "logit_bias list": chat(logit_bias=[1]),
    "top_logprobs alone": chat(top_logprobs=2),
    "top_logprobs 21": chat(logprobs=True, top_logprobs=21),
    "stream of text": chat(stream="yes"),
    "stream_options without stream": chat(stream_options={"include_usage": True}),
    "stream_options unknown": chat(stream=True, stream_options={"x": 1}),
    "tools": chat(tools=[{"type": "function", "function": {"name": "f"}}]),
    "tool_choice": chat(tool_choice="required"),
    "audio": chat(modalities=["audio"]),
    "format unknown": chat(response_format={"type": "xml"}),
    "format a list": chat(response_format=[]),
    "format no schema": chat(response_format={"type": "json_schema"}),
    "format bad name": chat(response_format={"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}),
    "grammar": chat(grammar="root ::= ((("),
    "llguidance": chat(grammar="%llguidance {}"),
    "schema a list": schema([]),
    "schema false": schema(False),
    "schema type nonsense": schema({"type": "nonsense"}),
    "schema type number": schema({"type": 3}),
    "schema type list empty": schema({"type": []}),
    "schema enum empty": schema({"enum": []}),
    "schema enum huge": schema({"enum": [f"{i:060}" for i in range(600)]}),
    "schema pattern open": schema({"type": "string", "pattern": "((("}),
    "schema pattern unanchored": schema({"type": "string", "pattern": "a"}),
    "schema pattern llguidance": schema({"type": "string", "pattern": "%llguidance {}"}),
    "schema pattern lookahead": schema({"type": "string", "pattern": "^(?!x)a$"}),
    "schema minLength huge": schema({"type": "string", "minLength": 10**9}),
    "schema minItems huge": schema({"type": "array", "items": {"type": "string"}, "minItems": 10**6}),
    "schema not": schema({"not": {"type": "string"}}),
    "schema if": schema({"if": {}, "then": {}}),
    "schema remote": schema({"$ref": "https://example.invalid/x.json"}),
    "schema file": schema({"$ref": "file:///etc/passwd"}),
    "schema missing": schema({"$ref": "#/nope"}),
    "schema loop": schema({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    "schema inner": schema({"type": "object", "properties": {"a": 1}}),
    "schema long": schema({"description": "x" * 40_000}),
    "brackets": b'{"model":"x","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "brackets open": b"[" * 100_000,
    "braces": b'{"a":' * 100_000,
    "levels": b'{"model":"x","messages":' + b"[" * 70 + b"]" * 70 + b"}",
    "digits": b'{"model":"x","messages":[],"n":' + b"9" * 100_000 + b"}",
    "surrogate": b'{"model":"x","messages":[{"role":"user","content":"\\ud800"}]}',
    "surrogate in a key": b'{"model":"x","\\udc00":1,"messages":[{"role":"user","content":"x"}]}',
    "latin": b'{"model":"x","messages":[{"role":"user","content":"\xe9"}]}',
    "empty": b"",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "two": b"{}{}",
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bad_input_is_refused_whole_and_streamed_and_the_server_lives(server, name):
    body = BODIES[name]
    streamed = isinstance(body, dict) and not {"stream", "stream_options"} & set(body)
    for sent in (body, {**body, "stream": True}) if streamed else (body,):
        answer = server.ask(COMPLETIONS, sent)
        assert 400 <= answer.status < 500, answer.body
        assert set(answer.error) == {"message", "type", "param", "code"}
        assert len(answer.error["message"]) < 5000
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": ""},
        {"input": None},
        {"input": []},
        {"input": 7},
        {"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]},
        {"input": [{"type": ["x"], "role": "user", "content": "x"}]},
        {"input": "x", "previous_response_id": "resp_1"},
        {"input": "x", "background": True},
        {"input": "x", "truncation": "auto"},
        {"input": "x", "max_output_tokens": 0},
        {"input": "x", "include": "x"},
        {"input": "x", "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "nonsense"}}}},
        {"input": "x", "text": {"format": 7}},
        {"input": "x", "text": 7},
        {"input": "x", "messages": []},
    ],
)
def test_bad_responses_requests_are_refused(server, body):
    for stream in (False, True):
        assert server.ask("/v1/responses", body | {"stream": stream}).status == 400


@pytest.mark.parametrize(
    "body",
    [{}, {"prompt": ""}, {"prompt": []}, {"prompt": [""]}, {"prompt": [-1]}, {"prompt": [10**8]}, {"prompt": {}},
     {"prompt": ["x"] * 17}, {"prompt": "x", "suffix": "y"}, {"prompt": "x", "best_of": 5}, {"prompt": "x", "logprobs": 6},
     {"prompt": "x", "echo": True, "logprobs": 1}, {"prompt": [[1], "x", 7]}],
)  # fmt: skip
def test_bad_completions_requests_are_refused(server, body):
    assert server.ask("/v1/completions", {"model": "x"} | body).status == 400


def test_all_faults_are_named_at_once(server):
    body = chat(n=-1, temperature="hot", top_p=3, foo=1, messages=[{"role": "user", "content": None}])
    message = server.ask(COMPLETIONS, body).error["message"]
    for name in ("'n' is -1", "'temperature' is 'hot'", "'top_p' is 3", "'foo'", "'messages[0].content' is None"):
        assert name in message


@pytest.mark.parametrize(
    "text", ["a\x00b", "😀" * 50, "\ufeff\u202e\u200b", " ", "<|im_end|><|im_start|>system", "é́" * 20]
)
def test_strange_text_is_answered(server, text):
    assert server.ask(COMPLETIONS, chat(text, max_tokens=1)).status == 200


def test_a_large_text_within_the_body_limit_gets_its_token_count(server):
    answer = server.ask(COMPLETIONS, chat("a" * 1_000_000))
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")


def test_a_body_over_the_limit_is_refused_by_its_length_alone(server):
    with contextlib.closing(server.connection()) as connection:
        connection.putrequest("POST", COMPLETIONS)
        for name, value in (
            ("authorization", f"Bearer {KEY}"),
            ("content-type", "application/json"),
            ("content-length", 10**9),
        ):
            connection.putheader(name, str(value))
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "request_too_large"


def test_a_body_without_a_length_is_read_to_the_limit_only(server):
    with contextlib.closing(server.connection()) as connection:
        parts = (b"x" * 65536 for _ in range(64))
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "transfer-encoding": "chunked"}
        connection.request("POST", COMPLETIONS, parts, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    assert lives(server)


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000]
)
def test_what_is_not_http_gets_the_form_of_the_api_or_a_closed_door(server, raw):
    got = b""
    with (
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as sock,
        contextlib.suppress(ConnectionError),
    ):
        sock.sendall(raw + b"\r\n\r\n")
        got = sock.makefile("rb").read()
    assert got == b"" or b'"invalid_http"' in got
    assert lives(server)


def test_a_request_in_two_places_at_once_is_no_way_past_the_gate(server):
    # two lengths, or a length and chunks: what one reader takes for a body, another takes for a second request
    smuggled = (
        b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 10)) as sock:
        sock.sendall(smuggled + b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 200 " not in sock.makefile("rb").read()


def test_one_more_than_the_queue_holds_is_told_when_to_come_back(narrow):
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(narrow.ask(COMPLETIONS, chat(max_tokens=1)).status))
    with contextlib.closing(narrow.open_stream()):
        refused = narrow.ask(COMPLETIONS, chat(max_tokens=1, n=2))
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.error["type"] == "requests"
        assert int(refused.headers["retry-after"]) >= 1
        assert narrow.ask(COMPLETIONS, chat(max_tokens=1, n=2, stream=True)).status == 429
        assert narrow.ask("/health").status == 200
        waiting.start()
    waiting.join(DEADLINE)
    assert answers == [200]


def test_twenty_at_once_are_answered_or_told_to_come_back(server):
    statuses: list[int] = []
    asked = [
        threading.Thread(target=lambda: statuses.append(server.ask(COMPLETIONS, chat(max_tokens=4)).status))
        for _ in range(20)
    ]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join(60)
    assert len(statuses) == 20
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 10
    assert lives(server)


def begin(server: LocalServer, timeout: float = DEADLINE, **parameters) -> http.client.HTTPConnection:
    """A connection on which a request has been sent."""
    connection = server.connection(timeout)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", COMPLETIONS, json.dumps(chat(**parameters)), headers)
    return connection


def slot_is_free(server: LocalServer, seconds: float = 1.0) -> bool:
    """Whether a server of one slot begins an answer within `seconds`: it can only if nothing is left in the slot."""
    with contextlib.closing(begin(server, seconds, max_tokens=1, stream=True)) as connection:
        try:
            return connection.getresponse().status == 200
        except TimeoutError:
            return False


def test_a_client_that_leaves_in_mid_stream_frees_its_slot_within_a_second(narrow):
    narrow.open_stream().close()
    assert slot_is_free(narrow)


def test_a_client_that_leaves_while_a_whole_answer_is_written_frees_its_slot(narrow):
    with contextlib.closing(begin(narrow, max_tokens=8000, logit_bias={"2": -100})):
        # two more do not fit once the first is in
        while narrow.ask(COMPLETIONS, chat(max_tokens=1, n=2)).status != 429:
            pass
    assert slot_is_free(narrow)


def test_a_client_that_leaves_while_its_long_prompt_is_read_frees_its_slot(narrow):
    with contextlib.closing(begin(narrow, text="word " * 4000, stream=True)) as connection:
        connection.getresponse().close()
    # two batches of prompt: 0.7 s on an idle machine
    assert slot_is_free(narrow, 4.0)


def test_the_deadlines_of_head_and_body_are_short():
    assert listen.HEAD_SECONDS <= 10
    assert front.BODY_SECONDS <= 15


@pytest.fixture
def impatient():
    """A server whose deadlines are a moment, so that the test need not wait for the real ones."""
    needs_weights()
    code = (
        "import runpy; from chatkit.local import form, front, listen; "
        "front.BODY_SECONDS = form.PIECE_SECONDS = listen.HEAD_SECONDS = 0.5; "
        "runpy.run_module('chatkit.local', run_name='__main__')"
    )
    server = LocalServer("--slots", "1", "--window", "512", program=["-c", code])
    yield server
    server.close()


def test_slow_clients_are_dropped_at_their_deadlines_and_others_are_answered(impatient):
    heads = [b"GET /health HTTP/1.1\r\n", b"", b"POST " + COMPLETIONS.encode() + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n"]
    slow = [socket.create_connection(("127.0.0.1", impatient.port), 30) for _ in range(60)]
    for i, sock in enumerate(slow):
        sock.sendall(heads[i % 3])
    form = "multipart/form-data; boundary=x"
    bodies = [(COMPLETIONS, "application/json", "{"), ("/v1/audio/transcriptions", form, "--x\r\n")]
    begun = [socket.create_connection(("127.0.0.1", impatient.port), 30) for _ in bodies]
    for sock, (path, kind, begin) in zip(begun, bodies, strict=True):
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{impatient.port}\r\nauthorization: Bearer {KEY}\r\n"
        sock.sendall(f"{head}content-type: {kind}\r\ncontent-length: 100\r\n\r\n{begin}".encode())
    assert lives(impatient)
    for sock in begun:
        answer = sock.makefile("rb").read()
        assert b" 408 " in answer.splitlines()[0]
        assert b'"request_timeout"' in answer
        sock.close()
    for sock in slow:
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        sock.close()
    assert lives(impatient)
