"""Faces: what the views of one widget asked for, each taken once; what was answered to it is told again.

In: messages with an `id` (each is taken once) and perhaps a `question` (it wants an answer). Out: answers, sent.
A message may come twice, by two ways, and again where its answer got lost.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

KEPT = 500
"""Requests that are remembered."""


class Requests:
    """The requests of one widget; `send` takes a message and its buffers.

    >>> requests = Requests(lambda message, buffers: print(message["value"]))
    >>> requests.is_new("1"), requests.answer({"id": "1", "question": "1"}, {"value": "done"}), requests.is_new("1")
    done
    done
    (True, None, False)
    """

    def __init__(self, send: Callable[[Mapping[str, Any], Sequence[Any] | None], object]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, Mapping[str, Any] | None] = OrderedDict()

    def is_new(self, request: object) -> bool:
        """Whether this id was never taken; what was answered to one that was is told again."""
        if not isinstance(request, str):
            return True
        with self._lock:
            if request not in self._taken:
                self._taken[request] = None
                if len(self._taken) > KEPT:
                    self._taken.popitem(last=False)
                return True
            answer = self._taken[request]
        if answer:
            self._send(answer, None)
        return False

    def __contains__(self, request: object) -> bool:
        return request in self._taken

    def answer(
        self, content: Mapping[str, Any], answer: Mapping[str, Any], buffers: Sequence[Any] | None = None
    ) -> None:
        """Answer a question, if it is one; an act, which is asked again under its own id, is answered again, too."""
        question = content.get("question")
        if question is None:
            return
        told = {"type": "answer", "question": question, **answer}
        if question == content.get("id") and not buffers:
            with self._lock:
                self._taken[str(question)] = told
        self._send(told, buffers)
