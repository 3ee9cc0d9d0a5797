"""A request, or a conversation, as the code that makes it again: Python, curl, JSON, a notebook's cell.

In: a request (`method`, `url`, `body`, as in `Reply.request`). Out: source that runs as it is, for any text,
and in which there is never a key: one that stands in the request becomes `[key]`, and the code takes its
own from the environment.
"""

import math
import re
from collections.abc import Iterable, Mapping
from json import dumps
from keyword import iskeyword
from typing import Any
from urllib.parse import parse_qsl, quote

from chatkit.api.hosts import OPENAI
from chatkit.api.parameters import named
from chatkit.client import local_process
from chatkit.client.address import Endpoint, is_loopback
from chatkit.client.keys import AZURE_KEY, KEY, without_keys
from chatkit.conversation.conversation import Message
from chatkit.system.shell import BODY, Shell, body_of, quoted, quoted_url

WIDTH = 88
STEP = 4

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class SourceCode(str):
    """A piece of Python that stands as it is, such as `os.environ["OPENAI_API_KEY"]`."""

    __slots__ = ()


def literal(value: Any, indent: int = 0, used: int = 0) -> str:
    """The expression; its lines after the first are indented by `indent` at least, its first has `used` columns less.

    >>> print(literal({"role": "user", "content": 'Say "hi"'}))
    {"role": "user", "content": 'Say "hi"'}
    """
    flat = _flat(value)
    if "\n" not in flat and indent + used + len(flat) <= WIDTH:
        return flat
    if isinstance(value, Mapping) and value:
        return _exploded("{", ((f"{_flat(key)}: ", item) for key, item in value.items()), "}", indent)
    if isinstance(value, list | tuple) and value:
        return _exploded("[", (("", item) for item in value), "]", indent)
    return flat


def call(function: str, arguments: Mapping[str, Any], *positional: Any, indent: int = 0, used: int = 0) -> str:
    """A call, on one line if it fits, else with one argument a line.

    >>> print(call("OpenAI", {"base_url": "http://127.0.0.1:8080/v1"}))
    OpenAI(base_url="http://127.0.0.1:8080/v1")
    """
    named = {name: value for name, value in arguments.items() if is_name(name)}
    spread = {name: value for name, value in arguments.items() if name not in named}
    parts = [*(("", value) for value in positional), *((f"{name}=", value) for name, value in named.items())]
    parts += [("**", spread)] if spread else []
    flat = ", ".join(f"{before}{_flat(value)}" for before, value in parts)
    if "\n" not in flat and indent + used + len(function) + len(flat) + 2 <= WIDTH:
        return f"{function}({flat})"
    return function + _exploded("(", parts, ")", indent)


def is_name(name: str) -> bool:
    """Whether it can be a keyword argument's name."""
    return name.isascii() and name.isidentifier() and not iskeyword(name)


def text(value: str) -> str:
    r"""A string's literal: in double quotes if nothing speaks against it, over several lines if that is safe.

    >>> print(text('tab\t"quoted" \u202e'), text("it's"))
    'tab\t"quoted" \u202e' "it's"
    """
    if "\n" in value.strip("\n") and _stands_in_triple_quotes(value):
        return f'"""{value}"""'
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(f"\\{c}" if c == quote else _escaped(c) for c in value) + quote


def _stands_in_triple_quotes(value: str) -> bool:
    """Whether the text reads the same between triple quotes, and no tool that trims lines would change it."""
    lines = value.split("\n")
    return (
        all(line.isprintable() and line == line.rstrip() for line in lines)
        and "\\" not in value
        and '"""' not in value
        and not value.endswith('"')
    )


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else repr(character)[1:-1]


def _flat(value: Any) -> str:
    if isinstance(value, SourceCode):
        return str(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return repr(value)


def _exploded(opening: str, parts: Iterable[tuple[str, Any]], closing: str, indent: int) -> str:
    inner = indent + STEP
    lines = [f"{' ' * inner}{before}{literal(value, inner, len(before) + 1)},\n" for before, value in parts]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"


ARGUMENT = 100_000
"""Bytes that a shell surely takes as one argument (Linux: 131,072)."""

_VERBS = {
    "/chat/completions": "chat.completions.create",
    "/responses": "responses.create",
    "/completions": "completions.create",
}
LOCAL_HEAD = {
    "sh": "# as it stands in a cell that begins with %%bash; in a terminal first: "
    f"export {local_process.KEY}=… (chatkit.connect(local=True).api_key)\n",
    "powershell": f'# in PowerShell first: $env:{local_process.KEY} = "…" (chatkit.connect(local=True).api_key)\n',
}
_PRINTED = {
    "/chat/completions": (
        "{}.choices[0].message.content",
        "for choice in chunk.choices:",
        'choice.delta.content or ""',
    ),
    "/responses": ("{}.output_text", 'if chunk.type == "response.output_text.delta":', "chunk.delta"),
    "/completions": ("{}.choices[0].text", "for choice in chunk.choices:", "choice.text"),
}


def python(request: Mapping[str, Any], *, local: bool | None = None) -> str:
    """The request as Python on openai's SDK, a stream printed as it comes.

    `local` says that it went to chatkit's own local server, whose address and key are new each time: the
    code then connects by `chatkit.connect(local=True)`. None: found out by the address.

    >>> print(python({"url": "https://api.openai.com/v1/responses", "body": {"model": "gpt-6-luna", "input": "Hi"}}))
    from openai import OpenAI
    <BLANKLINE>
    client = OpenAI()  # the key is in OPENAI_API_KEY
    response = client.responses.create(model="gpt-6-luna", input="Hi")
    print(response.output_text)
    """
    base, path, query = _place(str(request["url"]))
    imports, client = _client(base, query, local_process.is_ours(base) if local is None else local)
    body = without_keys(request.get("body") or {})
    return f"{imports}\n\nclient = {client}\n{_sending(path, body)}"


def curl(request: Mapping[str, Any], *, local: bool | None = None, shell: Shell = "sh") -> str:
    """The request as a command for sh, its body quoted whatever is in it; a long one is a here-document.

    `local` as for `python`; such a command runs in this kernel as it is, and says what another terminal needs. `shell`
    may be "powershell": then the program is `curl.exe`, and the body goes by a file.

    >>> print(curl({"url": "https://api.openai.com/v1/responses", "body": {"model": "gpt-6-luna", "input": "It's"}}))
    curl https://api.openai.com/v1/responses \\
      -H "Authorization: Bearer $OPENAI_API_KEY" \\
      -H "Content-Type: application/json" \\
      -d '{
      "model": "gpt-6-luna",
      "input": "It'\\''s"
    }'
    """
    url = _printable(without_keys(str(request["url"])))
    own = local_process.is_ours(_place(url)[0]) if local is None else local
    header, name = ("api-key: ", AZURE_KEY) if _is_azure(url) else ("Authorization: Bearer ", KEY)
    name = local_process.KEY if own and name == KEY else name
    written = _for_powershell if shell == "powershell" else _for_sh
    return LOCAL_HEAD[shell] * own + written(url, header, name, _flags(request, url), json(request))


def _flags(request: Mapping[str, Any], url: str) -> str:
    flags = "-N " * bool((request.get("body") or {}).get("stream")) + "-g " * bool(re.search(r"[\[\]{}]", url))
    method = str(request.get("method") or "POST").upper()
    return flags + (f"-X {quoted(method)} " if method != "POST" else "")


def _for_sh(url: str, header: str, name: str, flags: str, body: str) -> str:
    start = f'curl {flags}{quoted(url)} \\\n  -H "{header}${name}" \\\n  -H "Content-Type: application/json" \\\n  '
    if len(body.encode()) <= ARGUMENT:
        return f"{start}-d {quoted(body)}"
    # no line of JSON is the one word JSON; an interactive bash would read "!" as a command from its history
    return start + "--data-binary @- <<'JSON'\n" + body.replace("!", "\\u0021") + "\nJSON"


def _for_powershell(url: str, header: str, name: str, flags: str, body: str) -> str:
    headers = f'-H "{header}$env:{name}" -H "Content-Type: application/json"'
    return f'{body_of(body)}\ncurl.exe {flags}{quoted_url(url)} {headers} --data-binary "@{BODY}"'


def json(request: Mapping[str, Any]) -> str:
    """The request's body as JSON to read, characters that cannot be seen as escapes."""
    text = dumps(without_keys(request.get("body") or {}), ensure_ascii=False, indent=2)
    if text.isascii():
        return text
    return "".join(c if c.isprintable() or c == "\n" else dumps(c)[1:-1] for c in text)


def _place(url: str) -> tuple[str, str, str]:
    """The base URL, the path of the call below it, the query."""
    address, _, query = without_keys(url).partition("?")
    path = next((path for path in _VERBS if address.endswith(path)), "")
    return address.removesuffix(path) if path else address.rpartition("/")[0], path or _last(address), query


def _last(address: str) -> str:
    return "/" + address.rpartition("/")[2]


def _is_azure(url: str) -> bool:
    return "/openai/deployments/" in url or "api-version=" in url


def _client(base: str, query: str, local: bool) -> tuple[str, str]:
    """The lines that import, and the expression that makes the client."""
    asked = dict(parse_qsl(query))
    if local:
        return "import chatkit", "chatkit.connect(local=True)"
    if _is_azure(f"{base}/?{query}"):
        host, _, deployment = base.partition("/openai")
        where = {"azure_endpoint": host, "azure_deployment": deployment.removeprefix("/deployments/") or None}
        named = where | {name.replace("-", "_"): value for name, value in asked.items()}
        made = call("AzureOpenAI", {name: value for name, value in named.items() if value}, used=len("client = "))
        return "from openai import AzureOpenAI", f"{made}  # the key is in {AZURE_KEY}"
    if base == OPENAI and not asked:
        return "from openai import OpenAI", f"OpenAI()  # the key is in {KEY}"
    key = SourceCode(f'os.environ.get("{KEY}", "none")' if is_loopback(base) else f'os.environ["{KEY}"]')
    more = {"default_query": asked} if asked else {}
    return "import os\n\nfrom openai import OpenAI", call(
        "OpenAI", {"base_url": base, "api_key": key, **more}, used=len("client = ")
    )


def _sending(path: str, body: Mapping[str, Any]) -> str:
    if path not in _VERBS:
        return (
            f"response = {call('client.post', {'cast_to': SourceCode('object'), 'body': body}, path)}\nprint(response)"
        )
    takes = named(_VERBS[path].split(".")[0])  # others go into `extra_body`
    known = {name: value for name, value in body.items() if name in takes}
    rest = {name: value for name, value in body.items() if name not in known}
    arguments = known | ({"extra_body": rest} if rest else {})
    answer, step, piece = _PRINTED[path]
    name = "stream" if body.get("stream") else "response"
    sent = f"{name} = {call(f'client.{_VERBS[path]}', arguments, used=len(name) + 3)}"
    if name == "response":
        return f"{sent}\nprint({answer.format(name)})"
    return f'{sent}\nfor chunk in stream:\n    {step}\n        print({piece}, end="")'


def _printable(url: str) -> str:
    return "".join(c if c.isprintable() else quote(c) for c in url)


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
