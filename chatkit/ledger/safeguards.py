"""What keeps a shared database safe: safeguards and functions on PostgreSQL, mended where an older one lacks them.

In: a way to run statements. Out: sentences that say what an older chatkit had left open and is mended now, and
what the owner must look at. To anyone but the owner there is nothing to do here.

Nothing that mends waits for a table that others may lock; only the sums, made anew afterwards, do, and not for long.

The two that keep the sums run with the rights of the tables' owner: who may only add calls can neither read nor
change the sums of others. So they must find nothing that somebody else can make. Their path has the caller's
temporary things last, every table, function, operator and type is named with its schema, and nobody but the owner may
put them on another table, whose columns could be of the caller's own types.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chatkit.exceptions import StoreError
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


_NAMES = [f"chatkit_{name}" for name in TABLES]
_STRANGE = (
    "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(m.nspname) || '.' || t.relname || ' of '"
    " || pg_catalog.quote_ident(r.rolname), ', ' ORDER BY t.relname)"
    " FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS m ON m.oid = t.relnamespace"
    " JOIN pg_catalog.pg_roles AS r ON r.oid = t.relowner WHERE r.rolname <> CURRENT_USER AND"
    f" pg_catalog.pg_table_is_visible(t.oid) AND t.relname IN ({', '.join(map(repr, _NAMES))})"
    " AND EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members AS a JOIN pg_catalog.pg_roles AS s ON s.oid = a.roleid"
    f" WHERE s.rolname = '{STUDENT}' AND a.member = t.relowner AND NOT a.admin_option)"
)
_TABLES = (
    "SELECT pg_catalog.quote_ident(n.nspname) AS schema, c.relrowsecurity AS for_class,"
    " pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) AS owner,"
    " pg_catalog.pg_get_userbyid(c.relowner) = CURRENT_USER AS own,"
    " pg_catalog.pg_has_role(c.relowner, CASE WHEN CAST(pg_catalog.current_setting('server_version_num') AS integer)"
    " >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS ours,"
    " pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE') AS may_make,"
    f" ({_STRANGE}) AS strange"
    " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.oid = pg_catalog.to_regclass('chatkit_calls')"
)
_FUNCTIONS = (
    "SELECT p.proname, p.prosrc, p.prosecdef, pg_catalog.array_to_string(p.proconfig, '; ') AS settings,"
    " ARRAY(SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END"
    " FROM pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a"
    " WHERE a.grantee <> p.proowner) AS lent_to,"
    " EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS t WHERE t.tgfoid = p.oid AND t.tgname = p.proname"
    " AND t.tgenabled <> 'D' AND t.tgrelid = pg_catalog.to_regclass('chatkit_calls')) AS attached"
    " FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_class AS c ON c.relnamespace = p.pronamespace"
    " WHERE c.oid = pg_catalog.to_regclass('chatkit_calls') AND p.pronargs = 0"
)
_MAKERS = (
    "SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END"
    " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " CROSS JOIN pg_catalog.aclexplode(n.nspacl) AS a"
    " WHERE c.oid = pg_catalog.to_regclass('chatkit_calls') AND a.privilege_type = 'CREATE' AND (a.grantee = 0"
    f" OR pg_catalog.pg_get_userbyid(a.grantee) IN ('{STUDENT}', '{INSTRUCTOR}')) ORDER BY 1"
)
_RISEN = (
    "SELECT r.rolname FROM pg_catalog.pg_class AS c CROSS JOIN pg_catalog.pg_auth_members AS m"
    " JOIN pg_catalog.pg_roles AS s ON s.oid = m.roleid JOIN pg_catalog.pg_roles AS r ON r.oid = m.member"
    f" WHERE c.oid = pg_catalog.to_regclass('chatkit_calls') AND s.rolname = '{STUDENT}'"
    " AND r.oid <> c.relowner AND r.rolname <> SESSION_USER AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb"
    " OR r.rolreplication OR r.rolbypassrls OR pg_catalog.pg_has_role(r.oid, c.relowner, 'MEMBER')"
    f" OR pg_catalog.pg_has_role(r.oid, '{INSTRUCTOR}', 'MEMBER')"
    " OR pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'CREATE')"
    " OR pg_catalog.has_table_privilege(r.oid, c.oid, 'TRIGGER, DELETE, TRUNCATE')) ORDER BY 1"
)


class _Place(NamedTuple):
    """The tables: where they are, whose they are, and whether they are a class's."""

    schema: str
    for_class: bool
    owner: str
    own: bool
    ours: bool
    may_make: bool
    strange: str | None
    """Tables of our names that a student made and that are found before the class's, or in their stead."""


def is_open(run: RunStatement) -> bool:
    """Whether there is something to mend, for who may."""
    place = _place(run)
    return bool(place and (_wrong(run, place) or (place.for_class and run(_MAKERS))))


def mend(run: RunStatement) -> list[str]:
    """Make the functions that are missing, mend what an older version made, in one transaction; what there is to say."""
    place = _place(run)
    if place is None:
        return []
    if not place.own:
        run(f"SET LOCAL ROLE {place.owner}")
    run(f"LOCK TABLE {place.schema}.chatkit_schema IN SHARE ROW EXCLUSIVE MODE")
    said = []
    replaced = [_replace(run, place, function, row) for function, row in _wrong(run, place)]
    if any(replaced):
        said.append(
            f"An older chatkit had made functions that keep the sums with the rights of {place.owner} and could be made"
            " to run the code of whoever adds a call; they are replaced."
        )
    if place.for_class:
        said += close_schema(run, place.schema)
    if said and place.for_class and (risen := [name for (name,) in run(_RISEN)]):
        said.append(f"Look at these students' logins, which have more than a student's rights: {', '.join(risen)}.")
    return said


def resum(run: RunStatement, *, always: bool = True) -> list[str]:
    """Make the sums anew from the calls, as they were open to others, or where they count other calls; what there is to say."""
    place = _place(run)
    if place is None or not (always or _differ(run)):
        return []
    run(f"SET LOCAL search_path = {path(place.schema)}")
    run("SET LOCAL lock_timeout = '5s'")  # whoever has just added a call may hold the table as long as they like
    run("LOCK TABLE chatkit_rollup IN SHARE ROW EXCLUSIVE MODE")
    run("DELETE FROM chatkit_rollup")
    run(rollup.fill("postgresql"))
    return ["The sums were made anew from the calls."]


def _differ(run: RunStatement) -> bool:
    [(kept, made)] = run(
        "SELECT (SELECT COALESCE(SUM(calls), 0) FROM chatkit_rollup), (SELECT COUNT(*) FROM chatkit_calls)"
    )
    return bool(kept != made)


def close_schema(run: RunStatement, schema: str) -> list[str]:
    """Let no student make anything in the schema of the tables; what there is to say."""
    makers = [name for (name,) in run(_MAKERS)]
    if not makers:
        return []
    everyone = ", ".join(makers)
    run(f"REVOKE CREATE ON SCHEMA {schema} FROM {everyone}")
    if run(_MAKERS):
        return [
            f"Students can make tables and functions in the schema {schema}, which belongs to another role."
            f" Have its owner run: REVOKE CREATE ON SCHEMA {schema} FROM {everyone};"
        ]
    return [f"Students could make tables and functions in the schema {schema}; that right is taken from {everyone}."]


def check_schema(run: RunStatement, schema: str) -> None:
    """Raise `StoreError` where students can make something in the schema of the tables."""
    said = close_schema(run, schema)
    if run(_MAKERS):
        cause, _, way_out = said[0].partition(". ")
        raise StoreError(f"{cause}.", way_out)


def _place(run: RunStatement) -> _Place | None:
    """The tables, if there are any and they are ours."""
    place = next((_Place(*row) for row in run(_TABLES)), None)
    if place and place.strange:
        raise StoreError(
            f"Tables of a student's are found here where the class's should be: {place.strange}; triggers on them would"
            " run with your rights, so nothing was read or written.",
            "Have them dropped, and their schema; students need no right to create schemas or tables.",
        )
    return place if place and place.ours else None


def _wrong(run: RunStatement, place: _Place) -> list[tuple[Function, Any]]:
    """The functions that are not as they should be, and what is there in their place."""
    found = {row[0]: row for row in run(_FUNCTIONS)}
    wanted = [one for one in all_of(place.schema) if place.for_class or not one.for_class]
    return [(one, found.get(one.name)) for one in wanted if not _is_right(one, found.get(one.name), place)]


def _is_right(function: Function, row: Any, place: _Place) -> bool:
    if row is None:
        return False
    _, body, definer, settings, lent_to, attached = row
    same = (body, definer) == (function.body, function.definer) or not place.may_make
    return same and attached and not lent_to and settings == f"search_path={path(place.schema)}"


def _replace(run: RunStatement, place: _Place, function: Function, row: Any) -> bool:
    """Put the function right; whether one was there."""
    name = f"{place.schema}.{function.name}()"
    if row is not None:
        run(f"ALTER FUNCTION {name} SET search_path = {path(place.schema)}")
        for grantee in row[4]:
            run(f"REVOKE ALL ON FUNCTION {name} FROM {grantee}")
    if row is None or place.may_make:
        for statement in made(function, place.schema):
            run(statement)
    if row is None or not row[5]:
        for statement in attached(function, place.schema):
            run(statement)
    return row is not None
