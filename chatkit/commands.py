"""The commands about usage and endpoints: `chatkit usage export`, `chatkit usage merge`, `chatkit db init`,
`chatkit models list`.

In: words of a command line. Out: files, rows, a class's roles, names of models; what was done, in a sentence.
"""

import argparse
import sys
import warnings
from pathlib import Path

from chatkit.endpoint import connect, listing
from chatkit.exceptions import InputError
from chatkit.ledger import class_roles, parcel, safeguards
from chatkit.ledger.class_roles import Part
from chatkit.ledger.readable import Unread
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore
from chatkit.readings.clock import instant


def usage(words: list[str]) -> int:
    """`chatkit usage export FILE` and `chatkit usage merge FILE…`; the exit status."""
    options = _usage_parser().parse_args(words)
    store = UsageStore(options.store)
    if options.command == "export":
        scope: Scope = {
            "session": options.session, "since": instant(options.since, "since"), "user": options.user,
        }  # fmt: skip
        count = parcel.export(store, options.file, **scope)
        print(f"{count} calls written to {options.file}.")
        _tell_unread(store.unread(**scope))
        return 0
    merged = parcel.merge(store, options.files)
    print(f"{merged.read} calls read, {merged.new} of them new; {store!r} has {store.total().calls} now.")
    _tell_unread(merged.unread)
    return 0


def models() -> int:
    """`chatkit models list`: where calls would go, and the models that are there; the exit status."""
    endpoint = connect.resolve(tell=_say)
    _say(endpoint.sentence)
    found = listing.models_of(endpoint)
    for name in found.names:
        print(name)
    if found.reason:
        _say(found.reason)
    return int(not found.names)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _tell_unread(unread: Unread) -> None:
    if unread:
        _say(f"{unread} Left out.")


def database(words: list[str]) -> int:
    """`chatkit db init`: make the tables of the store, and with --class the roles of a class; the exit status."""
    options = _database_parser().parse_args(words)
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
        with store.transaction() as run:
            class_roles.set_up(run)
            parts: tuple[tuple[list[str], Part], ...] = ((students, "student"), (options.instructor, "instructor"))
            made = [class_roles.add_logins(run, names, part) for names, part in parts]
            said = safeguards.resum(run, always=False)
        print(*said, "Students can add rows and read their own; instructors can read all.", sep="\n")
        _tell_logins(store, {**made[0], **made[1]})
    return 0


def _tell_logins(store: UsageStore, made: dict[str, str]) -> None:
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


def _usage_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatkit usage", description="Hand usage on in files, for a class without a server."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="write calls into a new file (no prompts and no answers are in it)")
    export.add_argument("file")
    export.add_argument("--session", help="only the calls of this session")
    export.add_argument("--since", help="only the calls since then: a date, a time, today, yesterday")
    export.add_argument("--user", help="only the calls of this person")
    merge = commands.add_parser("merge", help="take the calls of such files in, each once")
    merge.add_argument("files", nargs="+")
    for command in (export, merge):
        command.add_argument("--store", help="a file or a URL; default: CHATKIT_DB, else the user's own store")
    return parser


def _database_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chatkit db", description="Set the usage store up.")
    init = parser.add_subparsers(dest="command", required=True).add_parser(
        "init", help="make the tables, and a class's roles"
    )
    init.add_argument("store", nargs="?", help="a file or a URL; default: CHATKIT_DB, else the user's own store")
    init.add_argument(
        "--class", dest="for_class", action="store_true", help="roles and row-level security (PostgreSQL)"
    )
    init.add_argument("--student", action="append", default=[], metavar="NAME", help="make a login for a student")
    init.add_argument("--students", metavar="FILE", help="a file with the names of students")
    init.add_argument(
        "--instructor", action="append", default=[], metavar="NAME", help="make a login for an instructor"
    )
    return parser
