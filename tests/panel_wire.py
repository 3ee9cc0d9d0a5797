"""A chat panel, its scripted chat and what a browser makes of its messages: for the tests that need no browser."""

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from chatkit.chats.chat import Chat
from chatkit.client.reply import Answer, Delta, Reply, Wait
from chatkit.ui.feed import digest
from chatkit.ui.widget import Widget

PATIENCE = 10.0


class ScriptedChat(Chat):
    """A chat whose turns are played by the test: `say` one thing after the other."""

    def __init__(self, **more: Any) -> None:
        super().__init__(model="scripted", **more)
        self.script: list[Delta | Wait | Reply] = []
        self.go = threading.Event()

    def say(self, *items: Delta | Wait | Reply) -> None:
        self.script += items
        self.go.set()

    async def _ask(self, *_: object) -> AsyncIterator[Delta | Wait | Reply]:
        import asyncio

        text = ""
        try:
            while True:
                await asyncio.to_thread(self.go.wait, 0.01)
                while self.script:
                    item = self.script.pop(0)
                    text += item.text if isinstance(item, Delta) else ""
                    yield item
                    if isinstance(item, Reply):
                        return
                self.go.clear()
        except asyncio.CancelledError:
            yield Reply((Answer(text=text),) if text else (), "cancelled")


class View:
    """What a browser would make of the messages: it follows patches and asks when it missed one."""

    def __init__(self, widget: Widget, name: str = "view") -> None:
        self.widget, self.name = widget, name
        self.seq = -1
        self.entries: list[dict[str, Any]] = []
        self.live: list[str] | None = None
        self.status: dict[str, Any] = {}
        self.ends: list[dict[str, Any]] = []
        self.gaps = 0

    def hello(self) -> None:
        self.widget.simulate({"type": "hello", "view": self.name})

    def hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot" and message["to"] == self.name:
            self.seq, self.entries, self.status = message["seq"], list(message["entries"]), dict(message["status"])
            self.live = None
            self._grow(message["live"])
        elif message["type"] == "patch" and self.seq >= 0 and message["seq"] > self.seq:
            self._follow(message)
        elif message["type"] == "tail" and message["seq"] == self.seq:
            self.widget.simulate({"type": "ack", "view": self.name, "seq": self.seq})

    def _follow(self, patch: dict[str, Any]) -> None:
        if patch["seq"] != self.seq + 1:
            self.gaps += 1
            return
        self.seq = patch["seq"]
        before = "".join(self.live or [])
        if "end" in patch:
            assert patch["end"]["digest"] == digest(before)
            self.ends.append(patch["end"])
            self.live = None
        if "talk" in patch:
            at, count, entries = patch["talk"]
            self.entries[at : at + count] = [e | {"html": before} if e.get("streamed") else e for e in entries]
        self._grow(patch.get("live"))
        self.status |= patch.get("status", {})

    def _grow(self, live: dict[str, Any] | None) -> None:
        if live is None:
            return
        if live.get("start"):
            self.live = []
        assert self.live is not None
        for answer, index, keep, tail in live["blocks"]:
            assert answer == 0
            self.live[index:] = [
                (self.live[index] if index < len(self.live) else "").encode("utf-16-le")[: 2 * keep].decode("utf-16-le")
                + tail,
                *self.live[index + 1 :],
            ]


class Wire:
    """Everything that panels sent, told on to the views that listen."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.views: list[View] = []
        self.drop: Callable[[dict[str, Any]], bool] = lambda _: False
        self.changed = threading.Condition()

    def send(self, content: dict[str, Any]) -> None:
        with self.changed:
            self.sent.append(content)
            if not self.drop(content):
                for view in self.views:
                    view.hear(content)
            self.changed.notify_all()

    def until(self, holds: Callable[[], Any]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, PATIENCE), "waited in vain"

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == kind]


def complete(text: str) -> Reply:
    return Reply((Answer(text=text, finish_reason="stop"),), "complete")


def ask(panel: Widget, text: str, request: str = "r1") -> None:
    panel.simulate({"type": "ask", "id": request, "view": "view", "text": text})
