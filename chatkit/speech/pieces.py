"""Speech, the pieces of the audio: what is sent for each, what came back, and how they are joined.

In: its times, and a client. Out: a `Reply`, and on the way what the listener is to hear of.

Where two parts overlap, the
words that both have are found, by their times and by their letters, and stand once.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chatkit.api.speech_models import SpeechModel, Task
from chatkit.audio.languages import title_of
from chatkit.client.attachment import Attachment
from chatkit.client.deadlines import Deadlines
from chatkit.client.engine import Engine
from chatkit.client.reply import Delta, Reply, Wait
from chatkit.speech.timed import Missing, Segment, Word, clock, concatenated

if TYPE_CHECKING:
    import openai


TAIL = 60
"""Words of a text without times in which an overlap is looked for."""
ENOUGH = 2
"""Words in a row that both sides must have."""
UNITS = {1: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}
SAME = 1.0
"""Seconds by which the times of one word may differ between two parts."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back for the audio from `start` to `end` seconds, between the cuts `after` and `before`."""

    start: float
    end: float
    after: float
    before: float
    text: str
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()
    language: str | None = None
    notes: tuple[str, ...] = ()


def read(payload: Mapping[str, Any], start: float, end: float, after: float, before: float) -> Heard:
    """The endpoint's object for one part, its times moved to those of the whole."""
    listed = _dicts(payload.get("segments"))
    timed = _dicts(payload.get("words")) or [word for item in listed for word in _dicts(item.get("words"))]
    unit = _unit([*listed, *timed], end - start)
    segments = tuple(
        Segment(*_times(item, start, end, unit), text, _word(item.get("speaker")))
        for item in listed
        if (text := str(item.get("text") or "").strip())
    )
    words = tuple(
        Word(*_times(item, start, end, unit), text)
        for item in timed
        if (text := str(item.get("word") or item.get("text") or "").strip())
    )
    notes = [f"the times came in {UNITS[unit]}, and were read so"] if unit != 1 else []
    notes += [*_unheard(payload, start, end), *_languages(payload)]
    text = str(payload.get("text") or "").strip()
    return Heard(start, end, after, before, text, segments, words, _language(payload), tuple(notes))


def join(heard: Sequence[Heard]) -> tuple[str, tuple[Segment, ...], tuple[Word, ...]]:
    """All parts in order as one."""
    parts = list(heard)
    for i, (left, right) in enumerate(pairwise(heard)):
        if left.end > right.start + 0.001:
            parts[i], parts[i + 1] = _joined(parts[i], right)
    text = concatenated([part.text for part in parts])
    return text, tuple(s for part in parts for s in part.segments), tuple(w for part in parts for w in part.words)


def with_marks(heard: Sequence[Heard], missing: Sequence[Missing], text: str) -> str:
    """The text with a mark in each place where a part is missing."""
    if not missing:
        return text
    said = {round(part.after, 3): part.text for part in heard}
    for gap in missing:
        if begun := said.get(gap.start):
            said[gap.start] = f"{begun} [the rest up to {clock(gap.end)} is missing]"
        else:
            said[gap.start] = f"[{clock(gap.start)}–{clock(gap.end)} is missing]"
    return concatenated([piece for _, piece in sorted(said.items())])


def _joined(left: Heard, right: Heard) -> tuple[Heard, Heard]:
    if left.words and right.words:
        return _joined_by_words(left, right)
    return _joined_by_text(left, right)


def _joined_by_words(left: Heard, right: Heard) -> tuple[Heard, Heard]:
    a = [w for w in left.words if w.end > right.start]
    b = [w for w in right.words if w.start < left.end]
    cut = left.before
    keep = [w for w in left.words if (w.start + w.end) / 2 < cut]
    rest = [w for w in right.words if (w.start + w.end) / 2 >= cut]
    run = _common([w.text for w in a], [w.text for w in b])
    if run:
        i, j, size = run
        middle = (size - 1) // 2  # farthest from the edges, where words are cut
        if abs(a[i + middle].start - b[j + middle].start) < SAME:
            keep = [w for w in left.words if w.start <= a[i + middle].start]
            rest = [w for w in right.words if w.start > b[j + middle].start]
    return _only(left, keep), _only(right, rest)


def _only(part: Heard, words: list[Word]) -> Heard:
    """The part with these of its words: segments that lose some are written anew."""
    kept = set(words)
    segments = []
    for segment in part.segments:
        own = [w for w in part.words if segment.start - 0.01 <= (w.start + w.end) / 2 <= segment.end + 0.01]
        left = [w for w in own if w in kept]
        if own and not left:
            continue
        if len(left) < len(own):
            segment = replace(segment, start=left[0].start, end=left[-1].end, text=_spaced(left))
        segments.append(segment)
    text = concatenated([s.text for s in segments]) if segments else _spaced(words)
    return replace(part, text=text, segments=tuple(segments), words=tuple(words))


def _joined_by_text(left: Heard, right: Heard) -> tuple[Heard, Heard]:
    a, b = left.text.split(), right.text.split()
    tail, head = a[-TAIL:], b[:TAIL]
    run = _common(tail, head)
    if not run or run[2] < ENOUGH:
        return left, right
    i, j, size = run
    middle = (size - 1) // 2
    kept = a[: len(a) - len(tail) + i + middle + 1]
    rest = b[j + middle + 1 :]
    return replace(left, text=" ".join(kept)), replace(right, text=" ".join(rest))


def _common(a: Sequence[str], b: Sequence[str]) -> tuple[int, int, int] | None:
    """The longest run of words that both have: where it begins in each, and its length."""
    plain_a, plain_b = [_plain(w) for w in a], [_plain(w) for w in b]
    found = SequenceMatcher(None, plain_a, plain_b, autojunk=False).find_longest_match()
    return (found.a, found.b, found.size) if found.size else None


def _plain(word: str) -> str:
    return re.sub(r"[^\w]+", "", word).casefold() or word


def _spaced(words: Sequence[Word]) -> str:
    return concatenated([w.text for w in words])


def _times(item: Mapping[str, Any], start: float, end: float, unit: float = 1) -> tuple[float, float]:
    first, last = (_number(item.get(key)) * unit for key in ("start", "end"))
    begin = min(max(start + first, start), end)
    return round(begin, 3), round(min(max(start + last, begin), end), 3)


def _unit(timed: Sequence[Mapping[str, Any]], length: float) -> float:
    """What the times are in, as a part of a second: seconds, unless they lie far beyond the audio, as LocalAI's did.

    >>> _unit([{"start": 0, "end": 3_500_000_000}], 4.0), _unit([{"start": 0.5, "end": 900.0}], 10.0)
    (1e-09, 1)
    """
    last = max((_number(item.get(key)) for item in timed for key in ("start", "end")), default=0.0)
    if last <= length * 1.1 + 30:
        return 1
    fitting = next((unit for unit in UNITS if unit != 1 and last * unit <= length * 1.1 + 1), 1)
    # so few thousandths of the audio would be as odd as so many seconds beyond it
    return 1 if fitting == 1e-3 and last * fitting < length / 2 else fitting


def _number(value: Any) -> float:
    """A number, which some write as text; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _unheard(payload: Mapping[str, Any], start: float, end: float) -> list[str]:
    """The local server's word of speech in which nothing was understood."""
    spans = [_times(item, start, end) for item in _dicts(payload.get("unheard"))]
    return [f"speech from {clock(first)} to {clock(last)} gave no text" for first, last in spans]


def _languages(payload: Mapping[str, Any]) -> list[str]:
    """More than one language, where the endpoint tells of them."""
    codes = list(dict.fromkeys(code for item in _dicts(payload.get("languages")) if (code := _word(item.get("code")))))
    return [f"several languages were heard: {', '.join(map(title_of, codes))}"] if len(codes) > 1 else []


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _word(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _language(payload: Mapping[str, Any]) -> str | None:
    named = _word(payload.get("language"))
    listed = [_word(item.get("code")) for item in _dicts(payload.get("languages"))]
    return named or next(filter(None, listed), None)


PATIENCE = 120.0
"""Seconds in which an answer must come, beside those for each second of audio."""
HOSTED, LOCAL = 1.0, 10.0
"""Seconds for each second of audio: a busy machine of one's own is slow, and its server has a clock itself."""
SLOWEST = 50_000
"""Bytes a second at which a file may be sent."""
RAW = 16 * 1024 * 1024
"""Bytes of an answer: the times of each word of ten minutes are 200 kB."""


@dataclass(eq=False)
class Piece:
    """The audio from `start` to `end` seconds, between the cuts `after` and `before`.

    `path` is None until the file is there; `silent` says that nobody speaks in it, so it is not sent;
    `untold` is text that has come and waits for that of the pieces before it.
    """

    start: float
    end: float
    after: float
    before: float
    path: Path | None = None
    name: str = ""
    mime: str = ""
    silent: bool = False
    sent: int = 0
    untold: str = ""
    reply: Reply | None = None

    @property
    def size(self) -> int:
        """Bytes to send."""
        return self.path.stat().st_size if self.path and not self.silent else 0

    @property
    def done(self) -> bool:
        """Whether it is known what was said in it."""
        return self.silent or (self.reply is not None and self.reply.outcome in ("complete", "length", "filtered"))

    @property
    def gap(self) -> Missing | None:
        """What is missing, if it is not known."""
        if self.done:
            return None
        error = self.reply.error if self.reply else None
        return Missing(round(self.after, 3), round(self.before, 3), error.cause if error else "cancelled")

    def heard(self) -> Heard:
        """What came back, its times moved to those of the whole."""
        reply = self.reply
        payload = {"text": reply.text, **reply.payload} if reply else {}
        return read(payload, self.start, self.end, self.after, self.before)

    async def ask(
        self,
        client: "openai.AsyncOpenAI",
        task: Task,
        model: SpeechModel,
        form: dict[str, Any],
        tell: Callable[[Delta | Wait | None], object],
    ) -> None:
        """Send it and keep the Reply; `tell` hears of deltas and waits, and None of bytes that went out."""

        def count(sent: int) -> None:
            self.sent = max(self.sent, sent)  # a further attempt begins at 0 again
            tell(None)

        assert self.path
        attachment, length = Attachment(self.path, self.name, self.mime, count), self.end - self.start
        patience = PATIENCE + length * (LOCAL if model.local else HOSTED)
        deadlines = Deadlines(
            first_content=patience, idle=PATIENCE, turn=2 * patience + self.size / SLOWEST, raw=RAW
        )  # fmt: skip
        items = Engine().stream(client, form, api=task, deadlines=deadlines, attachment=attachment)
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Reply):
                    self.reply = item
                else:
                    tell(item)


LEAD = 0.04
"""Seconds before the sound that a word may begin: the softest consonants are silence to a meter."""

T = TypeVar("T", Segment, Word)


def at_the_sound(items: Iterable[T], quiet: Sequence[tuple[float, float]]) -> tuple[T, ...]:
    """Begin each at its first sound, end it at its last; `quiet` are silences in order, in seconds.

    >>> at_the_sound([Word(1.3, 2.2, "Hello")], [(0.0, 1.6), (2.0, 3.0)])
    (Word(start=1.56, end=2.04, text='Hello'),)
    """
    begins = [start for start, _ in quiet]
    return tuple(_moved(item, quiet, begins) for item in items)


def _moved(item: T, quiet: Sequence[tuple[float, float]], begins: list[float]) -> T:
    start, end = item.start, item.end
    first, last = _around(start, quiet, begins), _around(end, quiet, begins)
    if first and first[1] - LEAD < end:
        start = max(start, first[1] - LEAD)
    if last and last[0] + LEAD > start:
        end = min(end, last[0] + LEAD)
    return replace(item, start=round(start, 3), end=round(end, 3))


def _around(at: float, quiet: Sequence[tuple[float, float]], begins: list[float]) -> tuple[float, float] | None:
    """The silence in which this moment lies."""
    number = bisect_right(begins, at) - 1
    return quiet[number] if number >= 0 and at <= quiet[number][1] else None
