"""The command line: what each command does, and what it says when it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

import chatkit
from chatkit import __main__ as command
from chatkit.client import local_process

ROOT = Path(__file__).parent.parent
COMMANDS = ["serve", "models", "usage", "db", "check-keys", "doctor", "version"]


def test_version_is_said(capsys):
    assert command.main(["version"]) == 0
    assert capsys.readouterr().out == f"{chatkit.__version__}\n"


@pytest.mark.parametrize("words", [[], ["help"], ["--help"]])
def test_the_list_of_commands_is_on_stdout(words, capsys):
    assert command.main(words) == 0
    said = capsys.readouterr()
    assert said.err == ""
    listed = [line.split()[0] for line in said.out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert listed == COMMANDS


@pytest.mark.parametrize(
    "words", [[name] for name in COMMANDS] + [["models", "fetch"], ["models", "list"], ["usage", "export"],
    ["usage", "merge"], ["db", "init"]], ids=" ".join,
)  # fmt: skip
def test_each_command_has_its_own_help(words, capsys):
    assert command.main([*words, "--help"]) == 0
    assert " ".join(["usage: chatkit", *words, "[-h]"]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sevre"], "invalid choice: 'sevre'"),
        (["sevre"], "maybe you meant 'serve'"),
        (["chekc-keys", "."], "maybe you meant 'check-keys'"),
        (["models", "fecth"], "maybe you meant 'fetch'"),
        (["usage", "exprot", "a.jsonl"], "maybe you meant 'export'"),
        (["usage"], "required: COMMAND"),
        (["db"], "required: COMMAND"),
        (["usage", "export"], "required: file"),
        (["version", "now"], "unrecognized arguments: now"),
        (["serve", "--port", "many"], "invalid int value: 'many'"),
    ],
)
def test_what_is_not_understood_is_said_on_stderr_and_is_2(words, said, capsys):
    assert command.main(words) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert said in heard.err


def test_a_word_that_is_like_none_gets_the_choices_and_no_guess(capsys):
    assert command.main(["xyzzy"]) == 2
    heard = capsys.readouterr().err
    assert "maybe" not in heard
    assert all(name in heard for name in COMMANDS)


@pytest.mark.parametrize("words", [["serve"], ["models", "fetch"]])
def test_without_the_engines_the_way_to_install_them_is_said(words, monkeypatch, capsys):
    monkeypatch.setattr(local_process, "has_engines", lambda: False)
    assert command.main(words) == 1
    assert 'pip install "notebook-chatkit[local]"' in capsys.readouterr().err


@pytest.mark.parametrize("words", [["version"], ["--help"], ["serve", "--help"], ["sevre"], ["check-keys", "LICENSE"]])
def test_what_needs_no_library_imports_none(words):
    code = (
        "import sys\nthere = set(sys.modules)\n"
        f"from chatkit.__main__ import main\nmain({words!r})\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - there} - sys.stdlib_module_names - {'chatkit'}\n"
        "print(sorted(new), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["--help"], ["help"], ["serve", "--help"], ["models", "fetch", "--help"], ["sevre"]])
def test_help_names_the_local_models_and_loads_nothing_that_fetches_starts_or_runs_them(words):
    code = f"import sys\nfrom chatkit.__main__ import main\nmain({words!r})\nprint(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert {name for name in loaded if name.startswith("chatkit.local.")} == {
        f"chatkit.local.{n}" for n in ("options", "shipped")
    }
    assert not loaded & {
        "chatkit.client.local_process",
        "urllib.request",
        "http.client",
        "ssl",
        "subprocess",
        "asyncio",
    }


def test_the_engines_are_those_of_the_local_extra():
    assert local_process.has_engines()


def test_a_pattern_of_files_is_read_where_the_shell_leaves_it_to_the_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("ada.jsonl", "bob [1].jsonl"):
        assert command.main(["usage", "export", name, "--store", "class.sqlite"]) == 0
    capsys.readouterr()
    assert command.main(["usage", "merge", "*.jsonl", "--store", "class.sqlite"]) == 0
    assert command.main(["usage", "merge", "bob [1].jsonl", "--store", "class.sqlite"]) == 0
    assert command.main(["usage", "merge", "*.csv", "--store", "class.sqlite"]) == 1
    said = capsys.readouterr()
    assert said.out.count("0 calls read, 0 of them new") == 2
    assert "*.csv" in said.err
