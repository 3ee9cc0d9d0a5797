"""A stranger's conversation file: what costs or reaches out is named and set aside; what is wrong is said in words."""

import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer
from panel_wire import ScriptedChat, View, Wire
from test_chat import answer, open_chat, told

from chatkit.api.models import HOSTED_DEFAULT
from chatkit.chats import offered
from chatkit.chats.chat import Chat
from chatkit.chats.history import history
from chatkit.conversation.conversation import Conversation
from chatkit.exceptions import ChatkitError, InputError
from chatkit.ui.chat_panel import ChatPanel

PLAIN = {
    "temperature": 0.7,
    "top_p": 1,
    "seed": 7,
    "stop": ["x"],
    "presence_penalty": 0,
    "frequency_penalty": 1,
    "max_completion_tokens": 500,
    "response_format": {"type": "object", "properties": {"a": {"type": "string"}}},
    "reasoning_effort": "low",
    "verbosity": "low",
    "n": 1,
    "store": False,
}
COSTLY = {
    "n": 128,
    "tools": [{"type": "web_search"}],
    "web_search_options": {},
    "store": True,
    "models": ["a", "b"],
    "service_tier": "priority",
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "x"},
    "prediction": {"type": "content", "content": "x"},
    "max_tokens": 10**9,
    "max_output_tokens": 128_000,
    "reasoning_effort": "xhigh",
    "reasoning": {"effort": "high"},
    "response_format": {"type": "object", "description": "x" * 50_000},
    "stop": "x" * 50_000,
    "user": "me",
    "extra_body": {"x": 1},
    "extra_query": {"x": 1},
    "prompt_cache_retention": "24h",
    "anything": "unknown",
    "n ": 1,
    "": 1,
}
DEAR = "gpt-4-turbo"


def saved(path: Path, **settings: Any) -> Path:
    path.write_text(Conversation([{"role": "user", "content": "Hi"}]).to_json(settings), encoding="utf-8")
    return path


def test_a_file_with_plain_settings_loads_without_a_word(tmp_path: Path):
    with FaultServer(answer("x"), answer("y")) as server:
        chat = open_chat(server, "Be brief.", model="m", trim=500, **PLAIN)
        chat.send("One?")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = Chat.load(chat.save(tmp_path / "chat.json"))
        assert (again.model, again.parameters, again.trim, again.set_aside) == ("m", PLAIN, 500, {})


@pytest.mark.parametrize("name", COSTLY)
def test_what_costs_or_reaches_out_is_named_and_not_sent_until_it_is_taken(tmp_path: Path, name: str):
    path = saved(tmp_path / "chat.json", parameters={"temperature": 0, name: COSTLY[name]})
    with pytest.warns(UserWarning, match=r"The conversation's file also sets .* To take it: chat.accept\(\)\.") as said:
        chat = Chat.load(path)
    assert f" {name} = " in str(said[0].message) and len(str(said[0].message)) < 400
    assert (dict(chat.set_aside), chat.parameters) == ({name: COSTLY[name]}, {"temperature": 0})
    with FaultServer(answer("x")) as server:
        chat.endpoint = open_chat(server).endpoint
        chat.send("Hello")
    assert set(server.log[0].json) - {"stream", "stream_options"} == {"model", "messages", "temperature"}
    assert chat.accept() == {name: COSTLY[name]}
    assert (chat.parameters, chat.set_aside) == ({"temperature": 0, name: COSTLY[name]}, {})


def test_a_dearer_model_is_set_aside_and_others_are_not(tmp_path: Path):
    with pytest.warns(UserWarning, match=f'model = "{DEAR}" \\(costs more than twice as much as {HOSTED_DEFAULT}\\)'):
        chat = Chat.load(saved(tmp_path / "chat.json", model=DEAR))
    assert chat.model is None
    chat.accept()
    assert chat.model == DEAR
    for model in (HOSTED_DEFAULT, "gpt-4o-mini", "my-deployment-1", None):
        assert Chat.load(saved(tmp_path / "chat.json", model=model)).model == model


def test_what_is_declined_is_gone(tmp_path: Path):
    with pytest.warns(UserWarning, match="n = 9"):
        chat = Chat.load(saved(tmp_path / "chat.json", parameters={"n": 9}))
    assert (chat.decline(), chat.set_aside, chat.accept(), chat.parameters) == ({"n": 9}, {}, {}, {})


def test_what_nobody_took_is_not_written_into_the_next_file(tmp_path: Path):
    with pytest.warns(UserWarning, match="n = 9"):
        chat = Chat.load(saved(tmp_path / "chat.json", parameters={"n": 9, "seed": 1}))
    assert json.loads(chat.to_json())["settings"]["parameters"] == {"seed": 1}


def test_a_file_that_is_trusted_is_taken_whole(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chat = Chat.load(saved(tmp_path / "chat.json", model=DEAR, parameters={"n": 9}), trust=True)
    assert (chat.model, chat.parameters, chat.set_aside) == (DEAR, {"n": 9}, {})


def test_what_was_kept_on_this_machine_is_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHATKIT_HISTORY", str(tmp_path / "history.sqlite"))
    with FaultServer(answer("x")) as server:
        open_chat(server, n=2, history=True).send("Hi")
    assert history()[0].open().parameters == {"n": 2}


# --- in a panel


@pytest.mark.parametrize(("act", "taken"), [("accept", {"n": 9}), ("decline", {})])
def test_a_panel_asks_and_goes_by_what_is_chosen(monkeypatch: pytest.MonkeyPatch, act: str, taken: dict):
    wire = Wire()
    monkeypatch.setattr(ChatPanel, "send", lambda _, content, buffers=None: wire.send(content))
    chat = ScriptedChat()
    chat._set_aside = {"n": 9}
    panel = ChatPanel(chat)
    view = View(panel)
    wire.views.append(view)
    view.hello()
    said = "The conversation's file also sets n = 9 (asks for several answers, each of which costs). It is set aside, and not sent."
    acts = [["accept", "Take it"], ["decline", "Leave it out"]]
    assert view.status["error"] == {"text": said, "acts": acts, "kind": "offer"}  # a question, and no error
    panel.simulate({"type": act, "id": "1"})
    wire.until(lambda: view.status["error"] is None)
    assert (chat.parameters, chat.set_aside) == (taken, {})
    panel.close()


# --- hostile files


@pytest.mark.parametrize(
    "name",
    [
        *("model", "self", "system", "client", "conversation", "api", "trim", "history", "messages", "input"),
        *("instructions", "stream", "stream_options", "api_key", "base_url", "default_headers", "http_client"),
    ],
)
@pytest.mark.parametrize("trust", [True, False])
def test_what_is_no_parameter_is_refused_in_words(tmp_path: Path, name: str, trust: bool):
    path = saved(tmp_path / "chat.json", parameters={name: "x"})
    with pytest.raises(InputError, match=f"{name}.* is (no parameter of the API|not a parameter of a chat)"):
        Chat.load(path, trust=trust)


ODD = [
    None,
    True,
    10**400,
    -(10**400),
    1e308,
    "",
    "\ud83d",
    "\0",
    [],
    {},
    [[]],
    {"": {}},
    ["x"] * 200,
    "x" * 9999,
    0,
    -1,
]


def mutated(value: Any, chance: random.Random) -> Any:
    """The value with one place in it made odd."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {
                **value,
                chance.choice(["self", "model", "n", "role", "id", "api", "\ud83d", ""]): chance.choice(ODD),
            }
        return {**value, name: mutated(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], mutated(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


@pytest.mark.parametrize("seed", range(12))
def test_of_a_mutated_file_only_words_come(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ChatPanel, "send", lambda *_: None)
    talk = Conversation(
        [{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "y"}]}]
    )
    talk.add("assistant", "z")
    talk.branch("other")
    kept = json.loads(talk.to_json({"model": DEAR, "parameters": PLAIN | COSTLY, "api": "chat", "trim": "oldest"}))
    chance, path, words = random.Random(seed), tmp_path / "chat.json", 0
    for _ in range(60):
        path.write_text(json.dumps(mutated(mutated(kept, chance), chance)), encoding="utf-8")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                chat = Chat.load(path, history=False)
            offered.sentence(chat.set_aside).encode("utf-8", "backslashreplace")
            chat.accept()
            chat.preview("and?")
            chat._repr_html_()
            chat.to_json().encode()
            told(chat)
            panel = ChatPanel(chat)
            panel._stage.scene(None, None, None)
            panel.close()
        except ChatkitError as error:
            words += 1
            str(error).encode()
    assert words
