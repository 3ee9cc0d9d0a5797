"""Branches of a conversation: going on elsewhere without losing anything, variants, names."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.conversation.branches import check_name
from chatkit.conversation.conversation import Conversation, Message
from chatkit.exceptions import InputError


@pytest.fixture
def talk():
    return Conversation([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who won in 2020?"},
        {"role": "assistant", "content": "The Dodgers."},
    ])  # fmt: skip


def texts(line):
    return [message.text for message in line]


def branches(talk):
    return {branch.name: texts(branch.messages) for branch in talk.branches}


def answered_again(talk, *answers):
    """Each answer in the place of the last message, on a branch of its own."""
    for answer in answers:
        talk.extend([Message("assistant", answer)], instead_of=talk[2].id)


def test_a_conversation_begins_on_one_branch(talk):
    [branch] = talk.branches
    assert (branch.name, branch.messages, branch.current, talk.current) == ("main", talk.messages, True, "main")
    assert repr(branch) == "Branch('main', 3 messages, current)"


def test_branch_keeps_the_present_line_and_goes_on_with_the_same_messages(talk):
    made = talk.branch()
    talk.edit(2, "The Rays.")
    talk.add("user", "Where?")
    assert (made.name, talk.current) == ("main-2", "main-2")
    assert branches(talk) == {
        "main": ["Be brief.", "Who won in 2020?", "The Dodgers."],
        "main-2": ["Be brief.", "Who won in 2020?", "The Rays.", "Where?"],
    }


def test_checkout_goes_to_a_branch_and_edits_happen_there_alone(talk):
    talk.branch("formal")
    talk.checkout("main")
    talk.remove(2)
    assert branches(talk) == {
        "main": ["Be brief.", "Who won in 2020?"],
        "formal": ["Be brief.", "Who won in 2020?", "The Dodgers."],
    }
    assert repr(talk) == "Conversation(2 messages, 2 branches)"


def test_branches_are_renamed_in_their_place_and_removed(talk):
    talk.branch("formal")
    talk.rename_branch("main", "first")
    talk.rename_branch("formal", "formal")
    assert [b.name for b in talk.branches] == ["first", "formal"]
    talk.rename_branch("formal", "second")
    assert talk.current == "second"
    with pytest.raises(InputError, match="'second' is the current branch. Go to another one first"):
        talk.remove_branch("second")
    assert talk.remove_branch("first").name == "first"
    assert [b.name for b in talk.branches] == ["second"]


@pytest.mark.parametrize("act", ["checkout", "remove_branch"])
def test_a_branch_that_is_not_there_is_named_with_those_that_are(talk, act):
    talk.branch("formal")
    with pytest.raises(InputError, match="There is no branch 'casual'. There is 'main', 'formal'"):
        getattr(talk, act)("casual")


@pytest.mark.parametrize("name", ["", "  ", None, 3, "a\nb", "x" * 81])
def test_what_cannot_be_a_name_is_refused(talk, name):
    with pytest.raises(InputError, match="A branch's name is "):
        check_name(name)


def test_a_name_that_is_taken_is_refused(talk):
    with pytest.raises(InputError, match="There is a branch 'main' already"):
        talk.branch("main")
    talk.branch("formal")
    with pytest.raises(InputError, match="There is a branch 'main' already"):
        talk.rename_branch("formal", "main")


def test_variants_are_what_all_branches_have_after_the_same_messages(talk):
    answered_again(talk, "The L.A. Dodgers.", "Dodgers!")
    found = talk.variants(2)
    assert (texts(found.messages), found.shown, len(found)) == (["The Dodgers.", "The L.A. Dodgers.", "Dodgers!"], 2, 3)
    assert found.branches == (("main",), ("main-2",), ("main-3",))
    assert list(talk.forks) == [2]
    alone = talk.variants(1)
    assert (texts(alone.messages), alone.shown) == (["Who won in 2020?"], 0)


def test_a_message_that_goes_on_differently_later_is_one_variant(talk):
    answered_again(talk, "The L.A. Dodgers.")
    talk.branch()
    talk.add("user", "Where?")
    assert talk.variants(2).branches == (("main",), ("main-2", "main-3"))


def test_an_edit_on_one_branch_is_a_variant_and_what_follows_it_is_not(talk):
    talk.branch()
    talk.edit(1, "Who won in 2021?")
    assert list(talk.forks) == [1]
    assert texts(talk.variants(1).messages) == ["Who won in 2020?", "Who won in 2021?"]
    assert len(talk.variants(2)) == 1


def test_a_message_that_is_switched_off_is_still_the_same_message(talk):
    talk.branch()
    talk.switch(0, False)
    assert talk.forks == {}


def test_choose_goes_to_the_branch_used_last_that_holds_the_variant(talk):
    answered_again(talk, "The L.A. Dodgers.")
    talk.branch("later")
    talk.add("user", "Where?")
    talk.checkout("main-2")
    talk.checkout("main")
    assert talk.choose(2, 1).text == "The L.A. Dodgers."
    assert talk.current == "main-2"
    talk.checkout("later")
    talk.checkout("main")
    talk.choose(2, 1)
    assert talk.current == "later"
    talk.choose(2, 1)
    assert talk.current == "later"
    with pytest.raises(InputError, match="no variant 2; this message has 2, counted from 0"):
        talk.choose(2, 2)


def test_show_goes_to_the_branch_that_holds_a_message(talk):
    first = talk[2].id
    answered_again(talk, "Dodgers!")
    assert talk.show(first).name == "main"
    assert talk.show(talk[0].id).name == "main"
    with pytest.raises(InputError, match="No branch has a message with the id 'zz'"):
        talk.show("zz")


def test_a_line_that_would_not_be_lost_is_not_kept_as_a_branch(talk):
    whole = talk.messages
    talk.go_on_with(whole[:1])
    talk.go_on_with(())
    assert branches(talk) == {"main": texts(whole), "main-2": []}
    talk.go_on_with(whole[:2])
    assert branches(talk) == {"main": texts(whole), "main-2": texts(whole[:2])}


def test_a_branch_made_by_hand_takes_the_new_answer_in_its_place(talk):
    talk.branch("formal")
    answered_again(talk, "The Dodgers did, sir.")
    assert branches(talk) == {
        "main": ["Be brief.", "Who won in 2020?", "The Dodgers."],
        "formal": ["Be brief.", "Who won in 2020?", "The Dodgers did, sir."],
    }


def test_extend_works_on_a_branch_that_is_not_the_present_one(talk):
    talk.branch("formal")
    talk.extend([Message("user", "Where?")], on="main")
    talk.extend([Message("assistant", "Dodgers.")], on="main", instead_of=talk[2].id)
    assert talk.current == "formal"
    assert branches(talk)["main"][2:] == ["The Dodgers.", "Where?"]
    assert branches(talk)["main-2"][2:] == ["Dodgers."]


def test_others_become_variants_of_the_last_message(talk):
    talk.extend([Message("user", "Where?"), Message("assistant", "a")], others=[Message("assistant", "b")])
    assert (talk.current, texts(talk.variants(4).messages)) == ("main", ["a", "b"])


def test_listeners_hear_each_change_of_branches_once(talk):
    heard = []
    talk.listen(lambda: heard.append(talk.current))
    talk.branch()
    talk.checkout("main")
    talk.checkout("main")
    talk.rename_branch("main-2", "other")
    talk.remove_branch("other")
    talk.extend([Message("user", "a"), Message("assistant", "b")], others=[Message("assistant", "c")])
    assert heard == ["main-2", "main", "main", "main", "main"]


def test_a_listener_may_wait_for_another_thread_that_reads(talk):
    def read_elsewhere():
        thread = threading.Thread(target=lambda: seen.append(len(talk)))
        thread.start()
        thread.join(5)

    seen = []
    talk.listen(read_elsewhere)
    for change in (lambda: talk.add("user", "a"), lambda: talk.branch(), lambda: talk.choose(3, 0)):
        change()
    talk.go_on_with(talk.messages[:1])
    assert seen == [4, 4, 1]


def test_threads_that_change_a_conversation_lose_nothing():
    talk = Conversation()

    def write(name):
        for number in range(50):
            talk.add("user", f"{name}{number}")
            talk.switch(-1, False)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts(talk)) == sorted(f"{name}{number}" for name in "abcd" for number in range(50))


def test_a_failed_change_changes_nothing_and_tells_nobody(talk):
    heard = []
    talk.listen(lambda: heard.append(1))
    for change in (
        lambda: talk.edit(9, "x"),
        lambda: talk.branch("main"),
        lambda: talk.extend([], on="none"),
        lambda: talk.extend([Message("user", "a")], instead_of="none"),
    ):
        with pytest.raises(InputError):
            change()
    assert (heard, list(branches(talk)), len(talk)) == ([], ["main"], 3)


def test_a_message_that_is_put_in_twice_gets_an_id_of_its_own(talk):
    first, *_ = talk.messages
    talk.replace_all([first, first, *talk.messages[1:]])
    assert len({m.id for m in talk}) == 4
    assert talk[0].id == first.id
    talk.insert(0, "user", "again", id=first.id)
    assert len({m.id for m in talk}) == 5
    assert Conversation.from_json(talk.to_json()).messages == talk.messages


def test_messages_in_the_apis_form_are_taken_and_checked_everywhere(talk):
    question = {"role": "user", "content": "Why?"}
    talk.branch("why", [question])
    talk.extend([question])
    talk.go_on_with([question])
    talk.replace_all([question, question])
    assert texts(talk) == ["Why?", "Why?"]
    for act in (talk.extend, talk.go_on_with, talk.replace_all, lambda messages: talk.branch("x", messages)):
        with pytest.raises(InputError, match=r"messages\[1\]: content is NoneType"):
            act([question, {"role": "user", "content": None}])


CHANGES = {
    "add": lambda talk, n: talk.add("user", f"u{n}"),
    "edit": lambda talk, n: len(talk) and talk.edit(n % len(talk), f"e{n}"),
    "remove": lambda talk, n: len(talk) and talk.remove(n % len(talk)),
    "move": lambda talk, n: len(talk) and talk.move(n % len(talk), n * 7 % (len(talk) + 1)),
    "switch": lambda talk, n: len(talk) and talk.switch(n % len(talk), bool(n % 2)),
    "branch": lambda talk, n: talk.branch(checkout=bool(n % 2)),
    "retry": lambda talk, n: (
        len(talk) and talk.extend([Message("assistant", f"a{n}")], instead_of=talk[n % len(talk)].id)
    ),
    "several": lambda talk, n: talk.extend([Message("assistant", f"b{n}")], others=[Message("assistant", f"c{n}")]),
    "undo": lambda talk, n: talk.go_on_with(talk.messages[: n % (len(talk) + 1)]),
    "checkout": lambda talk, n: talk.checkout(talk.branches[n % len(talk.branches)].name),
    "drop": lambda talk, n: (b := talk.branches[n % len(talk.branches)]).current or talk.remove_branch(b.name),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 50)), max_size=25))
def test_whatever_is_done_ids_are_unique_variants_lead_to_what_they_show_and_files_keep_it_all(steps):
    talk = Conversation([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}])
    for change, number in steps:
        CHANGES[change](talk, number)
    assert sum(branch.current for branch in talk.branches) == 1
    for branch in talk.branches:
        assert len({message.id for message in branch.messages}) == len(branch.messages)
    again = Conversation.from_json(talk.to_json())
    assert (again.branches, again.forks) == (talk.branches, talk.forks)
    for place, variants in talk.forks.items():
        before, shown = talk.messages[:place], talk.current
        assert variants.messages[variants.shown] is talk[place]
        for number, message in enumerate(variants.messages):
            assert talk.choose(place, number).is_same(message)
            assert all(one.is_same(other) for one, other in zip(before, talk.messages, strict=False))
            assert talk.variants(place).shown == number
            talk.checkout(shown)
