"""The endpoint door's reading of the Responses API: typed, numbered events, or the one body, into an answer.

In: events as ledger/sse.py splits them. Out: `Delta`s; the answer grows in `Reading`.
Form: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Mapping
from typing import Any

from chatkit.endpoint.reading import BadEvent, ErrorEvent, Kind, Reading
from chatkit.endpoint.refusals import Refusal, from_object
from chatkit.endpoint.reply import Delta
from chatkit.ledger.sse import Event

PIECES: dict[str, Kind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
}
LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesReading(Reading):
    """The answer of the Responses API: its items' texts joined, its function calls beside them."""

    def __init__(self, cap: int, expected: int = 1) -> None:
        super().__init__(cap, expected)
        self._highest = -1
        self._parts: dict[Kind, Any] = {}

    def read(self, event: Event) -> list[Delta]:
        """Take one event; give back what it adds. Raises BadEvent or ErrorEvent."""
        data = event.data
        if not data or data.isspace():
            return []
        if data.startswith(b"[DONE]"):
            self.over = True
            return []
        value = self._decode(data)
        if not isinstance(value, dict):
            raise BadEvent("it is not a JSON object")
        if self._seen(value.get("sequence_number")):
            return []
        return self._event(str(value.get("type") or event.name), value)

    def whole(self, data: bytes) -> list[Delta]:
        """Take a body that is one JSON answer. Raises BadEvent or ErrorEvent."""
        response = self._decode(data)
        if not isinstance(response, dict) or (not isinstance(response.get("output"), list) and not _error(response)):
            raise BadEvent("it has no output")
        return self._end(response)

    def _seen(self, number: Any) -> bool:
        if type(number) is not int:
            return False
        if number > self._highest:
            self._highest = number
            return False
        return True

    def _event(self, kind: str, value: dict[str, Any]) -> list[Delta]:
        if kind in PIECES:
            return self._piece(PIECES[kind], value)
        if kind == "response.function_call_arguments.delta":
            return self._call(0, value.get("output_index"), {"function": {"arguments": value.get("delta")}})
        if kind == "response.output_item.added":
            return self._item_added(value.get("output_index"), value.get("item"))
        if kind in LAST:
            return self._end(value.get("response"))
        if kind == "error" or (kind == "" and value.get("error")):
            raise ErrorEvent(from_object(value) or Refusal(str(value)[:1000]))
        response = value.get("response")
        if isinstance(response, Mapping) and self.model is None and isinstance(response.get("model"), str):
            self.model = response["model"]
        return []

    def _piece(self, kind: Kind, value: dict[str, Any]) -> list[Delta]:
        text = value.get("delta")
        if not isinstance(text, str) or not text:
            return []
        part = (value.get("item_id"), value.get("content_index"), value.get("summary_index"))
        if kind == "reasoning" and self._parts.setdefault(kind, part) != part:
            text = "\n\n" + text  # summaries come in paragraphs, one a part
        self._parts[kind] = part
        return self._add(0, kind, text)

    def _item_added(self, number: Any, item: Any) -> list[Delta]:
        if not isinstance(item, Mapping) or item.get("type") != "function_call":
            return []
        return self._call(0, number, {"id": item.get("call_id"), "function": {"name": item.get("name")}})

    def _end(self, response: Any) -> list[Delta]:
        """Take the finished response: its status is the reason, its texts count where no delta brought them."""
        self.over = True
        if not isinstance(response, Mapping):
            return []
        if isinstance(response.get("model"), str):
            self.model = response["model"]
        if response.get("status") == "failed" or _error(response):
            raise ErrorEvent(from_object(response.get("error")) or Refusal("the response failed"))
        deltas = [] if self.has_content else self._output(response.get("output"))
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, Mapping) else None
        self._reason(0, reason or response.get("status") or "completed")
        return deltas

    def _output(self, output: Any) -> list[Delta]:
        deltas: list[Delta] = []
        for number, item in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(item, Mapping):
                continue
            if item.get("type") == "function_call":
                deltas += self._item_added(number, item)
                deltas += self._call(0, number, {"function": {"arguments": item.get("arguments")}})
            for part in [*(item.get("summary") or ()), *(item.get("content") or ())]:
                deltas += self._part(part)
        return deltas

    def _part(self, part: Any) -> list[Delta]:
        if not isinstance(part, Mapping):
            return []
        kinds: dict[str, Kind] = {"refusal": "refusal", "summary_text": "reasoning", "reasoning_text": "reasoning"}
        kind = kinds.get(str(part.get("type")), "text")
        text = part.get("refusal") if kind == "refusal" else part.get("text")
        return self._add(0, kind, text) if isinstance(text, str) and text else []


def _error(response: Mapping[str, Any]) -> bool:
    return bool(response.get("error"))
