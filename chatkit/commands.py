"""What the command `chatkit` can do: a function that declares each command, and the one that does it below.

In: options. Out: the local server or its weights, names of models, files, rows, a class's roles, where keys lie; what
was done, in a sentence. Nothing heavy is imported until a command needs it.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import chatkit
from chatkit.exceptions import InputError, SetupError
from chatkit.local import options as local_options
from chatkit.system import shell

if TYPE_CHECKING:
    from chatkit.ledger.class_roles import ClassRole
    from chatkit.ledger.readable import Unread
    from chatkit.ledger.scope import Scope
    from chatkit.ledger.store import UsageStore

CommandOptions = argparse.Namespace
STORE = "a file or a URL; default: CHATKIT_DB, else the user's own store"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare every command below the parser: `run` of the options that it reads does it."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _declare_serve(_command(commands, "serve", local_options.ABOUT_SERVE, _serve))
    _declare_models(
        _command(commands, "models", "say which models' weights are on this machine; fetch them, or list models")
    )
    _declare_usage(_command(commands, "usage", "hand usage on in files, for a class without a server"))
    _declare_database(_command(commands, "db", "set the usage store up; with --class, the roles of a class"))
    _declare_check_keys(
        _command(commands, "check-keys", "say where API keys lie in files, notebooks and folders", _check_keys)
    )
    _command(
        commands, "doctor", "say what is missing here for chatkit, its local models and JupyterLab to run", _doctor
    )
    _command(commands, "version", "say the version", _version)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    run: Callable[[CommandOptions], int] | None = None,
) -> argparse.ArgumentParser:
    first = about.partition(".")[0]
    parser = commands.add_parser(
        name, help=first[:1].lower() + first[1:], description=f"{about[:1].upper()}{about[1:].rstrip('.')}."
    )
    if run:
        parser.set_defaults(run=run)
    return parser


def _below(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    return parser.add_subparsers(metavar="COMMAND", required=True)


# --- the local models


def _declare_serve(serve: argparse.ArgumentParser) -> None:
    local_options.add_serve(serve)


def _serve(options: CommandOptions) -> int:
    _need_engines()
    from chatkit.local.__main__ import serve

    return serve(options)


def _declare_models(models: argparse.ArgumentParser) -> None:
    models.set_defaults(run=_list_weights)
    below = models.add_subparsers(metavar="COMMAND")
    local_options.add_models(_command(below, "fetch", "fetch and check the weights of the local models", _fetch))
    _command(
        below,
        "list",
        "say where calls would go, which models there are, and whose weights are on this machine",
        _list_models,
    )


def _fetch(options: CommandOptions) -> int:
    _need_engines()
    from chatkit.local.__main__ import fetch

    return fetch(options.model, options.whisper)


def _need_engines() -> None:
    from chatkit.client import local_process

    if not local_process.has_engines():
        raise SetupError("The engines of the local models are not installed.", local_process.INSTALL)


def _list_weights(_: CommandOptions) -> int:
    print(*_weights(), sep="\n")
    return 0


def _weights() -> list[str]:
    """A line for each model whose weights are on this machine, or one that says that there is none."""
    from chatkit.local import present, weights

    fetch = shell.chatkit("models fetch")
    none = f"No weights are on this machine; they would be kept in {weights.folder()}. Fetch them: {fetch}"
    return [str(model) for model in present.present()] or [none]


def _list_models(_: CommandOptions) -> int:
    from chatkit.client import connect, model_list

    endpoint = connect.resolve(tell=_say)
    _say(endpoint.sentence)
    found = model_list.models_of(endpoint)
    for name in found.names:
        print(name)
    if found.reason:
        _say(found.reason)
    _say("\n".join(["Weights on this machine:", *_weights()]))
    return int(not found.names)


# --- usage in files


def _declare_usage(usage: argparse.ArgumentParser) -> None:
    below = _below(usage)
    about = "write calls into a new file (no prompts and no answers are in it)"
    export = _command(below, "export", about, _export)
    export.add_argument("file")
    export.add_argument("--session", help="only the calls of this session")
    export.add_argument("--since", help="only the calls since then: a date, a time, today, yesterday")
    export.add_argument("--user", help="only the calls of this person")
    merge = _command(below, "merge", "take the calls of such files in, each once", _merge)
    merge.add_argument("files", nargs="+")
    for command in (export, merge):
        command.add_argument("--store", help=STORE)


def _export(options: CommandOptions) -> int:
    from chatkit.ledger import export as parcel
    from chatkit.ledger.store import UsageStore
    from chatkit.reports.rows import instant

    store = UsageStore(options.store)
    scope: Scope = {"session": options.session, "since": instant(options.since, "since"), "user": options.user}
    count = parcel.export(store, options.file, **scope)
    print(f"{count} calls written to {options.file}.")
    _tell_unread(store.unread(**scope))
    return 0


def _merge(options: CommandOptions) -> int:
    from chatkit.ledger import export as parcel
    from chatkit.ledger.store import UsageStore

    store = UsageStore(options.store)
    merged = parcel.merge(store, [name for said in options.files for name in _meant(said)])
    print(f"{merged.read} calls read, {merged.new} of them new; {store!r} has {store.total().calls} now.")
    _tell_unread(merged.unread)
    return 0


def _meant(said: str) -> list[str]:
    """The files that a pattern names: cmd and PowerShell leave `*.jsonl` to the program."""
    return [said] if Path(said).exists() else sorted(glob(said)) or [said]


def _tell_unread(unread: "Unread") -> None:
    if unread:
        _say(f"{unread} Left out.")


# --- the store, and a class's roles


def _declare_database(database: argparse.ArgumentParser) -> None:
    init = _command(_below(database), "init", "make the tables, and a class's roles", _init_database)
    init.add_argument("store", nargs="?", help=STORE)
    init.add_argument(
        "--class", dest="for_class", action="store_true", help="roles and row-level security (PostgreSQL)"
    )
    init.add_argument("--student", action="append", default=[], metavar="NAME", help="make a login for a student")
    init.add_argument("--students", metavar="FILE", help="a file with the names of students")
    init.add_argument(
        "--instructor", action="append", default=[], metavar="NAME", help="make a login for an instructor"
    )


def _init_database(options: CommandOptions) -> int:
    from chatkit.ledger.store import UsageStore

    store = UsageStore(options.store)
    students = [*options.student, *_names(options.students)]
    if (students or options.instructor) and not options.for_class:
        raise InputError("Logins are for a class.", "Add --class.")
    if options.for_class and store.is_file:
        raise InputError("A file has no roles.", "Give the URL of a PostgreSQL server: postgresql+psycopg://…")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        store.open()
    for one in told:
        print(one.message)
    print(f"{store!r} is ready.")
    if options.for_class:
        _set_up_class(store, students, options.instructor)
    return 0


def _set_up_class(store: "UsageStore", students: list[str], instructors: list[str]) -> None:
    from chatkit.ledger import class_roles, safeguards

    with store.transaction() as run:
        class_roles.set_up(run)
        parts: tuple[tuple[list[str], ClassRole], ...] = ((students, "student"), (instructors, "instructor"))
        made = [class_roles.add_logins(run, names, part) for names, part in parts]
        said = safeguards.resum(run, always=False)
    print(*said, "Students can add rows and read their own; instructors can read all.", sep="\n")
    _tell_logins(store, {**made[0], **made[1]})


def _tell_logins(store: "UsageStore", made: dict[str, str]) -> None:
    if made:
        print("New logins (shown once; the value of CHATKIT_DB for each):", file=sys.stderr)
    for name, password in made.items():
        print(f"{name}\t{store.url_for(name, password)}")


def _names(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        return Path(file).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.") from None


# --- keys, and the rest


def _declare_check_keys(check_keys: argparse.ArgumentParser) -> None:
    check_keys.add_argument("paths", nargs="*", default=["."], metavar="PATH", help="default: this folder")


def _check_keys(options: CommandOptions) -> int:
    from chatkit.client.keyguard import find_leaks

    leaks = list(find_leaks(options.paths))
    for leak in leaks:
        print(leak)
    if leaks:
        _say(
            "Take each key out and revoke it where it was made: it may have been seen. "
            "Keys belong into OPENAI_API_KEY or a .env file that is not committed."
        )
    return int(bool(leaks))


def _doctor(_: CommandOptions) -> int:
    from chatkit.local import present, weights
    from chatkit.system import installation

    machine = installation.this_machine(weights.folder(), present.has_shipped())
    found = installation.findings(machine)
    print(*found, sep="\n", end="\n" if found else "")
    if not any(finding.fails for finding in found):
        print(
            f"Python {sys.version.split()[0]}, {machine.platform}: nothing is missing that chatkit would fail without."
        )
    return int(any(finding.fails for finding in found))


def _version(_: CommandOptions) -> int:
    print(chatkit.__version__)
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
