"""The command line: what each command does, and what it says when it cannot."""

import pytest

import chatkit
from chatkit import __main__ as command
from chatkit.endpoint import launch


def test_version_is_said(capsys):
    assert command.main(["version"]) == 0
    assert capsys.readouterr().out == f"{chatkit.__version__}\n"


@pytest.mark.parametrize(("words", "status"), [([], 0), (["--help"], 0), (["sevre"], 2), (["models"], 2)])
def test_what_is_no_command_gets_the_list_of_commands(words, status, capsys):
    assert command.main(words) == status
    assert "chatkit models fetch" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["serve"], ["models", "fetch"]])
def test_without_the_engines_the_way_to_install_them_is_said(words, monkeypatch, capsys):
    monkeypatch.setattr(command, "has_engines", lambda: False)
    assert command.main(words) == 1
    assert "pip install 'notebook-chatkit[local]'" in capsys.readouterr().err


def test_the_engines_are_those_of_the_local_extra():
    assert launch.has_engines()
