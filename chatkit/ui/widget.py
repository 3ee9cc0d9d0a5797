"""Faces: what all widgets share: their page, their cell, their second way in, what they say beside it.

In: messages of views, each request taken once (feed.py). Out: patches and snapshots of the widget's scene (feed.py),
sent in their turn (feed.py). Nothing of a scene and no key is in a synced trait, so none is saved with a notebook.

No bundler: what stands in the files is what the browser gets.

ipykernel 7.1 and later runs a comm that the page opens on a subshell, beside the cell, as long as the kernel never sends on it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import uuid4
from weakref import WeakSet, WeakValueDictionary

import anywidget
import comm as comms
from comm.base_comm import BaseComm
from IPython.display import display
from traitlets import Unicode

from chatkit.exceptions import ChatkitError
from chatkit.render.export import saved
from chatkit.ui import feed
from chatkit.ui.feed import Feed, Requests, Scene, checked
from chatkit.ui.trouble import fault_of, own_fault, trouble

HERE = Path(__file__).parent


def module(widget: str, *parts: str) -> str:
    """The widget's ES module: the parts that it is made of, then `widget`.js.

    >>> module("chat_panel", "dom").count("export default")
    1
    """
    paths = [*(HERE / "page" / f"{part}.js" for part in parts), HERE / f"{widget}.js"]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def style(widget: str) -> str:
    """The widget's style: what all widgets share, then `widget`.css."""
    return "\n".join(
        path.read_text(encoding="utf-8") for path in (HERE / "page" / "common.css", HERE / f"{widget}.css")
    )


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Take it away."""


_made: dict[str, tuple[str, WeakSet[Any]]] = {}


def settle(widget: Closable) -> None:
    """Note that the cell that runs now made `widget`; close what its earlier run made."""
    cell, run = _running()
    if not cell:
        return
    earlier, widgets = _made.get(cell, (run, WeakSet()))
    if earlier != run:
        _made[cell] = (run, WeakSet([widget]))
        for old in list(widgets):
            old.close()
    else:
        widgets.add(widget)
        _made[cell] = (run, widgets)


def kernel_id() -> str:
    """The id by which the Jupyter server knows this kernel; empty outside of one."""
    if _kernel() is None:
        return ""
    # outside of a kernel this import would put another comm manager in the place of the one in use
    from ipykernel.connect import get_connection_file

    try:
        return Path(get_connection_file()).stem.removeprefix("kernel-")
    except RuntimeError:
        return ""


def _running() -> tuple[str, str]:
    """The id of the running cell and of this run of it; empty where the front end does not say."""
    kernel = _kernel()
    parent = (kernel.get_parent("shell") or {}) if kernel is not None else {}
    cell = parent.get("metadata", {}).get("cellId", "")
    return str(cell), str(parent.get("header", {}).get("msg_id", ""))


def _kernel() -> Any:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


TARGET = "chatkit.control"
COMMS = 8
"""Comms kept open for one panel; pages that went away without a word leave theirs behind."""


class Receiver(Protocol):
    """What messages are for."""

    def hear(self, content: Mapping[str, Any]) -> None:
        """Take a message; must not block."""


_receivers: WeakValueDictionary[str, Receiver] = WeakValueDictionary()
_comms: dict[str, list[BaseComm]] = {}


def admit(name: str, receiver: Receiver) -> None:
    """Let pages reach `receiver` by `name`."""
    comms.get_comm_manager().register_target(TARGET, _opened)
    _receivers[name] = receiver


def dismiss(name: str) -> None:
    """Let nothing more through to the receiver called `name`."""
    _receivers.pop(name, None)
    for comm in _comms.pop(name, []):
        _drop(comm)


def _opened(comm: BaseComm, message: Mapping[str, Any]) -> None:
    # BaseComm.handle_msg fires IPython's pre- and post_execute around each message, and on this thread,
    # in the middle of a cell, inline plots would be drawn half-finished
    comm.handle_msg = _deliver  # type: ignore[method-assign, assignment]
    data = message["content"].get("data")
    name = str(data.get("panel")) if isinstance(data, Mapping) else ""
    if name not in _receivers:
        _drop(comm)
        return
    known = _comms.setdefault(name, [])
    known.append(comm)
    comm.on_close(lambda _: known.remove(comm) if comm in known else None)
    if len(known) > COMMS:
        _drop(known.pop(0))


def _deliver(message: Mapping[str, Any]) -> None:
    data = message["content"].get("data")
    receiver = _receivers.get(str(data.get("panel"))) if isinstance(data, Mapping) else None
    if receiver is not None and isinstance(data.get("content"), Mapping):
        receiver.hear(data["content"])


def _drop(comm: BaseComm) -> None:
    # closing would send on it
    comm._closed = True
    comms.get_comm_manager().comms.pop(comm.comm_id, None)


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
        self.on_msg(lambda _, content, buffers: self.hear(content, buffers))
        admit(self.name, self)
        settle(self)

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
        dismiss(self.name)
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
        in_kernel = bool(kernel_id())
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
    def _flusher(self) -> feed.Flusher:
        return feed.flusher

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

    def hear(self, content: PageMessage, buffers: Sequence[bytes | memoryview] = ()) -> None:
        """A view's message as it comes from outside; of a fault of our own a page that waits hears as well."""
        try:
            self.receive(content, buffers)
        except Exception as fault:  # noqa: BLE001  # whatever it is, else the page would wait for ever
            _log.exception("A view's message could not be followed.")
            self._refuse(content, own_fault(fault))

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
            self.send(self._feed.snapshot(str(content.get("view"))) | {"kernel": kernel_id()})
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


_log = logging.getLogger(__name__)


class Callbacks:
    """Calls functions; `failed` hears, in a sentence, of one that raised."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._functions: list[tuple[str, Callable[..., object]]] = []
        self._due: deque[tuple[list[Callable[..., object]], object]] = deque()
        self._calling = threading.Lock()

    def listen(self, kind: str, function: Callable[..., object]) -> Callable[[], None]:
        """Call `function` with each value of that kind; return how to end it."""
        entry = (kind, function)
        self._functions.append(entry)
        return lambda: self._functions.remove(entry) if entry in self._functions else None

    def call(self, kind: str, value: object) -> None:
        """Have all that listen for that kind called, and return at once."""
        functions = [function for listened, function in self._functions if listened == kind]
        if functions:
            self._due.append((functions, value))
            threading.Thread(target=self._call_next, name="chatkit-told", daemon=True).start()

    def _call_next(self) -> None:
        with self._calling:
            functions, value = self._due.popleft()
            for function in functions:
                try:
                    function(value)
                except Exception as error:  # noqa: BLE001  # the user's own: it must not take the widget along
                    _log.exception("A function that listened to a widget failed.")
                    self._failed(f"Your function failed: {type(error).__name__}: {error}")
