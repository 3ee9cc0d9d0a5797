"""A budget whose store cannot be read: refused where one may be in force, sent where none is known to be."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx2
import postgres
import pytest
from faultserver import FaultServer, completion, reply
from postgres import Cluster

import chatkit
from chatkit import patience
from chatkit.exceptions import BudgetError
from chatkit.ledger import database, rulebook, store
from chatkit.ledger.meter import Meter, MeteredTransport
from chatkit.ledger.place import Place, place
from chatkit.ledger.rules import LastRules, Limit, MoneyRules, OwnPrice
from chatkit.ledger.store import UsageStore

STOP = Limit(Decimal("0.5"), "day")
ANSWER = {**completion("In Brazil."), "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
KEY = {"authorization": "Bearer sk-test"}
NOWHERE = "postgresql+psycopg://ada:topsecret@127.0.0.1:1/class"
"""A server on a port where nobody listens."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(rulebook, "FRESH", 0.0)
    monkeypatch.setattr(rulebook, "FRESH_ON_SERVER", 0.0)
    monkeypatch.setattr(rulebook, "PATIENCE", 0.2)
    monkeypatch.setattr(store, "PATIENCE", 0.2)
    monkeypatch.setattr(Meter.write, "__defaults__", (0.2,))
    monkeypatch.setattr(UsageStore.transaction.__wrapped__, "__defaults__", (0.2,))  # type: ignore[attr-defined]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


def set_limit(where: "Path | str", limit: Limit | None) -> None:
    """As another kernel does."""
    other = UsageStore(where)
    rulebook.rulebook_of(other).set_limit(limit)
    other.close()


def kernel(where: "Path | str") -> tuple[UsageStore, httpx2.Client, list[httpx2.Request]]:
    """What a fresh kernel has, its client, and the requests that it sent."""
    sent: list[httpx2.Request] = []

    def say(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json=ANSWER)

    fresh = UsageStore(where)
    return fresh, httpx2.Client(transport=MeteredTransport(httpx2.MockTransport(say), Meter(fresh))), sent


def ask(client: httpx2.Client) -> None:
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o-mini"}, headers=KEY)


def refused(where: "Path | str", match: str) -> None:
    """A fresh kernel sends none of two calls."""
    _, client, sent = kernel(where)
    for _ in range(2):
        with pytest.raises(BudgetError, match=match):
            ask(client)
    assert sent == []


def goes_on(where: "Path | str") -> UsageStore:
    """A fresh kernel sends both of two calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fresh, client, sent = kernel(where)
        ask(client)
        ask(client)
    assert len(sent) == 2
    return fresh


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Another program holds the file, so that not even reading it is possible."""
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode = delete")
        holder.execute("BEGIN EXCLUSIVE")
        yield


def test_where_no_store_is_a_call_is_sent_and_a_store_begun(file: Path) -> None:
    fresh = goes_on(file)
    assert fresh.total().calls == 2
    assert LastRules(place(file)).read() == MoneyRules()


def test_where_no_store_can_be_none_was_and_calls_are_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    fresh = goes_on(tmp_path / "file" / "usage.sqlite")
    assert fresh.waiting == 2
    fresh._waiting.clear()


def test_a_file_that_another_program_holds_stops_calls_where_a_budget_may_be(file: Path) -> None:
    set_limit(file, STOP)
    with held(file):
        refused(file, r"cannot be checked: The usage store .* is held by another program. The call was not sent")
        LastRules(place(file)).file.unlink()
        refused(file, r"Whether a budget is set cannot be read: .*usage.sqlite is held by another program.")


@pytest.mark.parametrize("limit", [None, Limit(Decimal("0.5"), "day", "warn")])
def test_a_file_that_is_held_stops_no_call_where_no_budget_stops(file: Path, limit: Limit | None) -> None:
    set_limit(file, limit)
    with held(file):
        waits = goes_on(file)
        assert waits.waiting == 2
    waits.flush()
    assert waits.total().calls == 2


@pytest.mark.parametrize(
    ("known", "match"),
    [(STOP, "cannot be checked"), ("nothing", "Whether a budget is set cannot be read")],
)
def test_a_file_that_cannot_be_opened_stops_calls(file: Path, known: Any, match: str) -> None:
    file.mkdir()
    if known == STOP:
        LastRules(place(file)).keep(MoneyRules(STOP))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(file, match)
    LastRules(place(file)).keep(MoneyRules())
    goes_on(file)._waiting.clear()


@pytest.mark.parametrize("content", [b"shopping list", b"SQLite format 3\0 and no more", b"\0" * 5000])
@pytest.mark.parametrize("known", ["a budget", "nothing"])
def test_a_damaged_file_stops_calls_until_a_budget_is_set_or_ended(file: Path, content: bytes, known: str) -> None:
    set_limit(file, STOP)
    if known == "nothing":
        LastRules(place(file)).file.unlink()
    file.write_bytes(content)
    match = r"was damaged and is set aside. A budget may have been set in it.*chatkit.budget\(\).off\(\)"
    with pytest.warns(UserWarning, match="is no usage store"):
        refused(file, match)
    refused(file, match)
    set_limit(file, STOP)
    goes_on(file)
    set_limit(file, None)
    goes_on(file)


GONE = {"removed": Path.unlink, "emptied": lambda file: file.write_bytes(b"")}


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("known", ["a budget", "what cannot be read"])
def test_a_file_that_is_gone_or_empty_stops_calls_where_a_budget_may_have_been(
    file: Path, how: str, known: str
) -> None:
    set_limit(file, STOP)
    if known != "a budget":
        LastRules(place(file)).file.write_text("{")
    GONE[how](file)
    refused(file, "is gone. A budget may have been set in it")
    refused(file, "is gone. A budget may have been set in it")
    set_limit(file, None)
    goes_on(file)


LOOKS = {
    "whether something is known": (os.path, "lexists"),
    "what is known": (LastRules, "read"),
    "whether the file is there": (Place, "missing"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("other", ["sends a call", "sets a budget"])
def test_two_kernels_that_begin_a_store_at_once_lose_no_budget(
    file: Path, monkeypatch: pytest.MonkeyPatch, other: str, look: str, when: str
) -> None:
    owner, name = LOOKS[look]
    original, at = getattr(owner, name), [when]
    look_at = original.fget if isinstance(original, property) else original

    def begin(moment: str) -> None:
        if moment in at:
            at.clear()
            goes_on(file) if other == "sends a call" else set_limit(file, STOP)

    def looked(*asked: Any) -> Any:
        begin("before")
        found = look_at(*asked)
        begin("after")
        return found

    monkeypatch.setattr(owner, name, property(looked) if isinstance(original, property) else looked)
    goes_on(file)
    assert not at
    goes_on(file)
    known = LastRules(place(file)).read()
    assert known is not None
    assert (known.lost, known.limit) == ("", STOP if other == "sets a budget" else None)


def test_a_store_that_is_set_aside_is_not_said_to_be_gone_by_who_looks_before_there_is_another(file: Path) -> None:
    set_limit(file, STOP)
    rules = LastRules(place(file))
    rules.lose_damaged()
    file.unlink()
    rules.lose_if_missing()
    known = rules.read()
    assert known is not None
    assert (known.lost, known.limit) == (f"The usage store {place(file)} was damaged and is set aside.", STOP)


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_link_whose_file_is_gone_stops_calls(file: Path) -> None:
    file.symlink_to(file.with_name("elsewhere"))
    set_limit(file, STOP)
    file.with_name("elsewhere").unlink()
    refused(file, "is gone. A budget may have been set in it")


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_circle_of_links_stops_calls_and_is_told_as_a_store_that_cannot_be_opened(file: Path) -> None:
    set_limit(file, STOP)
    file.unlink()
    file.symlink_to(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(file, "cannot be")


def test_a_damaged_file_that_had_no_budget_stops_nothing(file: Path) -> None:
    set_limit(file, None)
    file.write_bytes(b"shopping list")
    goes_on(file)


def test_a_budget_is_lost_with_its_file_and_the_budget_says_so(file: Path) -> None:
    set_limit(file, STOP)
    file.unlink()
    refused(file, "usage.sqlite is gone. A budget may have been set in it, and what has gone of that is not known")
    assert "is gone" in repr(chatkit.ledger.budget.Budget(UsageStore(file)))
    UsageStore(file).open()
    refused(file, "is gone")
    chatkit.ledger.budget.Budget(UsageStore(file)).off()
    goes_on(file)


def test_a_budget_that_another_kernel_sets_and_ends_is_seen(file: Path) -> None:
    _, client, sent = kernel(file)
    ask(client)
    ask(client)
    set_limit(file, Limit(Decimal(0)))
    with pytest.raises(BudgetError, match="has 0.00 USD left"):
        ask(client)
    set_limit(file, None)
    ask(client)
    assert len(sent) == 3


def test_a_budget_set_by_an_older_version_is_remembered_when_it_is_read(file: Path) -> None:
    goes_on(file)
    with closing(sqlite3.connect(file)) as older:
        older.execute("INSERT INTO chatkit_budgets VALUES ('', 500000000000, 'day', 'stop', '')")
        older.commit()
    goes_on(file)
    known = LastRules(place(file)).read()
    assert known is not None
    assert known.limit == STOP


def test_an_older_reading_does_not_make_a_budget_forgotten(file: Path) -> None:
    last = LastRules(place(file))
    last.keep(MoneyRules(STOP))
    now = last.file.stat().st_mtime_ns
    last.keep_read(MoneyRules(), now - 1)
    assert last.read() == MoneyRules(STOP)
    last.keep_read(MoneyRules(), now + 10**9)
    assert last.read() == MoneyRules()


def test_the_rules_are_kept_for_their_owner_by_the_address_of_their_store(tmp_path: Path) -> None:
    own = OwnPrice("m", "h:80", Decimal("0.1"), None, None, Decimal("0.006"), "2026-11-27")
    rules = MoneyRules(STOP, (own,), lost="It is gone.")
    LastRules(Place(NOWHERE)).keep(rules)
    file = LastRules(Place(NOWHERE.replace("topsecret", "other"))).file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.parent == tmp_path / "data" / "chatkit"
    assert "topsecret" not in file.read_text() + file.name
    assert LastRules(Place(NOWHERE)).read() == rules
    for other in (NOWHERE.replace("ada", "eve"), NOWHERE.replace("/class", "/b"), NOWHERE.replace(":1/", ":2/")):
        assert LastRules(Place(other)).read() is None
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_reached_by_two_names_has_the_same_rules(file: Path) -> None:
    LastRules(place(file)).keep(MoneyRules(STOP))
    link = file.with_name("link.sqlite")
    link.symlink_to(file)
    assert LastRules(place(link)).read() == MoneyRules(STOP)


GOOD = {"version": 1, "limit": None, "prices": [], "lost": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"null", b"[]", b"3", b"{}", b"[" * 100_000, b" " * 1_000_001,
        *(json.dumps(GOOD | change).encode() for change in (
            {"version": 2}, {"version": "1"}, {"limit": "none"}, {"limit": 3}, {"lost": 3}, {"lost": [1]},
            {"prices": None}, {"prices": [1]}, {"prices": [{"model": "m"}]}, {"prices": 5},
            {"limit": {"amount": "NaN", "per": "day", "on": "stop"}},
            {"limit": {"amount": "-1", "per": "day", "on": "stop"}},
            {"limit": {"amount": "much", "per": "day", "on": "stop"}},
            {"limit": {"amount": 1, "per": "day", "on": "stop"}},
            {"limit": {"amount": "1", "per": "week", "on": "stop"}},
            {"limit": {"amount": "1", "per": "day", "on": "go"}},
        )),
    ],
)  # fmt: skip
def test_what_is_no_such_file_counts_as_none(content: bytes) -> None:
    last = LastRules(Place(NOWHERE))
    last.keep(MoneyRules())
    assert last.read() == MoneyRules()
    last.file.write_bytes(content)
    assert last.read() is None
    refused(NOWHERE, "Whether a budget is set cannot be read")


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither")
@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_a_link_a_pipe_and_a_folder_are_no_such_file_and_are_not_waited_for(what: str, tmp_path: Path) -> None:
    last = LastRules(Place(NOWHERE))
    last.keep(MoneyRules())
    target = last.file.rename(tmp_path / "target.json")
    {
        "link": lambda: last.file.symlink_to(target),
        "pipe": lambda: os.mkfifo(last.file),
        "folder": last.file.mkdir,
    }[what]()
    assert last.read() is None
    last.keep(MoneyRules(STOP))
    assert LastRules(Place(NOWHERE)).read() == (None if what == "folder" else MoneyRules(STOP))
    assert json.loads(target.read_text())["limit"] is None, "what a link leads to is not written"


def test_a_home_that_cannot_be_written_is_no_fault(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nohome").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nohome"))
    set_limit(file, Limit(Decimal(0)))
    refused(file, "has 0.00 USD left")


def test_a_server_that_is_away_is_refused_in_words_where_nothing_is_known() -> None:
    refused(
        NOWHERE, r"Whether a budget is set cannot be read: The usage store 127.0.0.1:1/class cannot be used.*not sent"
    )
    LastRules(Place(NOWHERE)).keep(MoneyRules())
    fresh = goes_on(NOWHERE)
    assert fresh.waiting == 2
    fresh._post._unsent.clear()  # type: ignore[union-attr]
    LastRules(Place(NOWHERE)).keep(MoneyRules(STOP))
    refused(NOWHERE, "The budget cannot be checked: The usage store 127.0.0.1:1/class cannot be used")


@postgres.needed
def test_a_servers_rules_hold_while_it_is_away_and_are_read_again_when_it_is_back(server: Cluster) -> None:
    with server.database(f"d{uuid4().hex}") as name:
        url = server.url(database=name)
        goes_on(url).flush()
        server.stop()
        try:
            goes_on(url)
        finally:
            server.start()
        set_limit(url, Limit(Decimal(0)))
        server.stop()
        try:
            refused(url, "The budget cannot be checked")
            LastRules(Place(url)).file.unlink()
            refused(url, "Whether a budget is set cannot be read")
        finally:
            server.start()
        refused(url, "has 0.00 USD left")
        set_limit(url, None)
        goes_on(url).flush()


@postgres.needed
def test_kernels_that_start_at_once_take_turns_at_a_servers_connections(server: Cluster) -> None:
    """The server of the tests has 20 connections to give; 17 of them are taken, and three are kept for its owner."""
    import psycopg

    server.sql("CREATE ROLE turn LOGIN CREATEROLE")
    with server.database(f"d{uuid4().hex}") as name:
        server.sql(f"ALTER DATABASE {name} OWNER TO turn")
        url = server.url("turn", name)
        where = {"host": "127.0.0.1", "port": server.port, "user": "turn", "dbname": name}
        UsageStore(url).open()
        taken = [psycopg.connect(**where) for _ in range(17)]

        def give_back(*_: float) -> float:
            taken.pop().close()
            return 0.0

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patience, "random", SimpleNamespace(uniform=give_back))
            assert rulebook.rulebook_of(UsageStore(url)).reread() == MoneyRules()
        assert len(taken) < 17, "it was turned away before it had its turn"
        for connection in taken:
            connection.close()
    server.sql("DROP ROLE turn")


WAYS = {
    "raw": "chatkit.connect().chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'Hi'}])",
    "stream": "chatkit.connect().responses.create(model='m', input='Hi', stream=True)",
    "session": "with chatkit.session('s'): raise chatkit.Chat(model='m').send('Hi').error",
    "chat": "raise chatkit.Chat(model='m').send('Hi').error",
    "speech": "chatkit.transcribe(open(sys.argv[1], 'rb'), model='whisper-1')",
    "async": "import asyncio, openai\nasync def go():\n client = chatkit.connect(asynchronous=True)\n await client.chat.completions.create("
    "model='m', messages=[{'role': 'user', 'content': 'Hi'}])\nasyncio.run(go())",
}  # fmt: skip
KERNEL = """
import sys, warnings
warnings.simplefilter("ignore")
import chatkit
sys.stdin.readline()
for way in sys.argv[2:]:
    try:
        exec(way)
    except Exception as error:
        print(type(error).__name__, str(error).partition(".")[0].partition(":")[0])
    else:
        print("sent")
"""


def start(server: FaultServer, db: "Path | str", clip: "Path | str", *ways: str) -> "subprocess.Popen[str]":
    """A kernel that waits for a line, then asks in these ways."""
    environment = {**os.environ, "CHATKIT_DB": str(db), "OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
    command = [sys.executable, "-c", KERNEL, str(clip), *ways]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def said(kernel: "subprocess.Popen[str]") -> list[str]:
    out, errors = kernel.communicate(timeout=120)
    assert kernel.returncode == 0, errors
    return [line for line in out.splitlines() if line.startswith(("sent", "BudgetError")) or "Error" in line]


def posts(server: FaultServer) -> int:
    return sum(seen.method == "POST" for seen in server.log)


def test_each_way_of_asking_is_refused_while_nothing_is_known(tmp_path: Path) -> None:
    from sounds import encoded

    clip = tmp_path / "clip.wav"
    clip.write_bytes(encoded("wav"))
    with FaultServer(reply(200, ANSWER)) as server:
        kernel = start(server, NOWHERE, clip, *WAYS.values())
        kernel.stdin.write("go\n")  # type: ignore[union-attr]
        lines = said(kernel)
        assert lines == ["BudgetError Whether a budget is set cannot be read"] * len(WAYS)
        assert posts(server) == 0


def test_an_opening_that_takes_long_on_a_busy_machine_is_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread opens the store beside the first call, which had no rules when that took longer than its patience."""
    set_limit(file, Limit(Decimal(0)))
    fresh, client, sent = kernel(file)
    opening, over = threading.Event(), threading.Event()
    really = database.open_database

    def slowly(*arguments: Any) -> Any:
        opening.set()
        assert over.wait(20)
        return really(*arguments)

    comes_free = fresh._comes_free

    def in_vain_once(patience: float) -> bool:
        if opening.is_set() and not over.is_set():
            over.set()  # as if the patience had run out
            return False
        return comes_free(patience)

    monkeypatch.setattr(database, "open_database", slowly)
    monkeypatch.setattr(fresh, "_comes_free", in_vain_once)
    opener = threading.Thread(target=fresh.open)
    opener.start()
    assert opening.wait(20)
    with pytest.raises(BudgetError, match="has 0.00 USD left"):
        ask(client)
    opener.join()
    assert sent == []


def test_kernels_that_start_at_once_send_nothing_of_a_budget_that_is_used_up(file: Path) -> None:
    set_limit(file, Limit(Decimal(0)))
    own = UsageStore(file)
    rulebook.rulebook_of(own).set_price(OwnPrice("m", None, Decimal(1), Decimal(1), since="2026-11-27"))
    LastRules(place(file)).file.unlink()
    with FaultServer(reply(200, ANSWER)) as server:
        kernels = [start(server, file, "", WAYS["raw"], WAYS["raw"]) for _ in range(8)]
        for each in kernels:
            each.stdin.write("go\n")  # type: ignore[union-attr]
        lines = [said(each) for each in kernels]
        assert lines == [["BudgetError The budget of 0"] * 2] * 8
        assert posts(server) == 0
    own.close()
