"""A key is nowhere but in the requests: a real notebook is run and saved, and every byte it leaves is searched.

The key comes by the environment and by `api_key=`; the endpoint quotes it, whole, masked and in halves, in refusals,
and in a stream; everything is logged at DEBUG.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from faultserver import DONE, FaultServer, completion, refusal, reply, say, stop, stream, usage
from jupyter_server.services.contents.filemanager import FileContentsManager
from nbconvert.exporters import HTMLExporter, MarkdownExporter

from chatkit.api.text import scrub, without_parts
from chatkit.client.keys import clean_key

HALVES = ("canary0Tq7Wd2Xn9", "Lf4Zb8Rk3Vm6Hc1y")
CANARY = "sk-" + "".join(HALVES)
QUOTED = (
    f"Incorrect API key provided: {CANARY}. It was {HALVES[0]}... and ...{HALVES[1]}; {CANARY[:8]}****{CANARY[-4:]}."
)
BROKEN = {"error": {"message": QUOTED, "type": "server_error", "code": "server_error"}}

CELLS = {
    "log": """
import logging, os
logging.basicConfig(level=logging.DEBUG, filename="debug.log", force=True)
for name in ("openai", "httpx2", "httpcore2", "chatkit", "asyncio", "sqlalchemy.engine"):
    logging.getLogger(name).setLevel(logging.DEBUG)
logging.getLogger("markdown_it").setLevel(logging.INFO)
import chatkit
from chatkit import Chat, ChatPanel, connect
from chatkit.client.connect import endpoint_of
""",
    "connect": """
client = connect()
print(client, repr(client), endpoint_of(client), vars(endpoint_of(client)).keys())
endpoint_of(client)
""",
    "chat": """
chat = Chat("Be brief.", client=client)
run = chat.stream("Where?")
reply = run.wait()
print(repr(reply), reply.request, reply.raw, reply.records, run, chat.usage, chat.replies, chat.preview("More?"))
chat
""",
    "panel": """
panel = ChatPanel(chat)
panel.simulate({"type": "ask", "id": "1", "text": "And in the panel?"})
while chat.run is run: pass
chat.run.wait()
print(panel.get_state().keys(), panel)
panel
""",
    "refused chat": "chat.send('Refused?')",
    "refused panel": """
before = chat.run
panel.simulate({"type": "ask", "id": "2", "text": "Refused in the panel?"})
while chat.run is before: pass
try:
    chat.run.wait()
except chatkit.ChatkitError as error:
    print(repr(error), vars(error))
panel.flush()
""",
    "broken stream": "print(repr(chat.send('Broken?')))\nprint(chat.run.reply.error)",
    "refused html": "chat.send('Refused in HTML?')",
    "argument": """
other = connect(api_key=os.environ["OPENAI_API_KEY"], base_url=os.environ["OPENAI_BASE_URL"], model="m")
print(other.chat.completions.create(model="m", messages=[{"role": "user", "content": "Where?"}]))
""",
    "refused sdk": "other.chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'Refused?'}])",
    "userinfo": "connect(base_url=f\"https://{os.environ['OPENAI_API_KEY']}@127.0.0.1/v1\")",
    "user and password": "connect(base_url=f\"https://me:{os.environ['OPENAI_API_KEY']}@127.0.0.1/v1\")",
    "wrong scheme": "connect(base_url=f\"ftp://me:{os.environ['OPENAI_API_KEY']}@127.0.0.1/v1\")",
    "no scheme": "connect(base_url=f\"me:{os.environ['OPENAI_API_KEY']}@127.0.0.1/v1\")",
    "key for url": "connect(base_url=os.environ['OPENAI_API_KEY'])",
    "two keys": "connect(api_key=os.environ['OPENAI_API_KEY'] + ' ' + os.environ['OPENAI_API_KEY'])",
    "odd key": "connect(api_key=os.environ['OPENAI_API_KEY'] + 'é')",
    "key for a parameter": "Chat(api_key=os.environ['OPENAI_API_KEY'])",
    "keep": """
for name in ("talk.json", "talk.md", "talk.html"):
    chat.export(name)
chat.save("saved.json")
print(Chat.load("saved.json", client=client))
print(chatkit.UsageStore().records())
chatkit.history("canary")
""",
    "history": "%history\nprint(chatkit.history()[0].open())\nchatkit.history()",
    "verbose": "%xmode Verbose\nchat.send('Refused, at length?')",
    "last": "chat.conversation.add('user', 'the last word')\npass",
    "verbose connect": "connect(base_url='http://127.0.0.1:1/v1', api_key=os.environ['OPENAI_API_KEY'] + '\\n\\t x')",
}
NOT_OURS = reply(404)  # to the question whether a chatkit server is there, which carries no key
SCRIPTS = [
    NOT_OURS,
    stream(say("In Brazil."), stop(), usage(5, 2), DONE),
    stream(say("In the panel."), stop(), usage(5, 2), DONE),
    refusal(401, QUOTED, code="invalid_api_key"),
    refusal(400, QUOTED, param=CANARY),
    [*stream(say("Half"))[:-1], *stream(BROKEN)[1:]],
    reply(403, f"<html><head><title>{CANARY}</title></head><body>{QUOTED}</body></html>", {}),
    NOT_OURS,
    reply(200, completion("In Brazil.")),
    refusal(401, QUOTED, code="invalid_api_key"),
    refusal(401, QUOTED, code="invalid_api_key"),
]  # fmt: skip


@dataclass
class Left:
    """What a run of the notebook left behind."""

    folder: Path
    notebook: dict
    sent: int

    def output(self, cell: str) -> str:
        """All that a cell showed."""
        return json.dumps(self.notebook["cells"][list(CELLS).index(cell)]["outputs"], ensure_ascii=False)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("secrets")
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "source": code.strip(),
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for n, code in enumerate(CELLS.values())
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "talk.ipynb").write_text(json.dumps(content), encoding="utf-8")
    with FaultServer(*SCRIPTS) as server:
        ran = subprocess.run(
            [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--allow-errors", "--inplace",
             "--log-level=DEBUG", "talk.ipynb"],
            cwd=folder, env=_environment(folder, server.url), capture_output=True, timeout=120,
        )  # fmt: skip
        sent = sum(CANARY in request.headers.get("authorization", "") for request in server.log)
    (folder / "nbconvert.log").write_bytes(ran.stdout + ran.stderr)
    assert ran.returncode == 0, ran.stderr.decode()
    notebook = json.loads((folder / "talk.ipynb").read_text(encoding="utf-8"))
    for exporter, ending in ((HTMLExporter(), "html"), (MarkdownExporter(), "md")):
        (folder / f"notebook.{ending}").write_text(
            exporter.from_filename(str(folder / "talk.ipynb"))[0], encoding="utf-8"
        )
    FileContentsManager(root_dir=str(folder)).create_checkpoint("talk.ipynb")
    return Left(folder, notebook, sent)


def _environment(folder: Path, url: str) -> dict[str, str]:
    own = {
        "HOME": folder / "home",
        "IPYTHONDIR": folder / "ipython",
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "CHATKIT_DB": folder / "usage.sqlite",
        "CHATKIT_HISTORY": folder / "history.sqlite",
    }
    named = {name: str(path) for name, path in own.items()}
    return os.environ | named | {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": url, "OPENAI_LOG": "debug"}


def test_a_long_refusal_is_scrubbed_in_proportion_to_its_length():
    # a pattern that tries each letter's whole run again would take minutes over these
    for text in ("a" * 65_536, "a-" * 32_768, "a*" * 32_768, "*" * 65_536, "sk-" * 20_000):
        assert CANARY not in scrub(f"{text} {CANARY} {text}", [CANARY])


def test_a_key_does_not_show_itself_where_variables_are_shown():
    key = clean_key(f" Bearer {CANARY} ", "api_key")
    assert (repr(key), f"{[key]} {vars(argparse.Namespace(key=key))}") == ("'[key]'", "['[key]'] {'key': '[key]'}")
    assert f"Bearer {key}" == f"Bearer {CANARY}"


def test_the_key_was_used_and_the_notebook_ran(left: Left):
    assert left.sent == len(SCRIPTS) - SCRIPTS.count(NOT_OURS)
    for cell in ("log", "connect", "chat", "panel", "refused panel", "argument", "keep", "history"):
        assert '"output_type": "error"' not in left.output(cell), left.output(cell)
    for cell in ("refused chat", "refused html", "verbose", "refused sdk", "userinfo", "two keys", "wrong scheme"):
        assert '"output_type": "error"' in left.output(cell), cell
    assert "In Brazil." in left.output("chat")
    assert "holds a user name or password" in left.output("userinfo")
    assert "application/vnd.jupyter.widget-state+json" in left.notebook["metadata"]["widgets"]
    assert (left.folder / "debug.log").stat().st_size > 10_000


def test_every_kind_of_file_is_there_to_be_searched(left: Left):
    names = {path.name for path in left.folder.rglob("*") if path.is_file()}
    assert names >= {
        *("talk.ipynb", "notebook.html", "notebook.md", "talk-checkpoint.ipynb", "debug.log", "nbconvert.log"),
        *("usage.sqlite", "history.sqlite", "saved.json", "talk.json", "talk.md", "talk.html"),
    }


@pytest.mark.parametrize("secret", [CANARY, *HALVES])
def test_no_byte_that_was_left_holds_the_key_or_half_of_it(left: Left, secret: str):
    found = {
        str(path.relative_to(left.folder)): path.read_bytes().count(secret.encode())
        for path in left.folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    }
    cells = [name for name in CELLS if secret in left.output(name)]
    assert (found, cells) == ({}, [])


def test_what_changed_before_the_kernel_ended_is_kept(left: Left):
    # the notebook's last cells are over within milliseconds, and the kernel is shut down after them
    assert b"the last word" in (left.folder / "history.sqlite").read_bytes()


@pytest.mark.parametrize("ends", [True, False])
def test_what_all_keys_of_local_servers_begin_with_is_the_servers_name_and_no_part_of_a_key(ends: bool):
    key = "chatkit-local-" + HALVES[0] + HALVES[1]
    clean = (lambda text: scrub(text, [key])) if ends else (lambda text: without_parts(text, (key,)))
    assert clean("chatkit-local answers") == "chatkit-local answers"
    assert clean(f"the key is {key}.") == "the key is [key]."
    for part in (key[:22], key[14:22], key[-8:]):
        assert clean(f"it began with {part} then") == "it began with [key] then"
