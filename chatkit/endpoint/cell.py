"""A conversation as a notebook's cell: the Python that makes it again.

In: messages, the model asked for, parameters, the endpoint. Out: a short cell to read and to change, valid
for any text, without a key.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from chatkit.api.hosts import OPENAI
from chatkit.conversation import Message
from chatkit.endpoint.address import Endpoint, is_loopback
from chatkit.endpoint.literals import SourceCode, call
from chatkit.endpoint.redact import KEY, without_keys


def conversation_code(
    messages: Iterable[Message | Mapping[str, Any]],
    model: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    api: str = "chat",
    endpoint: Endpoint | None = None,
) -> str:
    """A notebook cell that makes the conversation again, those switched off included, and shows it.

    >>> print(conversation_code([{"role": "user", "content": "Hi"}], "gpt-6-luna", {"seed": 7}))
    import chatkit
    <BLANKLINE>
    chat = chatkit.Chat(
        model="gpt-6-luna",
        seed=7,
        conversation=[{"role": "user", "content": "Hi"}],
    )
    chat
    """
    client = _connection(endpoint) if endpoint else None
    asked = without_keys({"model": model, "api": None if api == "chat" else api, **(parameters or {})})
    arguments = {"client": client, **asked}
    told = [_told(message if isinstance(message, Message) else Message.from_api(message)) for message in messages]
    said = {name: value for name, value in arguments.items() if value is not None} | {"conversation": told}
    imports = "import os\n\nimport chatkit" if client and "os." in client else "import chatkit"
    return f"{imports}\n\nchat = {call('chatkit.Chat', said)}\nchat"


def _connection(endpoint: Endpoint) -> SourceCode | None:
    if endpoint.local:
        return SourceCode("chatkit.connect(local=True)")
    if endpoint.azure:
        given = {name: value for name, value in endpoint.azure if isinstance(value, str) and name != "api_key"}
        return _connect(without_keys(given))
    if endpoint.url == OPENAI:
        return None
    key = SourceCode(f'os.environ["{KEY}"]')
    here = is_loopback(endpoint.base_url)
    return _connect({"base_url": endpoint.url} | ({} if here else {"api_key": key}))


def _connect(arguments: Mapping[str, Any]) -> SourceCode:
    return SourceCode(call("chatkit.connect", arguments, indent=4, used=len("client=,")))


def _told(message: Message) -> Any:
    """The message in the API's form, or as a `Message` where that form would lose something."""
    said = without_keys(message.to_api())
    kept: dict[str, Any] = {} if message.enabled else {"enabled": False}
    if message.outcome not in (None, "complete"):
        kept |= {"outcome": message.outcome}
    if not kept:
        return said
    extra = {name: value for name, value in said.items() if name not in ("role", "content")}
    more = kept | ({"extra": extra} if extra else {})
    return SourceCode(call("chatkit.Message", more, said["role"], said["content"], indent=8, used=1))
