"""Faces: what a widget shows, numbered, so that each view can tell when it missed something; and who sends it, when.

In: the `Scene` as it is now. Out: a patch that turns the scene before into this one, or a snapshot of
the whole. Blocks of HTML are the unit: of a block that grows only its new end is sent.

A message may come twice, by two ways, and again where its answer got lost.

A
kernel that sends more is held back by Jupyter's server, which drops messages without a word.
"""

import logging
import math
import os
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from chatkit.exceptions import InputError, mended

FIRST_RETELL = 0.25
RETELLS = 8
"""How often the number of the last patch is told again to a view that does not answer; each pause is twice as long."""


@dataclass(frozen=True, slots=True)
class Live:
    """The turn that runs: the question's HTML, each answer's blocks so far (`n=2` asks for two answers)."""

    run: str
    question: str
    answers: Sequence[Sequence[str]]

    @property
    def html(self) -> str:
        """All that has come, joined."""
        return "".join(html for blocks in self.answers for html in blocks)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a panel shows: finished messages, the turn that runs, and the state of the controls."""

    entries: Sequence[Mapping[str, Any]] = ()
    live: Live | None = None
    status: Mapping[str, Any] = field(default_factory=dict)


class Feed:
    """Numbers what is sent to the views of one panel, and remembers which view has seen what."""

    def __init__(self) -> None:
        self.seq = 0
        self._sent = Scene()
        self._seen: dict[str, int] = {}
        self._told = 0
        self._retell_at: float | None = None

    def advance(self, scene: Scene) -> dict[str, Any] | None:
        """The patch from what was sent last to `scene`; None if they show the same."""
        before, now = self._sent, _frozen(scene)
        patch = {
            "talk": _spliced(before, now),
            "live": _grown(before.live, now.live),
            "end": _ended(before, now),
            "status": {k: v for k, v in scene.status.items() if k not in before.status or before.status[k] != v},
        }
        self._sent = now
        patch = {name: part for name, part in patch.items() if part}
        if not patch:
            return None
        self.seq += 1
        self._told, self._retell_at = 0, None
        return {"type": "patch", "seq": self.seq, **patch}

    def tell(self, scene: Scene, send: Callable[[Mapping[str, Any]], object]) -> None:
        """Send the patch to `scene`; one that cannot be sent is taken back, and its number is missing: views ask then."""
        before = self._sent
        if patch := self.advance(scene):
            try:
                send(patch)
            except BaseException:
                self._sent = before
                raise

    def still(self, **status: Any) -> Scene:
        """What was sent last, with nothing that runs, and other controls."""
        return Scene(self._sent.entries, None, {**self._sent.status, **status})

    def snapshot(self, view: str) -> dict[str, Any]:
        """Everything sent so far, for the one view that asks."""
        self._seen.setdefault(view, 0)
        sent = self._sent
        return {
            "type": "snapshot",
            "to": view,
            "seq": self.seq,
            "entries": list(sent.entries),
            "live": _whole(sent.live) if sent.live else None,
            "status": dict(sent.status),
        }

    def seen(self, view: str, seq: int) -> None:
        """A view says how far it got."""
        self._seen[view] = max(seq, self._seen.get(view, 0))

    @property
    def is_followed(self) -> bool:
        """Whether a view is heard of."""
        return bool(self._seen)

    def left(self, view: str) -> None:
        """A view is gone."""
        self._seen.pop(view, None)

    def retell(self, now: float) -> tuple[dict[str, Any] | None, float | None]:
        """What to tell again to views that are behind, and the seconds until the next look; `now` in seconds."""
        if all(seq >= self.seq for seq in self._seen.values()):
            return None, None
        if self._retell_at is None:
            self._retell_at = now + FIRST_RETELL
        if now < self._retell_at:
            return None, self._retell_at - now
        self._told += 1
        if self._told > RETELLS:
            # a view that went without a word asks for a snapshot when it comes back
            self._seen = {view: seq for view, seq in self._seen.items() if seq >= self.seq}
            return None, None
        pause = FIRST_RETELL * 2.0**self._told
        self._retell_at = now + pause
        return {"type": "tail", "seq": self.seq}, pause


def digest(html: str) -> int:
    """A number that two equal texts share (Adler-32 of the UTF-8 bytes; a browser computes it in three lines).

    >>> digest("Brazil")
    133956197
    """
    return zlib.adler32(html.encode("utf-8", "replace"))


def _frozen(scene: Scene) -> Scene:
    live = scene.live and Live(scene.live.run, scene.live.question, tuple(map(tuple, scene.live.answers)))
    return Scene(tuple(scene.entries), live, dict(scene.status))


def _spliced(before: Scene, now: Scene) -> list[Any] | None:
    """[first index, how many to take out, what to put in]; an entry that was just streamed goes without its HTML."""
    old, new = before.entries, now.entries
    if old == new:
        return None
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    inserted = [_lean(entry, before, now) for entry in new[start : len(new) - end]]
    return [start, len(old) - end - start, inserted]


def _lean(entry: Mapping[str, Any], before: Scene, now: Scene) -> Mapping[str, Any]:
    if _ended(before, now) and before.live and len(before.live.answers) == 1 and entry.get("html") == before.live.html:
        return {k: v for k, v in entry.items() if k != "html"} | {"streamed": True}
    return entry


def _ended(before: Scene, now: Scene) -> dict[str, Any] | None:
    if before.live is None or (now.live is not None and now.live.run == before.live.run):
        return None
    return {"run": before.live.run, "digest": digest(before.live.html)}


def _grown(before: Live | None, now: Live | None) -> dict[str, Any] | None:
    if now is None:
        return None
    if before is None or before.run != now.run or not _continues(before, now):
        return _whole(now)
    changes = []
    for number, blocks in enumerate(now.answers):
        had = before.answers[number] if number < len(before.answers) else ()
        changes += [[number, *change] for change in _changes(had, blocks)]
    return {"run": now.run, "blocks": changes} if changes else None


def _continues(before: Live, now: Live) -> bool:
    grown = zip(before.answers, now.answers, strict=False)
    return len(now.answers) >= len(before.answers) and all(len(new) >= len(old) for old, new in grown)


def _changes(had: Sequence[str], now: Sequence[str]) -> Iterator[list[Any]]:
    for index, html in enumerate(now):
        old = had[index] if index < len(had) else ""
        if (old is not html and old != html) or index >= len(had):
            yield [index, *_end_of(old, html)]


def _whole(live: Live) -> dict[str, Any]:
    blocks = [
        [number, index, 0, html] for number, blocks in enumerate(live.answers) for index, html in enumerate(blocks)
    ]
    return {"run": live.run, "question": live.question, "blocks": blocks, "start": True}


def _end_of(had: str, html: str) -> tuple[int, str]:
    """How many UTF-16 units of what the view has stay, and what comes after them."""
    low, high = 0, min(len(had), len(html))
    while low < high:
        middle = (low + high + 1) // 2
        if had[low:middle] == html[low:middle]:
            low = middle
        else:
            high = middle - 1
    return len(html[:low].encode("utf-16-le")) // 2, html[low:]


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


RATE = 20.0
"""Flushes a second, whatever the number of panels."""
AGAIN = (0.5, 2.0, 8.0, 60.0)
"""Seconds after which a panel that failed is tried again; the last as often as it goes on."""

_log = logging.getLogger(__name__)


class Flushable(Protocol):
    """What can be flushed."""

    def flush(self) -> float | None:
        """Send what is new; the seconds after which to come again, or None."""

    def fail(self, fault: Exception) -> None:
        """Say on the page that `flush` failed, and of what; it is tried again soon."""


class Flusher:
    """Flushes what was touched, on a thread of its own that starts with the first touch."""

    def __init__(self, rate: float = RATE, name: str = "chatkit-flush") -> None:
        self._name = name
        self._pause = 1 / rate
        self._due: dict[Flushable, float] = {}
        self._urgent: dict[Flushable, None] = {}
        self._next = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._faults: WeakKeyDictionary[Flushable, int] = WeakKeyDictionary()

    def touch(self, panel: Flushable, *, urgent: bool = False) -> None:
        """Have `panel` flushed in its turn, or at once if it is urgent (an end, an answer to a view)."""
        with self._changed:
            now = time.monotonic()
            if not urgent and self._due.get(panel, math.inf) <= now:
                return  # the thread knows, and waits for its turn
            if urgent:
                self._urgent[panel] = None
            self._due[panel] = min(now, self._due.get(panel, now))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, panel: Flushable) -> None:
        """Flush `panel` no more."""
        with self._changed:
            self._due.pop(panel, None)
            self._urgent.pop(panel, None)

    def _serve(self) -> None:
        while True:
            panel = self._next_panel()
            try:
                again = panel.flush()
            except Exception as fault:  # noqa: BLE001  # one panel's fault must not silence the others
                _log.exception("A panel could not be brought up to date.")
                again = self._failed(panel, fault)
            else:
                self._faults.pop(panel, None)
            if again is not None:
                self._come_again(panel, again)

    def _failed(self, panel: Flushable, fault: Exception) -> float:
        before = self._faults.get(panel, 0)
        self._faults[panel] = before + 1
        try:
            panel.fail(fault)
        except Exception:  # noqa: BLE001  # the page itself cannot be reached
            _log.exception("A panel could not say that it failed.")
        return AGAIN[min(before, len(AGAIN) - 1)]

    def _next_panel(self) -> Flushable:
        with self._changed:
            while True:
                now = time.monotonic()
                if self._urgent:
                    panel = next(iter(self._urgent))
                    del self._urgent[panel]
                    self._due.pop(panel, None)
                    return panel
                first = min(self._due, key=self._due.__getitem__, default=None)
                due = now + 3600 if first is None else max(self._due[first], self._next)
                if first is not None and due <= now:
                    del self._due[first]
                    self._next = now + self._pause
                    return first
                self._changed.wait(due - now)

    def _come_again(self, panel: Flushable, seconds: float) -> None:
        with self._changed:
            self._due.setdefault(panel, time.monotonic() + seconds)


flusher = Flusher()
reader = Flusher(RATE, "chatkit-read")
"""For what reads the store before it sends: a store that is slow, or held, must not hold up the panels."""


def _forget() -> None:
    global flusher, reader
    flusher, reader = Flusher(), Flusher(RATE, "chatkit-read")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
