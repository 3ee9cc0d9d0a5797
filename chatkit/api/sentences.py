"""The wire's errors in words: a status and a refusal become an EndpointError of two sentences.

In: a `Refusal`, its status, and the keys that were sent (never to be quoted). Out: an `EndpointError` that quotes the
endpoint's own words, whatever its kind.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from chatkit.api.errors import Refusal, is_missing_model, kind_of, tokens_over
from chatkit.api.text import plain
from chatkit.exceptions import EndpointError

_NOTHING_SAID = re.compile(
    r"\W*(?:(?:error\W*)?404\W*)?(?:page |url |path |the requested url )?(?:not found|invalid url.*|cannot (?:get|post).*)?\W*",
    re.I | re.S,
)
"""Words of a 404 that say no more than its number."""
FEW = 3
"""Words from which on a 404 has something to say."""


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """What a sentence about a refusal may name: the model asked for, the address, the keys it may not."""

    model: str | None = None
    url: str = ""
    keys: tuple[str, ...] = ()


def refused(
    status: int,
    refusal: Refusal,
    asked: RefusedCall,
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


@dataclass(frozen=True, slots=True)
class _Case:
    status: int
    refusal: Refusal
    asked: RefusedCall
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
    why = f" ({code})" if (code := _safe(case.refusal.name, case.asked)) else ""
    cause = f"The account has no credit left, or has reached its spending limit{why}.{case.words}"
    return cause, "Trying again does not help: add credit or raise the limit in the endpoint's billing settings."


def _context(case: _Case) -> tuple[str, str]:
    way_out = "Drop the oldest turns or start a new chat; your text is kept."
    both = tokens_over(case.refusal)
    if both is None:
        return f"The conversation is longer than the model can read.{case.words}", way_out
    came, window = both
    cause = f"The conversation has {came:,} tokens and the model takes {window:,}: {came - window:,} too many."
    return f"{cause}{case.words}", way_out


def _auth(case: _Case) -> tuple[str, str]:
    return f"The endpoint does not accept the API key ({case.status}).{case.words}", (
        "Check that the key is whole, not revoked, and belongs to this endpoint; then connect again."
    )


def _permission(case: _Case) -> tuple[str, str]:
    model = f" to {case.asked.model!r}" if case.asked.model else ""
    return f"The endpoint denies this key access{model} (403).{case.words}", (
        "Choose another model, or ask the owner of the account or project for access."
    )


def _not_found(case: _Case) -> tuple[str, str]:
    if case.asked.model and is_missing_model(case.status, case.refusal):
        cause = (
            f"The endpoint has no model {plain(case.asked.model, case.asked.keys, 80)!r} ({case.status}).{case.words}"
        )
        return cause, "Choose a model that it lists at /models."
    said = plain(case.refusal.message)
    if _NOTHING_SAID.fullmatch(said) or len(said.split()) < FEW or case.refusal.message.lstrip().startswith("<"):
        return f"There is nothing at {case.asked.url} ({case.status}).{case.words}", (
            "Check the base URL; most end in /v1, and not every endpoint speaks this API."
        )
    return f"The endpoint cannot serve this request at {case.asked.url} ({case.status}).{case.words}", (
        "Do what it says, choose another model, or check the base URL."
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


def _safe(value: str | None, asked: RefusedCall) -> str | None:
    return plain(value, asked.keys, 80) if value else value
