"""Audio, subtitles: segments and words become cues that a person can read, in any script; cues become SRT or WebVTT.

In: segments (and words, where there are any) with times in seconds. Out: text in one of the two forms.
Two lines of at most 42 columns, 1 to 7 seconds: the measures of the broadcasters' style guides.

A column is half of a
Chinese character; a mark that stands on a letter counts as one, so that neither columns nor characters are too many.
"""

import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import accumulate, groupby, pairwise, zip_longest
from typing import Protocol

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
    letters = _letter_units(word)
    parts: list[str] = []
    for apart, run in groupby(letters, key=lambda letter: _stands_alone(letter[0])):
        for piece in run if apart else _fitting(list(run)):
            if parts and (piece[0] in NOT_FIRST or parts[-1][-1] in NOT_LAST) and width(parts[-1] + piece) <= LINE:
                parts[-1] += piece
            else:
                parts.append(piece)
    return parts


def _letter_units(word: str) -> list[str]:
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


LONGEST = 7.0
SHORTEST = 1.0
READ = 17
"""Columns that are read in a second: what a cue without a length is given."""


class Timed(Protocol):
    """Text with times in seconds."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; `speaker` where somebody is known to say it."""

    start: float
    end: float
    text: str
    speaker: str | None = None


def cues(segments: Iterable[Timed], words: Sequence[Timed] = (), length: float | None = None) -> list[Cue]:
    """Subtitles of readable size, in order and without overlap; no longer than the audio, if its `length` is known."""
    order = sorted(words, key=_middle)
    middles = [_middle(word) for word in order]
    found: list[Cue] = []
    for cue in timed(segments, length):
        inside = order[bisect_left(middles, cue.start - 0.01) : bisect_left(middles, cue.end + 0.01)]
        found += _split(cue, inside)
    return _apart(found, length)


def timed(segments: Iterable[Timed], length: float | None = None) -> list[Cue]:
    """One cue for each segment that has text, in order, each with a time of its own.

    Whisper gives segments that end where they begin, or before: those share the time up to the next one.

    >>> timed([Cue(0, 1, "one"), Cue(1, 1, "two"), Cue(2, 3, "three")])[1]
    Cue(start=1.0, end=2.0, text='two', speaker=None)
    """
    found = sorted(filter(None, map(_tidy, segments)), key=lambda cue: cue.start)
    last = math.inf if length is None else length
    for at, cue in enumerate(found):
        if cue.end == cue.start and cue.start > last - SHORTEST / 2:
            # there is no time after it: it takes some of the one before
            start = found[at - 1].start if at else max(0.0, last - SHORTEST)
            found[at] = replace(cue, start=start, end=start)
    groups = [list(group) for _, group in groupby(found, key=lambda cue: cue.start)]
    return [cue for group, after in zip_longest(groups, groups[1:]) for cue in _shared(group, after, last)]


def srt(found: Iterable[Cue]) -> str:
    """SubRip. A text can end no cue and begin none: `-->` and empty lines are taken out of it.

    A speaker is named where another one spoke before.
    """
    blocks, before = [], None
    for number, cue in enumerate(found, 1):
        said = f"{_label(cue)}{cue.text}" if cue.speaker != before else cue.text
        before = cue.speaker
        blocks.append(f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(said)}\n")
    return "\n".join(blocks)


def vtt(found: Iterable[Cue]) -> str:
    """WebVTT, with `&`, `<` and `>` escaped, and each speaker in a voice tag."""
    blocks = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_voice(cue)}{escape(_lines(cue.text), quote=False)}\n"
        for cue in found
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _middle(timed: Timed) -> float:
    return (timed.start + timed.end) / 2


def _tidy(segment: Timed) -> Cue | None:
    """A segment as a cue: in one line, without what nobody sees and without what begins a cue; None if nothing is left."""
    text = " ".join(re.sub("[\u200b\u2060\ufeff\x00-\x08\x0e-\x1b\x7f]", "", segment.text).split())
    if not any(unicodedata.category(character)[0] not in "CZ" for character in text):
        return None
    start, end = (time if math.isfinite(time) else 0.0 for time in (segment.start, segment.end))
    speaker = " ".join((getattr(segment, "speaker", None) or "").split())
    return Cue(max(start, 0.0), max(start, end, 0.0), re.sub(r"--+>", "→", text), speaker or None)


def _shared(group: Sequence[Cue], after: Sequence[Cue] | None, last: float) -> list[Cue]:
    """Cues that begin together, one after the other."""
    start, end = group[0].start, max(cue.end for cue in group)
    if len(group) == 1 and end > start:
        return list(group)
    if any(cue.end <= start for cue in group):
        end = min(max(end, start + max(SHORTEST, sum(width(cue.text) for cue in group) / READ)), max(last, end))
    if after:
        end = min(end, after[0].start)
    edges = _edges(start, end, [width(cue.text) for cue in group])
    return [replace(cue, start=a, end=b) for cue, (a, b) in zip(group, pairwise(edges), strict=True)]


def _edges(start: float, end: float, shares: Sequence[int]) -> list[float]:
    total = sum(shares) or 1
    return [start + (end - start) * passed / total for passed in accumulate(shares, initial=0)]


def _split(cue: Cue, words: Sequence[Timed]) -> list[Cue]:
    """Cut a long cue where its text breaks best; by its words' times, or by the share of its columns."""
    whole, seconds = width(cue.text), cue.end - cue.start
    if len(wrapped(_label(cue) + cue.text)) <= LINES and seconds <= LONGEST:
        return [cue]
    count = max(-(-whole // (LINE * LINES)), int(seconds // LONGEST) + 1)
    groups = _chunks(units(cue.text), _label(cue), -(-whole // count), whole * LONGEST / max(seconds, LONGEST))
    texts = [joined(group) for group in groups]
    times = _times(cue, texts, words)
    return [
        replace(cue, start=start, end=min(end, start + LONGEST), text=text)
        for text, (start, end) in zip(texts, times, strict=True)
    ]


def _chunks(pieces: Sequence[Unit], label: str, size: int, most: float) -> list[list[Unit]]:
    """Units in groups of about `size` columns; the end of a sentence closes a group that is half full."""
    groups: list[list[Unit]] = [[pieces[0]]]
    for piece in pieces[1:]:
        text = joined(groups[-1])
        longer = joined([*groups[-1], piece])
        ended = (text[-1] in ".?!…。！？｡" and width(text) > size / 2) or (
            text[-1] in "、，；,;:" and width(text) > size * 0.8
        )
        too_long = width(longer) > min(size * 1.3, most) or len(wrapped(label + longer)) > LINES
        if ended or too_long:
            groups.append([piece])
        else:
            groups[-1].append(piece)
    return groups


def _times(cue: Cue, texts: Sequence[str], words: Sequence[Timed]) -> list[tuple[float, float]]:
    """When each text is said: by the words that have its letters, else by its share of the columns."""
    begun = list(accumulate((len(_letters(word.text)) for word in words), initial=0))
    if words and "".join(_letters(word.text) for word in words) == _letters("".join(texts)):
        ends = list(accumulate(len(_letters(text)) for text in texts))
        spans = [(bisect_left(begun, a + 1) - 1, bisect_left(begun, b) - 1) for a, b in pairwise([0, *ends])]
        return [(words[a].start, max(words[b].end, words[a].start)) for a, b in spans]
    return list(pairwise(_edges(cue.start, cue.end, [width(text) for text in texts])))


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _apart(found: Sequence[Cue], length: float | None) -> list[Cue]:
    """Give each cue the time to be read, as far as the next one, or the end, leaves it."""
    spread = []
    order = sorted(found, key=lambda cue: cue.start)
    for cue, after in zip_longest(order, order[1:]):
        end = max(cue.end, min(cue.start + SHORTEST, math.inf if length is None else length))
        if after is not None:
            end = min(end, after.start)
        spread.append(replace(cue, end=max(end, cue.start + 0.001)))
    return spread


def _label(cue: Cue) -> str:
    return f"{cue.speaker.replace('-->', '→')}: " if cue.speaker else ""


def _voice(cue: Cue) -> str:
    return f"<v {escape(cue.speaker.replace('-->', '→'), quote=False)}>" if cue.speaker else ""


def _lines(text: str) -> str:
    return "\n".join(wrapped(text))


def _clock(seconds: float, point: str) -> str:
    """A time in subtitles, `hours:minutes:seconds` and milliseconds.

    >>> _clock(3661.0004, ".")
    '01:01:01.000'
    """
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{thousandths // 1000:02}{point}{thousandths % 1000:03}"
