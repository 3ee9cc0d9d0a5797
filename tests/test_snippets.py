"""Requests as code: each snippet is run against a loopback server, which must get the same request again."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from inspect import signature
from io import StringIO
from typing import Any

import openai
import pytest
from faultserver import DONE, FaultServer, completion, event, reply, say, stop, stream
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from local_server import needs_weights
from openai.resources import Completions
from openai.resources.chat import Completions as ChatCompletions
from openai.resources.responses import Responses

import chatkit
from chatkit.api.hosts import OPENAI
from chatkit.api.parameters import named
from chatkit.client import code, local_process
from chatkit.client.address import Endpoint
from chatkit.client.code import conversation_code, literal
from chatkit.client.keys import without_keys
from chatkit.conversation.conversation import Message

KEY = "sk-proj-" + "A1b2C3d4E5f6G7h8I9j0_K-L"
HOSTILE = [
    'It\'s "quoted" `whoami` $HOME $(id) \\ ! #{x} %s {y}',
    "'''\n\"\"\"\nJSON\nEOF\n",
    'ends in a quote"',
    "line\r\nline\ttab \x00 \x1b[31m \x7f",
    "Grüße 😀 \u202eabc\u2066 \u200b\u2028 \ufeff",
    "-n @file --data ';' && echo hi; exit 1",
    "trailing space \nand more\n\n",
    "\\N{DASH} \\u0041 \\",
    "",
]
QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
TALK = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(("system", "user", "assistant")),
        st.text(max_size=40) | st.sampled_from(HOSTILE),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(reply(200, completion("Brazil"))) as running:
        yield running


def chat(url: str, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Where was it held?"}]
    return {"method": "POST", "url": f"{url}/chat/completions", "body": {"model": "m", "messages": messages, **body}}


def run(source: str) -> str:
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(source, "snippet", "exec"), {"__name__": "snippet"})
    return printed.getvalue()


def shell(command: str) -> str:
    ran = subprocess.run(["bash"], input=command.encode(), capture_output=True, check=True, timeout=20)
    return ran.stdout.decode()


# --- Python


@pytest.mark.parametrize("text", HOSTILE)
def test_the_python_sends_the_same_request(server, text):
    request = chat(server.url, messages=[{"role": "user", "content": text}], temperature=0.5, stop=["\n", '"'])
    assert run(code.python(request)) == "Brazil\n"
    assert (server.log[-1].path, server.log[-1].json) == ("/v1/chat/completions", request["body"])
    assert server.log[-1].headers["authorization"] == f"Bearer {KEY}"


@QUIET
@given(TALK, st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=2))
def test_the_python_sends_any_request_again(server, talk, more):
    request = chat(server.url, messages=talk)
    request["body"] = {**more, **request["body"]}
    assume(without_keys(request["body"]) == request["body"] and "stream" not in more)
    run(code.python(request))
    assert server.log[-1].json == request["body"]


def test_a_parameter_that_the_sdk_does_not_know_goes_along(server):
    request = chat(server.url, **{"top_k": 5, "class": "x", "a-b": {"c": None}, "extra_body": 1, "timeout": 3})
    run(code.python(request))
    assert server.log[-1].json == request["body"]


@pytest.mark.parametrize(
    ("api", "resource"), [("chat", ChatCompletions), ("responses", Responses), ("completions", Completions)]
)
def test_the_sdk_takes_by_name_what_is_given_by_name(api, resource):
    names = named(api)
    assert {"model", "stream", "temperature"} <= names <= set(signature(resource.create).parameters)


def test_a_stream_is_printed_as_it_comes():
    with FaultServer(stream(say("Bra"), say("zil"), stop(), DONE)) as server:
        request = chat(server.url, stream=True, stream_options={"include_usage": True})
        assert run(code.python(request)) == "Brazil"
        assert server.log[-1].json == request["body"]


def test_responses_are_sent_and_printed():
    item = {"type": "message", "id": "i", "status": "completed", "role": "assistant"}
    whole = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": [
        {**item, "content": [{"type": "output_text", "text": "Brazil", "annotations": []}]}
    ], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}  # fmt: skip
    delta = {"type": "response.output_text.delta", "delta": "Brazil", "item_id": "i", "output_index": 0,
             "content_index": 0, "logprobs": [], "sequence_number": 1}  # fmt: skip
    with FaultServer(reply(200, whole), stream(event(delta, delta["type"]))) as server:
        request = {
            "url": f"{server.url}/responses",
            "body": {"model": "m", "input": "Where?", "reasoning": {"effort": "low"}},
        }
        assert run(code.python(request)) == "Brazil\n"
        assert (server.log[0].path, server.log[0].json) == ("/v1/responses", request["body"])
        request["body"]["stream"] = True
        assert run(code.python(request)) == "Brazil"
        assert server.log[1].json == request["body"]


def test_a_call_of_another_kind_is_posted_as_it_is(server):
    request = {"url": f"{server.url}/moderations", "body": {"model": "m", "input": "x"}}
    run(code.python(request))
    assert (server.log[-1].path, server.log[-1].json) == ("/v1/moderations", request["body"])


def test_an_azure_deployment_has_azures_client(server, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-" + "0123456789abcdef")
    host = server.url.removesuffix("/v1")
    request = chat(f"{host}/openai/deployments/class")
    request["url"] += "?api-version=2024-10-21"
    run(code.python(request))
    assert server.log[-1].path == "/openai/deployments/class/chat/completions?api-version=2024-10-21"
    assert server.log[-1].json == request["body"]
    shell(code.curl(request))
    assert server.log[-1].headers["api-key"] == "azure-" + "0123456789abcdef"


def test_the_python_for_chatkits_own_server_runs_by_connect(server, monkeypatch):
    asked: list[dict[str, Any]] = []

    def stand_in(**arguments: Any) -> openai.OpenAI:
        asked.append(arguments)
        return openai.OpenAI(base_url=server.url, api_key="x")

    monkeypatch.setattr(chatkit, "connect", stand_in)
    request = chat("http://127.0.0.1:9/v1")
    assert run(code.python(request, local=True)) == "Brazil\n"
    assert (asked, server.log[-1].json) == ([{"local": True}], request["body"])


def test_chatkits_own_server_is_named_by_what_it_is_and_not_by_its_port(server):
    source = code.python(chat(server.url), local=True)
    assert source.startswith("import chatkit\n\nclient = chatkit.connect(local=True)\nresponse = ")
    assert "127.0.0.1" not in source


def test_the_hosted_api_needs_no_address():
    source = code.python(chat("https://api.openai.com/v1"))
    assert source.splitlines()[:3] == [
        "from openai import OpenAI",
        "",
        "client = OpenAI()  # the key is in OPENAI_API_KEY",
    ]
    elsewhere = code.python(chat("https://models.example.org/v1"))
    assert (
        'OpenAI(\n    base_url="https://models.example.org/v1",\n    api_key=os.environ["OPENAI_API_KEY"],\n)'
        in elsewhere
    )


def test_the_python_is_laid_out_as_ruff_lays_it_out(tmp_path):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    requests = [
        chat("https://api.openai.com/v1"),
        chat("https://models.example.org/v1", stream=True, seed=-7, temperature=1e-05, logit_bias={"50256": -100}),
        chat("http://127.0.0.1:8080/v1", messages=[{"role": "user", "content": text} for text in HOSTILE]),
        chat(
            "http://[::1]:1/v1", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        ),
        {"url": "https://api.openai.com/v1/responses", "body": {"model": "m", "input": "x" * 200, "a-b": []}},
        {
            "url": "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "body": {"model": "d"},
        },
        {"url": "https://models.example.org/v1/rerank", "body": {"query": {}}},
    ]
    cells = [
        conversation_code([Message("user", text, enabled=i % 2 == 0) for i, text in enumerate(HOSTILE)], "m"),
        conversation_code([], None, {"a-b": 1, "seed": 2}, endpoint=Endpoint("https://models.example.org/v1", "k", "m", "a")),
        conversation_code([], None, {}, "responses", Endpoint("https://a", "", "m", "Azure", azure=(("azure_endpoint", "https://a"), ("api_version", "1")))),
    ]  # fmt: skip
    for number, source in enumerate([*map(code.python, requests), *cells]):
        ast.parse(source)
        (tmp_path / f"{number}.py").write_text(source + "\n", encoding="utf-8")
    check = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--diff", str(tmp_path)]
    ran = subprocess.run(check, capture_output=True, text=True, check=False)
    assert ran.stdout == ""


@given(JSON | st.sampled_from(HOSTILE))
def test_a_literal_is_the_value_again(value):
    assert ast.literal_eval(literal(value)) == value
    assert all(character.isprintable() or character == "\n" for character in literal(value))


# --- curl and JSON


@pytest.mark.parametrize("text", HOSTILE)
def test_the_curl_sends_the_same_request(server, text):
    request = chat(server.url, messages=[{"role": "user", "content": text}])
    answer = shell(code.curl(request))
    assert json.loads(answer)["choices"][0]["message"]["content"] == "Brazil"
    seen = server.log[-1]
    assert (seen.method, seen.path, seen.json) == ("POST", "/v1/chat/completions", request["body"])
    assert (seen.headers["authorization"], seen.headers["content-type"]) == (f"Bearer {KEY}", "application/json")


@QUIET
@given(TALK, JSON)
def test_the_curl_sends_any_request_again(server, talk, more):
    request = chat(server.url, messages=talk, more=more)
    assume(without_keys(request["body"]) == request["body"])
    shell(code.curl(request))
    assert server.log[-1].json == request["body"]


def test_the_curl_for_chatkits_own_server_takes_the_key_of_this_kernel_and_says_what_a_terminal_needs(
    server, monkeypatch
):
    monkeypatch.setenv(local_process.KEY, "chatkit-local-" + "0" * 24)
    for more in ({}, {"stream": True}, {"user": "x" * 200_000}):
        request = chat(server.url, **more)
        command = code.curl(request, local=True)
        assert "chatkit-local-" not in command and "OPENAI_API_KEY" not in command
        assert command.partition("\n")[0].endswith("export CHATKIT_KERNEL_KEY=… (chatkit.connect(local=True).api_key)")
        shell(command)
        assert server.log[-1].headers["authorization"] == "Bearer chatkit-local-" + "0" * 24


def test_the_curl_of_an_answer_runs_as_it_is_where_the_local_model_gave_it():
    needs_weights()
    talk = chatkit.Chat("Be brief.", client=chatkit.connect(local=True, quiet=True), history=False)
    talk.parameters = {"max_completion_tokens": 5}
    talk.send("Hello")
    for api in ("chat", "responses"):
        talk.api = api
        talk.rerun(-1)
        found = talk.inspect()
        assert "chatkit-local-" not in found.curl
        came = shell(found.curl)
        assert "data: " in came and '"code"' not in came
        assert local_process.KEY in found._repr_html_()


def test_a_body_too_long_for_an_argument_is_a_here_document(server):
    request = chat(server.url, messages=[{"role": "user", "content": f"{text}! " * 2_000} for text in HOSTILE])
    command = code.curl(request)
    assert len(command) > 300_000 and "!" not in command
    shell(command)
    assert server.log[-1].json == request["body"]


def test_an_address_with_brackets_and_a_query_is_taken_literally():
    with FaultServer(reply(200, completion("Brazil"))) as server:
        request = {"method": "POST", "url": f"{server.url}/chat/completions?key=[key]&x={{a,b}}&y=$(id)'", "body": {}}
        shell(code.curl(request))
        assert server.log[-1].path == "/v1/chat/completions?key=[key]&x={a,b}&y=$(id)'"


def test_curl_shows_a_stream_at_once_and_another_method_as_it_is():
    assert code.curl(chat("http://h/v1", stream=True)).startswith("curl -N http://h/v1/chat/completions ")
    assert code.curl({"method": "DELETE", "url": "http://h/v1/responses/r"}).startswith("curl -X DELETE ")


def test_the_json_is_the_body_to_read():
    body = {"model": "m", "messages": [{"role": "user", "content": "Grüße \u202e😀"}]}
    text = code.json({"url": "http://h/v1/responses", "body": body})
    assert json.loads(text) == body
    assert "Grüße \\u202e😀" in text
    assert text.startswith('{\n  "model": "m",\n')


# --- keys


@pytest.mark.parametrize(
    "held", [KEY, "sk-svcacct-" + "0123456789-abcdefghij_KLMNOP", "chatkit-local-" + "a1b2c3d4e5f6g7h8i9j0k1l2", "gsk_" + "a1" * 20]
)  # fmt: skip
def test_a_key_is_in_no_snippet_wherever_it_stood_in_the_request(held, monkeypatch):
    request = {
        "method": "POST",
        "url": f"https://models.example.org/v1/chat/completions?key={held}",
        "headers": {"Authorization": f"Bearer {held}", "x-api-key": held},
        "body": {"model": held, held: held, "messages": [{"role": "user", "content": f"my key:\n{held}\nkeep it"}]},
    }
    sources = [code.python(request), code.curl(request), code.json(request)]
    sources.append(conversation_code(request["body"]["messages"], held, {"user": held}))
    for source in sources:
        assert held not in source and held[8:] not in source
        assert "[key]" in source


def test_a_key_of_no_known_form_is_found_by_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "plainword")
    assert "plainword" not in code.json(chat("http://h/v1", user="a plainword b"))


# --- a conversation as a cell


def rebuilt(source: str) -> chatkit.Chat:
    space: dict[str, Any] = {}
    tree = ast.parse(source)
    assert isinstance(tree.body[-1], ast.Expr)
    exec(compile(source, "cell", "exec"), space)
    assert eval(compile(ast.Expression(tree.body[-1].value), "cell", "eval"), space) is space["chat"]
    return space["chat"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda role, content, enabled, outcome: Message(role, content, enabled=enabled, outcome=outcome),
            st.sampled_from(("system", "developer", "user", "assistant")),
            st.text(max_size=40) | st.sampled_from(HOSTILE),
            st.booleans(),
            st.sampled_from((None, "length", "cancelled")),
        ),
        max_size=4,
    )
)
def test_a_conversation_is_made_again_for_any_text(messages):
    assume(all(without_keys(message.text) == message.text for message in messages))
    again = rebuilt(conversation_code(messages, "gpt-6-luna", {"seed": 7, "stop": ["\n", None]}))
    kept = [(m.role, m.content, m.enabled, m.outcome) for m in again.conversation]
    assert kept == [(m.role, m.content, m.enabled, m.outcome) for m in messages]
    assert (again.model, again.parameters) == ("gpt-6-luna", {"seed": 7, "stop": ["\n", None]})


def test_pictures_and_tool_calls_are_made_again_too():
    picture = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        Message("user", picture),
        Message("assistant", None, extra={"tool_calls": calls}),
        Message("assistant", None, extra={"tool_calls": calls}, enabled=False),
        Message("tool", "4", extra={"tool_call_id": "c"}),
    ]
    again = rebuilt(conversation_code(messages))
    assert [m.to_api() for m in again.conversation] == [m.to_api() for m in messages]
    assert [m.enabled for m in again.conversation] == [True, True, False, True]


def test_the_cell_connects_as_the_conversation_was_connected(monkeypatch):
    elsewhere = Endpoint("https://models.example.org/v1", KEY, "m", "arguments")
    again = rebuilt(conversation_code([], "m", endpoint=elsewhere))
    assert again.endpoint == Endpoint("https://models.example.org/v1", KEY, "gpt-6-luna", "arguments")
    assert "connect" not in conversation_code([], endpoint=Endpoint(OPENAI, KEY, "m", "key from OPENAI_API_KEY"))
    local = Endpoint("http://127.0.0.1:9/v1", "chatkit-local-x", "m", "local", local=True)
    assert "client=chatkit.connect(local=True)" in conversation_code([], endpoint=local)
    assert KEY not in conversation_code([], endpoint=elsewhere)


def test_a_short_conversation_is_a_short_cell():
    told = [{"role": "system", "content": "Answer in\none sentence."}, {"role": "user", "content": 'It\'s "so"?'}]
    assert conversation_code(told, None, {"temperature": 0.5}) == (
        "import chatkit\n\n"
        "chat = chatkit.Chat(\n"
        "    temperature=0.5,\n"
        "    conversation=[\n"
        "        {\n"
        '            "role": "system",\n'
        '            "content": """Answer in\none sentence.""",\n'
        "        },\n"
        """        {"role": "user", "content": 'It\\'s "so"?'},\n"""
        "    ],\n"
        ")\n"
        "chat"
    )
