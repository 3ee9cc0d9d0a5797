"""Whose key goes where: the table of docs/endpoints.md, tried by what servers receive."""

import io
import itertools
import os
import re
import wave
from contextlib import ExitStack
from pathlib import Path

import openai
import pytest
from recording import recording

import chatkit
from chatkit.__main__ import main
from chatkit.client import connect, local_process
from chatkit.client import environment as sources
from chatkit.exceptions import ChatkitError, InputError, SetupError

DOCS = Path(__file__).parent.parent / "docs" / "endpoints.md"
SAYS = ("-", "address", "key", "both")
NAMES = ("arguments", "environment", "file")
KEYS = {name: f"sk-{name}-0123456789abcdef" for name in NAMES}
LOCAL_KEY = "chatkit-local-0123456789abcdef"
ALL = list(itertools.product(SAYS, repeat=3))
WITHOUT_ARGUMENTS = [case for case in ALL if case[0] == "-"]


def table():
    lines = DOCS.read_text(encoding="utf-8").split("## The table of pairs")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [(tuple(row[:3]), row[3], row[4]) for row in rows[2:]]


def expected(case):
    """Where calls go and whose key goes along, by the first row that fits; None where they are refused."""
    fits = (
        (to, key)
        for row, to, key in table()
        if all(cell in ("any", said) for cell, said in zip(row, case, strict=True))
    )
    to, key = next(fits)
    return (
        None if to == "refused" else ({".env": "file"}.get(to, to), {".env": "file", "its own": "local"}.get(key, key))
    )


@pytest.fixture
def house(monkeypatch, tmp_path):
    """A server for each that may be named, for OpenAI's host and for the local model; nothing is named yet."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(recording()) for name in (*NAMES, "OpenAI", "local model")}
        servers["local model"].called = "chatkit-local"
        local = local_process.LocalServer(servers["local model"].url, "tiny", 8192, LOCAL_KEY, process=None)
        monkeypatch.setattr(local_process, "local_server", lambda model=None, tell=None: local)
        monkeypatch.setattr(
            sources, "PLAIN", sources.Names("OPENAI_BASE_URL", ("OPENAI_API_KEY",), servers["OpenAI"].url)
        )
        yield servers


def lay_out(case, servers, monkeypatch, folder):
    """Name what the case names, with an organisation and a project of each; the arguments are given back."""
    arguments, environment, file = (settings(name, said, servers) for name, said in zip(NAMES, case, strict=True))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: team-environment")
    folder.joinpath(".env").write_text("".join(f"{name}={value}\n" for name, value in file.items()))
    given = {"base_url": arguments.get("OPENAI_BASE_URL"), "api_key": arguments.get("OPENAI_API_KEY")}
    return {name: value for name, value in given.items() if value}


def settings(name, said, servers):
    own = {"OPENAI_ORG_ID": f"org-{name}", "OPENAI_PROJECT_ID": f"project-{name}"}
    own |= {"OPENAI_BASE_URL": servers[name].url} if said in ("address", "both") else {}
    return own | ({"OPENAI_API_KEY": KEYS[name]} if said in ("key", "both") else {})


def received(servers):
    return {name: server.seen for name, server in servers.items() if server.seen}


def check(case, servers, ask):
    """The request went where the table says, with what is of its key's source and with nothing else."""
    wanted = expected(case)
    if wanted is None:
        with pytest.raises(
            SetupError, match=r"an address and a key of two sources. Nothing was sent. Say by arguments"
        ):
            ask()
        assert received(servers) == {}
        return
    to, whose = wanted
    ask()
    assert set(received(servers)) == {to}
    key = {"nobody": connect.NO_KEY, "local": LOCAL_KEY, **KEYS}[whose]
    source = to if whose == "nobody" else whose
    for method, _, headers in servers[to].seen:
        if method == "GET" and "authorization" not in headers:
            continue  # the look whether it is a chatkit server takes nothing along
        assert headers["authorization"] == f"Bearer {key}"
        along = source in ("environment", "file")
        assert headers.get("openai-organization") == (f"org-{source}" if along else None)
        assert headers.get("openai-project") == (f"project-{source}" if along else None)
        assert headers.get("x-team") == ("team-environment" if source == "environment" else None)
        assert not [key for name, key in KEYS.items() if key in str(headers) and name != whose]


def hello(client):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    client.with_options(timeout=5).models.list()  # a copy asks the environment anew


def test_the_table_has_a_row_for_each_case_and_no_row_that_never_counts():
    rows = table()
    first = {
        next(i for i, (row, _, _) in enumerate(rows) if all(c in ("any", s) for c, s in zip(row, case, strict=True)))
        for case in ALL
    }
    assert first == set(range(len(rows)))


@pytest.mark.parametrize("case", ALL, ids="+".join)
def test_connect(case, house, monkeypatch, tmp_path):
    given = lay_out(case, house, monkeypatch, tmp_path)
    check(case, house, lambda: hello(connect.connect(quiet=True, **given)))


@pytest.mark.parametrize("case", WITHOUT_ARGUMENTS, ids="+".join)
def test_chat(case, house, monkeypatch, tmp_path, capsys):
    lay_out(case, house, monkeypatch, tmp_path)
    check(case, house, lambda: chatkit.Chat(model="m").send("Hi"))
    named = expected(case) and (expected(case)[0] == "file" or expected(case)[1] == "file")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == bool(named)
    assert not named or f"in {tmp_path / '.env'})" in lines[0]


@pytest.mark.parametrize(
    "case", [("both", "both", "both"), ("address", "both", "both"), ("key", "-", "key")], ids="+".join
)
def test_chat_with_a_client(case, house, monkeypatch, tmp_path):
    given = lay_out(case, house, monkeypatch, tmp_path)
    check(case, house, lambda: chatkit.Chat(client=connect.connect(quiet=True, **given), model="m").send("Hi"))


@pytest.mark.parametrize("case", WITHOUT_ARGUMENTS, ids="+".join)
def test_the_panel(case, house, monkeypatch, tmp_path, capsys):
    lay_out(case, house, monkeypatch, tmp_path)
    panel = chatkit.ChatPanel(model="m")
    before = panel.stage.scene(None, None, None).status["endpoint"]

    def ask():
        panel.simulate({"type": "ask", "id": "1", "text": "Hi"})
        panel.chat.run.wait()

    check(case, house, ask)
    named = expected(case) and (expected(case)[0] == "file" or expected(case)[1] == "file")
    assert (str(tmp_path / ".env") in before) == bool(named)
    assert capsys.readouterr().out == ""
    panel.close()


@pytest.mark.parametrize("case", [row[0] for row in table() if row[0][0] == "-"], ids="+".join)
def test_transcribe(case, house, monkeypatch, tmp_path, capsys):
    case = tuple("-" if said == "any" else said for said in case)
    lay_out(case, house, monkeypatch, tmp_path)
    check(case, house, lambda: chatkit.transcribe(silence(), progress=False))
    assert (str(tmp_path / ".env") in capsys.readouterr().out) == (
        expected(case) is not None and "file" in expected(case)
    )


def silence():
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(b"\x10\x00" * 8000)
    return file.getvalue()


@pytest.mark.parametrize("case", WITHOUT_ARGUMENTS, ids="+".join)
def test_the_command_line(case, house, monkeypatch, tmp_path, capsys):
    lay_out(case, house, monkeypatch, tmp_path)
    wanted = expected(case)
    if wanted == ("local model", "local"):
        assert main(["models", "list"]) == 0
        assert received(house) == {}
        return

    def ask():
        if main(["models", "list"]):
            raise SetupError(capsys.readouterr().err)
        assert (str(tmp_path / ".env") in capsys.readouterr().err) == ("file" in wanted)

    check(case, house, ask)


@pytest.mark.parametrize("blank", ["", " ", '""', "'  '", "\t"])
def test_blank_settings_of_a_file_are_none(blank, house, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['file'].url}\nOPENAI_API_KEY={blank}\n")
    with pytest.raises(SetupError, match=f"OPENAI_API_KEY in the environment belongs to .*{re.escape(str(tmp_path))}"):
        connect.connect()
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={blank}\nOPENAI_API_KEY={KEYS['file']}\n")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert connect.resolve().base_url == house["OpenAI"].url


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_blank_settings_of_the_environment_are_none(blank, house, monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, blank)
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['file'].url}\nOPENAI_API_KEY={KEYS['file']}\n")
    hello(connect.connect(quiet=True))
    assert house["file"].seen[-1][2]["authorization"] == f"Bearer {KEYS['file']}"
    assert "openai-organization" not in house["file"].seen[-1][2]


@pytest.mark.parametrize("given", [{"api_key": ""}, {"base_url": ""}, {"base_url": " ", "api_key": KEYS["arguments"]}])
def test_blank_arguments_are_no_leave_to_look_elsewhere(given, house, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    with pytest.raises(InputError, match="api_key holds no key|base_url is ''"):
        connect.connect(**given)


def test_a_file_in_a_folder_above_counts_as_one_here_and_the_nearest_counts(house, monkeypatch, tmp_path):
    inner = tmp_path / "lesson" / "one"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['file'].url}\n")
    with pytest.raises(SetupError, match=re.escape(str(tmp_path / ".env"))):
        connect.connect()
    (inner / ".env").write_text("OTHER=1\n")
    assert connect.resolve().base_url == house["OpenAI"].url
    assert house["file"].seen == []


def test_the_same_address_in_two_sources_is_no_conflict(house, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['OpenAI'].url}/\n")
    assert connect.resolve().api_key == KEYS["environment"]
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['file'].url}\nOPENAI_API_KEY={KEYS['file']}\n")
    assert connect.resolve(base_url=house["file"].url).api_key == KEYS["file"]
    assert connect.resolve(base_url=house["OpenAI"].url).api_key == KEYS["environment"]
    with pytest.raises(SetupError, match="a key in the environment belongs to"):
        connect.resolve(base_url="https://other.example/v1")


def test_another_path_of_a_host_is_another_address(house, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/tenant-1/v1")
    with pytest.raises(SetupError, match="belongs to https://gateway.example/tenant-1/v1"):
        connect.resolve(base_url="https://gateway.example/tenant-2/v1")


@pytest.mark.parametrize("where", ["environment", "file"])
def test_an_address_elsewhere_without_a_key_leaves_the_local_model(where, house, monkeypatch, tmp_path):
    if where == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    else:
        (tmp_path / ".env").write_text("OPENAI_BASE_URL=https://elsewhere.example/v1\n")
    assert connect.resolve().local


def test_variables_in_a_file_stay_as_they_are(house, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS["environment"])
    (tmp_path / ".env").write_text(
        f"OPENAI_API_KEY=${{OPENAI_API_KEY}}\nOPENAI_BASE_URL={house['file'].url}/$OPENAI_API_KEY\n"
    )
    with pytest.raises(SetupError) as caught:
        connect.connect()
    assert KEYS["environment"] not in str(caught.value)


def test_an_argument_for_the_organisation_goes_along_with_any_key(house, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-environment")
    given = {"base_url": house["arguments"].url, "api_key": KEYS["arguments"], "quiet": True}
    client = connect.connect(**given, organization="org-mine", project="project-mine")
    hello(client)
    chatkit.Chat(client=client, model="m").send("Hi")
    told = [
        (h.get("openai-organization"), h.get("openai-project")) for m, _, h in house["arguments"].seen if m == "POST"
    ]
    assert told == [("org-mine", "project-mine")] * 2


def test_an_admin_key_goes_along_only_with_the_environments_own(house, monkeypatch):
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-0123456789abcdef")
    client = connect.connect(base_url=house["arguments"].url, api_key=KEYS["arguments"], quiet=True)
    assert not client.admin_api_key
    assert (client.organization, client.project) == (None, None)


def test_a_raw_client_of_the_same_process_hears_nothing_of_a_file(house, monkeypatch, tmp_path):
    before = dict(os.environ), openai.base_url, openai.api_key, openai.organization, openai.project
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={house['file'].url}\nOPENAI_API_KEY={KEYS['file']}\n")
    connect.connect()
    chatkit.Chat(model="m").send("Hi")
    assert (dict(os.environ), openai.base_url, openai.api_key, openai.organization, openai.project) == before
    raw = openai.OpenAI(api_key=KEYS["arguments"])
    assert str(raw.base_url) == "https://api.openai.com/v1/"


# --- Azure


CREDENTIALS = {"AZURE_OPENAI_API_KEY": "azure-key-0123456789abcdef", "AZURE_OPENAI_AD_TOKEN": "azure-token-0123456789"}


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("key_in", NAMES)
@pytest.mark.parametrize("address_in", NAMES)
@pytest.mark.parametrize("argument", ["azure_endpoint", "base_url"])
def test_azures_endpoint_and_key_are_of_one_source(
    argument, address_in, key_in, credential, house, monkeypatch, tmp_path
):
    given = {"api_version": "2026-01-01", "quiet": True}
    file = ""
    url = house["OpenAI"].url
    for name, value, where in (
        ("AZURE_OPENAI_ENDPOINT", url, address_in),
        (credential, CREDENTIALS[credential], key_in),
    ):
        if where == "arguments":
            own = {"AZURE_OPENAI_API_KEY": "api_key", "AZURE_OPENAI_AD_TOKEN": "azure_ad_token"}
            given[own.get(name, argument)] = value
        elif where == "environment":
            monkeypatch.setenv(name, value)
        else:
            file += f"{name}={value}\n"
    (tmp_path / ".env").write_text(file)
    if address_in != key_in:
        with pytest.raises(SetupError, match="Nothing was sent"):
            connect.connect(**given)
        assert received(house) == {}
        return
    ask = connect.connect(**given).chat.completions.create
    ask(model="m", messages=[{"role": "user", "content": "Hi"}])
    headers = house["OpenAI"].seen[-1][2]
    sent = headers["api-key"] if credential.endswith("KEY") else headers["authorization"].removeprefix("Bearer ")
    assert sent == CREDENTIALS[credential]


@pytest.mark.parametrize("stated", [{"api_version": "2026-01-01"}, {"azure_endpoint": "https://mine.example"}])
def test_what_azure_lacks_is_said(stated, house, monkeypatch):
    with pytest.raises(SetupError, match=r"No azure_endpoint was given|No api_key was given"):
        connect.connect(**stated)
    with pytest.raises(SetupError, match="No api_version was given for Azure"):
        connect.connect(azure_endpoint="https://mine.example", api_key=KEYS["arguments"])


def test_azure_takes_nothing_else_of_the_environment_along_with_arguments(house, monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", *CREDENTIALS):
        monkeypatch.setenv(name, f"mine-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: mine\nAuthorization: Bearer mine\napi-key: mine")
    client = connect.connect(azure_endpoint=house["OpenAI"].url, api_version="1", api_key="azure-key-1", quiet=True)
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert "mine" not in str(house["OpenAI"].seen)
    assert house["OpenAI"].seen[-1][2]["api-key"] == "azure-key-1"


def test_a_refusal_is_a_chatkit_error():
    assert issubclass(SetupError, ChatkitError)
