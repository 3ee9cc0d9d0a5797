"""A class database against its own students: what they can make is never run, and never counted, with the owner's rights.

`old_class.sql` is what `chatkit db init --class` of chatkit 0.1 made, word for word.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import postgres
import pytest
from postgres import Cluster

from chatkit import __main__ as command
from chatkit.exceptions import StoreError
from chatkit.ledger import class_roles, rollup, rulebook, safeguards
from chatkit.ledger.database import LIMITS
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.rules import Limit
from chatkit.ledger.store import UsageStore

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

pytestmark = postgres.needed

OLD = (Path(__file__).parent / "old_class.sql").read_text(encoding="utf-8")
CALL = (
    "INSERT INTO {} (id, at, session, path, host, model, streamed, outcome, attempt, latency, known, cost_pico,"
    " prompt_tokens) VALUES ('{}', '2026-11-27T05:00:00.000000Z', 's', '/p', 'h', 'm', 0, 'complete', 1, 0.5,"
    " 'measured', 5, 7)"
)
DOES = "BEGIN INSERT INTO trap VALUES (CURRENT_USER); ALTER ROLE bob SUPERUSER; {} END"
"""What a student's code does: it says whose rights it has, and takes them."""
READY = (
    "CREATE TEMP TABLE trap (who TEXT)",
    "GRANT ALL ON trap TO PUBLIC",
    f"CREATE FUNCTION pg_temp.sprung() RETURNS trigger LANGUAGE plpgsql AS $$ {DOES.format('RETURN NEW;')} $$",
)
TEMP = "DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA ' || pg_my_temp_schema()::regnamespace || ' TO PUBLIC'; END $$"


def trapped(table: str) -> tuple[str, ...]:
    """A temporary table of this name whose trigger is the student's."""
    return (
        f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL)",
        f"GRANT ALL ON pg_temp.{table} TO PUBLIC",
        f"CREATE TRIGGER sprung BEFORE INSERT OR UPDATE ON pg_temp.{table} FOR EACH ROW"
        " EXECUTE FUNCTION pg_temp.sprung()",
    )


def seen(table: str) -> tuple[str, ...]:
    """A temporary view of this name that answers with the student's code."""
    return (
        f"CREATE TEMP VIEW {table} AS SELECT * FROM public.{table}",
        f"GRANT ALL ON pg_temp.{table} TO PUBLIC",
        f"CREATE TRIGGER sprung INSTEAD OF INSERT OR UPDATE ON pg_temp.{table} FOR EACH ROW"
        " EXECUTE FUNCTION pg_temp.sprung()",
    )


def called(name: str, takes: str, gives: str, schema: str = "pg_temp") -> str:
    """A function of this name with the student's code."""
    return (
        f"CREATE FUNCTION {schema}.{name}({takes}) RETURNS {gives} LANGUAGE plpgsql AS"
        f" $$ {DOES.format('RETURN NULL;')} $$"
    )


def signed(sign: str, left: str, right: str, gives: str, schema: str = "pg_temp") -> tuple[str, str]:
    """An operator of this sign with the student's code."""
    name = f"op_{uuid4().hex}"
    function = called(name, f"{left}, {right}", gives, schema)
    return (
        function,
        f"CREATE OPERATOR {schema}.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {schema}.{name})",
    )


FORGED = (
    "INSERT INTO mine (id, seq, at, session, path, host, model, streamed, outcome, attempt, latency, known, cost_pico,"
    " owner, caller, lesson, exercise) VALUES ('x', 1, '2026-11-27T05:00:00.000000Z', {}, '/p', 'h', 'm', 0, 'complete',"
    " 1, 0.5, 'measured', 5, 'ada', 'ada', '', '')"
)
OWN_TYPE = (
    "CREATE TYPE pg_temp.word AS (said TEXT)",
    f"CREATE FUNCTION pg_temp.spell(pg_temp.word) RETURNS text LANGUAGE plpgsql AS $$ {DOES.format('RETURN 1;')} $$",
    "CREATE CAST (pg_temp.word AS text) WITH FUNCTION pg_temp.spell(pg_temp.word) AS IMPLICIT",
    "CREATE TEMP TABLE mine (LIKE public.chatkit_calls)",
    "ALTER TABLE mine ALTER COLUMN session TYPE pg_temp.word USING NULL",
    "CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.chatkit_added()",
    FORGED.format("ROW('s')"),
)
OWN_TABLE = (
    "CREATE TEMP TABLE mine (LIKE public.chatkit_calls INCLUDING DEFAULTS)",
    "CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.chatkit_added()",
    FORGED.format("'s'"),
)
ATTACKS = {
    **{f"a table {name}": trapped(name) for name in ("chatkit_rollup", "chatkit_calls", "chatkit_schema")},
    **{f"a view {name}": seen(name) for name in ("chatkit_rollup", "chatkit_calls")},
    "a table pg_roles": ("CREATE TEMP TABLE pg_roles (LIKE pg_catalog.pg_roles)", "GRANT ALL ON pg_temp.pg_roles TO PUBLIC"),
    "functions": (
        called("substr", "text, integer, integer", "text"), called("sha256", "bytea", "bytea"),
        called("convert_to", "text, name", "bytea"), called("encode", "bytea, text", "text"),
        called("pg_has_role", "name, name, text", "boolean"),
    ),
    "operators": (
        *signed("||", "text", "text", "text"), *signed("+", "numeric", "bigint", "numeric"),
        *signed("=", "text", "text", "boolean"), *signed("<", "text", "text", "boolean"),
        *signed("/", "integer", "integer", "integer"), *signed("=", "name", "text", "boolean"),
    ),
    "domains": (
        "CREATE FUNCTION pg_temp.looks(anyelement) RETURNS boolean LANGUAGE plpgsql AS"
        f" $$ {DOES.format('RETURN TRUE;')} $$",
        *(f"CREATE DOMAIN pg_temp.{name} AS pg_catalog.{name} CHECK (pg_temp.looks(VALUE))"
          for name in ("text", "int4", "numeric", "regclass", "float8")),
    ),
    "a composite type": ("CREATE TYPE pg_temp.text AS (a pg_catalog.text)", "CREATE TYPE pg_temp.record AS (a integer)"),
    "a type of its own, cast by its own code": OWN_TYPE,
    "the trigger on a table of its own": OWN_TABLE,
}  # fmt: skip
IN_PUBLIC = {
    "functions": (
        called("substr", "text, bigint, integer", "text", "public"), called("encode", "bytea, varchar", "text", "public"),
        called("convert_to", "text, varchar", "bytea", "public"), called("pg_has_role", "name, text, varchar", "boolean", "public"),
    ),
    "operators": (
        *signed("+", "numeric", "bigint", "numeric", "public"), *signed("-", "numeric", "bigint", "numeric", "public"),
        *signed("||", "text", "varchar", "text", "public"), *signed("=", "text", "varchar", "boolean", "public"),
        *signed("+", "bigint", "integer", "bigint", "public"), *signed("=", "name", "varchar", "boolean", "public"),
    ),
    "domains": ("CREATE DOMAIN public.text AS pg_catalog.text CHECK (VALUE IS NULL)",),
}  # fmt: skip


def attempt(server: Cluster, database: str, statements: tuple[str, ...], user: str = "bob") -> set[str]:
    """Run the student's statements, whatever each comes to, then add a call; whose rights the student's code had."""
    where = {"host": "127.0.0.1", "port": server.port, "user": user, "dbname": database}
    with psycopg.connect(**where, autocommit=True) as connection:
        for statement in (*READY, TEMP, *statements, CALL.format("public.chatkit_calls", f"b{uuid4().hex}")):
            with suppress(psycopg.Error):
                connection.execute(statement)
        return {who for (who,) in connection.execute("SELECT who FROM pg_temp.trap")}


@contextmanager
def class_of(server: Cluster, owner: str = "teacher") -> Iterator[str]:
    name = f"d{uuid4().hex}"
    with server.database(name):
        server.sql(f"ALTER DATABASE {name} OWNER TO {owner}")
        url = server.url(owner, name)
        assert command.main(["db", "init", url, "--class", "--student", "ada", "--student", "bob", "--instructor",
                             "grace"]) == 0  # fmt: skip
        server.sql(CALL.format("chatkit_calls", "ada1"), "ada", name)
        try:
            yield name
        finally:
            server.sql("ALTER ROLE bob NOSUPERUSER")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.fixture
def database(server: Cluster, home: None) -> Iterator[str]:
    with class_of(server) as name:
        yield name


@pytest.fixture
def old(server: Cluster, database: str) -> str:
    """The same database as the earlier version made it, on a server where everyone may make things in `public`."""
    tables = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=database)
    server.sql(f"DROP TABLE {', '.join(name for (name,) in tables)} CASCADE", database=database)
    for function in ("added", "repriced", "name_caller"):
        server.sql(f"DROP FUNCTION chatkit_{function}", database=database)
    server.sql(OLD, database=database)
    server.sql("GRANT CREATE ON SCHEMA public TO PUBLIC", database=database)
    server.sql(CALL.format("chatkit_calls", "ada1"), "ada", database)
    return database


def sums(server: Cluster, database: str) -> tuple[object, object]:
    """The sums that are kept, and those of the rows."""
    kept = ", ".join(f"SUM({name})" for name in rollup.SUMS)
    made = ", ".join(f"SUM({value})" for name, value in rollup.columns("one").items() if name in rollup.SUMS)
    by = "owner, caller, session"
    return (
        server.sql(f"SELECT {by}, {kept} FROM chatkit_rollup GROUP BY {by} ORDER BY {by}", database=database),
        server.sql(f"SELECT {by}, {made} FROM chatkit_calls AS one GROUP BY {by} ORDER BY {by}", database=database),
    )


def is_superuser(server: Cluster) -> bool:
    return bool(server.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'bob'")[0][0])


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_temporary_of_a_students_is_run_or_counted(server: Cluster, database: str, attack: str) -> None:
    assert attempt(server, database, ATTACKS[attack]) <= {"bob"}
    assert not is_superuser(server)
    kept, made = sums(server, database)
    assert kept == made
    assert server.sql("SELECT owner, count(*) FROM chatkit_calls GROUP BY 1 ORDER BY 1", database=database)[0] == (
        "ada",
        1,
    )


@pytest.mark.parametrize("attack", IN_PUBLIC)
def test_not_even_what_a_student_made_in_the_tables_schema(server: Cluster, database: str, attack: str) -> None:
    """A right to make things there that somebody gave the student by name."""
    server.sql("GRANT CREATE ON SCHEMA public TO bob", database=database)
    attempt(server, database, IN_PUBLIC[attack])
    server.sql(CALL.format("public.chatkit_calls", "ada2"), "ada", database)
    server.sql("UPDATE chatkit_calls SET cost_pico = 9", "grace", database)
    assert not is_superuser(server)
    kept, made = sums(server, database)
    assert kept == made


def test_an_owner_who_is_no_superuser_is_as_safe(server: Cluster, home: None) -> None:
    with suppress(psycopg.errors.DuplicateObject):
        server.sql("CREATE ROLE dean LOGIN CREATEROLE")
    with class_of(server, "dean") as database:
        steals = (
            "CREATE OR REPLACE FUNCTION pg_temp.sprung() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" INSERT INTO trap VALUES (CURRENT_USER); GRANT {class_roles.INSTRUCTOR} TO bob; RETURN NEW; END $$"
        )
        assert attempt(server, database, (steals, *ATTACKS["a table chatkit_rollup"])) <= {"bob"}
        assert sums(server, database)[0] == sums(server, database)[1]
        assert not server.sql(f"SELECT pg_has_role('bob', '{class_roles.INSTRUCTOR}', 'MEMBER')")[0][0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            UsageStore(server.url("dean", database)).open()


def test_no_function_runs_as_its_owner_that_looks_among_the_callers_things_first(
    server: Cluster, database: str
) -> None:
    found = server.sql(
        "SELECT proname, prosecdef, proconfig, ARRAY(SELECT grantee FROM aclexplode(proacl) WHERE grantee <> proowner)"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1", database=database
    )  # fmt: skip
    path = ["search_path=pg_catalog, public, pg_temp"]
    assert found == [
        ("chatkit_added", True, path, []), ("chatkit_name_caller", False, path, []), ("chatkit_repriced", True, path, []),
    ]  # fmt: skip


def test_the_tables_may_be_in_another_schema(server: Cluster, home: None) -> None:
    name = f"d{uuid4().hex}"
    with server.database(name):
        server.sql('CREATE SCHEMA "the class\'s"', database=name)
        server.sql(f'ALTER DATABASE {name} SET search_path = "the class\'s", public')
        url = server.url(database=name)
        assert command.main(["db", "init", url, "--class", "--student", "ada", "--student", "bob"]) == 0
        server.sql(CALL.format("chatkit_calls", "ada1"), "ada", name)
        attempt(server, name, ATTACKS["a table chatkit_rollup"])
        assert not is_superuser(server)
        assert UsageStore(url).total().calls == 1
        paths = server.sql(
            "SELECT DISTINCT proconfig[1] FROM pg_proc WHERE prosecdef AND proname LIKE 'chatkit%%'", database=name
        )
        assert paths == [('search_path=pg_catalog, "the class\'s", pg_temp',)]


def test_the_schema_may_be_named_in_the_url(server: Cluster, home: None) -> None:
    with server.database(name := f"d{uuid4().hex}"):
        server.sql("CREATE SCHEMA course", database=name)
        url = server.url(database=name) + "?options=-csearch_path%3Dcourse&connect_timeout=3"
        assert command.main(["db", "init", url, "--class", "--student", "ada"]) == 0
        found = server.sql("SELECT schemaname FROM pg_tables WHERE tablename LIKE 'chatkit%%'", database=name)
        assert set(found) == {("course",)}
        assert UsageStore(url).select("SHOW statement_timeout") == [("1min",)], "our limits hold beside it"


@pytest.mark.parametrize("table", ["calls", "holds", "prices", "rollup", "schema"])
@pytest.mark.parametrize("user", ["teacher", "ada"])
def test_a_table_of_a_students_that_is_found_first_is_neither_read_nor_written(
    server: Cluster, database: str, user: str, table: str
) -> None:
    server.sql(f"GRANT CREATE ON DATABASE {database} TO bob")
    for statement in (
        f"CREATE SCHEMA {user}", f"GRANT ALL ON SCHEMA {user} TO PUBLIC",
        f"CREATE TABLE {user}.chatkit_{table} (LIKE public.chatkit_{table} INCLUDING ALL)",
        f"GRANT ALL ON {user}.chatkit_{table} TO PUBLIC",
    ):  # fmt: skip
        server.sql(statement, "bob", database)
    store = UsageStore(server.url(user, database))
    with pytest.raises(
        StoreError, match=rf"Tables of a student's are found .*: {user}.chatkit_{table} of bob; triggers"
    ):
        store.open()
    assert server.sql(f"SELECT COUNT(*) FROM {user}.chatkit_{table}", database=database) == [(0,)]
    server.sql(f"DROP SCHEMA {user} CASCADE", "bob", database)
    store.open()


def test_a_database_of_an_older_version_is_open_to_a_student_until_its_owner_opens_it(
    server: Cluster, old: str
) -> None:
    """The attack works there, which shows that the tests above would see one that does."""
    assert "teacher" in attempt(server, old, ATTACKS["a table chatkit_rollup"])
    assert is_superuser(server)
    UsageStore(server.url("ada", old)).total()
    owners = UsageStore(server.url(database=old))
    with pytest.warns(UserWarning, match="are replaced") as told:
        owners.open()
    said = " ".join(str(one.message) for one in told)
    assert "run the code of whoever adds a call; they are replaced." in said
    assert "that right is taken from PUBLIC." in said
    assert "Look at these students' logins, which have more than a student's rights: bob." in said
    server.sql("ALTER ROLE bob NOSUPERUSER")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UsageStore(server.url(database=old)).open()
    for attack in (*ATTACKS.values(), *IN_PUBLIC.values()):
        attempt(server, old, attack)
        assert not is_superuser(server)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.sql("CREATE TABLE public.mine (x INTEGER)", "bob", old)


def test_a_type_of_the_students_own_ran_as_the_owner_too(server: Cluster, old: str) -> None:
    assert "teacher" in attempt(server, old, OWN_TYPE)
    server.sql("ALTER ROLE bob NOSUPERUSER")
    attempt(server, old, OWN_TABLE)
    kept, made = sums(server, old)
    assert kept != made, "sums in another student's name"
    with pytest.warns(UserWarning, match="The sums were made anew from the calls"):
        UsageStore(server.url(database=old)).open()
    kept, made = sums(server, old)
    assert kept == made


def test_db_init_says_what_it_mends(server: Cluster, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["db", "init", server.url(database=old), "--class", "--instructor", "grace"]
    capsys.readouterr()
    assert command.main(words) == 0
    assert "they are replaced." in capsys.readouterr().out
    assert command.main(words) == 0
    assert "replaced" not in capsys.readouterr().out


@pytest.mark.parametrize("user", ["ada", "grace"])
def test_who_does_not_own_the_tables_changes_nothing_and_is_told_nothing(server: Cluster, old: str, user: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = UsageStore(server.url(user, old))
        store.open()
        assert store.total().calls == 1
    assert "teacher" in attempt(server, old, ATTACKS["a table chatkit_rollup"])


def test_the_repair_waits_for_no_lock_of_a_students(
    server: Cluster, old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "user": "bob", "dbname": old}
    with psycopg.connect(**where) as bob:
        bob.execute("SELECT * FROM chatkit_calls, chatkit_schema, chatkit_rollup")
        bob.execute(CALL.format("chatkit_calls", "bob1"))
        bob.execute("SELECT pg_advisory_lock(4242424242)")
        with pytest.warns(UserWarning, match=r"they are replaced.*The sums could not be made anew .*chatkit db init"):
            UsageStore(server.url(database=old)).open()
    server.sql("DELETE FROM chatkit_rollup", database=old)
    capsys.readouterr()
    assert command.main(["db", "init", server.url(database=old), "--class"]) == 0
    assert "The sums were made anew from the calls." in capsys.readouterr().out
    kept, made = sums(server, old)
    assert kept == made


def test_a_schema_that_is_somebody_elses_is_told(server: Cluster, home: None) -> None:
    with suppress(psycopg.errors.DuplicateObject):
        server.sql("CREATE ROLE dean LOGIN CREATEROLE")
    name = f"d{uuid4().hex}"
    with server.database(name):
        server.sql("GRANT CREATE ON SCHEMA public TO PUBLIC", database=name)
        store = UsageStore(server.url("dean", name))
        store.open()
        way_out = "Have its owner run: REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
        with pytest.raises(StoreError, match=way_out), store.transaction() as run:
            class_roles.set_up(run)
        assert not server.sql("SELECT relrowsecurity FROM pg_class WHERE relname = 'chatkit_calls'", database=name)[0][
            0
        ]


@pytest.mark.parametrize(
    "attack",
    [
        "SET ROLE chatkit_student; " + CALL.format("chatkit_calls", "x"),
        "SET SESSION AUTHORIZATION teacher",
        "SET session_replication_role = replica",
        "SET row_security = off; SELECT * FROM chatkit_calls",
        "CREATE TRIGGER mine BEFORE INSERT ON chatkit_calls FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE mine AS ON INSERT TO chatkit_calls DO INSTEAD NOTHING",
        "CREATE POLICY mine ON chatkit_calls USING (true)",
        "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true'",
        "ALTER FUNCTION chatkit_added() SECURITY INVOKER",
        "CREATE TEMP TABLE mine (LIKE chatkit_calls);"
        " CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION chatkit_repriced()",
        "CREATE INDEX mine ON chatkit_calls (id)",
        "COMMENT ON TABLE chatkit_calls IS 'mine'",
        "GRANT SELECT ON chatkit_calls TO PUBLIC; SELECT 1/0",
    ],
)  # fmt: skip
def test_a_student_is_refused(server: Cluster, database: str, attack: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        server.sql(attack, "bob", database)
    assert refused.value.sqlstate in ("42501", "22012")
    assert server.sql("SELECT count(*) FROM chatkit_calls", database=database) == [(1,)]
    assert not server.sql("SELECT has_table_privilege('public', 'chatkit_calls', 'SELECT')", database=database)[0][0]


def test_a_cheap_function_sees_no_row_of_others(server: Cluster, database: str) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "user": "bob", "dbname": database}
    with psycopg.connect(**where, autocommit=True) as bob:
        bob.execute("CREATE TEMP TABLE heard (id TEXT)")
        bob.execute(
            "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean COST 0.000001 LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO heard VALUES ($1); RETURN TRUE; END $$"
        )
        bob.execute("CREATE TEMP VIEW over_all AS SELECT * FROM public.chatkit_calls")
        for table in ("public.chatkit_calls", "over_all"):
            assert bob.execute(f"SELECT id FROM {table} WHERE pg_temp.peek(id)").fetchall() == []
        assert bob.execute("SELECT id FROM heard").fetchall() == []


def test_no_other_student_can_hold_up_a_budget(server: Cluster, database: str) -> None:
    ada = rulebook.rulebook_of(store := UsageStore(server.url("ada", database)))
    ada.set_limit(limit := Limit(1, "day"))
    where = {"host": "127.0.0.1", "port": server.port, "user": "bob", "dbname": database}
    with psycopg.connect(**where) as bob:
        bob.execute("SELECT pg_advisory_lock(hashtext('chatkit budget'), hashtext('ada'))")
        bob.execute("SELECT * FROM chatkit_budgets FOR UPDATE")
        store.add(
            UsageRecord("n", datetime.now(UTC), "s", "/p", "h", "m", None, False, "complete", 200, None, 1, 0.5, None, Usage())
        )  # fmt: skip
        with store.transaction() as run:
            run("SET LOCAL lock_timeout = '1s'")
            run("{alone}")
        assert ada.spending(limit, "s").unbounded == 1


STRONG = (
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)


@pytest.mark.parametrize("table", ["calls", "rollup", "prices", "schema", "repricings"])
def test_no_student_can_lock_a_table_that_all_write_to(server: Cluster, database: str, table: str) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "user": "bob", "dbname": database}
    for mode in STRONG:
        with psycopg.connect(**where) as bob, suppress(psycopg.errors.InsufficientPrivilege):
            bob.execute(f"LOCK TABLE chatkit_{table} IN {mode} MODE")
            assert mode == "ROW SHARE", "which keeps nobody from writing"


@pytest.mark.parametrize("table", ["budgets", "holds", "tags"])
def test_who_waits_for_a_table_that_a_student_has_locked_gives_up_and_loses_nothing(
    server: Cluster, database: str, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    short = LIMITS["options"].replace("lock_timeout=10000", "lock_timeout=200")
    monkeypatch.setitem(LIMITS, "options", short)
    store = UsageStore(server.url("ada", database))
    store.open()
    where = {"host": "127.0.0.1", "port": server.port, "user": "bob", "dbname": database}
    with psycopg.connect(**where) as bob:
        bob.execute(f"LOCK TABLE chatkit_{table} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError, match="lock timeout"):
            store.select(f"SELECT 1 FROM chatkit_{table}")
        store.add(
            UsageRecord("n", datetime.now(UTC), "s", "/p", "h", "m", None, False, "complete", 200, None, 1, 0.5, None, Usage())
        )  # fmt: skip
        assert len(store.records()) == 2, "the one that was there, and this"
    assert store.select(f"SELECT 1 FROM chatkit_{table}") == []


def test_who_does_not_own_the_tables_asks_once(server: Cluster, database: str) -> None:
    asked = []
    store = UsageStore(server.url("ada", database))

    def run(text: str) -> list[object]:
        asked.append(text)
        return store.select(text)

    assert not safeguards.is_open(run)
    assert len(asked) == 1
