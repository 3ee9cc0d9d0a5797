"""Addresses as people write them."""

import pytest

from chatkit.client.address import Endpoint, checked_url, is_loopback, same_address, without_query
from chatkit.exceptions import InputError

HERE = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "127.0.0.1",
    "127.255.0.9",
    "127.1",
    "2130706433",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::1%25lo]",
]
ELSEWHERE = [
    "api.openai.com",
    "10.0.0.1",
    "192.168.1.1",
    "128.0.0.1",
    "localhost.example.org",
    "mylocalhost",
    "127.0.0.1.example.org",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "1.127.0.0",
]


@pytest.mark.parametrize("host", HERE)
def test_this_machine_is_known_however_it_is_written(host):
    assert is_loopback(f"http://{host}:8080/v1")
    assert is_loopback(f"https://{host}")


@pytest.mark.parametrize("host", ELSEWHERE)
def test_no_other_machine_is_taken_for_this_one(host):
    assert not is_loopback(f"http://{host}:8080/v1")


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("127.0.0.1:8080/v1", "must start with http:// or https://"),
        ("ftp://host/v1", "must start with http"),
        ("http://", "must start with http"),
        ("", "must start with http"),
        ("http://a b/", "must start with http"),
        ("http://host/v 1", "must start with http"),
        ("api.openai.com", "must start with http"),
        ("http://[::1/v1", "must start with http"),
        ("http://host:abc/v1", "the port 'abc'; a port is a number from 1 to 65535"),
        ("http://host:99999/v1", "the port '99999'"),
        ("http://host:-1/v1", "the port '-1'"),
        ("http://host:0/v1", "the port '0'"),
        ("http://host/v1#part", "what follows # is never sent"),
        ("http://host/v1?a=1#part", "what follows # is never sent"),
        ("http://ho\x1bst/v1", "a character that cannot be seen"),
        ("http://host/v1\u202e", "a character that cannot be seen"),
        ("http://host/v1/chat/completions", "one call .*Give what is before it: http://host/v1$"),
        ("http://host/v1/chat/completions/?api-version=1", "one call .*Give what is before it: http://host/v1$"),
        ("http://host/v1/responses", "one call"),
        ("http://host/v1/audio/transcriptions", "one call"),
    ],
)
def test_what_is_no_address_is_refused_in_words(url, rule):
    with pytest.raises(InputError, match=rule) as caught:
        checked_url(url, "base_url")
    assert str(caught.value).startswith("base_url ")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@host/v1",
        "https://secret@host/v1",
        "ftp://me:secret@host/v1",
        "me:secret@host/v1",
        "https://me:secret@host:abc/v1",
        "https://me:sec/ret@host:abc/v1",
        "http://me:secret@[::1/v1",
        "https://host/v1?key=secret#x",
        "https://host:secret-0123456789abcdef0123456789abcdef/v1",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_shown(url):
    with pytest.raises(InputError) as caught:
        checked_url(url, "base_url")
    assert "secret" not in str(caught.value)
    assert "ret@" not in str(caught.value)


@pytest.mark.parametrize(
    "written", ["https://host/v1", " https://host/v1/ ", '"https://host/v1"', "https://host/v1//\n"]
)
def test_what_stands_around_an_address_is_taken_off(written):
    assert checked_url(written, "base_url") == "https://host/v1"


def test_a_query_is_kept_apart_and_given_back():
    base, query = without_query(checked_url("https://host/v1/?api-version=1&empty=", "base_url"))
    assert (base, query) == ("https://host/v1", (("api-version", "1"), ("empty", "")))
    assert Endpoint(base, "k", "m", "s", query=query).url == "https://host/v1?api-version=1&empty="
    assert "api-version" not in repr(Endpoint(base, "k", "m", "s", query=query))


def test_the_same_address_in_other_letters_is_the_same():
    assert same_address("HTTP://Host:80/v1/", "http://host/v1")
    for other in ("https://host/v1", "http://host:81/v1", "http://host/v2", "http://host/v1?a=1", "http://host2/v1"):
        assert not same_address("http://host/v1", other)
