"""The wire's errors: what kind of trouble an endpoint speaks of, and whether the attempt is made again.

In: the body of a refusal, an error inside of an answer, a status. Out: a `Refusal`, its kind (the word that
`EndpointError.kind` has), the numbers of a conversation that is too long. How servers word things stands in the
tables; sentences.py tells people.

Nothing here waits.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from chatkit.api.text import decode, mend

_WORDS = ("message", "detail", "error_description", "title", "error_msg", "error_message", "msg", "Message", "reason")
_CODES = ("code", "error_code", "errorCode")
_TYPES = ("type", "status", "__type")
MOST = 2000
"""Characters of an endpoint's words in which a rule is looked for."""

HOPELESS = (
    r"insufficient_(?:user_)?(?:quota|balance|credits?)"  # OpenAI; new-api; DeepSeek's gateways
    r"|credit_balance_exhausted|billing|(?:^|_)spend_limit_exceeded"  # OpenAI
    r"|exceeded_current_quota|payment_required|arrearage"  # Moonshot; HTTP; DashScope
)
"""Codes and types that say that money is at its end: no second try helps."""
NO_MONEY = (
    r"credit balance is too low|insufficient (?:account )?(?:balance|credits?|funds)|out of credits?"
    r"|requires? more credits|account .{0,30}overdue|payment required|add (?:more )?credits"  # Anthropic, DeepSeek, OpenRouter
)
BAD_KEY = (
    r"(?:incorrect|invalid|wrong|expired|missing|unknown|malformed|revoked)\s+(?:or \w+ )?(?:api[ _-]?key|access token)"  # xAI
    r"|api[ _-]?key\s+(?:you provided\s+)?(?:is\s+|has\s+)?(?:not valid|invalid|incorrect|expired|not found|missing|been revoked)"  # Gemini
    r"|\b(?:invalid_api_key|api_key_invalid|authentication_error|invalid_authentication_error)\b"
)
TOO_LONG = "|".join(
    (
        r"context_length_exceeded|maximum context length",  # OpenAI, vLLM, OpenRouter, Mistral
        r"exceed_context_size|exceeds? the (?:available )?context|context size has been exceeded",  # llama-server
        r"tokens to keep from the initial prompt|keep the first \d+ tokens|context (?:the )?overflow",  # LM Studio
        r"(?:greater|longer) than the (?:model'?s? )?(?:context|maximum model) length",  # LM Studio, vLLM
        r"reached context length",  # LM Studio
        r"input token count.{0,40}exceeds|exceeds the maximum number of (?:input )?tokens",  # Gemini
        r"maximum prompt length",  # xAI
        r"prompt is too long|exceeds? (?:the )?(?:model'?s? )?context (?:limit|length|window)",  # Anthropic, Fireworks
        r"tokens \+ .max_new_tokens. must be <=|inputs. must have less than",  # TGI, Together
        r"input is too long for|too many input tokens",  # Bedrock
        r"context window (?:exceeds|of this model)|exceeds? maximum context",  # MiniMax, Ollama
        r"prompt contains \d+ tokens.{0,60}too large for",  # Mistral
        r"too many tokens: |exceeded model token limit|prompt exceeds max length",  # Cohere, Moonshot, z.AI
        r"reduce the length of the (?:messages|prompt|input)|range of input length should be",  # Groq, Cerebras, DashScope
        r"max_prompt_tokens_exceeded|tokens_limit_reached|prompt token count of \d+ exceeds",  # GitHub
    )
)
NO_MODEL = (
    r"(?s)model_not_found|deploymentnotfound|not a valid model|(?:unknown|no such|invalid|unsupported) model"
    r"|model\b.{0,120}?(?:not found|does ?n.t exist|does not exist|not exist|is not supported|not available|isn.t available"
    r"|unavailable|no longer|deprecated|has been (?:shut|removed|retired))"
    r"|models/\S+ is not found|no endpoints found for\b|deployment .{0,60}does not exist"  # OpenRouter, Azure
)
POLICY = r"polic(?:y|ies)|privacy|moderation|guardrail|allowed providers|data collection|region|country"
"""A 404 that is about rules, not about the model: OpenRouter's data policy."""
NO_STREAM = (
    r"verified to (?:use )?stream|(?:does not|doesn.t|cannot|can.t|can not|not) (?:support|allow|accept|be) stream"
    r"|stream(?:ing|ed|s)?(?:\W{0,3}|\W+\w+\W+(?:is|are)\W+|\W+(?:is|are|mode is|responses? (?:is|are))\W+)"
    r"not (?:supported|allowed|available|enabled|permitted)|unsupported.{0,20}\bstream\b"
)
_NOT_LONG = (401, 402, 403, 408, 429)
_WINDOWS = (
    r"n_ctx\D{0,5}([\d,_]{2,})",
    r">\s*([\d,_]{2,})\s*maximum",
    r"<=\s*([\d,_]{2,})",
    r"(?:context (?:length|window|size|limit)|prompt length)\D{0,40}?([\d,_]{2,})",
    r"([\d,_]{2,})\s+maximum context",
    r"(?:maximum|limit|less than)\D{0,40}?([\d,_]{2,})",
)
_NUMBER = r"\d[\d,_]*"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error object of an API answer, as far as there is one."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    prompt_tokens: int | None = None
    window: int | None = None

    @property
    def said(self) -> str:
        """Code, type and words, in which a rule is looked for."""
        return f"{self.code} {self.type} {self.message[:MOST]}"

    @property
    def name(self) -> str | None:
        """What a usage row keeps of it."""
        return self.code or self.type


def read_refusal(body: bytes) -> Refusal:
    """Find the error in a body: the API's `{"error": …}`, other servers' forms, HTML, or plain text.

    >>> read_refusal(b'{"error": {"message": "Slow down", "code": "slow_down"}}')
    Refusal(message='Slow down', code='slow_down', type=None, param=None, prompt_tokens=None, window=None)
    """
    text = body.decode("utf-8", "replace")
    try:
        return from_object(decode(text)) or Refusal(text)
    except ValueError:
        return Refusal(mend(text))


def from_object(value: Any) -> Refusal | None:
    """Read an error object, or an object that holds one; None where there is no word of an error."""
    if isinstance(value, list) and value:
        value = value[0]  # Gemini puts its error into an array
    if not isinstance(value, Mapping):
        return Refusal(mend(value)) if isinstance(value, str) and value else None
    error = _inner(value)
    if isinstance(error, str):  # xAI, Ollama, LM Studio: the code stands beside the words
        error = {"message": error, **{k: v for k, v in value.items() if k in (*_CODES, *_TYPES, "param")}}
    if not isinstance(error, Mapping):
        return None
    words = next((error[key] for key in _WORDS if error.get(key)), "")
    if not words and error is value:
        return None
    return Refusal(
        message=mend(words) if isinstance(words, str) else json.dumps(words),
        code=_word(error, _CODES),
        type=_word(error, _TYPES),
        param=_word(error, ("param",)),
        prompt_tokens=_count(error.get("n_prompt_tokens")),
        window=_count(error.get("n_ctx")),
    )


def error_in(answer: Mapping[str, Any]) -> Refusal | None:
    """The error that stands inside of what looks like an answer; None where there is none."""
    if not (error := answer.get("error")):
        return None
    return from_object(answer) or Refusal(str(error)[:MOST])


def _inner(value: Mapping[str, Any]) -> Any:
    several = value.get("errors")
    if not value.get("error") and isinstance(several, list) and several:
        return several[0]  # Cloudflare
    return value.get("error") or value


def kind_of(status: int, refusal: Refusal) -> str:
    """The kind of EndpointError that a status and an error make.

    >>> kind_of(402, Refusal("Insufficient Balance")), kind_of(500, Refusal("Context size has been exceeded."))
    ('quota', 'context_length')
    """
    by_status = {401: "auth", 403: "permission", 404: "not_found", 408: "timeout"}
    if is_hopeless(status, refusal):
        return "quota"
    if is_too_long(status, refusal):
        return "context_length"
    names = f"{refusal.code} {refusal.type}"
    if status == 429 or "rate_limit" in names or refusal.code in ("slow_down", "429"):
        return "rate_limit"
    if status != 404 and (refusal.code == "401" or _has(BAD_KEY, refusal.said)):
        return "auth"
    if status in by_status:
        return by_status[status]
    if refusal.code == "model_not_found":
        return "not_found"
    if 300 <= status < 400:
        return "connection"
    if status == 200:
        return "server"
    return "server" if status >= 500 or status == 409 else "bad_request"


def is_hopeless(status: int, refusal: Refusal) -> bool:
    """Whether money is at its end, so that the refusal stays one however often it is tried.

    >>> [is_hopeless(429, Refusal(code=code)) for code in ("project_spend_limit_exceeded", "rate_limit_exceeded")]
    [True, False]
    """
    if (
        status == 402
        or refusal.code == "402"
        or any(_has(HOPELESS, name) for name in (refusal.code, refusal.type) if name)
    ):
        return True
    return _has(NO_MONEY, refusal.message[:MOST])


def _has(pattern: str, text: str) -> bool:
    # compiled at the first refusal, and kept by `re`: a start-up need not wait for it
    return re.search(pattern, text, re.I) is not None


def is_too_long(status: int, refusal: Refusal) -> bool:
    """Whether the conversation is longer than the model reads; llama-server says so as a 500."""
    return status not in _NOT_LONG and not 300 <= status < 400 and _has(TOO_LONG, refusal.said)


def is_missing_model(status: int, refusal: Refusal) -> bool:
    """Whether the model is what is not there, and not the address or a rule's leave."""
    if refusal.code == "model_not_found":
        return True
    return status == 404 and _has(NO_MODEL, refusal.said) and not _has(POLICY, refusal.message[:MOST])


def refuses_streams(status: int, refusal: Refusal) -> bool:
    """Whether the same request without a stream may be answered: an organisation that is not verified, an old gateway."""
    if not 400 <= status < 500 or status in (401, 402, 408, 429) or "stream_options" in refusal.said:
        return False
    return refusal.param == "stream" or _has(NO_STREAM, refusal.message[:MOST])


def tokens_over(refusal: Refusal) -> tuple[int, int] | None:
    """Read how many tokens came and how many the model takes, where the refusal names both.

    >>> tokens_over(Refusal("maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."))
    (9000, 8192)
    """
    if refusal.prompt_tokens and refusal.window:
        return refusal.prompt_tokens, refusal.window
    text = refusal.message[:MOST]
    numbers = [n for n in map(_count, re.findall(_NUMBER, text)) if n]
    for window in _windows(text):
        came = next((n for n in numbers if n > window), None)
        if came:
            return came, window
    return None


def _windows(text: str) -> Iterable[int]:
    found = (re.search(pattern, text, re.I) for pattern in _WINDOWS)
    return filter(None, (_count(match[1]) for match in found if match))


def _word(error: Mapping[str, Any], names: Iterable[str]) -> str | None:
    values = (error.get(name) for name in names)
    told = (v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool) and v != "")
    return next((mend(str(value))[:200] for value in told), None)


def _count(value: Any) -> int | None:
    try:
        return int(str(value).replace(",", "").replace("_", "")[:12])
    except ValueError:
        return None


AGAIN = frozenset({408, 409, 429})
NEVER = frozenset({501, 505})
FIRST, LONGEST = 0.5, 8.0  # seconds: the own backoff begins and ends here


def may_retry(status: int, refusal: Refusal, headers: Mapping[str, str]) -> bool:
    """Say whether an answer with this status is worth another attempt; `x-should-retry` overrides."""
    if is_hopeless(status, refusal) or is_too_long(status, refusal):
        return False
    told = headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return status in AGAIN or (500 <= status <= 599 and status not in NEVER)


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read how many seconds the endpoint asks to wait; None where it does not say, or says nonsense.

    >>> now = datetime(2026, 11, 1, tzinfo=UTC)
    >>> asked_wait({"retry-after": "Sun, 01 Nov 2026 00:00:20 GMT"}, now), asked_wait({"retry-after": "-5"}, now)
    (20.0, None)
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        seconds = _number(value)
        if seconds is None and name == "retry-after":
            seconds = _until(value, now)
        if seconds is not None and math.isfinite(seconds) and seconds >= 0:
            return seconds * unit
    return None


def own_wait(attempt: int, chance: float) -> float:
    """Seconds before the attempt after number `attempt`: doubled each time, up to a quarter off by `chance`.

    >>> own_wait(1, 0.0), own_wait(2, 1.0), own_wait(9, 0.0)
    (0.5, 0.75, 8.0)
    """
    return min(FIRST * 2.0 ** (attempt - 1), LONGEST) * (1 - 0.25 * chance)


def retry_time(seconds: float, now: datetime) -> datetime | None:
    """When that wait is over; None beyond what a calendar holds."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _until(value: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()
