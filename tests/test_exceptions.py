"""Errors can be written out whatever they quote: a cell whose request failed shows it, a panel says it and is idle."""

import ast
import subprocess
import sys
import threading

import pytest
from faultserver import FaultServer, reply, say, stream
from test_chat import open_chat

from chatkit import exceptions
from chatkit.exceptions import BudgetError, ChatkitError, EndpointError, InputError, SetupError, StoreError, mended
from chatkit.ui.chat_panel import ChatPanel

HALF = '{"error":{"message":"the prompt \\ud83d was refused","code":"bad","type":null,"param":null}}'
SAID = "the prompt \ufffd was refused"


@pytest.mark.parametrize("half", [*map(chr, (0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0)), "\ud83d\ud83d", "\udc80\0"])
@pytest.mark.parametrize("kind", [ChatkitError, InputError, SetupError, StoreError, BudgetError])
def test_every_error_can_be_written_out(kind: type[ChatkitError], half: str):
    error = kind(f"What {half} is", f"Do {half} it.")
    lost = "\ufffd" * len(half)
    assert (error.cause, error.way_out, str(error)) == (
        f"What {lost} is",
        f"Do {lost} it.",
        f"What {lost} is Do {lost} it.",
    )


def test_what_an_endpoints_error_names_can_be_written_out_too():
    half = "x\ud83d"
    error = EndpointError(half, half, kind="server", code=half, type=half, param=half, request_id=half)
    assert {error.cause, error.way_out, error.code, error.type, error.param, error.request_id} == {"x\ufffd"}
    assert EndpointError("x", kind="server").code is None


@pytest.mark.parametrize("text", ["", "plain", "é日🙂", "\ufffd", "\u200b\u202e", "x" * 1000])
def test_text_that_can_be_written_is_left_as_it_is(text: str):
    assert mended(text) == text


def test_this_module_needs_no_other_so_that_a_merged_package_can_be_told():
    tree = ast.parse(exceptions.__loader__.get_source("chatkit.exceptions"))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.module for node in imports] == ["datetime"]


# --- from a server that cut its message in the middle of an emoji


def test_a_cell_whose_request_failed_shows_its_error():
    with FaultServer(reply(400, HALF.encode(), {"content-type": "application/json"})) as server:
        code = (
            "from IPython.core.interactiveshell import InteractiveShell\n"
            "shell = InteractiveShell.instance()\n"
            "shell.colors = 'NoColor' if hasattr(shell, 'colors') else None\n"
            f"shell.run_cell('''import chatkit\n"
            f"client = chatkit.connect(base_url={server.url!r}, api_key='test-key', quiet=True)\n"
            "chatkit.Chat(client=client, history=False).send('hi')''')"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert SAID in ran.stdout
    assert "UnicodeEncodeError" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "script",
    [
        reply(400, HALF.encode(), {"content-type": "application/json"}),
        stream(say("Hel"), HALF.encode().join([b"data: ", b"\n\n"])),
    ],
    ids=["refused", "in the middle"],
)
def test_a_panel_says_the_error_and_is_idle(script, monkeypatch: pytest.MonkeyPatch):
    sent: list[dict] = []
    came = threading.Condition()

    def send(panel, content, buffers=None):
        repr(content).encode()
        with came:
            sent.append(content)
            came.notify_all()

    monkeypatch.setattr(ChatPanel, "send", send)

    def told() -> dict:
        return {k: v for message in sent if message["type"] == "patch" for k, v in message.get("status", {}).items()}

    with FaultServer(script) as server:
        panel = ChatPanel(open_chat(server))
        panel.simulate({"type": "ask", "id": "1", "text": "hi"})
        with came:
            assert came.wait_for(lambda: told().get("error"), 20)
            assert came.wait_for(lambda: told().get("phase") == "idle", 20)
        assert SAID in told()["error"]["text"]
        panel.close()
