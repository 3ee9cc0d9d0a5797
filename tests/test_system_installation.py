"""What would keep chatkit from running on a machine, by machines that are made up: the name, the rule, the way out."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from wheels import GAPS, MACOS_12, MACOS_13, MACOS_INTEL, WINDOWS_ARM, System

from chatkit import __main__ as command
from chatkit.exceptions import SetupError
from chatkit.system import installation
from chatkit.system.installation import Machine, findings, is_on_path, packages_on

RUNTIME = ("MSVCP140.dll", "MSVCP140_1.dll", "VCOMP140.dll", "VCRUNTIME140.dll", "VCRUNTIME140_1.dll")
LINUX = Machine("linux-x86_64", (3, 13), "x86_64", free=10**11)
WINDOWS = Machine("win-amd64", (3, 13), "AMD64", prefix=r"C:\chatkit-env", free=10**11)
MAC = Machine("macosx-11.0-arm64", (3, 14), "arm64", macos=(15, 1), free=10**11)
INTEL = Machine("macosx-10.13-universal2", (3, 13), "x86_64", macos=(13, 6), free=10**11)


def found(machine, name):
    [finding] = findings(machine)
    assert finding.name == name
    return finding


@pytest.mark.parametrize("machine", [LINUX, WINDOWS, MAC, INTEL], ids=lambda machine: machine.platform)
def test_a_machine_that_lacks_nothing_gets_no_finding(machine):
    assert findings(machine) == []


def test_a_python_of_32_bits_is_refused():
    finding = found(replace(WINDOWS, platform="win32", bits=32), "Python")
    assert "32 bits" in finding.rule
    assert finding.fails


def test_an_old_python_is_refused():
    assert "3.10; it must be 3.11" in found(replace(LINUX, python=(3, 10)), "Python").rule


def test_an_arm_python_on_windows_has_no_engines_and_an_x64_one_there_has():
    finding = found(replace(WINDOWS, platform="win-arm64", processor="ARM64"), "Local models")
    assert "x64 Python" in finding.way_out
    assert findings(replace(WINDOWS, processor="ARM64")) == []  # so Python 3.12 calls the machine there


@pytest.mark.parametrize(
    ("macos", "python", "name"),
    [
        ((12, 7), (3, 13), "macOS"), ((11, 0), (3, 11), "macOS"), ((12, 7), (3, 14), "macOS"),
        ((13, 0), (3, 13), None), ((13, 6), (3, 14), "Local Whisper"), ((14, 0), (3, 14), None), ((), (3, 14), None),
    ],
)  # fmt: skip
def test_apple_silicon_needs_macos_13_and_14_for_python_314(macos, python, name):
    machine = replace(MAC, macos=macos, python=python)
    assert [finding.name for finding in findings(machine)] == ([name] if name else [])


@pytest.mark.parametrize("platform", ["macosx-10.13-universal2", "macosx-13.0-x86_64"])
@pytest.mark.parametrize("python", [(3, 11), (3, 13), (3, 14)])
def test_a_mac_with_intel_has_no_local_whisper_for_python_314(platform, python):
    said = [finding.name for finding in findings(replace(INTEL, platform=platform, python=python))]
    assert said == (["Local Whisper"] if python == (3, 14) else [])


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: f"{gap[0].name} {gap[1]}")
def test_each_gap_of_the_index_in_the_local_models_is_found(gap):
    system, extra = gap
    machines: dict[System, Machine] = {
        WINDOWS_ARM: replace(WINDOWS, platform="win-arm64"),
        MACOS_12: replace(MAC, macos=(12, 0)),
        MACOS_13: replace(MAC, macos=(13, 0)),
        MACOS_INTEL: INTEL,
    }
    if extra == "local":
        for python in GAPS[gap]:
            assert findings(replace(machines[system], python=(3, int(python[2:]))))


def test_the_libraries_of_visual_c_that_are_lacking_are_named_with_the_command_that_installs_them():
    finding = found(replace(WINDOWS, lacking_libraries=RUNTIME[:2]), "Visual C++ runtime")
    assert "MSVCP140.dll, MSVCP140_1.dll" in finding.rule
    assert "winget install Microsoft.VCRedist.2015+.x64 " in finding.way_out


@pytest.mark.parametrize(
    ("free", "have_weights", "fails"),
    [
        (2_250_000_000, False, None), (2_249_999_999, False, False), (249_999_999, False, True),
        (2_000_000_000, True, None), (1_999_999_999, True, False), (0, True, False), (None, False, None),
    ],
)  # fmt: skip
def test_the_disk_needs_room_for_the_weights_unless_they_are_here(free, have_weights, fails):
    said = [finding.fails for finding in findings(replace(LINUX, free=free, have_weights=have_weights))]
    assert said == ([] if fails is None else [fails])


@pytest.mark.parametrize(("length", "fits"), [(103, True), (104, False), (200, False)])
def test_a_path_that_leaves_no_room_for_jupyterlabs_files_is_too_long_on_windows(length, fits):
    deep = replace(WINDOWS, prefix="C:\\" + "x" * (length - 3))
    assert [finding.name for finding in findings(deep)] == ([] if fits else ["Path"])
    assert findings(replace(deep, long_paths=True)) == []
    assert findings(replace(LINUX, prefix=deep.prefix)) == []


def test_another_chatkit_on_the_path_and_a_path_without_the_scripts_are_told_and_fail_nothing():
    machine = replace(
        WINDOWS, packages=("C:\\mine\\chatkit", "C:\\env\\chatkit"), scripts_on_path=False, scripts="C:\\S"
    )
    other, path = findings(replace(machine, executable="C:\\My Python\\python.exe"))
    assert (other.fails, path.fails) == (False, False)
    assert "C:\\mine\\chatkit is imported, and hides C:\\env\\chatkit" in other.rule
    assert path.way_out.startswith('Write "C:\\My Python\\python.exe" -m chatkit')


def test_what_would_fail_comes_first():
    machine = replace(WINDOWS, scripts_on_path=False, free=1, lacking_libraries=RUNTIME, packages=("a", "b"))
    assert [finding.fails for finding in findings(machine)] == [True, True, False, False]


def test_a_finding_can_be_raised_in_the_words_of_the_house():
    finding = found(replace(LINUX, python=(3, 10)), "Python")
    error = finding.error()
    assert isinstance(error, SetupError)
    assert str(error) == str(finding)


def test_packages_of_the_name_are_found_once_each_in_the_order_of_the_path(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "chatkit").mkdir(parents=True)
        (tmp_path / folder / "chatkit" / "__init__.py").touch()
    path = [str(tmp_path / name) for name in ("one", "nowhere", "two", "one")]
    own, *others = packages_on(path)
    assert own == os.path.realpath(Path(installation.__file__).parent.parent)
    assert others == [os.path.realpath(tmp_path / name / "chatkit") for name in ("one", "two")]


def test_a_folder_is_on_path_however_it_is_written_there(tmp_path):
    path = os.pathsep.join([str(tmp_path / "a"), f"{tmp_path}{os.sep}b{os.sep}..{os.sep}c", ""])
    assert [is_on_path(str(tmp_path / name), path) for name in "abc"] == [True, False, True]


def test_this_machine_is_one_on_which_chatkit_runs(tmp_path):
    machine = installation.this_machine(tmp_path / "not" / "there" / "yet", have_weights=True)
    assert (machine.bits, machine.python) == (64, sys.version_info[:2])
    assert machine.free
    assert not any(finding.fails for finding in findings(machine))


def test_the_doctor_says_what_is_missing_and_exits_1_if_something_would_fail(monkeypatch, capsys):
    machine = replace(WINDOWS, lacking_libraries=RUNTIME, scripts_on_path=False)
    monkeypatch.setattr(installation, "this_machine", lambda *_: machine)
    assert command.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [str(finding) for finding in findings(machine)]
    monkeypatch.setattr(installation, "this_machine", lambda *_: replace(machine, lacking_libraries=()))
    assert command.main(["doctor"]) == 0
    path, well = capsys.readouterr().out.splitlines()
    assert path.startswith("PATH: ")
    assert "nothing is missing" in well
