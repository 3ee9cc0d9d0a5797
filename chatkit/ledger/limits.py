"""How much a model takes and gives: its context window and its longest answer, in tokens.

In: a model's name. Out: a number, or None where it is not known. Windows are those of the price table;
longest answers are not in it: they are the vendor's model pages, read in November 2026.
"""

from chatkit.ledger import prices

OPENAI = "https://api.openai.com/v1"

_LONGEST = {
    "gpt-3.5": 4_096,
    "gpt-4": 8_192,
    "gpt-4-": 4_096,
    "gpt-4-0": 8_192,
    "gpt-4-0125": 4_096,
    "gpt-4-32k": 32_768,
    "gpt-4.1": 32_768,
    "gpt-4o": 16_384,
    "gpt-4o-2024-05-13": 4_096,
    "gpt-5": 128_000,
    "gpt-5-pro": 272_000,
    "gpt-6": 128_000,
    "o1": 100_000,
    "o1-preview": 32_768,
    "o1-mini": 65_536,
    "o3": 100_000,
    "o4-mini": 100_000,
}
_CHAT_LATEST = 16_384


def window(model: str, url: str = OPENAI) -> int | None:
    """The most tokens that a prompt and its answer may have together.

    >>> window("gpt-4o-mini"), window("no-such-model")
    (128000, None)
    """
    return prices.window(model, url)


def longest_answer(model: str) -> int | None:
    """The most tokens of one answer, what it reasons included.

    >>> longest_answer("gpt-4o-mini"), longest_answer("gpt-6-luna"), longest_answer("my-own")
    (16384, 128000, None)
    """
    if model.startswith("gpt-5") and "chat" in model:
        return _CHAT_LATEST
    known = max((name for name in _LONGEST if model.startswith(name)), key=len, default=None)
    return _LONGEST[known] if known else None
