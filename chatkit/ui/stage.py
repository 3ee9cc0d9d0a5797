"""Faces: what a chat looks like at a moment.

In: a `Chat` and the turn that runs. Out: a `Scene`, made of plain values that can be sent. Messages that
did not change are not laid out again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatkit.chat import Chat
from chatkit.conversation import Message
from chatkit.endpoint.catalog import HOSTED_DEFAULT
from chatkit.readings.captions import session_caption
from chatkit.render.blocks import render
from chatkit.render.plain_text import plain
from chatkit.ui.captions import outcome_caption, reply_caption
from chatkit.ui.feed import Scene
from chatkit.ui.turn import RunningTurn

IDLE = {"phase": "idle", "notice": "", "blocking": False}


class Stage:
    """Turns one chat into scenes; `laid_out` is the text and HTML of the answer that streamed last."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._entries: dict[str, tuple[Message, Mapping[str, Any]]] = {}
        self.laid_out = ("", "")

    def scene(
        self, turn: RunningTurn | None, error: Mapping[str, Any] | None, draft: Mapping[str, Any] | None
    ) -> Scene:
        """What is to be seen now; `error` and `draft` (a text that goes back into the box) are the panel's own."""
        shown = [m for m in self._chat.conversation.messages if turn is None or m.id in turn.kept]
        entries = [self._entry(message) for message in shown]
        self._entries = {m.id: (m, e) for m, e in zip(shown, entries, strict=True)}
        status = {**(turn.status if turn else IDLE), "error": error, "draft": draft, **self._settings()}
        return Scene(entries, turn.live if turn else None, status)

    def _entry(self, message: Message) -> Mapping[str, Any]:
        had = self._entries.get(message.id)
        if had and had[0] is message:
            return had[1]
        reply = self._chat.replies.get(message.id)
        return {
            "id": message.id,
            "role": message.role,
            "html": self._html(message),
            "state": " · ".join(
                filter(None, [outcome_caption(message.outcome), "" if message.enabled else "not sent"])
            ),
            "off": not message.enabled,
            "caption": reply_caption(reply, local=self._is_local()) if reply and message.outcome else "",
        }

    def _html(self, message: Message) -> str:
        if message.role != "assistant" or not message.text:
            return plain(message.text or _other_words(message))
        text, html = self.laid_out
        return html if text == message.text else render(message.text)

    def _settings(self) -> dict[str, Any]:
        endpoint = self._chat.endpoint
        return {
            "model": self._chat.model or "",
            "models": [m for m in dict.fromkeys([endpoint.model if endpoint else "", HOSTED_DEFAULT]) if m],
            "temperature": str(self._chat.parameters.get("temperature", "")),
            "system": self._chat.system or "",
            "endpoint": self._serving(),
            "session": session_caption(self._chat.usage, local=self._is_local()),
        }

    def _is_local(self) -> bool:
        return self._chat.endpoint is not None and self._chat.endpoint.local

    def _serving(self) -> str:
        endpoint = self._chat.endpoint
        if endpoint is None:
            return ""
        # whatever name is asked for, the local server answers with its own model
        asked = endpoint if endpoint.local else replace(endpoint, model=self._chat.model or endpoint.model)
        return asked.sentence


def _other_words(message: Message) -> str:
    """What an answer without text says instead: a refusal, the tools that it calls."""
    calls = [call.get("function", {}) for call in message.extra.get("tool_calls", ()) if isinstance(call, Mapping)]
    named = [f"calls {call.get('name', 'a tool')}({call.get('arguments', '')})" for call in calls]
    return "\n".join([str(message.extra.get("refusal") or ""), *named]).strip()
