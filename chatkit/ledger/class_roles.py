"""A class on PostgreSQL: who may write and read what. Roles, column rights and row-level security.

In: the administrator's connection, names. Out: the rights, the same however often they are set; a password
for each new login, given back once and kept nowhere.

A student may add rows and read back those that the student's own role has written: `owner` is filled by the
server, and nobody has the right to fill it otherwise. `caller`, the name in reports, is the student's role too.
An instructor may read all rows, set prices and price calls again. Neither may delete rows.
"""

import re
from collections.abc import Iterable, Sequence
from secrets import token_urlsafe
from typing import Literal

from chatkit.exceptions import InputError
from chatkit.ledger import safeguards
from chatkit.ledger.rows import NAMES
from chatkit.ledger.safeguards import INSTRUCTOR, STUDENT, RunStatement

ClassRole = Literal["student", "instructor"]

BOTH = f"{STUDENT}, {INSTRUCTOR}"
NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,62}")

_OWN = ("budgets", "holds", "tags")
"""Tables in which everyone does as they like with their own rows."""
_PRICED = "cost_pico, at_most_pico, price_table, price_date"


def statements(schema: str) -> Sequence[str]:
    """What is to be run, by the role that owns the tables, which are in `schema`."""
    return (
        f"SET LOCAL search_path = {safeguards.path(schema)}",
        *(_role(role) for role in (STUDENT, INSTRUCTOR)),
        f"GRANT USAGE ON SCHEMA {schema} TO {BOTH}",
        *(f"REVOKE ALL ON chatkit_{table} FROM PUBLIC, {BOTH}" for table in safeguards.TABLES),
        f"GRANT SELECT ON chatkit_schema, chatkit_prices, chatkit_calls, chatkit_rollup, chatkit_repricings TO {BOTH}",
        f"GRANT INSERT ({', '.join(NAMES)}) ON chatkit_calls TO {BOTH}",
        f"GRANT INSERT, UPDATE, DELETE ON chatkit_prices TO {INSTRUCTOR}",
        f"GRANT UPDATE ({_PRICED}) ON chatkit_calls TO {INSTRUCTOR}",
        f"GRANT INSERT ON chatkit_repricings TO {INSTRUCTOR}",
        *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON chatkit_{table} TO {BOTH}" for table in _OWN),
        *(one for table in safeguards.OWNED for one in _policies(f"chatkit_{table}")),
        *(
            statement
            for one in safeguards.all_of(schema)
            if one.for_class
            for statement in (*safeguards.made(one, schema), *safeguards.attached(one, schema))
        ),
    )


def set_up(run: RunStatement) -> None:
    """Set the rights; raises `StoreError` where students could make things beside the tables."""
    schema = safeguards.schema_of(run)
    for statement in statements(schema):
        run(statement)
    safeguards.check_schema(run, schema)


def add_logins(run: RunStatement, names: Iterable[str], part: ClassRole) -> dict[str, str]:
    """Make a login for each name that has none; gives the new passwords. One that is there gets the part alone."""
    made = {}
    for name in names:
        _check(name)
        if not run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=name):
            made[name] = token_urlsafe(18)
            run(f"CREATE ROLE \"{name}\" LOGIN CONNECTION LIMIT 10 PASSWORD '{made[name]}'")
        run(f'GRANT {STUDENT if part == "student" else INSTRUCTOR} TO "{name}"')
    return made


def _check(name: str) -> None:
    if not NAME.fullmatch(name) or name.startswith(("pg_", "chatkit_")):
        raise InputError(
            f"{name!r} cannot be a login.",
            "Use small letters, digits, '.', '-' and '_', beginning with a letter; up to 63 of them.",
        )


def _role(role: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}')"
        f" THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
    )


def _policies(table: str) -> tuple[str, ...]:
    changes = ("UPDATE",) if table == "chatkit_calls" else ()
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS chatkit_own ON {table}",
        f"CREATE POLICY chatkit_own ON {table} TO {BOTH} USING (owner = CURRENT_USER) WITH CHECK (owner = CURRENT_USER)",
        *(
            statement
            for kind in ("SELECT", *changes)
            for statement in (
                f"DROP POLICY IF EXISTS chatkit_{kind.lower()}_all ON {table}",
                f"CREATE POLICY chatkit_{kind.lower()}_all ON {table} FOR {kind} TO {INSTRUCTOR} USING (true)",
            )
        ),
    )
