"""Keys as people paste them."""

import pytest

from chatkit.client.keys import clean_key
from chatkit.exceptions import InputError

KEY = "sk-proj-abcdefghijklmnop"


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f" {KEY}\n",
        f"'{KEY}'",
        f'"{KEY}"',
        f"“{KEY}”",
        f"Bearer {KEY}",
        f"bearer  {KEY} ",
        f'"Bearer {KEY}"',
        f"Authorization: Bearer {KEY}",
        f"\ufeff{KEY}\u200b",
    ],
)
def test_what_came_along_with_a_key_is_taken_off(pasted):
    assert clean_key(pasted, "api_key") == KEY


@pytest.mark.parametrize(
    ("pasted", "rule"),
    [
        ("", "holds no key"),
        ("  \n", "holds no key"),
        (f"{KEY} {KEY}", "white space inside"),
        (f"sk-proj-\n{KEY}", "white space inside"),
        ("sk-pröj", "a character that no key has"),
        ("sk-\x07abc", "a character that no key has"),
        ("YOUR_API_KEY", "placeholder"),
        ("<your key>", "placeholder"),
        ("sk-...", "placeholder"),
        ("sk-…", "placeholder"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_showing_it(pasted, rule):
    with pytest.raises(InputError, match=rule) as caught:
        clean_key(pasted, "OPENAI_API_KEY")
    assert "OPENAI_API_KEY" in str(caught.value)
    assert not pasted.strip() or pasted.strip() not in str(caught.value)


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="api_key is bytes; a key is text"):
        clean_key(KEY.encode(), "api_key")
