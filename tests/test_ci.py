"""The public CI, the Makefile and what people are told to type: each command, file, target and extra in them exists."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from chatkit import commands
from chatkit.__main__ import Parser

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CI = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
JOBS = CI["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
LINES = [
    (name, line.strip())
    for name, step in STEPS
    if "run" in step and step.get("shell") != "pwsh"
    for line in step["run"].split("&&")
]


def is_command(words):
    """Whether chatkit understands them."""
    parser = Parser(prog="chatkit")
    commands.add(parser)
    try:
        return callable(parser.parse_args(words).run)
    except SystemExit:
        return False


def targets():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", text, re.M))


def extras_in(text):
    return {
        extra
        for found in re.findall(r"(?:[ \"']\.|notebook-chatkit)\[([a-z,-]+)\]", text)
        for extra in found.split(",")
    }


@pytest.mark.parametrize(("job", "line"), LINES)
def test_each_line_of_the_ci_runs_what_is_there(job, line):
    program, *words = shlex.split(line)
    if words[:2] == ["-m", "chatkit"]:
        assert is_command(words[2:]), line
    elif program == "make":
        assert words[0] in targets(), line
    elif program == "python":
        assert words[0].startswith("-") or (ROOT / words[0]).is_file(), line
    else:
        assert program == "sudo", line
    for word in words:
        assert not word.startswith("--ignore=") or (ROOT / word.partition("=")[2]).is_dir(), line


def test_each_extra_that_is_named_anywhere_is_one_of_ours():
    named = ROOT / ".github" / "workflows" / "ci.yml", *ROOT.glob("*.yml"), ROOT / "Makefile", ROOT / "README.md"
    for path in (*named, *(ROOT / "docs").glob("*.md"), *(ROOT / "chatkit").rglob("*.py")):
        assert extras_in(path.read_text(encoding="utf-8")) <= set(PROJECT["optional-dependencies"]), path.name


def test_the_systems_are_tried_on_the_oldest_and_the_newest_python_without_make_and_with_what_each_can_install():
    matrix = JOBS["systems"]["strategy"]["matrix"]
    said = sorted(re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.M), key=lambda v: int(v[2:]))
    assert JOBS["test"]["strategy"]["matrix"]["python"] == said
    assert matrix == {"system": ["windows-latest", "macos-latest"], "python": [said[0], said[-1]]}
    assert JOBS["intel"]["strategy"]["matrix"]["python"] == ["3.13"]
    for job in ("systems", "intel"):
        lines = [line for name, line in LINES if name == job]
        assert not any(line.startswith("make") for line in lines)
        assert 'python -m pip install ".[local,lab,test-core]"' in lines


def test_windows_is_tried_as_people_have_it_by_steps_that_run_nothing_of_ours():
    steps = JOBS["windows-as-people-have-it"]["steps"]
    of_windows = [step["run"] for step in steps if step.get("shell") == "pwsh"]
    assert ["Jürgen Müller (PC)" in of_windows[0], 'ProxyServer "127.0.0.1:9"' in of_windows[1]] == [True, True]
    assert not any(re.search(r"python|chatkit|make", words) for words in of_windows)
    (oldest,) = re.findall(r"ipykernel>=(\d+\.\d+)", "\n".join(PROJECT["dependencies"]))
    assert any(f'"ipykernel=={oldest}.*"' in step.get("run", "") for step in steps)


def test_what_is_asked_each_week_is_not_asked_at_each_push():
    assert CI[True]["schedule"]  # YAML reads `on` as a truth
    assert {name for name, job in JOBS.items() if "schedule" in job.get("if", "")} == {"intel", "wheels"}


def test_a_skip_fails_on_linux_alone():
    assert not any("CHATKIT_NO_SKIPS" in str(step) for _, step in STEPS)


def test_the_key_of_the_cached_weights_holds_every_module_that_names_what_is_fetched():
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "chatkit" / "local").glob("*.py")
        if re.search(r"\b[0-9a-f]{64}\b", path.read_text(encoding="utf-8"))
    }
    keys = [step["with"]["key"] for _, step in STEPS if "cache" in step.get("uses", "")]
    assert len(keys) == len({name for name, step in STEPS if "models" in str(step.get("with", ""))})
    for key in keys:
        files = set(re.findall(r"'([^']+)'", key))
        assert files >= naming
        assert all((ROOT / file).is_file() for file in files)


SHELLS = [ROOT / "README.md", ROOT / "docs" / "install.md"]


@pytest.mark.parametrize("path", SHELLS, ids=lambda path: path.name)
def test_what_people_type_to_install_means_the_same_in_sh_cmd_and_powershell(path):
    text = path.read_text(encoding="utf-8")
    lines = [
        line
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
        if not language
        for line in block.splitlines()
    ]
    assert any("pip install" in line for line in lines)
    for line in lines:
        assert not re.search(r"&&|'|\\$|\$\w|\s#", line), line


@pytest.mark.parametrize("path", SHELLS, ids=lambda path: path.name)
def test_each_command_of_chatkit_that_people_are_told_to_type_is_one(path):
    said = re.findall(
        r"(?:python -m |`)chatkit ((?:[a-z-]+)(?: [a-z]+)?)\b(?=`|$)", path.read_text(encoding="utf-8"), re.M
    )
    assert said
    for words in said:
        assert is_command(words.split()) or is_command([*words.split(), "a-file"]), words


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "chatkit").rglob("*.py")), *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))],
    ids=lambda path: path.name,
)
def test_each_sentence_that_says_how_to_install_an_extra_quotes_it_as_cmd_does_too(path):
    assert not re.search(r"'[^'\s]*[\w.]\[[a-z,]+\]'\s?(?!\])", commands_in(path.read_text(encoding="utf-8")))


def commands_in(text):
    """What stands behind pip's name, to the end of the line after it."""
    return "\n".join(re.findall(r"pip install\b[^\n]*\n?[^\n]*", text))


def test_line_ends_are_lf_in_every_checkout_and_what_is_no_text_is_left_alone():
    names = [
        "chatkit/__init__.py",
        ".ci/run",
        "tests/audio/make.sh",
        "tests/audio/spanish.txt",
        "notebooks/04-speech.ipynb",
    ]
    attributes = dict(attribute(name, "eol") for name in names)
    assert set(attributes.values()) == {"lf"}
    assert dict(attribute(name, "text") for name in ("notebooks/audio/english.m4a", "docs/chat-panel.png")) == {
        "notebooks/audio/english.m4a": "unset", "docs/chat-panel.png": "unset",
    }  # fmt: skip


def attribute(name, which):
    assert (ROOT / name).is_file()
    ran = subprocess.run(
        ["git", "check-attr", which, "--", name], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    return name, ran.stdout.strip().rpartition(": ")[2]


@pytest.mark.skipif(sys.platform == "win32", reason="make is not there")
@pytest.mark.parametrize(("system", "python"), [("", "bin/python"), ("Windows_NT", "Scripts/python.exe")])
def test_the_makefile_makes_the_python_that_it_waits_for(system, python, tmp_path):
    def told() -> str:
        # not as a part of the make that may run the tests, whose settings are in the environment
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            ["make", "--dry-run", "--no-print-directory", "setup", f"OS={system}", f"VENV={tmp_path}/env"],
            cwd=ROOT, capture_output=True, encoding="utf-8", check=True, env=own,
        ).stdout  # fmt: skip

    before = told()
    assert f"{tmp_path}/env/{python} -m chatkit models fetch" in before
    assert "venv" in before.splitlines()[0]
    (file := tmp_path / "env" / python).parent.mkdir(parents=True)
    file.touch()
    assert f"venv {tmp_path}" not in told()
