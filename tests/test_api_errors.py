"""Errors told rightly, in the words of whoever says them: money, keys, length, streams, models, policies."""

import json
from typing import Any

import openai
import pytest
from faultserver import DONE, FaultServer, completion, refusal, reply, say, stop, stream
from turns import BODY, ask
from wire import events, tell
from wire import say as says

import chatkit
from chatkit.api.errors import Refusal, kind_of, may_retry, read_refusal, tokens_over
from chatkit.api.models import read_models

LONG = [  # who says it, status, body, (came, window)
    ("OpenAI", 400, {"error": {"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.", "code": "context_length_exceeded"}}, (9000, 8192)),
    ("LM Studio", 400, {"error": "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}, (15857, 4096)),
    ("LM Studio", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096)."}, (13055, 4096)),
    ("llama-server", 500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}, None),
    ("llama-server", 500, {"error": {"message": "the request exceeds the available context size", "type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}}, (1407, 256)),
    ("Gemini", 400, [{"error": {"code": 400, "message": "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}], (1100000, 1048576)),
    ("xAI", 400, {"code": "Client specified an invalid argument", "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."}, (140000, 131072)),
    ("Anthropic", 400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}, (210000, 200000)),
    ("Anthropic", 400, {"error": {"message": "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"}}, None),
    ("TGI", 422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`", "error_type": "validation"}, (5000, 4096)),
    ("TGI", 422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 1500"}, (1500, 1024)),
    ("Together", 422, {"error": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`"}}, (9000, 8193)),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}, None),
    ("Bedrock", 503, {"Message": "Too many input tokens. Max input tokens: 8192, request input token count: 9000"}, None),
    ("vLLM", 400, {"object": "error", "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", "code": 400}, None),
    ("Mistral", 400, {"message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"}, (40000, 32768)),
    ("Groq", 400, {"error": {"message": "Please reduce the length of the messages or completion.", "code": "context_length_exceeded"}}, None),
    ("Ollama", 400, {"error": {"message": "input length exceeds maximum context length"}}, None),
    ("Moonshot", 400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192"}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("who", "status", "body", "numbers"), LONG)
def test_a_conversation_that_is_too_long_is_known_in_each_servers_words(
    who: str, status: int, body: Any, numbers: tuple[int, int] | None
) -> None:
    raw = json.dumps(body).encode()
    told = tell(raw, status=status, headers={"content-type": "application/json"})
    assert (told.reply.error.kind, len(told.rows)) == ("context_length", 1)
    assert "Drop the oldest turns" in str(told.reply.error)
    assert "It says: “" in str(told.reply.error)
    if numbers:
        assert tokens_over(read_refusal(raw)) == numbers
    assert not may_retry(status, read_refusal(raw), {})


@pytest.mark.parametrize(
    "error", [body["error"] for _, _, body, _ in LONG if isinstance(body, dict) and "error" in body]
)
def test_it_is_known_inside_of_a_stream_too(error: Any) -> None:
    for wire in (events(says("x"), {"error": error}), [b"event: error\n" + events({"error": error})[0]]):
        assert tell(*wire).reply.error.kind == "context_length"


@pytest.mark.parametrize(("status", "words"), [
    (400, "max_tokens is too large: 5000. This model supports at most 4096 completion tokens"),
    (429, "Request too large for model: limit 6000 tokens per minute, requested 9000"),
    (400, "Image is too long"), (500, "The server had an error"), (400, "'messages' is too short"),
])  # fmt: skip
def test_other_limits_are_not_the_conversations_length(status: int, words: str) -> None:
    assert kind_of(status, Refusal(words)) != "context_length"


MONEY = [
    (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}),
    (402, {"detail": "Payment Required"}),
    (402, {}),
    (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
    (429, {"error": {"message": "x", "type": "exceeded_current_quota_error"}}),
    (400, {"error": {"message": "Your credit balance is too low to access the API", "type": "invalid_request_error"}}),
    (403, {"error": {"message": "insufficient balance", "code": "insufficient_user_quota"}}),
    (429, {"error": {"message": "x", "code": "project_spend_limit_exceeded"}}),
    (429, {"error": {"message": "x", "code": "credit_balance_exhausted"}}),
    (429, {"error": {"message": "x", "code": "billing_hard_limit_reached"}}),
    (400, {"error": {"message": "x", "code": "Arrearage"}}),
]


@pytest.mark.parametrize(("status", "body"), MONEY)
def test_money_at_its_end_is_said_and_not_tried_again(status: int, body: Any) -> None:
    with FaultServer(reply(status, body)) as server:
        taken = ask(server)
    assert (taken.kind, len(server.log)) == ("quota", 1)
    assert "(None)" not in taken.message
    assert "add credit" in taken.message


@pytest.mark.parametrize("code", ["rate_limit_exceeded", None])
def test_a_rate_limit_is_not_money(code: str | None) -> None:
    assert kind_of(429, Refusal("You exceeded your current quota, please check your plan", code)) == "rate_limit"
    assert may_retry(429, Refusal("Slow down", code), {})


@pytest.mark.parametrize("body", [
    {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai."},
    [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}],
    {"error": {"message": "Invalid API key"}}, {"error": {"message": "no", "type": "authentication_error"}},
    {"error": {"message": "no", "code": "invalid_api_key"}}, {"error": "API key expired. Renew it."},
])  # fmt: skip
def test_a_wrong_key_is_one_whatever_the_status(body: Any) -> None:
    told = tell(json.dumps(body).encode(), status=400, headers={"content-type": "application/json"})
    assert told.reply.error.kind == "auth"
    assert str(told.reply.error).startswith("The endpoint does not accept the API key (400). It says: “")


def test_the_code_beside_xais_error_is_kept() -> None:
    body = json.dumps({"code": "The model does not exist", "error": "No such model"}).encode()
    told = tell(body, status=404, headers={"content-type": "application/json"})
    assert told.reply.error.code == told.row.error_code == "The model does not exist"


@pytest.mark.parametrize("words", [
    "No endpoints found matching your data policy (Free model publication). Configure: https://openrouter.ai/settings/privacy",
    "All providers for this model have been ignored by your privacy settings",
    "This model is not allowed by your organization's policy",
])  # fmt: skip
def test_a_404_about_a_policy_is_told_in_its_words(words: str) -> None:
    with FaultServer(refusal(404, words, code=404), reply(200, {"data": [{"id": "other"}]})) as server:
        taken = ask(server)
    assert len(server.log) == 1
    assert words in taken.message
    assert "has no model" not in taken.message


@pytest.mark.parametrize("words", [
    "The model `x` does not exist or you do not have access to it.", 'model "x" not found, try pulling it first',
    "No endpoints found for x/y.", "models/x is not found for API version v1main", "Unknown model: x",
])  # fmt: skip
def test_a_404_about_the_model_names_it(words: str) -> None:
    with FaultServer(refusal(404, words), reply(500)) as server:
        message = ask(server).message
    assert message.startswith("The endpoint has no model 'asked' (404). It says: “")


@pytest.mark.parametrize(
    "body", [{"detail": "Not Found"}, "<html><h1>404 Not Found</h1></html>", "404 page not found", ""]
)
def test_a_404_that_says_nothing_is_about_the_address(body: Any) -> None:
    with FaultServer(reply(404, body)) as server:
        assert ask(server).message.startswith(f"There is nothing at {server.url}/chat/completions (404).")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503])
def test_the_endpoints_own_words_are_always_quoted(status: int) -> None:
    with FaultServer(refusal(status, "Zebras only on Tuesdays")) as server:
        assert "It says: “Zebras only on Tuesdays”" in ask(server, attempts=1).message


FORMS = [
    {"error": {"message": "Zebra"}}, {"error": "Zebra"}, {"message": "Zebra"}, {"detail": "Zebra"}, {"title": "Zebra"},
    {"errors": [{"message": "Zebra", "code": 7}]}, {"error_msg": "Zebra", "error_code": 7}, [{"error": {"message": "Zebra"}}],
    {"msg": "Zebra"}, {"error": {"error": "x", "reason": "Zebra"}}, {"Message": "Zebra"}, {"detail": [{"msg": "Zebra"}]},
]  # fmt: skip


@pytest.mark.parametrize("body", FORMS)
def test_the_words_are_found_in_each_form(body: Any) -> None:
    assert "Zebra" in read_refusal(json.dumps(body).encode()).message


NO_STREAM = [
    (400, {"error": {"message": "Your organization must be verified to stream this model.", "param": "stream", "code": "unsupported_value"}}),
    (400, {"error": {"message": "Your organization must be verified to stream this model."}}),
    (400, {"error": {"message": "Streaming is not supported for this model"}}),
    (422, {"error": {"message": "This model does not support streaming."}}),
    (400, {"error": {"message": "Unsupported value: 'stream' does not support true with this model.", "param": "stream"}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), NO_STREAM)
def test_where_streams_are_refused_the_whole_answer_is_asked_for(status: int, body: Any) -> None:
    whole = reply(200, completion("Yes."))
    with FaultServer(reply(status, body), whole, whole) as server:
        taken, again = ask(server), ask(server)
    assert (taken.text, taken.reply.outcome, again.text) == ("Yes.", "complete", "Yes.")
    assert [seen.json.get("stream") for seen in server.log] == [True, None, None]
    assert any("asked for the whole answer at once" in note for note in taken.reply.notes)


def test_a_refusal_of_stream_options_is_not_one_of_streams() -> None:
    with FaultServer(refusal(400, "Unknown field: stream_options"), stream(say("x"), stop(), DONE)) as server:
        assert ask(server).text == "x"
    assert [seen.json.get("stream") for seen in server.log] == [True, True]


def test_a_chat_may_ask_for_whole_answers() -> None:
    with FaultServer(reply(200, completion("Yes."))) as server:
        taken = ask(server, {**BODY, "stream": False})
    assert (taken.text, taken.reply.notes, server.log[0].json) == ("Yes.", (), BODY)


@pytest.mark.parametrize(("body", "names"), [
    (b'[{"id": "a"}, {"id": "b"}]', ["a", "b"]),
    (b'{"data": [{"id": "a"}, {"name": "b"}, {"id": null}, null, 7, "c"]}', ["a", "b", "c"]),
    (b'{"models": [{"name": "a"}]}', ["a"]),
    (b'{"data": [{"id": "my model.gguf"}]}', ["my model.gguf"]),
    (b'{"data": [{"id": "m\\ud83d"}]}', ["m\xef\xbf\xbd".encode("latin-1").decode()]),
    (b'{"data": []}', []),
])  # fmt: skip
def test_a_list_of_models_is_read_in_each_form(body: bytes, names: list[str]) -> None:
    assert [model["id"] for model in read_models(body)] == names


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"<html>", b'{"data": {"id": "a"}}', b"[" * 5000])
def test_what_is_no_list_of_models_is_said(body: bytes) -> None:
    with pytest.raises(ValueError, match="list of models|JSON|Expecting|nested"):
        read_models(body)


@pytest.mark.parametrize(("status", "body", "asked"), [
    (429, {"error": {"message": "No credit", "code": "insufficient_quota"}}, 1),
    (429, {"error": {"message": "No credit", "type": "credit_balance_exhausted"}}, 1),
    (429, {"error": {"message": "x", "code": "project_spend_limit_exceeded"}}, 1),
    (500, {"error": {"message": "Context size has been exceeded."}}, 1),
    (429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, 3),
    (500, {"error": {"message": "Boom"}}, 3),
])  # fmt: skip
def test_a_client_that_connect_made_tries_again_only_where_the_engine_would(status: int, body: Any, asked: int) -> None:
    with FaultServer(reply(status, body, {"retry-after-ms": "1"})) as server:
        client = chatkit.connect(base_url=server.url, api_key="sk-test-abcdefghijkl-wxyz", quiet=True)
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert [seen.method for seen in server.log].count("POST") == asked
    assert raised.value.response.json() == body
