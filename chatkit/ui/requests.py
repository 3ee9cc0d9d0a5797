"""Faces: what the views of one widget asked for, each taken once; what was answered to it is told again.

In: messages with an `id` (each is taken once) and perhaps a `question` (it wants an answer). Out: answers, sent.
A message may come twice, by two ways, and again where its answer got lost.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chatkit.exceptions import InputError, mended

KEPT = 500
"""Requests that are remembered."""
LARGEST = 2**53
"""The largest whole number that a page can mean."""


def checked(content: object) -> Mapping[str, Any]:
    """What a page sent, its texts mended; an InputError for fields that no page of chatkit sends.

    >>> checked({"type": "ask", "text": "half " + chr(0xD83D)})
    {'type': 'ask', 'text': 'half \ufffd'}
    """
    if not isinstance(content, Mapping):
        raise _forged("it is no object")
    return {str(name): _field(str(name), value) for name, value in content.items()}


def _field(name: str, value: object) -> Any:
    if isinstance(value, str):
        return mended(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= LARGEST:  # nor is NaN
            raise _forged(f"its {name[:40]!r} is no number that a page can mean")
        return value
    raise _forged(f"its {name[:40]!r} is neither text nor a number")


def _forged(why: str) -> InputError:
    return InputError(
        f"A message of this page was not understood: {why}; nothing was done.",
        "Reload the page, and run the cell again.",
    )


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
