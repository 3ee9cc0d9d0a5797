"""The wire's tool calls of one answer, put together from whatever pieces an endpoint sends.

In: calls or pieces of them, each with the place it was sent for. Out: whole calls, in the API's form: of a function
(`arguments`, a JSON object) or of a custom tool (`input`, any text). A new id is a
new call, whatever its place (Gemini behind gateways: su-kaka/gcli2api#406, QuantumNous/new-api#672); a piece without
an id goes on with the call at its place, or with the last.
"""

import json
from collections.abc import Mapping
from typing import Any

SAID = {"function": "arguments", "custom": "input"}
"""Where each kind of call has what it says."""
MOST = 1024
NAME = 1000  # characters of an id or a name


class _Call:
    __slots__ = ("arguments", "id", "name", "place", "size", "type")

    def __init__(self, place: int) -> None:
        self.id: str | None = None
        self.type = "function"
        self.name = ""
        self.arguments: list[str] = []
        self.size = 0
        self.place = place

    @property
    def said(self) -> str:
        return "".join(self.arguments)

    @property
    def frozen(self) -> Mapping[str, Any]:
        """The call as it is now, in the API's form."""
        kind = "custom" if self.type == "custom" else "function"
        return {"id": self.id, "type": self.type, kind: {"name": self.name, SAID[kind]: self.said}}

    @property
    def is_whole(self) -> bool:
        """Whether it has a name and its arguments are a JSON object; any text is a custom tool's input."""
        if self.type == "custom":
            return bool(self.name and self.size)
        try:
            return bool(self.name) and isinstance(json.loads(self.said), dict)
        except (ValueError, RecursionError):
            return False


class ToolCalls:
    """The calls so far."""

    __slots__ = ("_at", "_calls", "_last")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[object, _Call] = {}
        self._last: _Call | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, place: object, call: Mapping[str, Any], *, sure: bool = False) -> str:
        """Take a call or a piece of one; return what it adds to the arguments, for `append`.

        A place is `sure` where the dialect names its items: then it alone tells which call is meant.

        >>> calls = ToolCalls()
        >>> for id in ("a", "b"):
        ...     calls.append(calls.add(0, {"id": id, "function": {"name": "f", "arguments": "{}"}}))
        >>> [call["id"] for call in calls.frozen()]
        ['a', 'b']
        """
        kind = next((kind for kind in SAID if isinstance(call.get(kind), Mapping)), "function")
        told = call.get(kind) or {}
        told = told if isinstance(told, Mapping) else {}
        name, arguments = _text(told.get("name"))[:NAME], told.get(SAID[kind])
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        id = _text(call.get("id"))[:NAME]
        kept = self._last = (self._at.get(place) if sure else None) or self._find(place, id, name, sure)
        kept.id = id or kept.id
        kept.type = "custom" if kind == "custom" else _text(call.get("type"))[:NAME] or kept.type
        kept.name = name or kept.name
        whole = kept.is_whole and (kind == "function" or name)  # a custom tool's text may say a piece twice
        again = arguments and len(arguments) == kept.size and arguments == kept.said and whole
        return "" if again or not arguments else arguments

    def append(self, arguments: str) -> None:
        """Add to the arguments of the call that `add` took last."""
        if self._last and arguments:
            self._last.arguments.append(arguments)
            self._last.size += len(arguments)

    def arguments(self, place: object) -> str | None:
        """The arguments so far of the call at a place; None where there is no call."""
        call = self._at.get(place)
        return None if call is None else call.said

    def frozen(self) -> tuple[Mapping[str, Any], ...]:
        """The calls as they are now, in the API's form."""
        return tuple(call.frozen for call in sorted(self._calls, key=lambda call: call.place))

    def _find(self, place: object, id: str, name: str, sure: bool) -> _Call:
        """The call that a piece belongs to, or a new one."""
        here = next((call for call in self._calls if call.id == id), None) if id else None
        if here is None and not sure:
            here = self._at.get(place) if place is not None else None if id else self._last
            here = None if here and name and self._is_another(here, id) else here
        here = here or self._new(place)
        if place is not None:
            self._at[place] = here
        return here

    @staticmethod
    def _is_another(here: _Call, id: str) -> bool:
        """Whether a named piece at this call's place is a call of its own."""
        return here.id != id if id and here.id else here.is_whole

    def _new(self, place: object) -> _Call:
        if len(self._calls) >= MOST:
            return self._calls[-1]
        number = place if type(place) is int and 0 <= place < MOST else max((c.place for c in self._calls), default=0)
        self._calls.append(_Call(number))
        return self._calls[-1]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
