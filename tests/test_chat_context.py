"""What of a chat is sent: previews, trimming in sight, both APIs, and what does not fit."""

import pytest
from faultserver import DONE, FaultServer, event, refusal, reply, stream
from test_chat import answer, open_chat, told

from chatkit.chats.chat import Chat
from chatkit.chats.settings import TokenCounts, check_trim, select, turns
from chatkit.client.address import Endpoint
from chatkit.conversation.conversation import Conversation, Message
from chatkit.exceptions import EndpointError, InputError
from chatkit.ledger import estimate

TURN = 2 * (10 + 4)  # tokens of a turn of `long_talk`: question and answer of 40 letters each


@pytest.fixture(autouse=True)
def _four_letters_a_token(monkeypatch):
    """Estimates that do not change with a better rule: a token for four letters, four around each message."""

    def count(body):
        return sum(-(-len(message["content"]) // 4) + 4 for message in body.get("messages", ()))

    monkeypatch.setattr(estimate, "of_prompt", count)


def long_talk(count, system="s" * 40):
    said = [Message("system", system, id="s")] if system else []
    for i in range(count):
        said += [Message("user", f"q{i}".ljust(40), id=f"q{i}"), Message("assistant", f"a{i}".ljust(40), id=f"a{i}")]
    return Conversation(said)


def local(server=None, window=100):
    url = server.url if server else "http://127.0.0.1:9/v1"
    return Endpoint(url, "chatkit-local-x", "tiny", "local", local=True, window=window)


def local_chat(conversation, window=100, server=None, **more):
    chat = Chat(conversation=conversation, **more)
    chat.endpoint = local(server, window)
    return chat


def ids(messages):
    return [message.id for message in messages]


# --- selection


def test_a_turn_is_a_question_with_all_that_follows_up_to_the_next_one():
    call = Message("assistant", None, extra={"tool_calls": [{}]}, id="call")
    said = [
        Message("assistant", "hello", id="greeting"), Message("user", "a", id="a"), call,
        Message("tool", "4", id="tool"), Message("developer", "d", id="d"), Message("assistant", "b", id="b"),
        Message("user", "c", id="c"),
    ]  # fmt: skip
    assert [ids(turn) for turn in turns(said)] == [["greeting"], ["a", "call", "tool", "b"], ["c"]]
    assert turns([Message("system", "s")]) == []


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (14 + 3 * TURN, ["s", "q0", "a0", "q1", "a1", "q2", "a2"]),
        (14 + 3 * TURN - 1, ["s", "q1", "a1", "q2", "a2"]),
        (14 + 2 * TURN, ["s", "q1", "a1", "q2", "a2"]),
        (14 + TURN, ["s", "q2", "a2"]),
        (1, ["s", "q2", "a2"]),
    ],
)
def test_a_budget_drops_the_oldest_whole_turns_and_never_the_system_message_or_the_last_turn(budget, kept):
    chosen = select(long_talk(3).messages, budget, counts=TokenCounts())
    assert ids(chosen.messages) == kept
    assert chosen.tokens == 14 + TURN * (len(kept) // 2)
    assert set(chosen.left_out.values()) <= {f"trimmed: the oldest turns do not fit the budget of {budget:,} tokens"}
    assert set(chosen.left_out) == {"s", "q0", "a0", "q1", "a1", "q2", "a2"} - set(kept)


def test_oldest_leaves_room_for_the_answer_in_the_window():
    messages = long_talk(3).messages
    size = 14 + 3 * TURN

    def kept(window, answer):
        return len(select(messages, "oldest", counts=TokenCounts(), window=window, answer=answer).messages)

    assert (kept(size + 5, 5), kept(size + 4, 5)) == (7, 5)
    assert (kept(111, None), kept(110, None)) == (7, 5)  # an eighth is kept where the answer has no limit
    assert kept(None, 5) == 7
    assert select(messages, "none", counts=TokenCounts(), window=1).left_out == {}


def test_messages_that_are_switched_off_count_for_nothing():
    talk = long_talk(2)
    talk.switch("a0", False)
    chosen = select(talk.messages, 14 + 14 + TURN, counts=TokenCounts())
    assert (ids(chosen.messages), dict(chosen.left_out)) == (["s", "q0", "q1", "a1"], {"a0": "switched off"})


def test_what_a_rule_leaves_out_is_said_with_about_how_much_it_is():
    assert (
        select(long_talk(3).messages, TURN, counts=TokenCounts()).trimmed == "2 oldest turns left out (about 56 tokens)"
    )
    assert (
        select(long_talk(3).messages, 3 * TURN, counts=TokenCounts()).trimmed
        == "1 oldest turn left out (about 28 tokens)"
    )
    assert select(long_talk(3).messages, "none", counts=TokenCounts()).trimmed == ""


@pytest.mark.parametrize("trim", ["all", 0, -1, 1.5, True, None])
def test_a_rule_that_is_none_is_refused(trim):
    with pytest.raises(InputError, match="trim is .*; it must be 'none', 'oldest', or a number of tokens"):
        check_trim(trim)
    with pytest.raises(InputError, match="trim is "):
        Chat().trim = trim


def test_each_message_is_counted_once_until_it_changes(monkeypatch):
    counted = []
    count = estimate.of_prompt
    monkeypatch.setattr(estimate, "of_prompt", lambda body: counted.append(body) or count(body))
    chat = Chat(conversation=long_talk(3))
    chat.preview("Next?")
    assert len(counted) == 8
    chat.preview("Next?")
    assert len(counted) == 8
    chat.conversation.edit("q1", "other")
    chat.conversation.switch("a1", False)
    chat.conversation.switch("a1", True)
    chat.preview("Then?")
    assert len(counted) == 10


# --- preview


def test_a_preview_is_what_is_then_sent():
    with FaultServer(answer("1")) as server:
        chat = open_chat(server, "Be brief.", temperature=0, conversation=long_talk(2, system=None), trim=50)
        chat.conversation.switch("a1", False)
        preview = chat.preview("Next?")
        assert server.log == []
        chat.send("Next?")
    seen = server.log[0].json
    assert {name: seen[name] for name in preview.body} == preview.body
    assert set(seen) - set(preview.body) == {"stream", "stream_options"}
    assert list(preview.messages) == seen["messages"]
    assert preview.left_out == chat.left_out
    assert set(preview.left_out) == {"q0", "a0", "a1"}
    assert (preview.api, preview.problems) == ("chat", ())


def test_a_preview_without_a_text_is_the_conversation_as_it_is():
    chat = Chat(conversation=long_talk(1))
    assert [m["content"].strip() for m in chat.preview().messages] == ["s" * 40, "q0", "a0"]
    assert chat.preview(" ") == chat.preview()
    assert Chat("Be brief.").preview().problems == ("There is no message to answer yet.",)


def test_a_preview_estimates_and_says_what_does_not_fit():
    chat = local_chat(long_talk(3), window=100)
    preview = chat.preview()
    assert (preview.tokens, preview.window) == (98, 100)
    assert preview.problems == ("About 98 tokens are to be sent and the model takes 100, answer included.",)
    assert repr(preview) == (
        "Preview(7 messages, about 98 tokens of 100, api='chat')\n"
        "  About 98 tokens are to be sent and the model takes 100, answer included."
    )
    chat.trim = "oldest"
    assert (chat.preview().tokens, chat.preview().problems) == (70, ())
    assert chat.preview().trimmed == "1 oldest turn left out (about 28 tokens)"


def test_the_window_is_the_local_servers_or_the_models_or_unknown():
    chat = Chat(conversation=long_talk(1))
    assert chat.preview().window is None
    chat.model = "gpt-6-luna"
    assert chat.preview().window == 1_050_000
    chat.endpoint = local(window=8192)
    assert chat.preview().window == 8192
    assert Chat(model="unheard-of", conversation=long_talk(1)).preview("x").window is None


def test_a_very_long_prompt_is_warned_of_though_the_window_is_unknown():
    [problem] = Chat().preview("word " * 2_000_000).problems
    assert problem == "About 2,500,004 tokens are to be sent; how many the model takes is not known."


def test_all_that_is_wrong_is_said_before_sending():
    chat = Chat(temperature="hot", n=0)
    assert chat.preview("Hi").problems == (
        "temperature is 'hot'; it must be a number from 0 to 2.",
        "n is 0; it must be a whole number from 1 to 128.",
    )
    chat = Chat(api="responses", seed=1)
    assert [problem.partition(";")[0] for problem in chat.preview("Hi").problems] == ["The Responses API has no seed"]
    chat = Chat(model="gpt-6-luna", temperature=0.2)
    chat.endpoint = Endpoint("https://api.openai.com/v1", "sk-x", "m", "test")
    assert chat.preview("Hi").problems[0].startswith("temperature is refused by gpt-6-luna while it reasons")


def test_json_without_the_word_in_any_message_is_warned_of():
    chat = Chat(response_format="json")
    assert chat.preview("Name a city.").problems == (
        "response_format is JSON and no message says the word JSON; OpenAI refuses that.",
    )
    assert chat.preview("Name a city, as JSON.").problems == ()


# --- trimming a turn


def test_what_was_trimmed_is_on_the_reply_and_on_the_chat():
    with FaultServer(answer("1"), answer("2")) as server:
        chat = local_chat(long_talk(3), window=100, server=server, trim="oldest", max_tokens=5)
        turn = chat.send("Next?")
        assert chat.trimmed == "1 oldest turn left out (about 28 tokens)"
        assert turn.notes == (chat.trimmed,)
        assert set(chat.left_out) == {"q0", "a0"}
        assert [m["content"].strip() for m in server.log[0].json["messages"]][1:] == ["q1", "a1", "q2", "a2", "Next?"]
        assert len(chat.conversation) == 9
        chat.trim = "none"
        assert chat.send("More?").notes == ()
        assert (chat.trimmed, dict(chat.left_out)) == ("", {})
    assert len(server.log[1].json["messages"]) == 10


def test_a_conversation_that_cannot_be_made_to_fit_is_sent_and_the_server_judges():
    with FaultServer(refusal(400, "maximum context length is 20 tokens", code="context_length_exceeded")) as server:
        chat = local_chat(long_talk(0), window=20, server=server, trim="oldest")
        with pytest.raises(EndpointError) as caught:
            chat.send("word " * 100)
        assert caught.value.kind == "context_length"
        assert len(server.log) == 1


# --- a conversation that is too long


def test_a_question_that_was_too_long_is_asked_again_without_the_oldest_turns():
    too_long = refusal(400, "maximum context length is 100 tokens", code="context_length_exceeded")
    with FaultServer(too_long, answer("1")) as server:
        chat = local_chat(long_talk(3), window=100, server=server)
        with pytest.raises(EndpointError, match="Drop the oldest turns or start a new chat; your text is kept"):
            chat.send("Next?")
        assert chat.pending == "Next?"
        assert ids(chat.drop_oldest()) == ["q0", "a0"]
        assert chat.pending == "Next?"
        assert chat.retry().text == "1"
    assert [m["content"].strip() for m in server.log[1].json["messages"]][1:] == ["q1", "a1", "q2", "a2", "Next?"]
    assert dict(chat.left_out) == {"q0": "switched off", "a0": "switched off"}
    assert told(chat)[-2:] == [("user", "Next?"), ("assistant", "1")]


def test_drop_oldest_takes_the_older_half_where_the_window_is_unknown_and_as_many_as_are_asked_for():
    chat = Chat(conversation=long_talk(6))
    heard = []
    chat.conversation.listen(lambda: heard.append(1))
    assert ids(chat.drop_oldest()) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert len(heard) == 1
    assert ids(chat.drop_oldest(2)) == ["q3", "a3", "q4", "a4"]
    with pytest.raises(InputError, match="There is no older turn to leave out"):
        chat.drop_oldest()
    with pytest.raises(InputError, match="turns is 3; it must be from 1 to 1"):
        Chat(conversation=long_talk(2)).drop_oldest(3)


def test_a_rerun_that_was_too_long_drops_what_it_goes_on_from():
    too_long = refusal(400, "maximum context length is 100 tokens", code="context_length_exceeded")
    with FaultServer(too_long, answer("1")) as server:
        chat = local_chat(long_talk(4), window=80, server=server)
        with pytest.raises(EndpointError):
            chat.rerun("q2", "Next?")
        assert ids(chat.drop_oldest()) == ["q0", "a0"]
        chat.retry()
    assert [m["content"].strip() for m in server.log[1].json["messages"]][1:] == ["q1", "a1", "Next?"]
    assert len(chat.branches[0].messages) == 9


def test_drop_oldest_takes_one_turn_at_least_though_the_estimate_fits():
    chat = local_chat(long_talk(3), window=1000)
    assert ids(chat.drop_oldest()) == ["q0", "a0"]


def test_drop_oldest_goes_beyond_what_the_rule_leaves_out_already():
    chat = local_chat(long_talk(4), window=100, trim="oldest")
    assert set(chat.preview().left_out) == {"q0", "a0", "q1", "a1"}
    assert ids(chat.drop_oldest()) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert len(chat.preview().messages) == 3
    with pytest.raises(InputError, match="There is no older turn to leave out"):
        chat.drop_oldest()


# --- what would be refused


def test_parameters_that_the_api_or_the_model_refuses_are_known_with_the_reason():
    chat = Chat(model="gpt-6-luna")
    assert chat.rejected == {}
    chat.endpoint = Endpoint("https://api.openai.com/v1", "sk-x", "m", "test")
    assert list(chat.rejected) == ["temperature", "top_p", "logprobs", "top_logprobs", "max_tokens"]
    assert chat.rejected["top_p"] == "gpt-6-luna reasons by default and rejects top_p; set reasoning effort to none."
    chat.parameters["reasoning_effort"] = "none"
    assert list(chat.rejected) == ["max_tokens"]
    chat.api = "responses"
    assert set(chat.rejected) == {"n", "presence_penalty", "frequency_penalty", "seed", "stop", "logit_bias"}
    assert chat.rejected["seed"] == "The Responses API has no seed."
    chat.api, chat.endpoint = "chat", local()
    chat.parameters.clear()
    assert list(chat.rejected) == ["reasoning_effort"]


# --- the other API


def responses_answer(text):
    done = {"status": "completed", "model": "answered", "usage": {"input_tokens": 3, "output_tokens": 1}}
    return stream(
        event({"type": "response.output_text.delta", "sequence_number": 0, "delta": text}),
        event({"type": "response.completed", "sequence_number": 1, "response": done}),
        DONE,
    )


def test_a_chat_speaks_responses_with_the_same_parameters():
    with FaultServer(responses_answer("In Brazil.")) as server:
        chat = open_chat(server, "Be brief.", api="responses", max_completion_tokens=20, reasoning_effort="low")
        turn = chat.send("Where?")
    assert (turn.text, turn.outcome) == ("In Brazil.", "complete")
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (3, 1)
    seen = server.log[0]
    assert seen.path == "/v1/responses"
    assert seen.json == {
        "model": "asked",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Where?"}],
        "max_output_tokens": 20,
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": True,
    }


def test_what_responses_has_not_is_refused_before_sending():
    with FaultServer(reply(500)) as server:
        chat = open_chat(server, api="responses", n=2, seed=1)
        with pytest.raises(InputError, match="The Responses API has no n, seed; nothing was sent"):
            chat.send("Where?")
        assert (server.log, told(chat)) == ([], [])
        chat.api = "chat"
        assert chat.preview("Where?").problems == ()


def test_an_api_that_is_none_is_refused():
    with pytest.raises(InputError, match="api is 'soap'; it must be 'chat' or 'responses'"):
        Chat(api="soap")
