"""What a user has set for money, as values: the budget's limits, prices of one's own, and both as last read.

In: nothing. Out: to the meter, which obeys them, and to the faces that show them.

The file lies beside the spool, is readable by its owner only, and is put in
place whole. What is no such file (another's, a link, damaged, of another version) counts as none.
"""

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from chatkit import typed
from chatkit.exceptions import InputError, StoreError
from chatkit.ledger.place import Place
from chatkit.ledger.price_table import SMALLEST, Count, Price, server_of, without_port
from chatkit.signs import fit_to_print
from chatkit.system import files

MILLION = 1_000_000
TABLE = "own price"
Money = str | int | float | Decimal

_INPUT = frozenset(
    ("input_tokens", "cache_read_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens")
)
_OUTPUT = frozenset(("output_tokens", "output_reasoning_tokens", "output_audio_tokens", "output_image_tokens"))


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """US dollars for `model` (None: any) at `endpoint` (host or host:port; None: anywhere), valid from `since` on.

    `input`, `output` and `cached` are for a million tokens (`cached` None: as `input`), `per_minute` for
    sound; None means that there is no such rate, and what it would be for stays unpriced.

    >>> OwnPrice("my-model", input=Decimal("0.10"), output=Decimal("0.40")).price({"input_tokens": 1000}).cost
    Decimal('0.0001')
    """

    model: str | None = None
    endpoint: str | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    per_minute: Decimal | None = None
    since: str = ""

    def price(self, counts: Mapping[str, Count]) -> Price | None:
        """The price of the counts; what is a part of the input or the output is charged with it."""
        used = {
            key: Decimal(repr(count)) if isinstance(count, float) else Decimal(count) for key, count in counts.items()
        }
        cached = min(used.get("cache_read_tokens", Decimal(0)), used.get("input_tokens", Decimal(0)))
        charged = (
            (used.get("input_tokens", Decimal(0)) - cached, self.input, MILLION),
            (cached, self.input if self.cached is None else self.cached, MILLION),
            (used.get("output_tokens", Decimal(0)), self.output, MILLION),
            (used.get("audio_seconds", Decimal(0)), self.per_minute, 60),
        )
        others = [key for key, count in used.items() if count and key not in _INPUT | _OUTPUT | {"audio_seconds"}]
        if others or any(count and rate is None for count, rate, _ in charged):
            return None
        cost = sum((count * rate / per for count, rate, per in charged if rate is not None), Decimal(0))
        return Price(cost.quantize(SMALLEST).normalize() + Decimal(0), TABLE, self.since)

    def fits(self, model: str | None, endpoint: str) -> bool:
        """Whether it is for this model at this server (host and port); a dated name is its family's.

        An endpoint without a port is the host with all its ports; one with a port is that server alone, also where
        nothing is known of a row's port, as of rows that earlier versions wrote.
        """
        if self.endpoint not in (None, endpoint, without_port(endpoint)):
            return False
        if self.model is None:
            return True
        name, own = bare(model or ""), bare(self.model)
        return name == own or name.startswith(f"{own}-20")

    @fit_to_print
    def __repr__(self) -> str:
        where = f" at {self.endpoint}" if self.endpoint else ""
        rates = (("in", self.input), ("out", self.output), ("cached", self.cached))
        told = [f"{rate:f} {name}" for name, rate in rates if rate is not None]
        parts = [f"{', '.join(told)} per million tokens"] if told else []
        parts += [f"{self.per_minute:f} a minute"] if self.per_minute is not None else []
        return f"{self.model or 'every model'}{where}: {'; '.join(parts)} (USD, own price of {self.since})"


def price(
    own: Iterable[OwnPrice], counts: Mapping[str, Count], models: Iterable[str | None], endpoint: str
) -> Price | None:
    """The price by the most special own price that fits: for a model at an endpoint, for a model, for an endpoint.

    `endpoint` is a server, host and port, as `server_of` names it.
    """
    names = list(models)
    fitting = [one for one in own if any(one.fits(name, endpoint) for name in names)]
    for one in sorted(fitting, key=lambda one: (one.model is None, one.endpoint is None, not _has_port(one))):
        if found := one.price(counts):
            return found
    return None


def bare(model: str) -> str:
    """A model's name without what Google's own list puts before it.

    >>> bare("models/gemini-3.5-flash"), bare("GPT-6-luna")
    ('gemini-3.5-flash', 'gpt-6-luna')
    """
    return model.strip().lower().rpartition("models/")[2]


def _has_port(own: OwnPrice) -> bool:
    return own.endpoint is not None and without_port(own.endpoint) != own.endpoint


def money(value: Money | None, name: str) -> Decimal | None:
    """US dollars of 0 or more; a float is taken as it is written.

    >>> money(0.1, "input"), money("0.10", "input")
    (Decimal('0.1'), Decimal('0.10'))
    """
    if value is None:
        return None
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < 10**6:
        raise InputError(f"{name} is {value!r}; it must be an amount of US dollars, such as '0.10'.")
    return amount


def host_of(endpoint: str | None) -> str | None:
    """`host` or `host:port` of an endpoint that is given as such or as a URL.

    >>> host_of("http://127.0.0.1:11434/v1"), host_of("llm.example.org")
    ('127.0.0.1:11434', 'llm.example.org')
    """
    if endpoint is None:
        return None
    endpoint = typed.name(endpoint, "endpoint")
    try:
        host = server_of(endpoint)
    except ValueError:  # a bracket without its other one
        host = ""
    if not host or host != host.strip() or " " in host:
        raise InputError(f"endpoint is {endpoint!r}; it must be a host or a URL, such as 'http://127.0.0.1:11434/v1'.")
    return host


Per = Literal["session", "day"]
On = Literal["stop", "warn"]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` US dollars, for each session or each day of the user's clock; beyond it, stop or warn.

    >>> Limit(Decimal("0.50"), per="day").on
    'stop'
    """

    amount: Decimal
    per: Per = "session"
    on: On = "stop"


@dataclass(frozen=True, slots=True)
class MoneyRules:
    """What holds now.

    `lost` says in words that the store which held the budget is gone or damaged, `unread` that the store cannot be
    read and nothing is known of it: either way a budget that stops may be in force, and what is left of it is unknown.
    """

    limit: Limit | None = None
    prices: Sequence[OwnPrice] = ()
    lost: str = ""
    unread: StoreError | None = None

    @property
    def may_stop(self) -> bool:
        """Whether a budget may be in force that stops calls."""
        return bool(self.lost or self.unread or (self.limit and self.limit.on == "stop"))


@dataclass(frozen=True, slots=True)
class Spending:
    """What has gone of a limit, in US dollars.

    `spent` counts each call that ended: at its measured cost, else at the most that it can have cost.
    `held` is for the requests in flight. `unbounded` calls are in neither: no price is known for them.

    >>> Spending(Decimal("0.20"), held=Decimal("0.05"), in_flight=1).total
    Decimal('0.25')
    """

    spent: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    in_flight: int = 0
    unbounded: int = 0

    @property
    def total(self) -> Decimal:
        """Spent and held."""
        return self.spent + self.held


def day_begins(now: datetime | None = None) -> datetime:
    """When the day began by the clock of this machine (`TZ`), as UTC."""
    local = (now or datetime.now(UTC)).astimezone()
    return datetime.combine(local.date(), time()).astimezone(UTC)


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
    files.write(file, text.encode(), private=True)


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
