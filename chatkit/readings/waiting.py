"""Readings: what can still be said of usage while the store cannot be read: the calls that wait in memory.

In: a store with rows that it could not write. Out: a store of those alone, to ask as any other.
"""

from chatkit.exceptions import StoreError
from chatkit.ledger.store import UsageStore
from chatkit.private_folder import PrivateFolder


class WaitingStore(UsageStore):
    """The calls that wait in another store's memory, in a file of their own for as long as it is looked at."""

    def __init__(self, store: UsageStore) -> None:
        self._private = PrivateFolder("usage")
        super().__init__(self._private.path / "usage.sqlite")
        self.add_all(store.unwritten())


def sentence(store: UsageStore, fault: StoreError) -> str:
    """What is shown, and why it is not all."""
    count = len(store.unwritten())
    calls = "call that waits" if count == 1 else f"{count} calls that wait"
    return f"only the {calls} in memory ({fault.cause})"
