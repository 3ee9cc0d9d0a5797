"""The wire's output items of a response: which of them an event speaks of, and how much of each has come.

In: the ids and places that events name, if any. Out: an `OutputItem`, the same for every event that speaks of it.
llama-server names no place (lemonade-sdk/lemonade#3607), others no id, and a gateway may change ids on the way.
"""

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
