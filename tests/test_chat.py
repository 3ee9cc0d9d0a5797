"""Chat: a conversation that a model answers, on a scripted server."""

import asyncio
import html
import threading

import pytest
from faultserver import DONE, GATE, FaultServer, cut, plain_stream, refusal, say, stop, stream, usage
from hosted import answering

from chatkit.chats.chat import Chat
from chatkit.client import connect, local_process
from chatkit.client.address import Endpoint
from chatkit.conversation.conversation import Conversation
from chatkit.exceptions import EndpointError, InputError, SetupError
from chatkit.ledger.record import session


def answer(text, prompt=5, completion=2, reason="stop"):
    return stream(say(text), stop(reason), usage(prompt, completion), DONE)


def open_chat(server, *args, **kwargs):
    client = connect.client_for(Endpoint(server.url, "sk-test", "asked", "test"), asynchronous=True)
    return Chat(*args, client=client, **kwargs)


def told(chat):
    return [(m.role, m.text) for m in chat.conversation]


def test_send_keeps_question_and_answer_and_says_what_it_took():
    with FaultServer(answer("In Brazil.")) as server:
        chat = open_chat(server, "Be brief.", temperature=0)
        reply = chat.send("Where?")
    assert (reply.text, reply.outcome) == ("In Brazil.", "complete")
    assert told(chat) == [("system", "Be brief."), ("user", "Where?"), ("assistant", "In Brazil.")]
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens, chat.usage.calls) == (5, 2, 1)
    assert chat.replies[chat.conversation[-1].id] is reply
    assert chat.pending is None
    sent = server.log[0].json
    assert (sent["model"], sent["temperature"]) == ("asked", 0)
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]


def test_the_conversation_travels_with_the_next_question_without_what_is_switched_off():
    with FaultServer(answer("Dodgers."), answer("Texas.")) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("Who won?")
        chat.conversation.switch(0, False)
        chat.send("Where?")
    assert [m["content"] for m in server.log[1].json["messages"]] == ["Who won?", "Dodgers.", "Where?"]


def test_stream_gives_a_handle_that_yields_pieces_as_they_come():
    with FaultServer(stream(say("In "), say("Brazil"), stop(), DONE)) as server:
        run = open_chat(server).stream("Where?")
        assert [delta.text for delta in run] == ["In ", "Brazil"]
        assert run.reply.text == "In Brazil"


def test_a_chat_works_in_an_async_cell():
    async def cell(chat):
        first = await chat.stream("One?")
        pieces = [delta.text async for delta in chat.stream("Two?")]
        return first.text, pieces

    with FaultServer(answer("1"), answer("2")) as server:
        assert asyncio.run(cell(open_chat(server))) == ("1", ["2"])


def test_a_chat_works_in_a_thread():
    with FaultServer(answer("1")) as server:
        chat = open_chat(server)
        thread = threading.Thread(target=chat.send, args=("One?",))
        thread.start()
        thread.join()
    assert told(chat) == [("user", "One?"), ("assistant", "1")]


def test_a_turn_in_which_nothing_came_back_leaves_the_conversation_as_it_was_and_can_be_retried():
    with FaultServer(refusal(401, "bad key"), answer("Now.")) as server:
        chat = open_chat(server, "Be brief.")
        with pytest.raises(EndpointError) as caught:
            chat.send("Where?")
        assert caught.value.kind == "auth"
        assert told(chat) == [("system", "Be brief.")]
        assert chat.pending == "Where?"
        assert chat.usage.calls == 1
        assert chat.retry().text == "Now."
    assert told(chat) == [("system", "Be brief."), ("user", "Where?"), ("assistant", "Now.")]


def test_a_partial_answer_is_kept_and_says_how_it_ended():
    with FaultServer(plain_stream(say("In Bra"))) as server:
        chat = open_chat(server)
        reply = chat.send("Where?")
    assert (reply.outcome, reply.text) == ("incomplete", "In Bra")
    assert (chat.conversation[-1].text, chat.conversation[-1].outcome) == ("In Bra", "incomplete")
    assert "assistant (incomplete): In Bra" in pretty(chat)


def test_cancel_keeps_what_has_come_and_closes_the_connection():
    with FaultServer(cut(say("In Bra"), GATE)) as server:
        chat = open_chat(server)
        run = chat.stream("Where?")
        next(iter(run))
        run.cancel()
        assert run.wait().outcome == "cancelled"
        server.wait_until(lambda s: s.open == 0)
    assert (chat.conversation[-1].text, chat.conversation[-1].outcome) == ("In Bra", "cancelled")


def test_a_filtered_answer_is_kept_and_not_sent_again():
    with FaultServer(answer("Half a", reason="content_filter"), answer("Fine.")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.send("Two?")
    assert [m["content"] for m in server.log[1].json["messages"]] == ["One?", "Two?"]


def test_a_second_question_while_an_answer_comes_is_refused():
    with FaultServer(cut(say("a"), GATE)) as server:
        chat = open_chat(server)
        run = chat.stream("One?")
        with pytest.raises(InputError, match="An answer is still coming"):
            chat.stream("Two?")
        with pytest.raises(InputError, match="An answer is still coming"):
            chat.undo()
        run.cancel()
        run.wait()


def test_retry_asks_the_last_question_again_and_replaces_the_answer():
    with FaultServer(answer("Bad."), answer("Good.")) as server:
        chat = open_chat(server)
        chat.send("One?")
        assert chat.retry().text == "Good."
    assert told(chat) == [("user", "One?"), ("assistant", "Good.")]
    assert server.log[1].json["messages"] == [{"role": "user", "content": "One?"}]
    assert chat.usage.calls == 2


def test_retry_without_a_question_is_refused():
    with pytest.raises(InputError, match="There is no question to ask again"):
        Chat("Be brief.").retry()


def test_undo_takes_the_last_question_and_its_answer():
    with FaultServer(answer("1"), answer("2")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.send("Two?")
    assert [m.text for m in chat.undo()] == ["Two?", "2"]
    assert told(chat) == [("user", "One?"), ("assistant", "1")]
    assert [m.text for m in chat.undo()] == ["One?", "1"]
    assert chat.undo() == ()


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_message_is_refused_without_a_request(text):
    with FaultServer(answer("x")) as server:
        with pytest.raises(InputError, match="The message is empty"):
            open_chat(server).send(text)
        assert server.log == []


@pytest.mark.parametrize("content", [None, b"hi", {"role": "user"}, 7])
def test_a_message_that_is_no_text_is_refused(content):
    with pytest.raises(InputError, match="content is "):
        Chat().send(content)


def test_bad_parameters_are_refused_all_at_once_without_a_request():
    with FaultServer(answer("x")) as server:
        chat = open_chat(server, temperature="hot", n=0)
        with pytest.raises(InputError, match=r"temperature is 'hot'.*n is 0"):
            chat.send("One?")
        assert server.log == []


def test_a_model_that_was_shut_down_is_refused_with_the_one_that_follows(monkeypatch):
    hosted = answering(monkeypatch)
    chat = Chat(model="gpt-3.5-turbo")
    chat.endpoint = hosted.endpoint()
    with pytest.raises(InputError, match=r"shut down on 2026-10-23; gpt-6-luna follows"):
        chat.send("One?")
    assert hosted.requests == []
    assert chat.pending == "One?"


def test_what_a_reasoning_model_refuses_is_said_before_sending(monkeypatch):
    hosted = answering(monkeypatch)
    chat = Chat(temperature=0.2)
    chat.endpoint = hosted.endpoint()
    with pytest.raises(InputError, match="temperature is refused by gpt-6-luna while it reasons"):
        chat.send("One?")
    chat.parameters["reasoning_effort"] = "none"
    assert chat.send("One?").text == "Brazil"
    assert len(hosted.requests) == 1


def test_a_local_model_takes_every_name_and_parameter():
    with FaultServer(answer("x")) as server:
        chat = Chat(model="gpt-3.5-turbo", temperature=0.2)
        chat.endpoint = Endpoint(server.url, "chatkit-local-x", "tiny", "local", local=True)
        assert chat.send("One?").text == "x"
        assert chat.usage.cost == 0


def test_a_local_server_that_has_died_is_replaced_at_the_next_turn(monkeypatch):
    with FaultServer(answer("1")) as first, FaultServer(answer("2")) as second:
        monkeypatch.setattr(local_process, "_models", {first.url: None})
        standing = local_process.LocalServer(first.url, "tiny", 8192, "chatkit-local-1", process=None)
        monkeypatch.setattr(local_process, "local_server", lambda model, tell=None: standing)
        chat = Chat()
        chat.endpoint = Endpoint(first.url, "chatkit-local-1", "tiny", "local", local=True)
        assert chat.send("One?").text == "1"
        standing = local_process.LocalServer(second.url, "tiny", 8192, "chatkit-local-2", process=None)
        assert chat.send("Two?").text == "2"
    assert second.log[0].headers["authorization"] == "Bearer chatkit-local-2"


def test_without_key_and_engines_the_first_turn_says_both_ways_out(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_process, "has_engines", lambda: False)
    monkeypatch.setattr(local_process, "_servers", {})
    chat = Chat()
    with pytest.raises(SetupError, match=r"pip install .*OPENAI_API_KEY"):
        chat.send("One?")
    assert (told(chat), chat.pending) == ([], "One?")


def test_the_system_message_is_read_edited_added_and_removed():
    chat = Chat()
    assert chat.system is None
    chat.system = "Be brief."
    chat.system = "Be long."
    assert told(chat) == [("system", "Be long.")]
    chat.system = None
    assert told(chat) == []


def test_two_chats_can_share_a_conversation():
    talk = Conversation([{"role": "user", "content": "Hi"}])
    assert Chat(conversation=talk).conversation is talk


def test_listeners_hear_of_each_run():
    heard = []
    with FaultServer(answer("1"), answer("2")) as server:
        chat = open_chat(server)
        stop_listening = chat.listen(heard.append)
        chat.send("One?")
        stop_listening()
        chat.send("Two?")
    assert [run.reply.text for run in heard] == ["1"]


def test_a_turn_is_booked_on_the_session_it_was_asked_in():
    with FaultServer(answer("1")) as server:
        chat = open_chat(server)
        with session("Lesson 1"):
            run = chat.stream("One?")
        reply = run.wait()
    assert [record.session for record in reply.records] == ["Lesson 1"]


def pretty(chat):
    printed = []
    chat._repr_pretty_(type("Printer", (), {"text": staticmethod(printed.append)}), False)
    return printed[0]


def test_a_chat_shows_as_clean_html_with_plain_text_beside_it():
    chat = Chat("Be <b>brief</b>.", conversation=[{"role": "user", "content": "<script>alert(1)</script>"}])
    assert "<script" not in chat._repr_html_()
    assert html.escape("<script>") in chat._repr_html_()
    assert (
        pretty(chat) == "Chat(2 messages, model=default)\n  system: Be <b>brief</b>.\n  user: <script>alert(1)</script>"
    )
    assert repr(chat) == "Chat(2 messages, model=default)"
