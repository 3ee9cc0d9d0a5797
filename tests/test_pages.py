"""The page's modules: they are joined as text, so their names are one another's; checked without a browser."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chatkit.ui.audio_uploader import AudioUploader
from chatkit.ui.chat_panel import ChatPanel
from chatkit.ui.usage_meter import UsageMeter
from chatkit.ui.widget import HERE

FILES = sorted([*HERE.glob("*.js"), *HERE.glob("page/*.js")])
WIDGETS = {"chat_panel": ChatPanel, "audio_uploader": AudioUploader, "usage_meter": UsageMeter}
TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|var|class) +(\w+)", re.M)
COMMENT = re.compile(r"(?<!\w)/\*.*?\*/|^\s*//[^\n]*$", re.S | re.M)
LONGEST = 300
JSCONFIG = Path(__file__).with_name("jsconfig.json")
CHANGES = r"(?:\.(?:push|pop|shift|unshift|splice|sort|reverse|fill|set|add|delete|clear)\(|(?:\.\w+|\[[^\]]*\])* *(?:=(?![=>])|[-+*/|&?]{1,2}=|\+\+|--))"


def code_of(path: Path) -> str:
    return COMMENT.sub("", path.read_text(encoding="utf-8"))


def names_of(path: Path) -> list[str]:
    return TOP.findall(code_of(path))


def changed_in(code: str, name: str) -> list[str]:
    """Where a module changes what has that name at its top level."""
    found = re.findall(rf"^.*(?<![\w.$]){name}{CHANGES}.*$", code, re.M)
    found += re.findall(
        rf"^.*Object\.(?:assign|defineProperty|defineProperties|setPrototypeOf)\( *{name}\b.*$", code, re.M
    )
    return [line.strip() for line in found if not re.search(rf"\b(?:const|let|var) +{name}\b", line)]


def test_a_name_stands_at_the_top_of_one_module_only():
    names = Counter(name for path in FILES for name in names_of(path))
    assert len(names) > 100
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_the_rule_for_names_finds_what_javascript_would_redeclare():
    text = "function a() {}\nasync function b() {}\nconst c = 1;\nlet d;\nclass E {}\nexport const f = 1;\n  const g = 1;\n"
    assert TOP.findall(text) == ["a", "b", "c", "d", "E", "f"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_module_changes_what_another_has_made(path: Path):
    code = code_of(path)
    own = set(names_of(path))
    local = set(re.findall(r"\b(?:const|let|var) +(\w+)", code)) | set(re.findall(r"[(,] *(\w+) *(?=[,)])", code))
    others = {name for other in FILES if other != path for name in names_of(other)} - own - local
    assert {name: changed for name in others if (changed := changed_in(code, name))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "Object.assign(ICONS, { mic: 1 });",
        "ICONS.mic = 1;",
        'ICONS["mic"] = 1;',
        "ICONS.a.b ||= 1;",
        "ICONS.push(1);",
        "  ICONS = {};",
        "ICONS += 1;",
    ],
)
def test_a_change_is_seen_in_each_of_its_forms(line: str):
    assert changed_in(line, "ICONS") == [line.strip()]


@pytest.mark.parametrize(
    "line", ["if (ICONS.mic === 1) {}", "const a = ICONS.mic;", "f((ICONS) => 1)", "MY_ICONS.a = 1;"]
)
def test_what_only_looks_is_no_change(line: str):
    assert changed_in(line, "ICONS") == []


def test_tables_that_modules_share_cannot_be_changed():
    assert re.search(r"const ICONS = Object\.freeze\(\{", (HERE / "page" / "dom.js").read_text(encoding="utf-8"))


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widgets_module_holds_every_part_that_it_uses_and_no_other(widget: str):
    module = str(WIDGETS[widget]._esm)
    joined = [path for path in FILES if path.read_text(encoding="utf-8") in module]
    assert HERE / f"{widget}.js" in joined
    used = {word for path in joined for word in re.findall(r"\w+", code_of(path))}
    had = {name for path in joined for name in names_of(path)}
    missing = {name for path in FILES if path not in joined for name in names_of(path)} & used
    calls = {word for path in joined for word in re.findall(r"(?<![\w.])(\w+)\(", code_of(path))}
    assert missing & calls - had == set()
    for part in set(joined) - {HERE / f"{widget}.js"}:
        others = {word for path in joined if path != part for word in re.findall(r"\w+", code_of(path))}
        assert set(names_of(part)) & others, f"{part.name} is used by nobody"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_does_one_thing_and_is_checked(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert text.count("\n") < LONGEST
    assert "innerHTML" not in code_of(path)


CHECKER = shutil.which("tsc", path=f"{sys.prefix}/node_modules/.bin")
"""`make test` fetches it, at one version, where there is npm; the rules above need none."""
needs_checker = pytest.mark.skipif(CHECKER is None, reason="no TypeScript here: `make types` fetches it by npm")


def complaints(config: Path) -> str:
    """What the checker says of the modules that a jsconfig.json names."""
    assert CHECKER is not None
    return subprocess.run([CHECKER, "-p", config], capture_output=True, text=True, check=False).stdout


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The configuration by which the modules are checked as they are sent to a page, each joined to one text."""
    for name, widget in WIDGETS.items():
        (tmp_path / f"{name}.js").write_text(str(widget._esm), encoding="utf-8")
    rules = json.loads(JSCONFIG.read_text(encoding="utf-8"))
    config = tmp_path / "jsconfig.json"
    config.write_text(json.dumps(rules | {"include": ["*.js"]}), encoding="utf-8")
    return config


def test_the_rules_for_types_are_the_strict_ones():
    rules = json.loads(JSCONFIG.read_text(encoding="utf-8"))["compilerOptions"]
    assert (rules["checkJs"], rules["strict"]) == (True, True)


@needs_checker
def test_the_types_hold_in_the_modules_as_they_are_written():
    assert complaints(JSCONFIG) == ""


@needs_checker
def test_the_types_hold_in_what_is_served(served: Path):
    assert complaints(served) == ""


@needs_checker
def test_faults_of_every_kind_in_what_is_served_are_found(served: Path):
    faults = {
        "/** @type {number} */ const five = 'five';": "TS2322",
        "nobodyHasMadeThis();": "TS2304",
        "document.querySelector('.ck-panel').remove();": "TS2531",
        "function untyped(value) { return value; }": "TS7006",
    }
    for module in served.parent.glob("*.js"):
        module.write_text("\n".join([module.read_text(encoding="utf-8"), *faults]), encoding="utf-8")
    found = re.findall(r"(\w+)\.js\(\d+,\d+\): error (TS\d+): ", complaints(served))
    assert sorted(found) == sorted((widget, code) for widget in WIDGETS for code in faults.values())
