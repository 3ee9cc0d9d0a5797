"""Annexe: a refusal in the API's own error form. In: what is wrong. Out: status, headers and JSON body."""

import json
from collections.abc import Mapping

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


def speech_fault(what: str) -> ApiError:
    """What is said where Whisper failed, and the file is not to blame: `what` in a word."""
    return ApiError(
        500,
        f"The local Whisper could not finish, by a fault that is not the file's ({what}). "
        'Run pip install --upgrade "notebook-chatkit[local]", or report it; chatkit serve --verbose shows more.',
        type="server_error", code="recognition_failed", headers={"x-should-retry": "false"},
    )  # fmt: skip
