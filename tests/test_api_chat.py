"""What other servers make of Chat Completions: each form becomes the same answer."""

import json
from typing import Any

import httpx2
import pytest
from wire import DONE, KEY, booked, event, events, say, tell

JSON = {"content-type": "application/json"}


def delta(reason: Any = None, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


def whole(reason: Any = "stop", **message: Any) -> bytes:
    answer = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}
    return json.dumps(answer).encode()


@pytest.mark.parametrize("word", ["", "null", "NULL", "None", " ", "nil", False, 0, "FINISH_REASON_UNSPECIFIED", {}])
def test_a_word_that_is_no_reason_ends_nothing(word: Any) -> None:
    told = tell(*events(say("One ", word), say("two", word)))
    assert told.outcomes == ("incomplete",) * 3
    assert (told.reply.text, told.reply.finish_reason) == ("One two", None)
    assert "no finish reason came" in str(told.reply.error)


@pytest.mark.parametrize(("word", "outcome"), [
    ("max_tokens", "length"), ("MAX_TOKENS", "length"), ("model_length", "length"), ("ERROR_LIMIT", "length"),
    ("model_context_window_exceeded", "length"), ("FinishReason.MAX_TOKENS", "length"), ({"type": "length"}, "length"),
    ("SAFETY", "filtered"), ("sensitive", "filtered"), ("content_filter: SPII", "filtered"), ("content-filter", "filtered"),
    ("guardrail_intervened", "filtered"), ("RECITATION", "filtered"), ("ERROR_TOXIC", "filtered"),
    ("insufficient_system_resource", "incomplete"), ("network_error", "incomplete"), ("abort", "incomplete"),
    ("MALFORMED_FUNCTION_CALL", "incomplete"), ("OTHER", "incomplete"), ("USER_CANCEL", "cancelled"),
    ("end_turn", "complete"), ("COMPLETE", "complete"), ("eos", "complete"), ("STOP", "complete"), ("new", "complete"),
])  # fmt: skip
def test_the_words_of_vendors_mean_what_they_say(word: Any, outcome: str) -> None:
    told = tell(*events(say("Half"), say(None, word), DONE))
    assert told.outcomes == (outcome,) * 3
    assert booked(*events(say("Half"), say(None, word), DONE))[1].outcome == outcome


ERRORS = [
    {"error": {"code": 502, "message": "Upstream gave up"}, "finish_reason": "error"},
    {"error": {"code": 502, "message": "Upstream gave up"}},
    {"delta": {"error": {"code": 502, "message": "Upstream gave up"}}},
    {"message": {"error": {"code": 502, "message": "Upstream gave up"}}},
]


@pytest.mark.parametrize("choice", ERRORS)
def test_an_error_inside_a_choice_is_an_error_with_its_words(choice: dict[str, Any]) -> None:
    told = tell(*events(say("Half an "), {"model": "m", "choices": [{"index": 0, "delta": {}, **choice}]}, DONE))
    assert (told.outcomes, told.reply.text, told.row.error_code) == (("error",) * 3, "Half an ", "502")
    assert "It says: “Upstream gave up”" in str(told.reply.error)


@pytest.mark.parametrize("error", ["Upstream gave up", {"message": "Upstream gave up"}, ["Upstream gave up"]])
def test_an_error_of_any_form_in_a_choice_is_one(error: Any) -> None:
    told = tell(*events({"model": "m", "choices": [{"index": 0, "delta": {"content": "x"}, "error": error}]}, DONE))
    assert told.outcomes == ("error",) * 3
    assert "Upstream gave up" in str(told.reply.error)


@pytest.mark.parametrize(
    "data", [b"Boom at noon", b'"Boom at noon"', b'{"message": "Boom at noon"}', b'{"error": "Boom at noon"}']
)
def test_an_error_event_is_told_in_its_words_whatever_its_form(data: bytes) -> None:
    told = tell(*events(say("Hel")), b"event: error\ndata: " + data + b"\n\n")
    assert (told.outcomes, told.reply.text) == (("error",) * 3, "Hel")
    assert "It says: “Boom at noon”" in str(told.reply.error)


@pytest.mark.parametrize(("code", "kind"), [(402, "quota"), (429, "rate_limit"), (401, "auth"), (502, "server")])
def test_a_number_in_an_error_of_a_stream_says_what_it_is(code: int, kind: str) -> None:
    told = tell(*events(say("x"), {"error": {"code": code, "message": "no"}}))
    assert (told.reply.error.kind, told.row.error_code) == (kind, str(code))


@pytest.mark.parametrize("error", [None, "", False, {}, []])
def test_no_error_in_a_choice_is_none(error: Any) -> None:
    told = tell(*events({"model": "m", "choices": [{"index": 0, "delta": {"content": "x"}, "error": error}]}, DONE))
    assert told.outcomes == ("complete",) * 3


def test_the_first_name_that_is_one_is_the_models() -> None:
    wire = events(
        {"model": "", "choices": []}, {**say("Hi"), "model": " "}, {**say("!", "stop"), "model": "gpt-x"}, DONE
    )
    told = tell(*wire)
    assert (told.reply.model, told.row.answered_model, booked(*wire)[1].answered_model) == ("gpt-x",) * 3


@pytest.mark.parametrize("fields", [
    {"reasoning": "The sky", "reasoning_content": "The sky"}, {"thinking": "The sky"},
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "The "}, {"type": "text", "text": "sky"}]}]},
    {"content": [{"type": "thinking", "thinking": "The sky"}]}, {"content": [{"type": "reasoning", "text": "The sky"}]},
])  # fmt: skip
def test_reasoning_is_kept_once_wherever_it_stands(fields: dict[str, Any]) -> None:
    for told in (
        tell(*events(delta(**fields), delta("stop", content="Blue."), DONE)),
        tell(
            whole(**{**fields, "content": [*fields.get("content", []), {"type": "text", "text": "Blue."}]}),
            headers=JSON,
        ),
    ):
        [answer] = told.reply.answers
        assert (answer.reasoning, answer.text) == ("The sky", "Blue.")


def call(id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {**({"id": id} if id else {}), "function": function, **more}


TWO = [("a", "f", '{"x": 1}'), ("b", "g", '{"y": 2}')]


@pytest.mark.parametrize("more", [{"index": 0}, {"index": None}, {}])
def test_a_new_id_is_a_new_call_whatever_its_place(more: dict[str, Any]) -> None:
    apart = [delta(tool_calls=[call(*one, **more)]) for one in TWO]
    together = [delta(tool_calls=[call(*one, **more) for one in TWO])]
    for wire in (apart, together):
        assert tell(*events(*wire, delta("tool_calls"), DONE)).calls == TWO
    assert tell(whole("tool_calls", tool_calls=[call(*one, **more) for one in TWO]), headers=JSON).calls == TWO


def test_pieces_without_an_id_go_on_with_the_last_call() -> None:
    pieces = [call("a", "f", '{"x"'), call(None, None, ": 1}"), call("b", "g", '{"y"'), call(None, "", ": 2}")]
    for more in ({"index": 0}, {}):
        wire = [delta(tool_calls=[{**piece, **more}]) for piece in pieces]
        assert tell(*events(*wire, delta("tool_calls"), DONE)).calls == TWO


def test_pieces_of_two_calls_in_turns_are_kept_apart_by_their_place() -> None:
    pieces = [call("a", "f", '{"x"', index=0), call("b", "g", '{"y"', index=1)]
    pieces += [call(None, None, ": 1}", index=0), call("b", None, ": 2}", index=1)]
    assert tell(*events(*[delta(tool_calls=[piece]) for piece in pieces], DONE)).calls == TWO


def test_a_call_that_comes_whole_twice_is_one() -> None:
    wire = [delta(tool_calls=[call(*TWO[0], index=0)])] * 2
    assert tell(*events(*wire, delta("tool_calls"), DONE)).calls == TWO[:1]


def test_whole_calls_without_ids_are_apart_by_their_names() -> None:
    wire = [delta(tool_calls=[call(None, name, arguments)]) for _, name, arguments in TWO]
    assert tell(*events(*wire, DONE)).calls == [(None, *one[1:]) for one in TWO]


def custom(id: str | None, name: str | None, text: str, **more: Any) -> dict[str, Any]:
    named = {"name": name} if name else {}
    return {**({"id": id} if id else {}), "type": "custom", "custom": {**named, "input": text}, **more}


SQL = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 11"}}


@pytest.mark.parametrize("wire", [
    [custom("a", "sql", "SELECT 11", index=0)],
    [custom("a", "sql", "", index=0), custom(None, None, "SELECT ", index=0), custom(None, None, "1", index=0),
     custom(None, None, "1", index=0)],
    [custom("a", "sql", "SELECT "), custom(None, None, "11")],
    [custom("a", "sql", "SELECT 11", index=0)] * 2,
    [{"index": 0, "id": "a", "type": "custom", "function": None, "custom": {"name": "sql", "input": "SELECT 11"}}],
])  # fmt: skip
def test_a_call_of_a_custom_tool_is_read_as_one_of_a_function_is(wire: list[dict[str, Any]]) -> None:
    told = tell(*events(*[delta(tool_calls=[piece]) for piece in wire], delta("tool_calls"), DONE))
    assert told.outcomes == ("complete",) * 3
    assert list(told.reply.answers[0].tool_calls) == [SQL]


def test_calls_of_both_kinds_stand_beside_each_other_each_in_its_form() -> None:
    both = [call("f", "add", '{"x": 1}', type="function"), custom("a", "sql", "1"), custom("b", "sql", "1")]
    said = [
        {"id": "f", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}},
        {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "1"}},
        {"id": "b", "type": "custom", "custom": {"name": "sql", "input": "1"}},
    ]
    for told in (
        tell(whole("tool_calls", tool_calls=both), headers=JSON),
        tell(*events(delta(tool_calls=both), delta("tool_calls"), DONE)),
    ):
        assert list(told.reply.answers[0].tool_calls) == said


def test_an_id_that_changes_with_each_piece_does_not_cut_the_call() -> None:
    wire = [delta(tool_calls=[call("a", "f", '{"x"', index=0)]), delta(tool_calls=[call("z", None, ": 1}", index=0)])]
    [(_, name, arguments)] = tell(*events(*wire, DONE)).calls
    assert (name, arguments) == ("f", '{"x": 1}')


@pytest.mark.parametrize(("fields", "note"), [
    ({"images": [{"type": "image_url"}]}, "1 picture came with the answer; chatkit does not show it"),
    ({"images": [{}, {}]}, "2 pictures came with the answer; chatkit does not show them"),
    ({"content": [{"type": "image_url"}]}, "1 picture came with the answer; chatkit does not show it"),
    ({"audio": {"id": "a", "data": "UklGRg=="}}, "sound came with the answer; chatkit does not play it"),
])  # fmt: skip
def test_what_is_not_shown_is_told_to_the_person(fields: dict[str, Any], note: str) -> None:
    told = tell(*events(delta("stop", **fields), DONE))
    assert (told.messages[0].note, note in told.reply.notes, told.outcomes[0]) == (note, True, "complete")


def test_the_words_of_a_spoken_answer_are_its_text() -> None:
    told = tell(*events(delta(audio={"id": "a", "transcript": "Hel"}), delta("stop", audio={"transcript": "lo"}), DONE))
    assert (told.reply.text, told.messages[0].note) == ("Hello", "the answer was spoken; these are its words")


HALF = "\ud83d"


def test_half_a_character_anywhere_is_repaired() -> None:
    value = {"model": f"m{HALF}", "choices": [{"index": 0, "finish_reason": f"st{HALF}", "delta": {
        "content": f"a{HALF}b\0", "reasoning": f"r{HALF}", "refusal": f"n{HALF}",
        "tool_calls": [{"index": 0, "id": f"i{HALF}", "function": {"name": f"f{HALF}", "arguments": f"{{{HALF}}}"}}],
    }}]}  # fmt: skip
    told = tell(*events(value, DONE))
    reply, row = told.reply, told.row
    repr(reply).encode()
    json.dumps([reply.text, reply.model, reply.finish_reason, *reply.notes, told.calls], ensure_ascii=False).encode()
    assert (reply.text, reply.model, row.answered_model) == ("a\ufffdb\ufffd", "m\ufffd", "m\ufffd")
    assert told.calls == [("i\ufffd", "f\ufffd", "{\ufffd}")]


def test_halves_in_an_error_in_an_answer_are_repaired() -> None:
    told = tell(*events(say("x"), {"error": {"message": f"No {HALF}\0", "code": f"c{HALF}", "type": f"t{HALF}"}}))
    str(told.reply.error).encode()
    assert (told.row.error_code, told.reply.error.code, told.reply.error.type) == ("c\ufffd", "c\ufffd", "t\ufffd")


def test_a_key_that_is_sent_back_is_in_no_name() -> None:
    tools = [
        {"index": 0, "id": f"id-{KEY}", "function": {"name": KEY, "arguments": "{}"}},
        {"index": 1, "id": f"it-{KEY}", "custom": {"name": KEY, "input": "x"}},
    ]
    value = {"model": f"m {KEY}", "choices": [{"index": 0, "delta": {"tool_calls": tools}, "finish_reason": KEY}]}
    told = tell(*events(value, DONE), headers={"x-request-id": KEY, "openai-version": KEY})
    refused = tell(json.dumps({"error": {"message": "x", "code": KEY, "type": KEY}}).encode(), status=400, headers=JSON)
    for one in (told, refused):
        assert "abcdefghijkl" not in repr((one.reply, one.rows, one.messages, dict(one.reply.headers)))
    assert (told.reply.model, told.row.answered_model) == ("m [key]", "m [key]")
    assert refused.row.error_code == "[key]"


def test_a_packed_stream_has_no_chunk_that_only_the_meter_asked_for() -> None:
    import gzip

    used = {"model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    wire = b"".join(events(say("Hi"), say(None, "stop"), used, DONE))
    packed = gzip.compress(wire)
    came, row = booked(packed[:30], packed[30:], headers={"content-encoding": "gzip"})
    assert came == wire.replace(event(used), b"")
    assert (row.outcome, row.usage.prompt_tokens, row.usage.known) == ("complete", 9, "measured")
    told = tell(packed[:30], packed[30:], headers={"content-encoding": "gzip"})
    assert (told.reply.text, told.outcomes, told.tokens) == ("Hi", ("complete",) * 3, (9, 3, "measured"))
    cut = tell(packed[:-30], httpx2.ReadError("reset"), headers={"content-encoding": "gzip"})
    assert len(set(cut.outcomes)) == 1


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream", ""])
def test_a_stream_is_known_by_its_first_bytes(kind: str) -> None:
    told = tell(*events(say("Hi"), say(None, "stop"), DONE), headers={"content-type": kind})
    assert (told.reply.text, told.outcomes) == ("Hi", ("complete",) * 3)
    assert booked(*events(say("Hi"), say(None, "stop"), DONE), headers={"content-type": kind})[1].outcome == "complete"
