"""Readings: the questions that a person asks about usage, as verbs; all of them public.

In: sessions, times, models, people. Out: reports and lists; and the names of sessions, changed in the store.
"""

from typing import Literal

from chatkit.ledger import session as sessions_now
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore, default_store
from chatkit.readings.clock import When, instant
from chatkit.readings.report import UsageReport


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
    store: UsageStore | None = None,
) -> UsageReport:
    """What was used and what it cost: of this session, unless something else is chosen.

    `session` is a name, or None for all sessions (which is meant where only other things are chosen); `since`
    and `until` (not included) are times, dates (their midnight), spans back from now, "today" or "yesterday";
    `model` is the one asked or answered, `endpoint` a host and path such as "api.openai.com/v1/responses".

    >>> usage("a session of no calls")
    Usage of the session 'a session of no calls': no calls yet
    """
    chosen: Scope = {"model": model, "endpoint": endpoint, "user": user, "lesson": lesson, "exercise": exercise}
    chosen |= {"since": instant(since, "since"), "until": instant(until, "until")}
    here = session is True and all(value is None for value in chosen.values())
    title = "Usage of this session" if here else ""
    if here:
        session = sessions_now.current_session()
    chosen["session"] = None if session is True else session
    return UsageReport(store or default_store(), chosen, title)
