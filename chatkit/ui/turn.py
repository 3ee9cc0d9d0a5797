"""Faces: the turn that a panel shows while it runs.

In: what a `Run` yields, on the loop's thread. Out: HTML blocks, a notice, and how it ended, taken by the
flusher's thread. Nothing is laid out on the loop's thread.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from chatkit.captions import wait_caption
from chatkit.endpoint.reply import Delta, Reply, Wait
from chatkit.endpoint.run import Run
from chatkit.endpoint.turn import RunItem
from chatkit.render.blocks import GrowingText
from chatkit.render.plain_text import plain
from chatkit.ui.feed import Live

HEARTBEAT = 0.5
"""Seconds after which a turn that is silent is looked at again: a cell may wait for it by now."""
SHARE = 0.1
"""The part of the time that laying out a growing block may take; a long block is shown less often."""


class RunningTurn:
    """A run, its question, and the answer as far as it has come; `begun` is the text from which it goes on."""

    def __init__(
        self,
        run: Run,
        question: str | None,
        kept: frozenset[str],
        changed: Callable[[bool], None],
        begun: str = "",
    ) -> None:
        self.run = run
        self.question = question
        self.kept = kept
        self.notice = ""
        self.reply: Reply | None = None
        self.ended = False
        self.thinking = False
        self._answers: list[GrowingText] = []
        self._came: deque[tuple[int, str]] = deque([(0, begun)] if begun else ())
        self._heard = False
        self._rest_until = 0.0
        self._changed = changed
        self._question_html = plain(question) if question else ""
        self._unlisten = run.listen(self._hear)

    def advance(self, now: float) -> float:
        """Lay out what has come; the seconds after which to come again."""
        ended = self.reply is not None
        if not ended and now < self._rest_until:
            return self._rest_until - now
        came: dict[int, list[str]] = {}
        for _ in range(len(self._came)):
            index, text = self._came.popleft()
            came.setdefault(index, []).append(text)
        for index, texts in came.items():
            while len(self._answers) <= index:
                self._answers.append(GrowingText())
            self._answers[index].feed("".join(texts))
        if ended:
            for answer in self._answers:
                answer.finish()
            self.ended = True
        self._rest_until = time.monotonic() + (time.monotonic() - now) / SHARE
        return HEARTBEAT

    @property
    def laid_out(self) -> Mapping[str, str]:
        """Each answer's text as laid out so far, and its HTML."""
        return {answer.text: "".join(answer.html) for answer in self._answers}

    @property
    def live(self) -> Live:
        """What is shown of it."""
        return Live(self.run.id, self._question_html, [answer.html for answer in self._answers])

    @property
    def status(self) -> Mapping[str, Any]:
        """The state of the controls while it runs."""
        phase = (
            "streaming"
            if self._heard and any(answer.html for answer in self._answers)
            else "thinking"
            if self.thinking
            else "waiting"
        )
        return {"phase": phase, "notice": self.notice, "blocking": self.run.blocking}

    def close(self) -> None:
        """Listen no more."""
        self._unlisten()

    def _hear(self, item: RunItem) -> None:
        if isinstance(item, Delta):
            self._hear_delta(item)
        elif isinstance(item, Wait):
            self.notice = wait_caption(item)
            self._changed(True)
        elif isinstance(item, Reply):
            self.reply = item
            self._changed(True)

    def _hear_delta(self, delta: Delta) -> None:
        if delta.kind in ("text", "refusal"):
            self._came.append((delta.index, delta.text))
            self._heard = True
        self.thinking = delta.kind == "reasoning"
        self.notice = ""
        self._changed(False)
