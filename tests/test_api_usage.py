"""Usage wherever an endpoint puts it, and what is none."""

import json
from typing import Any

import pytest
from wire import DONE, booked, events, say, tell, typed

from chatkit.api import answer

USED = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize("end", [
    {**say(None, "stop"), "usage": USED},
    say(None, "stop", usage=USED),
    {**say(None, "stop"), "x_groq": {"usage": USED}},
    {**say(None, "stop"), "x_groq": {"usage": USED}, "usage": None},
    say(None, "stop", delta={"usage": USED}),
    say(None, "stop", message={"usage": USED}),
])  # fmt: skip
def test_usage_is_found_wherever_it_stands(end: dict[str, Any]) -> None:
    assert tell(*events(say("42"), end, DONE)).tokens == (1000, 100, "measured")
    assert booked(*events(say("42"), end, DONE))[1].usage.prompt_tokens == 1000


@pytest.mark.parametrize(("sent", "out"), [
    ({**USED, "total_tokens": 1400, "completion_tokens_details": {"reasoning_tokens": 300}}, 400),
    ({**USED, "total_tokens": 1400}, 400),
    ({**USED, "completion_tokens_details": {"reasoning_tokens": 80}}, 100),
    ({**USED, "total_tokens": 1400, "completion_tokens_details": {"reasoning_tokens": 80}}, 100),
    ({**USED, "total_tokens": 900}, 100),
    ({**USED, "total_tokens": "1400"}, 100),
    ({**USED, "total_tokens": None}, 100),
    ({"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1400, "output_tokens_details": {"reasoning_tokens": 300}}, 400),
])  # fmt: skip
def test_what_was_reasoned_beside_the_answer_counts_if_the_total_says_so(sent: dict[str, Any], out: int) -> None:
    found = answer.read(sent)
    assert found is not None
    assert (found["input_tokens"], found["output_tokens"]) == (1000, out)


@pytest.mark.parametrize("more", [
    {"cached_tokens": 900}, {"prompt_cache_hit_tokens": 900}, {"prompt_tokens_details": {"cached_tokens": 900}},
    {"cached_tokens": 900, "prompt_tokens_details": {"cached_tokens": 900}},
    {"cached_tokens": 5, "prompt_tokens_details": {"cached_tokens": 900}},
])  # fmt: skip
def test_cached_tokens_are_found_beside_the_details(more: dict[str, Any]) -> None:
    assert answer.read({**USED, **more})["cache_read_tokens"] == 900


def test_zeros_are_no_usage_and_unsay_none() -> None:
    end = say("A whole answer", "stop")
    zero, true = ({"model": "m", "choices": [], "usage": used} for used in (ZERO, USED))
    assert tell(*events(end, zero, DONE)).tokens[2] == "estimated"
    assert tell(*events(end, true, zero, DONE)).tokens == (1000, 100, "measured")
    assert tell(*events(end, zero, true, DONE)).tokens == (1000, 100, "measured")
    assert booked(*events(end, zero, DONE))[1].usage.known == "estimated"


@pytest.mark.parametrize(
    "half", [{"prompt_tokens": 0, "completion_tokens": 7}, {"prompt_tokens": 7, "completion_tokens": 0}]
)
def test_one_zero_that_cannot_be_is_estimated(half: dict[str, int]) -> None:
    sent, came, known = tell(*events({**say("A whole answer", "stop"), "usage": half}, DONE)).tokens
    assert known == "estimated"
    assert 7 in (sent, came)
    assert sent
    assert came


@pytest.mark.parametrize("odd", [
    {"prompt_tokens": None, "completion_tokens": None, "total_tokens": 0}, {"prompt_tokens": "9", "completion_tokens": "3"},
    [], "many", {"prompt_tokens": -1}, {"prompt_tokens": float("nan")}, {"prompt_tokens": 2**63}, True,
])  # fmt: skip
def test_what_is_no_count_is_estimated(odd: Any) -> None:
    assert tell(*events({**say("A whole answer", "stop"), "usage": odd}, DONE)).tokens[2] == "estimated"


def test_a_response_of_zeros_is_estimated_by_its_text() -> None:
    text = [{"type": "message", "content": [{"type": "output_text", "text": "A whole answer with words"}]}]
    zero = {"input_tokens": 0, "output_tokens": 0}
    last = {"type": "response.completed", "response": {"status": "completed", "output": text, "usage": zero}}
    assert tell(*typed(last), api="responses").tokens[1:] == (7, "estimated")
    body = json.dumps(last["response"]).encode()
    assert tell(body, api="responses", headers={"content-type": "application/json"}).tokens[1:] == (7, "estimated")
