"""Readings: the questions that a person asks about usage, as verbs; all of them public.

In: sessions, times, models, people. Out: reports and lists; and the names of sessions, changed in the store.
"""

from typing import Literal, cast

from chatkit import typed
from chatkit.exceptions import StoreError
from chatkit.ledger import filing
from chatkit.ledger import session as sessions_now
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore, default_store
from chatkit.readings import waiting
from chatkit.readings.clock import When, instant
from chatkit.readings.report import UsageReport, titled
from chatkit.readings.session_list import Session, SessionList


def usage(
    session: str | Literal[True] | None = True,
    *,
    since: When = None,
    until: When = None,
    model: str | None = None,
    endpoint: str | None = None,
    user: str | None = None,
    lesson: str | None = None,
    exercise: str | None = None,
    tag: str | None = None,
    store: UsageStore | None = None,
) -> UsageReport:
    """What was used and what it cost: of this session, unless something else is chosen.

    `session` is a name, or None for all sessions (which is meant where only other things are chosen); `since`
    and `until` (not included) are times, dates (their midnight), spans back from now, "today" or "yesterday";
    `model` is the one asked or answered, `endpoint` a host and path such as "api.openai.com/v1/responses", `tag` one that sessions were given.

    >>> usage("a session of no calls")
    Usage of the session 'a session of no calls': no calls yet
    """
    chosen: Scope = {
        "model": model,
        "endpoint": endpoint,
        "user": user,
        "lesson": lesson,
        "exercise": exercise,
        "tag": tag,
    }
    chosen = cast(Scope, {name: typed.name_or_none(value, name) for name, value in chosen.items()})
    chosen |= {"since": instant(since, "since"), "until": instant(until, "until")}
    here = session is True and all(value is None for value in chosen.values())
    title = "Usage of this session" if here else ""
    if here:
        session = sessions_now.current_session()
    chosen["session"] = None if session is True else typed.name_or_none(session, "session")
    store = store or default_store()
    try:
        return UsageReport(store, chosen, title)
    except StoreError as fault:
        if not store.unwritten():
            raise
        told = f"{title or titled(chosen)}, {waiting.sentence(store, fault)}"
        return UsageReport(waiting.WaitingStore(store), chosen, told)


def sessions(tag: str | None = None, *, store: UsageStore | None = None) -> SessionList:
    """All sessions, or those with this tag: names, tags, last calls, what they used."""
    store = store or default_store()
    tags = filing.tags(store)
    return SessionList(
        [
            Session(line.key[0], tags.get(line.key[0], ()), line.first, line.last, line.usage)
            for line in store.lines("session", tag=tag)
            if line.first and line.last
        ],
        store.unread(tag=tag),
    )


def rename_session(new: str, session: str | None = None, *, store: UsageStore | None = None) -> None:
    """Call a session `new`: this one, or the one named; calls that are still to come go by that name too.

    Another notebook that is calling on the old name at the time goes on to do so.
    """
    filing.rename(store or default_store(), session or sessions_now.current_session(), new)


def tag_session(*tags: str, session: str | None = None, store: UsageStore | None = None) -> None:
    """Give a session these tags, in place of those it had: this session, or the one named."""
    filing.tag(store or default_store(), session or sessions_now.current_session(), tags)


def delete_session(session: str, *, store: UsageStore | None = None) -> int:
    """Delete a session for good: its name, its tags, its calls; gives how many calls.

    In a file no byte of them is left. `InputError` if there is no such session, `StoreError` if other notebooks
    keep traces from being wiped now.
    """
    return filing.delete(store or default_store(), session)
