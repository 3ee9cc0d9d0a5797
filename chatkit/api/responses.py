"""The wire's Responses API: typed events, or the one body, into an answer.

In: events as sse.py splits them. Out: `Delta`s; the answer grows in `Reading`. What deltas did not bring is taken from
the events that bring it whole (`…done`, an item, the last response), and nothing is taken twice. An item is known by
its ids, its place in the output, or, where a server gives neither, by being the last of its kind.
Form: https://platform.openai.com/docs/api-reference/responses-streaming
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatkit.api import answer
from chatkit.api.answer import Delta, DeltaKind, Outcome, is_known, outcome_of, reason_of
from chatkit.api.errors import Refusal, error_in, from_object
from chatkit.api.items import SAID, Items, OutputItem, PartPlace
from chatkit.api.reading import BadEvent, Reading
from chatkit.api.sse import Event
from chatkit.api.text import mend

DELTAS: dict[str, DeltaKind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
}
WHOLE: dict[str, tuple[DeltaKind, str]] = {
    "response.output_text.done": ("text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.reasoning_text.done": ("reasoning", "text"),
    "response.reasoning_summary_text.done": ("reasoning", "text"),
}
"""Events that bring a part whole, and the field it is in."""
PARTS = frozenset({"response.content_part.done", "response.reasoning_summary_part.done"})
ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})
LAST: dict[str, str] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.done": "completed",  # the Realtime API's word, in some gateways
}
"""Events that end a stream, and the status that they stand for where none is said."""
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""The items that are calls of tools: what Chat Completions names them, and the field that says what is passed."""
CALL_DELTAS = {"response.function_call_arguments.delta": "function", "response.custom_tool_call_input.delta": "custom"}
CALLS_DONE = {
    "response.function_call_arguments.done": "function_call",
    "response.custom_tool_call_input.done": "custom_tool_call",
}
_TYPE = re.compile(rb'"type"\s*:\s*"([\w.]+)"')
_KINDS: dict[str, DeltaKind] = {"refusal": "refusal", "summary_text": "reasoning", "reasoning_text": "reasoning"}


class ResponsesReading(Reading):
    """The answer of the Responses API: its items' texts joined, its function calls beside them."""

    def __init__(self) -> None:
        super().__init__()
        self._items = Items()
        self._numbers = Numbers()
        self._paragraph: object = None

    def _take(self, event: Event) -> Sequence[Delta]:
        data = event.data
        if not data or data.isspace():
            return ()
        if data.startswith(b"[DONE]"):
            self.over = True
            return ()
        kind = event.name or type_of(data)
        if not self.follows and kind.startswith("response.") and kind not in LAST and kind != "response.created":
            self._begin_unseen(kind)
            return ()
        value = self._decode(data)
        if not isinstance(value, dict):
            raise BadEvent("it is not a JSON object")
        if self.follows and self._numbers.came_before(value.get("sequence_number"), data):
            return ()
        return self._event(str(value.get("type") or event.name), value)

    def _begin_unseen(self, kind: str) -> None:
        """Count what only brings content, where nobody reads it."""
        if kind.endswith(".delta"):
            self.pieces += 1
            self._at(0)
        elif kind.endswith(".done"):
            self._at(0)

    def _whole(self, data: bytes) -> Sequence[Delta]:
        response = self._decode(data, streamed=False)
        if not isinstance(response, dict):
            raise BadEvent("it has no output")
        if self.follows and not isinstance(response.get("output"), list) and not response.get("error"):
            raise BadEvent("it has no output")
        return self._end("", response)

    def _event(self, kind: str, value: dict[str, Any]) -> Sequence[Delta]:
        if kind in DELTAS:
            return self._delta(DELTAS[kind], kind, value)
        if kind in CALL_DELTAS:
            return self._arguments(value, CALL_DELTAS[kind])
        if kind in LAST:
            self.over = True
            response = value.get("response")
            return self._end(kind, response if isinstance(response, Mapping) else value)
        if kind == "error" or (kind == "" and value.get("error")):
            self.refusal = from_object(value) or Refusal(str(value)[:1000])
            return ()
        response = value.get("response")
        if isinstance(response, Mapping):
            self._head(response)
            return ()
        return self._completed_by(kind, value)

    # --- what comes bit by bit

    def _delta(self, piece: DeltaKind, kind: str, value: Mapping[str, Any]) -> list[Delta]:
        text = value.get("delta")
        if not isinstance(text, str) or not text:
            return []
        self.pieces += 1
        return self._more(self._items.of_event(value, piece), (piece, *_where(kind, value)), text)

    def _more(self, item: OutputItem, part: PartPlace, text: str) -> list[Delta]:
        """Add to a part of an item; summaries of reasoning come in paragraphs, one a part."""
        item.add(part, text)
        piece: Any = part[0]
        if piece == "reasoning":
            here = (item.number, part)
            text = text if self._paragraph in (None, here) else "\n\n" + text
            self._paragraph = here
        return self._add(0, piece, text)

    def _arguments(self, value: Mapping[str, Any], tool: str) -> list[Delta]:
        self.pieces += 1
        item, piece = self._items.of_event(value, "tool_call"), value.get("delta")
        said = {tool: {SAID[tool]: piece}}
        return self._call(0, item.number, said, sure=True) if isinstance(piece, str) else []

    # --- what comes whole

    def _completed_by(self, kind: str, value: Mapping[str, Any]) -> list[Delta]:
        if kind in WHOLE:
            piece, name = WHOLE[kind]
            part = (piece, *_where(kind, value))
            return self._rest(self._items.of_event(value, piece), part, value.get(name))
        if kind in PARTS and isinstance(sent := value.get("part"), Mapping):
            piece, text = _read_part(sent)
            return self._rest(self._items.of_event(value, piece), (piece, *_where(kind, value)), text)
        if kind in CALLS_DONE:
            return self._whole_call(self._items.of_event(value, "tool_call"), value, CALLS_DONE[kind])
        if kind in ITEMS and isinstance(sent := value.get("item"), Mapping):
            return self._item(sent, self._items.of_item(sent, value.get("output_index")))
        return []

    def _rest(self, item: OutputItem, part: PartPlace, whole: Any) -> list[Delta]:
        """What a part has beyond that which has come of it."""
        whole = mend(whole) if isinstance(whole, str) else ""
        return self._more(item, part, rest) if (rest := item.missing(part, whole)) else []

    def _whole_call(self, item: OutputItem, sent: Mapping[str, Any], kind: str) -> list[Delta]:
        """What a call has beyond that which has come of it: its id, its name, the rest of its arguments."""
        tool, field = CALLS[kind]
        said = {"id": sent.get("call_id"), tool: {"name": sent.get("name")}}
        deltas = self._call(0, item.number, said, sure=True) if self.follows else []
        had = self._at(0).calls.arguments(item.number) or ""
        whole = sent.get(field)
        whole = json.dumps(whole) if isinstance(whole, Mapping) else whole
        if isinstance(whole, str) and whole.startswith(had) and len(whole) > len(had):
            deltas += self._call(0, item.number, {tool: {field: whole[len(had) :]}}, sure=True)
        return deltas

    def _item(self, sent: Mapping[str, Any], item: OutputItem) -> list[Delta]:
        if (kind := sent.get("type")) in CALLS:
            return self._whole_call(item, sent, kind)
        if sent.get("type") == "image_generation_call" and sent.get("result") and not item.said():
            item.add(("picture", "content", 0), "1")
            self._media(0, "picture")
        deltas: list[Delta] = []
        for name, number, part in _parts(sent):
            piece, text = _read_part(part)
            deltas += self._rest(item, (piece, name, number), text)
        return deltas

    # --- the end

    def _end(self, kind: str, response: Mapping[str, Any]) -> Sequence[Delta]:
        """Take the finished response: its status is the reason, what it holds completes what came."""
        self.over = True
        named, self.model = self.model, None
        self._head(response)
        self.model = self.model or named
        self._used(response)
        items = response.get("output")
        items = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
        if self.counts:
            self.counts = answer.with_tools(self.counts, [item.get("type") for item in items])
        deltas = self._completed_by_last(items)
        status = str(response.get("status") or LAST.get(kind, "completed"))
        if (refusal := error_in(response)) or "failed" in (status, LAST.get(kind)):
            self.refusal = refusal or Refusal("the response failed")
            return deltas
        details = response.get("incomplete_details")
        reason = reason_of(details.get("reason")) if isinstance(details, Mapping) else None
        self._reason(0, reason or status, _how(reason, {status, LAST.get(kind, status)}))
        return deltas

    def _completed_by_last(self, items: Sequence[Mapping[str, Any]]) -> list[Delta]:
        if self.pieces and not self.follows:
            return []  # the pieces have been counted, and nobody reads them
        deltas: list[Delta] = []
        for sent in items:
            text = "".join(str(_read_part(part)[1] or "") for _, _, part in _parts(sent))
            deltas += self._item(sent, self._items.of_last(sent, text))
        if deltas and not self.pieces:
            self._weigh(deltas)
        return deltas


class Numbers:
    """The counter of a stream's events, as far as it can be trusted: one that stands still or begins anew is none."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._highest = -1

    def came_before(self, number: Any, data: bytes) -> bool:
        """Whether the very same event has come, as after a connection that was taken up again."""
        if type(number) is not int or self._highest == -2:
            return False
        mark = hash(data)
        if number > self._highest:
            self._highest = number
        elif self._highest > 0 and self._seen.get(number) == mark:
            return True
        else:
            self._highest = -2  # litellm#28899: always 0, or begun anew for the last events
        self._seen[number] = mark
        return False


def type_of(data: bytes) -> str:
    """The `type` of an event, as far as it stands in its first bytes."""
    match = _TYPE.search(data, 0, 200)
    return match[1].decode() if match else ""


def _how(reason: str | None, states: set[str]) -> Outcome | None:
    """What a response that is not completed is; None where its reason alone tells."""
    short = sorted(state for state in states if outcome_of(state) != "complete")
    if not short or (reason and is_known(reason) and outcome_of(reason) != "complete"):
        return None
    return outcome_of(short[0])


def _where(kind: str, value: Mapping[str, Any]) -> tuple[str, int]:
    """The list and the number of a part in it."""
    name = "summary" if "summary" in kind else "content"
    number = value.get(f"{name}_index")
    return name, number if type(number) is int else 0


def _parts(item: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for name in ("summary", "content"):
        parts = item.get(name)
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, Mapping):
                yield name, number, part


def _read_part(part: Mapping[str, Any]) -> tuple[DeltaKind, Any]:
    piece = _KINDS.get(str(part.get("type")), "text")
    return piece, part.get("refusal") if piece == "refusal" else part.get("text")
