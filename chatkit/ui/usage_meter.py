"""Faces: `UsageMeter`, counters and plots under a cell that follow the calls as they are made.

In: the store, looked at twice a second at most. Out: numbered patches to every view (feed.py), of the parts that changed.
Nothing of it is in a synced trait, so no session's name is saved with a notebook.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatkit.captions import calls_caption
from chatkit.exceptions import StoreError
from chatkit.ledger import record as sessions
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore, default_store
from chatkit.reports.live import state
from chatkit.signs import fit_to_print
from chatkit.ui import feed, widget
from chatkit.ui.feed import Scene
from chatkit.ui.widget import Act, Buffers, PageMessage, Widget

HERE = Path(__file__).parent
FALLBACK = "UsageMeter: run this cell to see here what is used."
PAUSE = 0.5
"""Seconds between two looks at the store, at the least."""
PAUSE_FAR = 5.0
"""The same where the store is on a server, and other notebooks are to be seen."""
PAUSE_ALONE = 5.0
"""The same where no view is heard of."""
SHARE = 0.1
"""Of the time, how much a look at a large store may take."""


class UsageMeter(Widget):
    """Usage of this session, live: counters, budget, the latest calls, tokens and cost by model and over time.

    It follows every call of this kernel, by a panel, a verb or the plain SDK; `everywhere` shows those of all
    notebooks and sessions. `session` names another session than this one.

    >>> UsageMeter(session="a session of no calls")
    UsageMeter('a session of no calls', 0 calls)
    """

    FALLBACK = FALLBACK
    _esm = widget.module("usage_meter", "dom", "front_end", "link", "follow")
    _css = (HERE / "usage_meter.css").read_text(encoding="utf-8")

    def __init__(
        self, session: str | None = None, *, everywhere: bool = False, store: UsageStore | None = None
    ) -> None:
        self._store = store or default_store()
        self._session = session
        self._booking = sessions.booking()
        self._everywhere = everywhere
        self._seen: tuple[object, ...] = ()
        self._shown: Mapping[str, Any] = {}
        self._problem: Mapping[str, Any] | None = None
        self._look_at = 0.0
        super().__init__()
        self._touch()

    @property
    def session(self) -> str:
        """The session that is shown unless all are."""
        return self._booking.session if self._session is None else self._session

    @property
    def everywhere(self) -> bool:
        """Whether the calls of all notebooks and sessions are shown."""
        return self._everywhere

    @everywhere.setter
    def everywhere(self, value: bool) -> None:
        self._everywhere = bool(value)
        self._touch()

    @fit_to_print
    def __repr__(self) -> str:
        scope = self._scope()
        calls = calls_caption(self._store.total(**scope).calls)
        return f"UsageMeter({calls})" if self._everywhere else f"UsageMeter({self.session!r}, {calls})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._touch()
        return super()._repr_mimebundle_(**options)

    @property
    def _flusher(self) -> feed.Flusher:
        return feed.reader

    def _act(self, kind: str) -> Act | None:
        return self._choose if kind == "everywhere" else None

    def _choose(self, content: PageMessage, _: Buffers) -> None:
        self._error = None
        self.everywhere = content.get("value") is True

    def _scene(self) -> Scene:
        said = {"everywhere": self._everywhere, "title": self._title(), "error": self._error or self._problem}
        return Scene(status={**self._shown, **said})

    def flush(self) -> float | None:
        """Look at the store and send what is new; called by the reading thread."""
        if self._closed:
            return None
        # not under the lock: a page that greets must not wait for a store that is held
        pause = self._look_in_turn(time.monotonic())
        again = super().flush()
        return pause if again is None else min(pause, again)

    def _look_in_turn(self, now: float) -> float:
        """Look if it is time, at a large store less often; the seconds until the next look."""
        if now >= self._look_at:
            began = time.perf_counter()  # the other clock goes in steps of 16 ms on some systems
            self._look()
            pause = PAUSE if self._feed.is_followed else PAUSE_ALONE
            self._look_at = now + max(pause, (time.perf_counter() - began) / SHARE)
        return self._look_at - now

    def _scope(self) -> Scope:
        return {"session": None if self._everywhere else self.session}

    def _touch(self, urgent: bool = True) -> None:
        self._look_at = 0.0
        super()._touch(urgent)

    def _look(self) -> None:
        """Read the store if it may have changed."""
        try:
            seen = (self._everywhere, self.session, self._store.written, self._version())
            if seen != self._seen:
                self._shown = state(self._store, self._scope())
                self._seen = seen
            self._problem = None
        except StoreError as fault:
            self._problem = {"text": str(fault), "acts": []}

    def _version(self) -> int:
        if self._store.is_file:
            return self._store.version()
        if not self._everywhere:
            return 0
        return int(time.monotonic() / PAUSE_FAR)

    def _title(self) -> str:
        if self._everywhere:
            return "All notebooks"
        return "This session" if self._session is None else self._session
