"""The house itself: floors, doors, public names, each widget's three files, one list of dependencies."""

import ast
import importlib
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import chatkit

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "chatkit"
FLOORS = {
    "exceptions": 0, "display": 0, "signs": 0, "typed": 0, "patience": 0, "sqlite_file": 0, "system": 0,
    "private_folder": 1, "conversation": 1, "audio": 1,
    "api": 2, "render": 2,
    "ledger": 3,
    "client": 4,
    "captions": 5,
    "chats": 6, "speech": 6, "compare": 6,
    "reports": 7,
    "ui": 8,
    "magics": 9, "commands": 9, "__init__": 9, "__main__": 9,
}  # fmt: skip
ANNEXE = {"commands": {"local"}}
"""The command line alone runs what stands in the annexe."""
DOORS = {
    "openai": ("client",),
    "httpx2": ("ledger", "client", "local"),
    "sqlite3": ("sqlite_file",),
    "sqlalchemy": ("ledger",),
    "genai_prices": ("ledger",),
    "bpe_openai": ("ledger",),
    "dotenv": ("client",),
    "markdown_it": ("render",),
    "mdit_py_plugins": ("render",),
    "nh3": ("render",),
    "pygments": ("render",),
    "latex2mathml": ("render",),
    "matplotlib": ("reports",),
    "pandas": ("reports",),
    "av": ("audio",),
    "anywidget": ("ui",),
    "h11": ("local",),
    "ipykernel": ("ui",),
    "ipywidgets": ("ui",),
    "onnxruntime": ("local",),
    "traitlets": ("ui",),
    "comm": ("ui",),
    "starlette": ("local",),
    "uvicorn": ("local",),
    "xllamacpp": ("local",),
    "faster_whisper": ("local",),
}
DISTRIBUTIONS = {
    "markdown_it": "markdown-it-py",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "yaml": "pyyaml",
}
"""What is imported by another name than it is installed by."""
ASKED_FOR = {"pandas": "dataframes", "bpe_openai": "tokens"}
"""What is imported where it is there, and the extra that brings it."""
UNIMPORTED = {
    "ipywidgets": "it draws anywidget's widgets",
    "python-multipart": "Starlette reads forms by it",
}
"""What is declared and imported by no module of ours, with the reason."""
NAMES_OF_ANOTHER_CHATKIT = {
    "server",
    "store",
    "types",
    "widgets",
    "actions",
    "agents",
    "errors",
    "icons",
    "logger",
    "version",
}


def modules() -> dict[str, Path]:
    paths = sorted(HOUSE.rglob("*.py"))
    return {".".join(path.relative_to(HOUSE).with_suffix("").parts): path for path in paths}


def imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively; import by module path"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_of(imports: set[str]) -> set[str]:
    return {name.split(".")[1] for name in imports if name.startswith("chatkit.")}


def may_import(room: str, other: str) -> bool:
    # on the ground floor the values make each other up; that none goes round in a circle has its own test
    return FLOORS[room] > FLOORS[other] or FLOORS[room] == FLOORS[other] == 0


def test_imports_go_down_the_floors_only():
    for name, path in modules().items():
        room = name.split(".")[0]
        if room not in ("local", "__init__", "__main__"):
            for other in rooms_of(imports_of(path)) - {room} - ANNEXE.get(room, set()):
                assert other in FLOORS, f"{name} imports chatkit.{other}, which is on no floor"
                assert may_import(room, other), f"{name} imports up: chatkit.{other}"


def test_the_ground_floor_and_the_values_of_a_conversation_are_the_standard_library_alone():
    for name, path in modules().items():
        room = name.split(".")[0]
        if room == "conversation" or FLOORS.get(room) == 0:
            outside = {i.split(".")[0] for i in imports_of(path)} - set(sys.stdlib_module_names) - {"chatkit"}
            assert outside == set(), f"{name} imports {outside}"


def test_the_wire_is_the_standard_library_alone_and_does_no_io():
    for name, path in modules().items():
        if name.split(".")[0] == "api":
            imports = imports_of(path)
            assert {i.split(".")[0] for i in imports} - set(sys.stdlib_module_names) <= {"chatkit"}, name
            assert rooms_of(imports) <= {"api", "exceptions"}, name
            assert not imports & {"os", "socket", "pathlib", "io", "asyncio", "threading", "urllib.request"}, name


def test_the_local_server_shares_no_import_with_the_house_but_values_and_the_opening_of_audio():
    for name, path in modules().items():
        if name.startswith("local"):
            assert rooms_of(imports_of(path)) <= {"api", "audio", "exceptions", "local", "private_folder", "system"}, (
                name
            )


def test_what_a_cost_is_called_stands_in_one_module():
    words = re.compile(r"cost unknown|cost not known|price unknown|\bcost 0\b(?! USD)|free \(local\)|[\"']no cost[\"']")
    found = {name for name, path in modules().items() if words.search(path.read_text(encoding="utf-8"))}
    assert found <= {"captions", "ledger.price_table"}  # the latter in a docstring


OF_ONE_SYSTEM = {"fcntl", "resource", "msvcrt", "ctypes", "winreg"}


def asks_for_the_system(path: Path) -> list[str]:
    """Where a module renames, replaces or deletes files by itself, or asks on which system it is."""
    found = [f"import {name}" for name in sorted(imports_of(path) & OF_ONE_SYSTEM)]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        asks = isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.platform", "os.name")
        if asks or (isinstance(node, ast.Call) and moves_or_deletes(node)):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil", "sys"):
            asked = {"rename", "replace", "remove", "unlink", "rmdir", "rmtree", "move", "platform", "name"}
            found += [f"{node.lineno}: {alias.name}" for alias in node.names if alias.name in asked]
    return found


def moves_or_deletes(call: ast.Call) -> bool:
    """Whether it is `os`', `shutil`'s or a path's: text is replaced by two arguments, a session renamed by two."""
    if not isinstance(call.func, ast.Attribute):
        return False
    owner, verb = ast.unparse(call.func.value), call.func.attr
    if owner in ("os", "shutil"):
        return verb in ("rename", "renames", "replace", "remove", "unlink", "rmdir", "removedirs", "rmtree", "move")
    if owner.rpartition(".")[2] in ("files", "tempfile"):
        return verb == "TemporaryDirectory"
    one = len(call.args) == 1 and not call.keywords
    return verb in ("unlink", "rmdir", "rmtree", "TemporaryDirectory") or (verb in ("rename", "replace") and one)


def test_what_differs_between_systems_stands_in_one_room():
    found = {name: asks_for_the_system(path) for name, path in modules().items() if not name.startswith("system.")}
    assert {name: asked for name, asked in found.items() if asked} == {}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("draft.replace(target)", True),
        ("os.replace(a, b)", True),
        ("Path(a).rename(b)", True),
        ("path.unlink(missing_ok=True)", True),
        ("shutil.rmtree(folder)", True),
        ("tempfile.TemporaryDirectory()", True),
        ("from shutil import rmtree", True),
        ("if sys.platform == 'win32': pass", True),
        ("import fcntl", True),
        ("text.replace('a', 'b')", False),
        ("dataclasses.replace(value, name=1)", False),
        ("when.replace(tzinfo=UTC)", False),
        ("sessions.rename(old, new)", False),
        ("files.replace(a, b)", False),
        ("files.rename(a, b)", False),
        ("self.resource", False),
    ],
)
def test_a_method_of_the_same_name_is_not_taken_for_a_files(tmp_path: Path, line: str, asked: bool):
    (tmp_path / "line.py").write_text(line)
    assert bool(asks_for_the_system(tmp_path / "line.py")) is asked


def test_each_library_is_imported_by_its_own_door_only():
    for name, path in modules().items():
        for imported in {i.split(".")[0] for i in imports_of(path, for_types=False)} & set(DOORS):
            assert name.split(".")[0] in DOORS[imported], (
                f"{name} imports {imported}, which belongs to {DOORS[imported]}"
            )


def public_types(path: Path) -> set[str]:
    """Classes, and aliases that are written as classes are."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        found |= {node.name} if isinstance(node, ast.ClassDef) else {t.id for t in targets if isinstance(t, ast.Name)}
    return {name for name in found if re.match(r"[A-Z][a-z]", name)}


def test_each_public_type_has_one_home():
    homes: dict[str, list[str]] = {}
    for name, path in modules().items():
        for public in public_types(path):
            homes.setdefault(public, []).append(name)
    assert {public: names for public, names in homes.items() if len(names) > 1} == {}


def test_no_import_goes_round_in_a_circle():
    known = {
        f"chatkit.{name.removesuffix('.__init__')}": path for name, path in modules().items() if name != "__init__"
    }
    graph = {name: {i for i in imports_of(path) if i in known and i != name} for name, path in known.items()}
    state: dict[str, str] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != "open", f"circle: {' → '.join((*trail, name))}"
        if name not in state:
            state[name] = "open"
            for other in graph[name]:
                visit(other, (*trail, name))
            state[name] = "done"

    for name in graph:
        visit(name, ())


def test_no_module_at_the_top_would_merge_with_openais_chatkit():
    assert {p.stem for p in HOUSE.iterdir()} & NAMES_OF_ANOTHER_CHATKIT == set()


@pytest.mark.parametrize("name", chatkit.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(chatkit, name)
    assert value.__doc__
    assert value.__doc__.strip().splitlines()[0].endswith(".")


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'chatt'"):
        _ = chatkit.chatt


def test_every_module_says_which_room_it_is():
    for name, path in modules().items():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{name} has no docstring"


def test_importing_chatkit_imports_nothing_heavy():
    heavy = "openai matplotlib sqlalchemy ipywidgets anywidget httpx2 pydantic IPython markdown_it"
    code = f"import sys, chatkit; print([m for m in {heavy.split()!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def widgets() -> list[Path]:
    """The modules of widgets; there is one base, and it alone is anywidget's."""
    texts = {path: path.read_text(encoding="utf-8") for path in (HOUSE / "ui").glob("*.py")}
    assert [path.stem for path, text in texts.items() if "anywidget.AnyWidget" in text] == ["widget"]
    return [path for path, text in texts.items() if re.search(r"^class \w+\(Widget\):", text, re.M)]


def test_each_widget_has_three_files_of_one_stem():
    assert {path.stem for path in widgets()} == {"audio_uploader", "chat_panel", "usage_meter"}
    for path in widgets():
        for ending in (".js", ".css"):
            assert path.with_suffix(ending).is_file(), f"{path.stem}{ending} is missing"


def test_a_widgets_module_imports_nothing_and_fetches_nothing():
    for path in (HOUSE / "ui").rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// @ts-check"), path.name
        assert not re.search(r"^\s*import\b|\bimport\(|https?://(?!www\.w3\.org)", text, re.M), path.name


def declared() -> dict[str, set[str]]:
    """Names of distributions by extra; those that are always installed by ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"]} | project["optional-dependencies"]
    return {extra: {re.match(r"[\w.-]+", line)[0].lower() for line in lines} for extra, lines in lists.items()}


def distributions_of(path: Path) -> set[str]:
    outside = {i.split(".")[0] for i in imports_of(path)} - set(sys.stdlib_module_names) - {"chatkit", "__future__"}
    return {DISTRIBUTIONS.get(name, name.replace("_", "-").lower()) for name in outside}


def test_each_library_that_is_imported_is_declared_where_it_is_needed_and_none_besides():
    extras = declared()
    asked_for = {DISTRIBUTIONS.get(name, name.replace("_", "-")): extra for name, extra in ASKED_FOR.items()}
    imported: dict[str, set[str]] = {"": set(), "local": set()}
    for name, path in modules().items():
        imported["local" if name.startswith("local.") else ""] |= distributions_of(path)
    assert imported[""] - asked_for.keys() <= extras[""]
    assert imported["local"] <= extras[""] | extras["local"]
    assert all(name in extras[extra] for name, extra in asked_for.items())
    assert (extras[""] | extras["local"]) - imported[""] - imported["local"] == UNIMPORTED.keys()


def test_each_dependency_says_the_lowest_version_and_the_first_that_was_not_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        if not line.startswith(("notebook-chatkit[", "types-")):
            bounds, _, marker = line.partition(";")
            assert re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+(,!=[\d.*]+)?,<[\d.]+", bounds), line
            # a release is no version on every Linux, and an x64 Python on Windows ARM may call its machine either
            assert not re.search(r"platform_(release|version)", marker), line


def test_no_engine_depends_on_the_machine_of_a_windows_since_an_x64_python_on_arm_may_call_it_arm():
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for line in lines["local"]:
        assert "win32" not in line, line


def files_of_every_systems_tests() -> list[Path]:
    return [path for path in (ROOT / "tests").rglob("*.py") if "browser" not in path.parts]


def test_the_tests_of_every_system_import_what_every_system_can_install_and_ask_for_the_rest():
    extras = declared()
    there = {
        "packaging",
        "pydantic",
        "jupyter-client",
        "jupyter-server",
        "nbconvert",
        "nbformat",
    }  # openai's, jupyterlab's, pytest's
    for extra in ("", "local", "lab", "test-core"):
        there |= extras[extra]
    ours = {path.stem.replace("_", "-") for path in (ROOT / "tests").rglob("*.py")}
    for path in files_of_every_systems_tests():
        top = ast.Module(
            [n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.Import | ast.ImportFrom)],
            [],
        )
        imported = {n.module if isinstance(n, ast.ImportFrom) else a.name for n in top.body for a in n.names}
        outside = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) - {"chatkit"}
        assert {DISTRIBUTIONS.get(name, name.replace("_", "-").lower()) for name in outside} - ours <= there, path.name


def short_part() -> list[Path]:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    [listed] = [line.partition(":=")[2] for line in lines if line.startswith("SHORT :=")]
    return [ROOT / "tests" / f"test_{name}.py" for name in listed.split()]


def test_the_short_part_covers_the_main_jobs_and_needs_the_core_of_the_tests_alone():
    files = short_part()
    assert all(path.is_file() for path in files)
    stems = {path.stem.removeprefix("test_") for path in files}
    jobs = {"house", "main_job", "notebook_clips", "audio_opening", "chat_panel", "usage_meter", "ledger_store"}
    assert stems >= jobs
    ours = {path.stem: path for path in (ROOT / "tests").rglob("*.py")}
    seen: set[Path] = set()
    while files:
        seen.add(path := files.pop())
        files += [
            ours[name] for name in {i.split(".")[0] for i in imports_of(path)} & set(ours) if ours[name] not in seen
        ]
    extras = declared()
    needed = {name for path in seen for name in distributions_of(path)} - {name.replace("_", "-") for name in ours}
    assert needed <= extras[""] | extras["local"] | extras["test-core"]


def test_every_module_can_be_imported_without_a_warning():
    names = [f"chatkit.{name}".removesuffix(".__init__") for name in modules() if not name.endswith("__main__")]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    command = [sys.executable, "-W", "error::SyntaxWarning", "-W", "error::DeprecationWarning:chatkit", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_environment_yml_installs_the_project_and_lists_nothing_twice():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *packages, pip = conda["dependencies"]
    python = next(p.partition("=")[2] for p in packages if p.startswith("python="))
    assert {p.partition("=")[0] for p in packages} == {"python", "pip"}
    assert (
        tuple(map(int, python.split(".")))
        >= (3, 11)
        == tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    )
    [installed] = pip["pip"]
    extras = re.fullmatch(r"-e \.\[(.+)\]", installed)[1].split(",")
    # what some systems would have to compile, and what only the developers' tests need
    assert set(extras) == set(project["optional-dependencies"]) - {"tokens", "test"}


def test_the_wheel_would_carry_each_widgets_files():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["chatkit"]
    assert all(importlib.util.find_spec(f"chatkit.ui.{path.stem}") for path in widgets())


def test_openais_package_of_the_same_name_is_noticed(tmp_path):
    (tmp_path / "chatkit").mkdir()
    for name in ("__init__.py", "exceptions.py"):
        shutil.copy(HOUSE / name, tmp_path / "chatkit")
    code = "import chatkit; print(chatkit.ChatkitError.__name__)"
    clean = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    (tmp_path / "chatkit" / "server.py").write_text("")
    merged = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (clean.stdout, clean.stderr) == ("ChatkitError\n", "")
    assert "OpenAI's openai-chatkit are both installed here" in merged.stderr
