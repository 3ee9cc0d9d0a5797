"""The page's modules: they are joined as text, so their names are one another's; checked without a browser, and by tsc if it is here."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from chatkit.ui import pages
from chatkit.ui.audio_uploader import AudioUploader
from chatkit.ui.chat_panel import ChatPanel
from chatkit.ui.usage_meter import UsageMeter

FILES = sorted([*pages.HERE.glob("*.js"), *pages.HERE.glob("page/*.js")])
WIDGETS = {"chat_panel": ChatPanel, "audio_uploader": AudioUploader, "usage_meter": UsageMeter}
TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|var|class) +(\w+)", re.M)
COMMENT = re.compile(r"(?<!\w)/\*.*?\*/|^\s*//[^\n]*$", re.S | re.M)
LONGEST = 300
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
    assert re.search(r"const ICONS = Object\.freeze\(\{", (pages.HERE / "page" / "dom.js").read_text(encoding="utf-8"))


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widgets_module_holds_every_part_that_it_uses_and_no_other(widget: str):
    module = str(WIDGETS[widget]._esm)
    joined = [path for path in FILES if path.read_text(encoding="utf-8") in module]
    assert pages.HERE / f"{widget}.js" in joined
    used = {word for path in joined for word in re.findall(r"\w+", code_of(path))}
    had = {name for path in joined for name in names_of(path)}
    missing = {name for path in FILES if path not in joined for name in names_of(path)} & used
    calls = {word for path in joined for word in re.findall(r"(?<![\w.])(\w+)\(", code_of(path))}
    assert missing & calls - had == set()
    for part in set(joined) - {pages.HERE / f"{widget}.js"}:
        others = {word for path in joined if path != part for word in re.findall(r"\w+", code_of(path))}
        assert set(names_of(part)) & others, f"{part.name} is used by nobody"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_does_one_thing_and_is_checked(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert text.count("\n") < LONGEST
    assert "innerHTML" not in code_of(path)


def test_the_types_hold_where_there_is_a_checker():
    """`make types` fetches one where there is Node; the rules above need none."""
    if tsc := shutil.which("tsc"):
        done = subprocess.run([tsc, "-p", Path(__file__).with_name("jsconfig.json")], capture_output=True, text=True)
        assert done.stdout == ""
