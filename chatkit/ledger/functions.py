"""The functions that PostgreSQL runs for chatkit: two keep the table of sums, one says who called.

In: the schema of the tables, its name as SQL writes it. Out: SQL.

The two that keep the sums run with the rights of the tables' owner: who may only add calls can neither read nor
change the sums of others. So they must find nothing that somebody else can make. Their path has the caller's
temporary things last, every table, function, operator and type is named with its schema, and nobody but the owner may
put them on another table, whose columns could be of the caller's own types.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chatkit.ledger import rollup

RunStatement = Callable[..., list[Any]]
"""Runs a statement with named parameters and gives its rows back."""

STUDENT, INSTRUCTOR = "chatkit_student", "chatkit_instructor"
OWNED = ("calls", "rollup", "budgets", "holds", "tags", "repricings")
TABLES = (*OWNED, "schema", "prices")
"""What the store's tables are called, after `chatkit_`; in those of `OWNED` a row has an owner."""

_ELSEWHERE = (
    " IF TG_RELID OPERATOR(pg_catalog.<>) CAST('{place}.chatkit_calls' AS pg_catalog.regclass) THEN RAISE EXCEPTION"
    " USING ERRCODE = 'insufficient_privilege', MESSAGE = 'This function is for the table of calls alone.'; END IF;"
)
_GROUP = (
    f" IF CURRENT_USER OPERATOR(pg_catalog.=) '{STUDENT}' OR CURRENT_USER OPERATOR(pg_catalog.=) '{INSTRUCTOR}' THEN"
    " RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'A call belongs to a login, not to a part.';"
    " END IF;"
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the trigger on the table of calls that runs it, which has the same name."""

    name: str
    when: str
    body: str
    definer: bool
    """Whether it runs with the rights of its owner."""
    for_class: bool = False


def all_of(schema: str) -> tuple[Function, ...]:
    """The functions as they should be."""
    return (*_keepers(schema), _namer())


def path(schema: str) -> str:
    """Where they look for what is named without its schema: last among what the caller can make."""
    return f"pg_catalog, {schema}, pg_temp"


def made(function: Function, schema: str) -> tuple[str, str]:
    """The statements that make the function, or put it in the place of an older one."""
    rights = "DEFINER" if function.definer else "INVOKER"
    return (
        f"CREATE OR REPLACE FUNCTION {schema}.{function.name}() RETURNS trigger LANGUAGE plpgsql SECURITY {rights}"
        f" SET search_path = {path(schema)} AS $chatkit${function.body}$chatkit$",
        f"REVOKE ALL ON FUNCTION {schema}.{function.name}() FROM PUBLIC",
    )


def attached(function: Function, schema: str) -> tuple[str, str]:
    """The statements that put it on the table of calls."""
    return (
        f"DROP TRIGGER IF EXISTS {function.name} ON {schema}.chatkit_calls",
        f"CREATE TRIGGER {function.name} {function.when} ON {schema}.chatkit_calls"
        f" FOR EACH ROW EXECUTE FUNCTION {schema}.{function.name}()",
    )


def schema_of(run: RunStatement) -> str:
    """The schema in which the tables are."""
    [(schema,)] = run(
        "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass('chatkit_calls')"
    )
    return str(schema)


def _keepers(schema: str) -> Sequence[Function]:
    table, words = f"{schema}.chatkit_rollup", rollup.CATALOG
    new = rollup.columns("NEW", words) | {"digest": rollup.digest("NEW")}
    steps = {
        "added": rollup.added(f"{table} AS line", "digest", new, words),
        "repriced": rollup.repriced(table, f"digest {words['is']} {rollup.digest('NEW')}", words),
    }
    here = _ELSEWHERE.format(place=schema.replace("'", "''"))
    return [
        Function(f"chatkit_{name}", f"AFTER {rollup.STEPS[name]}", f" BEGIN{here} {do} RETURN NULL; END ", definer=True)
        for name, do in steps.items()
    ]


def _namer() -> Function:
    body = (
        f" BEGIN{_GROUP} IF NEW.caller OPERATOR(pg_catalog.=) '' OR NOT"
        f" pg_catalog.pg_has_role(CURRENT_USER, '{INSTRUCTOR}', 'MEMBER')"
        " THEN NEW.caller = CURRENT_USER; END IF; RETURN NEW; END "
    )
    return Function("chatkit_name_caller", "BEFORE INSERT", body, definer=False, for_class=True)
