"""The client's reading of what breaks: an exception of the network becomes an EndpointError in words.

In: what httpx2 raised, and the address. Out: an `EndpointError`, and whether another attempt may help.
The SDK says "Connection error." for all of them; the difference is in the causes.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from chatkit.client.deadlines import Deadlines, Expired
from chatkit.exceptions import EndpointError
from chatkit.system.certificates import own_authority

Judged = tuple[EndpointError, bool]

_NOT_HTTP = re.compile(r"illegal status line|illegal header|malformed|not http", re.I)
_NOT_TLS = re.compile(r"wrong.version.number|record.layer.failure|unknown.protocol|http.request", re.I)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it came from, outermost first."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*getattr(one, "exceptions", ()), one.__cause__ or one.__context__]


def no_answer(error: BaseException, url: str, deadlines: Deadlines) -> Judged:
    """Say why no answer came, by the cause that tells most."""
    host, chain = _host(url), list(causes(error))
    for kind, say in _SAID:
        if found := next((e for e in chain if isinstance(e, kind)), None):
            return say(found, host, url, deadlines)
    return _error(f"{host} could not be reached.", "Check the network and the base URL.", "connection"), True


def broke_off(error: BaseException) -> EndpointError:
    """Say that an answer ended before its end."""
    if any(isinstance(e, httpx2.DecodingError) for e in causes(error)):
        return _error("The answer's compression is damaged.", "Try again.", "stream")
    how = "was reset" if any(isinstance(e, ConnectionError) for e in causes(error)) else "ended"
    return _error(f"The connection {how} before the answer was complete.", "Continue or try again.", "stream")


def cut_off() -> EndpointError:
    """Say that a stream ended without saying that it was over."""
    return _error("The answer stopped before its end: no finish reason came.", "Continue or try again.", "stream")


def too_late(expired: Expired) -> EndpointError:
    """Say which deadline passed."""
    seconds = f"{expired.seconds:g} s"
    if expired.phase == "first content":
        return _error(f"Not a word of an answer came within {seconds}.", "Try again, or allow more time.", "timeout")
    if expired.phase == "turn":
        return _error(f"The turn took longer than {seconds}.", "Continue, or allow more time.", "timeout")
    return _error(f"The answer stalled: nothing came for {seconds}.", "Continue or try again.", "timeout")


def too_long(what: str) -> EndpointError:
    """Say that more came than is kept."""
    return _error(f"The answer is too long: {what}.", "It was stopped there. Ask for less, or allow more.", "too_long")


def no_api_answer(why: str, status: int, request_id: str | None) -> EndpointError:
    """Say that what came is not what the API answers."""
    return EndpointError(
        f"What came back is not an API answer: {why}.",
        "Check the base URL; behind a sign-in page of the network, sign in first.",
        kind="bad_answer",
        status=status,
        request_id=request_id,
    )


def no_words(status: int, request_id: str | None) -> EndpointError:
    """Say that an answer ended as it should and that there is none in it."""
    return EndpointError(
        "The endpoint ended its answer without having begun one.",
        "Try again; if it stays so, ask another model or look at what came back.",
        kind="bad_answer",
        status=status,
        request_id=request_id,
    )


def gave_up(reason: str, status: int) -> EndpointError:
    """Say that the endpoint itself did not bring its answer to an end."""
    return EndpointError(
        f"The endpoint did not finish its answer: its finish reason is {reason!r}.",
        "Continue or try again.",
        kind="server",
        status=status,
    )


def _dns(_: BaseException, host: str, __: str, ___: Deadlines) -> Judged:
    again = getattr(_, "errno", None) == socket.EAI_AGAIN
    return _error(f"The name {host!r} is not known (DNS).", "Check its spelling, and the network.", "connection"), again


def _unknown_ca(found: BaseException, host: str, _: str, __: Deadlines) -> Judged:
    reason = getattr(found, "verify_message", "") or "certificate verify failed"
    return _error(f"The certificate of {host} is not trusted ({reason}).", own_authority(), "tls"), False


def _tls(found: BaseException, host: str, _: str, __: Deadlines) -> Judged:
    if _NOT_TLS.search(str(found)):
        return _error(f"{host} does not speak TLS.", "Write http:// instead of https:// if it is yours.", "tls"), False
    return _error(f"No secure connection to {host} came about (TLS).", "Check the base URL and the port.", "tls"), False


def _scheme(_: BaseException, __: str, url: str, ___: Deadlines) -> Judged:
    return _error(
        f"The base URL {url!r} does not begin with http:// or https://.",
        "Write it in full, such as https://api.openai.com/v1.",
        "connection",
    ), False


def _refused(_: BaseException, host: str, __: str, ___: Deadlines) -> Judged:
    return _error(
        f"Nothing answers at {host}: the connection was refused.", "Is the server running?", "connection"
    ), True


def _read_late(_: BaseException, __: str, ___: str, deadlines: Deadlines) -> Judged:
    return too_late(Expired("first content", deadlines.first_content)), True


def _connect_late(_: BaseException, host: str, __: str, deadlines: Deadlines) -> Judged:
    late = f"{host} did not take the connection within {deadlines.connect:g} s."
    return _error(late, "Check the network, a proxy, or the base URL.", "connection"), True


def _full(_: BaseException, __: str, ___: str, ____: Deadlines) -> Judged:
    return _error("All connections of this client are busy.", "Wait for other answers first.", "connection"), True


def _protocol(found: BaseException, host: str, _: str, __: Deadlines) -> Judged:
    if _NOT_HTTP.search(str(found)):
        return _error(f"What listens at {host} does not speak HTTP.", "Check the port.", "bad_answer"), False
    return _hung_up(found, host, _, __)


def _hung_up(_: BaseException, host: str, __: str, ___: Deadlines) -> Judged:
    return _error(f"{host} closed the connection without an answer.", "Try again.", "connection"), True


def _proxy(_: BaseException, host: str, __: str, ___: Deadlines) -> Judged:
    return _error(
        f"The proxy on the way to {host} refused.",
        "Check HTTP_PROXY and HTTPS_PROXY, or add the host to NO_PROXY.",
        "connection",
    ), True


_SAID = (
    (httpx2.UnsupportedProtocol, _scheme),
    (httpx2.InvalidURL, _scheme),
    (httpx2.ProxyError, _proxy),
    (httpx2.ConnectTimeout, _connect_late),
    (socket.gaierror, _dns),
    (ssl.SSLCertVerificationError, _unknown_ca),
    (ssl.SSLError, _tls),
    (httpx2.PoolTimeout, _full),
    (httpx2.ReadTimeout, _read_late),
    (httpx2.WriteTimeout, _read_late),
    (ConnectionRefusedError, _refused),
    (httpx2.RemoteProtocolError, _protocol),
    (httpx2.ReadError, _hung_up),
    (httpx2.WriteError, _hung_up),
)


def _error(cause: str, way_out: str, kind: str) -> EndpointError:
    return EndpointError(cause, way_out, kind=kind)


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url
