"""Faces: what a view asks for when a person opens something; nothing is changed by it.

In: a view's question. Out: plain values that the page draws: a source, an inspection, a diff, code, an export,
the history, the outlook on the next request. HTML is the renderer's, clean.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chatkit.chats import history_file
from chatkit.chats.chat import Chat
from chatkit.chats.history import Kept, history
from chatkit.chats.inspection import Inspection
from chatkit.client import code
from chatkit.render import export
from chatkit.render.markdown import code_html
from chatkit.render.text import tame
from chatkit.ui import view_model
from chatkit.ui.actions import Desk, source
from chatkit.ui.widget import PageMessage

LISTED = 50


def conversation_code(chat: Chat) -> str:
    """The Python that makes the chat's conversation again."""
    return code.conversation_code(chat.conversation, chat.model, chat.parameters, chat.api, chat.endpoint)


def _sheet(label: str, text: str, language: str, *, runs: bool = False) -> dict[str, Any]:
    return {"label": label, "html": code_html(tame(text), language), "text": text, "runs": runs}


def _source(desk: Desk, content: PageMessage) -> Mapping[str, Any]:
    message = desk.chat.conversation[str(content.get("message"))]
    return {"role": message.role, "text": source(message)}


def _diff(desk: Desk, content: PageMessage) -> list[Mapping[str, Any]]:
    found = desk.chat.diff(str(content.get("a")), str(content.get("b")))
    return [
        {
            "role": [row.left.role if row.left else "", row.right.role if row.right else ""],
            "a": [[part.kind, part.text] for part in row.segments if part.kind != "insert"],
            "b": [[part.kind, part.text] for part in row.segments if part.kind != "delete"],
        }
        for row in found.rows
    ]


def _code(desk: Desk, _: PageMessage) -> Mapping[str, Any]:
    return {**_sheet("Python", conversation_code(desk.chat), "python", runs=True), "exports": export.offered()}


def _outlook(desk: Desk, content: PageMessage) -> Mapping[str, Any] | None:
    return view_model.outlook(desk.chat, desk.chat.preview(str(content.get("text", ""))))


def _inspect(desk: Desk, content: PageMessage) -> Mapping[str, Any]:
    found = desk.chat.inspect(str(content.get("message")))
    sheets = [
        _sheet("Python", found.python, "python", runs=True),
        _sheet("curl", found.curl_for("sh"), "bash") | {"system": "sh"},
        _sheet("curl", found.curl_for("powershell"), "powershell") | {"system": "powershell"},
        _sheet("JSON", found.json, "json"),
        _sheet(*_came_back(found), "json"),
    ]
    return {"facts": found.facts, "sheets": sheets}


def _came_back(found: Inspection) -> tuple[str, str]:
    """The answer as it came: its one body, or its chunks, one a line, those in the middle counted."""
    view = found.view()
    if len(view.first) == 1 and not view.left_out:
        return "Response", json.dumps(view.first[0], ensure_ascii=False, indent=2)
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in view.first]
    if view.left_out:
        lines.append(f"… {view.left_out:,} chunks …")
    lines += [json.dumps(chunk, ensure_ascii=False) for chunk in view.last]
    return "Chunks", "\n".join(lines)


def _history(desk: Desk, content: PageMessage) -> Mapping[str, Any]:
    if history_file.place() is None:
        return {"talks": [], "note": "The history is off (CHATKIT_HISTORY).", "off": True}
    found = history(str(content.get("search", "")).strip() or None, limit=LISTED)
    keeper = desk.chat.keeper
    talks = [_listed(kept, keeper is not None and kept.id == keeper.id) for kept in found]
    note = "" if talks else "Nothing is kept that has these words." if content.get("search") else "Nothing is kept yet."
    return {"talks": talks, "note": note}


def _listed(kept: Kept, shown: bool) -> Mapping[str, Any]:
    count = f"{len(kept)} message{'' if len(kept) == 1 else 's'}"
    about = " · ".join(filter(None, [count, kept.model]))
    return {"id": kept.id, "title": kept.title, "when": _when(kept.when), "about": about, "shown": shown}


def _when(at: datetime) -> str:
    today = datetime.now().astimezone().date() == at.date()
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"


def _export(desk: Desk, content: PageMessage) -> Mapping[str, Any]:
    name = f"conversation.{content.get('format')}"
    return {"name": name, "mime": export.format_of(name).mime, "text": desk.chat.exported(name)}


QUESTIONS: Mapping[str, Callable[[Desk, PageMessage], Any]] = {
    "source": _source,
    "diff": _diff,
    "code": _code,
    "outlook": _outlook,
    "inspect": _inspect,
    "history": _history,
    "export": _export,
}
