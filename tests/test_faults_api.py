"""Faults before the first byte of an answer (group A of the catalogue), played by a raw server.

The server's log says how often was asked; what the meter booked must agree with it.
"""

import json
import shutil
import socket
import ssl
import subprocess
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from faultserver import (
    CLOSE,
    DONE,
    GATE,
    RESET,
    FaultServer,
    completion,
    head,
    refusal,
    reply,
    say,
    stop,
    stream,
)
from turns import BODY, KEY, Taken, ask, outcomes

from chatkit.api.errors import asked_wait
from chatkit.client.deadlines import Deadlines
from chatkit.client.reply import Wait
from chatkit.client.run import start
from chatkit.exceptions import EndpointError, InputError

GOOD = stream(say("Hello"), stop(), DONE)
HASTY = Deadlines(first_content=0.1, idle=0.1)


def failed(taken: Taken) -> EndpointError:
    """The error of a turn in which nothing came back."""
    assert (taken.reply.outcome, taken.items and taken.text) == ("error", taken.items and "")
    assert isinstance(taken.reply.error, EndpointError)
    return taken.reply.error


# too many requests


def test_a_429_is_waited_out_as_long_as_it_asks_and_tried_again() -> None:
    with FaultServer(refusal(429, "Slow down", {"retry-after": "1"}), GOOD) as server:
        taken = ask(server)
    why = "The endpoint takes no more requests for now (rate limit, 429)."
    assert taken.waits == [Wait(1.0, 2, 3, why)]
    assert taken.naps == [1.0]
    assert taken.text == "Hello"
    assert [seen.attempt for seen in server.log] == [1, 2]


def test_a_429_without_a_time_is_tried_twice_more_with_own_waits() -> None:
    with FaultServer(refusal(429, "Slow down", code="rate_limit_exceeded")) as server:
        taken = ask(server, chance=0.5)
    assert taken.naps == [0.4375, 0.875]
    assert [seen.attempt for seen in server.log] == [1, 2, 3]
    assert failed(taken).kind == "rate_limit"
    assert taken.message == (
        "The endpoint takes no more requests for now (rate limit, 429) after 3 attempts. "
        "It says: “Slow down” Wait a moment and try again."
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "300"}, 0.3),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "junk", "retry-after": "2"}, 2.0),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after": "-5"}, 0.5),
        ({"retry-after": "1e999"}, 0.5),
        ({"retry-after": "nan"}, 0.5),
        ({"retry-after": ""}, 0.5),
    ],
)
def test_each_form_of_retry_after_is_obeyed_and_nonsense_is_not(headers: dict[str, str], seconds: float) -> None:
    with FaultServer(refusal(429, "no", headers), GOOD) as server:
        taken = ask(server)
    assert (taken.naps, taken.text) == ([seconds], "Hello")


def test_a_date_in_retry_after_is_waited_for() -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert asked_wait({"retry-after": format_datetime(now + timedelta(seconds=20), usegmt=True)}, now) == 20.0
    assert asked_wait({"retry-after": format_datetime(now - timedelta(seconds=20), usegmt=True)}, now) is None
    assert asked_wait({"retry-after": "Mon, 99 Nov 2026 00:00:00 GMT"}, now) is None


def test_a_wait_that_is_too_long_is_not_taken_and_the_time_is_named() -> None:
    with FaultServer(refusal(429, "Slow down", {"retry-after": "3600"})) as server:
        before = datetime.now(UTC)
        taken = ask(server)
        after = datetime.now(UTC)
    assert (len(server.log), taken.naps) == (1, [])
    error = failed(taken)
    assert error.retry_at is not None
    assert before + timedelta(hours=1) <= error.retry_at <= after + timedelta(hours=1)
    assert f"Try again at {error.retry_at.astimezone():%H:%M}" in taken.message


def test_a_wait_that_no_calendar_holds_is_not_taken() -> None:
    with FaultServer(refusal(429, "no", {"retry-after": "1e300"})) as server:
        assert failed(ask(server)).retry_at is None
    assert len(server.log) == 1


@pytest.mark.parametrize("code", [None, "insufficient_quota"])
def test_an_empty_account_is_told_without_a_code_where_none_was_sent(code):
    with FaultServer(refusal(429, "no", code=code, type="insufficient_quota")) as server:
        said = ask(server).message
    named = f" ({code or 'insufficient_quota'})"  # without a code, its type says which
    assert f"has no credit left, or has reached its spending limit{named}." in said
    assert "None" not in said


@pytest.mark.parametrize(
    "code", ["insufficient_quota", "credit_balance_exhausted", "project_spend_limit_exceeded", "spend_limit_exceeded"]
)
def test_a_429_that_cannot_get_better_is_sent_once(code: str) -> None:
    with FaultServer(refusal(429, "No credit", {"retry-after": "1"}, code=code)) as server:
        taken = ask(server)
    assert (len(server.log), taken.naps, failed(taken).kind) == (1, [], "quota")
    assert "Trying again does not help" in taken.message


# failing servers


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_a_server_that_fails_twice_is_answered_at_the_third_attempt(status: int) -> None:
    with FaultServer(refusal(status), refusal(status), GOOD) as server:
        taken = ask(server)
    assert (taken.text, taken.naps) == ("Hello", [0.5, 1.0])
    assert [seen.attempt for seen in server.log] == [1, 2, 3]
    assert outcomes(taken.reply.records) == [(1, "error", status), (2, "error", status), (3, "complete", 200)]


def test_an_html_page_in_the_place_of_an_error_is_shortened_to_its_text() -> None:
    page = "<html><head><title>t</title></head><body><h1>502 Bad Gateway</h1><script>alert(1)</script>" + "x " * 5000
    with FaultServer(reply(502, page, {"content-type": "text/html"})) as server:
        taken = ask(server, attempts=1)
    error = failed(taken)
    assert error.kind == "server"
    assert "502 Bad Gateway" in taken.message
    assert not any(word in taken.message for word in ("<", "alert", "script"))
    assert len(taken.message) < 450


@pytest.mark.parametrize("status", [408, 409])
def test_a_conflict_or_a_timeout_is_tried_again(status: int) -> None:
    with FaultServer(refusal(status), GOOD) as server:
        assert ask(server).text == "Hello"
    assert len(server.log) == 2


@pytest.mark.parametrize("status", [400, 404, 413, 422, 501])
def test_a_request_that_is_wrong_is_not_tried_again(status: int) -> None:
    with FaultServer(refusal(status, "That is wrong")) as server:
        taken = ask(server)
    assert (len(server.log), taken.naps) == (1, [])
    assert failed(taken).status == status
    assert "That is wrong" in taken.message


def test_the_endpoint_may_say_itself_whether_to_try_again() -> None:
    with FaultServer(refusal(500, "no", {"x-should-retry": "false"})) as server:
        ask(server)
        assert len(server.log) == 1
    with FaultServer(refusal(400, "no", {"x-should-retry": "true"}), GOOD) as server:
        assert ask(server).text == "Hello"


def test_the_number_of_attempts_can_be_set() -> None:
    with FaultServer(refusal(500)) as server:
        ask(server, attempts=5)
    assert [seen.attempt for seen in server.log] == [1, 2, 3, 4, 5]


# too long a conversation


@pytest.mark.parametrize(
    ("message", "fields", "said"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            {"code": "context_length_exceeded"},
            "The conversation has 9,000 tokens and the model takes 8,192: 808 too many.",
        ),
        (
            "the request exceeds the available context size, try increasing it",
            {"type": "exceed_context_size_error", "n_prompt_tokens": 1557, "n_ctx": 1024},
            "The conversation has 1,557 tokens and the model takes 1,024: 533 too many.",
        ),
        (
            "Your input exceeds the context window of this model.",
            {"code": "context_length_exceeded"},
            "The conversation is longer than the model can read.",
        ),
    ],
)
def test_a_conversation_that_is_too_long_says_by_how_much(message: str, fields: dict[str, Any], said: str) -> None:
    with FaultServer(refusal(400, message, **fields)) as server:
        taken = ask(server)
    assert failed(taken).kind == "context_length"
    assert taken.message.startswith(said)
    assert "Drop the oldest turns or start a new chat" in taken.message


# who may ask for what


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-test-*************wxyz. You can find it at https://example.test.",
        "Wrong key sk-t...wxyz",
        f"Wrong key {KEY}",
        "Your key starting with sk-t and ending in wxyz is wrong",
    ],
)
@pytest.mark.parametrize("status", [401, 403, 400, 500])
def test_no_part_of_the_key_is_passed_on(words: str, status: int) -> None:
    with FaultServer(refusal(status, words, code="invalid_api_key" if status == 401 else None)) as server:
        taken = ask(server, attempts=1)
    shown = [taken.message, repr(taken.reply), taken.reply.raw.decode(), _traceback(taken)]
    assert not [part for part in ("sk-t", "wxyz", KEY) for text in shown if part in text]


def _traceback(taken: Taken) -> str:
    async def again():
        yield taken.reply

    run = start(again)
    try:
        run.wait()
    except EndpointError:
        return traceback.format_exc()
    raise AssertionError("nothing came back, and nothing was raised")


def test_a_401_says_what_to_check() -> None:
    with FaultServer(refusal(401, "no", code="invalid_api_key")) as server:
        taken = ask(server)
    assert (failed(taken).kind, failed(taken).code, len(server.log)) == ("auth", "invalid_api_key", 1)
    assert taken.message.startswith("The endpoint does not accept the API key (401).")


def test_a_403_names_the_model_asked_for() -> None:
    with FaultServer(refusal(403, "Country, region, or territory not supported")) as server:
        taken = ask(server)
    assert failed(taken).kind == "permission"
    assert "'asked'" in taken.message
    assert "Country, region, or territory not supported" in taken.message


def test_a_404_names_the_model_and_near_names() -> None:
    listed = reply(200, {"data": [{"id": name} for name in ("gpt-6-luna", "gpt-6-sol", "whisper-1")]})
    missing = refusal(404, "The model `gpt-6-lunar` does not exist", code="model_not_found")
    with FaultServer(missing, listed) as server:
        taken = ask(server, {**BODY, "model": "gpt-6-lunar"})
    assert [seen.path for seen in server.log] == ["/v1/chat/completions", "/v1/models"]
    assert failed(taken).code == "model_not_found"
    assert taken.message == (
        "The endpoint has no model 'gpt-6-lunar' (404). It says: “The model `gpt-6-lunar` does not exist” "
        "Near names that it has: gpt-6-luna, gpt-6-sol."
    )


def test_a_404_without_a_list_of_models_still_names_the_model() -> None:
    with FaultServer(refusal(404, "model not found"), reply(500)) as server:
        taken = ask(server)
    said = "The endpoint has no model 'asked' (404). It says: “model not found”"
    assert taken.message == f"{said} Choose a model that it lists at /models."


# no connection


def test_each_way_to_have_no_connection_has_its_own_sentence(free_port: int) -> None:
    refused = ask(None, url=f"http://127.0.0.1:{free_port}/v1")
    unknown = ask(None, transport=Unknown())
    bare = ask(None, url="127.0.0.1:8080/v1")
    ftp = ask(None, url="ftp://127.0.0.1/v1")
    assert refused.message == (
        f"Nothing answers at 127.0.0.1:{free_port}: the connection was refused. Is the server running?"
    )
    assert unknown.message == "The name 'nowhere.test' is not known (DNS). Check its spelling, and the network."
    assert "'127.0.0.1:8080/v1/chat/completions' does not begin with http://" in bare.message
    assert "'ftp://127.0.0.1/v1/chat/completions' does not begin with http://" in ftp.message
    assert {failed(t).kind for t in (refused, unknown, bare, ftp)} == {"connection"}
    assert (refused.naps, unknown.naps, bare.naps, ftp.naps) == ([0.5, 1.0], [], [], [])


class Unknown(httpx2.AsyncBaseTransport):
    """A network without names: no test may ask a real one."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:  # the interface
        raise httpx2.ConnectError("lookup") from socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def free_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="module")
def own_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("makes a certificate with the openssl program, which is not here")
    folder = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [openssl, *made.split(), "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True
    )
    return folder


def test_a_certificate_of_an_unknown_authority_names_the_way_to_trust_it(own_authority: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own_authority / "cert.pem", own_authority / "key.pem")
    with FaultServer(GOOD, tls=tls) as server:
        taken = ask(server)
    assert (failed(taken).kind, taken.naps, server.log) == ("tls", [], [])
    assert f"The certificate of 127.0.0.1:{server.port} is not trusted" in taken.message
    assert "SSL_CERT_FILE" in taken.message


def test_https_to_a_server_without_tls_says_so() -> None:
    with FaultServer(GOOD, greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        taken = ask(server, url=server.url.replace("http", "https"))
    assert (failed(taken).kind, taken.naps) == ("tls", [])
    assert taken.message == (
        f"127.0.0.1:{server.port} does not speak TLS. Write http:// instead of https:// if it is yours."
    )


def test_a_server_that_does_not_take_the_connection_is_given_up_at_the_connect_deadline() -> None:
    with FaultServer(GOOD) as server:
        taken = ask(server, url=server.url.replace("http", "https"), deadlines=Deadlines(connect=0.1))
    assert failed(taken).kind == "connection"
    assert taken.message.startswith(f"127.0.0.1:{server.port} did not take the connection within 0.1 s.")
    assert taken.naps == [0.5, 1.0]


def test_a_port_that_does_not_speak_http_says_so() -> None:
    with FaultServer([b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CLOSE]) as server:
        taken = ask(server)
    assert (failed(taken).kind, taken.naps) == ("bad_answer", [])
    assert "does not speak HTTP" in taken.message


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_that_is_closed_without_an_answer_is_tried_again(end: str) -> None:
    with FaultServer([end], [end], GOOD) as server:
        taken = ask(server)
    assert (taken.text, len(server.log)) == ("Hello", 3)


def test_a_request_that_is_not_json_is_an_input_error() -> None:
    for odd in (float("nan"), object(), "\ud800"):
        reply = ask(None, {**BODY, "odd": odd}).reply
        assert isinstance(reply.error, InputError)
        assert reply.outcome == "error"


def test_a_key_that_no_header_can_carry_is_not_quoted() -> None:
    taken = ask(None, key="kéy-abcdefgh")
    assert isinstance(taken.reply.error, InputError)
    assert "é" not in taken.message


# accepts, and never answers


def test_a_server_that_never_answers_is_asked_once_more_and_then_given_up() -> None:
    with FaultServer([GATE]) as server:
        taken = ask(server, deadlines=HASTY)
    assert (len(server.log), failed(taken).kind) == (2, "timeout")
    assert taken.message == "Not a word of an answer came within 0.1 s. Try again, or allow more time."
    assert taken.reply.notes == ("an attempt that brought no answer was made again; it may be billed twice",)
    assert outcomes(taken.reply.records) == [(1, "error", None), (2, "error", None)]
    assert [row.usage.known for row in taken.reply.records] == ["unknown", "unknown"]


def test_a_server_that_only_sends_its_head_is_as_silent() -> None:
    with FaultServer([head(200, {"content-type": "text/event-stream"}), b": wait\n\n", GATE], GOOD) as server:
        taken = ask(server, deadlines=HASTY)
    assert (taken.text, len(server.log), len(taken.reply.notes)) == ("Hello", 2, 1)


def test_the_whole_turn_ends_at_its_deadline_however_many_attempts_are_left() -> None:
    with FaultServer([GATE]) as server:
        taken = ask(server, deadlines=Deadlines(first_content=60, turn=0.1))
    assert (len(server.log), taken.message) == (1, "The turn took longer than 0.1 s. Continue, or allow more time.")


def test_no_wait_goes_beyond_the_turns_deadline() -> None:
    with FaultServer(refusal(429, "no", {"retry-after": "50"})) as server:
        taken = ask(server, deadlines=Deadlines(turn=10))
    assert (len(server.log), taken.naps) == (1, [])


# 200, and yet no answer


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/event-stream", "application/json"])
def test_a_sign_in_page_is_not_an_answer(kind: str) -> None:
    page = "<!DOCTYPE html><html><body>Please <b>sign in</b><script>x()</script></body></html>"
    with FaultServer(reply(200, page, {"content-type": kind})) as server:
        taken = ask(server)
    error = failed(taken)
    assert (error.kind, error.status, len(server.log)) == ("bad_answer", 200, 1)
    assert f"not an API answer: {kind.partition(';')[0]}, “Please sign in”" in taken.message
    assert taken.items == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "boom", "type": "server_error"}}, "server"),
        ({"error": "boom"}, "server"),
        ({"error": {"message": "no", "code": "insufficient_quota"}}, "quota"),
        ({"choices": []}, "bad_answer"),
        ({"choices": None}, "bad_answer"),
        ({"choices": "abc"}, "bad_answer"),
        ({}, "bad_answer"),
        ([], "bad_answer"),
        (b"", "bad_answer"),
        (b"  \n ", "bad_answer"),
        (json.dumps(completion("Hello")).encode()[:80], "bad_answer"),
        (b'{"choices": nonsense}', "bad_answer"),
        (b"[" * 100_000, "bad_answer"),
        (b"hello", "bad_answer"),
        (b"data: {\n\n", "bad_answer"),
        (b"data: [DONE]\n\n", "bad_answer"),
        (b"data: 5\n\n", "bad_answer"),
    ],
)
def test_a_200_without_an_answer_is_a_typed_error(body: Any, kind: str) -> None:
    with FaultServer(reply(200, body)) as server:
        taken = ask(server)
    assert (failed(taken).kind, len(server.log)) == (kind, 1)
    assert taken.items == []


def test_a_json_answer_to_a_stream_request_is_used() -> None:
    with FaultServer(reply(200, completion("Hello", "length"))) as server:
        taken = ask(server)
    assert (taken.text, taken.reply.outcome) == ("Hello", "length")


# elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_that_the_key_goes_nowhere_else(status: int) -> None:
    with FaultServer(GOOD) as other:
        with FaultServer(reply(status, b"", {"location": f"{other.url}/chat/completions?key=abc"})) as server:
            taken = ask(server)
        assert (len(server.log), other.log) == (1, [])
    assert taken.message.startswith(f"The endpoint sends elsewhere ({status}), to {other.url}.")
    assert failed(taken).kind == "connection"
