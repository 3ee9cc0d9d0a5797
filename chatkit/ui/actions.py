"""Faces: what a person can do in a panel, each act one small function on the chat.

In: a view's message. Out: the chat, changed, or an InputError whose sentence the view shows. Nothing here
waits: a turn is started and followed, not waited for.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from chatkit.chats.chat import Chat
from chatkit.client.run import Run
from chatkit.conversation.conversation import Message
from chatkit.exceptions import InputError
from chatkit.ui.settings_form import set_control
from chatkit.ui.view_model import Stage
from chatkit.ui.widget import PageMessage

if TYPE_CHECKING:
    from chatkit.chats.history import Kept


class Desk(Protocol):
    """What an act works on: a chat, and the panel that shows it."""

    chat: Chat

    @property
    def stage(self) -> Stage:
        """How the chat is laid out."""

    def begin(self, content: PageMessage, start: Callable[[], Run], text: str | None = None) -> None:
        """Start a turn; `text` goes back into the box if it cannot begin."""

    def show(self, chat: Chat) -> None:
        """Show another chat."""

    def ask_models(self) -> None:
        """Look up which models the endpoint has."""

    def touch(self) -> None:
        """Show what is new."""


def _ask(desk: Desk, content: PageMessage) -> None:
    text = str(content.get("text", ""))
    desk.begin(content, lambda: desk.chat.send(text, wait=False), text)


def _retry(desk: Desk, content: PageMessage) -> None:
    desk.begin(content, lambda: desk.chat.retry(wait=False))


def _rerun(desk: Desk, content: PageMessage) -> None:
    text = content.get("text")
    words = text if isinstance(text, str) else None
    desk.begin(content, lambda: desk.chat.rerun(_id(content), words, wait=False))


def _go_on(desk: Desk, content: PageMessage) -> None:
    if isinstance(index := content.get("index"), int):
        _idle(desk.chat)
        desk.chat.keep(index)
    desk.begin(content, lambda: desk.chat.resume(wait=False))


def _undo(desk: Desk, _: PageMessage) -> None:
    if not desk.chat.undo():
        raise InputError("There is no turn to take back.", "Ask something first.")


def _undo_change(desk: Desk, _: PageMessage) -> None:
    _idle(desk.chat)
    if not desk.chat.conversation.undo():
        raise InputError("There is no change to take back.", "Change something first.")


def _redo_change(desk: Desk, _: PageMessage) -> None:
    _idle(desk.chat)
    if not desk.chat.conversation.redo():
        raise InputError("There is no change to make again.", "Take one back first.")


def _edit(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    message = desk.chat.conversation[_id(content)]
    text, role = str(content.get("text", "")), content.get("role", message.role)
    if text != source(message):
        desk.chat.conversation.edit(message.id, _content(message, text))
    if role != message.role:
        desk.chat.conversation.change_role(message.id, role)


def _insert(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    text, role = str(content.get("text", "")), content.get("role", "user")
    talk = desk.chat.conversation
    put = talk.insert_after if content.get("where") == "after" else talk.insert
    put(_id(content), role, text)


def _role(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    desk.chat.conversation.change_role(_id(content), content.get("role"))  # type: ignore[arg-type]  # checked there


def _switch(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    message = desk.chat.conversation[_id(content)]
    desk.chat.conversation.switch(message.id, not message.enabled)


def _move(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    talk = desk.chat.conversation
    place = talk.index(_id(content))
    before = place + 2 if content.get("by") == 1 else place - 1
    if 0 <= before <= len(talk):
        talk.move(place, before)


def _remove(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    desk.chat.conversation.remove(_id(content))


def _choose(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    variant = content.get("variant")
    desk.chat.conversation.choose(_id(content), variant if isinstance(variant, int) else 0)


def _keep(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    index = content.get("index")
    desk.chat.keep(index if isinstance(index, int) else 0)
    desk.stage.beside = ()


def _beside(desk: Desk, _: PageMessage) -> None:
    desk.stage.beside = desk.chat.answers


def _branch(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    desk.chat.conversation.branch(str(content.get("name", "")).strip() or None)


def _checkout(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    desk.chat.conversation.checkout(str(content.get("name")))


def _rename(desk: Desk, content: PageMessage) -> None:
    desk.chat.conversation.rename_branch(str(content.get("old")), str(content.get("name", "")).strip())


def _drop(desk: Desk, content: PageMessage) -> None:
    desk.chat.conversation.remove_branch(str(content.get("name")))


def _drop_oldest(desk: Desk, _: PageMessage) -> None:
    _idle(desk.chat)
    desk.chat.drop_oldest()


def _set(desk: Desk, content: PageMessage) -> None:
    name, value = str(content.get("field")), str(content.get("value", ""))
    if name == "priced_as":
        desk.stage.priced_as = value.strip() or None
    else:
        set_control(desk.chat, name, value)
    desk.touch()


def _accept(desk: Desk, _: PageMessage) -> None:
    desk.chat.accept()


def _decline(desk: Desk, _: PageMessage) -> None:
    desk.chat.decline()


def _models(desk: Desk, _: PageMessage) -> None:
    desk.ask_models()


def _new(desk: Desk, _: PageMessage) -> None:
    _idle(desk.chat)
    chat = desk.chat
    fresh = Chat(chat.system, model=chat.model, api=chat.api, trim=chat.trim, **chat.parameters)
    fresh.endpoint = chat.endpoint
    desk.show(fresh)


def _open(desk: Desk, content: PageMessage) -> None:
    _idle(desk.chat)
    opened = _kept(content).open()
    opened.endpoint = opened.endpoint or desk.chat.endpoint
    desk.show(opened)


def _forget(_: Desk, content: PageMessage) -> None:
    _kept(content).delete()


ACTS: Mapping[str, Callable[[Desk, PageMessage], None]] = {
    "ask": _ask,
    "retry": _retry,
    "rerun": _rerun,
    "continue": _go_on,
    "undo": _undo,
    "undo_change": _undo_change,
    "redo_change": _redo_change,
    "edit": _edit,
    "insert": _insert,
    "role": _role,
    "switch": _switch,
    "move": _move,
    "remove": _remove,
    "choose": _choose,
    "keep": _keep,
    "beside": _beside,
    "branch": _branch,
    "checkout": _checkout,
    "rename": _rename,
    "drop": _drop,
    "drop_oldest": _drop_oldest,
    "set": _set,
    "accept": _accept,
    "decline": _decline,
    "models": _models,
    "new": _new,
    "open": _open,
    "forget": _forget,
}


def source(message: Message) -> str:
    """The message's text as a person edits it; of a list of parts, its JSON."""
    if isinstance(message.content, str):
        return message.content
    return json.dumps(message.to_api()["content"], ensure_ascii=False, indent=1)


def _content(message: Message, text: str) -> Any:
    if isinstance(message.content, str) or message.content is None:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This message is a list of parts, and the text is not JSON: {error}.") from None


def _kept(content: PageMessage) -> "Kept":
    from chatkit.chats.history import history

    which = content.get("kept")
    for kept in history(limit=None):
        if kept.id == which:
            return kept
    raise InputError("This conversation is not in the history any more.")


def _id(content: PageMessage) -> str:
    return str(content.get("message"))


def _idle(chat: Chat) -> None:
    if chat.run is not None and not chat.run.done:
        raise InputError("An answer is still coming.", "Wait for it, or stop it.")
