"""Audio, what a header may say: rates, and how many seconds bytes can hold. It imports nothing."""

RATES = (1_000, 768_000)
"""Samples a second that any recording has; what a header says beyond is a mistake or a trick."""
THINNEST = 50
"""Bytes that a second takes at least, silence too: a header that says more seconds than these is not believed."""


def is_a_rate(rate: int) -> bool:
    """Whether sound is recorded at so many samples a second.

    >>> is_a_rate(44_100), is_a_rate(3)
    (True, False)
    """
    return RATES[0] <= rate <= RATES[1]
