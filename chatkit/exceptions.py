"""What can go wrong, in words. Each error says the cause and the way out, never a key.

In: words, which may quote anybody. Out: errors whose text can be written out anywhere.
"""

from datetime import datetime


def mended(text: str) -> str:
    """The text with \\ufffd for each half character and NUL, which UTF-8, JSON or a database refuse; as long as before.

    >>> mended("a\\x00b"), mended("half " + chr(0xD83D))
    ('a\\ufffdb', 'half \\ufffd')
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text.replace("\0", "\ufffd") if "\0" in text else text


class ChatkitError(Exception):
    """An error in two sentences: what is wrong (`cause`) and what to do (`way_out`).

    >>> str(ChatkitError("temperature is 'hot'; it must be a number from 0 to 2.", "Try 0.7."))
    "temperature is 'hot'; it must be a number from 0 to 2. Try 0.7."
    """

    def __init__(self, cause: str, way_out: str = "") -> None:
        # it may quote anybody, and an error whose text cannot be written out would not be seen at all
        self.cause = mended(cause)
        self.way_out = mended(way_out)
        super().__init__(f"{self.cause} {self.way_out}".strip())

    def __str__(self) -> str:
        from chatkit.signs import printable

        return printable(super().__str__())


class InputError(ChatkitError, ValueError):
    """What the caller gave cannot be used; nothing was sent.

    >>> import chatkit
    >>> try:
    ...     chatkit.Chat(api="soap")
    ... except chatkit.InputError as error:
    ...     print(error)
    api is 'soap'; it must be 'chat' or 'responses'.
    """


class SetupError(ChatkitError):
    """Something that must be there first is not: a key, an extra, a model's weights.

    >>> SetupError("There is no API key.", "Set OPENAI_API_KEY.").way_out
    'Set OPENAI_API_KEY.'
    """


class StoreError(ChatkitError):
    """The usage store cannot be read or written as asked.

    >>> isinstance(StoreError("usage.sqlite is no store of usage."), ChatkitError)
    True
    """


class BudgetError(ChatkitError):
    """The budget does not allow this call; nothing was sent.

    >>> BudgetError("This session's budget is spent.").kind
    'budget'
    """

    kind = "budget"


class EndpointError(ChatkitError):
    """The endpoint could not be reached, refused the request, or did not answer as the API does.

    `kind` is one word of: connection, timeout, tls, rate_limit, quota, auth, permission, not_found,
    context_length, bad_request, server, bad_answer, stream, too_long.
    `status`, `code`, `type`, `param` and `request_id` are the API's own, where it sent them;
    `retry_at` is when the endpoint said to come back.

    >>> error = EndpointError("The endpoint has no model 'gpt-9'.", "Choose another.", kind="not_found", status=404)
    >>> error.kind, error.status
    ('not_found', 404)
    """

    def __init__(
        self,
        cause: str,
        way_out: str = "",
        *,
        kind: str,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(cause, way_out)
        self.kind = kind
        self.status = status
        self.code, self.type, self.param, self.request_id = (
            mended(said) if isinstance(said, str) else said for said in (code, type, param, request_id)
        )
        self.retry_at = retry_at
