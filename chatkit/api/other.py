"""The wire's other calls: embeddings, moderations, pictures, speech, whatever comes next.

In: a body, or typed events. Out: no text, only what a usage row needs: model, usage, how it ended.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chatkit.api.answer import Delta
from chatkit.api.errors import Refusal, error_in, from_object
from chatkit.api.reading import BadEvent, Reading
from chatkit.api.responses import type_of
from chatkit.api.sse import Event

LAST = frozenset({"speech.audio.done", "image_generation.completed", "image_edit.completed"})


class OtherReading(Reading):
    """An answer of which only its end and its usage are read."""

    def _take(self, event: Event) -> Sequence[Delta]:
        kind = event.name or type_of(event.data)
        if event.data.startswith(b"[DONE]"):
            self.over = True
            self._reason(0, "completed")
        elif kind.endswith(".delta"):
            self.pieces += 1
            self._at(0)
        elif kind in LAST:
            value = self._decode(event.data)
            if isinstance(value, Mapping):
                self._done(value)
        elif kind == "error":
            value = self._decode(event.data)
            self.refusal = from_object(value) or Refusal(str(value)[:1000])
        return ()

    def _whole(self, data: bytes) -> Sequence[Delta]:
        try:
            value = self._decode(data, streamed=False)
        except BadEvent:
            value = {}  # sound, pictures, text: an answer, though none that tells of itself
        self._done(value if isinstance(value, Mapping) else {})
        return ()

    def _done(self, value: Mapping[str, Any]) -> None:
        self.over = True
        self._head(value)
        self._used(value)
        self.refusal = error_in(value)
        self._reason(0, "completed")


class EmbeddingsReading(OtherReading):
    """Hundreds of kilobytes of numbers, in which no key can hide: only what stands beside them is parsed."""

    def _whole(self, data: bytes) -> Sequence[Delta]:
        beside = {key: _value(data, key) for key in ("model", "usage")}
        self._used(beside)
        if self.counts:
            self._done(beside)
            return ()
        value = self._decode(data, streamed=False)
        if not isinstance(value, Mapping):
            raise BadEvent("it is not a JSON object")
        self._done(value)
        return ()


def _value(body: bytes, key: str) -> Any:
    start = body.rfind(b'"%b"' % key.encode())
    match = re.compile(rb"\s*:\s*").match(body, start + len(key) + 2) if start >= 0 else None
    if match is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(body[match.end() : match.end() + 2000].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return None
