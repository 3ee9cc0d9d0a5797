"""What a person changes by hand can be taken back, and made again; nothing that came since is lost."""

from collections.abc import Callable

import pytest

from chatkit.conversation.conversation import Conversation

SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "Here."},
]
CHANGES: dict[str, Callable[[Conversation], object]] = {
    "Message edited.": lambda talk: talk.edit(1, "When?"),
    "Message removed.": lambda talk: talk.remove(1),
    "Message moved.": lambda talk: talk.move(2, before=1),
    "Role changed.": lambda talk: talk.change_role(2, "tool"),
    "Messages replaced.": lambda talk: talk.replace_all([{"role": "user", "content": "Other"}]),
}


def texts(talk: Conversation) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in talk]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_taken_back_in_its_place_and_made_again(what: str):
    talk = Conversation(SAID)
    before, ids = texts(talk), [message.id for message in talk]
    CHANGES[what](talk)
    after = texts(talk)
    assert talk.changed_last == (what, "")
    assert talk.undo() == what
    assert (texts(talk), [message.id for message in talk]) == (before, ids)
    assert talk.changed_last == ("", what)
    assert talk.redo() == what
    assert texts(talk) == after
    assert [branch.name for branch in talk.branches] == ["main"]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_taken_back_after_the_talk_went_on_and_what_came_since_is_a_branch(what: str):
    talk = Conversation(SAID)
    before = texts(talk)
    CHANGES[what](talk)
    talk.extend([{"role": "user", "content": "And then?"}, {"role": "assistant", "content": "Then this."}])
    grown = texts(talk)
    assert talk.changed_last == ("", ""), "the talk has gone on: nothing to say beside it"
    assert talk.can_undo
    assert talk.undo() == what
    assert texts(talk) == before
    assert sorted(len(branch.messages) for branch in talk.branches) == sorted([len(before), len(grown)])
    assert talk.redo() == what
    assert texts(talk) == grown


def test_changes_come_back_one_after_the_other_the_last_one_first():
    talk = Conversation(SAID)
    for what in ("Message edited.", "Message moved.", "Role changed.", "Message removed."):
        CHANGES[what](talk)
    while talk.undo():
        pass
    assert texts(talk) == texts(Conversation(SAID))
    assert not talk.can_undo


def test_a_new_change_ends_what_can_be_made_again_and_one_that_changes_nothing_is_none():
    talk = Conversation(SAID)
    talk.edit(1, "When?")
    talk.undo()
    talk.edit(1, "Where?")
    assert talk.redo() == "Message edited."
    talk.undo()
    talk.remove(0)
    assert talk.redo() == ""


def test_what_loses_nothing_is_no_change_to_take_back():
    talk = Conversation(SAID)
    talk.add("user", "More?")
    talk.insert(0, "developer", "Use tools.")
    talk.switch(0, False)
    talk.branch("other")
    assert (talk.undo(), talk.can_undo, len(talk)) == ("", False, 5)


def test_a_branch_that_was_removed_comes_back_with_its_name():
    talk = Conversation(SAID)
    talk.branch("formal")
    talk.edit(0, "Be formal.")
    talk.checkout("main")
    talk.remove_branch("formal")
    assert talk.undo() == "Branch 'formal' removed."
    assert [(branch.name, branch.current) for branch in talk.branches] == [("main", True), ("formal", False)]
    assert talk.branches[1].messages[0].text == "Be formal."
    assert talk.redo() == "Branch 'formal' removed."
    assert [branch.name for branch in talk.branches] == ["main"]


def test_a_change_on_a_branch_that_was_renamed_or_left_comes_back_there():
    talk = Conversation(SAID)
    talk.branch("formal")
    talk.edit(0, "Be formal.")
    talk.rename_branch("formal", "polite")
    talk.checkout("main")
    assert talk.changed_last == ("", ""), "another branch is shown"
    talk.undo()
    assert (talk.current, talk[0].text) == ("polite", "Be brief.")


def test_a_listener_hears_of_both_ways():
    talk, heard = Conversation(SAID), []
    talk.edit(1, "When?")
    talk.listen(lambda: heard.append(talk[1].text))
    talk.undo()
    talk.redo()
    assert heard == ["Where?", "When?"]
