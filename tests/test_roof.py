"""The roof: what is public has its name there, can be caught, is documented, and is said once for people and checkers."""

import ast
import builtins
import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing
from pathlib import Path

import pytest

import chatkit
from chatkit import exceptions

ROOT = Path(__file__).parent.parent
CLASSES = [name for name in chatkit.__all__ if inspect.isclass(getattr(chatkit, name))]

INNER = {
    "chatkit.chats.history_file": {"Archive", "Broken", "Entry"},
    "chatkit.chats.history_writer": {"Keeper"},
    "chatkit.chats.inspection": {"View"},
    "chatkit.client.given": {"Given"},
    "chatkit.conversation.diff": {"DiffRow"},
    "chatkit.conversation.file": {"FileContent"},
    "chatkit.ledger.place": {"Place"},
    "chatkit.ledger.price_table": {"Price"},
    "chatkit.ledger.queries": {"Call", "Moment", "Spread", "TurnUsage"},
    "chatkit.ledger.readable": {"Unread"},
    "chatkit.ledger.rows": {"Run"},
    "chatkit.ledger.scope": {"Scope", "UsageLine"},
    "chatkit.render.table": {"Table"},
    "chatkit.ui.view_model": {"Stage"},
}
"""What public classes hand to each other, and no page of the documentation speaks of."""


def functions():
    """Public functions, and the public methods and properties of public classes: (name, function)."""
    for name in chatkit.__all__:
        value = getattr(chatkit, name)
        if not inspect.isclass(value):
            yield name, value
            continue
        for base in (base for base in value.__mro__ if base.__module__.startswith("chatkit.")):
            for own, member in vars(base).items():
                inner = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(inner) and (own == "__init__" or not own.startswith("_")):
                    yield f"{name}.{own}", inner


def own_types(annotation):
    """chatkit's own classes in an annotation, however deep."""
    if isinstance(annotation, list | tuple):
        return {own for part in annotation for own in own_types(part)}
    found = {own for part in typing.get_args(annotation) for own in own_types(part)}
    if inspect.isclass(annotation) and annotation.__module__.startswith("chatkit."):
        found.add(annotation)
    return found


def hints(value):
    """The annotations of a function or class, read with what only a type checker imports."""
    names = dict(vars(sys.modules[value.__module__]))
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[value.__module__]))):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            exec(compile(ast.Module(node.body, []), "<types>", "exec"), names)
    return typing.get_type_hints(value, names)


def is_at_the_roof(own):
    return getattr(chatkit, own.__name__, None) is own or own.__name__ in INNER.get(own.__module__, ())


def test_type_checkers_are_told_the_names_that_are_loaded_and_no_others():
    tree = ast.parse(Path(chatkit.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module.startswith("chatkit.")]
    told = {alias.name: node.module for node in imports for alias in node.names}
    assert told == chatkit._HOMES
    assert all(alias.name == alias.asname for node in imports for alias in node.names)
    assert chatkit.__all__ == sorted(told)
    assert set(chatkit.__all__) <= set(dir(chatkit))


def test_each_name_is_at_home_where_the_roof_says():
    for name, home in chatkit._HOMES.items():
        value = vars(importlib.import_module(home))[name]
        assert value is getattr(chatkit, name)
        assert value.__module__ == home or name == "Message", f"{name} comes from {value.__module__}"


def test_no_public_name_hides_a_module_of_the_package():
    modules = {module.name for module in pkgutil.iter_modules(chatkit.__path__)}
    assert modules & set(chatkit.__all__) == set()


def test_every_exception_is_public():
    own = {name for name, value in vars(exceptions).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert own == {name for name in chatkit.__all__ if name.endswith("Error")}


@pytest.mark.parametrize("name", sorted(n for n in chatkit.__all__ if n.endswith("Error")))
def test_every_exception_is_caught_as_chatkits_own(name):
    assert issubclass(getattr(chatkit, name), chatkit.ChatkitError)


def test_what_public_docstrings_say_is_raised_can_be_caught_by_its_public_name():
    documented = [(name, value.__doc__ or "") for name, value in functions()]
    documented += [(name, getattr(chatkit, name).__doc__ or "") for name in CLASSES]
    raised = {(name, error) for name, text in documented for error in re.findall(r"\b([A-Z]\w*Error)\b", text)}
    assert {error for _, error in raised} >= {"InputError", "EndpointError", "SetupError", "StoreError", "BudgetError"}
    for name, error in sorted(raised):
        found = getattr(chatkit, error, None) or getattr(builtins, error, None)
        assert found is not None and issubclass(found, Exception), f"{name} speaks of {error}"


def test_every_type_that_is_taken_or_given_is_public():
    missing = {}
    for name, value in functions():
        for own in own_types(tuple(hints(value).values())):
            if not is_at_the_roof(own):
                missing.setdefault(f"{own.__module__}.{own.__name__}", []).append(name)
    assert missing == {}


def test_every_type_in_a_public_value_is_public():
    for name in CLASSES:
        value = getattr(chatkit, name)
        if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
            for own in own_types(tuple(hints(value).values())):
                assert is_at_the_roof(own), f"{name} holds {own.__module__}.{own.__name__}"


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_has_an_example(name):
    assert ">>> " in getattr(chatkit, name).__doc__


def texts():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            yield path.name, "".join(cell["source"])
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        yield path.name, path.read_text(encoding="utf-8")


def test_notebooks_and_documents_teach_public_names_only():
    rooms = "|".join(module.name for module in pkgutil.iter_modules(chatkit.__path__))
    inner = re.compile(rf"(?:from|import)\s+chatkit\.\w+|\bchatkit\.(?:{rooms})\.\w+")
    for name, text in texts():
        assert inner.findall(text) == [], name
        used = set(re.findall(r"\bchatkit\.([A-Za-z_]\w*)\b(?!\.\w)", text)) - {"readthedocs"}
        for word in used:
            known = hasattr(chatkit, word) or not re.search(rf"chatkit\.{word}\(", text)
            assert known, f"{name} calls chatkit.{word}, which is not there"
