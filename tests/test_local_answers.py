"""What the local server answers is what the vendor's OpenAPI description says, byte for byte of its form."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator
from local_server import KEY, LocalServer, chat, shared_server

EXTRACT = json.loads((Path(__file__).parent / "openapi_extract.json").read_text(encoding="utf-8"))
EVENTS = {
    "response.created": "ResponseCreatedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.incomplete": "ResponseIncompleteEvent",
    "response.failed": "ResponseFailedEvent",
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def validate(value: Any, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": EXTRACT["components"]}
    Draft202012Validator(schema).validate(value)


def only_known(value: Any, name: str) -> None:
    """No field that the description does not name, such as llama.cpp's timings."""
    known = EXTRACT["components"]["schemas"][name]["properties"]
    assert set(value) <= set(known), set(value) - set(known)


@pytest.fixture(scope="module")
def server() -> LocalServer:
    return shared_server()


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.ready["base_url"], api_key=KEY, max_retries=0) as client:
        yield client


def test_the_extract_refuses_what_it_should():
    assert not Draft202012Validator(
        {"$ref": "#/components/schemas/ErrorResponse", "components": EXTRACT["components"]}
    ).is_valid({"error": {"message": "no code"}})


def test_the_models_are_listed_with_their_window(server):
    answer = server.ask("/v1/models")
    validate(answer.json, "ListModelsResponse")
    listed = [(m["id"], m.get("context_window")) for m in answer.json["data"]]
    assert listed[:2] == [("SmolLM2-135M-Instruct", 1024), ("whisper-base", None)]


def test_the_local_model_is_found_by_its_name_and_no_other(server):
    validate(server.ask("/v1/models/SmolLM2-135M-Instruct").json, "Model")
    answer = server.ask("/v1/models/gpt-6-luna")
    validate(answer.json, "ErrorResponse")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n": 2, "seed": 7, "temperature": 1},
        {"logprobs": True},
        {"logprobs": True, "top_logprobs": 3},
        {"stop": ["Brazil", "."], "max_tokens": 40},
        {"response_format": {"type": "json_object"}, "max_tokens": 30},
        {"max_tokens": None, "max_completion_tokens": 3, "user": "u", "metadata": {"a": "b"}, "service_tier": "auto"},
        {"logit_bias": {"504": -100}, "frequency_penalty": 1, "presence_penalty": -1, "top_p": 0.5},
    ],
    ids=lambda p: "+".join(p) or "plain",
)
def test_chat_answers_validate_whole_and_streamed(server, parameters):
    whole = server.ask("/v1/chat/completions", chat(**parameters)).json
    validate(whole, "CreateChatCompletionResponse")
    only_known(whole, "CreateChatCompletionResponse")
    assert len(whole["choices"]) == parameters.get("n", 1)
    streamed = server.ask(
        "/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True}, **parameters)
    )
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.events[-1] == (None, "[DONE]")
    for chunk in streamed.chunks:
        validate(chunk, "CreateChatCompletionStreamResponse")
        only_known(chunk, "CreateChatCompletionStreamResponse")
    assert all(chunk["usage"] is None for chunk in streamed.chunks[:-1])
    assert streamed.chunks[-1]["choices"] == []
    assert streamed.chunks[-1]["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]


def test_a_streamed_answer_says_the_same_as_the_whole_one(server):
    parameters = {"temperature": 0, "seed": 1, "max_tokens": 24}
    whole = server.ask("/v1/chat/completions", chat(**parameters)).json
    chunks = server.ask("/v1/chat/completions", chat(stream=True, **parameters)).chunks
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 24


def test_a_stream_that_asked_for_no_usage_carries_none(server):
    assert not any("usage" in chunk for chunk in server.ask("/v1/chat/completions", chat(stream=True)).chunks)


def test_the_model_of_any_name_is_the_local_one_and_says_so(server):
    for name in ("gpt-6-luna", "no/such", "../../etc/passwd"):
        assert server.ask("/v1/chat/completions", chat(model=name)).json["model"] == "SmolLM2-135M-Instruct"


def test_it_knows_where_the_2014_world_cup_was_held(server):
    answer = server.ask("/v1/chat/completions", chat(max_tokens=24, temperature=0)).json
    assert "Brazil" in answer["choices"][0]["message"]["content"]


def test_the_token_limits_old_and_new_are_kept(server):
    for name in ("max_tokens", "max_completion_tokens"):
        body = chat(logit_bias={"2": -100}) | {"max_tokens": None, name: 5}
        answer = server.ask("/v1/chat/completions", body).json
        assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (5, "length")


def test_a_seed_makes_an_answer_come_again(server):
    ask = {"seed": 11, "temperature": 1.5, "max_tokens": 12}
    one, two = (server.ask("/v1/chat/completions", chat(**ask)).json["choices"][0]["message"] for _ in range(2))
    assert one == two


def test_stop_ends_before_its_words(server):
    body = chat("Count: one two three four", stop="three", max_tokens=40, temperature=0)
    answer = server.ask("/v1/chat/completions", body).json["choices"][0]
    assert "three" not in answer["message"]["content"]


def test_a_developer_message_reads_as_a_system_message(server):
    def tokens(role: str) -> int:
        body = chat(messages=[{"role": role, "content": "Be brief."}, {"role": "user", "content": "Hi"}], max_tokens=1)
        return server.ask("/v1/chat/completions", body).json["usage"]["prompt_tokens"]

    assert tokens("developer") == tokens("system") != tokens("user")


def test_every_role_and_parts_of_text_are_taken(server):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": "Again"},
    ]
    assert server.ask("/v1/chat/completions", chat(messages=messages)).status == 200


def test_a_json_schema_is_followed(server):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    body = chat("Make up a person.", response_format=form, max_tokens=80)
    whole = server.ask("/v1/chat/completions", body).json["choices"][0]["message"]["content"]
    Draft202012Validator(PERSON).validate(json.loads(whole))


@pytest.mark.parametrize(
    "parameters",
    [
        {"prompt": "One two three"},
        {"prompt": ["One two", "three four"], "n": 2},
        {"prompt": [504, 216]},
        {"prompt": "One two", "logprobs": 2},
        {"prompt": "One two", "logprobs": 0, "stop": "x", "seed": 3},
        {"prompt": "One two", "echo": True},
    ],
    ids=lambda p: "+".join(p),
)
def test_completions_validate_whole_and_streamed(server, parameters):
    body = {"model": "any", "max_tokens": 4, **parameters}
    whole = server.ask("/v1/completions", body).json
    validate(whole, "CreateCompletionResponse")
    only_known(whole, "CreateCompletionResponse")
    if parameters.get("echo"):
        assert whole["choices"][0]["text"].startswith("One two")
    streamed = server.ask("/v1/completions", body | {"stream": True, "stream_options": {"include_usage": True}})
    assert streamed.events[-1] == (None, "[DONE]")
    for chunk in streamed.chunks:
        # the description has no form of its own for these chunks: the API sends the whole's, with nulls
        choices = [choice | {"finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
        usage = {"usage": chunk["usage"]} if chunk["usage"] else {}
        validate(
            {k: v for k, v in chunk.items() if k != "usage"} | {"choices": choices} | usage, "CreateCompletionResponse"
        )
    usage = streamed.chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
        whole["usage"]["prompt_tokens"],
        whole["usage"]["completion_tokens"],
    )


def test_a_prompt_counts_once_however_many_answers_it_gets(server):
    one = server.ask("/v1/chat/completions", chat()).json["usage"]["prompt_tokens"]
    assert server.ask("/v1/chat/completions", chat(n=3)).json["usage"]["prompt_tokens"] == one
    two = {"model": "any", "max_tokens": 1, "prompt": ["One two three", "four"], "n": 2}
    each = [server.ask("/v1/completions", two | {"prompt": p}).json["usage"]["prompt_tokens"] for p in two["prompt"]]
    assert server.ask("/v1/completions", two).json["usage"]["prompt_tokens"] == sum(each)


@pytest.mark.parametrize(
    "parameters",
    [
        {"input": "Hi"},
        {"input": "Hi", "instructions": "Be brief.", "max_output_tokens": 3, "metadata": {"a": "b"}},
        {"input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
        {"input": "Hi", "include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"input": "A person.", "max_output_tokens": 80, "text": {"format": {"type": "json_schema", "name": "person", "schema": PERSON}}},
        {"input": "JSON", "text": {"format": {"type": "json_object"}}, "temperature": 0, "top_p": 1},
    ],
    ids=lambda p: "+".join(p),
)  # fmt: skip
def test_responses_validate_whole_and_streamed(server, parameters):
    body = {"model": "any", "max_output_tokens": 6, **parameters}
    whole = server.ask("/v1/responses", body).json
    validate(whole, "Response")
    assert whole["status"] in ("completed", "incomplete")
    streamed = server.ask("/v1/responses", body | {"stream": True})
    for number, ((name, data), chunk) in enumerate(zip(streamed.events, streamed.chunks, strict=True)):
        assert chunk["sequence_number"] == number
        assert chunk["type"] == name
        assert "[DONE]" not in data
        validate(chunk, EVENTS[chunk["type"]])
    names = [name for name, _ in streamed.events]
    assert names[:4] == list(EVENTS)[:4]
    assert names[-4:-1] == list(EVENTS)[5:8]
    assert names[-1] == f"response.{streamed.chunks[-1]['response']['status']}"
    text = "".join(c["delta"] for c in streamed.chunks if c["type"] == "response.output_text.delta")
    assert text == streamed.chunks[-1]["response"]["output"][0]["content"][0]["text"]


def test_a_cut_response_is_incomplete_and_says_why(server):
    answer = server.ask("/v1/responses", {"input": "Tell a long story.", "max_output_tokens": 4}).json
    assert answer["status"] == answer["output"][0]["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert answer["usage"]["output_tokens"] == 4


def test_the_openai_client_reads_every_answer(client):
    asked = {"model": "any", "messages": [{"role": "user", "content": "Hi"}]}
    whole = client.chat.completions.create(**asked, max_completion_tokens=4, logprobs=True, top_logprobs=2)
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
    with client.chat.completions.create(**asked, max_tokens=4, stream=True) as stream:
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] in ("stop", "length")
    assert client.completions.create(model="any", prompt="One", max_tokens=2).choices[0].text
    with client.responses.stream(model="any", input="Hi", max_output_tokens=20) as stream:
        stream.until_done()
        assert stream.get_final_response().output_text
    assert [m.id for m in client.models.list()][:2] == ["SmolLM2-135M-Instruct", "whisper-base"]


def test_the_openai_client_parses_into_a_typed_answer(client):
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model="any", messages=[{"role": "user", "content": "Make up a person."}], response_format=Person, max_tokens=120
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


@pytest.mark.parametrize(
    ("path", "body", "method", "status", "code"),
    [
        ("/v1/nothing", None, None, 404, "unknown_url"),
        ("/", None, None, 404, "unknown_url"),
        ("/v1/chat/completions", None, "GET", 405, "method_not_allowed"),
        ("/v1/models", {}, "POST", 405, "method_not_allowed"),
        ("/v1/audio/transcriptions", b"x", "POST", 415, "unsupported_media_type"),
        ("/v1/audio/transcriptions", None, "GET", 405, "method_not_allowed"),
        ("/v1/audio/speech", None, "GET", 501, "not_implemented"),
        ("/v1/chat/completions", b"{", "POST", 400, "invalid_json"),
    ],
)
def test_every_refusal_has_the_form_of_the_api(server, path, body, method, status, code):
    answer = server.ask(path, body, method=method)
    validate(answer.json, "ErrorResponse")
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["server"] == "chatkit-local"
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat("word " * 1500)),
        ("/v1/chat/completions", chat("word " * 1500, stream=True)),
        ("/v1/completions", {"model": "any", "prompt": "word " * 1500}),
        ("/v1/responses", {"input": "word " * 1500, "stream": True}),
    ],
)
def test_a_prompt_beyond_the_window_is_refused_with_both_numbers(server, path, body):
    answer = server.ask(path, body)
    validate(answer.json, "ErrorResponse")
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
    assert "1024 tokens" in answer.error["message"]
    assert any(f"{n} tokens" in answer.error["message"] for n in range(1500, 1535))
    assert answer.error["param"] in body


def test_each_slot_keeps_its_whole_window_beside_another(server):
    with_room = chat("word " * 900, max_tokens=2, stream=True)
    other = server.open_stream()
    try:
        assert server.ask("/v1/chat/completions", with_room).status == 200
    finally:
        other.close()


def test_a_full_window_ends_an_answer_as_length(server):
    body = chat(
        "word " * 900, max_tokens=None, logit_bias={"2": -100}, stream=True, stream_options={"include_usage": True}
    )
    chunks = server.ask("/v1/chat/completions", body).chunks
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["total_tokens"] in range(1020, 1026)


BEGUN = [
    {"role": "user", "content": "Count from one to nine in words, with commas."},
    {"role": "assistant", "content": "One, two, three,"},
]


def test_an_answer_goes_on_where_a_last_message_of_the_assistants_leaves_off(client):
    asked = {"model": "any", "temperature": 0}
    whole = client.chat.completions.create(messages=BEGUN, max_completion_tokens=6, **asked).choices[0].message.content
    assert whole.startswith(" four, five")
    chunks = client.chat.completions.create(messages=BEGUN, max_completion_tokens=6, stream=True, **asked)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert client.responses.create(input=BEGUN, max_output_tokens=6, **asked).output_text == whole


@pytest.mark.parametrize(
    "more", [[BEGUN[1]], [{"role": "assistant", "content": ""}], [{"role": "user", "content": "Go on."}]]
)
def test_only_one_last_message_with_text_is_gone_on_with(server, more):
    said = server.ask("/v1/chat/completions", chat(messages=[*BEGUN, *more], max_tokens=4, temperature=0))
    assert said.status == 200
    assert not said.json["choices"][0]["message"]["content"].startswith(" four")
