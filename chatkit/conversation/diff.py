"""Two conversations or texts side by side, with the words that differ.

In: lines of messages. Out: a `Diff` of rows, for a panel, a terminal or a page. The comparing is difflib's, by words;
its cost is bounded: where two texts are too long and too different for it, what differs is shown as one piece.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from itertools import accumulate, takewhile
from typing import Literal

from chatkit.conversation.message import Message, said
from chatkit.display import displayed
from chatkit.signs import fit_to_print

EditKind = Literal["equal", "insert", "delete"]
Span = tuple[int, int, int, int]

STEPS = 4_000_000
"""Steps that difflib may take for one diff, about half a second."""
PAIRS = 2_000_000
"""Messages of one side times those of the other up to which they are paired by what they say."""
SURE, NEAR = 3, 64
"""Equal words in a row that are taken for the same ones wherever they stand; fewer only among so many words."""
SHOWN = 60
"""Letters of an unchanged message in the text form."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal obeys them
_WORD = re.compile(r"\w+|[^\w\s]")
_STYLE = {
    "insert": "background:rgba(46,160,67,.28);text-decoration:none",
    "delete": "background:rgba(248,81,73,.28);text-decoration:line-through",
}


@dataclass(frozen=True, slots=True)
class DiffSegment:
    """A stretch of text that both sides have, or only the right (insert) or the left one (delete)."""

    kind: EditKind
    text: str


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One message beside the other; the side that lacks it is None. `segments` has both sides' words."""

    kind: Literal["equal", "changed", "insert", "delete"]
    left: Message | None
    right: Message | None
    segments: tuple[DiffSegment, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Two lines of messages side by side.

    >>> diff([Message("user", "Why is it so?")], [Message("user", "Why was it so?")], "a", "b")
    Diff('a', 'b'): 1 of 1 message differs
    ~ user: Why [-is-]{+was+} it so?
    """

    left: str
    right: str
    rows: tuple[DiffRow, ...]

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


class StepsLeft:
    """Steps that are left."""

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
    budget = StepsLeft()
    return Diff(left_name, right_name, tuple(_row(one, other, budget) for one, other in _pairs(left, right)))


def words(left: str, right: str, budget: StepsLeft | None = None) -> tuple[DiffSegment, ...]:
    """What two texts have in common and what not, word by word.

    >>> [(s.kind, s.text) for s in words("a big dog", "a dog!")]
    [('equal', 'a '), ('delete', 'big '), ('equal', 'dog'), ('insert', '!')]
    """
    segments, i, j = [], 0, 0
    for low, high, start, stop in _equal(left, right, budget or StepsLeft()):
        segments += [DiffSegment("delete", left[i:low]), DiffSegment("insert", right[j:start])]
        segments.append(DiffSegment("equal", left[low:high]))
        i, j = high, stop
    return tuple(segment for segment in segments if segment.text)


def _equal(left: str, right: str, budget: StepsLeft) -> list[Span]:
    """The stretches that both texts have, to their ends: equal words, and the equal space around them."""
    a, b = list(_WORD.finditer(left)), list(_WORD.finditer(right))
    words = [
        (*a[i + n].span(), *b[j + n].span())
        for i, j, size in _blocks([word[0] for word in a], [word[0] for word in b], budget)
        for n in range(size)
    ]
    joined: list[Span] = [(0, 0, 0, 0)]
    for low, high, start, stop in [*words, (len(left), len(left), len(right), len(right))]:
        first, i, second, j = joined.pop()
        space = _shared(left[i:low], right[j:start], str.isspace)
        i, j = i + space, j + space
        space = _shared(left[i:low][::-1], right[j:start][::-1], str.isspace)
        low, start = low - space, start - space
        joined += (
            [(first, high, second, stop)]
            if (i, j) == (low, start)
            else [(first, i, second, j), (low, high, start, stop)]
        )
    # what is equal between two changes but holds no word belongs to the changes
    ends = joined[0], joined[-1]
    return [span for span in joined if span in ends or any(map(str.isalnum, left[span[0] : span[1]]))]


def _shared(a: Sequence[str], b: Sequence[str], holds: Callable[[str], bool] = bool) -> int:
    """How long both begin alike, as far as that holds of each."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] and holds(pair[0]), zip(a, b, strict=False)))


def _blocks(a: list[str], b: list[str], budget: StepsLeft) -> Iterator[tuple[int, int, int]]:
    """Where words are equal: their places, and how many; the beginnings and ends in any case."""
    head = _shared(a, b)
    tail = _shared(a[head:][::-1], b[head:][::-1])
    yield 0, 0, head
    for i, j, size in _matches(a[head : len(a) - tail], b[head : len(b) - tail], budget):
        yield head + i, head + j, size
    yield len(a) - tail, len(b) - tail, tail


def _matches(a: list[str], b: list[str], budget: StepsLeft) -> list[tuple[int, int, int]]:
    """difflib's matching blocks, as far as the budget goes; what is common in a long text begins none."""
    matcher = SequenceMatcher(None, a, b)
    costs = _costs(a, matcher)
    found, open_spans = [], [(0, len(a), 0, len(b))]
    while open_spans:
        low, high, start, stop = open_spans.pop()
        if low < high and start < stop and budget.take(costs[high] - costs[low]):
            i, j, size = matcher.find_longest_match(low, high, start, stop)
            if not size:
                continue
            if size < SURE and min(high - low, stop - start) > NEAR:
                # so few may stand anywhere, and would part the texts there: look nearer
                i, j, size = (low + high) // 2, (start + stop) // 2, 0
            found.append((i, j, size))
            open_spans += [(low, i, start, j), (i + size, high, j + size, stop)]
    return sorted(found)


def _costs(a: list[str], matcher: "SequenceMatcher[str]") -> list[int]:
    """The steps that difflib takes to look through the first words of `a`, for each number of them."""
    where: dict[str, list[int]] = matcher.b2j  # type: ignore[attr-defined]  # documented; typeshed does not have it
    return list(accumulate((1 + len(where.get(word, ())) for word in a), initial=0))


def _row(left: Message | None, right: Message | None, budget: StepsLeft) -> DiffRow:
    if left is None or right is None:
        only = left or right
        assert only is not None
        kind: Literal["insert", "delete"] = "delete" if right is None else "insert"
        return DiffRow(kind, left, right, (DiffSegment(kind, said(only)),))
    if _key(left) == _key(right):
        return DiffRow("equal", left, right, (DiffSegment("equal", said(left)),))
    return DiffRow("changed", left, right, words(said(left), said(right), budget))


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
    if len(a) * len(b) > PAIRS:  # thousands of messages: what differs is paired no further
        return [("replace", 0, len(a), 0, len(b))]
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _key(message: Message) -> tuple[str, str, bool, str]:
    plain = isinstance(message.content, str) and not message.extra
    return message.role, said(message), message.enabled, "" if plain else repr(message.to_api())


def _line(row: DiffRow) -> str:
    mark = {"equal": " ", "changed": "~", "insert": "+", "delete": "-"}[row.kind]
    if row.kind == "changed":
        form = {"equal": "{}", "insert": "{{+{}+}}", "delete": "[-{}-]"}
        text = "".join(form[s.kind].format(s.text) for s in row.segments)
    else:
        text = "".join(s.text for s in row.segments)
        text = text if row.kind != "equal" or len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    message = row.left or row.right
    return f"{mark} {message.role if message else ''}: {text}"


def _side(row: DiffRow, message: Message | None, hidden: str) -> str:
    if message is None:
        return ""
    off = "" if message.enabled else " · not sent"
    pieces = (_segment_html(s) for s in row.segments if s.kind != hidden)
    return f"<b>{escape(message.role + off)}</b>\n{''.join(pieces)}"


def _segment_html(segment: DiffSegment) -> str:
    text = escape(segment.text)
    if segment.kind == "equal":
        return text
    tag = "ins" if segment.kind == "insert" else "del"
    return f'<{tag} class="ck-diff-{segment.kind}" style="{_STYLE[segment.kind]}">{text}</{tag}>'
