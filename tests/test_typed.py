"""What a person types is mended or refused where it comes in: sessions, tags, people, searches, names of files."""

from pathlib import Path

import pytest
from faultserver import FaultServer
from test_chat import answer, open_chat

import chatkit
from chatkit import typed
from chatkit.chats.chat import Chat
from chatkit.conversation.conversation import Conversation
from chatkit.exceptions import ChatkitError, InputError, SetupError
from chatkit.ledger import export, repricing
from chatkit.ledger import record as sessions
from chatkit.ledger.rules import host_of
from chatkit.ledger.store import UsageStore
from chatkit.local import weights
from chatkit.reports import report
from chatkit.speech.transcript import Transcript

HALVES = ["a\ud83db", "\udc80", "nul\0l"]


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "usage.sqlite")


@pytest.mark.parametrize("half", HALVES)
def test_a_call_is_booked_on_the_mended_names_and_found_by_the_typed_ones(half: str, monkeypatch: pytest.MonkeyPatch):
    clean = "".join("\ufffd" if c in "\0\ud83d\udc80" else c for c in half)
    name = f"typed {half}"
    with FaultServer(answer("x")) as server:
        with chatkit.session(name, lesson=half, exercise=half, user=half) as given:
            assert (given, chatkit.current_session(), sessions.current_user()) == (f"typed {clean}",) * 2 + (clean,)
            open_chat(server).send("hi")
        report.tag_session(half, session=name)
        for scope in (
            {"session": name},
            {"lesson": half, "session": name},
            {"user": half},
            {"tag": half, "exercise": half},
        ):
            assert report.usage(**scope).total.calls == 1, scope
        [record] = report.usage(name).records()
        assert (record.session, record.lesson, record.exercise, record.user) == (f"typed {clean}", clean, clean, clean)
        assert [found.name for found in report.sessions(half)] == [f"typed {clean}"]
        report.rename_session(f"renamed {half}", session=name)
        assert report.delete_session(f"renamed {half}") == 1


def test_a_user_that_the_environment_names_in_another_encoding_is_mended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHATKIT_USER", "J\udcfcrgen")
    assert sessions.current_user() == "J\ufffdrgen"


@pytest.mark.parametrize("value", [7, b"x", ["a"], object()])
def test_a_name_that_is_no_text_is_refused_in_words(store: UsageStore, value):
    for ask in (
        lambda: chatkit.session(value).__enter__(),
        lambda: chatkit.session("a", user=value).__enter__(),
        lambda: report.usage(value, store=store),
        lambda: report.usage(tag=value, store=store),
        lambda: report.tag_session(value, store=store),
        lambda: report.rename_session(value, store=store),
        lambda: report.delete_session(value, store=store),
        lambda: store.records(session=value),
        lambda: repricing.set_price(value, input="1"),
        lambda: repricing.set_price(endpoint=value, input="1"),
    ):
        with pytest.raises(InputError, match="must be text"):
            ask()


@pytest.mark.parametrize("half", HALVES)
def test_whatever_is_typed_nothing_but_words_comes_back(store: UsageStore, half: str, tmp_path: Path):
    for ask in (
        lambda: report.delete_session(half, store=store),
        lambda: report.usage(session=half, model=half, endpoint=half, user=half, store=store)._repr_html_(),
        lambda: report.usage(since=half, store=store),
        lambda: chatkit.history(half),
        lambda: chatkit.history().open(half),
        lambda: Conversation().branch(half),
        lambda: Conversation([{"role": "user", "content": "x"}]).checkout(half),
        lambda: Chat(half, model="m", stop=half, user=half, metadata={half: half}).preview(half),
        lambda: Chat(model=half).send("x"),
        lambda: host_of(half),
        lambda: host_of(f"http://[{half}"),
        lambda: weights.find(half),
        lambda: chatkit.transcribe(b"RIFF", name=half, prompt=half, language=half),
    ):
        try:
            ask()
        except ChatkitError as error:
            str(error).encode()


def test_a_parameter_with_half_a_character_is_sent_mended():
    with FaultServer(answer("x")) as server:
        open_chat(server, stop="a\ud83d", metadata={"k\0": ["\udc00"]}).send("hi")
    body = server.log[0].json
    assert (body["stop"], body["metadata"]) == ("a\ufffd", {"k\ufffd": ["\ufffd"]})


@pytest.mark.parametrize("name", ["a\ud83d", "nul\0l"])
@pytest.mark.parametrize("ending", ["json", "html", "md", "txt", "csv", "wav", "sqlite", "gguf"])
def test_a_file_that_no_file_can_be_called_is_refused_in_words(
    store: UsageStore, tmp_path: Path, name: str, ending: str
):
    path = f"{tmp_path}/{name}.{ending}"
    talk = Conversation([{"role": "user", "content": "x"}])
    for ask in (
        lambda: talk.save(path),
        lambda: Conversation.load(path),
        lambda: Chat(conversation=talk).save(path),
        lambda: Chat(conversation=talk).export(path),
        lambda: Chat.load(path),
        lambda: Transcript("x").save(path),
        lambda: report.usage(None, store=store).to_csv(path),
        lambda: export.export(store, path),
        lambda: export.merge(store, [path]),
        lambda: UsageStore(path),
        lambda: chatkit.transcribe(path),
        lambda: weights.find(path),
    ):
        with pytest.raises((InputError, SetupError)) as refused:
            ask()
        str(refused.value).encode()
    assert [file.name for file in tmp_path.iterdir() if "usage" not in file.name] == []


@pytest.mark.parametrize("value", [None, 7, 1.5, ["a"], object()])
def test_what_is_no_path_is_refused_in_words(value):
    with pytest.raises(InputError, match="it must be a path"):
        typed.path(value)


def test_a_file_whose_name_is_in_another_encoding_can_be_named(tmp_path: Path):
    path = tmp_path / "J\udcfcrgen.json"
    Conversation([{"role": "user", "content": "x"}]).save(path)
    assert len(Conversation.load(path)) == 1
