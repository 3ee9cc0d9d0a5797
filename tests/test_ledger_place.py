"""Where the store lies."""

from pathlib import Path

import pytest

from chatkit.exceptions import InputError
from chatkit.ledger.place import Place, place


def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHATKIT_DB", str(tmp_path / "environment.sqlite"))
    assert place().file == tmp_path / "environment.sqlite"
    assert place(tmp_path / "argument.sqlite").file == tmp_path / "argument.sqlite"


def test_without_a_word_it_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHATKIT_DB")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = place().file
    assert file is not None
    assert file.parts[-2:] == ("chatkit", "usage.sqlite")


def test_urls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert place(f"sqlite:///{tmp_path}/usage.db").file == tmp_path / "usage.db"
    assert place("postgresql+psycopg://ada:pw@db/x") == Place("postgresql+psycopg://ada:pw@db/x")
    monkeypatch.setenv("CHATKIT_DB", "postgresql://ada:pw@db:5432/x?sslmode=require")
    assert str(place()) == "db:5432/x"


@pytest.mark.parametrize("nowhere", ["sqlite://", ":memory:", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(nowhere: str) -> None:
    with pytest.raises(InputError, match="a file or a server"):
        place(nowhere)
