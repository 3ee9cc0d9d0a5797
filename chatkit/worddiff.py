"""Floor 0: two conversations or texts side by side, with the words that differ.

In: lines of messages. Out: a `Diff` of rows, for a panel, a terminal or a page. The cost is bounded: where
two texts are too long and too different to compare by words, what differs is shown as one piece.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import Literal

from chatkit.display import displayed
from chatkit.message import Message
from chatkit.parts import said
from chatkit.signs import fit_to_print

Kind = Literal["equal", "insert", "delete"]
Span = tuple[int, int, int, int]

STEPS = 2_000_000
"""Comparisons that one diff may take, about a third of a second."""
LEAF = 90_000
"""Comparisons that one stretch without a word of its own may take."""
DEEPEST = 40
SHOWN = 60
"""Letters of an unchanged message in the text form."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal obeys them
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_STYLE = {
    "insert": "background:rgba(46,160,67,.28);text-decoration:none",
    "delete": "background:rgba(248,81,73,.28);text-decoration:line-through",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text that both sides have, or only the right (insert) or the left one (delete)."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One message beside the other; the side that lacks it is None. `segments` has both sides' words."""

    kind: Literal["equal", "changed", "insert", "delete"]
    left: Message | None
    right: Message | None
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Two lines of messages side by side.

    >>> diff([Message("user", "Why is it so?")], [Message("user", "Why was it so?")], "a", "b")
    Diff('a', 'b'): 1 of 1 message differs
    ~ user: Why [-is-]{+was+} it so?
    """

    left: str
    right: str
    rows: tuple[Row, ...]

    @property
    def changes(self) -> int:
        """How many rows differ."""
        return sum(row.kind != "equal" for row in self.rows)

    @fit_to_print
    def __repr__(self) -> str:
        noun, verb = ("message", "differs") if len(self.rows) == 1 else ("messages", "differ")
        head = f"Diff({self.left!r}, {self.right!r}): {self.changes} of {len(self.rows)} {noun} {verb}"
        return _CONTROL.sub("\ufffd", "\n".join([head, *map(_line, self.rows)]))

    def _repr_html_(self) -> str:
        cell = "padding:.3em .6em;text-align:left;vertical-align:top;width:50%;white-space:pre-wrap"
        head = "".join(f'<th style="{cell}">{escape(name)}</th>' for name in (self.left, self.right))
        rows = "".join(
            f'<tr class="ck-diff-{row.kind}"><td dir="auto" style="{cell}">{_side(row, row.left, "insert")}</td>'
            f'<td dir="auto" style="{cell}">{_side(row, row.right, "delete")}</td></tr>'
            for row in self.rows
        )
        look = "width:100%;table-layout:fixed;border-collapse:collapse;color:inherit;font:inherit"
        table = f'<table class="ck-diff" style="{look}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        return displayed(table)


class Budget:
    """Comparisons that are left."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps

    def take(self, steps: int) -> bool:
        """Take them, if there are as many."""
        if steps > self.left:
            return False
        self.left -= steps
        return True


def diff(left: Sequence[Message], right: Sequence[Message], left_name: str = "a", right_name: str = "b") -> Diff:
    """Set two lines of messages side by side."""
    budget = Budget()
    return Diff(left_name, right_name, tuple(_row(one, other, budget) for one, other in _pairs(left, right)))


def words(left: str, right: str, budget: Budget | None = None) -> tuple[Segment, ...]:
    """What two texts have in common and what not, word by word.

    >>> [(s.kind, s.text) for s in words("a big dog", "a dog!")]
    [('equal', 'a '), ('delete', 'big '), ('equal', 'dog'), ('insert', '!')]
    """
    a, b = _TOKEN.findall(left), _TOKEN.findall(right)
    spans = _merged(_matches(a, b, (0, len(a), 0, len(b)), budget or Budget(), 0), a)
    segments, i, j = [], 0, 0
    for low, high, start, stop in [*spans, (len(a), len(a), len(b), len(b))]:
        segments += [Segment("delete", "".join(a[i:low])), Segment("insert", "".join(b[j:start]))]
        segments.append(Segment("equal", "".join(a[low:high])))
        i, j = high, stop
    return tuple(segment for segment in segments if segment.text)


def _matches(a: list[str], b: list[str], span: Span, budget: Budget, depth: int) -> Iterator[Span]:
    """The stretches of a span that are equal: its ends, then between words that stand once on each side."""
    low, high, start, stop = span
    i, j = low, start
    while i < high and j < stop and a[i] == b[j]:
        i, j = i + 1, j + 1
    k, end = high, stop
    while k > i and end > j and a[k - 1] == b[end - 1]:
        k, end = k - 1, end - 1
    yield low, i, start, j
    if i < k and j < end:
        yield from _between(a, b, (i, k, j, end), budget, depth)
    yield k, high, end, stop


def _between(a: list[str], b: list[str], span: Span, budget: Budget, depth: int) -> Iterator[Span]:
    low, high, start, stop = span
    size = (high - low) * (stop - start)
    if size <= LEAF:
        if budget.take(size):
            for i, j, count in SequenceMatcher(
                str.isspace, a[low:high], b[start:stop], autojunk=False
            ).get_matching_blocks():
                yield low + i, low + i + count, start + j, start + j + count
        return
    if depth >= DEEPEST or not budget.take(high - low + stop - start):
        return
    anchors = _anchors(a, b, span)
    i, j = low, start
    for p, q in [*anchors, (high, stop)] if anchors else ():
        yield from _matches(a, b, (i, p, j, q), budget, depth + 1)
        if p < high:
            yield p, p + 1, q, q + 1
        i, j = p + 1, q + 1


def _anchors(a: list[str], b: list[str], span: Span) -> list[tuple[int, int]]:
    """Words that stand exactly once on each side, the longest sequence of them in the same order (patience)."""
    low, high, start, stop = span
    once_a, once_b = Counter(a[low:high]), Counter(b[start:stop])
    where = {b[j]: j for j in range(start, stop) if once_b[b[j]] == 1}
    pairs = [(i, where[a[i]]) for i in range(low, high) if once_a[a[i]] == 1 and a[i] in where]
    ends: list[int] = []
    tops: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        place = bisect_left(ends, j)
        before.append(tops[place - 1] if place else -1)
        ends[place : place + 1] = [j]
        tops[place : place + 1] = [number]
    chain, at = [], tops[-1] if tops else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _merged(spans: Iterator[Span], a: list[str]) -> list[Span]:
    """Neighbouring spans as one; what is equal between two changes but holds no word belongs to the changes."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1][1] == span[0] and joined[-1][3] == span[2]:
            joined[-1] = (joined[-1][0], span[1], joined[-1][2], span[3])
        elif span[0] < span[1]:
            joined.append(span)
    inner = (low > 0 and high < len(a) for low, high, _, _ in joined)
    return [
        span
        for span, between in zip(joined, inner, strict=True)
        if not between or any(token[0].isalnum() for token in a[span[0] : span[1]])
    ]


def _row(left: Message | None, right: Message | None, budget: Budget) -> Row:
    if left is None or right is None:
        only = left or right
        assert only is not None
        kind: Literal["insert", "delete"] = "delete" if right is None else "insert"
        return Row(kind, left, right, (Segment(kind, said(only)),))
    if _key(left) == _key(right):
        return Row("equal", left, right, (Segment("equal", said(left)),))
    return Row("changed", left, right, words(said(left), said(right), budget))


def _pairs(left: Sequence[Message], right: Sequence[Message]) -> Iterator[tuple[Message | None, Message | None]]:
    for kind, i, k, j, end in _opcodes(list(map(_key, left)), list(map(_key, right))):
        if kind == "equal":
            yield from zip(left[i:k], right[j:end], strict=True)
        else:
            yield from _changed_pairs(left[i:k], right[j:end])


def _changed_pairs(
    left: Sequence[Message], right: Sequence[Message]
) -> Iterator[tuple[Message | None, Message | None]]:
    """Pair messages that differ: the same message edited, else those of the same role in order."""
    known = {m.id for m in left} & {m.id for m in right}
    names = [[m.id if m.id in known else m.role for m in side] for side in (left, right)]
    for kind, i, k, j, end in _opcodes(*names):
        if kind == "equal":
            yield from zip(left[i:k], right[j:end], strict=True)
        else:
            yield from ((message, None) for message in left[i:k])
            yield from ((None, message) for message in right[j:end])


def _opcodes(a: Sequence[object], b: Sequence[object]) -> list[tuple[str, int, int, int, int]]:
    if len(a) * len(b) > STEPS:  # thousands of messages: what differs is paired no further
        return [("replace", 0, len(a), 0, len(b))]
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _key(message: Message) -> tuple[str, str, bool, str]:
    plain = isinstance(message.content, str) and not message.extra
    return message.role, said(message), message.enabled, "" if plain else repr(message.to_api())


def _line(row: Row) -> str:
    mark = {"equal": " ", "changed": "~", "insert": "+", "delete": "-"}[row.kind]
    if row.kind == "changed":
        form = {"equal": "{}", "insert": "{{+{}+}}", "delete": "[-{}-]"}
        text = "".join(form[s.kind].format(s.text) for s in row.segments)
    else:
        text = "".join(s.text for s in row.segments)
        text = text if row.kind != "equal" or len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    message = row.left or row.right
    return f"{mark} {message.role if message else ''}: {text}"


def _side(row: Row, message: Message | None, hidden: str) -> str:
    if message is None:
        return ""
    off = "" if message.enabled else " · not sent"
    pieces = (_segment_html(s) for s in row.segments if s.kind != hidden)
    return f"<b>{escape(message.role + off)}</b>\n{''.join(pieces)}"


def _segment_html(segment: Segment) -> str:
    text = escape(segment.text)
    if segment.kind == "equal":
        return text
    tag = "ins" if segment.kind == "insert" else "del"
    return f'<{tag} class="ck-diff-{segment.kind}" style="{_STYLE[segment.kind]}">{text}</{tag}>'
