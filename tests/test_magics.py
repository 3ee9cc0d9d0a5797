"""The magics: each says what a line of Python says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultserver import DONE, FaultServer, say, stop, stream
from IPython.core.interactiveshell import InteractiveShell
from test_readings import MEASURED, row
from traitlets.config import Config

import chatkit
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.exceptions import InputError
from chatkit.ledger import record as sessions_now
from chatkit.ledger.store import UsageStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    monkeypatch.setattr("chatkit.reports.report.default_store", lambda: store)
    monkeypatch.setattr("chatkit.ui.usage_meter.default_store", lambda: store)
    process = sessions_now.Booking("draft")
    monkeypatch.setattr(sessions_now, "_process", process)
    sessions_now._open.add(process)
    store.add(row(1, session="draft", usage=MEASURED))
    store.add(row(2, session="Lesson 2", usage=MEASURED))
    yield store
    store.close()


@pytest.fixture
def shell() -> InteractiveShell:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.extension_manager.load_extension("chatkit")
    return shell


def ask(shell: InteractiveShell, line: str) -> Any:
    return shell.run_line_magic("usage", line)


def test_usage_reports_this_session_all_of_them_and_by_anything(store: UsageStore, shell: InteractiveShell) -> None:
    assert ask(shell, "").total == MEASURED
    assert ask(shell, "").title == "Usage of this session"
    assert ask(shell, "all").total == MEASURED + MEASURED
    assert ask(shell, "today").total.calls == 0
    assert [line.key[0] for line in ask(shell, "by session")] == ["draft", "Lesson 2"]
    assert ask(shell, "by model")["m"] == MEASURED
    assert ask(shell, "sessions").names == ["draft", "Lesson 2"]


def test_usage_plots_and_meters(store: UsageStore, shell: InteractiveShell) -> None:
    assert repr(ask(shell, "plot")) == "Figure(Tokens over time, added up; Cost over time, added up)"
    assert repr(ask(shell, "plot latency")) == "Figure(How long calls took)"
    meter = ask(shell, "meter")
    assert repr(meter) == "UsageMeter('draft', 1 call)"
    meter.close()


def test_usage_names_the_session(store: UsageStore, shell: InteractiveShell) -> None:
    assert ask(shell, "session Lesson 1: light").total == MEASURED
    assert chatkit.current_session() == "Lesson 1: light"
    assert ask(shell, "sessions").names == ["Lesson 1: light", "Lesson 2"]


@pytest.mark.parametrize("line", ["plot pie", "by colour", "rubbish", "all of it", "session"])
def test_what_usage_does_not_know_is_said(store: UsageStore, shell: InteractiveShell, line: str) -> None:
    with pytest.raises(InputError, match=f"does not know '{line}'.*%usage help"):
        ask(shell, line)


def test_usage_help_lists_what_can_be_asked(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    ask(shell, "help")
    assert "%usage session NAME" in capsys.readouterr().out


def test_a_cell_is_sent_and_the_talk_goes_on(shell: InteractiveShell) -> None:
    answers = [stream(say(text), stop(), DONE) for text in ("In Brazil.", "In *2014*.")]
    with FaultServer(*answers) as server:
        client = connect.client_for(Endpoint(server.url, "sk-test", "asked", "test"), asynchronous=True)
        shell.user_ns["talk"] = chatkit.Chat(client=client)
        first = shell.run_cell_magic("chat", "talk", "Where was it held?\n")
        second = shell.run_cell_magic("chat", "talk", "When?\n")
    assert repr(first) == "In Brazil."
    assert "<em>2014</em>" in second._repr_html_()
    assert [message.text for message in shell.user_ns["talk"].conversation] == [
        "Where was it held?", "In Brazil.", "When?", "In *2014*.",
    ]  # fmt: skip


def test_a_chat_is_begun_under_a_name_that_is_free_and_refused_under_one_that_is_not(shell: InteractiveShell) -> None:
    magics = shell.magics_manager.registry["ChatkitMagics"]
    assert magics._chat("") is magics.chat
    assert magics._chat("fresh") is shell.user_ns["fresh"]
    assert isinstance(shell.user_ns["fresh"], chatkit.Chat)
    shell.user_ns["taken"] = 3
    with pytest.raises(InputError, match="taken is no Chat but int"):
        magics._chat("taken")
    with pytest.raises(InputError, match="no name for a chat"):
        magics._chat("--system x")
