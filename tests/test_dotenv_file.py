"""`.env` files as editors, shells and strangers write them."""

import os

import pytest

import chatkit
from chatkit.api.hosts import OPENAI
from chatkit.client import connect, environment, local_process
from chatkit.exceptions import SetupError

KEY = "sk-file-0123456789abcdef"
URL = "https://llm.example.org/v1"
TEXT = f"# Schlüssel für den Kurs\nOPENAI_API_KEY={KEY}\r\nexport OPENAI_BASE_URL = '{URL}'\n"


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "raw",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("cp1252"),
        TEXT.encode("latin-1") + b"# \x81\n",
    ],
    ids=["utf-8", "utf-8 marked", "utf-16 le marked", "utf-16 be marked", "le", "be", "utf-32", "cp1252", "latin-1"],
)
def test_every_encoding_that_editors_write_is_read(raw, folder):
    (folder / ".env").write_bytes(raw)
    found = connect.resolve()
    assert (found.base_url, found.api_key, found.file) == (URL, KEY, str(folder / ".env"))


def damaged(path, how):
    if how == "NUL bytes":
        path.write_bytes(TEXT.encode() + b"\0\0\0\nX=1\n")
    elif how == "100 MB":
        with path.open("wb") as file:
            file.truncate(100_000_000)
    else:
        path.write_bytes(b"\xff\xfe\x00\xd8A")  # UTF-16 that breaks off in a character


SAID = {"NUL bytes": "it holds NUL bytes", "100 MB": "more than 1,000,000 bytes", "cut": "no text file in an encoding"}


@pytest.mark.parametrize("how", SAID)
def test_a_file_that_cannot_be_read_is_named_with_the_way_out(how, folder, monkeypatch):
    (folder / "sub").mkdir()
    damaged(folder / ".env", how)
    monkeypatch.chdir(folder / "sub")
    said = rf"{folder}/\.env .*{SAID[how]}.*connect\(base_url=\.\.\., api_key=\.\.\.\)"
    for ask in (connect.connect, lambda: chatkit.Chat().send("Hi")):
        with pytest.raises(SetupError, match=said):
            ask()


@pytest.mark.parametrize("how", SAID)
def test_a_file_that_cannot_be_read_matters_only_where_it_is_asked(how, folder, monkeypatch):
    damaged(folder / ".env", how)
    server = local_process.LocalServer("http://127.0.0.1:9/v1", "tiny", 8192, "chatkit-local-" + "0" * 16, process=None)
    monkeypatch.setattr(local_process, "local_server", lambda model=None, tell=None: server)
    assert connect.resolve(local=True).local
    assert connect.resolve(base_url=URL, api_key=KEY).base_url == URL
    assert connect.resolve(base_url="http://127.0.0.1:9/v1").api_key == connect.NO_KEY
    assert connect.resolve(api_key=KEY).base_url == OPENAI
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert connect.resolve().base_url == OPENAI
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    assert connect.resolve().base_url == URL


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    (folder / ".env").write_text(TEXT)

    def refused(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(folder), "open", refused)
    with pytest.raises(SetupError, match=rf"{folder}/\.env cannot be read: Permission denied"):
        connect.resolve()


@pytest.mark.parametrize("made", ["folder", "pipe", "device"])
def test_what_is_no_file_is_passed_over(made, folder, monkeypatch):
    inner = folder / "inner"
    inner.mkdir()
    path = inner / ".env"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero")}[made]()
    (folder / ".env").write_text(TEXT)
    monkeypatch.chdir(inner)
    assert environment.find() == folder / ".env"


def test_a_working_folder_that_is_gone_has_no_file(folder, monkeypatch):
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert environment.find() is None
    os.chdir(folder)


def test_a_folder_whose_name_moves_the_cursor_is_written_out(folder, monkeypatch, capsys):
    odd = folder / "a\x1b[2K\rb\u202e"
    odd.mkdir()
    (odd / ".env").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(odd)
    connect.connect()
    said = capsys.readouterr().out
    assert said.strip().isprintable()
    assert r"a\x1b[2K\rb\u202e/.env)" in said
