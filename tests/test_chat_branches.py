"""Turns that are taken again, or several answers at once: what there was is kept as branches."""

import asyncio
import logging
import threading
from typing import Literal, get_overloads

import pytest
from faultserver import DONE, GATE, FaultServer, cut, plain_stream, refusal, say, stop, stream, usage
from test_chat import answer, open_chat, told

from chatkit.chats.chat import Chat
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.client.reply import Answer, Reply
from chatkit.client.run import Run
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.message import Message
from chatkit.exceptions import EndpointError, InputError
from chatkit.ui.view_model import Stage


def branches(chat):
    return {branch.name: [m.text for m in branch.messages] for branch in chat.branches}


def two_answers(*reasons):
    return stream(
        say("a0", 0), say("b0", 1), say("a1", 0), *(stop(reason, i) for i, reason in enumerate(reasons)), usage(5, 4), DONE
    )  # fmt: skip


def sent(server, number):
    return [m["content"] for m in server.log[number].json["messages"]]


# --- what has changed since


@pytest.mark.parametrize(
    ("change", "first", "second"),
    [
        (lambda talk: talk.edit(0, "Be long."), "asked under another system prompt", "asked under another system prompt"),
        (lambda talk: talk.remove(0), "asked under another system prompt", "asked under another system prompt"),
        (lambda talk: talk.switch(0, False), "asked under another system prompt", "asked under another system prompt"),
        (lambda talk: talk.edit(1, "Where?"), "asked before a message was changed", "asked before a message was changed"),
        (lambda talk: talk.change_role(2, "user"), None, "asked before a message was changed"),
        (lambda talk: talk.switch(3, False), None, "asked before a message was changed"),
        (lambda talk: talk.edit(4, "Mine."), None, None),
        (lambda talk: talk.add("user", "More"), None, None),
        (lambda talk: talk.edit(0, "Be brief."), None, None),
    ],
)  # fmt: skip
def test_an_answer_says_what_was_changed_since_it_was_asked_for(change, first, second):
    with FaultServer(answer("A."), answer("B."), answer("C.")) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("One?")
        chat.send("Two?")
        ids = [message.id for message in chat.conversation]
        assert (dict(chat.outdated), " · asked" in "".join(chat.captions.values())) == ({}, False)
        change(chat.conversation)
        assert [chat.outdated.get(ids[place]) for place in (2, 4)] == [first, second]
        entries = {entry["id"]: entry["caption"] for entry in Stage(chat).scene(None, None, None).entries}
        for place, said in ((2, first), (4, second)):
            if said:
                assert chat.captions[ids[place]].endswith(f" · {said}") and entries[ids[place]].endswith(f" · {said}")
        newest = chat.send("Three?")
    assert chat.outdated.get(chat.conversation[-1].id) is None and newest.text == "C."


# --- retry


def test_retry_keeps_the_old_answer_as_a_variant():
    with FaultServer(answer("Bad."), answer("Good."), answer("Better.")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.retry()
        chat.retry()
    assert branches(chat) == {
        "main": ["One?", "Bad."],
        "main-2": ["One?", "Good."],
        "main-3": ["One?", "Better."],
    }
    variants = chat.conversation.variants(1)
    assert ([m.text for m in variants.messages], variants.shown) == (["Bad.", "Good.", "Better."], 2)
    assert [chat.replies[m.id].text for m in variants.messages] == ["Bad.", "Good.", "Better."]
    assert sent(server, 2) == ["One?"]


def test_a_retry_that_brings_nothing_back_makes_no_branch():
    with FaultServer(answer("Bad."), refusal(400), answer("Good.")) as server:
        chat = open_chat(server)
        chat.send("One?")
        with pytest.raises(EndpointError):
            chat.retry()
        assert branches(chat) == {"main": ["One?", "Bad."]}
        assert chat.pending is None
        chat.retry()
    assert branches(chat) == {"main": ["One?", "Bad."], "main-2": ["One?", "Good."]}


def test_an_answer_goes_to_the_branch_it_was_asked_on_though_another_is_shown():
    with FaultServer(answer("1"), cut(say("2"), GATE)) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.conversation.branch("other")
        run = chat.stream("Two?")
        next(iter(run))
        chat.conversation.checkout("main")
        run.cancel()
        run.wait()
    assert chat.conversation.current == "main"
    assert branches(chat) == {"main": ["One?", "1"], "other": ["One?", "1", "Two?", "2"]}


def test_an_edit_while_an_answer_comes_is_not_lost():
    with FaultServer(answer("1"), cut(say("2"), GATE)) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("One?")
        run = chat.retry(wait=False)
        next(iter(run))
        chat.system = "Be long."
        run.cancel()
        run.wait()
    assert branches(chat) == {"main": ["Be long.", "One?", "1"], "main-2": ["Be long.", "One?", "2"]}


@pytest.mark.parametrize("remove", ["branch", "answer"])
def test_an_answer_whose_place_is_gone_is_kept_on_a_branch_of_its_own(remove):
    with FaultServer(answer("1"), cut(say("3", 1), say("2"), GATE)) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.parameters["n"] = 2
        run = chat.retry(wait=False)
        assert [delta.text for _, delta in zip(range(2), run, strict=False)] == ["3", "2"]
        if remove == "branch":
            chat.conversation.branch("other")
            chat.conversation.remove_branch("main")
        else:
            chat.conversation.remove(1)
        run.cancel()
        run.wait()
    if remove == "branch":
        assert chat.conversation.current == "other"
        assert branches(chat) == {"other": ["One?", "1"], "other-2": ["One?", "2"], "other-3": ["One?", "3"]}
    else:
        assert branches(chat) == {"main": ["One?", "2"], "main-2": ["One?", "3"]}


# --- a handle instead of the reply


def test_each_way_to_take_a_turn_gives_the_reply_or_the_run_that_brings_it():
    with FaultServer(*(answer(text) for text in "123456")) as server:
        chat = open_chat(server)
        runs = [chat.send("One?", wait=False)]
        assert runs[0].wait().text == "1"
        runs.append(chat.retry(wait=False))
        assert runs[1].wait().text == "2"
        runs.append(chat.rerun(0, "Two?", wait=False))
        assert runs[2].wait().text == "3"
        chat.conversation.replace_all([*chat.conversation.messages[:1], Message("assistant", "3", outcome="length")])
        runs.append(chat.resume(wait=False))
        assert runs[3].wait().text == "4"
        runs.append(chat.stream("Three?"))
        assert runs[4].wait().text == "5"
        assert chat.send("Four?", wait=True).text == "6"
    assert all(isinstance(run, Run) for run in runs)
    assert len({run.id for run in runs}) == 5


@pytest.mark.parametrize("verb", [Chat.send, Chat.retry, Chat.rerun, Chat.resume])
def test_a_type_checker_knows_whether_a_reply_or_a_run_comes_back(verb):
    told = [(form.__annotations__["wait"], form.__annotations__["return"]) for form in get_overloads(verb)]
    assert told == [(Literal[True], Reply), (Literal[False], Run), (bool, Reply | Run)]


def test_what_cannot_be_asked_is_refused_before_there_is_a_run():
    chat = Chat(history=False)
    for ask, why in (
        (lambda: chat.send(" ", wait=False), "empty"),
        (lambda: chat.retry(wait=False), "no question to ask again"),
        (lambda: chat.rerun(0, wait=False), "no message 0"),
        (lambda: chat.resume(wait=False), "not an answer that was cut off"),
    ):
        with pytest.raises(InputError, match=why):
            ask()
    assert chat.run is None


# --- rerun


def test_rerun_asks_an_earlier_question_with_other_words_and_keeps_the_old_line():
    with FaultServer(answer("1"), answer("2"), answer("new")) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("One?")
        chat.send("Two?")
        assert chat.rerun(1, "Another?").text == "new"
    assert branches(chat) == {
        "main": ["Be brief.", "One?", "1", "Two?", "2"],
        "main-2": ["Be brief.", "Another?", "new"],
    }
    assert sent(server, 2) == ["Be brief.", "Another?"]
    assert [m.text for m in chat.conversation.variants(1).messages] == ["One?", "Another?"]


@pytest.mark.parametrize("which", [1, 2])
def test_rerun_without_words_asks_again_from_a_question_or_for_an_answer(which):
    with FaultServer(answer("1"), answer("2"), answer("new")) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("One?")
        chat.send("Two?")
        question = chat.conversation[1]
        chat.rerun(chat.conversation[which].id)
    assert branches(chat)["main-2"] == ["Be brief.", "One?", "new"]
    assert chat.conversation[1] is question
    assert [m.text for m in chat.conversation.variants(2).messages] == ["1", "new"]


def test_a_question_that_was_added_by_hand_is_answered():
    with FaultServer(answer("1")) as server:
        chat = open_chat(server)
        chat.conversation.add("user", "One?")
        chat.rerun(-1)
    assert branches(chat) == {"main": ["One?", "1"]}


def test_a_rerun_that_brings_nothing_back_can_be_retried():
    with FaultServer(answer("1"), answer("2"), refusal(400), answer("new")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.send("Two?")
        with pytest.raises(EndpointError):
            chat.rerun(0, "Another?")
        assert (chat.pending, branches(chat)) == ("Another?", {"main": ["One?", "1", "Two?", "2"]})
        chat.retry()
    assert branches(chat)["main-2"] == ["Another?", "new"]
    assert chat.pending is None


def test_while_a_rerun_goes_on_it_says_what_it_goes_on_from():
    with FaultServer(answer("1"), answer("2"), cut(say("x"), GATE)) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.send("Two?")
        run = chat.rerun(2, "Another?", wait=False)
        assert ([m.text for m in chat.basis], chat.pending) == (["One?", "1"], "Another?")
        run.cancel()
        run.wait()


def test_what_cannot_be_run_again_is_refused_and_nothing_is_sent():
    with FaultServer(answer("1")) as server:
        chat = open_chat(server, "Be brief.")
        chat.send("One?")
        with pytest.raises(InputError, match="Message 2 is of role assistant; only a user's message"):
            chat.rerun(2, "x")
        with pytest.raises(InputError, match="no question up to message 0"):
            chat.rerun(0)
        with pytest.raises(InputError, match="The message is empty"):
            chat.rerun(1, " ")
        with pytest.raises(InputError, match="There is no message 9"):
            chat.rerun(9)
        assert len(server.log) == 1


# --- undo, resume


def test_undo_keeps_the_line_as_a_branch_and_the_next_question_is_a_variant():
    with FaultServer(answer("1"), answer("2"), answer("3")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.send("Two?")
        chat.undo()
        chat.send("Three?")
    assert branches(chat) == {"main": ["One?", "1", "Two?", "2"], "main-2": ["One?", "1", "Three?", "3"]}
    assert [m.text for m in chat.conversation.variants(2).messages] == ["Two?", "Three?"]


@pytest.mark.parametrize("script", [answer("In Bra", reason="length"), plain_stream(say("In Bra"))])
def test_resume_asks_an_answer_that_was_cut_off_to_go_on(script):
    with FaultServer(script, answer("zil.")) as server:
        chat = open_chat(server)
        chat.send("Where?")
        assert chat.resume().text == "zil."
        assert sent(server, 1) == ["Where?", "In Bra", "Continue."]
        with pytest.raises(InputError, match="not an answer that was cut off"):
            chat.resume()


@pytest.mark.parametrize("script", [answer("In Bra", reason="length"), plain_stream(say("In Bra"))])
def test_on_a_local_server_an_answer_goes_on_in_its_own_text_and_what_was_stays_a_variant(script):
    with FaultServer(script, answer("zil, in", reason="length"), answer(" June.")) as server:
        endpoint = Endpoint(server.url, "chatkit-local-x", "asked", "test")
        chat = Chat(client=connect.client_for(endpoint, asynchronous=True))
        chat.send("Where?")
        assert chat.resume().text == "zil, in"
        assert chat.conversation[-1].outcome == "length"
        chat.resume()
        assert sent(server, 1) == ["Where?", "In Bra"]
        assert sent(server, 2) == ["Where?", "In Brazil, in"]
        assert told(chat) == [("user", "Where?"), ("assistant", "In Brazil, in June.")]
        texts = [message.text for message in chat.conversation.variants(1).messages]
        assert texts == ["In Bra", "In Brazil, in", "In Brazil, in June."]
        assert "second part" in (chat.conversation[-1].note or "")


def test_an_answer_that_could_not_go_on_stays_and_is_tried_again_from_where_it_was():
    with FaultServer(answer("In Bra", reason="length"), refusal(400), answer("zil.")) as server:
        chat = Chat(
            client=connect.client_for(Endpoint(server.url, "chatkit-local-x", "asked", "test"), asynchronous=True)
        )
        chat.send("Where?")
        with pytest.raises(EndpointError):
            chat.resume()
        assert told(chat) == [("user", "Where?"), ("assistant", "In Bra")]
        chat.retry()
        assert told(chat)[-1] == ("assistant", "In Brazil.")


def test_resume_of_an_empty_chat_is_refused():
    with pytest.raises(InputError, match="not an answer that was cut off"):
        Chat().resume()


# --- several answers


def test_each_of_several_answers_is_a_variant_and_the_first_is_shown():
    with FaultServer(two_answers("stop", "length")) as server:
        chat = open_chat(server, n=2)
        reply = chat.send("One?")
    assert told(chat) == [("user", "One?"), ("assistant", "a0a1")]
    variants = chat.conversation.variants(1)
    assert [(m.text, m.outcome) for m in variants.messages] == [("a0a1", "complete"), ("b0", "length")]
    assert [chat.replies[m.id] for m in variants.messages] == [reply, reply]
    assert chat.usage.calls == 1


def test_keep_goes_on_with_another_answer():
    with FaultServer(two_answers("stop", "stop"), answer("next")) as server:
        chat = open_chat(server, n=2)
        chat.send("One?")
        assert chat.keep(1).text == "b0"
        chat.parameters.pop("n")
        chat.send("Two?")
    assert sent(server, 1) == ["One?", "b0", "Two?"]
    assert branches(chat) == {"main": ["One?", "a0a1"], "main-2": ["One?", "b0", "Two?", "next"]}


def test_keep_only_drops_the_other_answers():
    with FaultServer(answer("old"), two_answers("stop", "stop")) as server:
        chat = open_chat(server)
        chat.send("One?")
        chat.parameters["n"] = 2
        chat.retry()
        chat.keep(1, only=True)
    assert [m.text for m in chat.conversation.variants(1).messages] == ["old", "b0"]
    with pytest.raises(InputError, match="There is no answer 2; the last reply has 2, counted from 0"):
        chat.keep(2)


def test_an_answer_of_which_nothing_came_is_not_kept():
    with FaultServer(cut(say("a", 0), GATE)) as server:
        chat = open_chat(server, n=2)
        run = chat.stream("One?")
        next(iter(run))
        run.cancel()
        run.wait()
    assert branches(chat) == {"main": ["One?", "a"]}


def test_a_filtered_answer_among_several_is_not_sent_again():
    with FaultServer(two_answers("content_filter", "stop")) as server:
        chat = open_chat(server, n=2)
        chat.send("One?")
    assert [(m.outcome, m.enabled) for m in chat.conversation.variants(1).messages] == [
        ("filtered", False),
        ("complete", True),
    ]


# --- told


def test_on_reply_is_called_once_a_turn_when_the_conversation_has_the_answer_and_before_send_returns():
    with FaultServer(answer("1"), refusal(400), answer("3")) as server:
        chat = open_chat(server)
        heard = []

        def note(reply):
            heard.append((reply.text, reply.outcome, len(chat.conversation), chat.run.done, threading.current_thread()))

        stop_calling = chat.on_reply(note)
        chat.send("One?")
        assert [h[:4] for h in heard] == [("1", "complete", 2, True)]
        assert heard[0][4] is not threading.current_thread()
        with pytest.raises(EndpointError):
            chat.send("Two?")
        assert heard[1][:4] == ("", "error", 2, True)
        stop_calling()
        stop_calling()
        chat.retry()
    assert len(heard) == 2


def test_a_callback_may_ask_the_next_question():
    with FaultServer(answer("1"), answer("2")) as server:
        chat = open_chat(server)
        runs = []
        chat.on_reply(lambda _: runs.append(chat.stream("Two?")) if not runs else None)
        chat.send("One?")
        assert runs[0].wait().text == "2"


def test_an_error_in_a_callback_is_logged_and_the_others_are_called(caplog):
    with FaultServer(answer("1")) as server:
        chat = open_chat(server)
        heard = []
        chat.on_reply(lambda _: 1 / 0)
        chat.on_reply(lambda reply: heard.append(reply.text))
        with caplog.at_level(logging.ERROR):
            assert chat.send("One?").text == "1"
    assert heard == ["1"]
    assert "ZeroDivisionError" in caplog.text


def test_a_turn_that_is_stopped_before_it_began_is_told_too():
    class Held(Chat):
        async def _ask(self, *_):
            await asyncio.sleep(60)
            yield Reply((Answer(),), "complete")

    chat = Held()
    heard = []
    chat.on_reply(heard.append)
    run = chat.stream("One?")
    run.cancel()
    assert run.wait().outcome == "cancelled"
    assert [reply.outcome for reply in heard] == ["cancelled"]


# --- kept


def test_a_chat_comes_back_from_its_file_with_branches_and_settings(tmp_path):
    with FaultServer(answer("1"), answer("2"), answer("3")) as server:
        chat = open_chat(server, "Be brief.", model="m", temperature=0, response_format={"type": "object"}, trim=500)
        chat.send("One?")
        chat.retry()
        path = chat.save(tmp_path / "chat.json")
        again = Chat.load(path)
        again.endpoint = chat.endpoint
        assert (again.model, again.parameters, again.api, again.trim) == ("m", chat.parameters, "chat", 500)
        assert again.branches == chat.branches
        assert again.retry().text == "3"
    assert server.log[2].json["temperature"] == 0
    assert Conversation.load(path).branches == chat.branches


def test_a_conversations_file_is_a_chats_too(tmp_path):
    path = Conversation([{"role": "user", "content": "Hi"}]).save(tmp_path / "talk.json")
    chat = Chat.load(path)
    assert (told(chat), chat.model, chat.parameters, chat.api, chat.trim) == (
        [("user", "Hi")],
        None,
        {},
        "chat",
        "none",
    )


def test_no_key_is_in_a_chats_file(tmp_path):
    with FaultServer(answer("Your key is sk-canary-0123456789.")) as server:
        chat = open_chat(server)
        object.__setattr__(chat.endpoint, "api_key", "sk-canary-0123456789")
        chat.parameters["user"] = "sk-canary-0123456789"
        chat.send("Is it sk-canary-0123456789?")
        text = chat.save(tmp_path / "chat.json").read_text()
    assert "canary" not in text
    assert Chat.load(tmp_path / "chat.json").conversation[0].text == "Is it [key]?"


def test_of_an_azure_client_only_the_keys_are_taken_out(tmp_path):
    chat = Chat(model="my-deployment-1", conversation=[{"role": "user", "content": "canary-key-1 my-deployment-1"}])
    azure = (("api_key", "canary-key-1"), ("azure_deployment", "my-deployment-1"))
    chat.endpoint = Endpoint("http://127.0.0.1:9", "", "m", "Azure", azure=azure)
    again = Chat.load(chat.save(tmp_path / "chat.json"))
    assert (again.model, told(again)) == ("my-deployment-1", [("user", "[key] my-deployment-1")])


def test_a_retry_whose_old_answer_is_gone_goes_on_from_the_end():
    with FaultServer(answer("1"), refusal(400), answer("2")) as server:
        chat = open_chat(server)
        chat.send("One?")
        with pytest.raises(EndpointError):
            chat.retry()
        chat.conversation.remove(1)
        chat.retry()
    assert branches(chat) == {"main": ["One?", "2"]}


def test_a_key_among_the_parameters_is_neither_sent_nor_kept(tmp_path):
    chat = Chat()
    chat.parameters["api_key"] = "sk-other"
    for act in (lambda: chat.stream("Hi"), lambda: chat.save(tmp_path / "chat.json")):
        with pytest.raises(InputError, match="api_key is not a parameter of a chat") as caught:
            act()
        assert "sk-other" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["api_key", "base_url", "extra_headers"])
def test_what_says_where_calls_go_is_refused_at_once(name):
    with pytest.raises(InputError, match=f"{name} is not a parameter of a chat. Chat\\(client="):
        Chat(**{name: "x"})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": 3}, "settings.model is 3"),
        ({"parameters": []}, "settings.parameters must be an object"),
        ({"parameters": {"api_key": "sk-x"}}, "settings: api_key is not a parameter"),
        ({"api": "soap"}, "settings: api is 'soap'"),
        ({"trim": "all"}, "settings: trim is 'all'"),
        ({"trim": True}, "settings: trim is True"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path, settings, named):
    path = tmp_path / "chat.json"
    path.write_text(Conversation().to_json(settings))
    with pytest.raises(InputError, match=named):
        Chat.load(path)


def test_settings_that_are_not_known_are_ignored(tmp_path):
    path = tmp_path / "chat.json"
    path.write_text(Conversation().to_json({"client": "evil", "system": "x", "conversation": []}))
    assert told(Chat.load(path)) == []


def test_branches_and_diff_pass_through():
    chat = Chat("a b")
    chat.conversation.branch("other")
    chat.system = "a c"
    assert [b.name for b in chat.branches] == ["main", "other"]
    assert chat.diff("main", "other").changes == 1
