"""No test talks to anything but this machine: a connection beyond loopback fails where it is made.

Python imports this file at start-up wherever tests/guard is on PYTHONPATH, so kernels, servers and
other children are held to it as well. What was refused is written to CHATKIT_GUARD_LOG, and the
test run fails if that file is not empty.
"""

import ipaddress
import os
import socket
import sys

LOCAL_NAMES = {None, "", "localhost", b"localhost", b""}


def _is_local(host: object) -> bool:
    if host in LOCAL_NAMES:
        return True
    try:
        text = host.decode() if isinstance(host, bytes) else str(host)
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(event: str, host: object) -> None:
    log = os.environ.get("CHATKIT_GUARD_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{event} {host!r} in {sys.argv[:2]}\n")
    raise PermissionError(f"a test tried to reach {host!r}, which is not this machine ({event})")


def _watch(event: str, args: tuple) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(args[-1], tuple):
        if not _is_local(args[-1][0]):
            _refuse(event, args[-1][0])
    elif event == "socket.getaddrinfo" and not _is_local(args[0]):
        # RFC 6761: a name under .invalid never resolves; answered here, so that no resolver is asked
        if str(args[0]).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        _refuse(event, args[0])


sys.addaudithook(_watch)

if os.environ.get("CHATKIT_TESTS_AS_WINDOWS"):
    import windows_rules

    windows_rules.begin()

# jsonschema takes it where it is, to know an IRI, which no schema of Jupyter's has: it builds 39 grammars, which
# is two of the three seconds that a Jupyter server takes to start
sys.modules.setdefault("rfc3987_syntax", None)
