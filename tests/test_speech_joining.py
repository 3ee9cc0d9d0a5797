"""The joins: words that both parts heard stand once, none is lost, times are those of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.speech.pieces import Heard, at_the_sound, join, read, with_marks
from chatkit.speech.timed import Missing, Segment, Word

SENTENCE = [f"word{n}" for n in range(60)]


def part(start: float, end: float, after: float, before: float, *, words: bool = True) -> Heard:
    """What a part hears of a sentence that says one word a second; it may cut the first and the last one."""
    said = [(n, w) for n, w in enumerate(SENTENCE) if n + 0.9 > start and n < end]
    texts = [w[2:] if n < start else w[:3] if n + 0.9 > end else w for n, w in said]
    timed = (
        tuple(Word(max(n, start), min(n + 0.9, end), t) for (n, _), t in zip(said, texts, strict=True)) if words else ()
    )
    return Heard(start, end, after, before, " ".join(texts), (), timed)


@given(st.integers(15, 45), st.floats(2.5, 5))
def test_an_overlap_doubles_and_loses_no_word(cut, overlap):
    left, right = part(0, cut + overlap, 0, cut), part(cut - overlap, 60, cut, 60)
    text, _, words = join([left, right])
    assert text.split() == [w.text for w in words] == SENTENCE


@given(st.integers(15, 45), st.floats(2.5, 5))
def test_without_times_the_words_that_both_heard_join_them(cut, overlap):
    left, right = part(0, cut + overlap, 0, cut, words=False), part(cut - overlap, 60, cut, 60, words=False)
    assert join([left, right])[0].split() == SENTENCE


def test_a_cut_in_a_silence_joins_nothing():
    left, right = Heard(0, 10, 0, 10, "It is late."), Heard(10, 20, 10, 20, "It is late.")
    assert join([left, right])[0] == "It is late. It is late."


def test_what_two_parts_heard_differently_is_cut_by_the_time():
    left = Heard(0, 14, 0, 10, "", (), (Word(8, 8.5, "grey"), Word(9, 9.5, "cat"), Word(11, 11.5, "sat")))
    right = Heard(6, 20, 10, 20, "", (), (Word(8, 8.5, "gray"), Word(9, 9.5, "hat"), Word(11, 11.5, "satin")))
    assert join([left, right])[0] == "grey cat satin"


@pytest.mark.parametrize(
    ("apart", "text"),
    [(0.0, "one no two"), (0.9, "one no two"), (1.0, "one no no two"), (2.5, "one no no two")],
)
def test_a_word_that_is_said_twice_at_two_times_is_not_one_word_that_both_heard(apart: float, text: str):
    said = 9.25
    left = Heard(0, 14, 0, 10, "", (), (Word(7, 7.5, "one"), Word(said, said + 0.5, "no")))
    again = said + apart
    right = Heard(6, 20, 10, 20, "", (), (Word(again, again + 0.5, "no"), Word(13, 13.5, "two")))
    assert join([left, right])[0] == text


def test_a_segment_across_the_join_is_written_anew():
    words = tuple(Word(n, n + 0.9, f"w{n}") for n in range(12))
    left = Heard(0, 8, 0, 6, "", (Segment(0, 7.9, "w0 to w7"),), words[:8])
    right = Heard(4, 12, 6, 12, "", (Segment(4, 11.9, "w4 to w11"),), words[4:])
    text, segments, _ = join([left, right])
    assert [s.text for s in segments] == ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10 w11"]
    assert segments[0].end <= segments[1].start
    assert text.split() == [w.text for w in words]


def test_languages_without_spaces_are_joined_without():
    assert join([Heard(0, 1, 0, 1, "你好。"), Heard(1, 2, 1, 2, "再见。")])[0] == "你好。再见。"


def test_a_missing_part_leaves_a_mark_in_its_place():
    heard = [Heard(0, 60, 0, 60, "First."), Heard(120, 180, 120, 180, "Third.")]
    assert with_marks(heard, [Missing(60, 120, "no")], "x") == "First. [1:00–2:00 is missing] Third."


def test_times_are_moved_and_nonsense_among_them_is_kept_within_the_part():
    payload = {
        "text": " Hi. ", "language": "english",
        "segments": [{"start": 1, "end": 2, "text": " Hi."}, {"start": -5, "end": 900, "text": "x"}, {"text": " "}, 7],
        "words": [{"word": "Hi.", "start": "soon", "end": None}],
    }  # fmt: skip
    heard = read(payload, 100.0, 110.0, 100.0, 110.0)
    assert heard.segments == (Segment(101.0, 102.0, "Hi."), Segment(100.0, 110.0, "x"))
    assert heard.words == (Word(100.0, 100.0, "Hi."),)
    assert (heard.text, heard.language) == ("Hi.", "english")


def test_a_time_in_a_silence_moves_to_the_sound():
    quiet = [(0.0, 1.0), (3.0, 4.0)]
    items = [Word(0.6, 1.4, "a"), Word(1.5, 2.9, "b"), Word(2.9, 3.5, "c"), Word(3.2, 3.6, "within")]
    items += [Word(2.5, 4.5, "across"), Word(0.5, 4.5, "across two"), Word(5, 6, "after all")]
    assert at_the_sound(items, quiet) == (
        Word(0.96, 1.4, "a"), Word(1.5, 2.9, "b"), Word(2.9, 3.04, "c"), Word(3.2, 3.6, "within"),
        Word(2.5, 4.5, "across"), Word(0.96, 4.5, "across two"), Word(5, 6, "after all"),
    )  # fmt: skip
