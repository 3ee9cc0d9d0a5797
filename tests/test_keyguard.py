"""Keys where they must not lie: found in source and notebooks, by file, cell and line, and never repeated."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chatkit import __main__ as command
from chatkit.client.keyguard import find_leaks
from chatkit.client.keys import find_keys

ROOT = Path(__file__).parent.parent
TAIL = "A1b2C3d4E5_f6-G7h8I9j0K1l2M3n4"
FORMS = ["sk-" + TAIL, "sk-proj-" + TAIL * 4, "sk-svcacct-" + TAIL, "sk-admin-" + TAIL, "sk-ant-api03-" + TAIL,
         "sk-or-v1-" + "0a" * 32, "gsk_" + TAIL, "chatkit-local-" + TAIL]  # fmt: skip


def notebook(*cells: dict, **metadata: object) -> str:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def code(source: str | list[str], *outputs: dict) -> dict:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}, "execution_count": 1}


def places(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    found = list(find_leaks([path]))
    assert {leak.path for leak in found} <= {path}
    return [leak.place for leak in found]


@pytest.mark.parametrize("key", FORMS)
def test_a_key_typed_into_the_client_is_found_in_source_and_in_a_cell(key, tmp_path):
    line = f'client = OpenAI(api_key="{key}")'
    assert places(tmp_path / "lesson.py", f"import openai\n{line}\n") == ["line 2"]
    assert places(tmp_path / "lesson.ipynb", notebook(code("1"), code(["import openai\n", line]))) == ["cell 2, line 2"]


@pytest.mark.parametrize(
    "line",
    [
        "OpenAI(api_key='{}')",
        "OpenAI(api_key = f\"{}\")",
        'os.environ["OPENAI_API_KEY"] = "{}"',
        'os.environ.setdefault("AZURE_OPENAI_API_KEY", "{}")',
        '{{"api-key": "{}"}}',
        "%env AZURE_OPENAI_API_KEY={}",
        "%set_env OPENAI_API_KEY {}",
        "!export OPENAI_API_KEY={}",
        "OPENAI_API_KEY={}",
        'curl -H "Authorization: Bearer {}"',
    ],
)  # fmt: skip
def test_a_key_of_no_known_form_is_found_by_where_it_is_typed(line, tmp_path):
    assert places(tmp_path / "a.txt", line.format("0123456789abcdef" * 2)) == ["line 1"]


@pytest.mark.parametrize(
    "line",
    [
        'OpenAI(api_key=os.environ["OPENAI_API_KEY"])',
        'OpenAI(api_key="your-api-key-goes-here-2026")',
        'OpenAI(api_key="sk-...")',
        'curl -H "Authorization: Bearer $OPENAI_API_KEY"',
        "my-sk-learn-pipeline-of-2026-with-a-long-name",
        "task-0123456789012345678901234567890",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "OPENAI_API_KEY=",
        "api_key = load_the_key_from_the_vault_2()",
        "sk-learn-is-not-a-key-but-a-library",
    ],
)
def test_what_is_no_key_is_passed_over(line, tmp_path):
    assert places(tmp_path / "a.py", line) == []


def test_outputs_tracebacks_and_metadata_of_a_notebook_are_read(tmp_path):
    key = FORMS[1]
    coloured = f'\x1b[32mclient\x1b[39m = OpenAI(api_key=\x1b[33m"{key[:11]}\x1b[39m{key[11:]}"'
    found = places(
        tmp_path / "a.ipynb",
        notebook(
            code("1", {"output_type": "stream", "name": "stdout", "text": ["first\n", f"the key:\n{key}\n"]}),
            code("2", {"output_type": "execute_result", "data": {"text/html": [f"<b>{key}</b>"]}, "metadata": {}}),
            code("3", {"output_type": "error", "ename": "E", "evalue": "e", "traceback": [coloured]}),
            {"cell_type": "markdown", "source": f"My key is\n\n{key}", "metadata": {"note": key}},
            widgets={"state": {"a": {"value": key}}},
        ),
    )
    assert found == ["cell 1, output", "cell 2, output", "cell 3, output", "cell 4, line 3", "cell 4, metadata", "metadata"]  # fmt: skip


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 3}', '{"cells": [3, null, {"source": 5, "outputs": 7}]}', ""])
def test_a_damaged_notebook_is_read_as_text(text, tmp_path):
    assert places(tmp_path / "a.ipynb", text) == []
    assert places(tmp_path / "b.ipynb", f"{{ {FORMS[0]}") == ["line 1"]


def test_a_line_that_says_so_is_passed_over(tmp_path):
    assert places(tmp_path / "a.py", f'KEY = "{FORMS[0]}"  # pragma: allowlist secret') == []


def test_folders_are_searched_without_what_is_hidden_or_installed(tmp_path):
    for name in ("lessons/a.py", ".git/b.py", "venv/c.py", "node_modules/d.js", "lessons/deep/e.env", "lessons/f.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(("\0" if name.endswith("png") else "") + FORMS[0])
    assert [leak.path.name for leak in find_leaks([tmp_path])] == ["a.py", "e.env"]


def test_the_command_names_the_place_and_not_the_key(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(notebook(code(f'OpenAI(api_key="{FORMS[1]}")')), encoding="utf-8")
    assert command.main(["check-keys", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{path}: cell 1, line 1 holds an API key\n"
    assert "revoke it" in said.err
    assert TAIL[:6] not in said.out + said.err
    path.write_text(notebook(code("OpenAI()")), encoding="utf-8")
    assert command.main(["check-keys", str(tmp_path)]) == 0
    assert command.main(["check-keys", str(tmp_path / "gone")]) == 1
    assert "There is no file or folder" in capsys.readouterr().err


def test_the_pre_commit_hook_flags_a_key_with_nothing_installed(tmp_path):
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hook = next(hook for repo in config["repos"] for hook in repo["hooks"] if hook["id"] == "no-keys")
    python, *words = hook["entry"].split()
    assert python == "python"
    for name, text in (("a.py", f'OpenAI(api_key="{FORMS[2]}")'), ("a.ipynb", notebook(code(f'x = "\\n{FORMS[1]}"')))):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-S", *words, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout.count("holds an API key")) == (1, 1)
        assert TAIL[:6] not in ran.stdout + ran.stderr


def test_no_key_lies_in_this_project():
    kept = ("chatkit", "notebooks", "benchmarks", "docs", "README.md", "CHANGELOG.md", "environment.yml")
    assert list(find_leaks(ROOT / name for name in kept)) == []


def test_a_text_of_a_million_odd_characters_is_searched_as_any_other():
    for piece in ("a", "\n", " ", "sk-", "api_key=", "API_KEY ", "Bearer ", "-", 'api_key="'):
        assert list(find_keys(piece * (300_000 // len(piece)))) == []
