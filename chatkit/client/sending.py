"""The client's one place that sends: a body goes out by an openai client, an open response comes back.

In: a client (its address, authentication and headers are used, its retries and objects are not), a JSON
body or the fields of a form with a file. Out: an httpx2 response whose body is still to be read, or `Failed` with an error in words.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import FileIO
from typing import Any
from urllib.parse import urljoin

import httpx2
import openai

from chatkit.api import errors
from chatkit.api.errors import Refusal, is_missing_model, read_refusal, refuses_streams
from chatkit.api.models import read_models
from chatkit.api.sentences import RefusedCall, refused
from chatkit.api.text import clean_url, mend, plain
from chatkit.client import faults
from chatkit.client.attachment import Attachment
from chatkit.client.deadlines import Deadlines
from chatkit.exceptions import BudgetError, ChatkitError, EndpointError, InputError

PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "transcribe": "/audio/transcriptions",
    "translate": "/audio/translations",
}
REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")
_TELLING = re.compile(r"content-type|retry-after|server|(openai|x-ratelimit)-(?!organization|project)[a-z-]+")


@dataclass(eq=False)
class Failed(Exception):  # noqa: N818  # an attempt's end, which the engine judges
    """An attempt that brought no answer: the error, whether another may help, what the endpoint asks."""

    error: ChatkitError
    again: bool = False
    silent: bool = False
    no_model: bool = False
    no_stream: bool = False
    wait: float | None = None
    exchange: Any = None
    raw: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


async def send(
    client: openai.AsyncOpenAI,
    api: str,
    body: Mapping[str, Any],
    number: int,
    deadlines: Deadlines,
    attachment: Attachment | None = None,
) -> httpx2.Response:
    """Send attempt `number`; return the response with its body unread, or raise Failed."""
    keys, url = keys_of(client), url_of(client, api)
    headers = {"x-stainless-retry-count": str(number - 1)}
    file = _opened(attachment)
    if file:
        headers["Content-Type"] = "multipart/form-data"
    try:
        response: Any = await client.post(  # its type says AsyncStream: cast_to is meant for what is no stream
            PATHS[api],
            cast_to=httpx2.Response,
            body=body,
            files=[("file", (attachment.name, file, attachment.mime))] if attachment and file else None,
            options={
                "headers": headers,
                "max_retries": 0,
                "follow_redirects": False,  # the body would go along, and on one's own host even the key
                "timeout": httpx2.Timeout(deadlines.first_content, connect=deadlines.connect),
            },
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        assert isinstance(response, httpx2.Response)
        response.request.extensions.get("timeout", {})["read"] = None  # from here on content counts, not bytes
        return response
    except openai.APIStatusError as error:
        failed = _refused(error, RefusedCall(_model(body), url, keys), number)
    except (openai.APIConnectionError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        said, again = faults.no_answer(error, url, deadlines)
        silent = any(isinstance(e, httpx2.ReadTimeout) for e in faults.causes(error))
        failed = Failed(said, again, silent=silent, exchange=exchange_of(error))
    except BudgetError as error:
        failed = Failed(error)
    except UnicodeEncodeError:
        failed = Failed(InputError("The key or the request has characters that cannot be sent.", "Check the API key."))
    except (ValueError, TypeError) as error:
        failed = Failed(InputError(f"The request cannot be sent as JSON: {error}."))
    except RuntimeError:
        failed = Failed(InputError("The client is closed.", "Connect again."))
    except Exception as error:  # noqa: BLE001  # a key that a function provides may fail in any way
        said = EndpointError(
            f"The client could not get its key: {type(error).__name__}.", "Connect again.", kind="auth"
        )
        failed = Failed(said)
    finally:
        if file:
            file.close()
    raise failed from None  # the SDK's exceptions hold the request with its key


def _opened(attachment: Attachment | None) -> FileIO | None:
    try:
        return attachment.open() if attachment else None
    except OSError as error:
        raise Failed(InputError(f"The audio cannot be read any more: {error.strerror}.", "Give it again.")) from None


def _refused(error: openai.APIStatusError, asked: RefusedCall, number: int) -> Failed:
    response, now = error.response, datetime.now(UTC)
    asked = replace(asked, keys=(*asked.keys, *_keys_in(response.request.headers)))
    raw = response.content
    refusal = read_refusal(raw)
    if 300 <= response.status_code < 400:
        refusal = Refusal(_base_of(urljoin(asked.url, response.headers.get("location", ""))))
    status, headers = response.status_code, response.headers
    wait = errors.asked_wait(headers, now)
    said = refused(
        status,
        refusal,
        asked,
        request_id=request_id_of(response),
        retry_at=errors.retry_time(wait, now) if wait is not None else None,
        tries=number,
    )
    return Failed(
        said,
        errors.may_retry(status, refusal, headers),
        no_model=bool(asked.model) and is_missing_model(status, refusal),
        no_stream=refuses_streams(status, refusal),
        wait=wait,
        exchange=response.extensions.get("chatkit_exchange"),
        raw=raw,
        headers=telling_headers(headers, asked.keys),
    )


async def list_models(client: openai.AsyncOpenAI, deadlines: Deadlines) -> list[str]:
    """The names that the endpoint lists; none where it does not."""
    try:
        return [model["id"] for model in await models(client, deadlines)]
    except ChatkitError:
        return []  # the names are a courtesy in the sentence about another error


async def models(client: openai.AsyncOpenAI, deadlines: Deadlines) -> list[dict[str, Any]]:
    """The models that the endpoint lists, each at least with an `id`; raises an EndpointError in words."""
    url = clean_url(f"{str(client.base_url).rstrip('/')}/models")
    options: Any = {"max_retries": 0, "follow_redirects": False, "timeout": httpx2.Timeout(deadlines.connect)}
    try:
        response = await client.get("/models", cast_to=httpx2.Response, options=options)
        return read_models(response.content)
    except openai.APIStatusError as error:
        asked = RefusedCall(None, url, (*keys_of(client), *_keys_in(error.response.request.headers)))
        said: ChatkitError = refused(error.status_code, read_refusal(error.response.content), asked)
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        said, _ = faults.no_answer(error, url, deadlines)
    except ValueError:
        said = EndpointError(f"What {url} answers is no list of models.", "Type the model's name.", kind="not_found")
    raise said from None


def _base_of(url: str) -> str:
    for path in PATHS.values():
        url = re.sub(rf"{path}/?(\?.*)?$", "", url)
    return clean_url(url)


def exchange_of(error: BaseException) -> Any:
    """What the meter hung on an exception, or on one that it came from."""
    found = (getattr(e, "chatkit_exchange", None) for e in faults.causes(error))
    return next((exchange for exchange in found if exchange is not None), None)


def url_of(client: openai.AsyncOpenAI, api: str) -> str:
    """Where a request goes, without what must not be shown."""
    return clean_url(str(client.base_url).rstrip("/") + PATHS[api])


def keys_of(client: openai.AsyncOpenAI) -> tuple[str, ...]:
    """The keys that the client may send."""
    held = (getattr(client, name, None) for name in ("api_key", "admin_api_key", "_azure_ad_token"))
    return tuple(key for key in held if isinstance(key, str) and key)


def _keys_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    sent = (headers.get(name, "").removeprefix("Bearer ") for name in ("authorization", "api-key", "x-api-key"))
    return tuple(filter(None, sent))


def request_id_of(response: httpx2.Response) -> str | None:
    """The id to name when asking the endpoint's support."""
    found = next((response.headers[name] for name in REQUEST_IDS if name in response.headers), None)
    return None if found is None else mend(found)


def telling_headers(headers: Mapping[str, str], keys: Iterable[str] = ()) -> dict[str, str]:
    """The headers of an answer that tell a person something: limits, versions, times; no cookie, no account."""
    return {name: plain(value, keys, 200) for name, value in headers.items() if _TELLING.fullmatch(name)}


def _model(body: Mapping[str, Any]) -> str | None:
    model = body.get("model")
    return model if isinstance(model, str) else None
