"""Sessions as they are filed: listed, renamed, tagged, and deleted for good."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from test_ledger_sums import START, numbered

import chatkit
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import record as sessions_now
from chatkit.ledger.record import Usage
from chatkit.ledger.store import UsageStore

SECRET = "Diagnosis of Mr Quillfeather"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


@pytest.fixture
def store(file: Path) -> Iterator[UsageStore]:
    store = UsageStore(file)
    for number, name in enumerate(("Lesson 1", "Lesson 2", "Lesson 1")):
        at = START + timedelta(minutes=number)
        store.add(numbered(number, session=name, at=at, usage=Usage(10, 5, known="measured")))
    yield store
    store.close()


def test_sessions_are_listed_with_what_they_used(store: UsageStore) -> None:
    chatkit.tag_session("physics", "2026", session="Lesson 2", store=store)
    listed = chatkit.sessions(store=store)
    assert listed.names == ["Lesson 1", "Lesson 2"]
    assert listed["Lesson 1"].usage == Usage(20, 10, known="measured", calls=2, unpriced_calls=2)
    assert (listed["Lesson 1"].first, listed["Lesson 1"].last) == (START, START + timedelta(minutes=2))
    assert listed["Lesson 2"].tags == listed[1].tags == ("2026", "physics")
    assert chatkit.sessions("physics", store=store).names == ["Lesson 2"]
    assert chatkit.usage(tag="physics", store=store).total.calls == 1


def test_tags_are_set_anew_each_time(store: UsageStore) -> None:
    chatkit.tag_session("a", "b", "a", " ", session="Lesson 1", store=store)
    chatkit.tag_session("c", session="Lesson 1", store=store)
    assert chatkit.sessions(store=store)["Lesson 1"].tags == ("c",)
    chatkit.tag_session(session="Lesson 1", store=store)
    assert chatkit.sessions(store=store)["Lesson 1"].tags == ()


def test_a_session_is_renamed_with_its_calls_its_sums_and_its_tags(store: UsageStore) -> None:
    chatkit.tag_session("physics", session="Lesson 1", store=store)
    before = store.total(session="Lesson 1")
    chatkit.rename_session("Optics", "Lesson 1", store=store)
    assert chatkit.sessions(store=store).names == ["Optics", "Lesson 2"]
    assert store.total(session="Optics") == before
    assert {record.session for record in store.records()} == {"Optics", "Lesson 2"}
    assert chatkit.sessions("physics", store=store).names == ["Optics"]


def test_calls_that_are_still_to_come_go_by_the_new_name(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    process = sessions_now.Booking("2026-11-23 09:30:00 a1b2c3")
    monkeypatch.setattr(sessions_now, "_process", process)
    sessions_now._open.add(process)
    with chatkit.session("Lesson 2"):
        chatkit.rename_session("Optics", store=store)
        assert chatkit.current_session() == "Optics"
    chatkit.rename_session("Evening", store=store)
    assert chatkit.current_session() == "Evening"
    with chatkit.session("Lesson 2"):
        assert chatkit.current_session() == "Lesson 2"


def test_a_name_that_is_taken_or_empty_or_of_no_session_is_refused(store: UsageStore) -> None:
    with pytest.raises(InputError, match="There is a session 'Lesson 2' already"):
        chatkit.rename_session("Lesson 2", "Lesson 1", store=store)
    with pytest.raises(InputError, match="cannot be empty"):
        chatkit.rename_session(" ", "Lesson 1", store=store)
    with pytest.raises(InputError, match="no session 'Lesson 7'"):
        chatkit.rename_session("Lesson 8", "Lesson 7", store=store)
    with pytest.raises(InputError, match="no session 'Lesson 7'"):
        chatkit.delete_session("Lesson 7", store=store)
    assert chatkit.sessions(store=store).names == ["Lesson 1", "Lesson 2"]


def bytes_of(file: Path) -> bytes:
    return b"".join(path.read_bytes() for path in file.parent.iterdir())


def test_a_deleted_session_leaves_no_byte_in_the_file_or_its_log(store: UsageStore, file: Path) -> None:
    for number in range(300):
        store.add(numbered(1000 + number, session=SECRET if number % 2 else "Lesson 2", model=SECRET.upper()))
        if not number:
            chatkit.tag_session(SECRET.lower(), session=SECRET, store=store)
    store.add(numbered(2000, session=SECRET))
    assert SECRET.encode() in bytes_of(file)
    assert chatkit.delete_session(SECRET, store=store) == 151
    left = bytes_of(file)
    assert SECRET.encode() not in left
    assert SECRET.lower().encode() not in left
    assert b"n2000" not in left
    assert chatkit.sessions(store=store).names == ["Lesson 1", "Lesson 2"]
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_bytes_of_a_session_that_was_renamed_go_with_it(store: UsageStore, file: Path) -> None:
    chatkit.rename_session(SECRET, "Lesson 1", store=store)
    chatkit.rename_session("Neutral", SECRET, store=store)
    chatkit.delete_session("Neutral", store=store)
    assert SECRET.encode() not in bytes_of(file)


def test_a_reader_that_keeps_traces_alive_is_told_of(
    store: UsageStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatkit.ledger.sessions.WIPING", 0.01)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM chatkit_calls").fetchall()
        with pytest.raises(StoreError, match="deleted, but traces.*Close other notebooks"):
            chatkit.delete_session("Lesson 1", store=store)
    assert chatkit.sessions(store=store).names == ["Lesson 2"]
    store.scrub()
    assert b"Lesson 1" not in bytes_of(file)


def test_what_this_process_books_on_a_deleted_session_gets_a_name_of_its_own(store: UsageStore) -> None:
    with chatkit.session("Lesson 1"):
        chatkit.delete_session("Lesson 1", store=store)
        assert chatkit.current_session() != "Lesson 1"
