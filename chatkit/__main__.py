"""The command `chatkit`: `chatkit serve`, `chatkit models fetch`, `chatkit check-keys`. Also `python -m chatkit`.

In: the command line. Out: the local server, or the weights it needs; the models that an endpoint lists; where keys lie.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chatkit.endpoint.launch import INSTALL, has_engines
from chatkit.exceptions import ChatkitError, SetupError

USAGE = """chatkit: talk to a language model from a Jupyter notebook

  chatkit serve          run the local model as an OpenAI-compatible server (chatkit serve --help)
  chatkit models fetch   fetch and check the weights of the embedded models
  chatkit models list    say where calls would go, and which models there are
  chatkit usage export   write usage into a file that can be handed on; `chatkit usage merge` takes files in
  chatkit db init        set the usage store up; with --class, the roles of a class on PostgreSQL
  chatkit check-keys     say where API keys lie in files, notebooks and folders (chatkit check-keys PATH...)
  chatkit version        the version
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives back the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    with _any_character():
        try:
            return _run(words)
        except ChatkitError as error:
            print(f"chatkit: {error}", file=sys.stderr)
            return 1


@contextmanager
def _any_character() -> Iterator[None]:
    """Let names and paths of any language be printed, into a pipe of Windows too: what it lacks is written as escapes."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "reconfigure")]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)


def _run(words: list[str]) -> int:
    if words[:1] == ["version"]:
        from chatkit import __version__

        print(__version__)
        return 0
    if words[:2] == ["models", "fetch"]:
        return _local(["fetch", *words[2:]])
    if words == ["models", "list"]:
        from chatkit import commands

        return commands.models()
    if words[:1] == ["serve"]:
        return _local(words[1:])
    if words[:1] == ["check-keys"]:
        return _check_keys(words[1:] or ["."])
    if words[:1] == ["usage"] or words[:1] == ["db"]:
        from chatkit import commands

        return (commands.usage if words[0] == "usage" else commands.database)(words[1:])
    print(USAGE, end="")
    return 0 if words in ([], ["help"], ["--help"], ["-h"]) else 2


def _check_keys(paths: list[str]) -> int:
    from chatkit.endpoint.keyguard import find_leaks

    leaks = list(find_leaks(paths))
    for leak in leaks:
        print(leak)
    if leaks:
        print(
            "Take each key out and revoke it where it was made: it may have been seen. "
            "Keys belong into OPENAI_API_KEY or a .env file that is not committed.",
            file=sys.stderr,
        )
    return int(bool(leaks))


def _local(words: list[str]) -> int:
    if not has_engines():
        raise SetupError("The engines of the local models are not installed.", INSTALL)
    from chatkit.local.__main__ import main as local

    return local(words)


if __name__ == "__main__":
    sys.exit(main())
