"""Sessions as they are filed: renamed, tagged, deleted for good.

In: names, from a person. Out: changed rows in the store, each change in one transaction.
"""

from chatkit import typed
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import record as sessions
from chatkit.ledger import rollup
from chatkit.ledger.place import LockedError
from chatkit.ledger.store import BACKGROUND, UsageStore

WIPING = 5.0
"""Seconds that other programs may take to let go of what is deleted."""


def rename(store: UsageStore, old: str, new: str) -> None:
    """Call a session `new`, its calls in the store and those that this process is still to make."""
    old, name = typed.name(old, "session"), typed.name(new, "session").strip()
    if not name:
        raise InputError("A session's name cannot be empty.", 'Try "Lesson 1".')
    if name == old:
        return
    store.flush()
    dialect = "sqlite" if store.is_file else "postgresql"
    with store.transaction(BACKGROUND) as run:
        if run("SELECT 1 FROM chatkit_rollup WHERE session = :new LIMIT 1", new=name):
            raise InputError(f"There is a session {name!r} already.", "Choose another name.")
        if old != sessions.current_session():
            _check(run("SELECT 1 FROM chatkit_rollup WHERE session = :old LIMIT 1", old=old), old)
        for table in ("chatkit_calls", "chatkit_tags", "chatkit_holds"):
            run(f"UPDATE {table} SET session = :new WHERE session = :old", new=name, old=old)
        run("DELETE FROM chatkit_rollup WHERE session = :old OR session = :new", old=old, new=name)
        run(rollup.fill(dialect, "WHERE one.session = :new"), new=name)
    sessions.rename(old, name)


def tag(store: UsageStore, session: str, tags: tuple[str, ...]) -> None:
    """Give a session these tags, in place of those it had."""
    session = typed.name(session, "session")
    words = dict.fromkeys(typed.name(word, "tag").strip() for word in tags)
    with store.transaction(BACKGROUND) as run:
        run("DELETE FROM chatkit_tags WHERE session = :session", session=session)
        for word in filter(None, words):
            run("INSERT INTO chatkit_tags (session, tag) VALUES (:session, :tag)", session=session, tag=word)


def tags(store: UsageStore) -> dict[str, tuple[str, ...]]:
    """The tags of each session that has any."""
    found: dict[str, tuple[str, ...]] = {}
    for session, word in store.select("SELECT session, tag FROM chatkit_tags ORDER BY session, tag"):
        if not (isinstance(session, str) and isinstance(word, str)):
            continue  # SQLite keeps anything; what is no word is no tag
        found[session] = (*found.get(session, ()), word)
    return found


def delete(store: UsageStore, session: str) -> int:
    """Delete a session for good, its name, tags and calls; gives how many calls.

    In a file no byte of them is left, nor in its log: `StoreError` where another program keeps that from being
    done now. A server keeps what it deleted until its own next clean-up, and as long as its backups.
    """
    session = typed.name(session, "session")
    store.flush()
    with store.transaction(BACKGROUND) as run:
        counted = run("SELECT SUM(calls) FROM chatkit_rollup WHERE session = :name", name=session)[0][0]
        _check(counted, session)
        run(
            "DELETE FROM chatkit_repricings WHERE call_id IN (SELECT id FROM chatkit_calls WHERE session = :name)",
            name=session,
        )
        for table in ("chatkit_calls", "chatkit_rollup", "chatkit_tags", "chatkit_holds"):
            run(f"DELETE FROM {table} WHERE session = :name", name=session)
    sessions.rename(session, sessions.new_name())
    try:
        store.scrub(WIPING)
    except LockedError as fault:
        raise StoreError(
            f"The session is deleted, but traces of it may be left in the file for now. {fault.cause}",
            "Close other notebooks; the next session that is deleted takes the traces along.",
        ) from None
    return int(counted)


def _check(found: object, session: str) -> None:
    if not found:
        raise InputError(f"There is no session {session!r} in the store.", "chatkit.sessions() lists them.")
