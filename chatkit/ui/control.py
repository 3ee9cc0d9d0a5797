"""Faces: the second way from a page to its panels, open while a cell runs.

In: messages on a comm that the page opens. Out: `receive` of the panel they name. ipykernel 7.1 and
later runs such a comm on a subshell, beside the cell, as long as the kernel never sends on it.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

import comm as comms
from comm.base_comm import BaseComm

TARGET = "chatkit.control"
COMMS = 8
"""Comms kept open for one panel; pages that went away without a word leave theirs behind."""


class Receiver(Protocol):
    """What messages are for."""

    def receive(self, content: Mapping[str, Any]) -> None:
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
        receiver.receive(data["content"])


def _drop(comm: BaseComm) -> None:
    # closing would send on it
    comm._closed = True
    comms.get_comm_manager().comms.pop(comm.comm_id, None)
