"""How much a model takes and gives where it is asked: its context window and its longest answer, in tokens.

In: a model's name and a URL. Out: a number, or None where it is not known. Windows are those of the price table;
longest answers are not in it: they are OpenAI's (api/models.py), and nobody's whom OpenAI's name stands for.
"""

from chatkit.api import models
from chatkit.api.hosts import OPENAI as OPENAI
from chatkit.api.hosts import is_openai, rules_at
from chatkit.ledger import prices


def window(model: str, url: str = OPENAI) -> int | None:
    """The most tokens that a prompt and its answer may have together.

    >>> window("gpt-4o-mini"), window("no-such-model")
    (128000, None)
    """
    return prices.window(model, OPENAI if is_openai(url) else url)  # the table knows no regions


def longest_answer(model: str, url: str = OPENAI) -> int | None:
    """The most tokens of one answer, what it reasons included.

    >>> longest_answer("gpt-4o-mini"), longest_answer("gpt-6-luna"), longest_answer("my-own")
    (16384, 128000, None)
    >>> longest_answer("gpt-4o-mini", "http://127.0.0.1:8080/v1") is None
    True
    """
    return models.find(model, rules_at(url)).longest_answer
