"""Annexe: a request's JSON is read strictly, or refused in the API's own error form."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from chatkit.exceptions import SetupError
from chatkit.system import shell

INVALID = "invalid_request_error"


class ApiError(Exception):
    """What the client gets instead of an answer: `{"error": {"message", "type", "param", "code"}}`.

    >>> ApiError(404, "There is no model 'x' here.", code="model_not_found").error["code"]
    'model_not_found'
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = INVALID,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, str | None] = {"message": message, "type": type, "param": param, "code": code}
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        """The JSON body."""
        return json.dumps({"error": self.error}).encode()


def server_fault() -> ApiError:
    """What is said of a fault of our own: nothing that could hold a prompt, a path or a key."""
    return ApiError(
        500, "The local server could not finish this request; try it again.", type="server_error", code="server_error"
    )


def cannot_load(problem: SetupError) -> ApiError:
    """What is said where a model, or what it runs by, cannot be loaded: trying again is of no use."""
    return ApiError(
        503, str(problem), type="server_error", code="model_not_available", headers={"x-should-retry": "false"}
    )


def speech_fault(what: str) -> ApiError:
    """What is said where Whisper failed, and the file is not to blame: `what` in a word."""
    return ApiError(
        500,
        f"The local Whisper could not finish, by a fault that is not the file's ({what}). "
        'Run python -m pip install --upgrade "notebook-chatkit[local]", or report it; '
        f"{shell.chatkit('serve --verbose')} shows more.",
        type="server_error", code="recognition_failed", headers={"x-should-retry": "false"},
    )  # fmt: skip


DEEPEST = 64
"""Levels of nesting in a body; the API's own requests stay far below."""

NO = frozenset[str]()


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`; a ApiError for whatever no API request may hold."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ApiError(400, "The body is not UTF-8; send JSON in UTF-8.", code="invalid_json") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {str(error)[:200]}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    _check_depth(body)
    _check_text(body)
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _too_deep() -> ApiError:
    return ApiError(400, f"The body is nested deeper than {DEEPEST} levels; flatten it.", code="invalid_json")


def _check_depth(body: dict[str, Any]) -> None:
    level: list[Any] = [body]
    for _ in range(DEEPEST):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise _too_deep()


def _children(node: Any) -> Iterable[Any]:
    nested = node.values() if isinstance(node, dict) else node
    return (child for child in nested if isinstance(child, dict | list))


def _check_text(body: dict[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ApiError(
            400,
            "The body holds half of a surrogate pair (\\ud800 to \\udfff alone), which is not text; remove it.",
            code="invalid_unicode",
        ) from None


class Fields:
    """The fields of one body: each is read with its rule; `end` raises for all that broke theirs.

    A field that is null counts as absent, as it does in the API.

    >>> fields = Fields({"n": -1, "temperature": "hot"}, known={"n", "temperature"})
    >>> fields.integer("n", 1, 16), fields.number("temperature", 0, 2)
    (None, None)
    >>> fields.end()
    Traceback (most recent call last):
    chatkit.local.validation.ApiError: 'n' is -1; it must be an integer from 1 to 16. 'temperature' is 'hot'; it must be \
a number from 0 to 2.
    """

    def __init__(
        self,
        body: dict[str, Any],
        *,
        known: Iterable[str],
        ignored: Iterable[str] = NO,
        unsupported: Iterable[str] = NO,
    ) -> None:
        self.body = {name: value for name, value in body.items() if value is not None}
        self.faults: list[tuple[str | None, str | None, str]] = []
        known, unsupported = frozenset(known) | frozenset(ignored), frozenset(unsupported)
        for name in self.body:
            if name in unsupported:
                self.unsupported(name)
            elif name not in known:
                self.fault(name, f"Unknown parameter: {shown(name)}.", "unknown_parameter")

    def fault(self, name: str | None, sentence: str, code: str | None = "invalid_value") -> None:
        """Note what is wrong; the request is refused at `end`."""
        self.faults.append((name, code, sentence))

    def unsupported(self, name: str, why: str = "the local model cannot do that") -> None:
        """Note a parameter of the API that this server has no use for."""
        self.fault(name, f"{shown(name)} is not supported here: {why}. Leave it out.", "unsupported_parameter")

    def expect(self, name: str, rule: str, code: str = "invalid_value") -> None:
        """Note that `name` breaks `rule`."""
        self.fault(name, f"'{name}' is {shown(self.body.get(name))}; it must be {rule}.", code)

    def has(self, name: str) -> bool:
        """Whether the body holds `name`."""
        return name in self.body

    def get(self, name: str) -> Any:
        """The value as it came."""
        return self.body.get(name)

    def number(self, name: str, low: float, high: float) -> float | None:
        """A finite number from `low` to `high`."""
        value = self.body.get(name)
        if value is None:
            return None
        good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not good or not math.isfinite(value):
            self.expect(name, f"a number from {low} to {high}", _kind(value, int | float))
            return None
        return float(value)

    def integer(self, name: str, low: int, high: int | None = None) -> int | None:
        """An integer from `low` to `high`."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            upper = "or more" if high is None else f"to {high}"
            lower = f"from {low}" if high is not None else f"of {low}"
            self.expect(name, f"an integer {lower} {upper}", _kind(value, int))
            return None
        return value

    def flag(self, name: str) -> bool:
        """true or false; absent is false."""
        value = self.body.get(name, False)
        if not isinstance(value, bool):
            self.expect(name, "true or false", "invalid_type")
            return False
        return value

    def text(self, name: str, *, needed: bool = False) -> str | None:
        """A string, which may not be empty where it is needed."""
        value = self.body.get(name)
        if value is None:
            if needed:
                self.fault(name, f"'{name}' is missing.", "missing_required_parameter")
            return None
        if not isinstance(value, str) or (needed and not value.strip()):
            self.expect(name, "a string with something in it" if needed else "a string", "invalid_type")
            return None
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON object; absent is an empty one."""
        value = self.body.get(name, {})
        if not isinstance(value, dict):
            self.expect(name, "an object", "invalid_type")
            return {}
        return value

    def end(self) -> None:
        """Refuse the request if any fault was noted, naming all of them."""
        if not self.faults:
            return
        param, code, _ = self.faults[0]
        raise ApiError(400, " ".join(sentence for *_, sentence in self.faults)[:4000], param=param, code=code)


def _kind(value: Any, kind: Any) -> str:
    return "invalid_value" if isinstance(value, kind) and not isinstance(value, bool) else "invalid_type"


def shown(value: Any) -> str:
    """A value for a sentence, short whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
