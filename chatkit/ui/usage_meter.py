"""Faces: `UsageMeter`, counters and plots under a cell that follow the calls as they are made.

In: the store, looked at twice a second at most. Out: the whole state, numbered,
to every view; it is sent again until a view says that it has it, for Jupyter loses messages without a word. Nothing
of it is in a synced trait, so no session's name is saved with a notebook.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import anywidget
from traitlets import Unicode

from chatkit.captions import calls_caption
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger import session as sessions
from chatkit.ledger.scope import Scope
from chatkit.ledger.store import UsageStore, default_store
from chatkit.readings.live import state
from chatkit.signs import fit_to_print
from chatkit.ui import cells, control, flush, pages
from chatkit.ui.requests import checked
from chatkit.ui.trouble import fault_of

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
TELL_AGAIN = 2.0
TOLD_AT_MOST = 30
"""How often a state is sent to views that do not say that they have it."""


class UsageMeter(anywidget.AnyWidget):
    """Usage of this session, live: counters, budget, the latest calls, tokens and cost by model and over time.

    It follows every call of this kernel, by a panel, a verb or the plain SDK; `everywhere` shows those of all
    notebooks and sessions. `session` names another session than this one.

    >>> UsageMeter(session="a session of no calls")
    UsageMeter('a session of no calls', 0 calls)
    """

    # text, not a path: anywidget keeps every widget alive that reads a path, to reload it
    _esm = pages.module("usage_meter", "dom", "front_end", "link")
    _css = (HERE / "usage_meter.css").read_text(encoding="utf-8")
    name = Unicode(help="What the meter is called on the control comm.").tag(sync=True)

    def __init__(
        self, session: str | None = None, *, everywhere: bool = False, store: UsageStore | None = None
    ) -> None:
        self._store = store or default_store()
        self._session = session
        self._booking = sessions.booking()
        self._everywhere = everywhere
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._shown: dict[str, Any] = {}
        self._seq = 0
        self._views: dict[str, int] = {}
        self._told, self._tell_next = 0, 0.0
        self._closed = False
        super().__init__(name=uuid4().hex)
        self.on_msg(lambda _, content, __: self.receive(content))
        control.admit(self.name, self)
        cells.settle(self)
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

    def simulate(self, content: Mapping[str, Any]) -> None:
        """Act as if a view had sent `content`, as a test without a browser does."""
        self._handle_msg({"content": {"data": {"method": "custom", "content": dict(content)}}, "buffers": []})

    def receive(self, content: Mapping[str, Any]) -> None:
        """Take a view's message, on any thread; submit and return."""
        try:
            content = checked(content)
        except InputError as error:
            self.fail(error)
            return
        view, kind = str(content.get("view")), content.get("type")
        if kind == "bye":
            self._views.pop(view, None)
        elif kind == "ack" and isinstance(content.get("seq"), int):
            self._views[view] = content["seq"]  # of a view that was given up, perhaps, and is heard again
        elif kind == "hello":
            self._views[view] = -1
            self._touch()
        elif kind == "everywhere":
            self.everywhere = content.get("value") is True

    def flush(self) -> float | None:
        """Look at the store and send what is new; called by the reading thread."""
        with self._lock:
            if self._closed:
                return None
            began = time.monotonic()
            if self._look():
                self._seq, self._told = self._seq + 1, 0
            if self._behind() and self._told < TOLD_AT_MOST and (not self._told or began >= self._tell_next):
                self.send({"type": "state", "seq": self._seq, "state": self._shown})
                self._told, self._tell_next = self._told + 1, began + TELL_AGAIN
            if self._told >= TOLD_AT_MOST:  # a page that went away without a word
                self._views = {view: seq for view, seq in list(self._views.items()) if seq >= self._seq}
            pause = PAUSE if self._views or self._told < TOLD_AT_MOST else PAUSE_ALONE
            return max(pause, (time.monotonic() - began) / SHARE)

    def fail(self, fault: Exception) -> None:
        """Say that the meter could not be brought up to date."""
        with self._lock:
            if self._closed:
                return
            head = {"title": self._title(), "everywhere": self._everywhere}
            self._shown = head | self._shown | {"problem": fault_of(fault)["text"]}
            self._seq, self._seen = self._seq + 1, ()
            self.send({"type": "state", "seq": self._seq, "state": self._shown})

    def close(self) -> None:
        """Take the meter away."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        control.dismiss(self.name)
        flush.reader.forget(self)
        self.layout.close()
        super().close()

    @fit_to_print
    def __repr__(self) -> str:
        scope = self._scope()
        calls = calls_caption(self._store.total(**scope).calls)
        return f"UsageMeter({calls})" if self._everywhere else f"UsageMeter({self.session!r}, {calls})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._touch()
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = FALLBACK
        return bundle

    def _scope(self) -> Scope:
        return {"session": None if self._everywhere else self.session}

    def _touch(self) -> None:
        if not self._closed:
            self._told = 0
            flush.reader.touch(self, urgent=True)

    def _look(self) -> bool:
        """Read the store if it may have changed; whether there is anything else to show than before."""
        try:
            seen = (self._everywhere, self.session, self._store.written, self._version())
            if seen == self._seen:
                return False
            fresh = state(self._store, self._scope()) | {"problem": ""}
            self._seen = seen
        except StoreError as fault:
            fresh = self._shown | {"problem": str(fault)}
        fresh |= {"everywhere": self._everywhere, "title": self._title()}
        if fresh == self._shown:
            return False
        self._shown = fresh
        return True

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

    def _behind(self) -> bool:
        """Whether a view lacks the latest state, or no view has spoken yet."""
        return min(list(self._views.values()), default=-1) < self._seq
