"""A traceback that shows variables (`%xmode Verbose`) shows no key, whatever was called with one and however it fails."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer, refusal, reply
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from sounds import encode, tone

import chatkit
from chatkit.client.keys import Key, clean_key, veiled, veiled_all
from chatkit.exceptions import InputError

CANARY = "sk-proj-canary0123456789abcdefghijklmnop"  # pragma: allowlist secret
ODD = "canary-that-looks-like-no-key"


@pytest.fixture(scope="module")
def one_shell() -> InteractiveShell:
    shell = InteractiveShell()
    shell.run_line_magic("xmode", "Verbose")
    return shell


@pytest.fixture
def shell(one_shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    one_shell.reset()
    return one_shell


def shown(shell: InteractiveShell, code: str, key: str) -> str:
    """What a cell shows; the key comes from a function, so that the cell has no variable of it."""
    shell.push({"key": lambda: key})
    with capture_output() as captured:
        shell.run_cell(code)
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.stdout + captured.stderr)


NAMED = [
    "chatkit.Chat(api_key=key())",
    "chatkit.Chat('Be brief.', model='m', temperature=0, api_key=key())",
    "chatkit.Chat(default_headers={'Authorization': 'Bearer ' + key()})",
    "chatkit.Chat(base_url='https://me:' + key() + '@host/v1')",
    "chatkit.Chat(**{'api_key': key().encode()})",
    "chatkit.Chat(api_key=[key()], trim='never')",
    "chatkit.Chat(trim='never', openai_api_key=key())",
    "chatkit.ChatPanel(api_key=key())",
    "chatkit.ChatPanel(chatkit.Chat(), api_key=key())",
    "chatkit.ChatPanel(trim='never', extra_headers={'x': key()})",
    "chatkit.connect(api_key=key() + ' ' + key())",
    "chatkit.connect(api_key=key() + 'é')",
    "chatkit.connect(api_key=key().encode())",
    "chatkit.connect(api_key=key(), base_url='nothing')",
    "chatkit.connect(local=True, api_key=key())",
    "chatkit.connect(base_url='http://127.0.0.1:9/v1', api_key=key(), nothing_of_the_kind=1)",
    "chatkit.connect(base_url='http://127.0.0.1:9/v1', api_key='x', default_headers={'k': key()}, nothing_of_the_kind=1)",
    "chatkit.connect(azure_endpoint='https://a.example', api_version='1', azure_ad_token=key(), nothing_of_the_kind=1)",
    "chatkit.connect(azure_endpoint='https://a.example', api_version='1', api_key=key(), base_url='nothing')",
    "chatkit.transcribe(b'RIFF', api_key=key())",
    "chatkit.transcribe('nowhere.wav', api_key=key(), progress=False)",
    "chatkit.translate(b'RIFF', api_key=key(), language=5)",
    "chatkit.transcribe(b'RIFF', extra_headers={'Authorization': key()})",
    "chatkit.estimate(5, api_key=key())",
    "chatkit.estimate('x', students=0, api_key=key())",
    "chatkit.Chat.load('nowhere.json', api_key=key())",
    "import os\nos.environ['OPENAI_API_KEY'] = key() + ' x'\nchatkit.connect()",
    "import os\nos.environ['OPENAI_API_KEY'] = key() + ' x'\nchatkit.Chat().send('hi')",
    "open('.env', 'w').write('OPENAI_API_KEY=\"' + key() + ' x\"\\nOPENAI_BASE_URL=http://127.0.0.1:9/v1')\nchatkit.connect()",
]


@pytest.mark.parametrize("key", [CANARY, ODD], ids=["a key's form", "another form"])
@pytest.mark.parametrize("code", NAMED)
def test_a_call_that_is_refused_shows_no_key(
    shell: InteractiveShell, code: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "")  # what the cell puts there goes with the test
    said = shown(shell, f"import chatkit\n{code}", key)
    assert "Error" in said or "Traceback" in said, said
    assert "canary" not in said


@pytest.mark.parametrize("script", [refusal(401, "no", code="invalid_api_key"), reply(200, b"{{{"), reply(500, b"")])
@pytest.mark.parametrize(
    "code",
    [
        "chatkit.Chat(client=client, history=False, api='chat').send('hi')",
        "chatkit.Chat(client=client, history=False, openai_api_key=key()).send('hi')",
        "chatkit.transcribe(open('a.wav', 'rb'), client=client, progress=False)",
        "client.chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'hi'}])",
    ],
)
def test_a_call_that_fails_on_its_way_shows_no_key(shell: InteractiveShell, code: str, script: Any, tmp_path):
    (tmp_path / "a.wav").write_bytes(encode(tone(0.5), "wav"))
    with FaultServer(script) as server:
        connected = f"client = chatkit.connect(base_url={server.url!r}, api_key=key(), quiet=True, max_retries=0)"
        said = shown(shell, f"import chatkit\n{connected}\n{code}", CANARY)
    assert "Error" in said or "{{{" in said
    assert "canary" not in said


# --- the type


@pytest.mark.parametrize("show", [repr, ascii, "{!r}".format, lambda key: repr([key, {"a": key}, (key,)])])
def test_a_key_does_not_show_itself_and_is_sent_as_it_is(show: Callable[[Any], str]):
    assert "canary" not in show(veiled(ODD)) + show(veiled(ODD.encode()))
    assert (f"Bearer {veiled(ODD)}", veiled(ODD) == ODD, {"x": veiled(ODD)}) == (f"Bearer {ODD}", True, {"x": ODD})
    assert (veiled(None), veiled(5)) == (None, 5)


def test_keys_are_told_by_their_name_or_their_form_and_nothing_else_is_touched():
    given = {
        "temperature": 0.5,
        "stop": ["a"],
        "max_tokens": 5,
        "metadata": {"a": "b", "token": ODD},
        "user": f"me {CANARY}",
        "tools": [{"headers": {"x": ODD}}],
        "organization": ODD,
    }
    made = veiled_all(given)
    assert made == given
    assert "canary" not in repr(made)
    plain = {"stop": ["a"], "metadata": {"a": "b"}, "response_format": {"type": "object"}, "prompt": "x", "tokens": "x"}
    assert repr(veiled_all(plain)) == repr(plain)


def test_a_key_stays_one_when_it_is_cleaned():
    assert isinstance(clean_key(f" {CANARY} ", "api_key"), Key)
    with pytest.raises(InputError, match="api_key is bytes; a key is text"):
        clean_key(veiled(CANARY.encode()), "api_key")


@pytest.mark.parametrize("name", ["api_key", "base_url", "default_headers", "extra_headers", "http_client"])
def test_a_transcription_takes_no_key_to_send_it_along(name: str):
    for verb in (chatkit.transcribe, chatkit.translate):
        with pytest.raises(InputError, match=f"{name} is no parameter of a transcription; give it to connect()"):
            verb(b"RIFF", **{name: ODD})
