"""A request as the code that sends it: Python (openai's SDK), curl, JSON.

In: a request (`method`, `url`, `body`, as in `Reply.request`). Out: source that runs as it is, for any text,
and in which there is never a key: one that stands in the request becomes `[key]`, and the code takes its
own from the environment.
"""

import re
from collections.abc import Mapping
from json import dumps
from typing import Any
from urllib.parse import parse_qsl, quote

from chatkit.api.hosts import OPENAI
from chatkit.api.parameters import named
from chatkit.endpoint import launch
from chatkit.endpoint.address import is_loopback
from chatkit.endpoint.literals import SourceCode, call
from chatkit.endpoint.redact import AZURE_KEY, KEY, without_keys

ARGUMENT = 100_000
"""Bytes that a shell surely takes as one argument (Linux: 131,072)."""

_VERBS = {
    "/chat/completions": "chat.completions.create",
    "/responses": "responses.create",
    "/completions": "completions.create",
}
LOCAL_HEAD = f"# as it stands in a cell that begins with %%bash; in a terminal first: export {launch.KEY}=… (chatkit.connect(local=True).api_key)\n"
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
    imports, client = _client(base, query, launch.is_ours(base) if local is None else local)
    body = without_keys(request.get("body") or {})
    return f"{imports}\n\nclient = {client}\n{_sending(path, body)}"


def curl(request: Mapping[str, Any], *, local: bool | None = None) -> str:
    """The request as a command for bash, its body quoted whatever is in it; a long one is a here-document.

    `local` as for `python`; such a command runs in this kernel as it is, and says what another terminal needs.

    >>> print(curl({"url": "https://api.openai.com/v1/responses", "body": {"model": "gpt-6-luna", "input": "It's"}}))
    curl https://api.openai.com/v1/responses \\
      -H "Authorization: Bearer $OPENAI_API_KEY" \\
      -H "Content-Type: application/json" \\
      -d '{
      "model": "gpt-6-luna",
      "input": "It'\\''s"
    }'
    """
    url, body = _printable(without_keys(str(request["url"]))), request.get("body") or {}
    own = launch.is_ours(_place(url)[0]) if local is None else local
    key = f"api-key: ${AZURE_KEY}" if _is_azure(url) else f"Authorization: Bearer ${launch.KEY if own else KEY}"
    flags = "-N " * bool(body.get("stream")) + "-g " * bool(re.search(r"[\[\]{}]", url))
    method = str(request.get("method") or "POST").upper()
    flags += f"-X {_quoted(method)} " if method != "POST" else ""
    start = (
        LOCAL_HEAD * own
        + f'curl {flags}{_quoted(url)} \\\n  -H "{key}" \\\n  -H "Content-Type: application/json" \\\n  '
    )
    text = json(request)
    if len(text.encode()) <= ARGUMENT:
        return f"{start}-d {_quoted(text)}"
    # no line of JSON is the one word JSON; an interactive bash would read "!" as a command from its history
    return start + "--data-binary @- <<'JSON'\n" + text.replace("!", "\\u0021") + "\nJSON"


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


def _quoted(text: str) -> str:
    """One word for bash, of any text."""
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
