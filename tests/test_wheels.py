"""What the package index is asked for each system, and what is made of its answers; no index is asked here."""

import tomllib
from pathlib import Path

import pytest
import wheels
from packaging.requirements import Requirement
from wheels import EXTRAS, GAPS, MACOS_12, MACOS_INTEL, PYTHONS, SYSTEMS, WINDOWS, WINDOWS_ARM, Answer

ROOT = Path(__file__).parent.parent


def as_known(system, python, extra):
    if python in GAPS.get((system, extra), ()):
        return "av has no wheel"
    return {"av": "19.0.2" if python > "3.11" else "18.1.0", "xllamacpp": "2026.10"}


def test_each_system_each_python_and_each_extra_is_asked_for_once():
    asked = [(answer.system, answer.python, answer.extra) for answer in wheels.ask(as_known)]
    assert len(asked) == len(set(asked)) == len(SYSTEMS) * len(PYTHONS) * len(EXTRAS)


def test_what_is_as_it_was_known_is_no_surprise():
    assert wheels.surprises(list(wheels.ask(as_known))) == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_wheel_that_is_gone_is_said_with_its_system_its_python_and_its_extra(extra):
    def gone(system, python, asked):
        lost = (system, python, asked) == (WINDOWS, "3.12", extra)
        return "nh3 has no wheel" if lost else as_known(system, python, asked)

    [news] = wheels.surprises(list(wheels.ask(gone)))
    what = f"[{extra}]" if extra else "chatkit"
    assert str(news) == f"{what} on Windows x64, Python 3.12: nh3 has no wheel"


def test_a_wheel_that_has_come_is_said_too_so_that_no_gap_is_told_that_is_none():
    answers = [Answer(WINDOWS_ARM, "3.13", "local", {"xllamacpp": "2027.1"})]
    assert [str(news) for news in wheels.surprises(answers)] == [
        "[local] on Windows ARM (ARM Python), Python 3.13 installs now: take it out of GAPS, and say so."
    ]


def test_the_table_says_each_version_with_the_pythons_that_get_it():
    lines = wheels.table(list(wheels.ask(as_known)), "2026-11-28").splitlines()
    assert lines[0] == "As of 2026-11-28, Python 3.11 to 3.14:"
    [windows] = [line for line in lines if line.startswith("| Windows x64")]
    assert windows.startswith("| Windows x64 | 2026.10 | – | – | 18.1.0 (3.11), 19.0.2 (3.12 to 3.14) | –")
    [old] = [line for line in lines if line.startswith(f"| {MACOS_12.name}")]
    assert set(old.removeprefix(f"| {MACOS_12.name} ")) == set("|– ")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Because xllamacpp==2026.10 has no usable wheels and only", "xllamacpp has no wheel"),
        ("Because all of: pyyaml<=5.1b5\n pyyaml>=5.1 have no usable wheels", "pyyaml has no wheel"),
        (
            "Because onnxruntime{sys_platform != 'darwin'}<=1.24 has no wheels with a matching",
            "onnxruntime has no wheel",
        ),
        ("error: the index\ncannot be reached", "error: the index cannot be reached"),
    ],
)
def test_why_there_is_no_solution_is_said_in_one_line(said, reason):
    assert wheels.reason(said) == reason


def test_the_versions_are_read_from_a_list_of_requirements():
    assert wheels.versions("av==19.0.2\nipython-pygments-lexers==1.1.1\n") == {
        "av": "19.0.2", "ipython-pygments-lexers": "1.1.1",
    }  # fmt: skip


def test_the_table_in_a_file_is_made_new_and_all_else_stays():
    text = "before\n\n<!-- wheels -->\nold\n\nolder\n<!-- /wheels -->\n\nafter\n"
    assert wheels.renew(text, "new \\1") == "before\n\n<!-- wheels -->\nnew \\1\n<!-- /wheels -->\n\nafter\n"


def test_the_document_has_a_row_for_each_system_and_a_date():
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    block = text.partition("<!-- wheels -->")[2].partition("<!-- /wheels -->")[0]
    assert all(f"| {system.name} |" in block for system in SYSTEMS)
    assert block.strip().startswith("As of 20")


def test_where_the_local_models_are_not_to_be_had_the_readme_says_so():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words in ("macOS 12", "Windows on ARM", "Python 3.14", "not run on a real"):
        assert words in text, words
    assert (MACOS_INTEL, "local") not in GAPS  # by a marker: its language model installs, its Whisper does not


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
X64 = {"sys_platform": "win32", "platform_machine": "AMD64"}
ARM = {"sys_platform": "win32", "platform_machine": "ARM64"}
SILICON = {"sys_platform": "darwin", "platform_machine": "arm64"}
INTEL = {"sys_platform": "darwin", "platform_machine": "x86_64"}
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}


def taken(extra, system, python="3.13"):
    lines = map(Requirement, PROJECT["optional-dependencies"][extra])
    here = {**system, "python_version": python}
    return {line.name + "".join(line.extras) for line in lines if not line.marker or line.marker.evaluate(here)}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", [X64, ARM, SILICON, INTEL, LINUX], ids=lambda system: " ".join(system.values()))
def test_whisper_is_left_out_where_it_has_no_engine_and_nowhere_else(system, python):
    lacking = system is INTEL and python == "3.14"
    whisper = {"faster-whisper", "onnxruntime"}
    assert taken("local", system, python) & whisper == (set() if lacking else whisper)
    assert "xllamacpp" in taken("local", system, python)


@pytest.mark.parametrize(
    ("system", "tokens", "postgres"),
    [
        (X64, {"bpe-openai"}, {"psycopgbinary"}), (ARM, set(), {"psycopg"}), (SILICON, {"bpe-openai"}, {"psycopgbinary"}),
        (INTEL, set(), {"psycopgbinary"}), (LINUX, {"bpe-openai"}, {"psycopgbinary"}),
    ],
)  # fmt: skip
def test_an_extra_brings_what_needs_no_compiler(system, tokens, postgres):
    assert (taken("tokens", system), taken("postgres", system)) == (tokens, postgres)
