"""The system's certificates: whose word is believed on the way to an https address.

In: a base URL; the variables SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE; a function that reads what they or the system
name. Out: a context for secure connections, or a SetupError that names the variable. Plain http needs nobody's word.
"""

import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from chatkit.exceptions import SetupError


def trust(base_url: str, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Whose certificates are believed on the way to an address; `make` reads them. Raises SetupError where it cannot.

    Plain http needs none: where they cannot be read, nobody is trusted if it leads on to https.
    """
    try:
        return _trust(make)
    except SetupError:
        if urlsplit(base_url).scheme == "https":
            raise
        return nobody_trusted()


def nobody_trusted() -> ssl.SSLContext:
    """A context for addresses that need no certificate; a secure connection by it always fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def own_authority() -> str:
    """What to do where a network or a server has an authority of its own, in a sentence for this system."""
    own = "If your network or server has its own authority"
    if named := next(filter(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")), None):
        return f"{own}, it must stand where {named} points: nobody else is trusted while it is set."
    if sys.platform in ("win32", "darwin"):  # a file would replace the system's own store there
        return f"{own}, add its certificate to those of the system."
    return (
        f"{own}, add its certificate to those of the system, or name its file in the environment variable SSL_CERT_FILE; "
        "while that is set, nobody else is trusted."
    )


def _trust(make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    fault, way_out = next(_faults(), None), "Correct the variable, or remove it."
    if fault is None:
        try:
            return make()
        except OSError as error:  # SSLError is one
            fault = f"The certificates of this system cannot be read ({error.strerror or type(error).__name__})"
            way_out = "Install them anew (on Linux: the package ca-certificates)."
    raise SetupError(f"{fault}, so no secure connection can be made.", way_out)


def _faults() -> Iterator[str]:
    """What is wrong with the variables that the certificates come from, as httpx2 reads them."""
    file, folders, log = (os.environ.get(n, "") for n in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))
    if file and (why := _file_fault(Path(file))):
        yield f"SSL_CERT_FILE names {file!r}, {why}"
    elif folders and not file and not any(map(_has_files, folders.split(os.pathsep))):
        yield f"SSL_CERT_DIR names {folders!r}, where no certificates are"
    if log:
        try:
            nobody_trusted().keylog_filename = log
        except OSError as error:
            yield f"SSLKEYLOGFILE names {log!r}, which cannot be written ({error.strerror})"


def _file_fault(path: Path) -> str | None:
    try:
        nobody_trusted().load_verify_locations(cafile=path)
    except FileNotFoundError:
        return "which is not there"
    except ssl.SSLError:
        return "which is empty" if path.is_file() and not path.stat().st_size else "where no certificate is"
    except OSError as error:
        return "which is a folder" if path.is_dir() else f"which cannot be read ({error.strerror})"
    return None


def _has_files(folder: str) -> bool:
    try:
        return any(entry.is_file() for entry in os.scandir(folder))
    except OSError:
        return False
