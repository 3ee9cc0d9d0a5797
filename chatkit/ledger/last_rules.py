"""The rules that were last read of a store, in a small file of the user's: what holds while the store cannot be read.

In: the rules, each time that they are read or set. Out: the same rules for a kernel that starts later, or
`None` where nothing is known. The file lies beside the spool, is readable by its owner only, and is put in
place whole. What is no such file (another's, a link, damaged, of another version) counts as none.
"""

import json
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from chatkit.ledger.own_price import OwnPrice
from chatkit.ledger.place import Place
from chatkit.ledger.rules import Limit, MoneyRules

VERSION = 1
LARGEST = 1_000_000
"""Bytes of such a file, at most."""
CLOCKS_STEP = 50_000_000
"""Nanoseconds by which the time of a file may lag behind the clock."""

_RATES = ("input", "output", "cached", "per_minute")
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class LastRules:
    """What was last known of the rules of one store."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.file = place.name_beside("rules", ".json")

    def read(self) -> MoneyRules | None:
        """The rules that were last known; None if none were ever read here."""
        try:
            return _rules(json.loads(_own_text(self.file)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation, RecursionError):
            return None

    def keep(self, rules: MoneyRules) -> None:
        """Keep the rules; a home that cannot be written keeps none, and the store alone is asked."""
        if rules != self.read():
            with suppress(OSError):
                _put(self.file, json.dumps(_plain(rules)))

    def keep_read(self, read: MoneyRules, began: int) -> MoneyRules:
        """Keep what was read of the store from the moment `began` (nanoseconds) on; gives back what holds by it.

        That the budget in the store was lost holds until one is set or ended; and a budget that another kernel
        has set since `began` is not forgotten for what the store said before.
        """
        kept = self.read()
        if kept and kept.lost and read.limit is None:
            return replace(read, lost=kept.lost)
        if not (kept and kept.may_stop and not read.may_stop and _written_at(self.file) > began - CLOCKS_STEP):
            self.keep(read)
        return read

    def lose_if_missing(self) -> None:
        """Where the store's file is gone, what was spent is too: a budget in it stops all until one is set anew.

        What was known is looked at before the file is: of two kernels that begin a store at the same time, neither
        takes what the other has just written for what was known of a store that was there before.
        """
        if self._may_have_held() and self._place.missing:
            self._lose(f"The usage store {self._place} is gone.")

    def lose_damaged(self) -> None:
        """The store is damaged: where nothing is known of a budget, one may have been set in it."""
        if self._may_have_held(of_unknown=True):
            self._lose(f"The usage store {self._place} was damaged and is set aside.")

    def _may_have_held(self, *, of_unknown: bool = False) -> bool:
        """Whether a budget was in force by what was last known; also where that cannot be read any more."""
        there = os.path.lexists(self.file)
        known = self.read()
        return known.may_stop if known else there or of_unknown

    def _lose(self, why: str) -> None:
        known = self.read() or MoneyRules()
        if not known.lost:  # a file that is set aside is gone too, to who looks before there is another
            self.keep(replace(known, lost=why))


def _own_text(file: Path) -> bytes:
    """What the file holds, if it is the user's own and no link, pipe or monster."""
    handle = os.open(file, os.O_RDONLY | _SAFELY)
    with open(handle, "rb") as opened:
        about = os.fstat(handle)
        others = hasattr(os, "getuid") and about.st_uid != os.getuid()
        if others or not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
            raise ValueError
        return opened.read(LARGEST)


def _written_at(file: Path) -> int:
    try:
        return file.lstat().st_mtime_ns
    except OSError:
        return 0


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(prefix=".rules-", dir=file.parent)  # 0600
    try:
        with open(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
        os.replace(new, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def _plain(rules: MoneyRules) -> dict[str, Any]:
    limit = rules.limit
    return {
        "version": VERSION,
        "limit": limit and {"amount": f"{limit.amount:f}", "per": limit.per, "on": limit.on},
        "prices": [_plain_price(own) for own in rules.prices],
        "lost": rules.lost,
    }


def _plain_price(own: OwnPrice) -> dict[str, str | None]:
    rates = {name: getattr(own, name) for name in _RATES}
    written = {name: None if rate is None else f"{rate:f}" for name, rate in rates.items()}
    return {"model": own.model, "endpoint": own.endpoint, "since": own.since, **written}


def _rules(kept: Any) -> MoneyRules:
    if kept["version"] != VERSION:
        raise ValueError
    limit = kept["limit"] and _limit(kept["limit"])
    return MoneyRules(limit, tuple(_own_price(each) for each in kept["prices"]), lost=_text(kept["lost"]) or "")


def _limit(kept: Any) -> Limit:
    if kept["per"] not in ("session", "day") or kept["on"] not in ("stop", "warn"):
        raise ValueError
    return Limit(_amount(kept["amount"]), kept["per"], kept["on"])


def _own_price(kept: Any) -> OwnPrice:
    rates = {name: None if kept[name] is None else _amount(kept[name]) for name in _RATES}
    since = _text(kept["since"]) or ""
    return OwnPrice(_text(kept["model"]), _text(kept["endpoint"]), **rates, since=since)


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _amount(written: Any) -> Decimal:
    amount = Decimal(_text(written) or "NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError
    return amount
