"""A turn laid open: what the reply of a real exchange with a fault server shows, and that no key is in it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from faultserver import DONE, FaultServer, completion, opening, refusal, reply, say, stop, stream, usage
from turns import BODY, KEY, ask

from chatkit.chats.inspection import Inspection, View
from chatkit.client.reply import Answer, Reply
from chatkit.ledger.record import Usage, UsageRecord

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">\u202e\x1b[31m'
ROW = UsageRecord(
    id="r", at=datetime(2026, 11, 24, tzinfo=UTC), session="s", path="/v1/chat/completions", host="api.openai.com",
    model="m", answered_model="m", streamed=True, outcome="complete", status=200, error_code=None, attempt=1,
    latency=3.0, first_token=1.0, usage=Usage(10, 101, 4, 60, cost=Decimal("0.000001"), known="measured"),
    price_table="genai-prices 0.2.3", price_date="2026-11-24",
)  # fmt: skip


def inspect(*scripts, **options) -> Inspection:
    with FaultServer(*scripts) as server:
        return Inspection(ask(server, **options).reply)


def test_a_stream_is_its_chunks_and_the_request_is_code():
    seen = inspect(stream(say("Bra"), say("zil"), stop(), usage(9, 2), DONE))
    assert seen.chunks == (say("Bra"), say("zil"), stop(), usage(9, 2), "[DONE]")
    assert seen.request["body"] == {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    assert json.loads(seen.json) == seen.request["body"]
    assert seen.curl.startswith(f"curl -N {seen.request['url']} ")
    assert "client.chat.completions.create(" in seen.python
    assert (seen.status, seen.usage.prompt_tokens, seen.usage.completion_tokens, seen.cost) == (200, 9, 2, Decimal(0))


def test_a_body_that_is_no_stream_is_one_chunk():
    assert inspect(reply(200, completion("Brazil"))).chunks == (completion("Brazil"),)


@pytest.mark.parametrize("raw", [b"<html>502</html>", b"Bad: gateway", b"plain words"])
def test_what_is_no_json_is_shown_as_text(raw):
    assert Inspection(Reply((), "error", raw=raw)).chunks == (raw.decode(),)


def test_nothing_came_back_is_no_chunk():
    assert Inspection(Reply((), "error", raw=b"")).chunks == ()
    assert Inspection(Reply((), "error", raw=b"")).request == {"method": "POST", "url": "", "body": {}}


def test_each_attempt_is_told_and_headers_that_say_something():
    limits = {
        "x-ratelimit-remaining-requests": "0",
        "retry-after": "1",
        "set-cookie": "a=b",
        "openai-organization": "o",
    }
    seen = inspect(refusal(429, "slow", {**limits, "x-request-id": "req_1"}, code="slow_down"), attempts=1)
    facts = dict(seen.facts)
    assert facts["status"] == "429, error"
    assert facts["request id"] == "req_1"
    assert facts["retry-after"] == "1" and facts["x-ratelimit-remaining-requests"] == "0"
    assert not {"set-cookie", "openai-organization"} & set(facts)
    assert "rate limit" in facts["error"]
    both = inspect(refusal(429, "slow", code="slow_down"), stream(say("Hi"), stop(), usage(3, 1), DONE))
    assert [name for name, _ in both.facts if name.startswith("attempt")] == ["attempt 1", "attempt 2"]
    first = dict(both.facts)["attempt 1"]
    assert first.startswith("429, error, slow_down, ") and first.endswith(" s; nothing")


def test_headers_of_an_answer_that_came():
    seen = inspect(
        [
            opening(**{"openai-version": "2020-10-01", "openai-processing-ms": "12"}),
            *stream(say("Hi"), stop(), DONE)[1:],
        ]
    )
    assert seen.headers == {
        "content-type": "text/event-stream",
        "openai-version": "2020-10-01",
        "openai-processing-ms": "12",
    }


def test_speed_is_of_what_is_seen_after_the_first_word():
    seen = Inspection(Reply((Answer(),), "complete", records=(ROW,)))
    assert seen.tokens_per_second == (101 - 60 - 1) / 2.0
    assert Inspection(Reply((), "error", records=(replace(ROW, first_token=None),))).tokens_per_second is None
    assert Inspection(Reply((), "error", records=(replace(ROW, usage=Usage()),))).tokens_per_second is None
    assert Inspection(Reply((), "error")).tokens_per_second is None


def test_usage_and_cost_are_told_with_the_tables_name_and_day():
    facts = dict(Inspection(Reply((), "complete", records=(ROW,))).facts)
    assert facts["usage"] == "10 tokens in, 4 of them cached, 101 out, 60 of them reasoned"
    assert facts["cost"] == "0.000001 USD (genai-prices 0.2.3, 2026-11-24)"


def test_what_is_unknown_is_never_zero():
    half = Inspection(Reply((), "error", records=(ROW, replace(ROW, usage=Usage()))))
    assert half.cost is None
    assert dict(half.facts)["usage"].endswith("1 attempt unknown")
    assert dict(Inspection(Reply((), "error")).facts)["cost"] == "unknown"


def test_a_long_answer_is_viewed_from_both_ends():
    seen = inspect(stream(*(say(str(i)) for i in range(100)), stop(), DONE))
    view = seen.view(3)
    assert isinstance(view, View)
    assert [c["choices"][0]["delta"]["content"] for c in view.first] == ["0", "1", "2"]
    assert (view.left_out, view.last[-1], view.size) == (96, "[DONE]", len(seen.reply.raw))
    assert seen.view(51) == View(seen.chunks, 0, (), len(seen.reply.raw))
    assert "… 62 more …" in seen._repr_html_()


def test_the_text_is_stable_and_one_line_a_fact():
    record = replace(ROW, latency=2.0)
    text = repr(
        Inspection(
            Reply(
                (),
                "length",
                request={"url": "http://h/v1/responses"},
                records=(record,),
                latency=2.0,
                first_token=1.0,
                notes=("a\nb",),
            )
        )
    )
    assert text == (
        "Inspection: POST http://h/v1/responses\n"
        "  status        no answer, length\n"
        "  latency       2.00 s\n"
        "  first token   1.00 s\n"
        "  speed         40.0 tokens a second\n"
        "  usage         10 tokens in, 4 of them cached, 101 out, 60 of them reasoned\n"
        "  cost          0.000001 USD (genai-prices 0.2.3, 2026-11-24)\n"
        "  note          a b\n"
        "  came back     0 chunks, 0 bytes"
    )  # fmt: skip


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_nothing_that_was_sent_or_came_acts_in_the_html():
    body = {"model": HOSTILE, "messages": [{"role": "user", "content": HOSTILE}]}
    raw = f"data: {json.dumps({'x': HOSTILE})}\n\ndata: {HOSTILE}\n\n".encode()
    found = Reply((), "error", model=HOSTILE, request={"url": f"http://h/v1/{HOSTILE}", "body": body}, raw=raw,
                  request_id=HOSTILE, notes=(HOSTILE,), headers={"server": HOSTILE})  # fmt: skip
    html = Inspection(found)._repr_html_()
    tags = Tags(html)
    assert tags.found <= {"style", "section", "header", "dl", "dt", "dd", "details", "summary", "pre", "code", "span"}
    assert tags.attributes <= {"class"}
    assert "\u202e" not in html and "\x1b" not in html
    assert "<script" not in html


def test_no_key_is_in_any_face(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    other = "sk-proj-" + "A1b2C3d4E5f6G7h8I9j0_K-L"
    body = {"model": "m", "messages": [{"role": "user", "content": f"{KEY} and {other}"}]}
    seen = inspect(stream(say(f"You said {other}"), stop(), DONE), body=body)
    faces = [
        seen.python,
        seen.curl,
        seen.json,
        repr(seen),
        seen._repr_html_(),
        json.dumps(seen.chunks),
        str(seen.facts),
        str(seen.request),
    ]
    for face in faces:
        assert KEY not in face and other not in face and other[8:] not in face
    assert seen.chunks[0]["choices"][0]["delta"]["content"] == "You said [key]"


def test_a_reply_cut_by_its_cap_still_shows_what_there_is():
    whole = stream(say("Bra"), say("zil"), stop(), DONE)
    seen = inspect(whole)
    cut = Inspection(replace(seen.reply, raw=seen.reply.raw[:-40]))
    assert cut.chunks[:2] == (say("Bra"), say("zil"))
    assert isinstance(cut.chunks[-1], str)
