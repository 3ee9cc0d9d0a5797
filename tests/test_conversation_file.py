"""Conversations as files: what is kept, old formats, and files that are damaged or hostile."""

import json
import os
import pickle

import pytest

from chatkit.conversation.conversation import Conversation, Message
from chatkit.conversation.file import parse
from chatkit.exceptions import InputError


@pytest.fixture
def talk():
    talk = Conversation([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}])
    talk.add("assistant", "Because.", outcome="length", note="n")
    talk.branch("formal")
    talk.edit(0, "Be formal.")
    talk.switch(1, False)
    return talk


def test_a_file_gives_back_branches_ids_and_states(talk, tmp_path):
    loaded = Conversation.load(talk.save(tmp_path / "talk.json"))
    assert loaded.branches == talk.branches
    assert [[m.id for m in b.messages] for b in loaded.branches] == [[m.id for m in b.messages] for b in talk.branches]
    assert (loaded.current, list(loaded.forks)) == ("formal", [0])
    loaded.checkout("main")
    assert loaded.to_api() == [m.to_api() for m in talk.branches[0].messages]


def test_a_message_that_branches_share_is_written_once(talk):
    for _ in range(20):
        talk.branch()
    data = json.loads(talk.to_json())
    assert (data["format"], data["current"]) == ("chatkit.conversation.conversation/2", "formal-21")
    assert len(data["messages"]) == 5
    assert data["branches"][0] == {"name": "main", "messages": [0, 1, 2]}
    assert data["branches"][1] == data["branches"][21] | {"name": "formal"}


def test_the_first_format_is_still_read():
    old = {
        "format": "chatkit.conversation.conversation/1",
        "messages": [{"role": "user", "content": "Hi", "chatkit": {"id": "a1", "enabled": False, "outcome": None}}],
    }
    talk = Conversation.from_json(json.dumps(old))
    assert ([(m.id, m.enabled, m.text) for m in talk], talk.current) == ([("a1", False, "Hi")], "main")


@pytest.mark.parametrize("version", ["3", "2.1", "99", ""])
def test_a_version_that_is_not_known_is_named(version):
    with pytest.raises(
        InputError, match=rf"'chatkit.conversation.conversation/{version}', which this version .* does not know"
    ):
        Conversation.from_json(json.dumps({"format": f"chatkit.conversation.conversation/{version}", "messages": []}))


def file(**changes):
    data = {
        "format": "chatkit.conversation.conversation/2",
        "current": "main",
        "branches": [{"name": "main", "messages": [0]}],
        "messages": [{"role": "user", "content": "Hi"}],
        "settings": {},
    }
    return json.dumps({k: v for k, v in (data | changes).items() if v is not ...})


def message(**chatkit):
    return [{"role": "user", "content": "Hi", "chatkit": chatkit}]


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (file(messages=...), "messages is missing"),
        (file(messages={}), "messages is an object; it must be a list"),
        (file(messages=[3]), r"messages\[0\] is int; it must be a dict"),
        (file(messages=[{"role": "root", "content": "x"}]), r"messages\[0\]: role is 'root'"),
        (file(messages=[{"role": ["user"], "content": "x"}]), r"messages\[0\]: role is"),
        (file(messages=[{"role": "user", "content": 3}]), r"messages\[0\]: content is int"),
        (file(messages=[{"role": "user", "content": "x", "chatkit": []}]), r"messages\[0\].chatkit is a list"),
        (file(messages=message(id=3)), r"messages\[0\].chatkit.id is 3; it must be a short text"),
        (file(messages=message(id="")), r"messages\[0\].chatkit.id is ''"),
        (file(messages=message(id="x" * 101)), r"messages\[0\].chatkit.id is 'xxx"),
        (file(messages=message(enabled="no")), r"messages\[0\].chatkit.enabled is 'no'; it must be true or false"),
        (file(messages=message(outcome=[])), r"messages\[0\].chatkit.outcome is a list; it must be text"),
        (file(messages=message(note=1)), r"messages\[0\].chatkit.note is 1; it must be text"),
        (
            file(messages=message(id="a") * 2, branches=[{"name": "main", "messages": [0, 1]}]),
            r"branches\[0\].messages\[1\]: the id 'a' stands twice",
        ),
        (file(branches=[{"name": "main", "messages": [0, 0]}]), r"branches\[0\].messages\[1\]: the id .* stands twice"),
        (file(branches=...), "branches is missing"),
        (file(branches=[]), "branches has 0 items"),
        (file(branches=[3]), r"branches\[0\] is 3; it must be an object"),
        (file(branches=[{"messages": []}]), r"branches\[0\].name: A branch's name is None"),
        (file(branches=[{"name": "main", "messages": []}] * 2), r"branches\[1\].name: There is a branch 'main' already"),
        (file(branches=[{"name": "main"}]), r"branches\[0\].messages is missing"),
        (file(branches=[{"name": "main", "messages": [1]}]), r"branches\[0\].messages\[0\] is 1; it must be a mess"),
        (file(branches=[{"name": "main", "messages": [-1]}]), r"branches\[0\].messages\[0\] is -1"),
        (file(branches=[{"name": "main", "messages": [True]}]), r"branches\[0\].messages\[0\] is True"),
        (file(current="other"), "current is 'other'; it must be a branch's name"),
        (file(current=["main"]), "current is a list"),
        (file(settings=[]), "settings is a list; it must be an object"),
        (file(settings={"parameters": deep(60)}), "settings is nested deeper than 50 levels"),
        (file(messages=[{"role": "user", "content": [{"type": "x", "x": deep(60)}]}]), r"messages\[0\]: content is nest"),
        (file(messages=[{"role": "user", "content": "x", "y": deep(60)}]), r"messages\[0\]: the message's other fields"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[1e999, NaN]", "NaN is not a number of JSON"),
        ("[" + "9" * 5000 + "]", "This is not JSON"),
        ("{'format': 1}", "This is not JSON"),
        (file(format=2), "its format must be 'chatkit.conversation.conversation/2'"),
        ("null", "This JSON is not a conversation"),
        ('[{"role": "user", "content": "a", "chatkit": {"id": "x"}}, {"role": "user", "content": "b", "chatkit": {"id": "x"}}]',
         r"messages\[1\]: the id 'x' stands twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_named_by_its_field(text, named):
    with pytest.raises(InputError, match=named):
        Conversation.from_json(text)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.json").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="talk.json is not a text file"):
        Conversation.load("talk.json")
    assert [p.name for p in tmp_path.iterdir()] == ["talk.json"]


def test_a_file_that_is_too_large_is_not_read_in_whole(tmp_path):
    path = tmp_path / "talk.json"
    with path.open("wb") as sparse:
        sparse.truncate(100 * 2**20)
    with pytest.raises(InputError, match="talk.json has more than 64 MB"):
        Conversation.load(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "talk.json").write_bytes(b'\xef\xbb\xbf[{"role": "user", "content": "Hi"}]')
    assert Conversation.load(tmp_path / "talk.json")[0].text == "Hi"


def test_what_cannot_be_written_is_repaired_wherever_it_is(tmp_path):
    parts = [{"type": "text", "text": "a\ud800"}, {"type": "image_url", "image_url": {"url": "\0"}}]
    talk = Conversation([{"role": "user", "content": parts, "name": "\udfff"}])
    loaded = Conversation.load(talk.save(tmp_path / "talk.json"))
    assert loaded.to_api() == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "a\ufffd"}, {"type": "image_url", "image_url": {"url": "\ufffd"}}],
            "name": "\ufffd",
        }
    ]


def test_what_a_caller_changes_later_does_not_change_the_message():
    parts = [{"type": "image_url", "image_url": {"url": "a"}}]
    message = Message("user", parts)
    parts[0]["image_url"]["url"] = "b"
    assert message.to_api()["content"][0]["image_url"]["url"] == "a"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(talk, tmp_path, monkeypatch):
    path = talk.save(tmp_path / "talk.json")
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        talk.save(path)
    assert (path.read_text(), [p.name for p in tmp_path.iterdir()]) == (before, ["talk.json"])


def test_what_is_no_json_is_refused_before_anything_is_written(talk, tmp_path):
    talk.add("user", "x", extra={"name": object()})
    with pytest.raises(InputError, match="cannot be written as JSON"):
        talk.save(tmp_path / "talk.json")
    assert list(tmp_path.iterdir()) == []


def test_settings_travel_with_the_conversation(talk):
    kept = parse(talk.to_json({"model": "m"}))
    assert kept.settings == {"model": "m"}
