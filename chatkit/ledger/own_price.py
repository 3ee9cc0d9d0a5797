"""A price of the user's own, for what the price table does not know or what a contract says otherwise.

In: US dollars per million tokens or per minute, for a model or an endpoint. Out: an `OwnPrice`, and for
counts its `Price`, or None where it has no rate for one of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from chatkit import typed
from chatkit.exceptions import InputError
from chatkit.ledger.prices import SMALLEST, Count, Price, server_of, without_port
from chatkit.signs import fit_to_print

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
