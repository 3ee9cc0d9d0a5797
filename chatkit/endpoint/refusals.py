"""The endpoint door's reading of a refusal: a status and a body become an EndpointError in words.

In: what the endpoint answered instead of an answer, and the keys that were sent (never to be quoted).
Out: an `EndpointError` whose kind says what it is, whatever dialect the endpoint speaks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatkit.endpoint.attempts import is_hopeless
from chatkit.endpoint.redact import plain
from chatkit.exceptions import EndpointError

_WINDOW = re.compile(
    r"context (?:length|window|size)\D{0,40}?([\d,_]{2,})|(?:maximum|limit|n_ctx)\D{0,20}?([\d,_]{2,})", re.I
)
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|exceeds? the (?:available )?context", re.I
)
_NUMBER = re.compile(r"\d[\d,_]*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error object of an API answer, as far as there is one."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    prompt_tokens: int | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sentence about a refusal may name: the model asked for, the address, the keys it may not."""

    model: str | None = None
    url: str = ""
    keys: tuple[str, ...] = ()


def read_refusal(body: bytes) -> Refusal:
    """Find the error in a body: the API's `{"error": …}`, other servers' forms, HTML, or plain text.

    >>> read_refusal(b'{"error": {"message": "Slow down", "code": "slow_down"}}')
    Refusal(message='Slow down', code='slow_down', type=None, param=None, prompt_tokens=None, window=None)
    """
    text = body.decode("utf-8", "replace")
    try:
        return from_object(json.loads(text)) or Refusal(text)
    except (ValueError, RecursionError):
        return Refusal(text)


def from_object(value: Any) -> Refusal | None:
    """Read an error object, or an object that holds one; None where there is no word of an error."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, Mapping):
        return Refusal(value) if isinstance(value, str) and value else None
    error = value.get("error") or value
    if isinstance(error, str):
        error = {"message": error, **{k: v for k, v in value.items() if k in ("code", "type", "param")}}
    if not isinstance(error, Mapping):
        return None
    words = next((error[k] for k in ("message", "detail", "error_description", "title") if error.get(k)), "")
    if not words and error is value:
        return None
    return Refusal(
        message=words if isinstance(words, str) else json.dumps(words),
        code=_word(error.get("code")),
        type=_word(error.get("type")),
        param=_word(error.get("param")),
        prompt_tokens=_count(error.get("n_prompt_tokens")),
        window=_count(error.get("n_ctx")),
    )


def refused(
    status: int,
    refusal: Refusal,
    asked: Asked,
    *,
    request_id: str | None = None,
    retry_at: datetime | None = None,
    tries: int = 1,
) -> EndpointError:
    """Say a refusal in words: the thing, the rule, the way out."""
    kind = kind_of(status, refusal)
    cause, way_out = _SENTENCES[kind](_Case(status, refusal, asked, retry_at, tries))
    return EndpointError(
        cause,
        way_out,
        kind=kind,
        status=status,
        code=_safe(refusal.code, asked),
        type=_safe(refusal.type, asked),
        param=_safe(refusal.param, asked),
        request_id=request_id,
        retry_at=retry_at,
    )


def kind_of(status: int, refusal: Refusal) -> str:
    """The kind of EndpointError that a status and an error code make."""
    names = f"{refusal.code} {refusal.type}"
    if is_hopeless(refusal.code) or is_hopeless(refusal.type):
        return "quota"
    if _TOO_LONG.search(f"{names} {refusal.message[:2000]}") and status in (200, 400, 413, 422):
        return "context_length"
    if status == 429 or "rate_limit" in names or refusal.code in ("slow_down", "429"):
        return "rate_limit"
    by_status = {401: "auth", 403: "permission", 404: "not_found", 408: "timeout"}
    if status in by_status:
        return by_status[status]
    if refusal.code in ("invalid_api_key", "model_not_found"):
        return "auth" if refusal.code == "invalid_api_key" else "not_found"
    if 300 <= status < 400:
        return "connection"
    if status == 200:
        return "server"
    return "server" if status >= 500 or status in (409,) else "bad_request"


def is_missing_model(refusal: Refusal, asked: Asked) -> bool:
    """Say whether a 404 is about the model, and not about the address."""
    return bool(asked.model) and "model" in f"{refusal.code} {refusal.message[:2000]}".lower()


def tokens_over(refusal: Refusal) -> tuple[int, int] | None:
    """Read how many tokens came and how many the model takes, where the refusal names both.

    >>> tokens_over(Refusal("maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."))
    (9000, 8192)
    """
    if refusal.prompt_tokens and refusal.window:
        return refusal.prompt_tokens, refusal.window
    text = refusal.message[:2000]
    found = _WINDOW.search(text)
    window = _count(found[1] or found[2]) if found else None
    numbers = [n for n in map(_count, _NUMBER.findall(text)) if n]
    came = next((n for n in numbers if window and n > window), None)
    return (came, window) if came and window else None


@dataclass(frozen=True, slots=True)
class _Case:
    status: int
    refusal: Refusal
    asked: Asked
    retry_at: datetime | None
    tries: int

    @property
    def words(self) -> str:
        """The endpoint's own words, for the end of a sentence."""
        said = plain(self.refusal.message, self.asked.keys)
        return f" It says: “{said}”" if said else ""

    @property
    def number(self) -> str:
        return f", {case}" if (case := self.status) >= 400 else ""

    @property
    def tried(self) -> str:
        return f" after {self.tries} attempts" if self.tries > 1 else ""


def _rate_limit(case: _Case) -> tuple[str, str]:
    cause = f"The endpoint takes no more requests for now (rate limit{case.number}){case.tried}.{case.words}"
    if case.retry_at:
        return cause, f"Try again at {clock(case.retry_at)}."
    return cause, "Wait a moment and try again."


def _quota(case: _Case) -> tuple[str, str]:
    named = f" ({case.refusal.code})" if case.refusal.code else ""
    cause = f"The account has no credit left, or has reached its spending limit{named}.{case.words}"
    return cause, "Trying again does not help: add credit or raise the limit in the endpoint's billing settings."


def _context(case: _Case) -> tuple[str, str]:
    way_out = "Drop the oldest turns or start a new chat; your text is kept."
    both = tokens_over(case.refusal)
    if both is None:
        return f"The conversation is longer than the model can read.{case.words}", way_out
    came, window = both
    cause = f"The conversation has {came:,} tokens and the model takes {window:,}: {came - window:,} too many."
    return cause, way_out


def _auth(case: _Case) -> tuple[str, str]:
    # the API quotes the key's ends in this body, so none of its words are passed on
    return f"The endpoint does not accept the API key ({case.status}).", (
        "Check that the key is whole, not revoked, and belongs to this endpoint; then connect again."
    )


def _permission(case: _Case) -> tuple[str, str]:
    model = f" to {case.asked.model!r}" if case.asked.model else ""
    return f"The endpoint denies this key access{model} (403).{case.words}", (
        "Choose another model, or ask the owner of the account or project for access."
    )


def _not_found(case: _Case) -> tuple[str, str]:
    if is_missing_model(case.refusal, case.asked):
        return f"The endpoint has no model {case.asked.model!r} (404).", "Choose a model that it lists at /models."
    return f"There is nothing at {case.asked.url} (404).{case.words}", (
        "Check the base URL; most end in /v1, and not every endpoint speaks this API."
    )


def _server(case: _Case) -> tuple[str, str]:
    if case.status == 200:
        return f"The endpoint reported an error in its answer.{case.words}", "Try again."
    return f"The endpoint failed ({case.status}){case.tried}.{case.words}", "It is not your request: try again later."


def _timeout(case: _Case) -> tuple[str, str]:
    return f"The endpoint gave up waiting ({case.status}){case.tried}.{case.words}", "Try again."


def _bad_request(case: _Case) -> tuple[str, str]:
    param = _safe(case.refusal.param, case.asked)
    named = f" because of {param!r}" if param else ""
    return f"The endpoint refused the request ({case.status}){named}.{case.words}", "Change the request and send again."


def _redirect(case: _Case) -> tuple[str, str]:
    return (
        f"The endpoint sends elsewhere ({case.status}), to {plain(case.refusal.message, case.asked.keys)}.",
        "Nothing was sent there, since the key would go along. If you trust that address, make it the base URL.",
    )


_SENTENCES = {
    "rate_limit": _rate_limit,
    "quota": _quota,
    "context_length": _context,
    "auth": _auth,
    "permission": _permission,
    "not_found": _not_found,
    "server": _server,
    "timeout": _timeout,
    "bad_request": _bad_request,
    "connection": _redirect,
}


def clock(at: datetime) -> str:
    """A moment as the reader's own clock shows it, with the day if it is not today.

    >>> clock(datetime(2020, 1, 2, 3, 4).astimezone())
    '03:04 on 2020-01-02'
    """
    here = at.astimezone()
    today = datetime.now().astimezone().date()
    return f"{here:%H:%M}" if here.date() == today else f"{here:%H:%M} on {here:%Y-%m-%d}"


def _word(value: Any) -> str | None:
    return str(value)[:200] if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def _safe(value: str | None, asked: Asked) -> str | None:
    return plain(value, asked.keys, 80) if value else value


def _count(value: Any) -> int | None:
    try:
        return int(str(value).replace(",", "").replace("_", "")[:12])
    except ValueError:
        return None
