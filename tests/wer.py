"""Word error rate: how many words must be put in, taken out or changed, for each word of the reference."""

import re
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """Words as they count: in small letters, without marks."""
    return re.findall(r"[\w']+", text.casefold())


def errors(said: Sequence[str], reference: Sequence[str]) -> int:
    """The least number of words to put in, take out or change."""
    row = list(range(len(reference) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, wanted in enumerate(reference, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != wanted)))
    return row[-1]


def rate(said: str, reference: str) -> float:
    """The word error rate, 0 where every word is right."""
    return errors(words(said), words(reference)) / len(words(reference))
