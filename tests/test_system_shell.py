"""Commands that people paste: each shell gets what it takes, the rest what all of them take; any name can be printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chatkit.client import code
from chatkit.local import __main__ as server
from chatkit.system import shell

ROOT = Path(__file__).parent.parent
HOSTILE = [
    "it's",
    'say "hi"',
    "$HOME $(id) `id`",
    "\"@\n'@\n@'",
    "Grüße, 你好 😀",
    "100 % & | < > ^ !",
    "“smart” ‘quotes’",
    "",
]
READY = {"base_url": "http://127.0.0.1:8321/v1", "key": "chatkit-local-x", "model": "m", "window": 8192}


def on(system, monkeypatch):
    monkeypatch.setattr(shell.sys, "platform", system)


def body_in(command):
    """What PowerShell writes into the file: between the marks of the here-string, its escapes undone."""
    marks = r'^@"\n(.*?)\n"@ \| Set-Content -Encoding ascii "\$env:TEMP\\chatkit-request.json"$'
    [text] = re.findall(marks, command, re.DOTALL | re.MULTILINE)
    assert text.isascii()
    assert not re.search(r"(?<!`)(?:``)*\$", text), "PowerShell would fill a variable in"
    return re.sub(r"`(.)", r"\1", text, flags=re.DOTALL)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_body_of_a_command_for_powershell_is_the_requests(text):
    body = {"model": text, "messages": [{"role": "user", "content": text}]}
    command = code.curl({"url": "http://h/v1/chat/completions", "body": body}, local=False, shell="powershell")
    assert json.loads(body_in(command)) == body
    last = command.splitlines()[-1]
    assert last == (
        'curl.exe "http://h/v1/chat/completions" -H "Authorization: Bearer $env:OPENAI_API_KEY" '
        '-H "Content-Type: application/json" --data-binary "@$env:TEMP\\chatkit-request.json"'
    )


def test_the_command_for_powershell_has_the_flags_and_the_address_of_the_other():
    request = {"method": "DELETE", "url": "http://h/v1/x?y=$(id)\"&z='[1]", "body": {"stream": True}}
    command = code.curl(request, local=True, shell="powershell")
    assert command.startswith("# in PowerShell first: $env:CHATKIT_KERNEL_KEY = ")
    assert 'curl.exe -N -g -X DELETE "http://h/v1/x?y=`$(id)%22&z=\'[1]"' in command
    assert '-H "Authorization: Bearer $env:CHATKIT_KERNEL_KEY"' in command
    azure = code.curl({"url": "https://a.example/openai/deployments/d/x?api-version=1"}, shell="powershell")
    assert '-H "api-key: $env:AZURE_OPENAI_API_KEY"' in azure


@pytest.mark.parametrize("model", ["m", *HOSTILE])
def test_serve_says_commands_for_powershell_on_windows(model, monkeypatch):
    on("win32", monkeypatch)
    words = server._welcome({**READY, "model": model})
    commands = [line for line in words.splitlines() if line.startswith("curl")]
    assert len(commands) == 2
    for command in commands:
        assert command.startswith('curl.exe "http://127.0.0.1:8321/v1/')
        assert command.count('"') % 2 == 0
        assert "'" not in command and not command.endswith(("\\", "`"))
    assert json.loads(body_in(words))["model"] == model


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("model", ["m", *HOSTILE])
@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh")
def test_serve_says_commands_for_sh_elsewhere(system, model, monkeypatch, tmp_path):
    on(system, monkeypatch)
    words = server._welcome({**READY, "model": model})
    script = words[words.index("  curl") :]
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@" "--"\n')
    (tmp_path / "curl").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env={**os.environ, "PATH": path})
    chat, speech, _ = ran.stdout.decode().split("--\n")
    assert json.loads(chat.splitlines()[-1])["model"] == model
    assert speech.splitlines()[1:] == [
        "-H", "Authorization: Bearer chatkit-local-x", "-F", "file=@speech.mp3", "-F", "model=whisper-1",
    ]  # fmt: skip


def test_chatkit_is_called_by_python_where_it_is_not_on_the_path(monkeypatch):
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    for here, system, said in (
        ("/usr/bin/chatkit", "win32", "chatkit serve"),
        (None, "win32", "py -m chatkit serve"),
        (None, "linux", "python -m chatkit serve"),
    ):
        monkeypatch.setattr(shell.shutil, "which", lambda _, here=here: here)
        on(system, monkeypatch)
        assert shell.chatkit("serve") == said


# --- what is written in the house


def shell_lines(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield from re.findall(r"^\s*[!%]{1,2}\s*((?:.*\\\n)*.*)", "".join(cell["source"]), re.MULTILINE)


def test_the_shell_lines_of_notebooks_hold_nothing_that_only_sh_knows():
    lines = [line for path in sorted((ROOT / "notebooks").glob("*.ipynb")) for line in shell_lines(path)]
    assert sum(line.startswith("curl") for line in lines) == 2
    for line in lines:
        assert not re.search(r"'|\$|`|\\|&&|<<|^(bash|sh|export|set)\b", line), line
        assert line.count('"') % 2 == 0


def installs(text):
    """Each extra that a `pip install` asks for, with what stands on either side of it."""
    for line in re.findall(r"pip (?:install|download)[^\n.]*(?:\n[^\n]*)?", text):
        for found in re.finditer(r"""(\\?["'`]|\s)([\w./-]*\[[a-z][a-z,-]*\])(\\?["'`]|\s|\.)""", line):
            yield found[1].strip("\\"), found[2], found[3].strip("\\")


def test_each_way_out_quotes_extras_with_double_quotes_which_every_shell_takes():
    paths = [*(ROOT / "chatkit").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    found = [(path.name, *one) for path in paths for one in installs(path.read_text(encoding="utf-8"))]
    assert {name for name, *_ in found} >= {"local_process.py", "trouble.py", "validation.py", "class.md"}
    assert [one for one in found if (one[1], one[3]) != ('"', '"')] == []


def test_what_is_to_be_typed_is_one_command_a_line():
    for path in (ROOT / "docs").glob("*.md"):
        for block in re.findall(
            r"^```(?:bash|sh)?\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            assert "&&" not in block, (path.name, block)
            assert not re.search(r"^[A-Z_]+=\S+ \S", block, re.MULTILINE), (path.name, block)  # sh alone sets one so
            assert not re.search(r"""\s'[^'\n]*'""", block), (path.name, block)


# --- pipes that lack characters


NAME = "你好 Grüße שלום.txt"


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["check-keys", NAME], 1),
        (["check-keys", "missing 你好"], 1),
        (["usage", "export", "出 ≈.jsonl"], 0),
        (["usage", "merge", NAME], 1),
        (["db", "init", "库 ü.sqlite"], 0),
        (["db", "init", "库.sqlite", "--students", "没有 ü.txt", "--class"], 1),
        (["models", "fetch", "--model", "模型 ü.gguf"], 1),
        (["serve", "--model", "模型 ü.gguf"], 1),
        (["serve", "--port", "≈"], 2),
        (["模型"], 2),
        (["version"], 0),
        (["help"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)  # fmt: skip
def test_a_command_says_what_it_has_to_say_through_a_pipe_that_lacks_characters(words, status, encoding, tmp_path):
    key = "sk-proj-" + "a1b2c3d4" * 5
    (tmp_path / NAME).write_text(f'api_key = "{key}"\n', encoding="utf-8")
    environment = os.environ | {
        "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "CHATKIT_DB": str(tmp_path / "used 你.sqlite"),
        "CHATKIT_MODELS": str(tmp_path), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "chatkit", *words], capture_output=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert ran.returncode == status, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert ran.stdout + ran.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "cp932"])
@pytest.mark.parametrize("verbose", [[], ["--verbose"]])
def test_the_local_server_by_itself_says_it_too(encoding, verbose, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "chatkit.local", "--model", "模型 ü.gguf", *verbose]
    ran = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, timeout=60)
    assert (ran.returncode, b"There is no model file" in ran.stderr, b"Traceback" in ran.stderr) == (1, True, False)
