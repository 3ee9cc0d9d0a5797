"""A request's body in the words of either API."""

import pydantic
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from chatkit.api.parameters import answer_limit, faults
from chatkit.api.request import build
from chatkit.api.response_formats import on_the_wire
from chatkit.exceptions import InputError
from chatkit.local import responses as local

QUESTION = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def responses(messages=(QUESTION,), **parameters):
    body = build("responses", "m", messages, parameters)
    assert (body.pop("model"), body.pop("store")) == ("m", False)
    return body


def test_chat_completions_take_everything_as_it_is():
    body = build("chat", "m", [QUESTION], {"temperature": 0, "stop": "x", "max_tokens": 5, "seed": None, "own": 1})
    assert body == {"model": "m", "messages": [QUESTION], "temperature": 0, "stop": "x", "max_tokens": 5, "own": 1}


def test_the_other_apis_name_of_the_limit_is_translated_both_ways():
    assert build("chat", "m", [], {"max_output_tokens": 5})["max_completion_tokens"] == 5
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        assert responses(**{name: 5})["max_output_tokens"] == 5
        assert answer_limit({name: 5}) == 5
    assert answer_limit({"temperature": 1}) is None


@pytest.mark.parametrize(
    ("given", "chat", "flat"),
    [
        ("text", None, None),
        ({"type": "text"}, None, None),
        ("json", {"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_object"}, {"type": "json_object"}, {"type": "json_object"}),
        (
            SCHEMA,
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
            {"type": "json_schema", "name": "answer", "schema": SCHEMA},
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}},
            {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}},
            {"type": "json_schema", "name": "city", "strict": True, "schema": SCHEMA},
        ),
        (
            {"type": "json_schema", "name": "city", "schema": SCHEMA},
            {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}},
            {"type": "json_schema", "name": "city", "schema": SCHEMA},
        ),
    ],
)
def test_a_response_format_in_every_form_becomes_each_apis_own(given, chat, flat):
    assert faults("m", {"response_format": given}) == []
    assert build("chat", "m", [], {"response_format": given}).get("response_format") == chat
    assert responses(response_format=given).get("text") == (flat and {"format": flat})


def test_a_schema_is_called_by_its_title_if_that_can_be_a_name():
    assert on_the_wire({"title": "City", **SCHEMA})["json_schema"]["name"] == "City"
    assert on_the_wire({"title": "The city!", **SCHEMA})["json_schema"]["name"] == "answer"
    assert on_the_wire({"anyOf": [SCHEMA]})["type"] == "json_schema"


@pytest.mark.parametrize("given", ["xml", 3, [], {}, {"json_schema": 3}, {"type": "json_schema", "json_schema": "x"}])
def test_what_is_no_response_format_is_refused(given):
    assert faults("m", {"response_format": given}) == [
        "response_format must be 'text', 'json', a JSON schema, or the API's own object."
    ]


def test_parameters_are_called_as_responses_calls_them():
    assert responses(reasoning_effort="low", reasoning={"summary": "auto"}, temperature=0, logprobs=True) == {
        "input": [QUESTION],
        "reasoning": {"effort": "low", "summary": "auto"},
        "temperature": 0,
        "include": ["message.output_text.logprobs"],
    }
    assert responses(verbosity="low", response_format="json")["text"] == {
        "verbosity": "low",
        "format": {"type": "json_object"},
    }
    assert build("responses", "m", [QUESTION], {"store": True})["store"] is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("seed", 1),
        ("stop", "x"),
        ("presence_penalty", 1),
        ("frequency_penalty", -1),
        ("logit_bias", {"1": 1}),
    ],
)
def test_what_responses_has_not_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"The Responses API has no {name}; nothing was sent"):
        responses(**{name: value})


def test_all_that_responses_has_not_is_in_one_message_and_what_asks_for_nothing_is_let_go():
    with pytest.raises(InputError, match="has no n, seed; nothing"):
        responses(n=2, seed=1, presence_penalty=0)
    assert responses(n=1, presence_penalty=0, frequency_penalty=0.0) == {"input": [QUESTION]}


def test_a_first_system_message_is_the_instructions_and_later_ones_stay_in_place():
    later = {"role": "developer", "content": "c"}
    assert responses([{"role": "system", "content": "a"}, QUESTION, later]) == {
        "instructions": "a",
        "input": [QUESTION, later],
    }
    assert responses([QUESTION, {"role": "system", "content": "a"}])["input"][1]["role"] == "system"


def test_parts_get_the_names_that_responses_has_for_them():
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "input_text", "text": "so"},
    ]
    assert responses([{"role": "user", "content": parts}])["input"][0]["content"] == [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": "data:,", "detail": "low"},
        {"type": "input_file", "file_id": "f1"},
        {"type": "input_text", "text": "so"},
    ]
    with pytest.raises(InputError, match=r"messages\[0\] has a part of type 'input_audio'"):
        responses([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])


def test_calls_of_custom_tools_their_results_and_the_tools_have_their_own_form():
    calls = [
        {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}},
        {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
    ]
    results = [{"role": "tool", "content": "1", "tool_call_id": id} for id in ("c1", "c2")]
    tool = {"type": "custom", "custom": {"name": "sql", "description": "Asks."}}
    body = responses([{"role": "assistant", "content": None, "tool_calls": calls}, *results], tools=[tool])
    assert body["input"] == [
        {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call", "call_id": "c2", "name": "add", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "1"},
    ]
    assert body["tools"] == [{"type": "custom", "name": "sql", "description": "Asks."}]


def test_answers_calls_and_results_become_items():
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "assistant", "content": [{"type": "text", "text": "Four"}, {"type": "text", "text": "."}]},
        {"role": "assistant", "content": "", "refusal": "No."},
    ]
    assert responses(messages)["input"] == [
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "4"},
        {"role": "assistant", "content": "Four."},
        {"role": "assistant", "content": "No."},
    ]


def test_tools_are_flat_for_responses():
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    choice = {"type": "function", "function": {"name": "add"}}
    body = responses(tools=[tool, {"type": "web_search"}], tool_choice=choice)
    assert body["tools"] == [{"type": "function", "name": "add", "parameters": {}}, {"type": "web_search"}]
    assert body["tool_choice"] == {"type": "function", "name": "add"}
    assert responses(tool_choice="auto")["tool_choice"] == "auto"


def test_a_field_of_a_message_that_responses_has_not_is_named():
    with pytest.raises(InputError, match=r"The Responses API has no messages\[1\].name; nothing was sent"):
        responses([QUESTION, {"role": "user", "content": "x", "name": "Ann"}])


BODIES = [
    responses([{"role": "system", "content": "a"}, QUESTION], max_tokens=5, reasoning_effort="low", temperature=0),
    responses([QUESTION, {"role": "assistant", "content": "Hi"}, QUESTION], response_format=SCHEMA, verbosity="low"),
    responses([QUESTION, {"role": "developer", "content": "b"}], response_format="json", top_logprobs=2, logprobs=True),
]


@pytest.mark.parametrize("body", BODIES)
def test_the_vendors_own_types_and_the_local_server_take_the_body(body):
    body = {"model": "m", "store": False, **body}
    checked = pydantic.TypeAdapter(ResponseCreateParamsNonStreaming).validate_python(body)
    assert set(checked) == set(body)
    assert local.read(dict(body)).bodies[0]["messages"][-1]["content"] in ("Hi", "b")


def test_what_says_where_calls_go_is_no_parameter():
    assert faults("m", {"api_key": "sk-x"}) == ["api_key is no parameter of a turn; give it to connect()."]
