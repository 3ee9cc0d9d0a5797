"""Faces: what every widget of chatkit is: a name, two ways for its pages to reach it, numbered patches to its views.

In: messages of views, each request taken once (requests.py). Out: patches and snapshots of the widget's scene (feed.py),
sent in their turn (flush.py). Nothing of a scene and no key is in a synced trait, so none is saved with a notebook.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import anywidget
from IPython.display import display
from traitlets import Unicode

from chatkit.exceptions import ChatkitError
from chatkit.render.transcript import saved
from chatkit.ui import cells, control, flush
from chatkit.ui.feed import Feed, Scene
from chatkit.ui.requests import Requests, checked
from chatkit.ui.trouble import fault_of, trouble

PageMessage = Mapping[str, Any]
Buffers = Sequence[memoryview]
Act = Callable[[PageMessage, Buffers], Any]


class Widget(anywidget.AnyWidget):
    """A widget whose state lives in the kernel: it says what is to be seen (`_scene`) and what views may ask (`_act`).

    What a subclass needs before its first message stands before its call of `super().__init__`.
    """

    # text, not a path, in `_esm` and `_css`: anywidget keeps every widget alive that reads a path, to reload it
    FALLBACK: ClassVar[str] = ""
    name = Unicode(help="What the widget is called on the control comm.").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._lock = threading.RLock()
        self._feed = Feed()
        self._requests = Requests(lambda message, buffers: self.send(message, buffers))
        self._error: Mapping[str, Any] | None = None
        self._closed = False
        super().__init__(name=uuid4().hex, **traits)
        self.on_msg(lambda _, content, buffers: self.receive(content, buffers))
        control.admit(self.name, self)
        cells.settle(self)

    def simulate(self, content: PageMessage, buffers: Sequence[bytes] = ()) -> None:
        """Act as if a view had sent `content` and `buffers`, as a test without a browser does.

        >>> from chatkit import AudioUploader, ChatPanel
        >>> panel = ChatPanel()
        >>> panel.simulate({"type": "set", "id": "1", "field": "system", "value": "Be brief."})
        >>> panel.chat.system
        'Be brief.'
        >>> uploader = AudioUploader()
        >>> uploader.simulate({"type": "set", "id": "1", "field": "language", "value": "es"})
        >>> uploader.language
        'es'
        """
        data = {"method": "custom", "content": dict(content)}
        self._handle_msg({"content": {"data": data}, "buffers": [memoryview(b) for b in buffers]})

    def close(self) -> None:
        """Take the widget away, with what runs for it."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        self._end()
        control.dismiss(self.name)
        self._flusher.forget(self)
        self.layout.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data, _ = pair(bundle)
        if data:
            data["text/plain"] = self.FALLBACK
        return bundle

    def _ipython_display_(self) -> None:
        data, metadata = pair(self._repr_mimebundle_())
        in_kernel = bool(cells.kernel_id())
        if data:
            data["text/plain"] = "" if in_kernel else repr(self)  # there the sentence stands beside it, once
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        if in_kernel:
            self._show_beside()

    # --- what a subclass says

    def _show_beside(self) -> None:
        """Put an output beside the widget's own, for a notebook in which it cannot be drawn any more."""
        display(saved(self.FALLBACK), raw=True)  # type: ignore[no-untyped-call]  # IPython's

    def _scene(self) -> Scene:
        """All that is to be seen now."""
        raise NotImplementedError

    def _act(self, kind: str) -> Act | None:
        """What is done for a message of that kind; None for one that no view sends."""
        raise NotImplementedError

    def _end(self) -> None:
        """Stop what runs; called once, when the widget is closed."""

    def _greeted(self) -> None:
        """A view has come."""
        self._touch()

    @property
    def _flusher(self) -> flush.Flusher:
        return flush.flusher

    # --- what views ask for

    def receive(self, content: PageMessage, buffers: Sequence[bytes | memoryview] = ()) -> None:
        """Take a view's message, on any thread, once for each request id; submit and return.

        A front end hands over its buffers as memoryviews (Jupyter) or as bytes (marimo).
        """
        slices = [memoryview(buffer).cast("B") for buffer in buffers]
        asked: PageMessage = {}
        try:
            asked = checked(content)
            kind = str(asked.get("type"))
            act = self._own_acts.get(kind) or self._act(kind)
            if act is None or self._closed or not self._requests.is_new(asked.get("id")):
                return
            value = act(asked, slices)
        except ChatkitError as error:
            self._refuse(asked, error)
        else:
            self._answer(asked, value)

    @property
    def _own_acts(self) -> Mapping[str, Act]:
        return {"hello": self._hello, "ack": self._ack, "bye": self._bye}

    def _answer(self, content: PageMessage, value: Any) -> None:
        """What is bytes goes beside the message, not in it."""
        if isinstance(value, dict) and "data" in value:
            rest = {name: part for name, part in value.items() if name != "data"}
            self._requests.answer(content, {"value": rest}, [value["data"]])
        else:
            self._requests.answer(content, {"value": value})

    def _refuse(self, content: PageMessage, error: ChatkitError) -> None:
        if content.get("question") is not None:
            self._requests.answer(content, {"error": str(error)})
        else:
            self._complain(content, error)

    def _complain(self, _: PageMessage, error: ChatkitError) -> None:
        """Say to all views that something was not done."""
        self._error = trouble(error)
        self._touch(urgent=True)

    def _hello(self, content: PageMessage, _: Buffers) -> None:
        with self._lock:
            self._send_patch()
            self.send(self._feed.snapshot(str(content.get("view"))) | {"kernel": cells.kernel_id()})
        self._greeted()

    def _ack(self, content: PageMessage, _: Buffers) -> None:
        seq = content.get("seq")
        if isinstance(seq, int):
            self._feed.seen(str(content.get("view")), seq)

    def _bye(self, content: PageMessage, _: Buffers) -> None:
        self._feed.left(str(content.get("view")))

    # --- what views are told

    def flush(self) -> float | None:
        """Send the views what is new; called by the flusher."""
        with self._lock:
            if self._closed:
                return None
            self._send_patch()
            told, again = self._feed.retell(time.monotonic())
            if told:
                self.send(told)
            return again

    def fail(self, fault: Exception) -> None:
        """Say that the widget could not be brought up to date."""
        with self._lock:
            if not self._closed:
                self._feed.tell(self._stopped(fault), self.send)

    def _stopped(self, fault: Exception) -> Scene:
        """What was sent last, and why there is nothing newer."""
        return self._feed.still(error=fault_of(fault, self._error))

    def _send_patch(self) -> None:
        self._feed.tell(self._scene(), self.send)

    def _touch(self, urgent: bool = False) -> None:
        if not self._closed:
            self._flusher.touch(self, urgent=urgent)


def pair(bundle: Any) -> tuple[Any, Any]:
    """Data and metadata, which a formatter may give without each other.

    >>> pair({"text/plain": "x"}), pair(({"text/plain": "x"}, {}))
    (({'text/plain': 'x'}, {}), ({'text/plain': 'x'}, {}))
    """
    return bundle if isinstance(bundle, tuple) else (bundle, {})
