"""Usage adds up: what is known is summed, what is not is counted."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chatkit.ledger.record import NOTHING, Usage

TOKENS = st.none() | st.integers(0, 10**9)
USAGES = st.builds(
    Usage,
    prompt_tokens=TOKENS,
    completion_tokens=TOKENS,
    audio_seconds=st.none() | st.integers(0, 10_000).map(float),
    cost=st.none() | st.integers(0, 10**15).map(lambda n: Decimal(n).scaleb(-12)),
    known=st.sampled_from(("measured", "estimated", "unknown")),
)


def test_a_sum_counts_the_calls_that_it_leaves_out() -> None:
    calls = [
        Usage(10, 5, cost=Decimal("0.1"), known="measured"),
        Usage(4, 2, cost=None, known="estimated"),
        Usage(),
    ]
    assert sum(calls) == Usage(14, 7, None, None, None, Decimal("0.1"), "unknown", 3, 1, 1, 2)


def test_unknown_is_not_zero() -> None:
    assert (NOTHING + Usage()).cost is None
    assert (NOTHING + Usage()).prompt_tokens is None
    assert (Usage() + Usage()).total_tokens is None


def test_no_calls_cost_nothing() -> None:
    assert (NOTHING.cost, NOTHING.total_tokens, NOTHING.calls, NOTHING.unpriced_calls) == (Decimal(0), 0, 0, 0)


@given(USAGES)
def test_a_sum_of_one_is_that_one(usage: Usage) -> None:
    assert sum([usage]) == NOTHING + usage == usage + NOTHING == usage


@given(USAGES, USAGES, USAGES)
def test_the_order_of_adding_does_not_matter(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (b + c) == c + b + a


def test_the_repr_shows_what_is_known_and_can_be_read_back() -> None:
    usage = Usage(10, 5, cost=Decimal("0.25"), known="measured")
    assert repr(usage) == "Usage(prompt_tokens=10, completion_tokens=5, cost=Decimal('0.25'), known='measured')"
    assert eval(repr(sum([usage, Usage()]))) == sum([usage, Usage()])
