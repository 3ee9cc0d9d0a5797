"""The chat history: kept after each turn, found, opened again, deleted for good; a fault in it breaks no chat."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from faultserver import DONE, FaultServer, refusal, say, stop, stream, usage

import chatkit
from chatkit.chats import history_file, history_writer
from chatkit.chats.chat import Chat
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.conversation.conversation import Conversation
from chatkit.conversation.file import parse
from chatkit.exceptions import ChatkitError, EndpointError, InputError, StoreError
from chatkit.ledger.place import place as usage_place
from chatkit.ui.view_model import Stage


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kept" / "history.sqlite"
    monkeypatch.setenv("CHATKIT_HISTORY", str(path))
    monkeypatch.setattr(history_writer, "_warned", False)
    return path


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(stream(say("In Brazil."), stop(), usage(5, 2), DONE)) as server:
        yield server


def open_chat(server: FaultServer, *args, **kwargs) -> Chat:
    client = connect.client_for(Endpoint(server.url, "sk-test", "asked", "test"), asynchronous=True)
    return Chat(*args, client=client, **kwargs)


def send(server: FaultServer, text: str = "Where?") -> Chat:
    """A chat that got an answer and is written, or was tried to be."""
    chat = open_chat(server)
    assert chat.send(text).text == "In Brazil."
    history_writer.writer.flush()
    return chat


def send_more(chat: Chat, text: str) -> None:
    chat.send(text)
    history_writer.writer.flush()


def add(chat: Chat, **more) -> None:
    chat.conversation.add("user", "added", **more)
    history_writer.writer.flush()


def texts(messages) -> list[str]:
    return [message.text for message in messages]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_chat_is_kept_from_its_first_answer_on(file, server):
    chat = open_chat(server, "Be brief.")
    chat.conversation.add("user", "not asked")
    history_writer.writer.flush()
    assert not file.exists()
    chat.send("Where was\nthe World Cup?")
    [kept] = chatkit.history()
    assert texts(kept.messages) == ["Be brief.", "not asked", "Where was\nthe World Cup?", "In Brazil."]
    assert (kept.title, kept.model, len(kept), kept.branches) == ("not asked", "answered", 4, 1)
    chat.conversation.edit(1, "asked now")
    chat.conversation.switch(0, False)
    [kept] = chatkit.history()
    assert (kept.title, [m.enabled for m in kept.messages]) == ("asked now", [False, True, True, True])


def test_a_turn_in_which_nothing_came_back_is_not_kept(file):
    with FaultServer(refusal(400, "no")) as server, pytest.raises(EndpointError):
        open_chat(server).send("Where?")
    assert len(chatkit.history()) == 0
    assert not file.exists()


def test_a_chat_can_be_left_out_and_the_whole_history_switched_off(file, server, monkeypatch):
    open_chat(server, history=False).send("secret")
    for word in ("off", "OFF", "0", "no", "false"):
        monkeypatch.setenv("CHATKIT_HISTORY", word)
        open_chat(server).send("secret")
        assert (len(chatkit.history()), repr(chatkit.history())) == (0, "The history is off (CHATKIT_HISTORY).")
        assert chatkit.history().delete_all() == 0
    history_writer.writer.flush()
    assert not file.parent.exists()


def test_the_file_lies_in_the_users_data_folder_and_only_its_owner_reads_it(file, server, monkeypatch, tmp_path):
    open_chat(server).send("Where?")
    history_writer.writer.flush()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["history.sqlite"]
    monkeypatch.delenv("CHATKIT_HISTORY")
    monkeypatch.delenv("CHATKIT_DB")
    assert history_file.place() == usage_place().file.with_name("history.sqlite")


def test_no_word_of_the_talk_is_in_the_usage_store(file, server):
    open_chat(server).send("xyzzy-question")
    usage_file = Path(os.environ["CHATKIT_DB"])
    files = [path for path in usage_file.parent.iterdir() if path.name.startswith(usage_file.name)]
    # by another process: to close a file here would drop the locks that SQLite holds on it
    written = subprocess.run(["cat", *files], capture_output=True, check=True).stdout
    assert b"answered" in written  # the model's name
    assert b"xyzzy-question" not in written


def test_a_kept_chat_is_opened_and_goes_on_under_the_same_id(file, server):
    open_chat(server).send("first")
    chat = chatkit.history().open(0)
    chat.endpoint = Endpoint(server.url, "sk-test", "asked", "test")
    chat.send("second")
    [kept] = chatkit.history()
    assert texts(kept.messages) == ["first", "In Brazil.", "second", "In Brazil."]
    assert chatkit.history().open(kept.id).conversation.messages == kept.messages
    with pytest.raises(InputError, match="no conversation 7 here; there are 1"):
        chatkit.history().open(7)


def test_branches_and_settings_are_kept_too(file, server):
    chat = open_chat(server, temperature=0.5, api="chat", trim="oldest")
    chat.send("first")
    chat.rerun(0, "zebra")
    [kept] = chatkit.history("first")
    assert (kept.title, kept.branches) == ("zebra", 2)
    again = kept.open()
    assert (again.parameters, again.trim, again.system) == ({"temperature": 0.5}, "oldest", None)
    assert [texts(branch.messages) for branch in again.branches] == [["first", "In Brazil."], ["zebra", "In Brazil."]]


def test_a_key_that_was_typed_into_the_chat_is_not_kept(file, server):
    client = connect.client_for(Endpoint(server.url, "sk-canary-0123456789", "asked", "test"), asynchronous=True)
    Chat(client=client).send("my key is sk-canary-0123456789")
    [kept] = chatkit.history()
    assert kept.title == "my key is [key]"
    assert b"canary" not in bytes_of(file.parent)


def test_a_chat_that_cannot_be_written_down_says_so_and_goes_on(file, server):
    chat = send(server)
    with pytest.warns(UserWarning, match="cannot be written as JSON"):
        add(chat, extra={"number": float("nan")})
    chat.conversation.remove(2)
    chat.conversation.add("user", "even")
    assert len(chatkit.history()[0]) == 3


def test_a_kept_chat_changed_in_two_places_loses_nothing(file, server):
    open_chat(server).send("first")
    one, other = chatkit.history().open(0), chatkit.history().open(0)
    one.conversation.add("user", "here")
    history_writer.writer.flush()
    other.conversation.add("user", "there")
    other.conversation.add("user", "there too")
    assert sorted(texts(kept.messages)[2:] for kept in chatkit.history()) == [["here"], ["there", "there too"]]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", {"a", "b"}),
        ("STRASSE", {"a"}),
        ("straße cup", {"a"}),
        ("cup brazil", {"a", "b"}),
        ("fine", {"b"}),
        ("日本", {"b"}),
        ("100%", {"b"}),
        ("100_", set()),
        ("role", set()),
        ("'); DROP TABLE conversations; --", set()),
        ('" OR NEAR(* ^ {', set()),
        ("\x00", set()),
        ("\ud800", set()),
    ],
)
def test_words_are_found_wherever_they_stand_and_any_query_is_safe(file, server, search, found):
    open_chat(server).send("a Straße at the World Cup")
    open_chat(server).send('b cup 日本 ﬁne 100% "quoted" \\n')
    assert {kept.title[0] for kept in chatkit.history(search)} == found


def test_the_list_is_limited_and_the_latest_comes_first(file, server):
    for number in range(4):
        open_chat(server).send(f"question {number}")
        history_writer.writer.flush()
    assert [kept.title for kept in chatkit.history(limit=3)] == ["question 3", "question 2", "question 1"]
    assert [kept.title for kept in chatkit.history(limit=None)[2:]] == ["question 1", "question 0"]


def test_what_the_history_looks_like(file, server, monkeypatch):
    monkeypatch.setattr(history_file, "now", lambda: history_file.datetime(2026, 11, 24, 12, tzinfo=history_file.UTC))
    open_chat(server, model="m").send("<b>Where?</b> \x1b[31m\u202e")
    when = history_file.now().astimezone().strftime("%Y-%m-%d %H:%M")
    history = chatkit.history("where")
    assert repr(history) == (
        f"1 conversation with 'where' in the history.\n  0  {when}  <b>Where?</b>  2 messages  answered  1 branch"
    )
    assert repr(history[0]) == "Kept('<b>Where?</b>', 2 messages)"
    words = ' class="ck-words" dir="auto"'
    assert history._repr_html_().partition("</style>")[2] == (
        '<div class="ck-usage mathjax_ignore tex2jax_ignore"><table><caption>1 conversation with &#x27;where&#x27; in the history.'
        f'</caption><thead><tr><th scope="col"{words}></th><th scope="col"{words}>when</th><th scope="col"{words}>title</th>'
        f'<th scope="col">messages</th><th scope="col"{words}>model</th><th scope="col">branches</th></tr></thead><tbody>'
        f'<tr><th scope="row"{words}>0</th><td{words}>{when}</td><td{words}>&lt;b&gt;Where?&lt;/b&gt;</td><td>2</td>'
        f"<td{words}>answered</td><td>1</td></tr></tbody></table></div>"
    )


def test_what_is_deleted_is_not_in_any_byte(file, server):
    chat = open_chat(server)
    chat.send("xyzzy " * 3000)
    open_chat(server).send("plugh")
    assert b"xyzzy" in bytes_of(file.parent)  # once written
    kept = next(kept for kept in chatkit.history() if kept.title.startswith("xyzzy"))
    kept.delete()
    assert b"xyzzy" not in bytes_of(file.parent)
    assert [kept.title for kept in chatkit.history()] == ["plugh"]
    chat.conversation.add("user", "xyzzy again")  # the chat goes on, and is kept no more
    history_writer.writer.flush()
    assert b"xyzzy" not in bytes_of(file.parent)
    with pytest.raises(StoreError, match="it was deleted"):
        kept.open()


def test_all_is_deleted_whatever_the_limit_or_all_that_a_search_finds(file, server):
    for word in ("xyzzy one", "xyzzy two", "plugh"):
        open_chat(server).send(word)
    assert chatkit.history("xyzzy", limit=1).delete_all() == 2
    assert b"xyzzy" not in bytes_of(file.parent)
    assert chatkit.history(limit=0).delete_all() == 1
    assert b"plugh" not in bytes_of(file.parent)
    assert len(chatkit.history()) == 0


def test_what_was_edited_away_is_not_in_any_byte(file, server):
    chat = open_chat(server)
    chat.send("xyzzy " * 3000)
    history_writer.writer.flush()
    chat.conversation.edit(0, "plugh")
    history_writer.writer.flush()
    assert b"xyzzy" not in bytes_of(file.parent)


def test_a_locked_history_breaks_no_chat_and_warns_once(file, server, monkeypatch):
    monkeypatch.setattr(history_file, "PATIENCE", 0.05)
    chat = open_chat(server)
    chat.send("first")
    history_writer.writer.flush()
    with closing(sqlite3.connect(file)) as other, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        other.execute("BEGIN EXCLUSIVE")
        assert chat.send("second").text == chat.send("third").text == "In Brazil."
        history_writer.writer.flush()
    assert [str(w.message).partition(" (database")[0] for w in seen] == [f"The chat history {file} cannot be used"]
    chat.conversation.add("user", "fourth")
    assert len(chatkit.history()[0]) == 7


def test_a_full_disk_breaks_no_chat(file, server, monkeypatch):
    connect_to = sqlite3.connect

    def cramped(*args, **kwargs):
        connection = connect_to(*args, **kwargs)
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    chat = open_chat(server)
    chat.send("first")
    history_writer.writer.flush()
    monkeypatch.setattr(sqlite3, "connect", cramped)
    with pytest.warns(UserWarning, match="database or disk is full"):
        send_more(chat, "long " * 100_000)
    assert texts(chatkit.history()[0].messages) == ["first", "In Brazil."]
    monkeypatch.undo()
    monkeypatch.setenv("CHATKIT_HISTORY", str(file))
    chat.conversation.add("user", "room again")
    assert len(chatkit.history()[0]) == 5


def test_a_folder_that_cannot_be_written_breaks_no_chat(tmp_path, server, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHATKIT_HISTORY", str(tmp_path / "file" / "history.sqlite"))
    monkeypatch.setattr(history_writer, "_warned", False)
    with pytest.warns(UserWarning, match="The chat goes on and is not kept meanwhile"):
        send(server)


def test_a_file_that_is_no_database_is_set_aside_and_never_deleted(file, server):
    file.parent.mkdir()
    file.write_bytes(b"my thesis" * 1000)
    with pytest.warns(UserWarning, match="a new chat history is begun"):
        send(server)
    assert len(chatkit.history()) == 1
    [aside] = file.parent.glob("*.aside-*")
    assert aside.read_bytes() == b"my thesis" * 1000


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TABLE theirs (x)", "is a database of another program"),
        (f"PRAGMA application_id = {history_file.OURS}", "was written by a newer chatkit"),
    ],
)
def test_the_file_of_another_program_or_of_a_newer_chatkit_stays_as_it_is(file, server, statement, words):
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as other:
        other.execute(statement)
        other.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.warns(UserWarning, match=words):
        send(server)
    assert file.read_bytes() == before


def test_what_changes_quickly_is_written_seldom_and_its_last_state_always(file, server, monkeypatch):
    chat = open_chat(server)
    chat.send("Where?")
    history_writer.writer.flush()
    gate, puts = threading.Event(), []
    put = history_file.Archive.put

    def slowly(self, *args, **kwargs):
        gate.wait(10)
        puts.append(args)
        return put(self, *args, **kwargs)

    monkeypatch.setattr(history_file.Archive, "put", slowly)
    for number in range(500):
        chat.conversation.edit(0, f"edit {number}")
    gate.set()
    assert chatkit.history()[0].title == "edit 499"
    assert len(puts) <= 2


LAST_WORDS = """
import sys
from chatkit.chats.chat import Chat
from chatkit.client import connect
from chatkit.client.address import Endpoint
client = connect.client_for(Endpoint(sys.argv[1], "sk-test", "asked", "test"), asynchronous=True)
chat = Chat(client=client)
{ending}
"""
ENDINGS = {
    "it returns": "chat.send('xyzzy')",
    "it exits": "chat.send('xyzzy'); sys.exit(0)",
    "an exit hook changes the chat": "import atexit; chat.send('one'); atexit.register(chat.conversation.edit, 0, 'xyzzy')",
    "a stream is cut off by the end": "[next(iter(chat.stream('xyzzy')))]",
    "it forks": (
        "import os, warnings; chat.send('one')\n"
        # it forks with threads on purpose, of which Python warns from 3.12 on
        "warnings.filterwarnings('ignore', 'This process .* is multi-threaded', DeprecationWarning)\n"
        "pid = os.fork()\n"
        "chat.conversation.edit(0, 'parent' if pid else 'xyzzy')\n"
        "from chatkit.chats import history_writer as writer\nwriter.writer.flush()\n"
        "os.waitpid(pid, 0) if pid else os._exit(0)"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_came_before_the_end_of_the_interpreter_is_there(file, server, ending):
    code = LAST_WORDS.format(ending=ENDINGS[ending])
    ran = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [kept.title for kept in chatkit.history("xyzzy")] == ["xyzzy"]


MANY = """
import sys
from chatkit.conversation.conversation import Conversation
from chatkit.chats.history_file import Archive, Entry, now
from pathlib import Path
archive = Archive(Path(sys.argv[1]))
version = 0
for n in range(20):
    entry = Entry(sys.argv[2], f"title {n}", None, n, 1, now(), now())
    version = archive.put(entry, "{}", "words", after=version)
"""


def test_many_kernels_write_at_the_same_time(file):
    started = [
        subprocess.Popen([sys.executable, "-c", MANY, str(file), f"id{n}"], stderr=subprocess.PIPE) for n in range(6)
    ]
    assert [process.communicate(timeout=60)[1] for process in started] == [b""] * 6
    assert [kept.title for kept in chatkit.history()] == ["title 19"] * 6


def test_a_talk_that_is_opened_again_says_what_its_answers_took(file, server, tmp_path):
    chat = send(server)
    took = {chat.conversation[-1].id: "answered · 5 tokens in, 2 out · cost unknown"}
    for opened in (
        chatkit.history()[0].open(),
        Chat.load(chat.save(tmp_path / "talk.json"), history=False),
        Chat.from_kept(parse(chatkit.history()[0].open().to_json()), history=False),
    ):
        assert {name: caption.rpartition(" · ")[0] for name, caption in opened.captions.items()} == took
        entry = Stage(opened).scene(None, None, None).entries[-1]
        assert entry["caption"] == opened.captions[entry["id"]]
        assert "5 tokens in, 2 out" in opened._repr_html_() + opened.exported("talk.md").replace("\\", "")


@pytest.mark.parametrize("captions", ["x", 5, [1], {"a": 1}, {"a": "x" * 501}, {"a": None}])
def test_captions_of_a_file_that_are_none_are_let_go(captions):
    document = json.loads(Chat("Be brief.", history=False).to_json())
    document["settings"]["captions"] = captions
    assert Chat.from_kept(parse(json.dumps(document)), history=False).captions == {}


def test_a_message_that_is_switched_off_gives_no_title_where_another_is_asked():
    talk = Conversation([{"role": "user", "content": "By the way"}, {"role": "user", "content": "Where?"}])
    talk.switch(0, False)
    assert history_writer.title(talk) == "Where?"
    talk.switch(1, False)
    assert history_writer.title(talk) == "By the way"


def test_a_title_is_the_first_question_in_one_short_line():
    words = "word " * 40
    assert history_writer.title(
        Conversation([{"role": "system", "content": "s"}, {"role": "user", "content": words}])
    ) == ("word word word word word word word word word word word word…")
    assert history_writer.title(Conversation([{"role": "user", "content": "x" * 100}])) == "x" * 60 + "…"
    assert history_writer.title(Conversation([{"role": "assistant", "content": "Hi"}])) == "Hi"
    assert history_writer.title(Conversation()) == "(no words)"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("changed", "9999-99-99T99:99:99"), ("changed", "9999-12-31T23:59:59+00:00"), ("began", "yesterday"),
        ("began", b"\xff"), ("title", b"\xff"), ("model", b"\x00"), ("messages", "many"), ("branches", 1.5),
    ],
)  # fmt: skip
def test_a_row_of_the_history_that_cannot_be_read_is_one_marked_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: object
) -> None:
    file = tmp_path / "bad.sqlite"
    monkeypatch.setenv("CHATKIT_HISTORY", str(file))
    when = history_file.now()
    for name in ("good", "bad"):
        history_file.Archive(file).put(history_file.Entry(name, name, "m", 1, 1, when, when), "{", name)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE conversations SET {column} = ? WHERE id = 'bad'", (value,))
        other.execute("UPDATE conversations SET title = CAST(x'41ff' AS TEXT) WHERE id = 'good'")
    found = chatkit.history()
    assert [kept.title for kept in found] == ["A\\xff"]
    assert f"could not be read: bad ({column} cannot be " in repr(found)
    assert "could not be read: bad" in found._repr_html_()
    with pytest.raises(ChatkitError):
        found.open(0)
    assert found.delete_all() == 2
