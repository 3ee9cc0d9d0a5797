"""What the systems' loaders say becomes a sentence: the library by name, what it lacks, the way out."""

import asyncio
import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatkit.client import local_process
from chatkit.exceptions import SetupError
from chatkit.local.speech import Speech
from chatkit.local.validation import ApiError
from chatkit.system import libraries

WINDOWS = "DLL load failed while importing"
FOUND_NOTHING = "Could not find module 'ctranslate2.dll' (or one of its dependencies). Try using the full path."
SAID = {
    f"{WINDOWS} xllamacpp: The specified module could not be found.": ("Visual C++", "winget install"),
    f"{WINDOWS} xllamacpp: The specified procedure could not be found.": ("too old", "winget install"),
    f"{WINDOWS} xllamacpp: A dynamic link library (DLL) initialization routine failed.": ("too old", "winget install"),
    f"{WINDOWS} xllamacpp: %1 is not a valid Win32 application.": ("another processor", "--force-reinstall"),
    f"{WINDOWS} xllamacpp: An Application Control policy has blocked this file.": ("refuses", "virus scanner"),
    f"{WINDOWS} xllamacpp: The paging file is too small for this operation to complete.": ("memory", "Close other"),
    "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /x.so)": ("glibc 2.38", "newer system"),
    "/usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /x.so)": ("newer system", "conda"),
    "libgomp.so.1: cannot open shared object file: No such file or directory": ("libgomp.so.1", "apt install libgomp1"),
    "/x/y.so: wrong ELF class: ELFCLASS32": ("another processor", "--force-reinstall"),
    "/x/y.so: cannot enable executable stack as shared object requires: Invalid argument": ("refuses", "folder"),
    "/x/y.so: failed to map segment from shared object": ("refuses", "folder from which programs may run"),
    "dlopen(/y.so, 0x0002): tried: '/y.so' (mach-o file, but is an incompatible architecture (have 'x86_64', need "
    "'arm64'))": ("another processor", "--force-reinstall"),
    "dlopen(/y.so): Library not loaded: @rpath/libomp.dylib": ("libomp.dylib", "brew install libomp"),
    "dlopen(/y.so): code signature in '/y.so' not valid for use in process": ("refuses", "policy"),
    "cannot import name 'Server' from 'xllamacpp'": ("damaged, or does not fit", "--force-reinstall xllamacpp"),
}  # fmt: skip


@pytest.mark.parametrize("said", SAID)
def test_what_a_loader_says_is_told_with_what_is_lacking_and_the_way_out(said):
    why, way_out = SAID[said]
    with pytest.raises(SetupError) as told, libraries.loading("xllamacpp"):
        raise ImportError(said)
    assert told.value.cause.startswith("xllamacpp cannot be loaded: ")
    assert why in told.value.cause
    assert way_out in told.value.way_out
    assert said in told.value.cause or said[: libraries.LONGEST - 13] in told.value.cause


def test_a_package_that_is_not_there_and_one_for_another_python_are_told_apart():
    absent = libraries.unloadable(ModuleNotFoundError("No module named 'nowhere'", name="nowhere"), "nowhere")
    assert "not installed for this Python" in absent.cause
    other = libraries.unloadable(ModuleNotFoundError("No module named 'json.x'", name="json.x"), "json")
    assert "built for another processor or system" in other.cause


@pytest.mark.parametrize(
    ("number", "rule"),
    [(126, "Visual C++"), (127, "too old"), (1114, "too old"), (193, "another processor"), (4551, "refuses"),
     (1455, "memory")],
)  # fmt: skip
def test_windows_in_another_language_is_understood_by_its_number(monkeypatch, number, rule):
    def load(path: str) -> None:
        error = OSError("Das angegebene Modul wurde nicht gefunden.")
        error.winerror = number
        raise error

    monkeypatch.setattr(libraries.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", load, raising=False)
    error = ImportError(f"{WINDOWS} xllamacpp: Das angegebene Modul wurde nicht gefunden.", path="C:\\x.pyd")
    assert rule in libraries.unloadable(error, "xllamacpp").cause


@pytest.mark.parametrize(
    ("code", "words", "why"),
    [
        (0xC0000135, "", "Visual C++"),
        (0xC000007B, "", "another processor"),
        (0xC000001D, "", "lacks an instruction"),
        (-4, "", "lacks an instruction"),
        (-9, "", "the system ended it"),
        (3, "OMP: Error #15: Initializing libiomp5md.dll, but found libiomp5md.dll already initialized.", "two OpenMP"),
        (1, "OMP: Hint This means that multiple copies of the OpenMP runtime have been linked into it.", "two OpenMP"),
        (1, "ImportError: libgomp.so.1: cannot open shared object file: No such file", "libgomp.so.1"),
    ],
)
def test_a_child_that_ended_is_understood_by_its_code_and_its_words(code, words, why):
    assert why in libraries.ended(code, words, "ctranslate2").cause


@pytest.mark.parametrize(("code", "words"), [(1, "ValueError: no"), (None, ""), (0, "bye"), (-15, "")])
def test_of_other_ends_nothing_is_claimed(code, words):
    assert libraries.ended(code, words, "ctranslate2") is None


@pytest.fixture
def fresh_windows(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A Windows with Python's own DLLs alone."""
    here = {"VCRUNTIME140.dll", "VCRUNTIME140_1.dll"}

    def load(name: str) -> None:
        if name not in here:
            raise OSError(name)

    monkeypatch.setattr(libraries.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", load, raising=False)
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    return here


@pytest.mark.parametrize(
    ("packages", "lacking"),
    [
        (("xllamacpp",), "MSVCP140.dll and VCOMP140.dll"),
        (("ctranslate2",), "MSVCP140.dll"),
        (("ctranslate2", "onnxruntime"), "MSVCP140.dll and MSVCP140_1.dll"),
    ],
)
def test_what_the_engines_need_of_windows_is_looked_for_before_they_start(fresh_windows, packages, lacking):
    with pytest.raises(SetupError, match=f"Windows lacks {lacking} of the Visual C") as told:
        libraries.look(*packages)
    assert "winget install Microsoft.VCRedist.2015+.x64" in told.value.way_out
    fresh_windows |= {"MSVCP140.dll", "MSVCP140_1.dll", "VCOMP140.dll"}
    libraries.look(*packages)


def test_a_package_that_brings_its_runtime_by_now_is_not_refused(fresh_windows, tmp_path, monkeypatch):
    (tmp_path / "ctranslate2").mkdir()
    (tmp_path / "ctranslate2.libs").mkdir()
    (tmp_path / "ctranslate2.libs" / "msvcp140-a4c2229bdc2a2a630acdc095b4d86008.dll").touch()
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path / "ctranslate2")]})
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: spec)
    libraries.look("ctranslate2")


def test_elsewhere_nothing_is_looked_for():
    libraries.look("xllamacpp", "ctranslate2", "onnxruntime")


# --- the children themselves


def broken(folder: Path, package: str, error: str) -> str:
    """A folder for PYTHONPATH, in which a package cannot be loaded."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"raise {error}\n", encoding="utf-8")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_a_server_whose_engine_cannot_be_loaded_says_so_before_it_fetches_anything(tmp_path, monkeypatch):
    said = f"{WINDOWS} xllamacpp: The specified module could not be found."
    monkeypatch.setenv("PYTHONPATH", broken(tmp_path, "xllamacpp", f"ImportError({said!r})"))
    monkeypatch.setenv("CHATKIT_MODELS", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="xllamacpp cannot be loaded: .*Visual C") as told:
        local_process._start(None, lambda word: pytest.fail(word))
    assert "winget install" in told.value.way_out
    assert "chatkit serve" not in str(told.value)


@pytest.mark.parametrize(
    ("package", "error", "why"),
    [
        ("ctranslate2", f"FileNotFoundError({FOUND_NOTHING!r})", r"ctranslate2 cannot be loaded: .*Visual C"),
        ("onnxruntime", f"ImportError('{WINDOWS} onnxruntime_pybind11_state: x')", "onnxruntime cannot be loaded"),
        ("av", "ImportError('/x.so: wrong ELF class: ELFCLASS32')", "cannot be loaded: it was built for another"),
        ("tokenizers", "RuntimeError('of its own')", "tokenizers cannot be loaded|cannot be loaded: its installation"),
    ],
)
def test_a_recogniser_that_cannot_be_loaded_says_what_it_lacks(tmp_path, monkeypatch, package, error, why):
    monkeypatch.setenv("PYTHONPATH", broken(tmp_path, package, error))
    command = [sys.executable, "-m", "chatkit.local.recogniser", str(tmp_path), "1"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    [line] = ran.stdout.splitlines()
    said = json.loads(line)["error"]
    assert (said["status"], said["code"]) == (503, "model_not_available")
    assert re.search(why, said["message"])


def test_a_model_that_cannot_be_loaded_is_told_as_what_it_is(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model")
    command = [sys.executable, "-m", "chatkit.local.recogniser", str(tmp_path), "1"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    [line] = ran.stdout.splitlines()
    said = json.loads(line)["error"]
    assert said["status"] == 503
    assert re.search(r"cannot load its model: \w+: .*chatkit models fetch", said["message"])
    assert str(tmp_path) not in said["message"]


ENDS = "import json; print(json.dumps({'error': {'status': 503, 'message': 'x cannot be loaded.', 'type': 'server_error', 'param': None, 'code': 'model_not_available'}}))"


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        (ENDS, 503, "x cannot be loaded"),
        ("import os; os.kill(os.getpid(), 4)", 503, "lacks an instruction"),
        ("import sys; sys.exit('OMP: Error #15: Initializing libiomp5md.dll')", 503, "two OpenMP runtimes"),
        ("raise ValueError('no')", 500, "a fault that is not the file's"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="no such signals")
def test_whoever_asked_for_a_transcript_hears_why_it_cannot_be_loaded(tmp_path, monkeypatch, code, status, why):
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"x")

    class Empty:
        size = 0

        async def read(self, size: int = -1) -> bytes:
            return b""

        async def close(self) -> None: ...

    async def ask() -> None:
        speech = Speech(str(tmp_path), program=[sys.executable, "-c", code])
        async for _ in speech.lines({}, Empty(), tmp_path.name):
            pass

    with pytest.raises(ApiError, match=why) as told:
        asyncio.run(ask())
    assert told.value.status == status
