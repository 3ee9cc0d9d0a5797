"""Reports: the calls that a notebook's code would make, found by reading it; nothing is run.

In: a notebook's file. Out: `Found` calls, each as the body of its request where that is written out, with what
had to be assumed. Names are followed to their last plain value (`MODEL = "gpt-6-luna"`), functions are read where they
are called, loops over written-out lists and ranges are counted, other loops once.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chatkit.exceptions import InputError

CALLS = {
    "chat.completions.create": "messages",
    "responses.create": "input",
    "completions.create": "prompt",
    "embeddings.create": "input",
}
"""The SDK's calls, and where each has its prompt."""
SOUND = ("audio.transcriptions.create", "audio.translations.create", "transcribe", "translate")
GROWING = ("append", "extend", "insert", "pop", "clear", "remove")
TURNS = ("send", "stream")
PROMPT = "a prompt that is not written out"
MOST_RUNS = 2_000
"""Calls of functions that are followed."""


WrittenFunction = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Found:
    """One call, made `times` times: its request's body, or the sound file it names; `doubts` say what is assumed."""

    body: Mapping[str, Any]
    times: int = 1
    sound: str | None = None
    is_sound: bool = False
    doubts: tuple[str, ...] = ()
    unwritten: int = 0
    """How many prompts of it the code does not write out."""
    answers: int = 0
    """How many answers go along in its prompt that are not there yet."""


def find(path: Path) -> list[Found]:
    """The calls in a notebook's code cells, in order."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise InputError(f"{path} is no notebook that can be read: {error}.") from None
    reader = _Reader()
    for source in sources:
        if source.lstrip().startswith("%%chat"):
            reader.take_turn("%%chat", source.partition("\n")[2].strip(), {})
        elif not source.lstrip().startswith("%%"):
            reader.read(source)
    reader.read_rest()
    return reader.found


class _Reader(ast.NodeVisitor):
    """Goes through the code in order; knows plain values by their names."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self._values: dict[str, Any] = {}
        self._chats: dict[str, list[dict[str, Any]]] = {"%%chat": []}
        self._models: dict[str, Any] = {}
        self._functions: dict[str, WrittenFunction] = {}
        self._called: set[str] = set()
        self._running: list[str] = []
        self._runs = 0
        self._times = 1
        self._doubts: list[str] = []

    def read(self, source: str) -> None:
        """Read a cell; lines that are no Python (magics, shell) are left out, and a cell that is none is doubted."""
        plain = re.sub(r"^[ \t]*[%!].*$", "", source, flags=re.M)
        try:
            self.visit(ast.parse(plain))
        except (SyntaxError, ValueError, RecursionError):
            self.found.append(Found({}, 0, doubts=("a cell that is not Python is not read",)))

    def read_rest(self) -> None:
        """Read the functions that no code here calls by their names, once each: who calls them is not known."""
        self._doubts.append("a call in a function that is not called by its name is counted once")
        while rest := [name for name in self._functions if name not in self._called]:
            self._called |= set(rest)
            for name in rest:
                self._run(name, {})
        self._doubts.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name):
            self._functions[node.targets[0].id] = node.value
            return
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._name(target.id, node.value)

    def visit_For(self, node: ast.For) -> None:
        self._loop(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._loop(node)

    def _loop(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._repeat(node.iter, [node.target, *node.body])
        for statement in node.orelse:
            self.visit(statement)

    def visit_While(self, node: ast.While) -> None:
        self._repeat(None, [node.test, *node.body])

    def _comprehend(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._repeat(node.generators[0].iter if len(node.generators) == 1 else None, made)

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehend  # noqa: N815  # names of ast

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions[node.name] = node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._functions[node.name] = node

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions[f"{node.name}.{inner.name}"] = inner
            else:
                self.visit(inner)

    def _run(self, name: str, given: Mapping[str, ast.expr]) -> None:
        """Read a function's body where it is called, with the plain values that it is given; not within itself."""
        self._runs += 1
        if self._runs == MOST_RUNS:
            self.found.append(Found({}, 0, doubts=("calls of functions within functions, too many to follow",)))
        function = self._functions[name]
        values, chats, models = dict(self._values), dict(self._chats), dict(self._models)
        for parameter, value in given.items():
            self._name(parameter, value)
        self._running.append(name)
        for statement in [function.body] if isinstance(function, ast.Lambda) else function.body:
            self.visit(statement)
        self._running.pop()
        self._values, self._chats, self._models = values, chats, models

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = _dotted(node.func)
        if name in self._functions:
            self._called.add(name)
            if name not in self._running and self._runs < MOST_RUNS:
                self._run(name, _bound(self._functions[name].args, node))
            return
        given = {word.arg: self._value(word.value) for word in node.keywords if word.arg}
        sdk = next((call for call in CALLS if f".{name}".endswith(f".{call}")), None)
        if sdk:
            self._take_call(given, CALLS[sdk])
        elif any(f".{name}".endswith(f".{call}") for call in SOUND):
            file = self._value(node.args[0]) if node.args else given.get("file")
            self._keep(
                Found({"model": given.get("model")}, sound=file if isinstance(file, str) else None, is_sound=True)
            )
        else:
            owner, _, verb = name.rpartition(".")
            if verb in GROWING and isinstance(self._values.get(owner), list):
                self._grow(owner, node)
            elif verb in TURNS and owner in self._chats:
                text = self._value(node.args[0]) if node.args else given.get("text")
                self.take_turn(owner, text, {"model": self._models.get(owner)})

    def _grow(self, name: str, node: ast.Call) -> None:
        """A list that gets one more plain value; what else happens to it is not followed."""
        value = self._value(node.args[0]) if len(node.args) == 1 and self._times == 1 and not self._doubts else None
        if value is not None and _dotted(node.func).endswith(".append"):
            self._values[name] = [*self._values[name], value]
        else:
            del self._values[name]

    def take_turn(self, owner: str, text: Any, settings: Mapping[str, Any]) -> None:
        """A turn of a chat: it sends all that was said before."""
        messages = self._chats[owner]
        messages.append({"role": "user", "content": text if isinstance(text, str) else ""})
        answers = sum(message["role"] == "assistant" for message in messages)
        unwritten = sum(message["role"] == "user" and not message["content"] for message in messages)
        doubts = () if isinstance(text, str) else (PROMPT,)
        self._keep(Found({**settings, "messages": list(messages)}, 1, None, False, doubts, unwritten, answers))
        messages.append({"role": "assistant", "content": ""})

    def _take_call(self, given: dict[str, Any], where: str) -> None:
        body = {key: value for key, value in given.items() if value is not None}
        written = where in body
        self._keep(Found(body, doubts=() if written else (PROMPT,), unwritten=int(not written)))

    def _keep(self, call: Found) -> None:
        self.found.append(replace(call, times=self._times, doubts=(*call.doubts, *self._doubts)))

    def _name(self, name: str, value: ast.expr) -> None:
        plain, chat, model = self._value(value), None, None
        if isinstance(value, ast.Name):  # another name for the same chat
            chat, model = self._chats.get(value.id), self._models.get(value.id)
        self._values.pop(name, None)
        self._chats.pop(name, None)
        if chat is not None:
            self._chats[name], self._models[name] = chat, model
            return
        if isinstance(value, ast.Call) and _dotted(value.func).rpartition(".")[2] == "Chat":
            system = self._value(value.args[0]) if value.args else None
            self._chats[name] = [{"role": "system", "content": system}] if isinstance(system, str) else []
            self._models[name] = next((self._value(k.value) for k in value.keywords if k.arg == "model"), None)
        elif plain is not None:
            self._values[name] = plain

    def _repeat(self, over: ast.expr | None, body: list[Any]) -> None:
        count = self._length(over) if over is not None else None
        outer = self._times
        self._times *= 1 if count is None else count
        if count is None:
            self._doubts.append("a call in a loop is counted once")
        for statement in body:
            self.visit(statement)
        if count is None:
            self._doubts.pop()
        self._times = outer

    def _length(self, over: ast.expr) -> int | None:
        if isinstance(over, ast.Call) and _dotted(over.func) == "range":
            bounds = [self._value(argument) for argument in over.args]
            return len(range(*bounds)) if bounds and all(type(bound) is int for bound in bounds) else None
        if isinstance(over, ast.Call) and _dotted(over.func) == "enumerate" and over.args:
            return self._length(over.args[0])
        if isinstance(over, ast.List | ast.Tuple | ast.Set) and not any(isinstance(e, ast.Starred) for e in over.elts):
            return len(over.elts)
        value = self._value(over)
        return len(value) if isinstance(value, list | tuple | dict | set) else None

    def _value(self, node: ast.expr) -> Any:
        """The plain value of an expression; None where it is not written out."""
        if isinstance(node, ast.Name):
            return self._values.get(node.id)
        try:
            return ast.literal_eval(ast.fix_missing_locations(_Filled(self._values).visit(_copy(node))))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None


def _bound(parameters: ast.arguments, call: ast.Call) -> dict[str, ast.expr]:
    """What a call gives to which parameter, defaults included, as far as it is written out."""
    names = [one.arg for one in (*parameters.posonlyargs, *parameters.args)]
    found = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
    found |= {one.arg: value for one, value in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True) if value}
    if not any(isinstance(one, ast.Starred) for one in call.args):
        found |= dict(zip(names, call.args, strict=False))
    return found | {word.arg: word.value for word in call.keywords if word.arg}


class _Filled(ast.NodeTransformer):
    """Puts plain values in the place of names inside a list or a dict."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._values:
            raise ValueError(node.id)
        return ast.parse(repr(self._values[node.id]), mode="eval").body


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def _dotted(node: ast.expr) -> str:
    return ".".join(reversed(list(_names(node))))


def _names(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
