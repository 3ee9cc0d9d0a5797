"""Which weights are on this machine: each by its name, file, size, licence and place, as far as they are known."""

import pytest
from faultserver import FaultServer, reply

from chatkit import __main__ as command
from chatkit.local import present, weights, whisper
from chatkit.local.shipped import DEFAULT, WHISPER


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path))
    monkeypatch.setattr(weights, "_installed", lambda _: None)
    return tmp_path


def sized(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def a_whisper(folder, size=1000):
    for name in whisper.NEEDED:
        sized(folder / name, size)


def test_where_there_are_none_that_is_said_with_the_folder_and_the_command(home, capsys):
    assert command.main(["models"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert str(home) in line
    assert "chatkit models fetch" in line


def test_the_shipped_model_is_told_by_name_file_size_licence_and_place(home, capsys):
    sized(home / DEFAULT.file, DEFAULT.size)
    assert command.main(["models"]) == 0
    assert capsys.readouterr().out == (
        f"{DEFAULT.alias}: {DEFAULT.file}, 98.4 MB, licence {DEFAULT.licence}, in {home}\n"
    )


def test_the_list_of_an_endpoints_models_keeps_the_names_alone_on_stdout_and_tells_the_weights_beside_them(
    home, monkeypatch, capsys
):
    sized(home / DEFAULT.file, DEFAULT.size)
    with FaultServer(reply(200, {"object": "list", "data": [{"id": "theirs"}]})) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        assert command.main(["models", "list"]) == 0
    said = capsys.readouterr()
    assert said.out == "theirs\n"
    assert f"{DEFAULT.alias}: {DEFAULT.file}, 98.4 MB" in said.err


def test_a_file_that_is_not_whole_is_told_so(home):
    sized(home / DEFAULT.file, 1_000_000)
    [model] = present.present()
    assert not model.is_whole
    assert "1.0 MB of 98.4: not whole" in str(model)
    assert not present.has_shipped()


def test_one_in_an_installed_package_is_told_with_its_place(home, monkeypatch, tmp_path):
    place = sized(tmp_path / "site" / DEFAULT.file, DEFAULT.size)
    monkeypatch.setattr(weights, "_installed", lambda _: place)
    assert [model.path for model in present.present()] == [place]


def test_models_of_the_hub_and_files_of_ones_own_are_told_by_the_name_that_is_asked_for_and_an_unknown_licence(home):
    sized(home / "org--repo" / "m.gguf", 5_000_000)
    sized(home / "own.gguf", 1)
    sized(home / ".fetch-x" / "half.gguf", 1)
    a_whisper(home / "org--whisper-small")
    assert [(model.name, model.licence, model.size) for model in present.present()] == [
        ("org/whisper-small", None, 3000), ("org/repo:m.gguf", None, 5_000_000), ("own", None, 1),
    ]  # fmt: skip
    assert all("licence unknown" in str(model) for model in present.present())


def test_the_shipped_models_are_here_when_both_are_whole(home, monkeypatch):
    sized(home / DEFAULT.file, DEFAULT.size)
    a_whisper(home / WHISPER)
    assert not present.has_shipped()
    monkeypatch.setattr(whisper, "SIZE", 3000)
    assert present.has_shipped()
