"""The wire's parts of one answer that come in pieces: a response's output items, and tool calls.

In: the ids and places that events name, if any. Out: an `OutputItem`, the same for every event that speaks of it.
llama-server names no place (lemonade-sdk/lemonade#3607), others no id, and a gateway may change ids on the way.

A new id is a
new call, whatever its place (Gemini behind gateways: su-kaka/gcli2api#406, QuantumNous/new-api#672); a piece without
an id goes on with the call at its place, or with the last.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

TYPES = {"text": "message", "refusal": "message", "reasoning": "reasoning", "tool_call": "function_call"}
"""The type of the item in which each kind of piece comes."""

PartPlace = tuple[str, str, int]
"""A kind of piece, the list that it is in (content or summary), its number there."""


class Named(NamedTuple):
    """The names by which an event speaks of an item."""

    id: str | None
    call_id: str | None
    place: int | None


def named(value: Mapping[str, Any], *, place: Any) -> Named:
    """The names in an event, or in an item itself."""
    return Named(_text(value.get("item_id") or value.get("id")), _text(value.get("call_id")), _whole(place))


class OutputItem:
    """One item of the output: what has come of its parts."""

    def __init__(self, kind: str, number: int, names: Named) -> None:
        self.kind, self.number, self.names = kind, number, names
        self.is_met = False
        self._came: dict[PartPlace, list[str]] = {}

    def add(self, part: PartPlace, text: str) -> None:
        """Note what has come of a part."""
        self._came.setdefault(part, []).append(text)

    def missing(self, part: PartPlace, whole: str) -> str:
        """What of a part has not come yet; nothing if what came is no beginning of it.

        >>> item, part = OutputItem("message", 0, Named("m", None, 0)), ("text", "content", 0)
        >>> item.add(part, "Hel")
        >>> item.missing(part, "Hello"), item.missing(part, "Good bye")
        ('lo', '')
        """
        if had := "".join(self._came.get(part, ())):
            return whole[len(had) :] if whole.startswith(had) else ""
        return "" if self.said(part[0]).endswith(whole) else whole

    def said(self, piece: str | None = None) -> str:
        """All that came of it, or of one kind of piece."""
        return "".join("".join(texts) for part, texts in self._came.items() if piece in (None, part[0]))

    def is_called(self, names: Named) -> bool:
        """Whether one of the ids is this item's."""
        mine = {self.names.id, self.names.call_id} - {None}
        return not mine.isdisjoint({names.id, names.call_id})

    def is_another(self, names: Named) -> bool:
        """Whether ids of the same sort differ."""
        pairs = ((self.names.id, names.id), (self.names.call_id, names.call_id))
        return any(mine and its and mine != its for mine, its in pairs)

    def learn(self, names: Named) -> None:
        """Keep the names that were not known yet."""
        mine = self.names
        place = names.place if mine.place is None else mine.place
        self.names = Named(mine.id or names.id, mine.call_id or names.call_id, place)


class Items:
    """The items so far."""

    def __init__(self) -> None:
        self._all: list[OutputItem] = []
        self._last: OutputItem | None = None

    def of_event(self, event: Mapping[str, Any], piece: str) -> OutputItem:
        """The item of a piece: by its ids, its place, or the last of its kind."""
        kind, names = TYPES[piece], named(event, place=event.get("output_index"))
        last = self._last
        if last and last.kind == kind and names == last.names:
            return last  # nearly always: the next piece of the same
        item = self._known(names, kind)
        if item is None and names == (None, None, None):
            item = next((one for one in reversed(self._all) if one.kind == kind), None)
        return self._kept(item, kind, names)

    def of_item(self, sent: Mapping[str, Any], place: Any) -> OutputItem:
        """The item that comes itself."""
        kind, names = _kind(sent), named(sent, place=place)
        return self._kept(self._known(names, kind), kind, names)

    def of_last(self, sent: Mapping[str, Any], text: str) -> OutputItem:
        """The item as it stands in the last response, `text` its whole text: known by its ids, else by its turn."""
        kind, names = _kind(sent), named(sent, place=None)
        left = [one for one in self._all if one.kind == kind and not one.is_met]
        item = (
            _first(one for one in self._all if one.is_called(names))
            or _first(one for one in left if not one.is_another(names))
            or _first(one for one in left if one.said() and text.startswith(one.said()))
        )
        item = self._kept(item, kind, names)
        item.is_met = True
        return item

    def _known(self, names: Named, kind: str) -> OutputItem | None:
        found = _first(one for one in self._all if one.is_called(names))
        if found or names.place is None:
            return found
        here = (one for one in reversed(self._all) if one.names.place == names.place and one.kind == kind)
        return _first(one for one in here if not one.is_another(names))

    def _kept(self, item: OutputItem | None, kind: str, names: Named) -> OutputItem:
        if item is None:
            item = OutputItem(kind, len(self._all), names)
            self._all.append(item)
        item.learn(names)
        self._last = item
        return item


def _kind(sent: Mapping[str, Any]) -> str:
    """The type of an item; a call of whatever tool is a call."""
    kind = str(sent.get("type"))
    return TYPES["tool_call"] if kind == "custom_tool_call" else kind


def _first(items: Iterable[OutputItem]) -> OutputItem | None:
    return next(iter(items), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


SAID = {"function": "arguments", "custom": "input"}
"""Where each kind of call has what it says."""
MOST = 1024
TOOL_NAME = 1000  # characters of an id or a name


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
        name, arguments = _call_text(told.get("name"))[:TOOL_NAME], told.get(SAID[kind])
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        id = _call_text(call.get("id"))[:TOOL_NAME]
        kept = self._last = (self._at.get(place) if sure else None) or self._find(place, id, name, sure)
        kept.id = id or kept.id
        kept.type = "custom" if kind == "custom" else _call_text(call.get("type"))[:TOOL_NAME] or kept.type
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


def _call_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
