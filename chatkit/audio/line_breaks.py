"""Audio, line breaks: where a text may be broken, in scripts with spaces and in those without.

In: a text in one line. Out: its units, which stay whole; lines of at most so many columns. A column is half of a
Chinese character; a mark that stands on a letter counts as one, so that neither columns nor characters are too many.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

LINE = 42
LINES = 2
NOT_FIRST = frozenset(
    "、。，．・：；？！」』）］｝〉》】〕〟’”ー々〻ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ…‥,.:;?!)]}%ะาำๅๆฯະາຳໆ｡｣､"
)
"""What begins no line: marks that close, small kana, Thai and Lao vowels that follow their letter."""
NOT_LAST = frozenset("「『（［｛〈《【〔〝‘“([{$¥￥เแโใไເແໂໃໄ｢")
"""What ends no line: marks that open, Thai and Lao vowels that stand before their letter."""
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x2E80, 0xA4CF),
    (0xA980, 0xA9DF), (0xAA60, 0xAADF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x1F000, 0x1FAFF),
    (0x20000, 0x3FFFF),
)  # fmt: skip
"""Thai and Lao, Tibetan and Burmese, Khmer, Tai, Chinese and Japanese, Javanese, their forms; pictures."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is never broken; `spaced` where a space stands before it."""

    text: str
    spaced: bool


def width(text: str) -> int:
    """Columns that a text takes at most.

    >>> width("word"), width("今天")
    (4, 4)
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def units(text: str) -> list[Unit]:
    """The units of a text, in order.

    >>> [unit.text for unit in units("Das ist 今天，好。")]
    ['Das', 'ist', '今', '天，', '好。']
    """
    return [Unit(part, spaced=at == 0) for word in text.split() for at, part in enumerate(_parts(word))]


def joined(parts: Sequence[Unit]) -> str:
    """Units as a text again."""
    return "".join(f" {part.text}" if part.spaced and at else part.text for at, part in enumerate(parts))


def wrapped(text: str) -> list[str]:
    """A text in lines of at most LINE columns: as even as may be where two are enough.

    >>> wrapped("To be, or not to be, that is the question: whether")
    ['To be, or not to be, that is', 'the question: whether']
    """
    whole = width(text)
    if whole <= LINE:
        return [text]
    even = _wrap(text, min(max(whole // LINES + 6, 1), LINE))
    return even if len(even) <= LINES else _wrap(text, LINE)


def _wrap(text: str, most: int) -> list[str]:
    lines: list[list[Unit]] = [[]]
    for unit in units(text):
        if lines[-1] and width(joined([*lines[-1], unit])) > most:
            lines.append([])
        lines[-1].append(unit)
    return [joined(line) for line in lines]


def _parts(word: str) -> list[str]:
    """One word, where its script has spaces; else its letters, each with the marks that belong to it."""
    letters = _letters(word)
    parts: list[str] = []
    for apart, run in groupby(letters, key=lambda letter: _stands_alone(letter[0])):
        for piece in run if apart else _fitting(list(run)):
            if parts and (piece[0] in NOT_FIRST or parts[-1][-1] in NOT_LAST) and width(parts[-1] + piece) <= LINE:
                parts[-1] += piece
            else:
                parts.append(piece)
    return parts


def _letters(word: str) -> list[str]:
    """Letters with what stands on them; pictures that are joined stay one."""
    letters: list[str] = []
    for character in word:
        follows = unicodedata.category(character)[0] == "M" or unicodedata.category(character) == "Cf"
        if letters and (follows or letters[-1][-1] == "\u200d"):
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def _stands_alone(character: str) -> bool:
    at = ord(character)
    return any(first <= at <= last for first, last in _WITHOUT_SPACES)


def _fitting(letters: Sequence[str]) -> list[str]:
    """A word of letters in one; in pieces that fit a line, if it is longer than one."""
    pieces = [""]
    for letter in letters:
        if width(pieces[-1] + letter) > LINE:
            pieces.append("")
        pieces[-1] += letter
    return pieces
