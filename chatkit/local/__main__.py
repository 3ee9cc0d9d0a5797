"""Annexe: `python -m chatkit.local`, which is also `chatkit serve`; and what `chatkit models fetch` does.

In: options, and the key (from the parent's pipe, CHATKIT_LOCAL_KEY, or made up). Out: a server that says where it
listens: in words for a person, in JSON lines for the process that started it (--with-parent).
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from typing import IO, Any

from chatkit.api.hosts import LOCAL_PREFIX
from chatkit.exceptions import SetupError
from chatkit.local import index, machine, parent, shipped, weights, whisper
from chatkit.local.options import KEY, PORT, add_serve
from chatkit.system import libraries, memory, shell

SLOTS, SLOTS_BESIDE_A_KERNEL = 4, 2
"""A window of SmolLM2 takes 190 MB, used or not; one kernel rarely asks for more than two answers at once."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; the exit code."""
    with shell.any_character():
        parser = argparse.ArgumentParser(prog="chatkit serve")
        add_serve(parser)
        return serve(parser.parse_args(argv))


def fetch(model: str | None = None, speech: str | None = None) -> int:
    """Make sure the weights are on this machine, all of them unless one is named: `chatkit models fetch`."""
    try:
        if model or not speech:
            path = weights.find(model, _progress_for_a_person)
            print(f"{path.name} is there ({path.stat().st_size / 1e6:.0f} MB), checked.")
        if speech or not model:
            folder = whisper.find(speech, _progress_for_a_person)
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{whisper.alias_of(speech)} is there ({size / 1e6:.0f} MB), checked.")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve until told to end, and the process ends with it: `chatkit serve`. 1 if it could not start."""
    out = _private_output(options.with_parent, options.verbose)
    say: Callable[[dict[str, Any]], None] = (lambda line: _line(out, line)) if options.with_parent else _say
    stopper = _Stopper()
    try:
        key = _key(options.with_parent)
        _check(options)
        libraries.look("xllamacpp", "ctranslate2", "onnxruntime")
        _load_engine()
        if options.with_parent:
            parent.watch(stopper)
        _hush(options)
        _run(options, key, say, stopper)
    except SetupError as error:
        say({"error": {"cause": error.cause, "way_out": error.way_out}})
        return 1
    except KeyboardInterrupt:
        pass
    return _leave()


def _run(options: argparse.Namespace, key: str, say: Callable[[dict[str, Any]], None], stopper: "_Stopper") -> None:
    slots = options.slots or (SLOTS_BESIDE_A_KERNEL if options.with_parent else SLOTS)
    path = weights.find(options.model, lambda text: say({"progress": text}))
    values = machine.head(path)
    window = min(filter(None, (options.window or 8192, machine.window(values))))
    machine.check(path, values, window, slots)
    from chatkit.local import front, gate, language, listen
    from chatkit.local.speech import RecogniserDeadlines, Speech

    if (files := memory.open_files(listen.OPEN_FILES)) and files < listen.OPEN_FILES and not options.with_parent:
        print(_few_files(files, listen.OPEN_FILES, listen.MOST_CONNECTIONS), file=sys.stderr, flush=True)
    with _bind(listen.bind, options) as sock:
        threads = options.threads or machine.threads(shared=options.with_parent)
        alias = shipped.DEFAULT.alias if options.model is None else path.stem
        model = language.Language(
            path,
            alias,
            window=window,
            slots=slots,
            threads=threads,
            verbose=options.verbose,
        )
        speech = Speech(
            options.whisper,
            threads=threads,
            deadlines=RecogniserDeadlines(idle=options.speech_idle * 60),
            verbose=options.verbose,
        )
        port = sock.getsockname()[1]
        hosts = gate.Hosts(options.host, port)
        app = front.app(model, speech, key, hosts, queue=options.queue, created=_created(path))
        base_url = f"http://{_spoken(options.host)}:{port}/v1"
        ready = {"base_url": base_url, "model": alias, "window": window}
        if not options.with_parent:
            ready["key"] = key
        server = listen.Server(app, lambda: say(ready), verbose=options.verbose)
        stopper.stop = server.end
        server.run(sockets=[sock])


def _load_engine() -> None:
    """Import the engine and the web server: after a look at the options, so that a wrong one is told at once.

    Before anything is fetched, since what cannot be loaded needs no weights; and before a thread reads stdin, for which a
    library that looks at it while it is loaded would wait on Windows.
    """
    with libraries.loading("xllamacpp", "starlette", "uvicorn"):
        from chatkit.local import front, hub, listen  # noqa: F401


class _Stopper:
    """What to do when the parent is gone: before the server stands, just end; then, end the server."""

    stop: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.stop:
            self.stop()
            return
        index.stop()
        os._exit(0)


def _check(options: argparse.Namespace) -> None:
    if options.host not in LOOPBACK and not options.i_know:
        raise SetupError(
            f"--host {options.host} lets other machines reach this server; it listens on this machine only.",
            "Leave --host out, or add --i-know if that is what you want.",
        )
    for name, low, high in (
        ("slots", 1, 64),
        ("queue", 0, 10_000),
        ("window", 256, 2**20),
        ("threads", 1, 1024),
        ("speech_idle", 0, 10_000),
    ):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise SetupError(f"--{name} is {value}; it must be from {low} to {high}.", "Leave it out for the default.")


def _bind(bind: Callable[[str, int], Any], options: argparse.Namespace) -> Any:
    if options.port is None and not options.with_parent:
        # where none was asked for, a free one is as good
        with suppress(SetupError):
            return bind(options.host, PORT)
    return bind(options.host, options.port or 0)


def _key(with_parent: bool) -> str:
    if with_parent:
        return parent.first_line() or LOCAL_PREFIX + token_urlsafe(24)
    # taken out of the environment, so that no child gets it
    given = os.environ.pop(KEY, "").strip()
    if given and not (given.startswith(LOCAL_PREFIX) and given != LOCAL_PREFIX and given.isascii()):
        raise SetupError(
            f"{KEY} is no key of a chatkit local server: those begin with {LOCAL_PREFIX}, so that nobody takes them for others.",
            f"Put {LOCAL_PREFIX} before it, or leave it out for a new key at each start.",
        )
    return given or LOCAL_PREFIX + token_urlsafe(24)


def _few_files(files: int, wanted: int, connections: int) -> str:
    return (
        f"This system lets the server have {files} files open at once, and {connections} connections need {wanted}: "
        f"beyond about {files * connections // wanted} some will have to wait. Raise it before the start: ulimit -n {wanted}."
    )


def _created(path: Path) -> int:
    return int(path.stat().st_mtime)


def _spoken(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _private_output(with_parent: bool, verbose: bool) -> IO[str]:
    """stdout for our own lines alone: what the engine's C++ prints there, or on stderr, goes nowhere."""
    if not with_parent and verbose:
        return sys.stdout
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    sys.stdout = out
    _close_off(1)
    return out


def _hush(options: argparse.Namespace) -> None:
    """Close stderr off from now on; a library that ends the process while it is loaded says why on it."""
    if not options.verbose:
        sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
        _close_off(2)


def _close_off(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _line(out: IO[str], line: dict[str, Any]) -> None:
    try:
        print(json.dumps(line), file=out, flush=True)
    except OSError:
        os._exit(0)  # nobody reads any more: the parent is gone


def _say(line: dict[str, Any]) -> None:
    if "progress" in line:
        _progress_for_a_person(line["progress"])
    elif "error" in line:
        print(f"{line['error']['cause']} {line['error']['way_out']}".strip(), file=sys.stderr, flush=True)
    else:
        print(_welcome(line), flush=True)


def _progress_for_a_person(text: str) -> None:
    print(
        f"\r{text:<79}" if sys.stderr.isatty() else text,
        end="" if sys.stderr.isatty() else "\n",
        file=sys.stderr,
        flush=True,
    )


def _welcome(ready: dict[str, Any]) -> str:
    url, key, model = ready["base_url"], ready["key"], ready["model"]
    question = {"model": model, "messages": [{"role": "user", "content": "Where is the 2014 World Cup held?"}]}
    to_try = {"sh": _for_sh, "powershell": _for_powershell}[shell.own()]
    return f"""{model} answers here (window {ready["window"]} tokens); Ctrl+C ends it.

  OPENAI_BASE_URL={url}
  OPENAI_API_KEY={key}

{to_try(url, key, json.dumps(question))}
"""


def _for_sh(url: str, key: str, question: str) -> str:
    return f"""  curl {shell.quoted(f"{url}/chat/completions")} \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d {shell.quoted(question)}
  curl {shell.quoted(f"{url}/audio/transcriptions")} \\
    -H "Authorization: Bearer {key}" -F file=@speech.mp3 -F model=whisper-1"""


def _for_powershell(url: str, key: str, question: str) -> str:
    """Nothing is indented: the mark that ends a here-string stands at the beginning of its line."""
    header = f'-H "Authorization: Bearer {key}"'
    return f"""In PowerShell:

{shell.body_of(question)}
curl.exe "{url}/chat/completions" {header} -H "Content-Type: application/json" --data-binary "@{shell.BODY}"
curl.exe "{url}/audio/transcriptions" {header} -F "file=@speech.mp3" -F model=whisper-1"""


def _leave() -> int:
    index.stop()
    # llama.cpp's threads and static objects need no orderly end, and must not hold one up
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
