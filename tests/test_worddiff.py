"""The word diff: what two texts or conversations have in common, at a bounded cost."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.conversation.conversation import Conversation, Message
from chatkit.conversation.diff import StepsLeft, diff, words
from chatkit.exceptions import InputError


def pairs(left, right, **more):
    return [(s.kind, s.text) for s in words(left, right, **more)]


@pytest.mark.parametrize(
    ("left", "right", "segments"),
    [
        ("", "", []),
        ("same", "same", [("equal", "same")]),
        ("", "new", [("insert", "new")]),
        ("old", "", [("delete", "old")]),
        ("a b c", "a x c", [("equal", "a "), ("delete", "b"), ("insert", "x"), ("equal", " c")]),
        ("one two three", "uno dos tres", [("delete", "one two three"), ("insert", "uno dos tres")]),
        ("Ja, größer!", "Ja, größer?", [("equal", "Ja, größer"), ("delete", "!"), ("insert", "?")]),
        ("日本 😀", "日本 😀😀", [("equal", "日本 😀"), ("insert", "😀")]),
    ],
)
def test_words_space_and_punctuation_are_compared(left, right, segments):
    assert pairs(left, right) == segments


TEXT = st.text(st.sampled_from("ab \n.,é😀"), max_size=60)


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_the_segments_are_both_texts(left, right):
    found = words(left, right)
    assert "".join(s.text for s in found if s.kind != "insert") == left
    assert "".join(s.text for s in found if s.kind != "delete") == right
    assert all(a.kind != b.kind for a, b in pairwise(found))


def prose(vocabulary, count, seed):
    return " ".join(random.Random(seed).choices(vocabulary, k=count))


VOCABULARY = ["".join(letters) for letters in ("ab", "cd", "ef", "gh")] + [f"w{i}" for i in range(3000)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (prose(VOCABULARY, 9000, 1), prose(VOCABULARY, 9000, 2)),
        (prose(VOCABULARY[:60], 9000, 1), prose(VOCABULARY[:60], 9000, 2)),
        ("a " * 25_000, "b a " * 12_500),
        (".," * 25_000, ",;." * 16_000),
        (" ".join(f"w{i}" for i in range(8000)), " ".join(f"w{i}" for i in reversed(range(8000)))),
    ],
    ids=["a language", "few words", "two words", "punctuation", "backwards"],
)
def test_50_kb_against_50_kb_is_right_whatever_it_is_made_of(left, right):
    found = words(left, right)
    assert "".join(s.text for s in found if s.kind != "insert") == left
    assert "".join(s.text for s in found if s.kind != "delete") == right


def test_small_changes_in_a_long_text_are_found_exactly():
    before = prose(VOCABULARY, 9000, 1).split(" ")
    after = list(before)
    after[1000], after[8000] = "EDITED", "TOO"
    assert [s.text for s in words(" ".join(before), " ".join(after)) if s.kind != "equal"] == [
        before[1000], "EDITED", before[8000], "TOO",
    ]  # fmt: skip


NATURAL = ["the", "of", "a", "to", "in", "and", "is", *(f"w{i}" for i in range(1500))]


def natural(count, seed):
    weights = [1 / (place + 1) for place in range(len(NATURAL))]
    return random.Random(seed).choices(NATURAL, weights, k=count)


def equal_words(left, right):
    same = [s.text.split() for s in words(" ".join(left), " ".join(right)) if s.kind == "equal"]
    return sum(map(len, same))


def test_of_5000_words_of_which_one_in_ten_was_changed_the_others_are_equal():
    before = natural(5000, 1)
    after = [f"NEW{i}" if i % 10 == 0 else word for i, word in enumerate(before)]
    assert equal_words(before, after) == 4500


def test_words_that_are_equal_alone_are_looked_for_nearby_and_part_no_texts():
    before = natural(5000, 1)
    after = [f"NEW{i}" if i % 3 == 0 else word for i, word in enumerate(before)]
    assert equal_words(before, after) > 2_800  # of 3,333; at the cost of looking further it would be some more


def test_space_that_changed_is_a_change_and_the_words_beside_it_are_none():
    assert pairs("one  two three", "one two\nthree") == [
        ("equal", "one "), ("delete", " "), ("equal", "two"), ("delete", " "), ("insert", "\n"), ("equal", "three"),
    ]  # fmt: skip
    assert pairs(" a ", "a") == [("delete", " "), ("equal", "a"), ("delete", " ")]


def test_where_the_budget_is_spent_the_difference_is_one_piece():
    left, right = "a x b y c z d", "a p b q c r d"
    assert len(pairs(left, right)) > 4
    assert pairs(left, right, budget=StepsLeft(0)) == [
        ("equal", "a "), ("delete", "x b y c z"), ("insert", "p b q c r"), ("equal", " d"),
    ]  # fmt: skip


def rows(left, right):
    return [(r.kind, r.left and r.left.text, r.right and r.right.text) for r in diff(left, right).rows]


def test_messages_are_aligned_by_what_they_say_then_by_role():
    system, question, answer = Message("system", "s"), Message("user", "q"), Message("assistant", "yes")
    other, extra = Message("assistant", "no"), Message("user", "more")
    assert rows([system, question, answer], [system, question, other, extra]) == [
        ("equal", "s", "s"), ("equal", "q", "q"), ("changed", "yes", "no"), ("insert", None, "more"),
    ]  # fmt: skip
    assert rows([system, question], [question]) == [("delete", "s", None), ("equal", "q", "q")]
    assert rows([], []) == []


def test_an_edited_message_is_beside_itself_though_its_role_changed():
    talk = Conversation([{"role": "user", "content": "a b"}, {"role": "user", "content": "c d"}])
    before = talk.messages
    talk.edit(0, "a x")
    talk.change_role(0, "system")
    assert rows(before, talk.messages) == [("changed", "a b", "a x"), ("equal", "c d", "c d")]


def test_a_message_that_is_switched_off_is_a_change_of_no_words():
    talk = Conversation([{"role": "user", "content": "a"}])
    before = talk.messages
    talk.switch(0, False)
    [row] = diff(before, talk.messages).rows
    assert (row.kind, [s.kind for s in row.segments]) == ("changed", ["equal"])


def test_a_diff_of_branches_or_conversations_has_a_stable_text_form():
    talk = Conversation([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because it is so."}])
    talk.branch("other")
    talk.edit(1, "Because it was so.")
    talk.add("user", "w" * 100)
    assert repr(talk.diff("main", "other")) == (
        "Diff('main', 'other'): 2 of 3 messages differ\n"
        "  user: Why?\n"
        "~ assistant: Because it [-is-]{+was+} so.\n"
        f"+ user: {'w' * 100}"
    )
    assert talk.diff("main", "other").changes == 2
    other = Conversation(talk.messages)
    assert talk.diff(talk, other).changes == 0
    with pytest.raises(InputError, match="no branch 'third'"):
        talk.diff("main", "third")


def test_a_diff_as_html_shows_each_side_and_nothing_of_it_is_code():
    left, right = [Message("user", "<b>old</b> x")], [Message("user", "<b>new</b> x")]
    html = diff(left, right, "<i>", "b")._repr_html_()
    assert "<i>" not in html and "<b>old" not in html and "&lt;i&gt;" in html
    assert 'class="ck-diff-delete"' in html and 'class="ck-diff-insert"' in html
    first, second = html.split("<td ")[1:3]
    assert ">old</del>" in first and "new" not in first
    assert ">new</ins>" in second and "old" not in second


def test_thousands_of_messages_are_aligned_at_a_bounded_cost():
    left = [Message("user", f"a{i}") for i in range(2000)]
    right = [Message("user", f"b{i}") for i in range(2000)]
    found = diff(left, right)
    assert (len(found.rows), found.changes) == (4000, 4000)


def test_other_pictures_and_calls_are_a_change_though_the_words_are_the_same():
    def shown(url):
        return [Message("user", [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}])]

    assert [row.kind for row in diff(shown("a"), shown("b")).rows] == ["changed"]
    assert [row.kind for row in diff(shown("a"), shown("a")).rows] == ["equal"]
