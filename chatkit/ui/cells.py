"""Faces: which cell made which widget, so that a cell that runs again takes its old widgets away.

In: a widget, when it is made. Out: `close()` of those that an earlier run of the same cell made.
"""

from pathlib import Path
from typing import Any, Protocol
from weakref import WeakSet


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
