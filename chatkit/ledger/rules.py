"""The rules that a user has set for money, as values: the budget, and prices of the user's own.

In: nothing. Out: to the meter, which obeys them, and to the faces that show them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Literal

from chatkit.exceptions import StoreError
from chatkit.ledger.own_price import OwnPrice

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
